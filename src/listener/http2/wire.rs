//! Owns the stream below a conversation of HTTP/2, and what is seen as bytes pass on it.

use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;
use std::task::Poll;

use bytes::Buf;
use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::meter::Meter;
use super::turns::Turns;
use crate::net::kernel;
use crate::net::stream::Stream;

/// A client's stream. `h2` keeps it to the end and gives it to nobody, so it goes back to the watch when it is dropped.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Option<Stream>,
    /// What was read before, and is to be read again.
    first: Bytes,
    watch: Rc<Watch>,
}

/// What is known of a client's connection.
#[derive(Debug)]
pub(super) struct Watch {
    meter: RefCell<Meter>,
    descriptor: RawFd,
    blocked_since: Cell<Option<Instant>>,
    turns: Turns,
    left: Cell<bool>,
    /// Requests under way.
    serving: Cell<usize>,
    idle_since: Cell<Instant>,
    stream: RefCell<Option<Stream>>,
}

/// A request under way. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Serving(Rc<Watch>);

impl Watch {
    pub(super) fn new(descriptor: RawFd) -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self {
            meter: RefCell::new(Meter::new(now)),
            descriptor,
            blocked_since: Cell::new(None),
            turns: Turns::default(),
            left: Cell::new(false),
            serving: Cell::new(0),
            idle_since: Cell::new(now),
            stream: RefCell::new(None),
        })
    }

    /// A request begins.
    pub(super) fn serve(self: &Rc<Self>) -> Serving {
        self.serving.set(self.serving.get() + 1);
        Serving(Rc::clone(self))
    }

    /// A piece of a body was sent.
    pub(super) fn sent(&self) {
        self.meter.borrow_mut().sent();
    }

    /// A request was answered, and the answer was taken.
    pub(super) fn answered(&self) {
        self.meter.borrow_mut().answered();
    }

    /// Whether no request is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.serving.get() == 0
    }

    /// Since when no request is under way.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.is_idle().then(|| self.idle_since.get())
    }

    /// Since when the client has taken no byte of what is to be sent.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since.get()
    }

    /// Those that wait until it takes something.
    pub(super) const fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Whether the client has closed its side.
    pub(super) fn has_left(&self) -> bool {
        self.left.get()
    }

    /// Whether something has come from the client that nobody has read. It is about to be, and may ask for something.
    pub(super) fn has_asked(&self) -> bool {
        kernel::has_unread(self.descriptor)
    }

    /// Whether the client's settings have come.
    pub(super) fn is_greeted(&self) -> bool {
        self.meter.borrow().is_greeted()
    }

    /// Since when a head is coming in.
    pub(super) fn head_since(&self) -> Option<Instant> {
        self.meter.borrow().head_since()
    }

    /// Whether the client floods.
    pub(super) fn is_flooded(&self) -> bool {
        self.meter.borrow().is_flooded()
    }

    /// The stream, when the conversation on it has ended.
    pub(super) fn take_stream(&self) -> Option<Stream> {
        self.stream.take()
    }

    fn note_read(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.left.set(true);
        } else {
            self.meter.borrow_mut().read(bytes, Instant::now());
        }
    }

    fn note_write(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Pending if self.blocked_since.get().is_none() => self.blocked_since.set(Some(Instant::now())),
            Poll::Pending => {}
            Poll::Ready(_) => {
                if self.blocked_since.take().is_some() {
                    self.turns.next();
                }
            }
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let left = self.0.serving.get().saturating_sub(1);
        self.0.serving.set(left);
        if left == 0 {
            self.0.idle_since.set(Instant::now());
        }
    }
}

impl Wire {
    pub(super) const fn new(stream: Stream, first: Bytes, watch: Rc<Watch>) -> Self {
        Self { stream: Some(stream), first, watch }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.watch.stream.replace(self.stream.take());
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, first, watch } = &mut *self;
        let Some(stream) = stream else { return Poll::Ready(Ok(())) };
        // Whoever floods is read no further: the library would go on as long as there is something to read.
        if watch.is_flooded() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let result = if first.is_empty() {
            Pin::new(stream).poll_read(cx, buf)
        } else {
            let count = first.len().min(buf.remaining());
            buf.put_slice(first.get(..count).unwrap_or_default());
            first.advance(count);
            Poll::Ready(Ok(()))
        };
        match &result {
            Poll::Ready(Ok(())) => watch.note_read(buf.filled().get(before..).unwrap_or_default()),
            Poll::Ready(Err(_)) => watch.left.set(true),
            Poll::Pending => {}
        }
        result
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream: Some(stream), watch, .. } = &mut *self else { return Poll::Ready(Ok(0)) };
        let result = Pin::new(stream).poll_write(cx, buf);
        watch.note_write(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream: Some(stream), watch, .. } = &mut *self else { return Poll::Ready(Ok(0)) };
        let result = Pin::new(stream).poll_write_vectored(cx, bufs);
        watch.note_write(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().map_or(Poll::Ready(Ok(())), |stream| Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().map_or(Poll::Ready(Ok(())), |stream| Pin::new(stream).poll_shutdown(cx))
    }
}
