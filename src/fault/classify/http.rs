//! Owns the meaning of hyper's errors on the side of the server.
//!
//! hyper's kinds are questions, not types, and it does not say how a message broke off. So each answer here is drawn from
//! its questions together with what the stream's tap saw. Every row is pinned by a test on real sockets; hyper is updated
//! on purpose only.

use std::error::Error;
use std::io;

use crate::fault::Fault;
use crate::fault::Spoken;

/// How the stream stood when hyper reported an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// Bytes received in this exchange.
    pub received: u64,
    /// Whether the request had been handed to the kernel whole.
    pub request_complete: bool,
    /// How the far end ended the connection; none where it has not.
    pub ended: Option<Ended>,
    /// What the first bytes were.
    pub spoken: Option<Spoken>,
}

/// How the far end ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// In order, with a FIN or `close_notify`.
    Closed,
    /// With a reset, or in any other way that broke it.
    Reset,
}

impl Fault {
    /// Why there is no response head.
    #[must_use]
    pub fn of_exchange(error: &hyper::Error, carried: Carried) -> Self {
        if error.is_parse_too_large() {
            return Self::ResponseHeaderTooLarge;
        }
        let foreign = carried.spoken.is_some_and(|spoken| spoken != Spoken::Http1);
        if error.is_parse() {
            return if foreign { Self::ResponseNotHttp } else { Self::ResponseMalformed };
        }
        if foreign && carried.received > 0 {
            // It spoke, and not HTTP, before it hung up.
            return Self::ResponseNotHttp;
        }
        Self::of_end(carried)
    }

    /// Why there is no response head on a stream of HTTP/2, where the connection below it ended.
    #[must_use]
    pub fn of_stream_end(carried: Carried) -> Self {
        Self::of_end(Carried { received: 0, ..carried })
    }

    fn of_end(carried: Carried) -> Self {
        match carried.ended {
            Some(Ended::Closed) => Self::ClosedBeforeResponse,
            Some(Ended::Reset) if !carried.request_complete => Self::ResetWhileSending,
            Some(Ended::Reset) => Self::ResetBeforeResponse,
            // hyper gave up without the far end having ended anything: bytes came where none belong.
            None if carried.received > 0 => Self::ResponseMalformed,
            None => Self::ClosedBeforeResponse,
        }
    }

    /// Why a response's body broke off.
    #[must_use]
    pub fn of_body(error: &hyper::Error, ended: Option<Ended>) -> Self {
        // hyper's decoder reports what is wrong with the framing as an I/O error of its own, with a kind and no number.
        match io_kind(error) {
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) if ended != Some(Ended::Reset) => {
                Self::ResponseChunkingInvalid
            }
            _ => Self::ResponseTruncated,
        }
    }
}

/// The kind of the first I/O error in the chain of sources.
fn io_kind(error: &hyper::Error) -> Option<io::ErrorKind> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        source = cause.source();
    }
    None
}
