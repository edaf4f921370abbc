//! Owns the stages of an exchange with a server: where along the way a fault was met.

use std::fmt;

/// Where in an exchange a fault was observed (contract, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Turning the server's name into addresses.
    Resolve,
    /// Opening a connection to one of them.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Sending the request.
    Send,
    /// Waiting for the response's head.
    Response,
    /// Reading the response's body, after its head.
    Body,
    /// Decided by this proxy before any server was asked.
    Gateway,
    /// Said by the upstream itself: its own 502, 503 or 504.
    Upstream,
}

impl Stage {
    /// Every stage, in the order in which an exchange passes them.
    pub const ALL: [Self; 8] = [
        Self::Resolve,
        Self::Connect,
        Self::Tls,
        Self::Send,
        Self::Response,
        Self::Body,
        Self::Gateway,
        Self::Upstream,
    ];

    /// The word of the contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::Response => "response",
            Self::Body => "body",
            Self::Gateway => "gateway",
            Self::Upstream => "upstream",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
