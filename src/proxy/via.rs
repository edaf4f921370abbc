//! Owns `Via` (RFC 9110, section 7.6.3): our pseudonym, appended in both directions, recognised as a loop when it comes back.

use http::HeaderMap;
use http::HeaderValue;
use http::Version;
use http::header::VIA;

use super::fields::Field;
use super::fields::Fields;

/// The name of this installation in `Via`: `why502-ID`.
///
/// The id is random, so that only this installation's own name is a loop and two why502s may stand in a chain.
#[derive(Debug, Clone)]
pub struct Pseudonym {
    name: Box<str>,
    over_http_10: HeaderValue,
    over_http_11: HeaderValue,
    over_http_2: HeaderValue,
}

impl Pseudonym {
    /// A new one, for the life of a running installation.
    #[must_use]
    pub fn random() -> Self {
        let id: String = std::iter::repeat_with(fastrand::alphanumeric).take(ID_LENGTH).collect();
        Self::of(&id)
    }

    #[expect(clippy::expect_used, reason = "an id is made of letters and digits")]
    pub(crate) fn of(id: &str) -> Self {
        let line = |version| HeaderValue::try_from(format!("{version} why502-{id}")).expect("a pseudonym is a token");
        Self {
            name: format!("why502-{id}").into(),
            over_http_10: line("1.0"),
            over_http_11: line("1.1"),
            over_http_2: line("2"),
        }
    }

    /// The name itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Appends this proxy to a message that was received in this version; members before it stay as they are.
    pub fn sign(&self, headers: &mut HeaderMap, received: Version) {
        let line = match received {
            Version::HTTP_10 => &self.over_http_10,
            Version::HTTP_2 => &self.over_http_2,
            _ => &self.over_http_11,
        };
        headers.append(VIA, line.clone());
    }

    /// Whether the message has passed this proxy before.
    #[must_use]
    pub fn has_signed(&self, headers: &HeaderMap, fields: Fields) -> bool {
        fields.has(Field::Via) && headers.get_all(VIA).iter().any(|line| self.is_named_in(line))
    }

    /// A line that is not ASCII throughout is still read as far as its members are.
    fn is_named_in(&self, line: &HeaderValue) -> bool {
        let mut members = line.as_bytes().split(|byte| *byte == b',');
        members.any(|member| {
            let mut words = member.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            words.nth(1).is_some_and(|name| name.eq_ignore_ascii_case(self.name.as_bytes()))
        })
    }
}

/// Characters of an id: enough that two installations never share one by chance.
const ID_LENGTH: usize = 10;

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::HeaderValue;
    use http::Version;
    use http::header::VIA;

    use super::Pseudonym;
    use crate::proxy::fields::Fields;

    fn signed(lines: &[&str], received: Version) -> Vec<String> {
        let mut headers = head(lines);
        Pseudonym::of("a1").sign(&mut headers, received);
        headers.get_all(VIA).iter().map(|line| line.to_str().unwrap().to_owned()).collect()
    }

    fn head(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (VIA, HeaderValue::from_bytes(line.as_bytes()).unwrap())).collect()
    }

    #[test]
    fn we_come_last_with_the_version_that_we_received() {
        assert_eq!(signed(&[], Version::HTTP_11), ["1.1 why502-a1"]);
        assert_eq!(signed(&[], Version::HTTP_10), ["1.0 why502-a1"]);
        assert_eq!(signed(&["1.0 fred", "2 b, 1.1 c"], Version::HTTP_11), ["1.0 fred", "2 b, 1.1 c", "1.1 why502-a1"]);
    }

    #[test]
    fn only_our_own_name_is_a_loop() {
        for (lines, looped) in [
            (&["1.1 why502-a1"][..], true),
            (&["1.0 fred", "2 proxy, 1.1 WHY502-A1 (comment)"], true),
            (&["HTTP/1.1\twhy502-a1"], true),
            (&["1.1 caf\u{e9}, 1.1 why502-a1"], true),
            (&["1.1 why502-a2"], false),
            (&["1.1 why502"], false),
            (&["1.1 fred (why502-a1)"], false),
            (&["why502-a1"], false),
            (&[], false),
        ] {
            let headers = head(lines);
            assert_eq!(Pseudonym::of("a1").has_signed(&headers, Fields::of(&headers)), looped, "{lines:?}");
        }
    }

    #[test]
    fn two_installations_have_two_names() {
        let (a, b) = (Pseudonym::random(), Pseudonym::random());
        assert_ne!(a.name(), b.name());
        assert_eq!(a.name().len(), "why502-".len() + super::ID_LENGTH);
    }
}
