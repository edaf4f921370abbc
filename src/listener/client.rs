//! Owns what is known of a client's connection: what it is doing, what it is owed and since when somebody waits, for the clocks that
//! run on it and for the door that sees its bytes.

use std::cell::Cell;
use std::cell::RefCell;
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use memchr::memchr;
use memchr::memchr_iter;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use crate::listener::crowd::Seat;
use crate::listener::framing::Follows;
use crate::listener::intake::Intake;
use crate::listener::intake::Speaks;
use crate::net::kernel;
use crate::net::tcp_info;
use crate::proxy::interim::Interim;

/// What is known of a client's connection.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) phase: Cell<Phase>,
    /// The response to the request that is being served has begun.
    answering: Cell<bool>,
    /// A response of ours has bytes that may not have reached the kernel.
    pub(super) owed: Cell<bool>,
    /// Bytes of an answer that hyper made up itself.
    pub(super) swallowed: RefCell<Vec<u8>>,
    /// The beginning of the head that hyper is being given.
    head: RefCell<Vec<u8>>,
    /// How much of it hyper has.
    head_bytes: Cell<usize>,
    /// Where in it the first line ends.
    first_line: Cell<Option<usize>>,
    blocked_since: Cell<Option<Instant>>,
    /// The client has kept what is owed waiting.
    stalled: Cell<bool>,
    pub(super) left: Cell<bool>,
    /// What the client speaks, as far as that is known.
    pub(super) speaks: Cell<Speaks>,
    /// What was read of it before that was known, or of HTTP/2, or is not hyper's yet.
    pub(super) intake: RefCell<Intake>,
    descriptor: RawFd,
    pub(super) interim: Arc<Interim>,
    seat: Rc<Seat>,
}

/// What the connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing: the client has sent no byte of its next request.
    Idle(Instant),
    /// A head is coming in.
    Head(Instant),
    /// A request is being served.
    Serving,
}

impl Watch {
    pub(super) fn new(interim: Arc<Interim>, descriptor: RawFd, seat: Rc<Seat>) -> Rc<Self> {
        Rc::new(Self {
            phase: Cell::new(Phase::Idle(Instant::now())),
            answering: Cell::new(false),
            owed: Cell::new(false),
            swallowed: RefCell::default(),
            head: RefCell::default(),
            head_bytes: Cell::new(0),
            first_line: Cell::new(None),
            blocked_since: Cell::new(None),
            stalled: Cell::new(false),
            left: Cell::new(false),
            speaks: Cell::new(Speaks::Unknown),
            intake: RefCell::default(),
            descriptor,
            interim,
            seat,
        })
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Whether the client only waits, and has to leave for others.
    pub(super) fn makes_way(&self, cx: &Context<'_>) -> bool {
        let waits = matches!(self.phase.get(), Phase::Idle(_)) && !self.is_telling();
        self.seat.has_to_leave(cx) && waits && !self.has_asked()
    }

    /// Whether something of the next request has come that nobody has read. It is about to be; to close now would reset it.
    pub(super) fn has_asked(&self) -> bool {
        kernel::has_unread(self.descriptor)
    }

    /// Whether a request is being served whose response has not begun.
    pub(super) fn is_unanswered(&self) -> bool {
        self.phase.get() == Phase::Serving && !self.answering.get()
    }

    /// Whether something of a message has not gone out.
    pub(super) fn is_telling(&self) -> bool {
        self.owed.get() || self.interim.goes_first()
    }

    /// Since when the client has taken no byte of what is to be sent.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since.get()
    }

    /// Whether the client has closed its side.
    pub(super) fn has_left(&self) -> bool {
        self.left.get()
    }

    /// Whether the client has ended the connection below hyper, which does not look while a body waits to be taken.
    pub(super) fn is_abandoned(&self) -> bool {
        tcp_info::is_ended(self.descriptor)
    }

    /// Whether the first line alone is longer than that many bytes.
    pub(super) fn first_line_exceeds(&self, limit: usize) -> bool {
        self.first_line.get().unwrap_or_else(|| self.head_bytes.get()) >= limit
    }

    /// Whether the head that is being read is no larger than any may be, in bytes and in lines, so that it is something else in it that
    /// is too large.
    pub(super) fn is_small(&self, limit: usize) -> bool {
        let (bytes, lines) = (self.head_bytes.get(), memchr_iter(b'\n', &self.head.borrow()).count());
        bytes < limit.min(HEAD_KEPT) && lines < MOST_LINES
    }

    /// Whether the client has begun with the preface of HTTP/2.
    pub(super) fn speaks_http2(&self) -> bool {
        self.speaks.get() == Speaks::Http2
    }

    /// What was read of HTTP/2, or behind what hyper has read.
    pub(super) fn take_withheld(&self) -> Bytes {
        self.intake.borrow_mut().take()
    }

