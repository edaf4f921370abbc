//! Owns what a head says of the body that follows: its framing and its length (RFC 9112, section 6).

use http::HeaderMap;
use http::HeaderValue;
use http::header;

use super::Refusal;
use crate::config::Limits;
use crate::proxy::fields::Field;
use crate::proxy::fields::Fields;

/// How a request's body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// There is none.
    None,
    /// As many bytes as declared; more than none.
    Length(u64),
    /// In chunks, until the last one.
    Chunked,
}

impl Content {
    /// How the body is framed (RFC 9112, section 6.3), and whether it may be that large.
    ///
    /// # Errors
    ///
    /// A length that is none, a body that is too large, a coding that is not known here.
    pub fn declared(headers: &HeaderMap, fields: Fields, limits: &Limits) -> Result<Self, Refusal> {
        if fields.has(Field::TransferEncoding) {
            return if is_chunked_once(headers) { Ok(Self::Chunked) } else { Err(Refusal::CodingUnknown) };
        }
        if !fields.has(Field::ContentLength) {
            return Ok(Self::None);
        }
        let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return Err(Refusal::LengthInvalid) };
        match length(line).ok_or(Refusal::LengthInvalid)? {
            0 => Ok(Self::None),
            length if limits.request_body_bytes != 0 && length > limits.request_body_bytes => {
                Err(Refusal::BodyTooLarge)
            }
            length => Ok(Self::Length(length)),
        }
    }
}

/// Whether `Transfer-Encoding` is `chunked` and nothing else, over all of its lines.
#[must_use]
pub fn is_chunked_once(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => line.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        _ => false,
    }
}

/// The number in a value of `Content-Length`: digits only (RFC 9110, section 8.6), and none that a signed reader downstream
/// would take for a negative one.
#[must_use]
pub fn length(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|length| digits && *length <= LARGEST_LENGTH)
}

/// Whether a length is written without zeros in front: some readers take them for octal, and some have room for so many digits only.
#[must_use]
pub fn is_plain(length: &HeaderValue) -> bool {
    !matches!(length.as_bytes(), [b'0', _, ..])
}

/// The largest number that a signed reader holds: 2^63 - 1.
pub(super) const LARGEST_LENGTH: u64 = i64::MAX as u64;
