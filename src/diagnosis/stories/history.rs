//! Owns the stories that only the past can tell: what worked until when, and what works beside it.

use std::time::Duration;

use super::Row;
use super::teller::Story;
use crate::diagnosis::Cause;
use crate::diagnosis::history::Health;
use crate::diagnosis::history::History;
use crate::diagnosis::history::Pace;
use crate::diagnosis::history::Past;
use crate::diagnosis::history::PathPast;
use crate::diagnosis::history::Windows;
use crate::fault::Fault;

pub(super) fn rows() -> Vec<Row> {
    [before(), paths(), load(), times(), servers(), health()].into_iter().flatten().collect()
}

fn before() -> Vec<Row> {
    let refused = || Story::of(Fault::ConnectionRefused).errno(libc::ECONNREFUSED).took(0.4);
    let silent = || Story::of(Fault::ConnectionTimedOut).limit(3_000);
    vec![
        refused()
            .past(|history| history.server = worked(7, 40))
            .ends(
                "it worked until a deployment and is refused since",
                Cause::OriginDown,
                0.85,
                &["worked_until", "worked_as_configured"],
            )
            .says(&["worked until 7 s ago", "40 failures", "812 answers"]),
        refused()
            .past(|history| history.server = never(120, history))
            .ends("a wrong port, from the first day on", Cause::FaultyProxy, 0.45, &["never_worked"])
            .says(&["never answered in the 2 min", "failed 25 times"]),
        refused()
            .past(|history| history.server = never(4, history))
            .ends("both were started together", Cause::OriginDown, 0.6, &["not_worked_yet"])
            .says(&["has not answered yet"]),
        refused()
            .at("http://app.internal:3000")
            .peer("10.0.0.9:3000")
            .past(|history| history.server = at_address("10.0.0.5", 90))
            .ends("the record was changed to a host without the program", Cause::Dns, 0.4, &["name_leads_elsewhere"])
            .says(&["leads to 10.0.0.9 now", "led to 10.0.0.5"]),
        silent()
            .at("http://app.internal:3000")
            .peer("10.9.0.9:3000")
            .past(|history| history.server = at_address("10.0.0.5", 90))
            .ends("the record was changed to nowhere", Cause::Dns, 0.6, &["name_leads_elsewhere"]),
        Story::of(Fault::ClosedBeforeResponse)
            .sent(312)
            .took(0.4)
            .reused(3, 7_050)
            .past(|history| {
                history.server.keep_alive = Some(Duration::from_secs(7));
                history.server.idle_closes = Some((9, Duration::from_secs(7)));
            })
            .ends("the origin closes after 7 s, as it was seen to", Cause::FaultyProxy, 0.8, &["closes_idle_earlier"])
            .says(&["after 7 s", "keeps them for 55 s"]),
        Story::of(Fault::ClosedBeforeResponse)
            .sent(312)
            .took(0.4)
            .reused(3, 7_050)
            .past(|history| history.server.idle_closes = Some((4, Duration::from_millis(2_500))))
            .ends("idle connections end now and then", Cause::FaultyProxy, 0.65, &["idle_connections_die"])
            .says(&["4 times", "2.5 s"]),
    ]
}

