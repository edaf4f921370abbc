//! Owns the lease: what a response that has begun holds until its body ends, and how it begins.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use http_body::Frame;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::Malformed;
use crate::fault::failure::ResponseEvidence;
use crate::upstream::attempt::Exchange;
use crate::upstream::attempt::Trouble;
use crate::upstream::body::ClientFault;
use crate::upstream::body::Cut;
use crate::upstream::body::ResponseBody;
use crate::upstream::connection::Upgraded;
use crate::upstream::inflow::Broken;
use crate::upstream::inflow::Inflow;
use crate::upstream::line::Line;
use crate::upstream::server::InFlight;

impl Exchange {
    /// The head is there: it is checked, and the beginning of the body with it where that has come along.
    pub(super) fn accept(
        mut self: Box<Self>,
        response: Response<Inflow>,
        in_flight: InFlight,
    ) -> Result<Response<ResponseBody>, Trouble> {
        self.lane.note_head(self.line.last_sent());
        self.line.answered(response.headers());
        let (mut parts, mut stream) = response.into_parts();
        self.lane.began(parts.status, self.line.last_sent());
        if let Line::Http1(connection, _) = &self.line
            && connection.tap.with_captured(has_stray_line_break)
        {
            let mut failure = self.failure(Fault::ResponseMalformed);
            failure.malformed = Some(Malformed::StatusLine);
            failure.response = Some(ResponseEvidence::of(&parts));
            return Err(Trouble::Failed { failure: Box::new(failure), unsent: None });
        }
        let first = match peek(&mut stream) {
            Ok(first) => first,
            Err(error) => {
                let mut failure = self.broken_body(error);
                failure.response = Some(ResponseEvidence::of(&parts));
                return Err(Trouble::Failed { failure: Box::new(failure), unsent: None });
            }
        };
        if self.upgrade && parts.status == http::StatusCode::SWITCHING_PROTOCOLS {
            parts.extensions.insert(Switched);
        }
        let ahead = first.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
        let declared = stream.size_hint().exact().map(|rest| rest + ahead);
        let lease = Lease { exchange: self, in_flight, declared, passed: 0, failed: false, reusable: true };
        Ok(Response::from_parts(parts, ResponseBody::new(stream, first, lease)))
    }
}

/// The limit that a body runs into next, and when.
#[derive(Debug, Clone, Copy)]
pub(super) enum BodyDue {
    /// The server's: no progress of the body.
    Server(Instant),
    /// The client's: no progress of its own body.
    Client(Instant),
}

