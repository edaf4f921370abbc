//! Owns interim responses (1xx) on their way from a server to the client that waits for the final one (RFC 9110, section 15.2).
//!
//! hyper's server cannot send them, so they travel beside it: the exchange with the server puts them in, the client's stream
//! lets them out.

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use http::Response;

/// The interim responses of one client connection of HTTP/1, or of one request of HTTP/2.
#[derive(Debug, Default)]
pub struct Interim(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Response<()>>,
    /// What those that wait take as text.
    bytes: usize,
    /// The one that goes out, as text, and how much of it has.
    text: Vec<u8>,
    sent: usize,
    waker: Option<Waker>,
    open: bool,
}

impl Interim {
    /// A request is sent on: its interim responses are welcome, and none of the request before.
    pub fn open(&self) {
        self.close();
        self.lock().open = true;
    }

    /// The final response is there, and goes out behind what waits.
    pub fn last(&self) {
        let mut queue = self.lock();
        queue.open = false;
        queue.waker = None;
    }

    /// The final response goes out: what has not begun to is dropped, for interim responses are advice.
    pub fn close(&self) {
        let mut queue = self.lock();
        queue.open = false;
        queue.waker = None;
        queue.waiting.clear();
        queue.bytes = 0;
        if queue.sent == 0 {
            queue.text.clear();
        }
    }

    /// Puts an interim response in.
    pub fn put(&self, head: Response<()>) {
        let mut queue = self.lock();
        if queue.open && queue.bytes < MOST_WAITING {
            queue.bytes += size(&head);
            queue.waiting.push_back(head);
            if let Some(waker) = queue.waker.take() {
                waker.wake();
            }
        }
    }

    /// Whether an interim response has to go out before anything else: it is out by half, or comes before the final response.
    #[must_use]
    pub fn goes_first(&self) -> bool {
        let queue = self.lock();
        queue.sent > 0 || !queue.open && queue.is_waiting()
    }

    /// The next one, for a client that takes it whole. Remembers who is to be woken when more comes.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Response<()>> {
        let mut queue = self.lock();
        if let Some(head) = queue.next() {
            return Poll::Ready(head);
        }
        queue.remember(cx);
        Poll::Pending
    }

    /// Lets out what waits as HTTP/1.1, and remembers who is to be woken when more comes. A client that takes none loses them.
    pub fn poll_send(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&mut Context<'_>, &[u8]) -> Poll<io::Result<usize>>,
    ) {
        let mut queue = self.lock();
        if !queue.open && !queue.is_waiting() {
            return;
        }
        loop {
            while let Some(rest) = queue.text.get(queue.sent..).filter(|rest| !rest.is_empty()) {
                match write(cx, rest) {
                    Poll::Ready(Ok(count)) if count > 0 => queue.sent += count,
                    Poll::Ready(_) => queue.sent = queue.text.len(),
                    Poll::Pending => return,
                }
            }
            queue.sent = 0;
            queue.text.clear();
            let Some(head) = queue.next() else { break };
            write_head(&mut queue.text, &head);
        }
        queue.remember(cx);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || !self.text.is_empty()
    }

    fn next(&mut self) -> Option<Response<()>> {
        let head = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(size(&head));
        Some(head)
    }

    fn remember(&mut self, cx: &Context<'_>) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }
}

/// Bytes that a head takes as text, or more.
fn size(head: &Response<()>) -> usize {
    let fields = head.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    fields.sum::<usize>() + LINE
}

fn write_head(text: &mut Vec<u8>, head: &Response<()>) {
    let reason = head.status().canonical_reason().unwrap_or_default();
    for part in ["HTTP/1.1 ", head.status().as_str(), " ", reason, "\r\n"] {
        text.extend_from_slice(part.as_bytes());
    }
    for (name, value) in head.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            text.extend_from_slice(part);
        }
    }
    text.extend_from_slice(b"\r\n");
}

/// How many bytes may wait; a server that sends more of them than a client takes is not to fill the memory.
const MOST_WAITING: usize = 64 * 1024;
/// What a status line and the empty line take.
const LINE: usize = 64;

#[cfg(test)]
mod tests {
    use std::task::Context;
    use std::task::Poll;
    use std::task::Waker;

    use http::Response;

    use super::Interim;

    const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";

    fn hints() -> Response<()> {
        Response::builder().status(103).header("link", "</a>").body(()).unwrap()
    }

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
        interim.put(hints());
        interim.put(Response::builder().status(199).body(()).unwrap());
        assert_eq!(send(&interim, 1000), [HINTS, b"HTTP/1.1 199 \r\n\r\n"].concat());
        assert_eq!(send(&interim, 1000), b"");
    }

    #[test]
    fn a_half_is_finished_before_the_final_response_and_the_rest_is_dropped() {
        let interim = Interim::default();
        interim.open();
        interim.put(hints());
        interim.put(hints());
        assert_eq!(send(&interim, 4), HINTS[..4]);
        interim.close();
        assert!(interim.goes_first());
        assert_eq!(send(&interim, 1000), HINTS[4..]);
        assert!(!interim.goes_first());
        interim.put(hints());
        assert_eq!(send(&interim, 1000), b"");
    }

    #[test]
    fn a_server_that_sends_more_than_a_client_takes_does_not_fill_the_memory() {
        let interim = Interim::default();
        interim.open();
        (0..100_000).for_each(|_| interim.put(hints()));
        let mut cx = Context::from_waker(Waker::noop());
        let taken = std::iter::from_fn(|| match interim.poll_next(&mut cx) {
            Poll::Ready(head) => Some(head),
            Poll::Pending => None,
        });
        assert!((100..2000).contains(&taken.count()));
    }
}
