//! Owns the tap: what a stream has carried, told apart from the one who reads it.
//!
//! hyper's errors say that a message broke off, not how: whether the far end closed or reset, how much had come, what the
//! first bytes were. That is seen here, where the bytes are read.

use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::pin::pin;
use std::rc::Rc;
use std::task::Context;
use std::task::Poll;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use crate::fault::Spoken;
use crate::fault::classify::http::Ended;
use crate::fault::classify::tls::tls_error;
use crate::fault::failure::TransportEvidence;
use crate::net::frames::Frames;
use crate::net::frames::Goaway;
use crate::net::tcp_info;

/// What a tapped stream has carried since the exchange began.
#[derive(Debug)]
pub struct Tap {
    received: Cell<u64>,
    sent: Cell<u64>,
    end: RefCell<Option<End>>,
    write_error: RefCell<Option<io::Error>>,
    captured: RefCell<Vec<u8>>,
    capture_limit: Cell<usize>,
    last_sent: Cell<Instant>,
    blocked: Cell<bool>,
    descriptor: Cell<Option<RawFd>>,
    frames: RefCell<Option<Box<Frames>>>,
    reports: Cell<bool>,
    /// How many bytes may come before the head of an answer is complete; 0 for any number.
    head_limit: Cell<u64>,
    flooded: Cell<bool>,
    read_limit: Cell<u64>,
}

/// How the far end stopped sending.
#[derive(Debug)]
pub enum End {
    /// It closed in order.
    Closed,
    /// Reading failed.
    Failed {
        /// What kind of error it was.
        kind: io::ErrorKind,
        /// The operating system's number for it.
        os_error: Option<i32>,
        /// The TLS error inside it.
        tls: Option<rustls::Error>,
    },
}

impl End {
    /// In order, or broken off. An end of TLS without `close_notify` is an end all the same.
    #[must_use]
    pub fn manner(&self) -> Ended {
        match self {
            Self::Closed | Self::Failed { kind: io::ErrorKind::UnexpectedEof, .. } => Ended::Closed,
            Self::Failed { .. } => Ended::Reset,
        }
    }

    fn of(error: &io::Error) -> Self {
        Self::Failed { kind: error.kind(), os_error: error.raw_os_error(), tls: tls_error(error).cloned() }
    }
}

