//! Owns the bodies on their way through: the client's towards the server, and the server's back.
//!
//! A body that the client broke must never look like a failure of the server, so the request's body remembers its own fault.
//! The response's body knows its server's limits, and its error is a `Failure`.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use http::HeaderMap;
use http::StatusCode;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::fault::Failure;
use crate::fault::failure::Malformed;
use crate::net::deadline::Deadline;
use crate::upstream::connection::Upgraded;
use crate::upstream::gate::Gate;
use crate::upstream::inflow::Broken;
use crate::upstream::inflow::Inflow;
use crate::upstream::lease::Lease;

/// What a client did wrong while its body was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientFault {
    /// The body's framing is broken, or it ended early.
    #[error("the request's body is broken")]
    Malformed,
    /// The body is larger than is allowed.
    #[error("the request's body is too large")]
    TooLarge,
    /// The body made no progress for too long.
    #[error("the request's body came too slowly")]
    TimedOut,
}

/// Why a response's body breaks off.
#[derive(Debug)]
pub enum Cut {
    /// The server is at fault.
    Server(Box<Failure>),
    /// The client is: it broke its own body while the response was under way.
    Client(ClientFault),
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(failure) => failure.fmt(f),
            Self::Client(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for Cut {}

/// The body of a request on its way to a server, and what waits beside it for the server's interim responses.
///
/// It is small, for every connection to a server has room for many requests.
pub struct RequestBody {
    content: Option<Box<Content>>,
    interim: Option<Arc<dyn OnInterim>>,
}

/// The body of a request that has one.
struct Content {
    stream: Inflow,
    watch: Rc<BodyWatch>,
    gate: Option<Arc<Gate>>,
    trailers: Box<dyn Fn(HeaderMap) -> HeaderMap>,
}

/// What can be seen of a request's body while it is sent.
#[derive(Debug)]
pub struct BodyWatch {
    begun: Cell<bool>,
    ended: Cell<bool>,
    fault: Cell<Option<ClientFault>>,
    waiting_since: Cell<Option<Instant>>,
    bytes: Cell<u64>,
    most: u64,
}

impl RequestBody {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self { content: None, interim: None }
    }

    /// The client's body, of at most `most` bytes, whose trailers pass through `trailers`.
    #[must_use]
    pub fn new(stream: Inflow, most: u64, trailers: impl Fn(HeaderMap) -> HeaderMap + 'static) -> Self {
        if stream.is_end_stream() {
            return Self::empty();
        }
        let watch = BodyWatch {
            begun: Cell::new(false),
            ended: Cell::new(false),
            fault: Cell::new(None),
            waiting_since: Cell::new(None),
            bytes: Cell::new(0),
            most,
        };
        let content = Content { stream, watch: Rc::new(watch), gate: None, trailers: Box::new(trailers) };
        Self { content: Some(Box::new(content)), interim: None }
    }

    /// Holds the body back until the gate opens (`Expect: 100-continue`, RFC 9110, section 10.1.1).
    pub fn hold_behind(&mut self, gate: Arc<Gate>) {
        if let Some(content) = &mut self.content {
            content.gate = Some(gate);
        }
    }

    /// Has interim responses told to that, all but 100, which opens the gate.
    pub fn tell_interim(&mut self, interim: Arc<dyn OnInterim>) {
        self.interim = Some(interim);
    }

    /// What becomes of the server's interim responses, where anybody waits for one.
    pub(super) fn early(&self) -> Option<Early> {
        let gate = self.gate();
        let waited_for = gate.is_some() || self.interim.is_some();
        waited_for.then(|| Early { gate, interim: self.interim.clone() })
    }

    /// What can be seen of it; none where there is no body.
    #[must_use]
    pub fn watch(&self) -> Option<Rc<BodyWatch>> {
        self.content.as_ref().map(|content| Rc::clone(&content.watch))
    }

    /// The gate that it is held behind, if any.
    #[must_use]
    pub fn gate(&self) -> Option<Arc<Gate>> {
        self.content.as_ref().and_then(|content| content.gate.clone())
    }

    /// Whether there is no body, so that the request can be built again.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.content.is_none()
    }
}

impl BodyWatch {
    /// Whether anything was taken from the body, so that it cannot be sent again.
    #[must_use]
    pub fn begun(&self) -> bool {
        self.begun.get()
    }

