//! What goes out a second time, and what never does.

use std::sync::Arc;
use std::sync::Mutex;
use std::thread;

use serde_json::Value;

use super::support::client::Client;
use super::support::client::get;
use super::support::origin::Origin;
use super::support::origin::Reserved;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

/// The events of a request with what tells a hidden failure from another, up to its access line.
fn told(proxy: &mut Proxy) -> Vec<String> {
    let mut lines = proxy.lines_of_a_request();
    // Failures are told when they are known, and a hidden one not before the answer that hides it.
    lines.retain(|line| line["event"] == "upstream_failure");
    let word = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let says = |line: &Value| format!("{} {} retried={}", word(line, "level"), word(line, "fault"), line["retried"]);
    lines.iter().map(says).collect()
}

#[test]
fn a_request_that_meets_a_dead_connection_goes_out_once_more_where_it_may() {
    // Method, more of the head and the body; whether it comes again; what the client gets.
    let table = [
        ("GET", "\r\n", true, 200),
        ("HEAD", "\r\n", true, 200),
        ("DELETE", "\r\n", true, 200),
        ("POST", "Content-Length: 2\r\n\r\nhi", false, 502),
        ("POST", "\r\n", false, 502),
        ("PATCH", "\r\n", false, 502),
        ("FROBNICATE", "\r\n", false, 502),
    ];
    for (method, rest, again, status) in table {
        let origin = Origin::listen();
        let mut proxy = Proxy::run(&in_front_of(&[&origin.url], "", ""));
        let mut client = Client::connect(proxy.address());
        client.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut used = origin.accept();
        used.request();
        used.answer("first");
        client.answer();
        proxy.line("request");

        client.send(format!("{method} /second HTTP/1.1\r\nHost: a\r\n{rest}"));
        used.request();
        drop(used);
        if again {
            let mut fresh = origin.accept();
            assert_eq!(fresh.request().line, format!("{method} /second HTTP/1.1"));
            fresh.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        let answer = client.answer_to_head();
        assert_eq!(answer.head.status, status, "{method}");
        assert!(origin.is_left_alone(), "{method}");
        let (level, retried) = if again { ("warn", true) } else { ("error", false) };
        assert_eq!(told(&mut proxy), [format!("{level} closed_before_response retried={retried}")], "{method}");
    }
}

#[test]
fn a_request_that_one_server_refuses_goes_to_another() {
    // Nothing was sent, so that even a POST with a body may go.
    for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"] {
        let (closed, origin) = (Reserved::port(), Origin::listen());
        let servers = [&*closed.url(), &*origin.url];
        let mut proxy = Proxy::run(&in_front_of(&servers, "balance = \"round_robin\"", ""));
        let mut refused = 0;
        for _ in 0..2 {
            let mut client = Client::connect(proxy.address());
            client.send(request);
            let mut conversation = origin.accept();
            conversation.request();
            conversation.answer_and_close("here");
            assert_eq!(client.answer().text(), "here");
            refused += told(&mut proxy).iter().filter(|line| *line == "warn connection_refused retried=true").count();
        }
        assert!(refused > 0, "one of two requests begins at the server that is closed");
    }
}

#[test]
fn attempts_are_all_that_go_out() {
    for (attempts, met) in [(1, 1), (2, 2), (3, 3), (9, 3)] {
        let closed = [Reserved::port(), Reserved::port(), Reserved::port()];
        let servers = closed.each_ref().map(Reserved::url);
        let servers = servers.each_ref().map(String::as_str);
        let mut proxy = Proxy::run(&in_front_of(&servers, &format!("retry.attempts = {attempts}"), ""));
        assert_eq!(get(proxy.address(), "/", "").head.status, 502);
        let line = proxy.line("upstream_failure");
        assert_eq!(line["attempts"].as_array().map(Vec::len), Some(met), "attempts = {attempts}: {line:#}");
    }
}

#[test]
fn with_one_attempt_nothing_goes_out_twice_not_even_over_a_dead_connection() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "retry.attempts = 1", ""));
    let mut client = Client::connect(proxy.address());
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut used = origin.accept();
    used.request();
    used.answer("1");
    client.answer();
    client.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    used.request();
    drop(used);
    assert_eq!(client.answer().head.status, 502);
    assert!(origin.is_left_alone());
}

#[test]
fn a_request_that_was_answered_in_part_never_goes_out_again() {
    let (one, other) = (Origin::listen(), Origin::listen());
    let proxy = Proxy::run(&in_front_of(&[&one.url, &other.url], "balance = \"round_robin\"", ""));
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut first = one.accept();
    first.request();
    first.say("HTTP/1.1 200 O");
    drop(first);
    assert_eq!(client.answer().head.status, 502);
    assert!(one.is_left_alone() && other.is_left_alone());
}

