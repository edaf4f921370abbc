//! Servers are asked whether they are well, and get no requests while they are not.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use super::support::client::get;
use super::support::eventually;
use super::support::origin::Origin;
use super::support::origin::Request;
use super::support::origin::Reserved;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

/// Checks that come often and are believed at once.
const OFTEN: &str = "[upstream.health]\npath = \"/healthz?full\"\ninterval = \"50ms\"\ntimeout = \"5s\"\nhealthy_after = 2\nunhealthy_after = 2";

/// An origin that answers its checks with a status, and everything else with its name.
struct Checked {
    url: String,
    status: Arc<AtomicU16>,
    /// How many checks it has answered, and how many other requests.
    checks: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    asked: Arc<Mutex<Option<Request>>>,
}

impl Checked {
    fn serve(origin: Origin, name: &'static str, first: u16) -> Self {
        let checked = Self {
            url: origin.url.clone(),
            status: Arc::new(AtomicU16::new(first)),
            checks: Arc::default(),
            requests: Arc::default(),
            asked: Arc::default(),
        };
        let (status, asked) = (Arc::clone(&checked.status), Arc::clone(&checked.asked));
        let (checks, requests) = (Arc::clone(&checked.checks), Arc::clone(&checked.requests));
        origin.serve(move |request, conversation| {
            if request.line.starts_with("GET /healthz") {
                *asked.lock().unwrap() = Some(request);
                let status = status.load(Ordering::SeqCst);
                let answer = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 2\r\n\r\nhm");
                conversation.wire.try_send(answer).ok();
                checks.fetch_add(1, Ordering::SeqCst);
            } else {
                requests.fetch_add(1, Ordering::SeqCst);
                conversation.answer(name);
            }
        });
        checked
    }

    fn becomes(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

#[test]
fn a_server_that_fails_its_checks_gets_no_requests_until_it_is_well() {
    let (one, other) = (Checked::serve(Origin::listen(), "one", 200), Checked::serve(Origin::listen(), "other", 302));
    let settings = format!("balance = \"round_robin\"\nslow_start = \"0s\"\n{OFTEN}");
    let mut proxy = Proxy::run(&in_front_of(&[&one.url, &other.url], &settings, "[runtime]\nworkers = 2"));
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/", "").head.status, 200);
    }
    assert_eq!((one.requests(), other.requests()), (2, 2));

    one.becomes(503);
    let line = proxy.line("server_ejected");
    assert_eq!((&line["server"], &line["upstream"]), (&one.url.clone().into(), &"app".into()));
    assert_eq!((&line["by"], &line["status"], &line["failures"]), (&"health".into(), &503.into(), &2.into()));
    assert_eq!((line.get("fault"), line.get("ejected_ms"), &line["level"]), (None, None, &"warn".into()));
    for _ in 0..6 {
        assert_eq!(get(proxy.address(), "/", "").text(), "other");
    }
    assert_eq!(one.requests(), 2, "it was left alone");

    one.becomes(204);
    let line = proxy.line("server_returned");
    assert_eq!((&line["server"], &line["by"]), (&one.url.clone().into(), &"health".into()));
    assert!(line["ejected_ms"].as_u64().is_some(), "{line}");
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/", "").head.status, 200);
    }
    assert_eq!(one.requests(), 4);
}

#[test]
fn when_checks_hold_all_to_be_down_what_they_met_is_named() {
    let (sick, closed) = (Checked::serve(Origin::listen(), "sick", 404), Reserved::port());
    let settings = format!("[upstream.ejection]\nafter = 1000\n{OFTEN}");
    let mut proxy = Proxy::run(&in_front_of(&[&sick.url, &closed.url()], &settings, ""));
    let mut out = [proxy.line("server_ejected"), proxy.line("server_ejected")];
    out.sort_by_key(|line| line["server"] == closed.url());
    assert_eq!((&out[0]["status"], &out[1]["fault"]), (&404.into(), &"connection_refused".into()));

    let answer = get(proxy.address(), "/", "Accept: application/json\r\n");
    assert_eq!(answer.json()["fault"], "no_healthy_server");
    assert!(answer.field("retry-after").is_some());
    let line = proxy.line("upstream_failure");
    let attempts: Vec<_> = line["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["fault"]).collect();
    assert_eq!(attempts, ["connection_refused", "no_healthy_server"]);
    let said = format!("the health check of {} asked for /healthz?full and was answered 404", sick.url);
    assert!(line["detail"].as_str().unwrap().contains(&said), "{line}");
    assert_eq!(sick.requests(), 0);
}

#[test]
fn a_server_that_is_only_ejected_is_asked_before_nobody_is() {
    let (sick, rude) = (Checked::serve(Origin::listen(), "sick", 500), Origin::listen());
    let settings =
        format!("[upstream.retry]\nattempts = 1\n[upstream.ejection]\nafter = 1\nbase_time = \"1h\"\n{OFTEN}");
    let mut proxy = Proxy::run(&in_front_of(&[&sick.url, &rude.url], &settings, ""));
    rude.serve(|request, conversation| {
        if request.line.starts_with("GET /healthz") {
            conversation.answer("well");
        } else {
            conversation.wire.half_close();
        }
    });
    assert_eq!(proxy.line("server_ejected")["by"], "health");
    for _ in 0..3 {
        get(proxy.address(), "/", "");
        assert_eq!(proxy.line("upstream_failure")["fault"], "closed_before_response");
    }
    assert_eq!(sick.requests(), 0);
}

#[test]
fn one_task_a_server_asks_whatever_the_number_of_cores() {
    let server = Checked::serve(Origin::listen(), "app", 200);
    let settings = "[upstream.health]\ninterval = \"1h\"\npath = \"/healthz\"";
    let proxy = Proxy::run(&in_front_of(&[&server.url], settings, "[runtime]\nworkers = 3"));
    eventually("the first check", || (server.checks.load(Ordering::SeqCst) > 0).then_some(()));
    for _ in 0..10 {
        assert_eq!(get(proxy.address(), "/", "").text(), "app");
    }
    assert_eq!(server.checks.load(Ordering::SeqCst), 1);
}

#[test]
fn a_check_asks_with_the_name_that_the_settings_say() {
    for (host_header, expected) in [("client", None), ("upstream", None), ("shop.example", Some("shop.example"))] {
        let server = Checked::serve(Origin::listen(), "app", 200);
        let settings = format!("host_header = \"{host_header}\"\n{OFTEN}");
        let _proxy = Proxy::run(&in_front_of(&[&server.url], &settings, ""));
        let request = eventually("a check", || server.asked.lock().unwrap().take());
        assert_eq!(request.line, "GET /healthz?full HTTP/1.1");
        let own = server.url.strip_prefix("http://").unwrap();
        assert_eq!(request.field("host"), Some(expected.unwrap_or(own)));
        assert!(request.field("user-agent").is_some_and(|name| name.starts_with("why502/")));
    }
}

#[test]
fn a_check_that_is_not_answered_in_time_has_failed() {
    let mute = Origin::listen();
    let settings = "[upstream.health]\ninterval = \"50ms\"\ntimeout = \"100ms\"\nunhealthy_after = 1";
    let mut proxy = Proxy::run(&in_front_of(&[&mute.url], settings, ""));
    let line = proxy.line("server_ejected");
    assert_eq!((&line["fault"], &line["failures"]), (&"response_timed_out".into(), &1.into()));
    get(proxy.address(), "/", "");
    let line = proxy.line("upstream_failure");
    assert_eq!(
        (&line["fault"], &line["attempts"][0]["fault"]),
        (&"no_healthy_server".into(), &"response_timed_out".into())
    );
}
