//! Owns one exchange with one server: a connection, the request, the wait for the head, every stage under its limit.
//!
//! It knows nothing of who asked or who will read the answer. What it returns is a response whose body still belongs to the
//! connection, or a `Failure` with everything that this exchange could see.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use http::Request;
use http::Response;
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::time::Instant;

use crate::config::Timeouts;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::ConnectionEvidence;
use crate::net::deadline::Deadline;
use crate::upstream::Change;
use crate::upstream::Lane;
use crate::upstream::body::BodyWatch;
use crate::upstream::body::ClientFault;
use crate::upstream::body::EXPECT_PATIENCE;
use crate::upstream::body::Gate;
use crate::upstream::body::RequestBody;
use crate::upstream::body::ResponseBody;
use crate::upstream::connect;
use crate::upstream::connect::Opened;
use crate::upstream::connection::Connection;
use crate::upstream::history::Path;
use crate::upstream::intercept;
use crate::upstream::limit::Place;

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
    request: Request<RequestBody>,
    freshness: Freshness,
    place: &mut Option<Place>,
) -> Result<Response<ResponseBody>, Trouble> {
    let begin = Instant::now();
    let in_flight = lane.server.enter();
    let (exchange, sending) = match pooled(lane, freshness, begin) {
        // The clock is only read again where time has passed.
        Some((connection, idle)) => Exchange::begin(lane, connection, Some(idle), (begin, begin), request),
        // Boxed, for what it takes to open a connection would weigh on every request that finds one open.
        None => match Box::pin(open(lane)).await {
            Ok(connection) => {
                let ready = Instant::now();
                lane.note_connection(&connection.peer, begin, ready);
                Exchange::begin(lane, connection, None, (begin, ready), request)
            }
            Err(failure) => {
                let failure = Box::new(finish(failure, lane, begin));
                return Err(Trouble::Failed { failure, unsent: Some(Box::new(request)) });
            }
        },
    };
    let response = exchange.answer(sending).await?;
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
) -> Result<(Exchange, Response<Incoming>), Trouble> {
    let begin = Instant::now();
    let connection = Box::pin(connect(lane, None)).await.map_err(|failure| {
        let failure = Box::new(finish(failure, lane, begin));
        Trouble::Failed { failure, unsent: None }
    })?;
    opened.set(true);
    let (exchange, sending) = Exchange::begin(lane, connection, None, (begin, Instant::now()), request);
    let response = exchange.answer(sending).await?;
    Ok((exchange, response))
}

fn pooled(lane: &Lane, freshness: Freshness, now: Instant) -> Option<(Box<Connection>, Duration)> {
    match freshness {
        Freshness::Fresh => None,
        Freshness::Any => lane.pool.take(now),
    }
}

async fn open(lane: &Lane) -> Result<Box<Connection>, Failure> {
    let place = lane.connection_place().await?;
    connect(lane, Some(place)).await
}

async fn connect(lane: &Lane, place: Option<Place>) -> Result<Box<Connection>, Failure> {
    let timeouts = &lane.settings.timeouts;
    let Opened { stream, peer, stale } =
        connect::open(&lane.server, timeouts, &lane.resolver, lane.tls.as_ref()).await?;
    if stale {
        lane.shared.tell(Some(Change::Stale { server: lane.server.index }));
    }
    let connection = Connection::begin(stream, peer, lane.settings.response_header_bytes, place).await;
    connection.map(Box::new).map_err(|error| Failure::new(Fault::ClosedBeforeResponse).because(error))
}

/// What every failure of an attempt says.
pub(super) fn finish(mut failure: Failure, lane: &Lane, begin: Instant) -> Failure {
    failure.target = Some((*lane.server.target).clone());
    failure.elapsed = begin.elapsed();
    failure
}

/// What is kept of an exchange while it runs.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) lane: Rc<Lane>,
    pub(super) connection: Box<Connection>,
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
    /// Gives the request to the connection. What comes of it is in the second value, for `answer` to wait for.
    fn begin(
        lane: &Rc<Lane>,
        mut connection: Box<Connection>,
        idle: Option<Duration>,
        (begin, ready): (Instant, Instant),
        request: Request<RequestBody>,
    ) -> (Self, impl Future<Output = Sent> + use<>) {
        let past = connection.evidence(idle, ready);
        let body = request.body();
        let (watch, gate, declared) = (body.watch(), body.gate(), body.size_hint().exact());
        let upgrade = request.headers().contains_key(http::header::UPGRADE);
        let path = Path::of(request.uri().path());
        connection.tap.begin(CAPTURE, ready);
        let sending = connection.sender.try_send_request(request);
        (Self { lane: Rc::clone(lane), connection, past, watch, gate, declared, path, upgrade, begin, ready }, sending)
    }

    /// Waits for the response's head, under the limit that is next.
    async fn answer(&self, sending: impl Future<Output = Sent>) -> Result<Response<Incoming>, Trouble> {
        let mut sending = pin!(sending);
        let mut deadline = Deadline::at(self.next_look(self.ready));
        poll_fn(|cx| match sending.as_mut().poll(cx) {
            Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
            Poll::Ready(Err(mut error)) => {
                let unsent = error.take_message().filter(|_| !self.begun()).map(Box::new);
                Poll::Ready(Err(self.refuse(error.error(), unsent)))
            }
            Poll::Pending => self.poll_limit(&mut deadline, cx).map(Err),
        })
        .await
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
        let tap = &self.connection.tap;
        let last_sent = tap.last_sent();
        let Some(watch) = &self.watch else {
            return if tap.is_blocked() {
                Limit::Send(last_sent + send)
            } else {
                Limit::Response(last_sent + response)
            };
        };
        if tap.is_blocked() {
            return Limit::Send(last_sent + send);
        }
        if watch.ended() {
            return Limit::Response(last_sent + response);
        }
        if self.gate.as_ref().is_some_and(|gate| !gate.is_open()) {
            return Limit::Gate(self.ready + EXPECT_PATIENCE);
        }
        Limit::Client(watch.waiting_since().unwrap_or_else(Instant::now) + self.lane.client_body_timeout)
    }

    fn begun(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.begun())
    }
}

/// How much of an answer is kept until its head is complete, to tell what spoke and what was wrong with it.
const CAPTURE: usize = 4096;