#[test]
fn retries_stay_within_their_budget() {
    let (closed, other) = (Reserved::port(), Reserved::port());
    let mut proxy =
        Proxy::run(&in_front_of(&[&closed.url(), &other.url()], "retry.budget = 0.0\nejection.after = 100", ""));
    let attempts: Vec<_> = (0..6)
        .map(|_| {
            get(proxy.address(), "/", "");
            proxy.line("upstream_failure")["attempts"].as_array().map_or(1, |attempts| attempts.len().max(1))
        })
        .collect();
    assert_eq!(attempts, [2, 2, 2, 1, 1, 1], "three in a window are always allowed, and no more");
}

#[test]
fn the_answer_carries_the_most_telling_failure() {
    let (closed, silent) = (Reserved::port(), Origin::listen());
    let upstream = "balance = \"round_robin\"\ntimeouts.response = \"200ms\"";
    let mut proxy = Proxy::run(&in_front_of(&[&closed.url(), &silent.url], upstream, ""));
    let answer = get(proxy.address(), "/", "Accept: application/json\r\n");
    assert_eq!(answer.json()["fault"], "response_timed_out", "who took the request says more than who refused it");
    let faults: Vec<_> =
        proxy.line("upstream_failure")["attempts"].as_array().unwrap().iter().map(|a| a["fault"].clone()).collect();
    assert_eq!(faults, ["connection_refused", "response_timed_out"]);
}

#[test]
fn a_connection_is_not_used_for_longer_than_its_server_has_announced() {
    // What it says of itself, and whether the next request comes on the same connection.
    for (says, same) in [("Keep-Alive: timeout=60", true), ("Keep-Alive: timeout=0", false), ("", true)] {
        let origin = Origin::listen();
        let mut proxy = Proxy::run(&in_front_of(&[&origin.url], "", "[runtime]\nworkers = 1"));
        let mut client = Client::connect(proxy.address());
        client.send("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let mut used = origin.accept();
        used.request();
        let says = if says.is_empty() { String::new() } else { format!("{says}\r\n") };
        used.say(format!("HTTP/1.1 200 OK\r\n{says}Content-Length: 0\r\n\r\n"));
        client.answer();
        proxy.line("request");
        client.send("POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let mut next = if same { used } else { origin.accept() };
        assert_eq!(next.request().line, "POST /2 HTTP/1.1", "{says:?}");
        next.answer("");
        assert_eq!(client.answer().head.status, 200);
    }
}

/// What an origin in trouble does with a connection or a request, by a seeded chance.
fn behave_badly(origin: Origin, seen: &Arc<Mutex<Vec<String>>>) {
    let seen = Arc::clone(seen);
    thread::spawn(move || {
        let mut chance = fastrand::Rng::with_seed(502);
        while let Some(mut conversation) = origin.wait() {
            let (seen, mut chance) = (Arc::clone(&seen), chance.fork());
            thread::spawn(move || {
                // Some are closed before anything was read on them, which the kernel tells as a reset.
                while chance.u8(0..8) > 0 {
                    let Some(request) = conversation.next() else { return };
                    seen.lock().unwrap().push(request.line);
                    match chance.u8(0..4) {
                        0 => return,
                        1 => return conversation.answer("last"),
                        _ => conversation.answer("fine"),
                    }
                }
            });
        }
    });
}

#[test]
fn whatever_becomes_of_connections_no_post_is_doubled_and_no_get_is_lost() {
    let (bad, good) = (Origin::listen(), Origin::listen());
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let settings = "balance = \"round_robin\"\nslow_start = \"0s\"\nretry.budget = 100\nejection.base_time = \"50ms\"";
    let proxy = Proxy::run(&in_front_of(&[&bad.url, &good.url], settings, ""));
    behave_badly(bad, &seen);
    let other = Arc::clone(&seen);
    good.serve(move |request, conversation| {
        other.lock().unwrap().push(request.line);
        conversation.answer("fine");
    });
    let address = proxy.address();
    let ask = move |visitor: u32| {
        let mut chance = fastrand::Rng::with_seed(u64::from(visitor));
        let mut lost = Vec::new();
        for number in 0..100 {
            let method = if chance.bool() { "GET" } else { "POST" };
            let body = if method == "POST" { "Content-Length: 2\r\n\r\nhi" } else { "\r\n" };
            let mut client = Client::connect(address);
            client.send(format!("{method} /{visitor}-{number} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{body}"));
            if client.answer().head.status != 200 {
                lost.push(method);
            }
        }
        lost
    };
    let visitors: Vec<_> = (0..4).map(|visitor| thread::spawn(move || ask(visitor))).collect();
    let lost: Vec<&str> = visitors.into_iter().flat_map(|visitor| visitor.join().unwrap()).collect();
    assert!(
        !lost.contains(&"GET"),
        "{} of {} lost are GET",
        lost.iter().filter(|lost| **lost == "GET").count(),
        lost.len()
    );
    assert!(!lost.is_empty(), "some POSTs have to be lost, or nothing was tried");
    let mut posts: Vec<_> = seen.lock().unwrap().iter().filter(|line| line.starts_with("POST")).cloned().collect();
    let count = posts.len();
    posts.sort();
    posts.dedup();
    assert_eq!(posts.len(), count, "a POST has come twice");
}
