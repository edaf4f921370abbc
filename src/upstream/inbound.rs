//! Owns a body that comes on a stream of HTTP/2, of a request or of a response: its pieces, its trailers, and the window that
//! they free.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http::header;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;

/// The body of a message. Dropping it before its end resets the stream, where nothing else holds it.
#[derive(Debug)]
pub struct Inbound {
    stream: RecvStream,
    /// What was looked at and not taken yet.
    ahead: VecDeque<Bytes>,
    data_done: bool,
    done: bool,
    failed: bool,
    /// What is still to come of the length that was declared.
    left: Option<u64>,
}

impl Inbound {
    /// The body behind a head with these fields. That its length is the one that they declare is held by the library.
    #[must_use]
    pub fn new(stream: RecvStream, headers: &HeaderMap) -> Self {
        let declared = headers.get(header::CONTENT_LENGTH);
        let left = declared.and_then(|length| length.to_str().ok()).and_then(|length| length.parse().ok());
        Self { stream, ahead: VecDeque::new(), data_done: false, done: false, failed: false, left }
    }

    /// Looks at what has come, some of it, and takes nothing.
    ///
    /// # Errors
    ///
    /// It breaks off there.
    pub(super) fn look(&mut self, cx: &mut Context<'_>) -> Result<(), h2::Error> {
        let mut seen = 0;
        while seen < LOOK && !self.data_done {
            match self.stream.poll_data(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => self.data_done = true,
                Poll::Ready(Some(data)) => {
                    let data = data?;
                    seen += data.len();
                    self.ahead.push_back(data);
                }
            }
        }
        Ok(())
    }

    fn give(&mut self, data: Bytes) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        // Whoever asks for a piece can take it, so that the server may send as much again.
        self.stream.flow_control().release_capacity(data.len()).ok();
        self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn end(&mut self) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        self.done = true;
        Poll::Ready(None)
    }

    fn fail(&mut self, error: h2::Error) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        self.failed = true;
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let this = &mut *self;
        if this.done || this.failed {
            return Poll::Ready(None);
        }
        if let Some(data) = this.ahead.pop_front() {
            return this.give(data);
        }
        if !this.data_done {
            match std::task::ready!(this.stream.poll_data(cx)) {
                Some(Ok(data)) => return this.give(data),
                Some(Err(error)) => return this.fail(error),
                None => this.data_done = true,
            }
        }
        match std::task::ready!(this.stream.poll_trailers(cx)) {
            Ok(Some(trailers)) => {
                this.done = true;
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Ok(None) => this.end(),
            Err(error) => this.fail(error),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.done || self.ahead.is_empty() && self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.is_end_stream() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

/// How much of a body is looked at, in bytes.
const LOOK: usize = 64 << 10;
