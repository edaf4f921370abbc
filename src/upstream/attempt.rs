//! Owns one exchange with one server: a connection, the request, the wait for the head, every stage under its limit.
//!
//! It knows nothing of who asked or who will read the answer. What it returns is a response whose body still belongs to the
//! connection, or a `Failure` with everything that this exchange could see.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use http::Request;
use http::Response;
use http::uri::Scheme;
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::time::Instant;

use crate::config::Protocol;
use crate::config::Timeouts;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Stage;
use crate::fault::failure::ConnectionEvidence;
use crate::fault::failure::Peer;
use crate::net::deadline::Deadline;
use crate::net::deadline::within;
use crate::upstream::Change;
use crate::upstream::Lane;
use crate::upstream::body::BodyWatch;
use crate::upstream::body::ClientFault;
use crate::upstream::body::RequestBody;
use crate::upstream::body::ResponseBody;
use crate::upstream::connect;
use crate::upstream::connect::Opened;
use crate::upstream::connect::Purpose;
use crate::upstream::connect::Speaks;
use crate::upstream::connection::Connection;
use crate::upstream::gate::EXPECT_PATIENCE;
use crate::upstream::gate::Gate;
use crate::upstream::history::Path;
use crate::upstream::inflow::Inflow;
use crate::upstream::intercept;
use crate::upstream::limit::Place;
use crate::upstream::line::Line;
use crate::upstream::multiplex;
use crate::upstream::multiplex::Opening;
use crate::upstream::multiplex::Stream;
use crate::upstream::multiplex::Waited;
use crate::upstream::pool::Care;

/// Why an attempt gave no response.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The client's body was at fault.
    Client(ClientFault),
    /// The server was.
    Failed {
        /// What is known of it.
        failure: Box<Failure>,
        /// The request, where none of it was sent.
        unsent: Option<Box<Request<RequestBody>>>,
    },
}

/// Whether a connection that was used before will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// One from the pool is as good.
    Any,
    /// One that was used before has just died.
    Fresh,
}

/// One exchange: the request out, the response's head back. A response takes the request's place in flight along; after a failure
/// it is still there.
pub(super) async fn run(
    lane: &Rc<Lane>,
    request: Box<Request<RequestBody>>,
    freshness: Freshness,
    place: &mut Option<Place>,
) -> Result<Response<ResponseBody>, Trouble> {
    let begin = Instant::now();
    let in_flight = lane.server.enter();
    let (line, ready) = match pooled(lane, &request, freshness, begin) {
        // The clock is only read again where time has passed.
        Some(line) => (line, begin),
        // Boxed, for what it takes to open a connection would weigh on every request that finds one open.
        None => match Box::pin(reach(lane, purpose(lane, &request))).await {
            Ok(line) => (line, Instant::now()),
            Err(mut failure) => {
                finish(&mut failure, lane, begin);
                return Err(Trouble::Failed { failure, unsent: Some(request) });
            }
        },
    };
    let mut exchange = Exchange::begin(lane, line, (begin, ready), &request);
    let asked = || format!("{} {}", request.method(), request.uri());
    lane.watcher.begun(Stage::Response, lane.settings.timeouts.response, asked);
    let response = exchange.send(request).await?;
    let response = exchange.accept(response, in_flight.with(place.take()))?;
    let status = response.status().as_u16();
    match intercept::fault(status).filter(|_| lane.settings.intercept.contains(&status)) {
        // Boxed, for it is seldom.
        Some(fault) => Err(Box::pin(intercept::take(response, fault)).await),
        None => Ok(response),
    }
}

/// A question of this proxy's own, on a connection of its own: nothing of it is limited, pooled or counted. `opened` is set once
/// there is a connection.
pub(super) async fn ask(
    lane: &Rc<Lane>,
    request: Request<RequestBody>,
    opened: &Cell<bool>,
) -> Result<(Box<Exchange>, Response<Inflow>), Trouble> {
    let begin = Instant::now();
    let line = Box::pin(open_line(lane, purpose(lane, &request), None, &mut None)).await.map_err(|mut failure| {
        finish(&mut failure, lane, begin);
        Trouble::Failed { failure, unsent: None }
    })?;
    opened.set(true);
    let mut exchange = Exchange::begin(lane, line, (begin, Instant::now()), &request);
    let response = exchange.send(Box::new(request)).await?;
    Ok((exchange, response))
}