fn paths() -> Vec<Row> {
    let alone = |history: &mut History| {
        history.server = working();
        history.path = PathPast {
            failures: 4,
            others_working: 6,
            other_success: Some(Duration::from_secs(1)),
            ..PathPast::default()
        };
    };
    vec![
        Story::of(Fault::ResponseTimedOut)
            .sent(120)
            .limit(60_000)
            .past(alone)
            .ends("one report that never ends", Cause::Application, 0.85, &["only_this_path_hangs"])
            .says(&["only / fails, 4 times", "6 other paths"]),
        Story::of(Fault::ClosedBeforeResponse).sent(120).took(300.0).past(alone).ends(
            "one page that crashes its worker",
            Cause::Application,
            0.85,
            &["only_this_path_breaks"],
        ),
        Story::of(Fault::ClosedBeforeResponse).sent(120).took(1.0).reused(3, 2_500).past(alone).ends(
            "one page that ends every connection, fresh or not",
            Cause::Application,
            0.6,
            &["path_ends_fresh_connections_too", "keepalive_race"],
        ),
        Story::of(Fault::ResetBeforeResponse)
            .sent(334)
            .took(0.1)
            .reused(3, 2_500)
            .past(|history| {
                alone(history);
                history.server.idle_closes = Some((2, Duration::from_secs(2)));
            })
            .ends(
                "intrusion prevention that resets one pattern on any connection",
                Cause::Firewall,
                0.6,
                &["path_is_reset_on_any_connection", "keepalive_race"],
            )
            .says(&["inspects requests"]),
        Story::of(Fault::ClosedBeforeResponse)
            .sent(120)
            .took(0.3)
            .past(|history| (history.server.in_flight, history.server.in_flight_usual) = (7, Some(2)))
            .ends("a limit on connections", Cause::Overload, 0.45, &["turned_away_while_busy"])
            .says(&["holds 6 other requests"]),
        Story::of(Fault::ResetWhileSending).sent_of(200_000, 3_000_000).took(2.0).past(alone).ends(
            "a program that refuses uploads on one path without reading them",
            Cause::Application,
            0.75,
            &["upload_cut_short", "only_this_path_breaks"],
        ),
        Story::of(Fault::ResetBeforeResponse)
            .sent(120)
            .took(1.0)
            .past(alone)
            .ends("a box that does not like one path", Cause::Firewall, 0.65, &["only_this_path_is_reset"])
            .says(&["inspects requests"]),
    ]
}

fn load() -> Vec<Row> {
    let slow = || Story::of(Fault::ResponseTimedOut).sent(120).limit(60_000);
    let every_path = |history: &mut History| {
        history.server = working();
        history.server.last_success = Some(Duration::from_secs(70));
        history.path = PathPast { failures: 9, others_failing: 5, ..PathPast::default() };
    };
    vec![
        slow()
            .past(|history| {
                every_path(history);
                history.server.in_flight = 6;
            })
            .ends("a lock that everybody waits for", Cause::Application, 0.65, &["every_path_hangs"])
            .says(&["no more than usual"]),
        slow()
            .past(|history| {
                every_path(history);
                history.server.in_flight = 400;
                history.server.answering =
                    Some(Pace { now: Duration::from_secs(9), usual: Duration::from_millis(45), samples: 5_000 });
            })
            .ends(
                "a campaign that nobody had announced",
                Cause::Overload,
                0.65,
                &["every_path_queues", "more_in_flight_than_usual", "answers_grew_slow"],
            )
            .says(&["400 requests", "200 times of the usual 45 ms"]),
        slow()
            .past(|history| {
                every_path(history);
                history.server.in_flight = 30;
                history.server.in_flight_usual = Some(30);
                history.server.last_success = Some(Duration::from_millis(400));
                history.server.failures.minute = 12;
            })
            .ends("a program that takes one at a time", Cause::Overload, 0.5, &["answers_by_turns"])
            .says(&["400 ms ago", "30 at once"]),
        Story::of(Fault::ConnectionTimedOut)
            .limit(3_000)
            .past(|history| {
                history.server = working();
                history.server.in_flight = 300;
                history.server.connecting =
                    Some(Pace { now: Duration::from_millis(900), usual: Duration::from_millis(1), samples: 400 });
            })
            .ends(
                "the queue of connections fills up",
                Cause::Overload,
                0.4,
                &["connections_grew_slow", "more_in_flight_than_usual"],
            )
            .says(&["900 ms"]),
    ]
}

fn times() -> Vec<Row> {
    vec![
        Story::of(Fault::ClosedBeforeResponse)
            .sent(120)
            .took(30_020.0)
            .past(|history| {
                history.server = working();
                history.server.cluster = Some((Duration::from_millis(30_040), 5));
            })
            .ends("gunicorn kills its worker, again and again", Cause::Application, 0.9, &["ended_at_round_time"])
            .says(&["5 failures", "about 30 s", "limit of 60 s"]),
    ]
}