    /// Whether the body was taken to its end.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended.get()
    }

    /// What the client did wrong, if anything.
    #[must_use]
    pub fn fault(&self) -> Option<ClientFault> {
        self.fault.get()
    }

    /// Since when the client has kept the server waiting for more of the body.
    #[must_use]
    pub fn waiting_since(&self) -> Option<Instant> {
        self.waiting_since.get()
    }

    fn take(&self, data: usize) -> Result<(), ClientFault> {
        self.bytes.set(self.bytes.get() + data as u64);
        if self.bytes.get() > self.most { Err(self.fail(ClientFault::TooLarge)) } else { Ok(()) }
    }

    fn fail(&self, fault: ClientFault) -> ClientFault {
        self.fault.set(Some(fault));
        fault
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = ClientFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ClientFault>>> {
        let Some(content) = &mut self.content else { return Poll::Ready(None) };
        let Content { stream, watch, gate, trailers: filter } = &mut **content;
        if let Some(held_behind) = gate {
            if !held_behind.poll_open(cx) {
                return Poll::Pending;
            }
            *gate = None;
        }
        watch.begun.set(true);
        let frame = match Pin::new(&mut *stream).poll_frame(cx) {
            Poll::Pending => {
                if watch.waiting_since.get().is_none() {
                    watch.waiting_since.set(Some(Instant::now()));
                }
                return Poll::Pending;
            }
            Poll::Ready(frame) => frame,
        };
        watch.waiting_since.set(None);
        let frame = match frame {
            None => {
                watch.ended.set(true);
                return Poll::Ready(None);
            }
            Some(Err(_)) => return Poll::Ready(Some(Err(watch.fail(ClientFault::Malformed)))),
            Some(Ok(frame)) => frame,
        };
        if let Some(data) = frame.data_ref() {
            watch.take(data.len())?;
        }
        watch.ended.set(stream.is_end_stream());
        Poll::Ready(Some(Ok(match frame.into_trailers() {
            Ok(trailers) => Frame::trailers(filter(trailers)),
            Err(frame) => frame,
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.content.as_ref().is_none_or(|content| content.stream.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.content.as_ref().map_or_else(|| SizeHint::with_exact(0), |content| content.stream.size_hint())
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("watch", &self.watch()).finish_non_exhaustive()
    }
}

/// Takes the heads of interim responses (1xx) on their way to the client.
pub trait OnInterim: Send + Sync {
    /// One has come.
    fn tell(&self, status: StatusCode, headers: &HeaderMap);
}

/// What becomes of the interim responses to one request.
#[derive(Clone)]
pub(super) struct Early {
    gate: Option<Arc<Gate>>,
    interim: Option<Arc<dyn OnInterim>>,
}

impl Early {
    /// One has come: 100 asks for the body (RFC 9110, section 15.2.1), the others are for the client.
    pub(super) fn tell(&self, status: StatusCode, headers: &HeaderMap) {
        if status == StatusCode::CONTINUE {
            self.gate.iter().for_each(|gate| gate.open());
        } else if let Some(interim) = &self.interim {
            interim.tell(status, headers);
        }
    }

    /// A request without a body that is sent in place of the one before, whose interim responses are told to the same.
    pub(super) fn without_body(self) -> RequestBody {
        RequestBody { content: None, interim: self.interim }
    }
}

/// The body of a response on its way to the client.
pub struct ResponseBody {
    stream: Inflow,
    first: Option<Frame<Bytes>>,
    pub(super) lease: Option<Lease>,
    deadline: Deadline,
    waiting_since: Option<Instant>,
}

impl ResponseBody {
    /// The body behind a response's head, whose first piece may have been read already. It gives the lease back at its end.
    #[must_use]
    pub(super) fn new(stream: Inflow, first: Option<Frame<Bytes>>, lease: Lease) -> Self {
        // It is moved before it is waited for.
        let deadline = Deadline::at(lease.asked());
        Self { stream, first, lease: Some(lease), deadline, waiting_since: None }
    }

    /// The head that came before this body is none that may be passed on: the exchange ends as a failure.
    #[must_use]
    pub fn reject(mut self, malformed: Malformed, status: u16) -> Option<Box<Failure>> {
        self.lease.take().map(|mut lease| lease.reject(malformed, status))
    }

    /// The connection is not to be used again: the framing of this response is in doubt.
    pub fn use_up(&mut self) {
        self.lease.iter_mut().for_each(Lease::use_up);
    }

    /// Where the stream arrives after a 101.
    #[must_use]
    pub fn upgraded(&mut self) -> Option<oneshot::Receiver<Upgraded>> {
        self.lease.as_mut().and_then(Lease::upgraded)
    }

    /// Gives the connection back once everything was read.
    fn settle(&mut self) {
        if self.first.is_none() && self.stream.is_end_stream() {
            self.end();
        }
    }

    pub(super) fn end(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }

    pub(super) fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.first.take() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Pin::new(&mut self.stream).poll_frame(cx),
        }
    }

    /// Whether one side has kept the other waiting for too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Cut> {
        let Some(lease) = &mut self.lease else { return Poll::Pending };
        let since = *self.waiting_since.get_or_insert_with(|| {
            let now = Instant::now();
            self.deadline.reset(lease.body_due(now).at().min(now + lease.body_limit()));
            now
        });
        while Pin::new(&mut self.deadline).poll(cx).is_ready() {
            let now = Instant::now();
            let due = lease.body_due(since);
            if now >= due.at() {
                return Poll::Ready(lease.body_late(&due));
            }
            self.deadline.reset(due.at().min(now + lease.body_limit()));
        }
        Poll::Pending
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self;
        let frame = match this.poll_stream(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let late = std::task::ready!(this.poll_late(cx));
                this.lease = None;
                return Poll::Ready(Some(Err(late)));
            }
        };
        this.waiting_since = None;
        match frame {
            None => {
                this.end();
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                let cut = this.lease.take().map(|mut lease| lease.body_failed(error));
                Poll::Ready(cut.map(Err))
            }
            Some(Ok(frame)) => {
                if let (Some(lease), Some(data)) = (&mut this.lease, frame.data_ref()) {
                    lease.count(data.len());
                }
                this.settle();
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.stream.size_hint();
        let ahead = self.first.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
        match hint.exact() {
            Some(rest) => SizeHint::with_exact(rest + ahead),
            None => hint,
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.settle();
        if let Some(lease) = self.lease.take() {
            lease.abandon();
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("lease", &self.lease).finish_non_exhaustive()
    }
}
