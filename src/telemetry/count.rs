//! Owns the counters: one set a core, which only that core writes and anybody sums.

use std::sync::Mutex;
use std::sync::PoisonError;

use serde::Serialize;

use super::event::Event;
use super::event::Request;
use super::event::UpstreamFailure;
use super::event::cause_word;
use super::event::fault_word;
use super::tally::Rare;
use super::traffic::Sets;
use crate::diagnosis::Cause;
use crate::fault::Fault;
use crate::per_core::Number;

/// The counters of one core, on cache lines of their own (two at a time, as prefetchers take them).
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Counters {
    /// Requests, by the way that they took.
    pub(super) traffic: Sets,
    pub(super) rare: Rare,
    retried: Number,
    incidents_opened: Number,
    incidents_closed: Number,
    handshakes_failed: Number,
    proxy_headers_refused: Number,
    /// By status, from 400 to 599.
    refusals: [Number; 200],
    /// Only touched where something has failed; no other core waits for it.
    failures: Mutex<Vec<Failures>>,
}

/// What the process has done, all cores together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Requests that have ended.
    pub requests: u64,
    /// Their answers, by class of status.
    pub responses: Responses,
    /// Bytes of bodies that went to clients.
    pub bytes_sent: u64,
    /// Requests that this proxy refused, by status, lowest first.
    pub refusals: Vec<Refusals>,
    /// Failures of upstreams, in the order in which each kind was first met.
    pub failures: Vec<Failures>,
    /// How many of those a retry hid from the client.
    pub retried: u64,
    /// Incidents that were opened, or came back.
    pub incidents_opened: u64,
    /// Incidents that were closed.
    pub incidents_closed: u64,
    /// TLS handshakes with clients that came to nothing.
    pub handshakes_failed: u64,
    /// Connections that had to begin with a PROXY header, and did not, or came from somebody who is not to send one.
    pub proxy_headers_refused: u64,
    /// Log lines that were written.
    pub lines_written: u64,
    /// Log lines that were lost, since the log's output could not take them.
    pub lines_dropped: u64,
    /// Lines of incidents that the webhook did not take.
    pub webhook_dropped: u64,
}

/// Where a client was turned away that did not get as far as a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// In the TLS handshake.
    Handshake,
    /// Before or at the PROXY header.
    ProxyHeader,
}

/// Answers by class of status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Responses {
    /// 100 to 199: connections that were upgraded.
    #[serde(rename = "1xx")]
    pub informational: u64,
    /// 200 to 299
    #[serde(rename = "2xx")]
    pub success: u64,
    /// 300 to 399
    #[serde(rename = "3xx")]
    pub redirection: u64,
    /// 400 to 499
    #[serde(rename = "4xx")]
    pub client_error: u64,
    /// 500 to 599
    #[serde(rename = "5xx")]
    pub server_error: u64,
}

/// How many requests were refused with one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Refusals {
    /// The status.
    pub status: u16,
    /// How many.
    pub count: u64,
}

/// How many failures of one kind one upstream had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failures {
    /// The upstream's name; `other` for those that came when `MOST_KINDS` were known.
    pub upstream: Box<str>,
    /// What was observed.
    #[serde(serialize_with = "fault_word")]
    pub fault: Fault,
    /// Its likeliest cause.
    #[serde(serialize_with = "cause_word")]
    pub cause: Cause,
    /// How many.
    pub count: u64,
}

impl Responses {
    /// How many there are.
    pub(super) const fn sum(self) -> u64 {
        self.informational + self.success + self.redirection + self.client_error + self.server_error
    }

    /// Adds others to them.
    pub(super) const fn add(&mut self, more: Self) {
        self.informational += more.informational;
        self.success += more.success;
        self.redirection += more.redirection;
        self.client_error += more.client_error;
        self.server_error += more.server_error;
    }