impl Tap {
    /// A tap on a stream that has carried nothing.
    #[must_use]
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            received: Cell::new(0),
            sent: Cell::new(0),
            end: RefCell::new(None),
            write_error: RefCell::new(None),
            captured: RefCell::new(Vec::new()),
            capture_limit: Cell::new(0),
            last_sent: Cell::new(Instant::now()),
            blocked: Cell::new(false),
            descriptor: Cell::new(None),
            frames: RefCell::new(None),
            reports: Cell::new(false),
            head_limit: Cell::new(0),
            flooded: Cell::new(false),
            read_limit: Cell::new(u64::MAX),
        })
    }

    /// Begins a new exchange at that moment: counts from zero and keeps the first `capture` bytes that come.
    pub fn begin(&self, capture: usize, now: Instant) {
        self.received.set(0);
        self.sent.set(0);
        self.captured.borrow_mut().clear();
        self.capture_limit.set(capture);
        self.last_sent.set(now);
    }

    /// Reports writes that fail to whoever writes, as long as this is so; `Tapped` says why they are not otherwise.
    pub fn report_writes(&self, reports: bool) {
        self.reports.set(reports);
    }

    /// Ends reading where the head of an answer is not complete after so many bytes. hyper limits each head, and not how many
    /// interim ones come before the last, so that a server that never ends them would keep a core busy with nothing else.
    pub fn limit_heads(&self, most: u64) {
        self.head_limit.set(most);
    }

    /// Whether reading was ended for that.
    #[must_use]
    pub fn is_flooded(&self) -> bool {
        self.flooded.get()
    }

    fn floods(&self) -> bool {
        let limit = self.head_limit.get();
        // Bytes are kept as long as the head is waited for.
        let floods = limit > 0 && self.capture_limit.get() > 0 && self.received.get() > limit;
        self.flooded.set(self.flooded.get() || floods);
        floods
    }

    /// Reads so many bytes at once at most from now on.
    pub fn limit_reads(&self, most: u64) {
        self.read_limit.set(most);
    }

    /// Looks for GOAWAY from now on: what comes are frames of HTTP/2.
    pub fn watch_frames(&self) {
        *self.frames.borrow_mut() = Some(Box::default());
    }

    /// The GOAWAY that the server has sent.
    #[must_use]
    pub fn goaway(&self) -> Option<Goaway> {
        self.frames.borrow().as_ref().and_then(|frames| frames.goaway().cloned())
    }

    /// How many bytes the largest block of fields had as it was sent over HTTP/2.
    #[must_use]
    pub fn largest_block(&self) -> usize {
        self.frames.borrow().as_ref().map_or(0, |frames| frames.largest_block())
    }

    /// Whether the server's settings have come, over HTTP/2.
    #[must_use]
    pub fn is_greeted(&self) -> bool {
        self.frames.borrow().as_ref().is_some_and(|frames| frames.greeted())
    }

    /// Whether the server has said that it takes no more requests on this connection.
    #[must_use]
    pub fn is_going_away(&self) -> bool {
        self.frames.borrow().as_ref().is_some_and(|frames| frames.goaway().is_some())
    }

    /// Stops keeping bytes.
    pub fn stop_capture(&self) {
        self.capture_limit.set(0);
    }

    /// Bytes received since the exchange began.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// Bytes handed to the kernel since the exchange began.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// When bytes were last handed to the kernel.
    #[must_use]
    pub fn last_sent(&self) -> Instant {
        self.last_sent.get()
    }

    /// Whether the kernel took no more bytes when it was last tried.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// What to make of the first bytes that were kept.
    pub fn with_captured<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        read(&self.captured.borrow())
    }

    /// What to make of the way in which the far end stopped sending; `None` while it has not.
    pub fn with_end<T>(&self, read: impl FnOnce(Option<&End>) -> T) -> T {
        read(self.end.borrow().as_ref())
    }

    /// The error number of a write or a read that failed, the write's first.
    #[must_use]
    pub fn os_error(&self) -> Option<i32> {
        let of_write = self.write_error.borrow().as_ref().and_then(io::Error::raw_os_error);
        of_write.or_else(|| {
            self.with_end(|end| match end {
                Some(End::Failed { os_error, .. }) => *os_error,
                Some(End::Closed) | None => None,
            })
        })
    }

    /// What the first bytes are; none where nothing came.
    #[must_use]
    pub fn spoken(&self) -> Option<Spoken> {
        self.with_captured(Spoken::recognise)
    }

    /// How the far end stopped sending; none while it has not.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.with_end(|end| end.map(End::manner))
    }

    /// What the kernel knows of the TCP connection now; none for a unix socket, or when it is closed.
    #[must_use]
    pub fn transport(&self) -> Option<TransportEvidence> {
        self.descriptor.get().and_then(tcp_info::read)
    }

    /// Whether the far end has ended the connection below, as the kernel knows it: the runtime hears of that later.
    #[must_use]
    pub fn is_ended_below(&self) -> bool {
        self.descriptor.get().is_some_and(tcp_info::is_ended)
    }

    /// Whether a write failed.
    #[must_use]
    pub fn write_failed(&self) -> bool {
        self.write_error.borrow().is_some()
    }

    fn note_read(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.end.borrow_mut().get_or_insert_with(|| self.end_of_reading());
            return;
        }
        self.received.set(self.received.get() + bytes.len() as u64);
        if let Some(frames) = &mut *self.frames.borrow_mut() {
            frames.read(bytes);
        }
        let limit = self.capture_limit.get();
        if limit > 0 {
            let mut captured = self.captured.borrow_mut();
            let room = limit.saturating_sub(captured.len());
            captured.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }

    /// The kernel tells of a reset once. Where a write was told, reading looks like an orderly end afterwards.
    fn end_of_reading(&self) -> End {
        let write_error = self.write_error.borrow();
        write_error.as_ref().filter(|error| error.kind() == io::ErrorKind::ConnectionReset).map_or(End::Closed, End::of)
    }

    fn note_write(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Ready(Ok(count)) => {
                self.sent.set(self.sent.get() + *count as u64);
                self.last_sent.set(Instant::now());
                self.blocked.set(false);
            }
            Poll::Pending => self.blocked.set(true),
            Poll::Ready(Err(_)) => {}
        }
    }
}

