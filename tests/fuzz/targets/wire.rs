//! The far end of a connection of hyper's, in memory: it says what it has to say in pieces and keeps what it is told.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;
use std::task::Poll;

use hyper::rt::Read;
use hyper::rt::ReadBufCursor;
use hyper::rt::Write;

/// A connection's far end.
#[derive(Debug, Clone)]
pub(crate) struct Wire(Rc<RefCell<Ends>>);

#[derive(Debug)]
struct Ends {
    says: Vec<u8>,
    said: usize,
    /// How many bytes come at once.
    piece: usize,
    /// Nothing is said before this many bytes were told.
    waits_for: usize,
    /// Nothing comes behind what is said.
    closes: bool,
    told: Vec<u8>,
}

impl Wire {
    /// One that says this, in pieces of so many bytes, and closes.
    pub(crate) fn saying(says: &[u8], piece: usize) -> Self {
        let ends = Ends { says: says.to_vec(), said: 0, piece, waits_for: 0, closes: true, told: Vec::new() };
        Self(Rc::new(RefCell::new(ends)))
    }

    /// The same, which says nothing before it was told anything.
    pub(crate) fn when_told(self) -> Self {
        self.0.borrow_mut().waits_for = 1;
        self
    }

    /// The same, which stays when it has said it.
    pub(crate) fn staying(self) -> Self {
        self.0.borrow_mut().closes = false;
        self
    }

    /// What it was told.
    pub(crate) fn told(&self) -> Vec<u8> {
        self.0.borrow().told.clone()
    }

    /// How much has gone either way.
    pub(crate) fn moved(&self) -> usize {
        let ends = self.0.borrow();
        ends.said + ends.told.len()
    }
}

impl Read for Wire {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let ends = &mut *self.0.borrow_mut();
        let left = &ends.says[ends.said..];
        if ends.told.len() < ends.waits_for || (left.is_empty() && !ends.closes) {
            return Poll::Pending;
        }
        let length = left.len().min(ends.piece).min(buffer.remaining());
        buffer.put_slice(&left[..length]);
        ends.said += length;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().told.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Polls again and again until nothing moves any more; whatever `moved` counts.
pub(crate) fn until_still(moved: impl Fn() -> usize, mut poll: impl FnMut(&mut Context<'_>)) {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut still = 0;
    while still < 4 {
        let before = moved();
        poll(&mut cx);
        still = if moved() == before { still + 1 } else { 0 };
    }
}
