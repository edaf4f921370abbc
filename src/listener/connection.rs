//! Owns one client connection: hyper's server on it, its time limits, and how it ends.

use std::cell::Cell;
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::os::fd::RawFd;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::Version;
use http::header;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::Limits;
use crate::listener::client::Phase;
use crate::listener::client::Watch;
use crate::listener::crowd::Seat;
use crate::listener::door::Door;
use crate::listener::entrance::Agreed;
use crate::listener::entrance::Entered;
use crate::listener::farewell;
use crate::listener::framing::Follows;
use crate::listener::http2;
use crate::listener::orders::NEWCOMER;
use crate::listener::orders::Orders;
use crate::listener::orders::Told;
use crate::listener::orders::cut;
use crate::net::deadline::Deadline;
use crate::net::deadline::Due;
use crate::net::stream::Stream;
use crate::proxy::Proxy;
use crate::proxy::Received;
use crate::proxy::Reply;
use crate::proxy::admission::refusal::Refusal;
use crate::proxy::arrival::Arrival;
use crate::proxy::interim::Interim;
use crate::proxy::relay::ClientBody;
use crate::proxy::upgrade::Tunnel;
use crate::upstream::Cut;
use crate::upstream::Inflow;

/// Serves one client until it leaves, is refused, or the program drains.
pub(super) async fn serve(entered: Entered, proxy: Rc<Proxy>, orders: watch::Receiver<Orders>, seat: Rc<Seat>) {
    let Entered { stream, arrival, agreed } = entered;
    if agreed == Agreed::Http2 {
        return Box::pin(http2::serve((stream, Bytes::new()), arrival, proxy, orders, seat)).await;
    }
    let desk = Rc::new(Desk::new(arrival, proxy, stream.descriptor(), Rc::clone(&seat)));
    match converse(&desk, stream, orders.clone()).await {
        // Boxed, for nearly all connections never come here.
        Ended::Changed(stream, read) => {
            let (arrival, proxy) = (desk.arrival.clone(), Rc::clone(&desk.proxy));
            Box::pin(http2::serve((stream, read), arrival, proxy, orders, seat)).await;
        }
        Ended::Tunnel(tunnel, stream, read) => {
            seat.busy();
            Box::pin(tunnel.run(stream, read, cut(orders))).await;
        }
        Ended::Refused(refusal, stream) => desk.refuse(refusal, stream).await,
        Ended::Done(stream) => desk.close(stream).await,
        Ended::Idle(stream) => farewell::close(stream).await,
        Ended::Cut(stream) => stream.reset_on_close(),
    }
}

/// How a conversation in HTTP ended.
enum Ended {
    /// Nothing is left to say.
    Done(Stream),
    /// Nothing is left to say, and nothing was said for a while.
    Idle(Stream),
    /// The client is to see that a message was cut, or has not taken what it was sent.
    Cut(Stream),
    /// A head could not be read, or did not come.
    Refused(Refusal, Stream),
    /// The client speaks HTTP/2, and this was read of it.
    Changed(Stream, Bytes),
    /// It goes on in another protocol.
    Tunnel(Box<Tunnel>, Stream, Bytes),
}

