//! Owns the rules over the past: what worked before, since when it does not, and what else fails or works beside it.
//!
//! A past that is not known says nothing; the first request of a new process is diagnosed by what it saw itself.

use std::net::IpAddr;
use std::time::Duration;

use super::AT_ONCE;
use crate::diagnosis::Case;
use crate::diagnosis::history::Health;
use crate::diagnosis::history::Pace;
use crate::diagnosis::history::Past;
use crate::diagnosis::wording::counted;
use crate::diagnosis::wording::duration;
use crate::diagnosis::wording::list;
use crate::diagnosis::wording::place;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::Peer;

/// It was there, and is gone.
pub(super) fn worked_until(case: &Case) -> Option<String> {
    let failure = case.failed_with(GONE)?;
    let past = &case.history.server;
    let ago = last_success(past)?;
    (past.failures_since_success > 0 && new_address(case).is_none()).then(|| {
        format!(
            "{} worked until {} ago ({} in the last hour), and every request since has failed, {} in {}",
            place(failure),
            duration(ago),
            count(past.successes.hour, "answer"),
            count(past.failures_since_success, "failure"),
            duration(past.failing_for.unwrap_or_default())
        )
    })
}

/// What answered with these settings is not wrong in them.
pub(super) fn worked_as_configured(case: &Case) -> Option<String> {
    let failure = case.failed_with(SETTINGS).filter(|failure| !failure.connection.reused)?;
    let past = &case.history.server;
    let ago = last_success(past)?;
    Some(format!(
        "with these settings {} has given {}, the last {} ago: its port, scheme and protocol were right then",
        place(failure),
        count(past.successes.ever, "answer"),
        duration(ago)
    ))
}

pub(super) fn never_worked(case: &Case) -> Option<String> {
    let (failure, watched) = never_answered(case)?;
    (watched >= LONG_ENOUGH).then(|| {
        format!(
            "{} has never answered in the {} that this proxy watches it, and failed {}: a wrong address or port in its settings \
             is likelier than a program that has just stopped",
            place(failure),
            duration(watched),
            count(case.history.server.failures.ever, "time")
        )
    })
}

pub(super) fn not_worked_yet(case: &Case) -> Option<String> {
    let (failure, watched) = never_answered(case)?;
    (watched < LONG_ENOUGH).then(|| {
        format!(
            "{} has not answered yet, in the {} that this proxy runs: it may be starting, or set up wrongly",
            place(failure),
            duration(watched)
        )
    })
}

pub(super) fn only_this_path_breaks(case: &Case) -> Option<String> {
    case.failed_with(BREAKS).filter(|failure| !inspected(failure))?;
    only_this_path(case)
}

pub(super) fn only_this_path_hangs(case: &Case) -> Option<String> {
    case.failed_with(HANGS)?;
    only_this_path(case)
}

/// A box that looks into requests ends what it does not like with a reset, before the program has seen it.
pub(super) fn only_this_path_is_reset(case: &Case) -> Option<String> {
    let failure = case.failed_with(RESETS).filter(|failure| inspected(failure))?;
    let says = only_this_path(case)?;
    (case.history.path.failures > 1).then(|| {
        format!(
            "{says}; {} resets it within {} on a fresh connection, as a box on the way does that inspects requests",
            place(failure),
            duration(failure.waited())
        )
    })
}

pub(super) fn every_path_hangs(case: &Case) -> Option<String> {
    let says = every_path(case)?;
    let past = &case.history.server;
    let usual = past.in_flight_usual?;
    (past.in_flight <= usual.saturating_mul(2)).then(|| {
        format!(
            "{says}, though no more than usual is in flight ({}, usually up to {usual}): the program hangs",
            past.in_flight
        )
    })
}

pub(super) fn every_path_queues(case: &Case) -> Option<String> {
    let says = every_path(case)?;
    crowd(&case.history.server)
        .map(|(now, usual)| format!("{says}, and {now} requests are in flight where usually up to {usual} are"))
}

pub(super) fn more_in_flight_than_usual(case: &Case) -> Option<String> {
    let failure = case.failed_with(LOADED)?;
    let (now, usual) = crowd(&case.history.server)?;
    Some(format!(
        "{now} requests were in flight to {} when this one failed, and {usual} at most while it answered well",
        place(failure)
    ))
}

pub(super) fn answers_grew_slow(case: &Case) -> Option<String> {
    let failure = case.failed_with(LOADED)?;
    let pace = slower(case.history.server.answering, SLOW_ANSWER)?;
    Some(format!(
        "before it failed, {} took {} for the head of an answer, {} of the usual {}",
        place(failure),
        duration(pace.now),
        times(pace),
        duration(pace.usual)
    ))
}

