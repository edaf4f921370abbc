//! Owns one exchange with one server: a connection, the request, the wait for the head, every stage under its limit.
//!
//! It knows nothing of who asked or who will read the answer. What it returns is a response whose body still belongs to the
//! connection, or a `Failure` with everything that this exchange could see.

use std::future::poll_fn;
use std::pin::Pin;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::Response;
use http_body::Body;
use http_body::Frame;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::config::Timeouts;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Spoken;
use crate::fault::classify::http::Carried;
use crate::fault::classify::tls::name_alert;
use crate::fault::failure::ByteCounts;
use crate::fault::failure::ConnectionEvidence;
use crate::fault::failure::Malformed;
use crate::fault::failure::ResponseEvidence;
use crate::fault::failure::TlsEvidence;
use crate::net::deadline::Deadline;
use crate::net::tap::End;
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
use crate::upstream::connection::Upgraded;
use crate::upstream::server::InFlight;

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

/// One exchange: the request out, the response's head back.
pub(super) async fn run(
    lane: &Rc<Lane>,
    request: Request<RequestBody>,
    freshness: Freshness,
) -> Result<Response<ResponseBody>, Trouble> {
    let begin = Instant::now();
    let in_flight = lane.server.enter();
    let (connection, idle) = match pooled(lane, freshness, begin) {
        Some(found) => found,
        // Boxed, for what it takes to open a connection would weigh on every request that finds one open.
        None => match Box::pin(open(lane)).await {
            Ok(connection) => (connection, None),
            Err(failure) => {
                let failure = Box::new(finish(failure, lane, begin));
                return Err(Trouble::Failed { failure, unsent: Some(Box::new(request)) });
            }
        },
    };
    // The clock is only read again where time has passed.
    let ready = if idle.is_some() { begin } else { Instant::now() };
    let exchange = Exchange::new(lane, connection, idle, (begin, ready), &request);
    exchange.run(request, in_flight).await
}

fn pooled(lane: &Lane, freshness: Freshness, now: Instant) -> Option<(Box<Connection>, Option<Duration>)> {
    match freshness {
        Freshness::Fresh => None,
        Freshness::Any => lane.pool.take(now).map(|(connection, idle)| (connection, Some(idle))),
    }
}

async fn open(lane: &Lane) -> Result<Box<Connection>, Failure> {
    let timeouts = &lane.settings.timeouts;
    let Opened { stream, peer, stale } =
        connect::open(&lane.server, timeouts, &lane.resolver, lane.tls.as_ref()).await?;
    if stale {
        lane.shared.tell(Some(Change::Stale { server: lane.server.index }));
    }
    let connection = Connection::begin(stream, peer, lane.settings.response_header_bytes).await;
    connection.map(Box::new).map_err(|error| Failure::new(Fault::ClosedBeforeResponse).because(error))
}

/// What every failure of an attempt says.
fn finish(mut failure: Failure, lane: &Lane, begin: Instant) -> Failure {
    failure.target = Some((*lane.server.target).clone());
    failure.elapsed = begin.elapsed();
    failure
}

/// What is kept of an exchange while it runs.
#[derive(Debug)]
struct Exchange {
    lane: Rc<Lane>,
    connection: Box<Connection>,
    past: ConnectionEvidence,
    watch: Option<Rc<BodyWatch>>,
    gate: Option<Arc<Gate>>,
    declared: Option<u64>,
    begin: Instant,
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

impl Exchange {
    fn new(
        lane: &Rc<Lane>,
        connection: Box<Connection>,
        idle: Option<Duration>,
        (begin, ready): (Instant, Instant),
        request: &Request<RequestBody>,
    ) -> Self {
        let past = connection.evidence(idle, ready);
        let body = request.body();
        Self {
            lane: Rc::clone(lane),
            connection,
            past,
            watch: body.watch(),
            gate: body.gate(),
            declared: body.size_hint().exact(),
            begin,
            ready,
        }
    }

