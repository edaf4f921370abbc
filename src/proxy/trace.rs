//! Owns W3C Trace Context as it passes through: nothing is added yet, and nothing invalid goes on.

use http::HeaderMap;

use super::fields::Field;
use super::fields::Fields;
use super::fields::TRACEPARENT;
use super::fields::TRACESTATE;

/// A `traceparent` that is valid goes on unchanged with its `tracestate`; one that is not takes it along, and a `tracestate`
/// by itself means nothing (W3C Trace Context, section 3.3.1.2).
pub fn keep_valid(headers: &mut HeaderMap, fields: Fields) {
    if !fields.has(Field::Traceparent) && !fields.has(Field::Tracestate) {
        return;
    }
    let mut lines = headers.get_all(TRACEPARENT).iter();
    let is_valid = matches!((lines.next(), lines.next()), (Some(line), None) if is_traceparent(line.as_bytes()));
    if !is_valid {
        headers.remove(TRACEPARENT);
        headers.remove(TRACESTATE);
    }
}

/// `version-traceid-parentid-flags` in lower-case hexadecimal digits, neither id all zeros. A later version may go on after a
/// further dash.
fn is_traceparent(value: &[u8]) -> bool {
    let is_hex = |digits: &[u8]| digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |id: &[u8], length| id.len() == length && is_hex(id) && id.iter().any(|byte| *byte != b'0');
    let mut parts = value.splitn(5, |byte| *byte == b'-');
    let (Some(version), Some(trace), Some(parent), Some(flags)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let known = version.len() == 2 && is_hex(version) && version != b"ff";
    let ends = version != b"00" || parts.next().is_none();
    known && is_id(trace, 32) && is_id(parent, 16) && flags.len() == 2 && is_hex(flags) && ends
}

#[cfg(test)]
mod tests {
    use super::is_traceparent;

    #[test]
    fn a_traceparent_is_held_to_its_grammar() {
        for (value, expected) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more-of-it", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-more", false),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", false),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-00", false),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-00", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-00", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-00", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", false),
            ("", false),
        ] {
            assert_eq!(is_traceparent(value.as_bytes()), expected, "{value:?}");
        }
    }
}