impl BodyDue {
    pub(super) const fn at(self) -> Instant {
        match self {
            Self::Server(at) | Self::Client(at) => at,
        }
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
fn peek(stream: &mut Inflow) -> Result<Option<Frame<Bytes>>, Broken> {
    if stream.is_end_stream() {
        return Ok(None);
    }
    let cx = &mut Context::from_waker(Waker::noop());
    if let Inflow::Http2(stream) = stream {
        // Its frames come one behind the other, and so does what ends it.
        stream.look(cx)?;
    }
    match Pin::new(stream).poll_frame(cx) {
        Poll::Ready(Some(frame)) => frame.map(Some),
        Poll::Ready(None) | Poll::Pending => Ok(None),
    }
}

/// What a response's body holds until its end: the connection, the server's place in flight, and the exchange's evidence.
#[derive(Debug)]
pub(super) struct Lease {
    exchange: Box<Exchange>,
    in_flight: InFlight,
    declared: Option<u64>,
    passed: u64,
    failed: bool,
    reusable: bool,
}

impl Lease {
    /// The body was read to its end: the connection can take another request, unless one side wants it closed.
    pub(super) fn give_back(self) {
        let now = Instant::now();
        self.settle(now);
        let Self { exchange, in_flight, reusable, .. } = self;
        drop(in_flight);
        // Where a request waits for a connection, on this core or another, this one makes room.
        let wanted = exchange.lane.shared.capacity.wanted(exchange.lane.server.index) > 0;
        let complete = exchange.request_complete();
        let leads_there = exchange.lane.server.whereabouts.lead_to(exchange.line.peer());
        match exchange.line {
            Line::Http1(connection, _) if complete && reusable && leads_there && !wanted => {
                exchange.lane.pool.give(connection, now);
            }
            // The others go on without this stream.
            Line::Http1(..) | Line::Http2(_) => {}
        }
    }

    /// The response stops here, though nothing was wrong with it.
    pub(super) fn abandon(self) {
        self.settle(Instant::now());
    }

    /// The connection is not to be used again.
    pub(super) fn use_up(&mut self) {
        self.reusable = false;
    }

    fn settle(&self, now: Instant) {
        if !self.failed {
            let Exchange { lane, path, past, begin, .. } = &*self.exchange;
            lane.succeeded(*path, past.idle, *begin, now);
        }
    }

    /// When the request was given to the server.
    pub(super) fn asked(&self) -> Instant {
        self.exchange.begin
    }

    /// Bytes of the body were passed on.
    pub(super) fn count(&mut self, bytes: usize) {
        self.passed += bytes as u64;
    }

    /// No progress of the body is waited for longer than this.
    pub(super) fn body_limit(&self) -> Duration {
        self.exchange.lane.settings.timeouts.body
    }

    /// Which limit the body runs into, having waited since then. While the client still has to send, and keeps the server
    /// waiting, the client's limit holds: the server may need the rest before it can go on.
    pub(super) fn body_due(&self, since: Instant) -> BodyDue {
        let watch = self.exchange.watch.as_ref().filter(|watch| !watch.ended());
        match watch.and_then(|watch| watch.waiting_since()) {
            Some(client) => BodyDue::Client(client + self.exchange.lane.shared.client_body_timeout()),
            None => BodyDue::Server(since + self.body_limit()),
        }
    }

    /// That limit has run out.
    pub(super) fn body_late(&mut self, due: &BodyDue) -> Cut {
        if let Some(fault) = self.client_fault() {
            return Cut::Client(fault);
        }
        if matches!(due, BodyDue::Client(_)) {
            return self.blame_client(ClientFault::TimedOut);
        }
        let limit = self.body_limit();
        let mut failure = self.failure(Fault::ResponseBodyTimedOut).after(limit);
        failure.stage_elapsed = limit;
        failure.transport = self.exchange.line.tap().transport();
        Cut::Server(self.report(failure))
    }

    /// The body broke off.
    pub(super) fn body_failed(&mut self, error: Broken) -> Cut {
        if let Some(fault) = self.client_fault() {
            return self.blame_client(fault);
        }
        let failure = self.told(self.exchange.broken_body(error));
        Cut::Server(self.report(failure))
    }

    fn client_fault(&self) -> Option<ClientFault> {
        self.exchange.watch.as_ref().and_then(|watch| watch.fault())
    }

    /// Nothing is known of the server then, neither good nor bad.
    fn blame_client(&mut self, fault: ClientFault) -> Cut {
        self.failed = true;
        Cut::Client(fault)
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

    /// The answer itself is the failure. Whoever takes it counts it against the server.
    pub(super) fn intercept(&mut self, fault: Fault) -> Result<(Failure, Duration), ClientFault> {
        self.failed = true;
        match self.client_fault() {
            Some(fault) => Err(fault),
            // Nothing of its body is passed on, so that its length is none of the failure's.
            None => Ok((self.exchange.failure(fault), self.body_limit())),
        }
    }

    /// Bytes received for this exchange.
    pub(super) fn received(&self) -> u64 {
        self.exchange.line.received()
    }

    /// Where the stream arrives after a 101.
    pub(super) fn upgraded(&mut self) -> Option<oneshot::Receiver<Upgraded>> {
        // A tunnel may last for hours; that the server agreed to it is an answer by itself.
        self.settle(Instant::now());
        self.exchange.line.upgraded()
    }

    fn failure(&self, fault: Fault) -> Failure {
        self.told(self.exchange.failure(fault))
    }

    /// The failure with what was passed on of the body.
    fn told(&self, mut failure: Failure) -> Failure {
        if let Line::Http2(_) = &self.exchange.line {
            failure.bytes.received += self.passed;
        }
        failure.bytes.response_body = self.passed;
        failure.bytes.response_declared = self.declared;
        failure
    }

    fn report(&mut self, failure: Failure) -> Box<Failure> {
        self.failed = true;
        self.exchange.lane.failed(&failure, self.exchange.path);
        Box::new(failure)
    }
}
