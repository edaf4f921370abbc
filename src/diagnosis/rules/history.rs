//! Owns the rules over a server's past: what worked before, since when it does not, how long things took, how idle connections end.
//!
//! A past that is not known says nothing; the first request of a new process is diagnosed by what it saw itself.

use std::net::IpAddr;
use std::time::Duration;

use crate::diagnosis::Case;
use crate::diagnosis::history::Pace;
use crate::diagnosis::history::Past;
use crate::diagnosis::wording::counted;
use crate::diagnosis::wording::duration;
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

pub(super) fn more_in_flight_than_usual(case: &Case) -> Option<String> {
    let failure = case.failed_with(LOADED)?;
    let (now, usual) = crowd(&case.history.server)?;
    Some(format!(
        "{now} requests were in flight to {} at once when this one failed or shortly before, and {usual} at most while it \
         answered well",
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

/// When it last answered, where that was no single answer.
pub(super) fn last_success(past: &Past) -> Option<Duration> {
    past.last_success.filter(|_| past.successes.ever >= FEW)
}

/// How long a server was watched that has failed a few times and never answered.
fn never_answered(case: &Case) -> Option<(&Failure, Duration)> {
    let failure = case.failed_with(NEVER)?;
    let past = &case.history.server;
    (past.successes.ever == 0 && past.failures.ever >= FEW).then_some((failure, case.history.watched))
}

/// What is in flight now and was at most while all went well, where that is far more.
pub(super) fn crowd(past: &Past) -> Option<(u32, u32)> {
    let usual = past.in_flight_usual?;
    let now = past.at_work();
    (now >= usual.saturating_mul(3) && now >= usual + CROWD).then_some((now, usual))
}

/// What is in flight now and was at most while all went well, where requests are held that do not come back.
pub(super) fn held(past: &Past) -> Option<(u32, u32)> {
    let (now, usual) = (past.in_flight, past.in_flight_usual?);
    (now >= usual.saturating_mul(2).max(usual + HELD)).then_some((now, usual))
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
    // Where one that worked was tried as well, the name leads there still.
    let tried = || failure.addresses.iter().map(|tried| tried.address.ip()).chain([peer.ip()]);
    let is_new = known.iter().all(|(address, _)| tried().all(|tried| tried != *address));
    (is_new && case.history.server.successes.ever > 0).then_some((peer.ip(), *before, *ago))
}

pub(super) fn died_idle(case: &Case) -> Option<&Failure> {
    let failure = case.failed_with(DIED)?;
    (failure.connection.reused && failure.nothing_received()).then_some(failure)
}

pub(super) fn count(number: u64, noun: &str) -> String {
    counted(usize::try_from(number).unwrap_or(usize::MAX), noun)
}

/// Nobody is there.
pub(super) const GONE: &[Fault] = &[Fault::ConnectionRefused, Fault::SocketMissing, Fault::HostUnreachable];

/// What a wrong address, port or scheme looks like from the first request on.
const NEVER: &[Fault] = &[
    Fault::ConnectionRefused,
    Fault::SocketMissing,
    Fault::TlsNotSpoken,
    Fault::TlsHandshakeClosed,
    Fault::ResponseNotHttp,
];

/// What a wrong setting may look like.
const SETTINGS: &[Fault] = &[
    Fault::ConnectionRefused,
    Fault::SocketMissing,
    Fault::TlsNotSpoken,
    Fault::TlsHandshakeClosed,
    Fault::ClosedBeforeResponse,
    Fault::ResetBeforeResponse,
    Fault::ResponseNotHttp,
];

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
];

/// The numbers of seconds that people write into settings.
const ROUND: &[u64] =
    &[1, 2, 3, 5, 10, 15, 20, 25, 30, 40, 45, 50, 60, 75, 90, 100, 120, 150, 180, 240, 300, 600, 900, 1_800, 3_600];

/// How many answers or failures are no accident.
const FEW: u64 = 3;
/// How long a server may take to start, with everything set up right.
const LONG_ENOUGH: Duration = Duration::from_secs(60);
/// How many more than usual are a crowd.
const CROWD: u32 = 4;
/// How many more than usual are no accident where each answer or end comes at once.
const HELD: u32 = 3;
/// How many times slower is no accident, from how many measurements, and above what time.
const SEVERAL: u32 = 3;
const SAMPLES: u64 = 20;
const SLOW_ANSWER: Duration = Duration::from_millis(100);
const SLOW_CONNECTION: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::closes_idle_earlier;
    use super::ended_at_round_time;
    use super::more_in_flight_than_usual;
    use super::name_leads_elsewhere;
    use super::never_worked;
    use super::worked_until;
    use crate::diagnosis::Case;
    use crate::diagnosis::history::History;
    use crate::diagnosis::history::Windows;
    use crate::diagnosis::rules::RULES;
    use crate::diagnosis::samples;
    use crate::fault::Fault;
    use crate::fault::failure::AddressFailure;
    use crate::fault::failure::Peer;

    fn case(fault: Fault, tell: impl FnOnce(&mut History)) -> Case {
        let mut case = samples::case(fault);
        tell(&mut case.history);
        case
    }

    fn ever(count: u64) -> Windows {
        Windows { ever: count, ..Windows::default() }
    }

    #[test]
    fn a_past_that_is_not_known_says_nothing() {
        let names = ["worked_until", "health_check_breaks"];
        let [from, to] = names.map(|name| RULES.iter().position(|rule| rule.id == name).unwrap());
        for fault in Fault::ALL {
            let mut case = samples::full(fault);
            case.history = History::default();
            for rule in &RULES[from..=to] {
                assert_eq!((rule.look)(&case), None, "{} of {fault}", rule.id);
            }
        }
    }

    #[test]
    fn a_server_worked_only_where_it_answered_more_than_once() {
        for (answers, speaks) in [(0, false), (2, false), (3, true)] {
            let case = case(Fault::ConnectionRefused, |history| {
                history.server.last_success = Some(Duration::from_secs(9));
                history.server.successes = ever(answers);
                history.server.failures_since_success = 1;
            });
            assert_eq!(worked_until(&case).is_some(), speaks, "{answers}");
        }
    }

    #[test]
    fn it_never_worked_only_where_it_was_watched_for_a_while_and_failed_a_few_times() {
        for (watched, answers, failures, speaks) in
            [(61, 0, 3, true), (59, 0, 3, false), (61, 0, 2, false), (61, 1, 3, false)]
        {
            let case = case(Fault::ConnectionRefused, |history| {
                history.watched = Duration::from_secs(watched);
                (history.server.successes, history.server.failures) = (ever(answers), ever(failures));
            });
            assert_eq!(never_worked(&case).is_some(), speaks, "{watched} {answers} {failures}");
        }
    }

    #[test]
    fn a_crowd_is_several_times_what_is_usual_and_no_matter_of_a_few() {
        for (now, usual, speaks) in [(3, 1, false), (11, 1, true), (29, 10, false), (30, 10, true), (200, 100, false)] {
            let case = case(Fault::ResponseTimedOut, |history| {
                (history.server.in_flight, history.server.in_flight_usual) = (now, Some(usual));
            });
            assert_eq!(more_in_flight_than_usual(&case).is_some(), speaks, "{now} {usual}");
        }
    }

    #[test]
    fn failures_end_at_a_time_that_somebody_set_and_not_at_this_proxys_limit() {
        for (millis, speaks) in [(30_040, true), (29_600, true), (33_000, false), (60_000, false), (12_300, false)] {
            let mut case = case(Fault::ClosedBeforeResponse, |history| {
                history.server.cluster = Some((Duration::from_millis(millis), 4));
            });
            case.settings.timeouts.response = Duration::from_secs(60);
            assert_eq!(ended_at_round_time(&case).is_some(), speaks, "{millis}");
        }
    }

    #[test]
    fn a_server_closes_idle_connections_earlier_only_than_they_are_kept() {
        for (age, speaks) in [(5, true), (54, true), (55, false), (90, false)] {
            let mut case = case(Fault::ClosedBeforeResponse, |history| {
                history.server.keep_alive = Some(Duration::from_secs(age));
            });
            case.attempts[0].connection.reused = true;
            assert_eq!(closes_idle_earlier(&case).is_some(), speaks, "{age}");
        }
    }

    #[test]
    fn a_name_leads_elsewhere_only_where_no_address_that_worked_was_tried() {
        for (peer, tried, speaks) in [
            ("10.0.0.9:80", &["10.0.0.9:80"][..], true),
            ("10.0.0.9:80", &["10.0.0.5:80", "10.0.0.9:80"], false),
            ("10.0.0.5:80", &["10.0.0.5:80"], false),
        ] {
            let mut case = case(Fault::ConnectionRefused, |history| {
                history.server.addresses = vec![("10.0.0.5".parse().unwrap(), Duration::from_secs(3))];
                history.server.successes = ever(40);
            });
            let (fault, os_error, elapsed) = (Fault::ConnectionRefused, None, Duration::ZERO);
            let failed =
                |address: &&str| AddressFailure { address: address.parse().unwrap(), fault, os_error, elapsed };
            case.attempts[0].addresses = tried.iter().map(failed).collect();
            case.attempts[0].peer = Some(Peer::Tcp(peer.parse().unwrap()));
            assert_eq!(name_leads_elsewhere(&case).is_some(), speaks, "{peer} {tried:?}");
        }
    }
}
