//! Owns the meaning of the errors of HTTP/2: who reset what, with which code, and whether the request was processed.

use h2::Reason;

use crate::fault::Fault;
use crate::fault::failure::H2Evidence;

/// What an error of HTTP/2 was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct H2Fault {
    /// The fault.
    pub fault: Fault,
    /// What it says for itself.
    pub evidence: H2Evidence,
}

/// How the connection stands when one of its streams has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// Other streams go on.
    Stands,
    /// It is at its end.
    Ended,
}

impl H2Fault {
    /// What went wrong; none where HTTP/2 has nothing to tell, since the connection below it ended.
    ///
    /// What the library finds wrong itself looks the same for a stream as for the connection, which only does not survive
    /// the latter.
    #[must_use]
    pub fn of(error: &h2::Error, connection: Connection) -> Option<Self> {
        if error.is_io() {
            return None;
        }
        let reason = error.reason()?;
        let code = Some(u32::from(reason));
        let said = H2Evidence::default();
        let (fault, evidence) = match (error.is_reset(), error.is_go_away(), error.is_remote()) {
            (true, _, true) if reason == Reason::REFUSED_STREAM => {
                (Fault::H2StreamRefused, H2Evidence { reset_code: code, unprocessed: true, ..said })
            }
            (true, _, true) => (Fault::H2StreamReset, H2Evidence { reset_code: code, ..said }),
            // A request that came too late for a connection that the server is closing in order.
            (_, true, true) if reason == Reason::NO_ERROR => {
                (Fault::H2StreamRefused, H2Evidence { goaway_code: code, unprocessed: true, ..said })
            }
            (_, true, true) => (Fault::H2ConnectionError, H2Evidence { goaway_code: code, ..said }),
            (_, _, false) if !error.is_library() => return None,
            _ => match connection {
                Connection::Stands => (Fault::ResponseMalformed, H2Evidence { found_code: code, ..said }),
                Connection::Ended => (Fault::H2ConnectionError, H2Evidence { found_code: code, ..said }),
            },
        };
        Some(Self { fault, evidence })
    }
}

/// The registered name of an error code (RFC 9113, section 7).
#[must_use]
pub fn code_name(code: u32) -> &'static str {
    let index = usize::try_from(code).unwrap_or(usize::MAX);
    CODES.get(index).copied().unwrap_or("unknown")
}

const CODES: &[&str] = &[
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

#[cfg(test)]
mod tests {
    use h2::Reason;

    use super::CODES;
    use super::code_name;

    #[test]
    fn a_code_has_the_name_that_the_library_gives_it() {
        for (code, name) in (0_u32..).zip(CODES) {
            assert_eq!(format!("{:?}", Reason::from(code)), *name);
            assert_eq!(code_name(code), *name);
        }
        assert_eq!(code_name(14), "unknown");
    }
}
