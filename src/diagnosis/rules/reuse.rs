//! Owns the rules over a connection's past and over several attempts: what had died before, what died of this.

use std::time::Duration;

use super::FORGETFUL;
use crate::diagnosis::Case;
use crate::diagnosis::wording::duration;
use crate::diagnosis::wording::place;
use crate::fault::Failure;
use crate::fault::Fault;

/// A connection that the server closes just as it is used again ends within a round trip: the end was under way already
/// (RFC 9112, section 9.3.1).
pub(super) fn keepalive_race(case: &Case) -> Option<String> {
    let failure = died_reused(case)?;
    (failure.waited() <= round_trips(failure)).then(|| race(failure, "before it can have read the request"))
}

pub(super) fn keepalive_race_late(case: &Case) -> Option<String> {
    let failure = died_reused(case)?;
    let late = failure.waited() > round_trips(failure) && failure.waited() <= RACE_ENDS;
    late.then(|| race(failure, "without a byte"))
}

pub(super) fn idle_at_announced_limit(case: &Case) -> Option<String> {
    let (failure, idle, announced) = announced(case)?;
    (idle + MARGIN >= announced && failure.waited() <= RACE_ENDS).then(|| {
        format!(
            "the connection to {} had been idle for {}, and the server had announced to keep it for {} (Keep-Alive: \
             timeout): it closed just when it was used again",
            place(failure),
            duration(idle),
            duration(announced)
        )
    })
}

pub(super) fn idle_far_below_announced_limit(case: &Case) -> Option<String> {
    let (failure, idle, announced) = announced(case)?;
    (idle < announced / 2).then(|| {
        format!(
            "the connection to {} had been idle for {} only, and the server had announced to keep it for {}: it was \
             not closed for being idle",
            place(failure),
            duration(idle),
            duration(announced)
        )
    })
}

pub(super) fn idle_at_usual_limit(case: &Case) -> Option<String> {
    let failure = died_reused(case).filter(|failure| failure.waited() <= RACE_ENDS)?;
    let idle = failure.connection.idle?;
    let near = |limit: &&(u64, &str)| {
        let limit = Duration::from_secs(limit.0);
        idle + BEFORE >= limit && idle <= limit + AFTER
    };
    let (limit, servers) = USUAL_LIMITS.iter().find(near)?;
    Some(format!("the connection had been idle for {}, and {limit} s is the usual limit of {servers}", duration(idle)))
}

/// Translators of addresses and load balancers forget a connection that is idle for minutes, and drop what comes later.
pub(super) fn idle_connection_forgotten(case: &Case) -> Option<String> {
    let faults =
        [Fault::ResponseTimedOut, Fault::ResetBeforeResponse, Fault::ResetWhileSending, Fault::RequestSendTimedOut];
    let failure =
        case.failed_with(&faults).filter(|failure| failure.connection.reused && failure.nothing_received())?;
    let idle = failure.connection.idle?;
    let unacknowledged = failure.transport.map(|known| known.unacknowledged > 0);
    let reset = failure.fault == Fault::ResetBeforeResponse || failure.fault == Fault::ResetWhileSending;
    let forgotten = match unacknowledged {
        Some(true) => idle >= FORGETFUL,
        Some(false) => idle >= FORGOTTEN && reset,
        None => idle >= FORGOTTEN,
    };
    forgotten.then(|| {
        format!(
            "the connection to {} had been idle for {} and was dead when it was used again: a firewall, an address \
             translator or a load balancer on the way forgets idle connections",
            place(failure),
            duration(idle)
        )
    })
}

pub(super) fn failed_on_fresh_connection_too(case: &Case) -> Option<String> {
    let failure = case.failed_with(DIED)?;
    let ended = |reused: bool| move |other: &Failure| DIED.contains(&other.fault) && other.connection.reused == reused;
    let both = case.attempts.iter().any(ended(true)) && case.attempts.iter().any(ended(false));
    both.then(|| {
        format!(
            "{} ended a reused and then a fresh connection alike, so it is not the age of the connection",
            place(failure)
        )
    })
}

pub(super) fn crashed_on_request(case: &Case) -> Option<String> {
    let (ended, refused) = ended_then_refused(case)?;
    (!ended.connection.reused).then(|| {
        format!(
            "{} hung up on this request after {} and refused the next connection: the request seems to have ended the \
             program",
            place(refused),
            duration(ended.waited())
        )
    })
}

pub(super) fn ended_between_attempts(case: &Case) -> Option<String> {
    let (ended, refused) = ended_then_refused(case)?;
    ended.connection.reused.then(|| {
        format!(
            "{} closed its idle connection and refused the next one: the program has just ended or is restarting",
            place(refused)
        )
    })
}

/// An attempt whose connection died, followed by one that the same server refused.
fn ended_then_refused(case: &Case) -> Option<(&Failure, &Failure)> {
    let pairs = case.attempts.iter().zip(case.attempts.iter().skip(1));
    pairs.into_iter().find(|(ended, refused)| {
        DIED.contains(&ended.fault)
            && matches!(refused.fault, Fault::ConnectionRefused | Fault::SocketMissing)
            && ended.target.is_some()
            && ended.target == refused.target
    })
}

/// The failure of a connection that had been used before, and on which nothing came back this time.
fn died_reused(case: &Case) -> Option<&Failure> {
    case.failed_with(DIED).filter(|failure| failure.connection.reused && failure.nothing_received())
}

/// The same with how long it was idle and how long the server had announced to keep it.
fn announced(case: &Case) -> Option<(&Failure, Duration, Duration)> {
    let failure = died_reused(case)?;
    Some((failure, failure.connection.idle?, failure.connection.keep_alive_hint?))
}

fn race(failure: &Failure, how: &str) -> String {
    let idle = failure.connection.idle.map(|idle| format!(" after {} idle", duration(idle))).unwrap_or_default();
    format!(
        "{} ended a reused connection{idle}, {} after the request and {how}: servers close idle connections \
         (keep-alive) just as they are used again",
        place(failure),
        duration(failure.waited())
    )
}

/// How soon an end that was under way before the request arrives after it.
fn round_trips(failure: &Failure) -> Duration {
    let measured = failure.transport.map_or(Duration::ZERO, |known| known.round_trip * 3);
    measured.max(RACE)
}

const DIED: &[Fault] = &[Fault::ClosedBeforeResponse, Fault::ResetBeforeResponse, Fault::ResetWhileSending];

/// Within this time nothing but an end under way arrives, where the round trip is not known.
const RACE: Duration = Duration::from_millis(5);

/// After this time the server had every chance to read the request.
const RACE_ENDS: Duration = Duration::from_millis(60);

/// How long before its announced limit a server may close, since both sides count from different moments.
const MARGIN: Duration = Duration::from_millis(750);

/// How far before and after a usual limit an idle time may be; Node closes a second late.
const BEFORE: Duration = Duration::from_millis(100);
const AFTER: Duration = Duration::from_millis(1_100);

/// A connection idle for so long may have been forgotten by somebody on the way: Azure forgets after 4 minutes, AWS's
/// load balancer after 350 s, Docker's after 15 minutes.
const FORGOTTEN: Duration = Duration::from_secs(230);

/// How many seconds servers keep an idle connection unless told otherwise.
const USUAL_LIMITS: &[(u64, &str)] = &[
    (2, "gunicorn's threaded workers"),
    (5, "Node.js, uvicorn and Apache"),
    (20, "Tomcat and Puma"),
    (30, "Jetty"),
    (60, "AWS's load balancers"),
    (75, "nginx"),
];