pub(super) fn connections_grew_slow(case: &Case) -> Option<String> {
    let failure = case.failed_with(LOADED)?;
    let pace = slower(case.history.server.connecting, SLOW_CONNECTION)?;
    Some(format!(
        "before it failed, opening a connection to {} took {}, {} of the usual {}",
        place(failure),
        duration(pace.now),
        times(pace),
        duration(pace.usual)
    ))
}

/// A worker that is killed, or a limit further back: programs count in round seconds.
pub(super) fn ended_at_round_time(case: &Case) -> Option<String> {
    let failure = case.failed_with(ENDED).filter(|failure| failure.limit.is_none())?;
    let (time, failures) = case.history.server.cluster?;
    let limit = case.settings.timeouts.response;
    let round = ROUND.iter().map(|seconds| Duration::from_secs(*seconds)).find(|round| {
        let reach = (*round / 30).max(Duration::from_millis(150));
        round.abs_diff(time) <= reach
    })?;
    (round < limit).then(|| {
        format!(
            "{} at {} ended about {} after the request, below this proxy's limit of {}: a limit of the origin's own \
             ends them, as where a worker is killed",
            count(failures, "failure"),
            place(failure),
            duration(round),
            duration(limit)
        )
    })
}

pub(super) fn closes_idle_earlier(case: &Case) -> Option<String> {
    let failure = died_idle(case)?;
    let (age, kept) = (case.history.server.keep_alive?, case.settings.pool_idle);
    (age < kept).then(|| {
        format!(
            "{} was found to close idle connections after {}, and `[upstream.pool] idle_timeout` of {} keeps them for {}",
            place(failure),
            duration(age),
            case.settings.upstream,
            duration(kept)
        )
    })
}

pub(super) fn idle_connections_die(case: &Case) -> Option<String> {
    let failure = died_idle(case)?;
    let past = &case.history.server;
    let (closes, least) = past.idle_closes.filter(|(closes, _)| *closes > 1)?;
    past.keep_alive.is_none().then(|| {
        format!(
            "idle connections of {} were found closed {}, at the earliest after {}",
            place(failure),
            count(closes, "time"),
            duration(least)
        )
    })
}

pub(super) fn name_leads_elsewhere(case: &Case) -> Option<String> {
    let (now, before, ago) = new_address(case)?;
    let failure = case.failure();
    let name = failure.target.as_ref().map(|target| target.host.to_string()).unwrap_or_default();
    Some(format!(
        "{name} leads to {now} now, where nothing has worked yet; {} ago it led to {before}, which worked: its record was changed",
        duration(ago)
    ))
}

pub(super) fn other_servers_answer(case: &Case) -> Option<String> {
    case.failed_with(UNREACHED)?;
    others_fine(case)
}

pub(super) fn other_servers_cope(case: &Case) -> Option<String> {
    case.failed_with(BREAKS).or_else(|| case.failed_with(HANGS)).filter(|_| died_idle(case).is_none())?;
    others_fine(case)
}

pub(super) fn every_server_hangs(case: &Case) -> Option<String> {
    case.failed_with(HANGS)?;
    others_alike(case)
}

pub(super) fn every_server_unreached(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::ConnectionTimedOut, Fault::HostUnreachable])?;
    others_alike(case)
}

pub(super) fn health_check_passes(case: &Case) -> Option<String> {
    let failure = case.failed_with(BREAKS).or_else(|| case.failed_with(HANGS))?;
    let health = health(case).filter(|health| health.up && health.fault.is_none())?;
    (died_idle(case).is_none() && health.path != case.request.path).then(|| {
        format!(
            "the health check of {} on {} passed {} ago, while {} fails",
            place(failure),
            health.path,
            duration(health.checked),
            case.request.path
        )
    })
}

pub(super) fn health_check_fails(case: &Case) -> Option<String> {
    let failure = case.failed_with(GONE)?;
    failed_check(case, failure)
}

pub(super) fn health_check_breaks(case: &Case) -> Option<String> {
    let failure = case.failed_with(BREAKS).or_else(|| case.failed_with(HANGS))?;
    failed_check(case, failure)
}

/// When it last answered, where that was no single answer.
fn last_success(past: &Past) -> Option<Duration> {
    past.last_success.filter(|_| past.successes.ever >= FEW)
}

