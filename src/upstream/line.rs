//! Owns what an exchange runs on: a connection of HTTP/1 that it has for itself, or a stream of HTTP/2.
//!
//! The rest of the exchange asks here how far the request has got and what came back, and need not know which of them it is.

use std::time::Duration;

use http::HeaderMap;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::fault::Spoken;
use crate::fault::failure::ConnectionEvidence;
use crate::fault::failure::Peer;
use crate::net::tap::Tap;
use crate::upstream::connection::Connection;
use crate::upstream::connection::Upgraded;
use crate::upstream::multiplex::Stream;

/// A connection, or a share of one.
#[derive(Debug)]
pub(super) enum Line {
    /// A connection that carries one exchange at a time, and how long it had been idle.
    Http1(Box<Connection>, Option<Duration>),
    /// A stream beside others.
    Http2(Box<Stream>),
}

impl Line {
    /// What the connection carries; of all streams together, where there are several.
    pub(super) fn tap(&self) -> &Tap {
        match self {
            Self::Http1(connection, _) => &connection.tap,
            Self::Http2(stream) => &stream.place.connection.tap,
        }
    }

    pub(super) fn peer(&self) -> &Peer {
        match self {
            Self::Http1(connection, _) => &connection.peer,
            Self::Http2(stream) => &stream.place.connection.peer,
        }
    }

    pub(super) fn past(&self, now: Instant) -> ConnectionEvidence {
        match self {
            Self::Http1(connection, idle) => connection.evidence(*idle, now),
            Self::Http2(stream) => stream.place.past,
        }
    }

    /// What the server ought to speak.
    pub(super) const fn speaks(&self) -> Spoken {
        match self {
            Self::Http1(..) => Spoken::Http1,
            Self::Http2(_) => Spoken::Http2,
        }
    }

    /// Whether the server takes no more of the request at present.
    pub(super) fn is_blocked(&self) -> bool {
        match self {
            Self::Http1(connection, _) => connection.tap.is_blocked(),
            Self::Http2(stream) => stream.is_blocked(),
        }
    }

    /// When something of the request was last sent.
    pub(super) fn last_sent(&self) -> Instant {
        match self {
            Self::Http1(connection, _) => connection.tap.last_sent(),
            Self::Http2(stream) => stream.last_sent(),
        }
    }

    /// Bytes of the request that were sent.
    pub(super) fn sent(&self) -> u64 {
        match self {
            Self::Http1(connection, _) => connection.tap.sent(),
            Self::Http2(stream) => stream.sent(),
        }
    }

    /// Bytes of the response that came, its body of a stream not counted.
    pub(super) fn received(&self) -> u64 {
        match self {
            Self::Http1(connection, _) => connection.tap.received(),
            Self::Http2(stream) => stream.received(),
        }
    }

    /// The server has answered a request.
    pub(super) fn answered(&mut self, headers: &HeaderMap) {
        match self {
            Self::Http1(connection, _) => {
                connection.tap.stop_capture();
                connection.answered(headers);
            }
            Self::Http2(stream) => stream.answered(),
        }
    }

    /// Where the stream arrives after a 101; HTTP/2 has none.
    pub(super) fn upgraded(&mut self) -> Option<oneshot::Receiver<Upgraded>> {
        match self {
            Self::Http1(connection, _) => connection.upgraded(),
            Self::Http2(_) => None,
        }
    }
}
