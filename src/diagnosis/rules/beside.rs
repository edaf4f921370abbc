//! Owns the rules over what fails and what works beside the request that failed: other paths, other servers, the health check.

use std::time::Duration;

use super::exchange::is_answered_in_part;
use super::exchange::is_reset_at_once;
use super::history::GONE;
use super::history::count;
use super::history::crowd;
use super::history::died_idle;
use super::history::last_success;
use super::probe;
use crate::diagnosis::Case;
use crate::diagnosis::history::Health;
use crate::diagnosis::history::Past;
use crate::diagnosis::wording::duration;
use crate::diagnosis::wording::list;
use crate::diagnosis::wording::place;
use crate::fault::Failure;
use crate::fault::Fault;

pub(super) fn only_this_path_breaks(case: &Case) -> Option<String> {
    case.failed_with(BREAKS).filter(|failure| !inspected(failure))?;
    only_this_path(case)
}

pub(super) fn only_this_path_hangs(case: &Case) -> Option<String> {
    case.failed_with(HANGS).filter(|_| !is_answered_in_part(case))?;
    only_this_path(case)
}

/// A reused connection that ends says little, unless the same path has ended fresh ones as well.
pub(super) fn path_ends_fresh_connections_too(case: &Case) -> Option<String> {
    died_idle(case).filter(|failure| !is_reset_unseen(case, failure))?;
    let says = alone(case)?;
    Some(format!(
        "{says}, and it failed so on connections that were not reused: the age of the connection has no part in it"
    ))
}

/// The same, where it is a reset before the program can have seen the request.
pub(super) fn path_is_reset_on_any_connection(case: &Case) -> Option<String> {
    let failure = died_idle(case).filter(|failure| is_reset_unseen(case, failure))?;
    let says = alone(case)?;
    Some(format!(
        "{says}, and it failed so on connections that were not reused; {} resets it within {}, as a box on the way does that \
         inspects requests",
        place(failure),
        duration(failure.waited())
    ))
}

/// A box that looks into requests ends what it does not like with a reset, before the program has seen it.
pub(super) fn only_this_path_is_reset(case: &Case) -> Option<String> {
    let failure = Some(case.failure()).filter(|failure| inspected(failure))?;
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
    (past.at_work() <= usual.saturating_mul(2)).then(|| {
        format!(
            "{says}, though no more than usual is in flight ({}, usually up to {usual}): the program hangs",
            past.in_flight
        )
    })
}

pub(super) fn every_path_queues(case: &Case) -> Option<String> {
    let says = every_path(case)?;
    crowd(&case.history.server).map(|(now, usual)| {
        format!("{says}, and {now} requests were in flight at once where usually up to {usual} are")
    })
}