/// How long a server was watched that has failed a few times and never answered.
fn never_answered(case: &Case) -> Option<(&Failure, Duration)> {
    let failure = case.failed_with(SETTINGS)?;
    let past = &case.history.server;
    (past.successes.ever == 0 && past.failures.ever >= FEW).then_some((failure, case.history.watched))
}

fn only_this_path(case: &Case) -> Option<String> {
    let path = &case.history.path;
    let alone = path.failures > 0 && path.others_working > 0 && path.others_failing == 0;
    (alone && died_idle(case).is_none()).then(|| {
        format!(
            "only {} fails, {}, while {} answered, the last {} ago",
            case.request.path,
            count(path.failures, "time"),
            if path.others_working == 1 {
                "another path is".to_owned()
            } else {
                format!("{} other paths are", path.others_working)
            },
            duration(path.other_success.unwrap_or_default())
        )
    })
}

fn every_path(case: &Case) -> Option<String> {
    let failure = case.failed_with(HANGS)?;
    let (past, path) = (&case.history.server, &case.history.path);
    let ago = last_success(past)?;
    (path.others_working == 0 && path.others_failing > 0).then(|| {
        format!(
            "{} fails on {} and {}, though it worked until {} ago",
            place(failure),
            case.request.path,
            count(path.others_failing, "other path"),
            duration(ago)
        )
    })
}

/// What is in flight now and was at most while all went well, where that is far more.
fn crowd(past: &Past) -> Option<(u32, u32)> {
    let usual = past.in_flight_usual?;
    (past.in_flight >= usual.saturating_mul(3) && past.in_flight >= usual + CROWD).then_some((past.in_flight, usual))
}

/// A pace that is several times the usual one, and no matter of milliseconds.
fn slower(pace: Option<Pace>, least: Duration) -> Option<Pace> {
    pace.filter(|pace| pace.samples >= SAMPLES && pace.now >= least && pace.now >= pace.usual * SEVERAL)
}

fn times(pace: Pace) -> String {
    let factor = pace.now.as_secs_f64() / pace.usual.as_secs_f64().max(0.000_1);
    format!("{factor:.0} times")
}

/// The address that fails, the one that worked before it, and when that was last connected to.
fn new_address(case: &Case) -> Option<(IpAddr, IpAddr, Duration)> {
    let failure = case.failed_with(ELSEWHERE)?;
    failure.target.as_ref().filter(|target| target.is_named())?;
    let Some(Peer::Tcp(peer)) = &failure.peer else { return None };
    let known = &case.history.server.addresses;
    let (before, ago) = known.first()?;
    let is_new = known.iter().all(|(address, _)| *address != peer.ip());
    (is_new && case.history.server.successes.ever > 0).then_some((peer.ip(), *before, *ago))
}

fn died_idle(case: &Case) -> Option<&Failure> {
    let failure = case.failed_with(DIED)?;
    (failure.connection.reused && failure.nothing_received()).then_some(failure)
}

/// Whether a fresh connection was reset so soon that hardly a program can have seen the request.
fn inspected(failure: &Failure) -> bool {
    RESETS.contains(&failure.fault) && !failure.connection.reused && failure.waited() <= AT_ONCE
}

fn others_fine(case: &Case) -> Option<String> {
    let others = &case.history.others;
    let fine = |past: &Past| past.successes.minute > 0 && past.failures.minute == 0;
    (!others.is_empty() && others.iter().all(|(_, past)| fine(past))).then(|| {
        let names: Vec<&str> = others.iter().map(|(name, _)| name.as_str()).collect();
        let answers = others.iter().map(|(_, past)| past.successes.minute).sum();
        format!(
            "only this server fails: {} gave {} in the last minute and failed never",
            list(&names),
            count(answers, "answer")
        )
    })
}

fn others_alike(case: &Case) -> Option<String> {
    let (fault, others) = (case.failure().fault, &case.history.others);
    let alike =
        |past: &Past| past.successes.seconds == 0 && past.faults.first().is_some_and(|(first, _)| *first == fault);
    (!others.is_empty() && others.iter().all(|(_, past)| alike(past))).then(|| {
        format!(
            "every server of {} fails alike ({fault}, {} elsewhere in the last minute): what they share is at fault, not one \
             of them",
            case.settings.upstream,
            count(others.iter().map(|(_, past)| past.failures.minute).sum(), "failure")
        )
    })
}

fn health(case: &Case) -> Option<&Health> {
    case.history.server.health.as_ref().filter(|health| health.checked <= RECENT)
}