    /// A head was read whole, which is followed by that; what it asks for is being served. Says whether its lines are sound.
    pub(super) fn serving(&self, follows: Follows) -> bool {
        self.phase.set(Phase::Serving);
        self.answering.set(false);
        self.head.borrow_mut().clear();
        self.head_bytes.set(0);
        self.first_line.set(None);
        self.intake.borrow_mut().follow(follows)
    }

    /// A response is about to be written.
    pub(super) fn owe(&self) {
        self.answering.set(true);
        if self.owed.replace(true) {
            // hyper may hold the end of the response before, and nothing may come between.
            self.interim.close();
        } else {
            self.interim.last();
        }
    }

    /// What was owed has gone out. Where that took long, it is only now that the client's next request is waited for.
    pub(super) fn told(&self) {
        self.owed.set(false);
        if self.stalled.take() {
            match self.phase.get() {
                Phase::Head(_) => self.phase.set(Phase::Head(Instant::now())),
                Phase::Idle(_) => self.phase.set(Phase::Idle(Instant::now())),
                Phase::Serving => {}
            }
        }
    }

    /// The whole response is in hyper's hands.
    pub(super) fn served(&self) {
        let now = Instant::now();
        // The next request may have come while this one was served.
        if self.intake.borrow().has_begun() {
            self.phase.set(Phase::Head(now));
        } else {
            self.phase.set(Phase::Idle(now));
            self.seat.idle(now);
        }
    }

    /// The status with which hyper wanted to answer by itself, if it did.
    pub(super) fn swallowed_status(&self) -> Option<u16> {
        let swallowed = self.swallowed.borrow();
        let line = swallowed.strip_prefix(b"HTTP/1.1 ").or_else(|| swallowed.strip_prefix(b"HTTP/1.0 "))?;
        std::str::from_utf8(line.get(..3)?).ok()?.parse().ok()
    }

    /// The beginning of the head that could not be read.
    pub(super) fn take_head(&self) -> Vec<u8> {
        self.head.take()
    }

    pub(super) fn may_write(&self) -> bool {
        self.owed.get() || self.phase.get() == Phase::Serving
    }

    pub(super) fn note_read(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.left.set(true);
            return;
        }
        if let Phase::Idle(_) = self.phase.get() {
            self.seat.busy();
            self.phase.set(Phase::Head(Instant::now()));
        }
    }

    /// Lets hyper have what was read into the buffer behind `before`, or else what was withheld, as far as it may.
    pub(super) fn pass(&self, cx: &Context<'_>, buf: &mut ReadBuf<'_>, before: Option<usize>) -> Poll<io::Result<()>> {
        let mut intake = self.intake.borrow_mut();
        let passed = match before {
            Some(before) => intake.pass_read(buf, before),
            None => intake.pass_withheld(buf),
        };
        if passed.bytes == 0 && intake.is_ahead() {
            return intake.withhold(cx);
        }
        let filled = buf.filled();
        self.note_head(filled.get(filled.len().saturating_sub(passed.of_head)..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }

    fn note_head(&self, bytes: &[u8]) {
        let before = self.head_bytes.get();
        self.head_bytes.set(before + bytes.len());
        if self.first_line.get().is_none() {
            self.first_line.set(memchr(b'\n', bytes).map(|at| before + at));
        }
        let mut head = self.head.borrow_mut();
        let room = HEAD_KEPT.saturating_sub(head.len());
        head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    pub(super) fn note_write(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Pending if self.blocked_since.get().is_none() => {
                self.blocked_since.set(Some(Instant::now()));
                self.stalled.set(true);
            }
            Poll::Pending => {}
            Poll::Ready(_) => self.blocked_since.set(None),
        }
    }
}

/// How much of a head is kept for a refusal to read its `Accept` from.
const HEAD_KEPT: usize = 4096;
/// How many lines a head may have for hyper.
const MOST_LINES: usize = 100;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::net::TcpStream;
    use std::os::fd::AsRawFd;
    use std::os::fd::RawFd;
    use std::os::unix::net::UnixStream;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::task::Context;
    use std::task::Waker;

    use tokio::time::Instant;

    use super::Watch;
    use crate::listener::crowd::Crowd;

    /// Whether the client of this connection makes way for others, before and after it has sent something that nobody has read.
    fn makes_way(descriptor: RawFd, mut client: impl Write) -> [bool; 2] {
        let crowd = Rc::<Crowd>::default();
        let seated = crowd.sit_down();
        let watch = Watch::new(Arc::default(), descriptor, seated.seat());
        seated.seat().idle(Instant::now());
        assert!(crowd.make_way());
        let now = || watch.makes_way(&Context::from_waker(Waker::noop()));
        let before = now();
        client.write_all(b"GET").unwrap();
        [before, now()]
    }

    #[test]
    fn whoever_has_asked_does_not_make_way_although_nobody_has_read_it_yet() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let own = listener.accept().unwrap().0;
        assert_eq!(makes_way(own.as_raw_fd(), client), [true, false]);
        let (own, client) = UnixStream::pair().unwrap();
        assert_eq!(makes_way(own.as_raw_fd(), client), [true, false]);
    }
}