fn servers() -> Vec<Row> {
    let other = |past: Past| vec![("http://10.0.0.6:3000".to_owned(), past)];
    let alike = |fault| Past { failures: all(20), faults: vec![(fault, 20)], ..Past::default() };
    vec![
        Story::of(Fault::ConnectionRefused)
            .took(0.4)
            .past(|history| history.others = other(working()))
            .ends("one of two is being restarted", Cause::OriginDown, 0.7, &["other_servers_answer"])
            .says(&["only this server fails: http://10.0.0.6:3000"]),
        Story::of(Fault::ClosedBeforeResponse)
            .sent(120)
            .took(300.0)
            .past(|history| history.others = other(working()))
            .ends("one of two has a bad build", Cause::Application, 0.7, &["other_servers_cope"]),
        Story::of(Fault::ResponseTimedOut)
            .sent(120)
            .limit(60_000)
            .past(|history| history.others = other(alike(Fault::ResponseTimedOut)))
            .ends("the database behind all of them is slow", Cause::Overload, 0.4, &["every_server_hangs"])
            .says(&["every server of app"]),
        Story::of(Fault::ConnectionTimedOut)
            .limit(3_000)
            .past(|history| history.others = other(alike(Fault::ConnectionTimedOut)))
            .ends("a rule on the way drops everything", Cause::Firewall, 0.5, &["every_server_unreached"]),
    ]
}

fn health() -> Vec<Row> {
    let check = |up, fault| {
        move |history: &mut History| {
            let checked = Duration::from_secs(3);
            history.server.health = Some(Health {
                up,
                checked,
                fault,
                status: fault.is_none().then_some(200),
                path: "/healthz".to_owned(),
            });
        }
    };
    vec![
        Story::of(Fault::ResponseTimedOut)
            .sent(120)
            .limit(60_000)
            .past(check(true, None))
            .ends("the health check asks for too little", Cause::Application, 0.7, &["health_check_passes"])
            .says(&["/healthz passed 3 s ago"]),
        Story::of(Fault::ConnectionRefused)
            .took(0.4)
            .past(check(false, Some(Fault::ConnectionRefused)))
            .ends("the health check sees it too", Cause::OriginDown, 0.7, &["health_check_fails"])
            .says(&["connection_refused, 3 s ago"]),
        Story::of(Fault::ResponseTimedOut)
            .sent(120)
            .limit(60_000)
            .past(check(false, Some(Fault::ResponseTimedOut)))
            .ends("it hangs for the health check too", Cause::Application, 0.55, &["health_check_breaks"]),
    ]
}

/// A server that answers well.
fn working() -> Past {
    Past {
        last_success: Some(Duration::from_secs(1)),
        successes: all(812),
        in_flight: 2,
        in_flight_usual: Some(8),
        ..Past::default()
    }
}

/// One that did, until so many seconds ago.
fn worked(seconds: u64, failures: u64) -> Past {
    let failing_for = Some(Duration::from_secs(seconds));
    let last_success = Some(Duration::from_secs(seconds));
    Past { last_success, failures: all(failures), failures_since_success: failures, failing_for, ..working() }
}

/// One that never did, in so many seconds.
fn never(seconds: u64, history: &mut History) -> Past {
    history.watched = Duration::from_secs(seconds);
    Past { failures: all(25), failures_since_success: 25, failing_for: Some(history.watched), ..Past::default() }
}

/// One that was connected to at this address so many seconds ago.
fn at_address(address: &str, seconds: u64) -> Past {
    Past { addresses: vec![(address.parse().unwrap(), Duration::from_secs(seconds))], ..worked(seconds, 12) }
}

fn all(count: u64) -> Windows {
    Windows { seconds: count, minute: count, hour: count, ever: count }
}

/// A past of which every text and address is one of the words that no visitor may see.
pub(super) fn secrets(past: &mut History) {
    let server = &mut past.server;
    server.addresses = vec![("203.0.113.96".parse().unwrap(), Duration::from_secs(3))];
    (server.successes.ever, server.failures_since_success) = (4711, 4711);
    server.last_success = Some(Duration::from_secs(3));
    server.health =
        Some(Health { fault: Some(Fault::ConnectionRefused), path: "/secret-health".to_owned(), ..Health::default() });
    past.others = vec![("http://secret-other:3000".to_owned(), Past::default())];
}