/// Speaks HTTP with the client.
async fn converse(desk: &Rc<Desk>, stream: Stream, orders: watch::Receiver<Orders>) -> Ended {
    let limits = desk.proxy.state().limits();
    let door = TokioIo::new(Door::new(stream, Rc::clone(&desk.watch)));
    let service = TowerToHyperService::new(Service(Rc::clone(desk)));
    let limit = desk.header_limit();
    let mut builder = http1::Builder::new();
    // A head has to have room in hyper's buffer too.
    let builder = builder.max_header_size(limit).max_buf_size(limit.max(BUFFER));
    let mut connection = builder.serve_connection(door, service);

    let mut deadline = Deadline::after(limits.shortest());
    let mut told = Told::new(orders);
    let mut leaving = false;
    let mut drained = None;
    let outcome = poll_fn(|cx| {
        match told.poll_now(cx) {
            Orders::Leave => return Poll::Ready(Err(Late::Everything)),
            // hyper would close a connection on which no whole head was read yet, and its request may be on its way; and behind an
            // answer whose head has gone out without a word of it. Whoever sends a request soon is answered first, and told that it
            // is the last.
            Orders::Drain if !leaving && desk.watch.is_unanswered() => {
                leaving = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            Orders::Drain | Orders::Serve => {}
        }
        if let Poll::Ready(outcome) = connection.poll_without_shutdown(cx) {
            return Poll::Ready(Ok(outcome));
        }
        if desk.watch.speaks_http2() {
            return Poll::Ready(Err(Late::Http2));
        }
        if desk.watch.makes_way(cx) {
            return Poll::Ready(Err(Late::Idle));
        }
        if told.is_news() {
            let now = Instant::now();
            drained = (told.last == Orders::Drain).then_some(now);
            deadline.reset(now + NEWCOMER);
        }
        deadline.poll_due(cx, || desk.due(&limits, drained)).map(Err)
    })
    .await;
    // Taken apart, the connection lets go of its response.
    let serving = desk.watch.phase() == Phase::Serving;
    let telling = desk.watch.is_telling();
    let parts = connection.into_parts();
    let stream = parts.io.into_inner().into_stream();
    match outcome {
        Err(Late::Http2) => Ended::Changed(stream, desk.watch.take_withheld()),
        // Nothing can be said where a message has gone out by half.
        Err(Late::Head | Late::Idle) if telling => Ended::Cut(stream),
        Err(Late::Idle) => Ended::Idle(stream),
        Err(Late::Head) => Ended::Refused(Refusal::TooSlow, stream),
        Err(Late::Reader | Late::Left) => Ended::Cut(stream),
        Err(Late::Everything) if serving => Ended::Cut(stream),
        Err(Late::Everything) => Ended::Done(stream),
        Ok(outcome) => desk.ended(outcome, stream, parts.read_buf),
    }
}

/// What a connection's requests share.
struct Desk {
    arrival: Arrival,
    proxy: Rc<Proxy>,
    interim: Arc<Interim>,
    watch: Rc<Watch>,
    tunnel: RefCell<Option<Box<Tunnel>>>,
    version: Cell<Version>,
    follows: Cell<Follows>,
}

/// What a client has not done in time.
enum Late {
    /// Sent another request: it may go without a word.
    Idle,
    /// Sent the rest of a head.
    Head,
    /// Taken more of its response.
    Reader,
    /// Spoken HTTP/1: it began with the preface of HTTP/2.
    Http2,
    /// Stayed: it has closed its side, which hyper does not see while it reads nothing.
    Left,
    /// Nothing: the program ends now.
    Everything,
}

impl Desk {
    fn new(arrival: Arrival, proxy: Rc<Proxy>, descriptor: RawFd, seat: Rc<Seat>) -> Self {
        let interim = Arc::<Interim>::default();
        let watch = Watch::new(Arc::clone(&interim), descriptor, seat);
        Self {
            arrival,
            proxy,
            interim,
            watch,
            tunnel: RefCell::new(None),
            version: Cell::new(Version::HTTP_11),
            follows: Cell::new(Follows::Nothing),
        }
    }

    /// What is due. `drained` is since when the program is to end.
    fn due(&self, limits: &Limits, drained: Option<Instant>) -> Due<Late> {
        let now = Instant::now();
        let look = now + limits.shortest();
        let due = |at: Instant, late: Late| Due::by(at, late).and_look(look);
        if let Some(since) = self.watch.blocked_since() {
            return due(since + limits.body_timeout, Late::Reader);
        }
        match self.watch.phase() {
            // The client has not got what it is owed: what is late then is its reader.
            Phase::Idle(_) | Phase::Head(_) if self.watch.is_telling() => Due::At(look.min(now + LOOK)),
            Phase::Idle(since) => {
                let end = match drained {
                    Some(drained) => since.max(drained) + NEWCOMER,
                    None => since + limits.idle_timeout,
                };
                due(end, Late::Idle).unless(|| self.watch.has_asked(), look.min(now + LOOK))
            }
            Phase::Head(since) => due(since + limits.header_timeout, Late::Head),
            Phase::Serving if self.watch.is_abandoned() => Due::Late(Late::Left),
            // The limits of the exchange hold now; a look now and then is for the next phase and for a client that stalls.
            Phase::Serving => Due::At(look.min(now + LOOK)),
        }
    }

    fn receive(&self, request: Request<Incoming>) -> Received {
        let body = request.body();
        let follows = match body.size_hint().exact() {
            _ if body.is_end_stream() => Follows::Nothing,
            Some(length) => Follows::Length(length),
            None => Follows::Chunks,
        };
        let wrong = (!self.watch.serving(follows)).then_some(Refusal::HeadInvalid);
        self.version.set(request.version());
        self.follows.set(follows);
        self.proxy.receive(request.map(Inflow::Http1), &self.arrival, &self.interim, wrong)
    }

    async fn answer(self: Rc<Self>, received: Received) -> Response<Counted> {
        // hyper reads no more than a piece of a body that nobody wants, and closes the connection if that is not all of it.
        let closes = received.is_refused() && self.follows.get() == Follows::Chunks;
        let Reply { mut response, tunnel } = self.proxy.answer(received).await;
        if closes {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        *self.tunnel.borrow_mut() = tunnel;
        self.owed(response)
    }

    /// A response that is about to be written.
    fn owed(&self, response: Response<ClientBody>) -> Response<Counted> {
        self.watch.owe();
        response.map(|body| Counted { body, watch: Rc::clone(&self.watch) })
    }

    /// hyper has nothing more to say.
    fn ended(&self, outcome: hyper::Result<()>, stream: Stream, read: Bytes) -> Ended {
        if let Some(tunnel) = self.tunnel.take() {
            // What has come behind the head, and what the door has kept of it.
            let read = [read, self.watch.take_withheld()].concat();
            return Ended::Tunnel(tunnel, stream, read.into());
        }
        if let Some(status) = self.watch.swallowed_status() {
            return Ended::Refused(self.refusal_of(status), stream);
        }
        match outcome {
            Ok(()) => Ended::Done(stream),
            Err(error) if error.is_parse() => Ended::Refused(refusal_of_parse(&error), stream),
            // A body that broke off. Where its end would have been the connection's, only a reset tells the client.
            Err(error) if error.is_user() && self.version.get() < Version::HTTP_11 => Ended::Cut(stream),
            Err(_) => Ended::Done(stream),
        }
    }

    /// The refusal that stands for an answer which hyper made up. A head that is too large in its first line has too long a
    /// target (RFC 9112, section 3).
    fn refusal_of(&self, status: u16) -> Refusal {
        match status {
            414 => Refusal::TargetTooLong,
            431 if self.watch.first_line_exceeds(self.header_limit()) => Refusal::TargetTooLong,
            // A length that no number holds.
            431 if self.watch.is_small(self.header_limit()) => Refusal::HeadInvalid,
            431 => Refusal::HeadTooLarge,
            _ => Refusal::HeadInvalid,
        }
    }

    fn header_limit(&self) -> usize {
        usize::try_from(self.proxy.state().limits().request_header_bytes).unwrap_or(usize::MAX)
    }

    /// Answers a head that hyper could not read, in the format that it seems to ask for.
    async fn refuse(&self, refusal: Refusal, stream: Stream) {
        let answer = self.proxy.refuse_unread(refusal, &self.watch.take_head(), &self.arrival);
        farewell::say(&answer, stream).await;
    }

    /// Closes a connection in order. What the client may still be sending is read away first: closing over unread bytes is
    /// a reset, which can take the answer with it (RFC 9112, section 9.6).
    async fn close(&self, stream: Stream) {
        if self.follows.get() != Follows::Nothing && !self.watch.has_left() {
            farewell::linger(stream).await;
        } else {
            farewell::close(stream).await;
        }
    }
}

fn refusal_of_parse(error: &hyper::Error) -> Refusal {
    if error.is_parse_too_large() {
        Refusal::HeadTooLarge
    } else if error.is_parse_version_h2() {
        Refusal::VersionUnknown
    } else {
        Refusal::HeadInvalid
    }
}

/// The service boundary: what tower's layers would go around.
#[derive(Clone)]
struct Service(Rc<Desk>);

impl tower::Service<Request<Incoming>> for Service {
    type Response = Response<Counted>;
    type Error = Infallible;
    type Future = Handling;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let desk = Rc::clone(&self.0);
        let received = catch_unwind(AssertUnwindSafe(|| desk.receive(request))).ok();
        let work = received
            .map(|received| -> Pin<Box<dyn Future<Output = _>>> { Box::pin(Rc::clone(&desk).answer(received)) });
        Handling { desk, work }
    }
}

/// A request that is being served. A bug costs the request that meets it, and no other.
struct Handling {
    desk: Rc<Desk>,
    /// None where it was not even taken.
    work: Option<Pin<Box<dyn Future<Output = Response<Counted>>>>>,
}

impl Future for Handling {
    type Output = Result<Response<Counted>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.work.as_mut().and_then(|work| catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))).ok());
        match polled {
            Some(poll) => poll.map(Ok),
            None => Poll::Ready(Ok(self.desk.owed(self.desk.proxy.confess(&self.desk.arrival)))),
        }
    }
}

/// A body that tells the door when hyper has taken all of it.
struct Counted {
    body: ClientBody,
    watch: Rc<Watch>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.watch.served();
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How much hyper may hold of a connection, in bytes, where a head needs no more: of what a client sends ahead of a server, and of
/// what one that reads slowly is sent.
const BUFFER: usize = 256 << 10;
/// How often a connection that is being served is looked at.
const LOOK: Duration = Duration::from_secs(1);
