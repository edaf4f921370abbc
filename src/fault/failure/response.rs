//! Owns what the head of an answer said, and who made it.

use crate::fault::gateway::Gateway;
use crate::fault::gateway::Hop;
use crate::fault::gateway::Inner;
use crate::fault::malformed::shown;

/// The head of an answer that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseEvidence {
    /// Its status.
    pub status: u16,
    /// Its `Server` field, cleaned for display.
    pub server: Option<String>,
    /// Its `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// Its `Via`, cleaned for display.
    pub via: Option<String>,
    /// Who made it in the origin's place, where it was intercepted and that can be told.
    pub gateway: Option<Gateway>,
    /// What that one says of the hop behind it.
    pub inner: Option<Inner>,
    /// The words that say so, cleaned for display.
    pub said: Option<String>,
    /// The gateways that it passed, by their `Proxy-Status`, nearest the origin first.
    pub hops: Vec<Hop>,
}

impl ResponseEvidence {
    /// What the head of an answer says of itself.
    #[must_use]
    pub fn of(parts: &http::response::Parts) -> Self {
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            status: parts.status.as_u16(),
            server: text(http::header::SERVER).map(|server| shown(server, LONGEST_FIELD)),
            retry_after: text(http::header::RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok()),
            via: text(http::header::VIA).map(|via| shown(via, LONGEST_FIELD)),
            ..Self::default()
        }
    }
}

/// Characters of a field of an answer that are kept.
const LONGEST_FIELD: usize = 120;
