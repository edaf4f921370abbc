//! Owns the trace that a request belongs to (W3C Trace Context): a trusted proxy's is continued, any other begins here.
//!
//! Whoever is next is told a span of this proxy's own as its parent, and the log has both ids. What a stranger says of a trace
//! is dropped: it could join its requests to somebody else's trace, or have all of them recorded.

use http::HeaderMap;
use http::HeaderValue;

use super::fields::Field;
use super::fields::Fields;
use super::fields::TRACEPARENT;
use super::fields::TRACESTATE;
use crate::telemetry::Span;

/// The trace of one request, and this proxy's own part in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The ids.
    pub span: Span,
    flags: u8,
    /// Whether somebody else began it, so that `tracestate` belongs to it.
    continued: bool,
}

impl Trace {
    /// A new trace. It counts as recorded, since the log has it, and an origin that follows its parent's decision goes on to
    /// record what it would have recorded without a proxy. Its id is random in all its bytes (level 2, section 3.2.3).
    #[must_use]
    pub fn begin() -> Self {
        Self::with(fastrand::u128(1..), SAMPLED | RANDOM, false)
    }

    /// The trace that a head carries; none where there is not exactly one valid `traceparent`.
    #[must_use]
    pub fn given(headers: &HeaderMap, fields: Fields) -> Option<Self> {
        if !fields.has(Field::Traceparent) {
            return None;
        }
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        let (trace, flags) = read(line.as_bytes())?;
        // Flags that this version does not know are not passed on (level 1, section 3.2.2.5).
        Some(Self::with(trace, flags & (SAMPLED | RANDOM), true))
    }

    fn with(trace: u128, flags: u8, continued: bool) -> Self {
        Self { span: Span::new(trace, fastrand::u64(1..)), flags, continued }
    }

    /// Tells the next one of it. `tracestate` goes on as it came with a trace that goes on, and otherwise means nothing.
    pub fn pass_on(self, headers: &mut HeaderMap, fields: Fields) {
        headers.insert(TRACEPARENT, self.value());
        if !self.continued && fields.has(Field::Tracestate) {
            headers.remove(TRACESTATE);
        }
    }

    #[expect(clippy::expect_used, reason = "digits and dashes")]
    fn value(self) -> HeaderValue {
        let mut text = Vec::with_capacity(LENGTH);
        text.extend_from_slice(b"00-");
        text.extend_from_slice(self.span.trace_id());
        text.push(b'-');
        text.extend_from_slice(self.span.span_id());
        text.extend_from_slice(&[b'-', b'0', b'0' + self.flags]);
        HeaderValue::try_from(text).expect("digits and dashes are a value")
    }
}

/// Trace id and flags of `version-traceid-parentid-flags` in lower-case hexadecimal digits, neither id all zeros. A later
/// version may go on after a further dash.
fn read(value: &[u8]) -> Option<(u128, u8)> {
    let mut parts = value.splitn(5, |byte| *byte == b'-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let ends = version != b"00" || parts.next().is_none();
    if !ends || version == b"ff" {
        return None;
    }
    number(version, 2)?;
    number(parent, 16).filter(|parent| *parent != 0)?;
    let trace = number(trace, 32).filter(|trace| *trace != 0)?;
    Some((trace, u8::try_from(number(flags, 2)?).ok()?))
}

/// The number of so many lower-case hexadecimal digits.
fn number(digits: &[u8], length: usize) -> Option<u128> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(u128::from(byte - b'0')),
        b'a'..=b'f' => Some(u128::from(byte - b'a' + 10)),
        _ => None,
    };
    let fits = digits.len() == length;
    fits.then(|| digits.iter().try_fold(0, |number, byte| Some(number << 4 | digit(*byte)?))).flatten()
}

/// Somebody up the trace may have recorded it.
const SAMPLED: u8 = 1;
/// The trace id was made at random (level 2).
const RANDOM: u8 = 2;
/// Bytes of `traceparent` in version 00.
const LENGTH: usize = 55;

#[cfg(test)]
mod tests {
    use super::Trace;
    use super::read;
    use crate::proxy::fields::Fields;
    use crate::proxy::heads;

    const ID: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

    #[test]
    fn a_traceparent_is_held_to_its_grammar() {
        for (value, expected) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", Some((ID, 0))),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some((ID, 1))),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", Some((ID, 255))),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more-of-it", Some((ID, 0))),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more", None),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", None),
            ("0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", None),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-00", None),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-00", None),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-00", None),
            ("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-00", None),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", None),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", None),
            ("", None),
        ] {
            assert_eq!(read(value.as_bytes()), expected, "{value:?}");
        }
    }

    #[test]
    fn a_trace_goes_on_with_a_span_of_its_own() {
        for (flags, passed) in [("00", "00"), ("01", "01"), ("03", "03"), ("fd", "01")] {
            let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            let mut headers = heads::fields(&format!("traceparent: {parent}\ntracestate: a=1\ntracestate: b=2"));
            let fields = Fields::of(&headers);
            let trace = Trace::given(&headers, fields).unwrap();
            trace.pass_on(&mut headers, fields);
            let sent = headers.get("traceparent").unwrap().to_str().unwrap();
            assert_eq!(read(sent.as_bytes()).map(|(id, _)| id), Some(ID));
            assert!(sent.ends_with(passed) && sent != parent && sent.len() == 55, "{sent}");
            assert_eq!(headers.get_all("tracestate").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
        }
    }

    #[test]
    fn a_new_trace_takes_nothing_over() {
        let mut headers =
            heads::fields("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\ntracestate: a=1");
        let fields = Fields::of(&headers);
        Trace::begin().pass_on(&mut headers, fields);
        let sent = headers.get("traceparent").unwrap().as_bytes();
        assert!(read(sent).is_some_and(|(id, flags)| id != ID && flags == 3), "{sent:?}");
        assert!(!headers.contains_key("tracestate"));
        assert_ne!(Trace::begin().span, Trace::begin().span);
    }

    #[test]
    fn two_lines_or_a_wrong_one_are_no_trace() {
        let valid = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for text in [&format!("{valid}\n{valid}"), "traceparent: <script>", "tracestate: a=1", "accept: */*"] {
            let headers = heads::fields(text);
            assert_eq!(Trace::given(&headers, Fields::of(&headers)), None, "{text}");
        }
    }
}
