//! Shows every event as a person sees it.

use super::Colours;
use crate::diagnosis::Cause;
use crate::fault::Fault;
use crate::telemetry::Event;
use crate::telemetry::Notice;
use crate::telemetry::Probe;
use crate::telemetry::Request;
use crate::telemetry::UpstreamFailure;
use crate::telemetry::samples;

#[test]
fn the_lines_of_every_event_are_these() {
    let totals = samples::totals();
    let events = [
        samples::started(),
        samples::request(),
        samples::refusal(),
        samples::failure(),
        samples::hidden_failure(),
        samples::ejected(),
        samples::down(),
        samples::returned(),
        samples::probe(),
        samples::opened(),
        samples::closed(),
        samples::reloaded(),
        samples::reload_refused(),
        samples::notice(),
        samples::stopped(&totals),
    ];
    let shown: String = events.iter().map(|event| written(Colours::Plain, event)).collect();
    let expected = "\
12:28:01.007  start   why502 0.1.0 listens on 127.0.0.1:8080,
                      unix:/run/why502.sock with why502.toml, 2 workers; it is
                      2024-02-29, UTC
12:28:01.007  200       1.4 ms  GET shop.example/cart  http://app-1.internal:3000
12:28:01.007  404         61 s  GET nowhere.example/cart  (cut short)
12:28:01.007  FAIL    connection_refused, origin_down 86%
                      GET shop.example/cart  app
                      10.0.0.5:3000 refused the connection after 0.4 ms: nothing
                      listens on port 3000 there.
12:28:01.007  retry   connection_refused, origin_down 86%
                      GET shop.example/cart  app
                      10.0.0.5:3000 refused the connection after 0.4 ms: nothing
                      listens on port 3000 there.
12:28:01.007  out     app: http://app-1.internal:3000 gets no requests for 10 s,
                      after 5 failures in a row (response_timed_out)
12:28:01.007  out     app: http://app-1.internal:3000 gets no requests, after 3
                      failed checks in a row (status 503)
12:28:01.007  back    app: http://app-1.internal:3000 gets requests again, after
                      10 s
12:28:01.007  probe   app: http://app-1.internal:3000 checked after
                      connection_refused: 2 findings in 12 ms
                      10.0.0.5:3000: connection_refused after 0.4 ms
                      another port: 10.0.0.5:8080 opened after 0.3 ms, HTTP/1
                      with status 200
12:28:01.007  OPEN    app: an incident, origin_down 86% (connection_refused),
                      01J8Z3K4M5N6P7Q8R9S0T1V2W4
                      10.0.0.5:3000 refused the connection after 0.4 ms.
12:28:01.007  closed  app: the incident is over after 2 min, origin_down, 14
                      failures that clients saw: connection_refused (12),
                      connection_timed_out (2), 01J8Z3K4M5N6P7Q8R9S0T1V2W4
12:28:01.007  reload  serves by what why502.toml says now; changed:
                      upstream \"app\": changed
                      [limits]
12:28:01.007  REFUSE  goes on as before, for what it was to read again cannot be
                      followed:
                      why502.toml:3:1: unknown key `adress`
12:28:01.007  notice  log lines were dropped: 12
12:28:01.007  stop    SIGTERM after 1 h: 12 requests, 2 answered 5xx, 0 log
                      lines dropped
                      app connection_refused, origin_down (3)
";
    assert_eq!(shown, expected);
}

#[test]
fn nothing_from_outside_reaches_the_terminal_as_a_command() {
    let nasty = "/\x1b[2J\r\n\x07\u{9b}31m\u{202e}\u{2028}é";
    let Event::Request(request) = samples::request() else { panic!("the sample is a request") };
    let Event::UpstreamFailure(failure) = samples::failure() else { panic!("the sample is a failure") };
    let Event::Probe(probe) = samples::probe() else { panic!("the sample is a probe") };
    let path = nasty.as_bytes();
    let events = [
        Event::Request(Request { host: path, path, method: nasty, ..request }),
        Event::UpstreamFailure(UpstreamFailure { host: path, path, method: nasty, detail: nasty, ..failure }),
        Event::Notice(Notice { message: nasty, dropped: None }),
        Event::Probe(Probe { found: &[nasty.to_owned()], ..probe }),
    ];
    for event in events {
        let shown = written(Colours::Plain, &event);
        assert!(!shown.replace('\n', "").contains(super::is_hidden), "{shown:?}");
        assert!(shown.contains(r"/\u{1b}[2J\r\n\u{7}\u{9b}31m\u{202e}\u{2028}é"), "{shown:?}");
    }
}

#[test]
fn a_failure_fits_a_hundred_columns_whatever_its_fault_and_cause() {
    let Event::UpstreamFailure(failure) = samples::failure() else { panic!("the sample is a failure") };
    for (fault, cause) in Fault::ALL.into_iter().flat_map(|fault| Cause::ALL.map(|cause| (fault, cause))) {
        let shown = written(Colours::Plain, &Event::UpstreamFailure(UpstreamFailure { fault, cause, ..failure }));
        assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    }
}

#[test]
fn colours_stand_around_the_time_and_the_word_only() {
    let shown = written(Colours::Shown, &samples::request());
    assert!(shown.starts_with("\x1b[2m12:28:01.007\x1b[0m  \x1b[32m200   \x1b[0m    1.4 ms"), "{shown:?}");
}

#[test]
fn a_path_without_end_is_cut() {
    let Event::Request(request) = samples::request() else { panic!("the sample is a request") };
    let path = [b'a'; 5000];
    let shown = written(Colours::Plain, &Event::Request(Request { path: &path, ..request }));
    assert!(shown.chars().count() < 220 && shown.contains("aaa…  http"), "{shown}");
}

fn written(colours: Colours, event: &Event<'_>) -> String {
    let mut out = Vec::new();
    super::write(&mut out, colours, &samples::stamp(), event);
    String::from_utf8(out).expect("a line is UTF-8")
}
