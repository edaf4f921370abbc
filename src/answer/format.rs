//! Owns the choice of a format: from the request's `Accept` and, for gRPC, its `Content-Type`.

use http::HeaderMap;
use http::header::ACCEPT;
use http::header::CONTENT_TYPE;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The page.
    Html,
    /// A problem document as `application/problem+json`.
    Problem,
    /// The same document as `application/json`.
    Json,
    /// Plain text, for a terminal.
    Text,
    /// A gRPC status.
    Grpc,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Html, Self::Problem, Self::Json, Self::Text, Self::Grpc];

    /// The format that the client asks for: the highest weight wins (RFC 9110, section 12.5.1), then the range that is most
    /// specific, then the one that is named first. Plain text where nothing is asked for or nothing fits.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        if is_grpc(headers) {
            return Self::Grpc;
        }
        let accepted = NEGOTIABLE.into_iter().zip(wishes(headers));
        let accepted = accepted.filter_map(|(format, wish)| Some((wish.filter(|wish| wish.weight > 0)?, format)));
        accepted.reduce(|best, next| if next.0 > best.0 { next } else { best }).map_or(Self::Text, |(_, format)| format)
    }

    /// The media type that an answer in this format has.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Problem => "application/problem+json",
            Self::Json => "application/json",
            Self::Text => "text/plain; charset=utf-8",
            Self::Grpc => "application/grpc",
        }
    }

    const fn media(self) -> (&'static str, &'static str) {
        match self {
            Self::Html => ("text", "html"),
            Self::Problem => ("application", "problem+json"),
            Self::Json => ("application", "json"),
            Self::Text => ("text", "plain"),
            Self::Grpc => ("application", "grpc"),
        }
    }
}

/// How much a client wants a format. Fields in order of importance: the derived order is the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Wish {
    /// Thousandths.
    weight: u16,
    fit: Fit,
    /// The later a range stands, the smaller.
    earliness: usize,
}

/// How closely a media range fits a media type, least closely first (RFC 9110, section 12.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Anything,
    AnySubtype,
    /// With a parameter that our type does not have, such as a profile: better an answer without it than none.
    OtherParameters,
    Exact,
}

/// How much each format is wanted, in their order: the most specific range that fits one decides; a weight of 0 refuses it.
fn wishes(headers: &HeaderMap) -> [Option<Wish>; NEGOTIABLE.len()] {
    let mut wishes = [None; NEGOTIABLE.len()];
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(ranges);
    for (index, range) in ranges.enumerate() {
        let Some(range) = Range::read(range) else { continue };
        for (format, closest) in NEGOTIABLE.into_iter().zip(&mut wishes) {
            let fit = range.fit(format).filter(|fit| closest.is_none_or(|closest: Wish| *fit > closest.fit));
            if let Some(fit) = fit {
                *closest = Some(Wish { weight: range.weight, fit, earliness: usize::MAX - index });
            }
        }
    }
    wishes
}

/// A range of `Accept`.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    /// Thousandths.
    weight: u16,
    /// Whether it has a parameter that none of our types has.
    particular: bool,
}

impl<'a> Range<'a> {
    /// Reads it; none where it is no range.
    fn read(range: &'a str) -> Option<Self> {
        let mut parts = split(range, ';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let mut read = Self { kind, subtype, weight: 1000, particular: false };
        for (name, value) in
            parts.filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, "")))
        {
            if name.eq_ignore_ascii_case("q") {
                read.weight = thousandths(value)?;
            } else if !(name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")) {
                read.particular = true;
            }
        }
        Some(read)
    }

    /// How closely it fits the format; none where it does not.
    fn fit(&self, format: Format) -> Option<Fit> {
        let (our_kind, our_subtype) = format.media();
        let fit = if self.kind == "*" && self.subtype == "*" {
            Fit::Anything
        } else if !self.kind.eq_ignore_ascii_case(our_kind) {
            return None;
        } else if self.subtype == "*" {
            Fit::AnySubtype
        } else if self.subtype.eq_ignore_ascii_case(our_subtype) {
            Fit::Exact
        } else {
            return None;
        };
        Some(if self.particular { fit.min(Fit::OtherParameters) } else { fit })
    }
}