    async fn run(
        mut self,
        request: Request<RequestBody>,
        in_flight: InFlight,
    ) -> Result<Response<ResponseBody>, Trouble> {
        self.connection.tap.begin(CAPTURE, self.ready);
        let upgrade = request.headers().contains_key(http::header::UPGRADE);
        let sending = self.connection.sender.try_send_request(request);
        let outcome = self.answer(pin!(sending)).await;
        self.connection.tap.stop_capture();
        match outcome {
            Ok(Ok(response)) => self.accept(response, in_flight, upgrade),
            Ok(Err(mut error)) => {
                let unsent = error.take_message().filter(|_| !self.begun()).map(Box::new);
                Err(self.refuse(error.error(), unsent))
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Waits for the response's head, under the limit that is next.
    async fn answer(
        &self,
        mut sending: Pin<&mut impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>>>,
    ) -> Result<Result<Response<Incoming>, TrySendError<Request<RequestBody>>>, Trouble> {
        let mut deadline = Deadline::at(self.next_look(self.ready));
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = sending.as_mut().poll(cx) {
                return Poll::Ready(Ok(outcome));
            }
            self.poll_limit(&mut deadline, cx).map(Err)
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

    /// Everything that this exchange saw, as a failure.
    fn failure(&self, fault: Fault) -> Failure {
        let tap = &self.connection.tap;
        let mut failure = Failure::new(fault);
        failure.peer = Some(self.connection.peer.clone());
        failure.os_error = tap.os_error();
        failure.connection = self.past;
        failure.spoken = tap.spoken();
        failure.stage_elapsed = tap.last_sent().elapsed();
        failure.bytes = ByteCounts {
            request_sent: tap.sent(),
            request_complete: self.request_complete(),
            request_declared: self.declared,
            received: tap.received(),
            ..ByteCounts::default()
        };
        finish(failure, &self.lane, self.begin)
    }

    fn request_complete(&self) -> bool {
        !self.connection.tap.is_blocked() && self.watch.as_ref().is_none_or(|watch| watch.ended())
    }

    fn late(&self, fault: Fault, limit: Duration) -> Trouble {
        if let Some(fault) = self.watch.as_ref().and_then(|watch| watch.fault()) {
            return Trouble::Client(fault);
        }
        let mut failure = self.failure(fault).after(limit);
        failure.transport = self.connection.tap.transport();
        if failure.spoken.is_some_and(|spoken| spoken != Spoken::Http1) {
            // It did speak, only not HTTP, and then waited for its own protocol's next word.
            failure.fault = Fault::ResponseNotHttp;
        }
        Trouble::Failed { failure: Box::new(failure), unsent: None }
    }

    /// hyper says that there will be no response.
    fn refuse(self, error: &hyper::Error, unsent: Option<Box<Request<RequestBody>>>) -> Trouble {
        if let Some(fault) = self.watch.as_ref().and_then(|watch| watch.fault()) {
            return Trouble::Client(fault);
        }
        let tap = &self.connection.tap;
        let carried = Carried {
            received: tap.received(),
            request_complete: self.request_complete() && !tap.write_failed(),
            ended: tap.ended(),
            spoken: tap.spoken(),
        };
        let mut failure = self.failure(Fault::of_exchange(error, carried));
        tap.with_end(|end| note_tls(&mut failure, end, &self.lane));
        if matches!(failure.fault, Fault::ResponseMalformed | Fault::ResponseHeaderTooLarge) {
            failure.malformed = tap.with_captured(Malformed::read);
        }
        if failure.fault == Fault::ResponseHeaderTooLarge {
            failure.bytes.header_limit = Some(self.lane.settings.response_header_bytes);
        }
        failure.source = Some(Arc::new(Said(error.to_string())));
        Trouble::Failed { failure: Box::new(failure), unsent }
    }

    /// The head is there: it is checked, and the beginning of the body with it where that has come along.
    fn accept(
        mut self,
        response: Response<Incoming>,
        in_flight: InFlight,
        upgrade: bool,
    ) -> Result<Response<ResponseBody>, Trouble> {
        self.connection.answered(response.headers());
        let (mut parts, mut stream) = response.into_parts();
        if self.connection.tap.with_captured(has_stray_line_break) {
            let mut failure = self.failure(Fault::ResponseMalformed);
            failure.malformed = Some(Malformed::StatusLine);
            failure.response = Some(ResponseEvidence::of(&parts));
            return Err(Trouble::Failed { failure: Box::new(failure), unsent: None });
        }
        let first = match peek(&mut stream) {
            Ok(first) => first,
            Err(error) => {
                let mut failure = self.failure(Fault::of_body(&error, self.connection.tap.ended())).because(error);
                failure.response = Some(ResponseEvidence::of(&parts));
                return Err(Trouble::Failed { failure: Box::new(failure), unsent: None });
            }
        };
        if upgrade && parts.status == http::StatusCode::SWITCHING_PROTOCOLS {
            parts.extensions.insert(Switched);
        }
        let ahead = first.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
        let declared = stream.size_hint().exact().map(|rest| rest + ahead);
        let lease = Lease { exchange: self, in_flight, declared, passed: 0, failed: false, reusable: true };
        Ok(Response::from_parts(parts, ResponseBody::new(stream, first, Box::new(lease))))
    }
}

/// Marks the head of a response behind which the connection is no longer HTTP.
#[derive(Debug, Clone, Copy)]
pub struct Switched;

/// Whether a line break stands before a status line, which hyper passes over and RFC 9112, section 4, has no place for.
fn has_stray_line_break(answer: &[u8]) -> bool {
    let mut rest = answer;
    while rest.starts_with(b"HTTP/1.1 1") && !rest.starts_with(b"HTTP/1.1 101") {
        let Some(end) = memchr::memmem::find(rest, b"\r\n\r\n") else { return false };
        rest = rest.get(end + 4..).unwrap_or_default();
    }
    matches!(rest.first(), Some(b'\r' | b'\n'))
}

/// What was read of the body together with the head. Nothing is waited for: a head never waits for a body.
fn peek(stream: &mut Incoming) -> Result<Option<Frame<Bytes>>, hyper::Error> {
    if stream.is_end_stream() {
        return Ok(None);
    }
    match Pin::new(stream).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(frame)) => frame.map(Some),
        Poll::Ready(None) | Poll::Pending => Ok(None),
    }
}

/// What a response's body holds until its end: the connection, the server's place in flight, and the exchange's evidence.
#[derive(Debug)]
pub(super) struct Lease {
    exchange: Exchange,
    in_flight: InFlight,
    declared: Option<u64>,
    passed: u64,
    failed: bool,
    reusable: bool,
}

impl Lease {
    /// The body was read to its end: the connection can take another request, unless one side wants it closed.
    pub(super) fn give_back(self) {
        self.settle();
        let Self { exchange, in_flight, reusable, .. } = self;
        drop(in_flight);
        if exchange.request_complete() && reusable {
            exchange.lane.pool.give(exchange.connection);
        }
    }

    /// The response stops here, though nothing was wrong with it.
    pub(super) fn abandon(self) {
        self.settle();
    }

    /// The connection is not to be used again.
    pub(super) fn use_up(&mut self) {
        self.reusable = false;
    }

    fn settle(&self) {
        if !self.failed {
            self.exchange.lane.succeeded();
        }
    }

    /// Bytes of the body were passed on.
    pub(super) fn count(&mut self, bytes: usize) {
        self.passed += bytes as u64;
    }

    /// No progress of the body is waited for longer than this.
    pub(super) fn body_limit(&self) -> Duration {
        self.exchange.lane.settings.timeouts.body
    }

    /// The body made no progress for too long.
    pub(super) fn body_late(&mut self, limit: Duration) -> Box<Failure> {
        let mut failure = self.failure(Fault::ResponseBodyTimedOut).after(limit);
        failure.stage_elapsed = limit;
        failure.transport = self.exchange.connection.tap.transport();
        self.report(failure)
    }

    /// The body broke off.
    pub(super) fn body_failed(&mut self, error: hyper::Error) -> Box<Failure> {
        let tap = &self.exchange.connection.tap;
        let mut failure = self.failure(Fault::of_body(&error, tap.ended()));
        failure.os_error = tap.os_error();
        if failure.fault == Fault::ResponseChunkingInvalid {
            failure.malformed = Some(Malformed::ChunkSize);
        }
        self.report(failure.because(error))
    }

    /// The head that hyper let through is none that may be passed on.
    pub(super) fn reject(&mut self, malformed: Malformed, status: u16) -> Box<Failure> {
        let is_upgrade = matches!(malformed, Malformed::Upgrade(_));
        let fault = if is_upgrade { Fault::UpgradeFailed } else { Fault::ResponseMalformed };
        let mut failure = self.failure(fault);
        failure.malformed = Some(malformed);
        failure.response = Some(ResponseEvidence { status, ..ResponseEvidence::default() });
        self.report(failure)
    }

    /// Where the stream arrives after a 101.
    pub(super) fn upgraded(&mut self) -> Option<oneshot::Receiver<Upgraded>> {
        self.exchange.connection.upgraded()
    }

    fn failure(&self, fault: Fault) -> Failure {
        let mut failure = self.exchange.failure(fault);
        failure.bytes.response_body = self.passed;
        failure.bytes.response_declared = self.declared;
        failure
    }

    fn report(&mut self, failure: Failure) -> Box<Failure> {
        self.failed = true;
        self.exchange.lane.failed(&failure);
        Box::new(failure)
    }
}

/// The TLS alert or error that ended the connection after the handshake, as TLS 1.3 says of a missing client certificate.
fn note_tls(failure: &mut Failure, end: Option<&End>, lane: &Lane) {
    let Some(End::Failed { tls: Some(error), .. }) = end else { return };
    let alert = if let rustls::Error::AlertReceived(alert) = error { Some(name_alert(*alert)) } else { None };
    failure.fault = if alert.is_some() { Fault::TlsAlert } else { Fault::TlsProtocolError };
    failure.tls = Some(TlsEvidence {
        server_name: lane.tls.as_ref().map_or_else(String::new, |tls| tls.name.to_str().into_owned()),
        client_certificate: lane.tls.as_ref().is_some_and(|tls| tls.client_certificate),
        alert,
        certificate: None,
    });
}

/// hyper's error, which cannot be kept itself where the request comes back with it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);

/// How much of an answer is kept until its head is complete, to tell what spoke and what was wrong with it.
const CAPTURE: usize = 4096;
