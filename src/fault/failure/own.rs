//! Owns what is known of this proxy's own part: what its host had left, how full a server was, what a check was answered.

use std::sync::Arc;

/// What this host had left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LocalEvidence {
    /// File descriptors open in this process.
    pub descriptors: Option<u64>,
    /// How many it may have.
    pub descriptor_limit: Option<u64>,
    /// The range of ports for outgoing connections.
    pub port_range: Option<(u16, u16)>,
}

/// What is limited at a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limited {
    /// Requests in flight.
    Requests,
    /// Open connections.
    Connections,
}

/// How full a server was when there was no place for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapacityEvidence {
    /// What there was no place for.
    pub what: Limited,
    /// How many there were.
    pub taken: u32,
    /// How many there may be.
    pub limit: u32,
    /// How many requests were waiting.
    pub waiting: usize,
    /// How many may wait; 0: none.
    pub queue: usize,
}

/// What an active check was answered that was not well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckEvidence {
    /// The server, as configured.
    pub server: Arc<str>,
    /// What it was asked for.
    pub path: Arc<str>,
    /// The status of its answer.
    pub status: u16,
}
