//! Owns `[limits]`, what a client may ask of this proxy, and `[runtime]`, the threads that serve.

use std::time::Duration;

use super::document::Table;
use super::value::Size;

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Client connections in all.
    pub connections: usize,
    /// Bytes of a request's head.
    pub request_header_bytes: u64,
    /// Bytes of a request's body; 0: no limit.
    pub request_body_bytes: u64,
    /// How long a client may take to send its head.
    pub header_timeout: Duration,
    /// No progress of a client's body, or of a client that reads.
    pub body_timeout: Duration,
    /// How long a client's connection may lie idle.
    pub idle_timeout: Duration,
    /// Connections of one client address; 0: no limit.
    pub connections_per_client: usize,
}

impl Limits {
    pub(super) fn read(table: Table<'_>) -> Self {
        let limits = Self {
            connections: table.integer("connections", 1..=MOST_CONNECTIONS as usize, 10_000),
            request_header_bytes: table.size("request_header_bytes", SMALLEST_HEAD, Size(64 << 10)),
            request_body_bytes: table.size("request_body_bytes", Size(0), Size(0)),
            header_timeout: table.time_limit("header_timeout", Duration::from_secs(10)),
            body_timeout: table.time_limit("body_timeout", Duration::from_secs(60)),
            idle_timeout: table.time_limit("idle_timeout", Duration::from_secs(75)),
            connections_per_client: table.integer("connections_per_client", 0..=MOST_CONNECTIONS as usize, 0),
        };
        table.close();
        limits
    }

    /// No time limit of these can run out sooner than this after any moment.
    #[must_use]
    pub fn shortest(&self) -> Duration {
        self.header_timeout.min(self.body_timeout).min(self.idle_timeout)
    }
}

/// `[runtime]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// Threads that serve; 0: one per core.
    pub workers: usize,
}

impl Runtime {
    pub(super) fn read(table: Table<'_>) -> Self {
        let runtime = Self { workers: table.integer("workers", 0..=1024, 0) };
        table.close();
        runtime
    }
}

/// More than one host can hold open.
pub(super) const MOST_CONNECTIONS: u32 = 10_000_000;

/// RFC 9110, section 2.3, wants a limit that ordinary requests fit in, and hyper reads at least this much at once.
pub(super) const SMALLEST_HEAD: Size = Size(8 << 10);
