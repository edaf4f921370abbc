//! What the past tells: a path that fails while others work, and idle connections that the origin closes.

use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

use super::support::client::Client;
use super::support::client::get;
use super::support::origin::Origin;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

fn evidence(line: &Value) -> Vec<&str> {
    line["evidence"].as_array().into_iter().flatten().filter_map(|found| found["id"].as_str()).collect()
}

/// An origin that answers every path but `/report`, which it leaves without an answer.
fn mute_on_one_path(origin: Origin) {
    thread::spawn(move || {
        while let Some(mut conversation) = origin.wait() {
            thread::spawn(move || {
                while let Some(request) = conversation.next() {
                    if !request.line.starts_with("GET /report") {
                        conversation.answer("fine");
                    }
                }
            });
        }
    });
}

#[test]
fn one_path_that_hangs_while_others_work_is_the_applications() {
    let origin = Origin::listen();
    let upstream = "timeouts.response = \"300ms\"\nretry.attempts = 1";
    let mut proxy = Proxy::run(&in_front_of(&[&origin.url], upstream, "[diagnosis]\nprobes = false"));
    mute_on_one_path(origin);
    for path in ["/", "/cart", "/search?q=a"] {
        assert_eq!(get(proxy.address(), path, "").text(), "fine");
    }
    assert_eq!(get(proxy.address(), "/report?year=1", "").head.status, 502);
    let line = proxy.line("upstream_failure");
    assert!(evidence(&line).contains(&"only_this_path_hangs"), "{line:#}");
    assert_eq!(line["cause"], "application");
    let says = line["evidence"].to_string();
    assert!(says.contains("only /report fails, 1 time, while 3 other paths are answered"), "{says}");
}

#[test]
fn a_server_that_is_gone_is_said_to_have_worked() {
    let origin = Origin::listen();
    let url = origin.url.clone();
    let mut proxy = Proxy::run(&in_front_of(&[&url], "", "[diagnosis]\nprobes = false"));
    let address = proxy.address();
    for _ in 0..4 {
        let asked = thread::spawn(move || get(address, "/", "").text().to_owned());
        let mut conversation = origin.accept();
        conversation.request();
        conversation.answer_and_close("here");
        assert_eq!(asked.join().unwrap(), "here");
    }
    drop(origin);
    // The listener ends when its thread is woken by one more connection.
    let line = loop {
        get(proxy.address(), "/", "");
        let line = proxy.line("upstream_failure");
        if line["fault"] == "connection_refused" {
            break line;
        }
    };
    let ids = evidence(&line);
    assert!(ids.contains(&"worked_until") && ids.contains(&"worked_as_configured"), "{line:#}");
    assert_eq!(line["cause"], "origin_down");
}

#[test]
fn idle_connections_are_kept_no_longer_than_the_origin_keeps_them() {
    let origin = Origin::listen();
    let mut proxy = Proxy::run(&in_front_of(&[&origin.url], "", "[runtime]\nworkers = 1\n[diagnosis]\nprobes = false"));
    let mut client = Client::connect(proxy.address());
    let ask = |client: &mut Client| client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    // The origin closes what has lain idle for this long, and says so nowhere.
    let keeps = Duration::from_millis(1_200);
    for _ in 0..3 {
        ask(&mut client);
        let mut conversation = origin.accept();
        conversation.request();
        conversation.answer("here");
        client.answer();
        let idle = Instant::now();
        while idle.elapsed() < keeps {
            thread::park_timeout(keeps.saturating_sub(idle.elapsed()));
        }
        drop(conversation);
        // The proxy looks about once a second for connections that have ended.
        thread::park_timeout(Duration::from_millis(1_100));
    }
    let notice = proxy.line("notice");
    let message = notice["message"].as_str().unwrap();
    assert!(message.contains("upstream \"app\"") && message.contains(&origin.url), "{message}");
    assert!(message.contains("closes idle connections after 1.2 s"), "{message}");
    assert!(message.contains("keeps them for 55 s"), "{message}");

    ask(&mut client);
    let mut conversation = origin.accept();
    conversation.request();
    conversation.answer("here");
    client.answer();
    let idle = Instant::now();
    assert!(conversation.is_closed(), "the proxy gives it up");
    assert!(idle.elapsed() < Duration::from_secs(10), "{:?}", idle.elapsed());
}