    /// Each class by its name.
    #[must_use]
    pub const fn by_class(self) -> [(&'static str, u64); 5] {
        [
            ("1xx", self.informational),
            ("2xx", self.success),
            ("3xx", self.redirection),
            ("4xx", self.client_error),
            ("5xx", self.server_error),
        ]
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            traffic: Sets::default(),
            rare: Rare::default(),
            retried: Number::default(),
            incidents_opened: Number::default(),
            incidents_closed: Number::default(),
            handshakes_failed: Number::default(),
            proxy_headers_refused: Number::default(),
            refusals: std::array::from_fn(|_| Number::default()),
            failures: Mutex::default(),
        }
    }
}

impl Counters {
    /// Counts the event. To be called by one thread only.
    pub(super) fn count(&self, event: &Event<'_>) {
        match event {
            Event::Request(request) => self.count_request(request),
            Event::UpstreamFailure(failure) => self.count_failure(failure),
            Event::IncidentOpened(_) => self.incidents_opened.add(1),
            Event::IncidentClosed(_) => self.incidents_closed.add(1),
            Event::ServerEjected(_) | Event::Probe(_) | Event::Reloaded(_) | Event::ReloadRefused(_) => {
                self.rare.count(event);
            }
            Event::Started(_) | Event::Stopped(_) | Event::ServerReturned(_) | Event::Notice(_) => {}
        }
    }

    /// Counts a client that did not get as far as a request. There is no line for it: whoever likes could fill the log.
    pub(super) fn count_turned_away(&self, at: TurnedAway) {
        match at {
            TurnedAway::Handshake => self.handshakes_failed.add(1),
            TurnedAway::ProxyHeader => self.proxy_headers_refused.add(1),
        }
    }

    fn count_request(&self, request: &Request<'_>) {
        let traffic = request.traffic.unwrap_or(&self.traffic.unrouted);
        traffic.count(request.status, request.bytes_sent, request.elapsed);
        if request.upstream.is_none() {
            let refusals = usize::from(request.status).checked_sub(FIRST_REFUSAL).and_then(|at| self.refusals.get(at));
            if let Some(refusals) = refusals {
                refusals.add(1);
            }
        }
    }

    fn count_failure(&self, failure: &UpstreamFailure<'_>) {
        if failure.retried {
            self.retried.add(1);
        }
        let mut kinds = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        add_failures(&mut kinds, failure.upstream, failure.fault, failure.cause, 1);
    }

    /// Adds these counters to what others counted.
    pub(super) fn add_to(&self, totals: &mut Totals) {
        let mut ways = Vec::new();
        self.traffic.add_to(&mut ways);
        for way in ways {
            totals.requests += way.requests();
            totals.responses.add(way.responses);
            totals.bytes_sent += way.bytes_sent;
        }
        totals.retried += self.retried.get();
        totals.incidents_opened += self.incidents_opened.get();
        totals.incidents_closed += self.incidents_closed.get();
        totals.handshakes_failed += self.handshakes_failed.get();
        totals.proxy_headers_refused += self.proxy_headers_refused.get();
        for (status, counter) in (400..).zip(&self.refusals) {
            add_refusals(&mut totals.refusals, status, counter.get());
        }
        for kind in self.failures.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            add_failures(&mut totals.failures, &kind.upstream, kind.fault, kind.cause, kind.count);
        }
    }
}

fn add_refusals(refusals: &mut Vec<Refusals>, status: u16, count: u64) {
    if count == 0 {
        return;
    }
    match refusals.binary_search_by_key(&status, |known| known.status) {
        Ok(at) => refusals.get_mut(at).into_iter().for_each(|known| known.count += count),
        Err(at) => refusals.insert(at, Refusals { status, count }),
    }
}