/// What a connection for this request has to speak.
fn purpose(lane: &Lane, request: &Request<RequestBody>) -> Purpose {
    match lane.settings.protocol {
        Protocol::Auto if request.headers().contains_key(http::header::UPGRADE) => Purpose::Upgrade,
        protocol @ (Protocol::Http1 | Protocol::H2 | Protocol::Auto) => Purpose::Requests(protocol),
    }
}

/// A connection that is open already.
fn pooled(lane: &Lane, request: &Request<RequestBody>, freshness: Freshness, now: Instant) -> Option<Line> {
    if lane.settings.protocol != Protocol::Http1
        && purpose(lane, request) != Purpose::Upgrade
        && let Some(place) = lane.multiplex.enter(lane.address(now), now)
    {
        return Some(Line::Http2(Box::new(Stream::new(place, lane.settings.response_header_bytes, now))));
    }
    let take = || lane.pool.take(lane.address(now), Care::of(request), now);
    let taken = (freshness == Freshness::Any).then(take).flatten();
    taken.map(|(connection, idle)| Line::Http1(connection, Some(idle)))
}

/// Opens a connection, or waits for the one that somebody else opens where requests share it.
async fn reach(lane: &Lane, purpose: Purpose) -> Result<Line, Box<Failure>> {
    let may_share = match purpose {
        Purpose::Requests(Protocol::H2) => true,
        Purpose::Requests(Protocol::Auto) => lane.tls.is_some() && !lane.multiplex.speaks_http1(),
        Purpose::Requests(Protocol::Http1) | Purpose::Upgrade => false,
    };
    let begin = Instant::now();
    if !may_share {
        return open(lane, purpose, None, begin).await;
    }
    loop {
        // Where one connection after the other ends before anybody else could use it, those who wait do not queue up behind each
        // other for good.
        if begin.elapsed() > lane.settings.timeouts.connect {
            return open(lane, purpose, None, begin).await;
        }
        match lane.multiplex.wait().await {
            Waited::Nobody => return open(lane, purpose, Some(lane.multiplex.lead()), begin).await,
            // Whoever has come later may wait for longer.
            Waited::Failed(failure)
                if failure.fault == Fault::ServerAtCapacity && begin.elapsed() < lane.shared.capacity.patience() => {}
            Waited::Failed(failure) => return Err(failure),
            Waited::Opened => {}
        }
        let now = Instant::now();
        if let Some(place) = lane.multiplex.enter(None, now) {
            return Ok(Line::Http2(Box::new(Stream::new(place, lane.settings.response_header_bytes, now))));
        }
        if lane.multiplex.speaks_http1() {
            return open(lane, purpose, None, begin).await;
        }
    }
}

/// Opens a connection; those who wait for it are told when it can be shared, or that there is none.
/// The request has waited since `begin`, for others to open one perhaps.
async fn open(lane: &Lane, purpose: Purpose, mut lead: Option<Opening>, begin: Instant) -> Result<Line, Box<Failure>> {
    let opened = match lane.connection_place(begin).await {
        Ok(place) => open_line(lane, purpose, Some(place), &mut lead).await,
        Err(failure) => Err(failure),
    };
    if let (Err(failure), Some(lead)) = (&opened, lead) {
        lead.failed(failure);
    }
    opened
}

