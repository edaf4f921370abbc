//! Owns the answer to a gRPC client: a head that is all there is ("Trailers-Only" in gRPC over HTTP/2), with status 200.

use std::fmt::Write;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::header::CONTENT_TYPE;

/// Writes the gRPC status and its message into a head.
pub(super) fn write(headers: &mut HeaderMap, code: GrpcCode, message: &str) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(HeaderName::from_static("grpc-status"), HeaderValue::from(code.0));
    let message = HeaderValue::from_str(&percent_encoded(message));
    headers.insert(HeaderName::from_static("grpc-message"), message.unwrap_or(HeaderValue::from_static("")));
}

/// A status code of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GrpcCode(u16);

impl GrpcCode {
    /// UNAVAILABLE: every failure of an upstream.
    pub(super) const UNAVAILABLE: Self = Self(14);

    /// The nearest code to a refusal's status.
    pub(super) fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self(16),             // UNAUTHENTICATED
            403 => Self(7),              // PERMISSION_DENIED
            404 | 405 | 501 => Self(12), // UNIMPLEMENTED
            408 => Self(4),              // DEADLINE_EXCEEDED
            413 | 431 => Self(8),        // RESOURCE_EXHAUSTED
            421 | 429 | 502..=504 => Self::UNAVAILABLE,
            _ => Self(13), // INTERNAL
        }
    }
}

/// gRPC's percent-encoding: every byte outside printable ASCII, and `%` itself.
fn percent_encoded(message: &str) -> String {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _written = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::percent_encoded;

    #[test]
    fn what_is_not_printable_ascii_is_percent_encoded() {
        for (message, encoded) in [("all fine", "all fine"), ("100 %", "100 %25"), ("é\r\n", "%C3%A9%0D%0A")] {
            assert_eq!(percent_encoded(message), encoded);
        }
    }
}