fn add_failures(kinds: &mut Vec<Failures>, upstream: &str, fault: Fault, cause: Cause, count: u64) {
    let position = |name: &str| {
        kinds.iter().position(|kind| kind.fault == fault && kind.cause == cause && *kind.upstream == *name)
    };
    let full = kinds.len() >= MOST_KINDS;
    if let Some(at) = position(upstream).or_else(|| if full { position(OTHER) } else { None }) {
        kinds.get_mut(at).into_iter().for_each(|known| known.count += count);
    } else {
        let upstream = if full { OTHER } else { upstream }.into();
        kinds.push(Failures { upstream, fault, cause, count });
    }
}

/// The lowest status that is a refusal.
const FIRST_REFUSAL: usize = 400;

/// How many kinds of failures are told apart by upstream; reloads may bring new names without end.
const MOST_KINDS: usize = 256;

/// Stands for the upstreams of the kinds beyond those.
const OTHER: &str = "other";

#[cfg(test)]
mod tests {
    use super::Counters;
    use super::Failures;
    use super::MOST_KINDS;
    use super::OTHER;
    use super::Refusals;
    use super::Responses;
    use super::Totals;
    use crate::diagnosis::Cause;
    use crate::fault::Fault;
    use crate::telemetry::Event;
    use crate::telemetry::Request;
    use crate::telemetry::UpstreamFailure;
    use crate::telemetry::samples;

    #[test]
    fn totals_are_the_sums_over_the_cores() {
        let (one, two) = (Counters::default(), Counters::default());
        for status in [101, 200, 204, 304, 502, 999] {
            one.count(&request(status, Some("app")));
        }
        for status in [404, 404, 400, 501, 200] {
            two.count(&request(status, None));
        }
        one.count(&samples::failure());
        two.count(&samples::hidden_failure());
        two.count(&failure("api"));
        two.count(&samples::opened());
        one.count(&samples::opened());
        one.count(&samples::closed());
        for silent in [samples::started(), samples::ejected(), samples::returned(), samples::notice()] {
            one.count(&silent);
        }
        let responses = Responses { informational: 1, success: 3, redirection: 1, client_error: 3, server_error: 2 };
        let refusals = [(400, 1), (404, 2), (501, 1)].map(|(status, count)| Refusals { status, count });
        let expected = Totals {
            requests: 11,
            responses,
            bytes_sent: 1100,
            refusals: refusals.to_vec(),
            failures: vec![failures("app", 2), failures("api", 1)],
            retried: 1,
            incidents_opened: 2,
            incidents_closed: 1,
            ..Totals::default()
        };
        assert_eq!(summed(&[one, two]), expected);
    }

    #[test]
    fn upstreams_without_end_share_one_count() {
        let counters = Counters::default();
        for number in 0..MOST_KINDS + 10 {
            counters.count(&failure(&format!("upstream-{number}")));
        }
        counters.count(&failure("upstream-0"));
        let totals = summed(&[counters]);
        assert_eq!(totals.failures.len(), MOST_KINDS + 1);
        assert_eq!(totals.failures.first(), Some(&failures("upstream-0", 2)));
        assert_eq!(totals.failures.last(), Some(&failures(OTHER, 10)));
    }

    fn summed(cores: &[Counters]) -> Totals {
        let mut totals = Totals::default();
        for core in cores {
            core.add_to(&mut totals);
        }
        totals
    }

    fn request(status: u16, upstream: Option<&str>) -> Event<'_> {
        let Event::Request(request) = samples::request() else { panic!("the sample is a request") };
        Event::Request(Request { status, upstream, bytes_sent: 100, ..request })
    }

    fn failure(upstream: &str) -> Event<'_> {
        let Event::UpstreamFailure(failure) = samples::failure() else { panic!("the sample is a failure") };
        Event::UpstreamFailure(UpstreamFailure { upstream, ..failure })
    }

    fn failures(upstream: &str, count: u64) -> Failures {
        Failures { upstream: upstream.into(), fault: Fault::ConnectionRefused, cause: Cause::OriginDown, count }
    }
}