/// A stream with a tap on it.
///
/// A write that fails is not reported: it is left waiting while the read side says what it still has. An answer that the
/// far end sent before it stopped reading (413, 401) is there to be read although the write failed (RFC 9112, section 9.6), and
/// where there is none, the read side reports the end or the reset itself.
#[derive(Debug)]
pub struct Tapped<S> {
    stream: S,
    tap: Rc<Tap>,
}

impl<S> Tapped<S> {
    /// The stream, tapped.
    pub const fn new(stream: S, tap: Rc<Tap>) -> Self {
        Self { stream, tap }
    }

    /// The same, with the descriptor of the connection below, which stays open as long as the stream lives.
    pub fn over(stream: S, tap: Rc<Tap>, descriptor: RawFd) -> Self {
        tap.descriptor.set(Some(descriptor));
        Self { stream, tap }
    }

    /// The stream itself.
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// Reports writes that fail from now on: behind a 101 there is no answer that they could hide.
    pub fn report_writes(&self) {
        self.tap.reports.set(true);
    }

    fn settle_write(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.tap.note_write(&result);
        match result {
            Poll::Ready(Err(error)) if self.tap.reports.get() => Poll::Ready(Err(error)),
            Poll::Ready(Err(error)) => {
                self.tap.write_error.borrow_mut().get_or_insert(error);
                Poll::Pending
            }
            Poll::Ready(Ok(_)) | Poll::Pending => result,
        }
    }
}

impl<S> Drop for Tapped<S> {
    fn drop(&mut self) {
        self.tap.descriptor.set(None);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.tap.floods() {
            return Poll::Ready(Err(io::Error::other("interim responses without end")));
        }
        let before = buf.filled().len();
        let most = self.tap.read_limit.get();
        let result = pin!((&mut self.stream).take(most)).poll_read(cx, buf);
        match &result {
            Poll::Ready(Ok(())) => self.tap.note_read(buf.filled().get(before..).unwrap_or_default()),
            Poll::Ready(Err(error)) => {
                self.tap.end.borrow_mut().get_or_insert_with(|| End::of(error));
            }
            Poll::Pending => {}
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.tap.write_failed() && !self.tap.reports.get() {
            return Poll::Pending;
        }
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.settle_write(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.tap.write_failed() && !self.tap.reports.get() {
            return Poll::Pending;
        }
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.settle_write(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::Tap;
    use crate::fault::classify::http::Ended;

    #[test]
    fn a_reset_that_a_write_was_told_of_is_a_reset_to_the_reader_too() {
        for (told_to_the_writer, ended) in
            [(None, Ended::Closed), (Some(libc::ECONNRESET), Ended::Reset), (Some(libc::EPIPE), Ended::Closed)]
        {
            let tap = Tap::new();
            *tap.write_error.borrow_mut() = told_to_the_writer.map(io::Error::from_raw_os_error);
            tap.note_read(&[]);
            assert_eq!(tap.ended(), Some(ended), "{told_to_the_writer:?}");
        }
    }
}
