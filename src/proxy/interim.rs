//! Owns interim responses (1xx) on their way from a server to the client that waits for the final one (RFC 9110, section 15.2).
//!
//! hyper's server cannot send them, so they travel beside it: the exchange with the server puts them in, the client's stream
//! lets them out.

use std::io;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

/// The interim responses of one client connection.
#[derive(Debug, Default)]
pub struct Interim(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<u8>,
    sent: usize,
    waker: Option<Waker>,
    open: bool,
}

impl Interim {
    /// A request was sent on: its interim responses are welcome.
    pub fn open(&self) {
        self.lock().open = true;
    }

    /// The final response is there: what has not begun to go out is dropped, for interim responses are advice.
    pub fn close(&self) {
        let mut queue = self.lock();
        queue.open = false;
        queue.waker = None;
        if queue.sent == 0 {
            queue.waiting.clear();
        }
    }

    /// Puts an interim response in.
    pub fn put(&self, head: &[u8]) {
        let mut queue = self.lock();
        if queue.open && queue.waiting.len() < MOST_WAITING {
            queue.waiting.extend_from_slice(head);
            if let Some(waker) = queue.waker.take() {
                waker.wake();
            }
        }
    }

    /// Whether an interim response is out by half.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.lock().sent > 0
    }

    /// Lets out what waits, and remembers who is to be woken when more comes. A client that takes none loses them.
    pub fn poll_send(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&mut Context<'_>, &[u8]) -> Poll<io::Result<usize>>,
    ) {
        let mut queue = self.lock();
        if !queue.open && queue.sent == 0 {
            return;
        }
        while let Some(rest) = queue.waiting.get(queue.sent..).filter(|rest| !rest.is_empty()) {
            match write(cx, rest) {
                Poll::Ready(Ok(count)) if count > 0 => queue.sent += count,
                Poll::Ready(_) => queue.sent = queue.waiting.len(),
                Poll::Pending => return,
            }
        }
        queue.waiting.clear();
        queue.sent = 0;
        if !queue.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            queue.waker = Some(cx.waker().clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many bytes may wait; a server that sends more of them than a client takes is not to fill the memory.
const MOST_WAITING: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::task::Context;
    use std::task::Poll;
    use std::task::Waker;

    use super::Interim;

    fn send(interim: &Interim, most: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut room = most;
        interim.poll_send(&mut Context::from_waker(Waker::noop()), |_, bytes| {
            let count = bytes.len().min(room);
            room -= count;
            out.extend_from_slice(&bytes[..count]);
            if count == 0 { Poll::Pending } else { Poll::Ready(Ok(count)) }
        });
        out
    }

    #[test]
    fn what_is_put_in_goes_out_once() {
        let interim = Interim::default();
        interim.open();
        interim.put(b"HTTP/1.1 103 Early Hints\r\n\r\n");
        assert_eq!(send(&interim, 1000), b"HTTP/1.1 103 Early Hints\r\n\r\n");
        assert_eq!(send(&interim, 1000), b"");
    }

    #[test]
    fn a_half_is_finished_before_the_final_response_and_the_rest_is_dropped() {
        let interim = Interim::default();
        interim.open();
        interim.put(b"0123456789");
        assert_eq!(send(&interim, 4), b"0123");
        interim.close();
        assert!(interim.is_cut());
        assert_eq!(send(&interim, 1000), b"456789");
        assert!(!interim.is_cut());
        interim.put(b"too late");
        assert_eq!(send(&interim, 1000), b"");
    }
}
