//! Owns what is told where no upstream failed: the client's doing, no route, or this proxy's own limit.

use http::StatusCode;

use super::occurrence::Occurrence;

/// A request that was not passed on. It has neither fault nor cause; who refuses words it, without anything private.
#[derive(Debug, Clone, Copy)]
pub struct RefusalReport<'a> {
    /// The status it is answered with.
    pub status: StatusCode,
    /// One sentence on what was wrong.
    pub detail: &'a str,
    /// One sentence on what would be right, where there is one.
    pub hint: Option<&'a str>,
    /// When it happened, and under which id.
    pub occurrence: Occurrence<'a>,
}

impl RefusalReport<'_> {
    /// The status's own phrase, as a problem of type `about:blank` is titled (RFC 9457, section 4.2.1).
    pub(super) fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Request not accepted")
    }
}