/// What hangs answers nobody. What is only too slow for all who ask answers some, and the others wait for longer than they may.
pub(super) fn answers_by_turns(case: &Case) -> Option<String> {
    let failure = case.failed_with(HANGS)?;
    let (past, path) = (&case.history.server, &case.history.path);
    let ago = last_success(past).filter(|ago| *ago <= BETWEEN)?;
    let many = past.at_work() >= MANY && past.failures.minute >= 3;
    (many && path.others_failing > 0).then(|| {
        format!(
            "{} answered a request {} ago, while others on {} and {} wait for longer than they may, and {} at once are at it",
            place(failure),
            duration(ago),
            case.request.path,
            count(path.others_failing, "other path"),
            past.at_work()
        )
    })
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

fn only_this_path(case: &Case) -> Option<String> {
    alone(case).filter(|_| died_idle(case).is_none())
}

/// The same, whatever the connection was: the end of one that lay idle is not held against a path.
fn alone(case: &Case) -> Option<String> {
    let (path, past) = (&case.history.path, &case.history.server);
    // Other paths say nothing of this one where it was other servers that answered them.
    let answers = case.history.others.is_empty() || past.last_success.is_some_and(|ago| ago <= MOMENT);
    // What worked half a minute ago may have failed since, which a check has seen then.
    let alone = answers
        && path.failures > 0
        && path.others_working > 0
        && path.others_failing == 0
        && !probe::fails_for_us_too(case);
    alone.then(|| {
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

/// Whether a fresh connection was reset so soon that hardly a program can have seen the request.
fn inspected(failure: &Failure) -> bool {
    !failure.connection.reused && is_reset_at_once(failure)
}

/// Whether any connection was, by somebody who can be on the way: to a program on this host nobody is.
fn is_reset_unseen(case: &Case, failure: &Failure) -> bool {
    is_reset_at_once(failure) && !failure.address().is_none_or(|address| case.here.owns(address.ip()))
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

/// No connection came about.
const UNREACHED: &[Fault] =
    &[Fault::ConnectionRefused, Fault::SocketMissing, Fault::HostUnreachable, Fault::ConnectionTimedOut];

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

/// So many requests at once are more than a person with a browser makes.
const MANY: u32 = 4;
/// How long ago an answer may be that came between others that did not.
const BETWEEN: Duration = Duration::from_secs(5);
/// How long ago an answer may be that says something of now.
const MOMENT: Duration = Duration::from_secs(30);
/// How old a health check may be that says something of now.
const RECENT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::only_this_path_breaks;
    use super::other_servers_answer;
    use crate::diagnosis::Case;
    use crate::diagnosis::history::Past;
    use crate::diagnosis::history::PathPast;
    use crate::diagnosis::history::Windows;
    use crate::diagnosis::samples;
    use crate::fault::Fault;

    /// A program that ends the connection on one path, while five others are answered.
    fn alone() -> Case {
        let mut case = samples::case(Fault::ClosedBeforeResponse);
        case.history.path = PathPast {
            failures: 2,
            others_working: 5,
            other_success: Some(Duration::from_secs(1)),
            ..PathPast::default()
        };
        case
    }

    #[test]
    fn a_path_is_alone_only_where_the_same_server_answers_others() {
        let fails_too = |case: &mut Case| case.history.path.others_failing = 1;
        let none_works = |case: &mut Case| case.history.path.others_working = 0;
        let dead_connection = |case: &mut Case| case.attempts[0].connection.reused = true;
        let other_server = |case: &mut Case| case.history.others = vec![("b".to_owned(), Past::default())];
        let answers = |case: &mut Case| {
            other_server(case);
            case.history.server.last_success = Some(Duration::from_secs(2));
        };
        let speaks = |change: &dyn Fn(&mut Case)| {
            let mut case = alone();
            change(&mut case);
            only_this_path_breaks(&case).is_some()
        };
        let changes: [&dyn Fn(&mut Case); 6] =
            [&|_| (), &fails_too, &none_works, &dead_connection, &other_server, &answers];
        assert_eq!(changes.map(speaks), [true, false, false, false, false, true]);
        let says = only_this_path_breaks(&alone()).unwrap();
        assert_eq!(says, "only /otter/list fails, 2 times, while 5 other paths are answered, the last 1 s ago");
    }

    #[test]
    fn other_servers_are_fine_where_they_answer_and_none_has_failed() {
        let past = |successes, failures| Past {
            successes: Windows { minute: successes, ..Windows::default() },
            failures: Windows { minute: failures, ..Windows::default() },
            ..Past::default()
        };
        for (others, speaks) in [
            (vec![], false),
            (vec![past(9, 0)], true),
            (vec![past(0, 0)], false),
            (vec![past(9, 0), past(9, 1)], false),
            (vec![past(9, 0), past(1, 0)], true),
        ] {
            let mut case = samples::case(Fault::ConnectionRefused);
            case.history.others = others.into_iter().map(|past| ("http://b".to_owned(), past)).collect();
            assert_eq!(other_servers_answer(&case).is_some(), speaks, "{:?}", case.history.others);
        }
    }
}
