//! Owns what a client's connection goes through before HTTP is spoken on it.

use crate::fault::failure::Peer;
use crate::net::stream::Stream;
use crate::proxy::arrival::Arrival;
use crate::proxy::arrival::Scheme;

/// A client that has come in.
pub(super) struct Entered {
    /// What HTTP is spoken on.
    pub(super) stream: Stream,
    /// Who it is, and how it came.
    pub(super) arrival: Arrival,
    /// What was agreed on.
    pub(super) agreed: Agreed,
}

/// What a client and this proxy have agreed to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(dead_code, reason = "TLS, where it is agreed on, comes next")]
pub(super) enum Agreed {
    /// Nothing: the first bytes tell. So it is without TLS, and in TLS with a client that offers nothing (ALPN, RFC 7301).
    Nothing,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Lets a client in; none where it does not get that far, and its connection is closed.
#[expect(clippy::unused_async, reason = "TLS and the PROXY header, which are waited for, come next")]
pub(super) async fn enter(stream: Stream, peer: Peer) -> Option<Entered> {
    Some(Entered { stream, arrival: Arrival::new(peer, Scheme::Http), agreed: Agreed::Nothing })
}