/// A `qvalue` (RFC 9110, section 12.4.2): 0 or 1 with at most three digits behind the point.
pub(super) fn thousandths(value: &str) -> Option<u16> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().map(|digit| u16::from(digit - b'0')).chain(std::iter::repeat(0));
    let fraction = digits.take(3).fold(0, |number, digit| number * 10 + digit);
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

/// The members of a list, without the space around them.
pub(super) fn ranges(value: &str) -> impl Iterator<Item = &str> {
    split(value, ',').map(str::trim).filter(|range| !range.is_empty())
}

/// Splits outside quoted strings (RFC 9110, section 5.6.4).
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        let was_escaped = std::mem::take(&mut escaped);
        match character {
            '\\' if quoted && !was_escaped => escaped = true,
            '"' if !was_escaped => quoted = !quoted,
            _ => return character == separator && !quoted,
        }
        false
    })
}

/// `application/grpc`, with or without a message format. gRPC-Web is HTTP to us: its clients read the status of HTTP.
fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (start, rest) = content_type.split_at_checked(GRPC.len()).unwrap_or_default();
    start.eq_ignore_ascii_case(GRPC) && (rest.is_empty() || rest.starts_with(['+', ';', ' ']))
}

/// What can be asked for by `Accept`; where a wish is the same, the earlier one is chosen.
const NEGOTIABLE: [Format; 4] = [Format::Text, Format::Html, Format::Problem, Format::Json];

const GRPC: &str = "application/grpc";

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::HeaderValue;
    use http::header::ACCEPT;
    use http::header::CONTENT_TYPE;

    use super::Format;

    fn accepting(values: &[&'static str]) -> Format {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT, HeaderValue::from_static(value));
        }
        Format::of(&headers)
    }

    #[test]
    fn accept_decides_by_weight_then_closeness_then_order() {
        for (accept, format) in [
            ("text/html", Format::Html),
            ("TEXT/HTML; CHARSET=UTF-8", Format::Html),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Html),
            ("application/json", Format::Json),
            ("application/problem+json", Format::Problem),
            ("application/problem+json, application/json", Format::Problem),
            ("application/json, application/problem+json", Format::Json),
            ("application/json;q=0.5, application/problem+json;q=0.51", Format::Problem),
            ("application/json, text/plain, */*", Format::Json),
            ("application/json; charset=utf-8", Format::Json),
            ("application/json;odata=verbose", Format::Json),
            ("application/*", Format::Problem),
            ("text/*", Format::Text),
            ("*/*", Format::Text),
            ("", Format::Text),
            ("image/webp", Format::Text),
            ("text/html;q=0, */*", Format::Text),
            ("text/plain;q=0, text/html;q=0.001", Format::Html),
            ("text/plain;q=0.9, text/html;q=0.901", Format::Html),
            ("text/plain;q=0.9, text/html;q=0.899", Format::Text),
            ("text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, */*;q=0.5", Format::Text),
            ("*/*;q=0.1, text/*;q=0.9, text/plain;q=0.2", Format::Html),
            ("text/html;profile=\"a,b;q=0\", text/plain;q=0.5", Format::Html),
            ("text/html;profile=\"\\\",\", text/plain;q=0.5", Format::Html),
            ("text/html;q=2, application/json;q=0.1", Format::Json),
            ("text/html;q=0.1234, application/json;q=0.1", Format::Json),
            ("text/html;q=, application/json;q=0.1", Format::Json),
            (", ,text/html,,", Format::Html),
            ("html, application/json;q=0.2", Format::Json),
        ] {
            assert_eq!(accepting(&[accept]), format, "{accept}");
        }
    }

    #[test]
    fn several_accept_lines_are_one_list() {
        assert_eq!(accepting(&["text/html;q=0.5", "application/json"]), Format::Json);
    }

    #[test]
    fn without_accept_it_is_plain_text() {
        assert_eq!(accepting(&[]), Format::Text);
    }

    #[test]
    fn a_grpc_request_is_known_by_its_content_type() {
        for (content_type, format) in [
            ("application/grpc", Format::Grpc),
            ("application/grpc+proto", Format::Grpc),
            ("Application/gRPC; charset=utf-8", Format::Grpc),
            ("application/grpc-web+proto", Format::Text),
            ("application/json", Format::Text),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            assert_eq!(Format::of(&headers), format, "{content_type}");
        }
    }
}
