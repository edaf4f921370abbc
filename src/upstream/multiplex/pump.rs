//! Owns the sending of a request's body on a stream: as fast as the server's windows let it, and no faster.

use std::cell::Cell;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use h2::Reason;
use h2::SendStream;
use http::HeaderMap;
use http_body::Body;
use http_body::Frame;
use tokio::time::Instant;

use crate::upstream::body::ClientFault;
use crate::upstream::body::RequestBody;

/// How far a request has got on its way to the server.
#[derive(Debug)]
pub(super) struct Progress {
    /// Whether the server's window has no room for what is there to be sent.
    pub(super) stuck: Cell<bool>,
    /// When something was last sent.
    pub(super) last: Cell<Instant>,
    /// Bytes of the body that were sent.
    pub(super) sent: Cell<u64>,
    /// Whether the whole request was.
    pub(super) complete: Cell<bool>,
}

impl Progress {
    fn moved(&self, bytes: usize) {
        self.sent.set(self.sent.get() + bytes as u64);
        self.last.set(Instant::now());
        self.stuck.set(false);
    }
}

/// A body that can be had back as long as nothing was taken from it.
pub(super) type Held = Rc<RefCell<RequestBody>>;

/// Sends the body to its end. What the client broke off is reset as its own doing; what the server has reset is left alone.
pub(super) async fn send(body: Held, mut stream: SendStream<Bytes>, progress: Rc<Progress>) {
    loop {
        match next(&body, &mut stream).await {
            Next::Reset => return,
            Next::Frame(Some(Err(_))) => {
                stream.send_reset(Reason::CANCEL);
                return;
            }
            Next::Frame(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    if send_data(data, &mut stream, &progress).await.is_none() {
                        return;
                    }
                }
                Err(frame) => {
                    // A stream that is gone says why where the response is waited for.
                    stream.send_trailers(frame.into_trailers().unwrap_or_else(|_| HeaderMap::new())).ok();
                    break;
                }
            },
            Next::Frame(None) => {
                stream.send_data(Bytes::new(), true).ok();
                break;
            }
        }
    }
    progress.moved(0);
    progress.complete.set(true);
}

/// What comes next of a body, or that nobody wants it any more.
enum Next {
    Frame(Option<Result<Frame<Bytes>, ClientFault>>),
    Reset,
}

async fn next(body: &Held, stream: &mut SendStream<Bytes>) -> Next {
    poll_fn(|cx| {
        if stream.poll_reset(cx).is_ready() {
            return Poll::Ready(Next::Reset);
        }
        Pin::new(&mut *body.borrow_mut()).poll_frame(cx).map(Next::Frame)
    })
    .await
}

/// Sends a piece as the window opens; nothing where the stream has ended.
async fn send_data(mut data: Bytes, stream: &mut SendStream<Bytes>, progress: &Progress) -> Option<()> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let room = poll_fn(|cx| {
            while stream.capacity() == 0 {
                let changed = stream.poll_capacity(cx);
                progress.stuck.set(changed.is_pending());
                if !matches!(std::task::ready!(changed), Some(Ok(_))) {
                    return Poll::Ready(None);
                }
            }
            Poll::Ready(Some(stream.capacity()))
        });
        let room = room.await?;
        let piece = data.split_to(room.min(data.len()));
        let length = piece.len();
        stream.send_data(piece, false).ok()?;
        progress.moved(length);
    }
    Some(())
}
