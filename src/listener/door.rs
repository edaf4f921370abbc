//! Owns the stream of one client as hyper's server sees it, and what hyper leaves to us there.
//!
//! hyper answers a head that it cannot parse by itself, with an empty body, and it cannot send an interim response. So the
//! door swallows what hyper writes when no response of ours is owed, for a refusal with a body to take its place, and lets
//! interim responses out while a response is waited for. It sees how long a client has kept us waiting, whether it begins
//! with the preface of HTTP/2, which hyper's server of HTTP/1 would only recognise if it came in one piece, and whether its
//! messages are framed as they must be.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;
use std::task::Poll;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use crate::listener::client::Phase;
use crate::listener::client::Watch;
use crate::listener::intake::PREFACE;
use crate::listener::intake::Speaks;
use crate::net::stream::Stream;

/// A client's stream.
#[derive(Debug)]
pub(super) struct Door {
    stream: Stream,
    watch: Rc<Watch>,
}

impl Door {
    pub(super) fn new(stream: Stream, watch: Rc<Watch>) -> Self {
        Self { stream, watch }
    }

    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Lets waiting interim responses out, between two messages only.
    fn poll_interim(&mut self, cx: &mut Context<'_>) {
        if self.watch.phase.get() != Phase::Serving || self.watch.owed.get() {
            return;
        }
        self.send_interim(cx);
    }

    fn send_interim(&mut self, cx: &mut Context<'_>) {
        let Self { stream, watch } = self;
        watch.interim.poll_send(cx, |cx, bytes| {
            let result = Pin::new(&mut *stream).poll_write(cx, bytes);
            watch.note_write(&result);
            result
        });
    }
}

impl Door {
    /// Reads what a client says first, until it is known what it speaks. HTTP/1 is passed on, HTTP/2 is kept.
    fn poll_first(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, watch } = self;
        let mut intake = watch.intake.borrow_mut();
        let withheld = intake.withheld();
        if withheld.is_empty() {
            let before = buf.filled().len();
            std::task::ready!(Pin::new(&mut *stream).poll_read(cx, buf))?;
            let first = buf.filled().get(before..).unwrap_or_default();
            watch.note_read(first);
            if first.is_empty() || Speaks::of(first) == Speaks::Http1 {
                watch.speaks.set(Speaks::Http1);
                drop(intake);
                return watch.pass(cx, buf, Some(before));
            }
            withheld.extend_from_slice(first);
            buf.set_filled(before);
        }
        while Speaks::of(withheld) == Speaks::Unknown {
            let mut rest = [0; PREFACE.len()];
            let mut rest = ReadBuf::new(rest.get_mut(withheld.len()..).unwrap_or_default());
            std::task::ready!(Pin::new(&mut *stream).poll_read(cx, &mut rest))?;
            watch.note_read(rest.filled());
            if rest.filled().is_empty() {
                break;
            }
            withheld.extend_from_slice(rest.filled());
        }
        if Speaks::of(withheld) == Speaks::Http2 {
            watch.speaks.set(Speaks::Http2);
            return Poll::Pending;
        }
        watch.speaks.set(Speaks::Http1);
        drop(intake);
        watch.pass(cx, buf, None)
    }
}

impl AsyncRead for Door {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.watch.speaks.get() {
            Speaks::Http1 => {}
            Speaks::Unknown => return self.poll_first(cx, buf),
            Speaks::Http2 => return Poll::Pending,
        }
        self.poll_interim(cx);
        if self.watch.intake.borrow().is_ahead() {
            return self.watch.pass(cx, buf, None);
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &result {
            Poll::Ready(Ok(())) => {
                self.watch.note_read(buf.filled().get(before..).unwrap_or_default());
                return self.watch.pass(cx, buf, Some(before));
            }
            Poll::Ready(Err(_)) => self.watch.left.set(true),
            Poll::Pending => {}
        }
        result
    }
}

impl AsyncWrite for Door {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if !self.watch.may_write() {
            self.watch.swallowed.borrow_mut().extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        if self.watch.interim.goes_first() {
            self.send_interim(cx);
            if self.watch.interim.goes_first() {
                return Poll::Pending;
            }
        }
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch.note_write(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.watch.may_write() || self.watch.interim.goes_first() {
            let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
            return self.poll_write(cx, first);
        }
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch.note_write(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when its own buffer is empty: whatever was owed has gone, unless a body is still coming.
        if self.watch.phase.get() != Phase::Serving || self.watch.is_unanswered() {
            self.watch.told();
        }
        // It does so each time it is asked, and reads only where it can use more.
        self.poll_interim(cx);
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
