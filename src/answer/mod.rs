//! Owns the answer to a client whose request could not be passed on: status, head and body, in the format it asked for.
//!
//! It renders what it is given. Why something failed is `diagnosis`'s, who is an operator and when to answer is `proxy`'s,
//! and a HEAD request's body is left out by who sends the answer. Every sentence is said in English here and looked up in
//! `language` for the reader's own.

#![expect(clippy::literal_string_with_formatting_args, reason = "words in braces are for a language to fill in")]

pub mod format;
mod grpc;
pub mod head;
mod html;
pub mod language;
mod mark;
pub mod occurrence;
mod place;
pub mod prepared;
pub mod problem;
pub mod proxy_status;
pub mod refusal;
pub mod report;
mod seen;
mod site;
mod style;
mod template;
mod text;
mod way;
mod words;
mod wrap;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use self::format::Format;
pub use self::language::Language;
pub use self::occurrence::Moment;
pub use self::occurrence::Occurrence;
pub use self::prepared::Prepared;
pub use self::prepared::Shape;
pub use self::problem::Problem;
pub use self::refusal::RefusalReport;
pub use self::report::OperatorReport;
pub use self::report::Report;
pub use self::report::VisitorReport;
pub use self::site::Site;
pub use self::style::Style;

use bytes::Bytes;
use http::HeaderMap;
use http::StatusCode;

use crate::config::StatusPolicy;

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its head, `Content-Length` included.
    pub headers: HeaderMap,
    /// Its body; a request with HEAD gets the same head without it.
    pub body: Bytes,
}

impl Answer {
    /// The answer to a request that failed at an upstream.
    #[must_use]
    pub fn failure(report: &Report<'_>, style: Style<'_>, policy: StatusPolicy) -> Self {
        Prepared::failure(report, style, policy).fill(report.visitor().occurrence())
    }

    /// The answer to a request that was not passed on.
    #[must_use]
    pub fn refusal(refusal: &RefusalReport<'_>, style: Style<'_>) -> Self {
        Prepared::refusal(refusal, style).fill(&refusal.occurrence)
    }
}