async fn open_line(
    lane: &Lane,
    purpose: Purpose,
    place: Option<Place>,
    opening: &mut Option<Opening>,
) -> Result<Line, Box<Failure>> {
    let timeouts = &lane.settings.timeouts;
    let begin = Instant::now();
    let Opened { stream, peer, stale, speaks } = connect::open(lane, purpose, lane.next_address(begin)).await?;
    if stale {
        lane.shared.tell(Some(Change::Stale { server: lane.server.index }));
    }
    lane.note_connection(&peer, begin, Instant::now());
    let limit = lane.settings.response_header_bytes;
    match speaks {
        Speaks::Http1 => {
            lane.multiplex.found_http1();
            let connection = Connection::begin(stream, peer, limit, place).await;
            let connection = connection.map_err(|error| Failure::new(Fault::ClosedBeforeResponse).because(error))?;
            Ok(Line::Http1(Box::new(connection), None))
        }
        Speaks::Http2 => {
            let own = place.is_none();
            let beginning = multiplex::Connection::begin(stream, peer.clone(), (limit, place), opening.take());
            let connection = match within(timeouts.send, beginning).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(error)) => return Err(Box::new(broken_preface(error, peer))),
                Err(late) => {
                    let mut failure = Failure::new(Fault::RequestSendTimedOut).after(timeouts.send).because(late);
                    failure.peer = Some(peer);
                    return Err(Box::new(failure));
                }
            };
            let now = Instant::now();
            // A question of this proxy's own leaves nothing behind: nobody would ever use its connection again, nor close it.
            let place = if own { connection.enter(now) } else { lane.multiplex.add(&connection, now) };
            Ok(Line::Http2(Box::new(Stream::new(place, limit, now))))
        }
    }
}

/// The connection broke before HTTP/2 had begun on it.
fn broken_preface(error: h2::Error, peer: Peer) -> Failure {
    let os_error = error.get_io().and_then(io::Error::raw_os_error);
    let reset = os_error == Some(libc::ECONNRESET);
    let mut failure = Failure::new(if reset { Fault::ResetBeforeResponse } else { Fault::ClosedBeforeResponse });
    failure.os_error = os_error;
    failure.peer = Some(peer);
    failure.because(error)
}

/// What every failure of an attempt says.
pub(super) fn finish(failure: &mut Failure, lane: &Lane, begin: Instant) {
    failure.target = Some((*lane.server.target).clone());
    failure.elapsed = begin.elapsed();
}

/// What is kept of an exchange while it runs. It stays where it is until the body has ended, for it is large.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) lane: Rc<Lane>,
    pub(super) line: Line,
    pub(super) past: ConnectionEvidence,
    pub(super) watch: Option<Rc<BodyWatch>>,
    gate: Option<Arc<Gate>>,
    pub(super) declared: Option<u64>,
    /// What it asks for.
    pub(super) path: Path,
    /// Whether the request asks for another protocol.
    pub(super) upgrade: bool,
    pub(super) begin: Instant,
    ready: Instant,
}

/// Which limit an exchange runs into next, and when.
enum Limit {
    Send(Instant),
    Response(Instant),
    Client(Instant),
    Gate(Instant),
}

impl Limit {
    const fn at(&self) -> Instant {
        match self {
            Self::Send(at) | Self::Response(at) | Self::Client(at) | Self::Gate(at) => *at,
        }
    }
}

/// What hyper says of a request that it was given.
type Sent = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

impl Exchange {
    /// What is to be kept of a request that goes out now.
    fn begin(
        lane: &Rc<Lane>,
        line: Line,
        (begin, ready): (Instant, Instant),
        request: &Request<RequestBody>,
    ) -> Box<Self> {
        let past = line.past(ready);
        let body = request.body();
        let (watch, gate, declared) = (body.watch(), body.gate(), body.size_hint().exact());
        let upgrade = request.headers().contains_key(http::header::UPGRADE);
        let path = Path::of(request.uri().path());
        Box::new(Self { lane: Rc::clone(lane), line, past, watch, gate, declared, path, upgrade, begin, ready })
    }

    /// Sends the request, and waits for the head of its response.
    async fn send(&mut self, mut request: Box<Request<RequestBody>>) -> Result<Response<Inflow>, Trouble> {
        match &mut self.line {
            Line::Http1(connection, _) => {
                connection.ask(self.ready, self.lane.server.in_flight());
                if let Some(early) = request.body().early() {
                    hyper::ext::on_informational(&mut request, move |said| early.tell(said.status(), said.headers()));
                }
                let sending = connection.sender.try_send_request(*request);
                self.answer(sending, Self::answered).await
            }
            // Boxed, for what a stream takes would weigh on every request of HTTP/1.
            Line::Http2(_) => Box::pin(self.answer_on_stream(*request)).await,
        }
    }