fn failed_check(case: &Case, failure: &Failure) -> Option<String> {
    let health = health(case).filter(|health| !health.up)?;
    let how = match (health.fault, health.status) {
        (Some(fault), _) => fault.to_string(),
        (None, Some(status)) => format!("status {status}"),
        (None, None) => "no answer".to_owned(),
    };
    Some(format!(
        "the health check of {} on {} fails too ({how}, {} ago)",
        place(failure),
        health.path,
        duration(health.checked)
    ))
}

fn count(number: u64, noun: &str) -> String {
    counted(usize::try_from(number).unwrap_or(usize::MAX), noun)
}

/// Nobody is there.
const GONE: &[Fault] = &[Fault::ConnectionRefused, Fault::SocketMissing, Fault::HostUnreachable];

/// No connection came about.
const UNREACHED: &[Fault] =
    &[Fault::ConnectionRefused, Fault::SocketMissing, Fault::HostUnreachable, Fault::ConnectionTimedOut];

/// What a wrong setting looks like.
const SETTINGS: &[Fault] = &[
    Fault::ConnectionRefused,
    Fault::SocketMissing,
    Fault::TlsNotSpoken,
    Fault::TlsHandshakeClosed,
    Fault::ClosedBeforeResponse,
    Fault::ResetBeforeResponse,
    Fault::ResponseNotHttp,
];

/// The program, or something before it, broke the exchange off or broke its rules.
const BREAKS: &[Fault] = &[
    Fault::ResetWhileSending,
    Fault::ClosedBeforeResponse,
    Fault::ResetBeforeResponse,
    Fault::ResponseMalformed,
    Fault::ResponseHeaderTooLarge,
    Fault::H2StreamReset,
    Fault::ResponseTruncated,
    Fault::ResponseChunkingInvalid,
];

const HANGS: &[Fault] = &[Fault::ResponseTimedOut, Fault::ResponseBodyTimedOut, Fault::RequestSendTimedOut];

const RESETS: &[Fault] = &[Fault::ResetBeforeResponse, Fault::ResetWhileSending];

const DIED: &[Fault] = &[Fault::ClosedBeforeResponse, Fault::ResetBeforeResponse, Fault::ResetWhileSending];

/// What too much load ends in.
const LOADED: &[Fault] = &[
    Fault::ConnectionRefused,
    Fault::ConnectionTimedOut,
    Fault::SocketBacklogFull,
    Fault::TlsHandshakeTimedOut,
    Fault::RequestSendTimedOut,
    Fault::ResponseTimedOut,
    Fault::ResponseBodyTimedOut,
    Fault::ClosedBeforeResponse,
    Fault::ResetBeforeResponse,
    Fault::H2StreamRefused,
    Fault::ServerAtCapacity,
    Fault::UpstreamUnavailable,
    Fault::UpstreamGatewayTimeout,
];

/// What ends at a time that somebody has set.
const ENDED: &[Fault] = &[
    Fault::ClosedBeforeResponse,
    Fault::ResetBeforeResponse,
    Fault::ResetWhileSending,
    Fault::H2StreamReset,
    Fault::ResponseTruncated,
    Fault::UpstreamBadGateway,
    Fault::UpstreamGatewayTimeout,
];

/// What a name that leads to a wrong place ends in.
const ELSEWHERE: &[Fault] = &[
    Fault::ConnectionRefused,
    Fault::ConnectionTimedOut,
    Fault::HostUnreachable,
    Fault::NetworkUnreachable,
    Fault::TlsCertificateWrongName,
    Fault::TlsCertificateUntrusted,
    Fault::TlsNotSpoken,
    Fault::ResponseNotHttp,
];

/// The numbers of seconds that people write into settings.
const ROUND: &[u64] =
    &[1, 2, 3, 5, 10, 15, 20, 25, 30, 40, 45, 50, 60, 75, 90, 100, 120, 150, 180, 240, 300, 600, 900, 1_800, 3_600];

/// How many answers or failures are no accident.
const FEW: u64 = 3;
/// How long a server may take to start, with everything set up right.
const LONG_ENOUGH: Duration = Duration::from_secs(60);
/// How old a health check may be that says something of now.
const RECENT: Duration = Duration::from_secs(60);
/// How many more than usual are a crowd.
const CROWD: u32 = 10;
/// How many times slower is no accident, from how many measurements, and above what time.
const SEVERAL: u32 = 3;
const SAMPLES: u64 = 20;
const SLOW_ANSWER: Duration = Duration::from_millis(100);
const SLOW_CONNECTION: Duration = Duration::from_millis(50);
