//! Owns the sending of a body on a stream of HTTP/2, in either direction: as fast as the far end's windows let it, no faster.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use h2::SendStream;
use http::HeaderMap;
use http_body::Body;
use tokio::time::Instant;

/// How far a message has got on its way.
#[derive(Debug)]
pub struct Progress {
    stuck: Cell<bool>,
    last: Cell<Instant>,
    sent: Cell<u64>,
    complete: Cell<bool>,
}

impl Progress {
    /// Nothing was sent yet.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { stuck: Cell::new(false), last: Cell::new(now), sent: Cell::new(0), complete: Cell::new(false) }
    }

    /// Whether the far end's window has no room for what is there to be sent.
    #[must_use]
    pub const fn is_stuck(&self) -> bool {
        self.stuck.get()
    }

    /// When something was last sent, or could not be.
    #[must_use]
    pub const fn last(&self) -> Instant {
        self.last.get()
    }

    /// Bytes of the body that were sent.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// Whether the whole message was.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete.get()
    }

    /// Something was sent now: so many bytes of the body, or the head before it.
    pub fn moved(&self, bytes: usize) {
        self.sent.set(self.sent.get() + bytes as u64);
        self.last.set(Instant::now());
        self.stuck.set(false);
    }

    /// There is something to be sent, and no room for it from now on.
    fn stick(&self) {
        if !self.stuck.replace(true) {
            self.last.set(Instant::now());
        }
    }

    /// The whole message is out.
    pub fn finish(&self) {
        self.moved(0);
        self.complete.set(true);
    }
}

/// How the sending of a body ended.
#[derive(Debug)]
pub enum Outcome<E> {
    /// All of it was sent.
    Whole,
    /// The far end wants no more of it, or is gone.
    Unwanted,
    /// The body broke off. The stream is still open, for whoever knows why to end it.
    Broken(E),
}

/// Sends a body to its end.
pub async fn send<B: Body<Data = Bytes> + Unpin>(
    body: &mut B,
    stream: &mut SendStream<Bytes>,
    progress: &Progress,
) -> Outcome<B::Error> {
    loop {
        let next = poll_fn(|cx| {
            if stream.poll_reset(cx).is_ready() {
                return Poll::Ready(None);
            }
            Pin::new(&mut *body).poll_frame(cx).map(Some)
        });
        match next.await {
            None => return Outcome::Unwanted,
            Some(Some(Err(error))) => return Outcome::Broken(error),
            Some(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    let rest = if body.is_end_stream() { Rest::Nothing } else { Rest::More };
                    if send_data(data, rest, stream, progress).await.is_none() {
                        return Outcome::Unwanted;
                    }
                    if rest == Rest::Nothing {
                        break;
                    }
                }
                Err(frame) => {
                    // A stream that is gone says why where somebody waits for the other half of it.
                    stream.send_trailers(frame.into_trailers().unwrap_or_else(|_| HeaderMap::new())).ok();
                    break;
                }
            },
            Some(None) => {
                stream.send_data(Bytes::new(), true).ok();
                break;
            }
        }
    }
    progress.finish();
    Outcome::Whole
}

/// What follows a piece of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Nothing,
    /// More, or nobody knows yet.
    More,
}

/// Sends a piece as the window opens; nothing where the stream has ended.
async fn send_data(mut data: Bytes, rest: Rest, stream: &mut SendStream<Bytes>, progress: &Progress) -> Option<()> {
    let ends = rest == Rest::Nothing;
    if data.is_empty() && ends {
        return stream.send_data(data, true).ok();
    }
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let room = poll_fn(|cx| {
            while stream.capacity() == 0 {
                let changed = stream.poll_capacity(cx);
                if changed.is_pending() {
                    progress.stick();
                }
                if !matches!(std::task::ready!(changed), Some(Ok(_))) {
                    return Poll::Ready(None);
                }
            }
            Poll::Ready(Some(stream.capacity()))
        });
        let room = room.await?;
        let piece = data.split_to(room.min(data.len()));
        let length = piece.len();
        stream.send_data(piece, ends && data.is_empty()).ok()?;
        progress.moved(length);
    }
    Some(())
}
