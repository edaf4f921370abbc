//! Owns what a client has sent and hyper does not have yet: it is given no more than it may have, and told when there is more.

use std::io;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use bytes::Buf;
use bytes::Bytes;
use bytes::BytesMut;
use tokio::io::ReadBuf;

use crate::listener::framing::Follows;
use crate::listener::framing::Framing;
use crate::listener::framing::Passed;

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// It has sent nothing yet, or the beginning of the preface of HTTP/2.
    Unknown,
    Http1,
    Http2,
}

impl Speaks {
    /// What it is that begins with these bytes.
    pub(super) fn of(first: &[u8]) -> Self {
        let known = first.len().min(PREFACE.len());
        match (first.get(..known), PREFACE.get(..known)) {
            (Some(first), Some(preface)) if first != preface => Self::Http1,
            _ if known == PREFACE.len() => Self::Http2,
            _ => Self::Unknown,
        }
    }
}

/// What lies between a client's stream and hyper.
#[derive(Debug, Default)]
pub(super) struct Intake {
    framing: Framing,
    withheld: BytesMut,
    /// Who waits for what is withheld.
    reader: Option<Waker>,
}

impl Intake {
    /// Whether there is something to say without reading more of the stream: bytes, or that a body is broken.
    pub(super) fn is_ahead(&self) -> bool {
        !self.withheld.is_empty() || self.is_broken()
    }

    /// Whether something of the next request has come.
    pub(super) fn has_begun(&self) -> bool {
        self.framing.is_in_head() || !self.withheld.is_empty()
    }

    /// What is withheld.
    pub(super) fn withheld(&mut self) -> &mut BytesMut {
        &mut self.withheld
    }

    /// All that is withheld, for whoever goes on with the stream.
    pub(super) fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.withheld).freeze()
    }

    /// A head was read whole, and is followed by that. Says whether its lines are sound.
    pub(super) fn follow(&mut self, follows: Follows) -> bool {
        let sound = self.framing.follow(follows);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        sound
    }

    /// Lets hyper have what was read into the buffer behind `before`, as far as it may.
    pub(super) fn pass_read(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> Passed {
        let read = buf.filled().get(before..).unwrap_or_default();
        let passed = self.framing.pass(read);
        if passed.bytes < read.len() {
            self.withheld.extend_from_slice(read.get(passed.bytes..).unwrap_or_default());
            buf.set_filled(before + passed.bytes);
        }
        passed
    }

    /// Lets hyper have what was withheld, as far as it may.
    pub(super) fn pass_withheld(&mut self, buf: &mut ReadBuf<'_>) -> Passed {
        let most = self.withheld.len().min(buf.remaining());
        let passed = self.framing.pass(self.withheld.get(..most).unwrap_or_default());
        buf.put_slice(self.withheld.get(..passed.bytes).unwrap_or_default());
        self.withheld.advance(passed.bytes);
        if self.withheld.is_empty() {
            self.withheld = BytesMut::new();
        }
        passed
    }

    /// What hyper hears where none of what is there may be passed on.
    pub(super) fn withhold(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if self.is_broken() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        // hyper asks again for itself only where the stream has more.
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether what is to be a body has ceased to be one.
    fn is_broken(&self) -> bool {
        matches!(self.framing, Framing::Broken)
    }
}

/// How a client of HTTP/2 begins (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
