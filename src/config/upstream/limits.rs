//! Owns `[upstream.limits]`: how much a server is given at once, and how long what is over that may wait.

use std::time::Duration;

use crate::config::document::Table;
use crate::config::limits::MOST_CONNECTIONS;
use crate::config::limits::SMALLEST_HEAD;
use crate::config::value::Size;

/// `[upstream.limits]`, as far as it is about how much is under way at once; all cores together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// Open connections to one server.
    pub connections: u32,
    /// Requests in flight to one server; 0: no limit.
    pub in_flight: u32,
    /// Requests of the upstream that may wait for a free place.
    pub queue: usize,
    /// How long one may wait.
    pub queue_timeout: Duration,
}

impl UpstreamLimits {
    /// The limits, and how many bytes the head of a response may have.
    pub(super) fn read(table: Table<'_>) -> (Self, u64) {
        let limits = Self {
            connections: table.integer("connections", 1..=MOST_CONNECTIONS, 1024),
            in_flight: table.integer("in_flight", 0..=MOST_CONNECTIONS, 0),
            queue: table.integer("queue", 0..=MOST_WAITING, 0),
            queue_timeout: table.time_limit("queue_timeout", Duration::from_secs(1)),
        };
        let response_header_bytes = table.size("response_header_bytes", SMALLEST_HEAD, Size(64 << 10));
        table.close();
        (limits, response_header_bytes)
    }
}

/// More than this could not be answered within any time that a client waits.
const MOST_WAITING: usize = 1_000_000;
