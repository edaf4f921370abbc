//! Owns the question what is wrong with a response head that hyper would not read: looked at again, for the operator.
//!
//! It decides nothing: the head was refused already. Where nothing stands out it says so.

use crate::fault::failure::Malformed;

impl Malformed {
    /// What is wrong with the head that begins with these bytes, which may be cut off; none where nothing was captured.
    #[must_use]
    pub fn read(head: &[u8]) -> Option<Self> {
        if head.is_empty() {
            return None;
        }
        let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let status_line = lines.next().unwrap_or_default();
        if let Some(wrong) = status_line_fault(status_line) {
            return Some(wrong);
        }
        let fields: Vec<&[u8]> = lines.take_while(|line| !line.is_empty()).collect();
        let whole = fields.len().saturating_sub(1);
        let broken = fields.iter().take(whole).position(|line| !is_field_line(line));
        Some(
            framing_fault(&fields)
                .or_else(|| broken.map(|index| Self::FieldLine(index + 1)))
                .or_else(|| bloat(&fields))
                .unwrap_or(Self::Other),
        )
    }
}

/// `HTTP/1.1 200 OK`
fn status_line_fault(line: &[u8]) -> Option<Malformed> {
    let rest = line.strip_prefix(b"HTTP/")?;
    let mut words = rest.splitn(3, |byte| *byte == b' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().unwrap_or_default();
    if version != b"1.1" && version != b"1.0" {
        return Some(Malformed::Version);
    }
    let digits = status.len() == 3 && status.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(status).ok().and_then(|status| status.parse::<u16>().ok());
    match number {
        Some(number) if digits && !(100..=599).contains(&number) => Some(Malformed::Status(number)),
        Some(_) if digits => None,
        _ => Some(Malformed::StatusLine),
    }
}

fn is_field_line(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
    let (name, value) = line.split_at(colon);
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let clean = |byte: &u8| *byte >= b' ' && *byte != 0x7f || *byte == b'\t';
    !name.is_empty() && name.iter().all(token) && value.iter().all(clean)
}

fn framing_fault(fields: &[&[u8]]) -> Option<Malformed> {
    let lengths: Vec<String> = values(fields, "content-length").collect();
    let codings: Vec<String> = values(fields, "transfer-encoding").collect();
    let sound =
        |length: &String| !length.is_empty() && length.len() < 19 && length.bytes().all(|byte| byte.is_ascii_digit());
    if !lengths.iter().all(sound) || lengths.iter().any(|length| Some(length) != lengths.first()) {
        return Some(Malformed::ContentLength(lengths));
    }
    if codings.len() > 1 || codings.iter().any(|coding| !coding.eq_ignore_ascii_case("chunked")) {
        return Some(Malformed::TransferCoding(codings.join(", ")));
    }
    (!lengths.is_empty() && !codings.is_empty()).then_some(Malformed::LengthAndCoding)
}

/// A field that repeats so often that it makes up the head.
fn bloat(fields: &[&[u8]]) -> Option<Malformed> {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for name in fields.iter().filter_map(|line| name(line)) {
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let (name, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    (count >= BLOAT && count * 2 > fields.len()).then_some(Malformed::Bloated(name, count))
}

fn name(line: &[u8]) -> Option<String> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = line.get(..colon)?.trim_ascii();
    Some(String::from_utf8_lossy(name).to_ascii_lowercase())
}

fn values<'a>(fields: &'a [&'a [u8]], wanted: &'a str) -> impl Iterator<Item = String> + 'a {
    fields.iter().filter(move |line| name(line).as_deref() == Some(wanted)).flat_map(|line| {
        let value = line.splitn(2, |byte| *byte == b':').nth(1).unwrap_or_default();
        String::from_utf8_lossy(value).split(',').map(|part| shown(part.trim(), LONGEST_VALUE)).collect::<Vec<_>>()
    })
}

/// A value from the wire, fit to be shown: of at most so many characters, and none that controls a terminal.
pub(super) fn shown(value: &str, most: usize) -> String {
    value.chars().take(most).map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Characters of one value.
const LONGEST_VALUE: usize = 40;

/// So many lines of one name are too many to be meant.
const BLOAT: usize = 8;

#[cfg(test)]
mod tests {
    use crate::fault::failure::Malformed;

    fn check(head: &str, wanted: Malformed) {
        assert_eq!(Malformed::read(head.as_bytes()), Some(wanted), "{head:?}");
    }

    #[test]
    fn what_is_wrong_with_a_head_is_named() {
        let lengths =
            |values: &[&str]| Malformed::ContentLength(values.iter().map(|value| (*value).to_owned()).collect());
        check("HTTP/1.1 2OO OK\r\n\r\n", Malformed::StatusLine);
        check("HTTP/1.1 42 Short\r\n\r\n", Malformed::StatusLine);
        check("HTTP/1.1 999 X\r\n\r\n", Malformed::Status(999));
        check("HTTP/2.0 200 OK\r\n\r\n", Malformed::Version);
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello", lengths(&["5", "7"]));
        check("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", lengths(&["+5"]));
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: bogus\r\n\r\n", Malformed::TransferCoding("bogus".to_owned()));
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", Malformed::LengthAndCoding);
        check("HTTP/1.1 200 OK\r\nX: y\r\ngarbage\r\nZ: y\r\n\r\n", Malformed::FieldLine(2));
        check("HTTP/1.1 200 OK\r\nX Y: z\r\nZ: y\r\n\r\n", Malformed::FieldLine(1));
        let cookies = "Set-Cookie: a=b\r\n".repeat(20);
        check(&format!("HTTP/1.1 200 OK\r\n{cookies}"), Malformed::Bloated("set-cookie".to_owned(), 20));
        check("HTTP/1.1 200 OK\r\nX: y\r\n\r\n", Malformed::Other);
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(Malformed::read(b""), None);
    }
}