    /// Waits for what comes of a request that was sent, under the limit that is next.
    async fn answer<T>(
        &self,
        sending: impl Future<Output = T>,
        read: impl Fn(&Self, T) -> Result<Response<Inflow>, Trouble>,
    ) -> Result<Response<Inflow>, Trouble> {
        let mut sending = pin!(sending);
        let mut deadline = Deadline::at(self.next_look(self.ready));
        poll_fn(|cx| match sending.as_mut().poll(cx) {
            Poll::Ready(said) => Poll::Ready(read(self, said)),
            Poll::Pending => self.poll_limit(&mut deadline, cx).map(Err),
        })
        .await
    }

    /// What hyper says of the request, in our words.
    fn answered(&self, sent: Sent) -> Result<Response<Inflow>, Trouble> {
        sent.map(|response| response.map(Inflow::Http1)).map_err(|mut error| {
            let unsent = error.take_message().filter(|_| !self.begun()).map(Box::new);
            self.refuse(error.error(), unsent)
        })
    }

    /// Sends the request on a stream and waits for the response's head.
    async fn answer_on_stream(&self, request: Request<RequestBody>) -> Result<Response<Inflow>, Trouble> {
        let Line::Http2(stream) = &self.line else {
            return Err(Trouble::Failed { failure: Box::new(self.failure(Fault::H2ConnectionError)), unsent: None });
        };
        let scheme = if self.lane.tls.is_some() { &Scheme::HTTPS } else { &Scheme::HTTP };
        let response = self.answer(stream.exchange(request, scheme), |exchange, said| {
            said.map(|response| response.map(Inflow::Http2)).map_err(|refused| exchange.refuse_stream(refused))
        });
        let response = response.await?;
        if stream.received() > self.lane.settings.response_header_bytes {
            return Err(self.too_large());
        }
        Ok(response)
    }

    /// Ready when a limit has run out. The deadline is only moved when it comes, which most exchanges never see.
    fn poll_limit(&self, deadline: &mut Deadline, cx: &mut Context<'_>) -> Poll<Trouble> {
        while Pin::new(&mut *deadline).poll(cx).is_ready() {
            let limit = self.limit();
            let now = Instant::now();
            if now < limit.at() {
                deadline.reset(self.next_look(now));
                continue;
            }
            let timeouts = &self.lane.settings.timeouts;
            match limit {
                Limit::Send(_) => return Poll::Ready(self.late(Fault::RequestSendTimedOut, timeouts.send)),
                Limit::Response(_) => return Poll::Ready(self.late(Fault::ResponseTimedOut, timeouts.response)),
                Limit::Client(_) => return Poll::Ready(Trouble::Client(ClientFault::TimedOut)),
                Limit::Gate(_) => {
                    self.gate.iter().for_each(|gate| gate.open());
                    deadline.reset(self.next_look(now));
                }
            }
        }
        Poll::Pending
    }

    /// When to look again. Another limit may have come into force by then, and it may be a shorter one.
    fn next_look(&self, now: Instant) -> Instant {
        let Timeouts { send, response, .. } = self.lane.settings.timeouts;
        self.limit().at().min(now + send.min(response))
    }

    /// Which limit is next, as things stand.
    fn limit(&self) -> Limit {
        let Timeouts { send, response, .. } = self.lane.settings.timeouts;
        let last_sent = self.line.last_sent();
        if self.line.is_blocked() {
            return Limit::Send(last_sent + send);
        }
        let Some(watch) = self.watch.as_ref().filter(|watch| !watch.ended()) else {
            return Limit::Response(last_sent + response);
        };
        if self.gate.as_ref().is_some_and(|gate| !gate.is_open()) {
            return Limit::Gate(self.ready + EXPECT_PATIENCE);
        }
        Limit::Client(watch.waiting_since().unwrap_or_else(Instant::now) + self.lane.shared.client_body_timeout())
    }

    fn begun(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.begun())
    }
}
