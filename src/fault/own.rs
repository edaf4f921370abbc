//! Owns what is known where this proxy gave a request to no server: how full one was, what a check was answered.

use std::sync::Arc;

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
