//! Servers that fail again and again get no requests for a while, and the reason is not forgotten.

use super::support::client::get;
use super::support::eventually;
use super::support::origin::Origin;
use super::support::origin::Reserved;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

#[test]
fn a_server_that_fails_is_ejected_and_returns_when_it_answers() {
    let (bad, good) = (Reserved::port(), Origin::listen());
    let settings = "balance = \"round_robin\"\nejection.after = 2\nejection.base_time = \"1s\"";
    let bad_url = bad.url();
    let mut proxy = Proxy::run(&in_front_of(&[&bad_url, &good.url], settings, ""));
    good.greet("good");
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/", "").text(), "good", "no client notices");
    }
    let line = proxy.line("server_ejected");
    assert_eq!((&line["server"], &line["upstream"]), (&bad_url.clone().into(), &"app".into()));
    assert_eq!((&line["fault"], &line["failures"]), (&"connection_refused".into(), &2.into()));
    assert_eq!(line["by"], "failures");
    assert_eq!((&line["ejected_ms"], &line["level"]), (&1000.into(), &"warn".into()));

    bad.listen().greet("back");
    eventually("the server's return", || (get(proxy.address(), "/", "").text() == "back").then_some(()));
    let line = proxy.line("server_returned");
    assert_eq!((&line["server"], &line["by"]), (&bad_url.into(), &"failures".into()));
    assert!(line["ejected_ms"].as_u64().is_some_and(|time| time >= 1000), "{line}");
}

#[test]
fn a_server_that_is_out_is_asked_where_the_others_have_just_failed() {
    let (first, second) = (Reserved::port(), Reserved::port());
    let settings = "balance = \"round_robin\"\nejection.after = 1\nejection.base_time = \"1h\"";
    let mut proxy = Proxy::run(&in_front_of(&[&first.url(), &second.url()], settings, ""));
    assert_eq!(get(proxy.address(), "/", "").head.status, 502);
    let out = proxy.line("server_ejected")["server"].clone();
    // The one that was taken out is well again; the other is not, and may not go as well.
    let back = if out == first.url() { first } else { second };
    let url = back.url();
    let origin = back.listen();
    origin.greet("back");
    assert_eq!(get(proxy.address(), "/", "").text(), "back", "no client notices");
    let line = proxy.line("server_returned");
    assert_eq!((&line["server"], &line["by"]), (&url.into(), &"failures".into()));
}

#[test]
fn the_only_server_is_never_ejected() {
    let closed = Reserved::port();
    let mut proxy = Proxy::run(&in_front_of(&[&closed.url()], "ejection.after = 1", ""));
    for _ in 0..5 {
        get(proxy.address(), "/", "");
        assert_eq!(proxy.line("upstream_failure")["fault"], "connection_refused");
    }
}

#[test]
fn when_no_server_is_left_the_first_failure_is_named() {
    let (closed, mute) = (Reserved::port(), Origin::listen());
    let settings = "retry.attempts = 1\nejection.after = 1\nejection.base_time = \"1h\"\nejection.max_share = 1.0\n\
        timeouts.response = \"200ms\"";
    let mut proxy = Proxy::run(&in_front_of(&[&closed.url(), &mute.url], settings, ""));
    for _ in 0..2 {
        get(proxy.address(), "/", "");
        proxy.line("upstream_failure");
    }
    let answer = get(proxy.address(), "/", "Accept: application/json\r\n");
    assert_eq!(answer.json()["fault"], "no_healthy_server");
    assert!(answer.field("retry-after").is_some_and(|wait| wait.parse::<u64>().unwrap() > 3000), "it says when");
    let line = proxy.line("upstream_failure");
    let mut first: Vec<_> =
        line["attempts"].as_array().unwrap().iter().map(|attempt| attempt["fault"].clone()).collect();
    first.retain(|fault| fault != "no_healthy_server");
    assert_eq!(first, ["connection_refused", "response_timed_out"]);
}

#[test]
fn a_client_that_fails_ejects_nobody() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "ejection.after = 1\nejection.max_share = 1.0", ""));
    for _ in 0..3 {
        let mut client = super::support::client::Client::connect(proxy.address());
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nwhat?\r\n");
        assert_eq!(client.answer().head.status, 400);
    }
    origin.greet("still here");
    assert_eq!(get(proxy.address(), "/", "").text(), "still here");
}
