//! Checks of a failing server: how many there are, what an origin sees of them, and that no answer waits for them too long.

use std::sync::Arc;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use super::support::client::Client;
use super::support::client::get;
use super::support::eventually;
use super::support::origin::Origin;
use super::support::origin::Request;
use super::support::origin::Reserved;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

/// What an origin was asked by each connection, none by those that said nothing.
type Arrivals = Arc<Mutex<Vec<Option<Request>>>>;

#[test]
fn there_is_one_round_however_many_requests_fail_on_however_many_workers() {
    let (origin, arrivals) = hangs_up_on_visitors();
    let mut proxy = proxy(&origin, "workers = 2", "probe_interval = \"1h\"");
    let visitors = 40;
    for visitor in 0..visitors {
        assert_eq!(get(proxy.address(), &format!("/{visitor}"), "").head.status, 502);
    }
    let told = proxy.line("probe");
    assert_eq!((&told["upstream"], &told["server"], &told["round"]), (&"app".into(), &origin.into(), &1.into()));
    assert_eq!(told["fault"], "closed_before_response");
    let found: Vec<_> = told["found"].as_array().unwrap().iter().filter_map(|one| one.as_str()).collect();
    assert!(found.iter().any(|one| one.starts_with("GET /: status 200, ")), "{found:#?}");
    assert!(found.iter().any(|one| one.starts_with("unasked: nothing")), "{found:#?}");
    let (_, log) = proxy.stop();
    assert_eq!(log.iter().filter(|line| line["event"] == "probe").count(), 1, "{log:#?}");
    assert_eq!(log.iter().filter(|line| line["event"] == "upstream_failure").count(), visitors);
    let arrivals = arrivals.lock().unwrap();
    let probes: Vec<_> = arrivals.iter().flatten().filter(|request| is_probe(request)).collect();
    let [probe] = &probes[..] else { panic!("one request of the proxy's own: {probes:#?}") };
    assert_eq!(probe.line, "GET / HTTP/1.1");
    assert!(probe.field("via").is_some_and(|via| via.starts_with("1.1 why502-")), "{probe:#?}");
    assert_eq!(arrivals.iter().filter(|said| said.is_none()).count(), 1, "and one connection that only listens");
}

#[test]
fn nothing_that_a_client_says_chooses_whom_checks_go_to_or_what_they_ask() {
    let (origin, arrivals) = hangs_up_on_visitors();
    let target = Origin::listen();
    let mut proxy = proxy(&origin, "workers = 2", "probe_interval = \"1h\"");
    let other = target.url.trim_start_matches("http://").to_owned();
    for number in 0..20 {
        for (line, host) in [
            ("GET /pay?all=1".to_owned(), other.clone()),
            (format!("GET http://{other}/pay"), other.clone()),
            ("DELETE /all".to_owned(), format!("{number}.victim.example")),
        ] {
            let mut client = Client::connect(proxy.address());
            client.send(format!(
                "{line} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: {other}\r\nForwarded: host=\"{other}\"\r\n\
                 X-Forwarded-For: 203.0.113.{number}\r\nReferer: {}/\r\nConnection: close\r\n\r\n",
                target.url
            ));
            assert_eq!(client.answer().head.status, 502, "{line} {host}");
        }
    }
    proxy.line("probe");
    let (_, log) = proxy.stop();
    assert_eq!(log.iter().filter(|line| line["event"] == "probe").count(), 1, "one round for sixty failures");
    assert!(target.is_left_alone());
    let arrivals = arrivals.lock().unwrap();
    let probes: Vec<_> = arrivals.iter().flatten().filter(|request| is_probe(request)).collect();
    let [probe] = &probes[..] else { panic!("{probes:#?}") };
    let own = origin.trim_start_matches("http://");
    assert_eq!((&*probe.line, probe.field("host")), ("GET / HTTP/1.1", Some(own)));
    let said = format!("{:?}", probe.fields);
    assert!(!said.contains("victim") && !said.contains(&other) && !said.contains("203.0.113"), "{said}");
}

#[test]
fn another_round_follows_when_the_interval_is_over() {
    let (origin, _) = hangs_up_on_visitors();
    let mut proxy = proxy(&origin, "workers = 1", "probe_interval = \"100ms\"");
    let begin = Instant::now();
    get(proxy.address(), "/", "");
    assert_eq!(proxy.line("probe")["round"], 1);
    let ask = || {
        get(proxy.address(), "/", "");
        (begin.elapsed() > Duration::from_millis(200)).then_some(())
    };
    eventually("the interval's end", ask);
    assert_eq!(proxy.line("probe")["round"], 2);
}

#[test]
fn a_check_of_another_proxys_that_fails_calls_for_none() {
    for (agent, rounds) in [("why502-probe", 0), ("why502-prober", 1)] {
        let closed = Reserved::port();
        let proxy = proxy(&closed.url(), "workers = 1", "probe_interval = \"1h\"\nwait = \"5s\"");
        for _ in 0..3 {
            assert_eq!(get(proxy.address(), "/", &format!("User-Agent: {agent}\r\n")).head.status, 502);
        }
        let (_, log) = proxy.stop();
        assert_eq!(log.iter().filter(|line| line["event"] == "upstream_failure").count(), 3, "{log:#?}");
        assert_eq!(log.iter().filter(|line| line["event"] == "probe").count(), rounds, "{agent}: {log:#?}");
    }
}

#[test]
fn switched_off_an_origin_sees_visitors_only() {
    let (origin, arrivals) = hangs_up_on_visitors();
    let proxy = proxy(&origin, "workers = 2", "probes = false");
    for _ in 0..10 {
        assert_eq!(get(proxy.address(), "/", "").head.status, 502);
    }
    let (_, log) = proxy.stop();
    assert!(!log.iter().any(|line| line["event"] == "probe"), "{log:#?}");
    let arrivals = arrivals.lock().unwrap();
    assert_eq!(arrivals.len(), 10, "{arrivals:#?}");
    assert!(!arrivals.iter().any(|said| said.as_ref().is_none_or(is_probe)), "{arrivals:#?}");
}

#[test]
fn an_answer_waits_no_longer_than_it_may_for_a_round_that_takes_its_time() {
    // It accepts by its kernel, and never says a word, so that the checks take a second.
    let origin = Reserved::port().listen();
    let tables = "[diagnosis]\nwait = \"100ms\"\n[runtime]\nworkers = 1";
    let upstream = "timeouts.response = \"100ms\"";
    let mut proxy = Proxy::run(&in_front_of(&[&origin.url], upstream, tables));
    let begin = Instant::now();
    assert_eq!(get(proxy.address(), "/", "").head.status, 502);
    let answered = begin.elapsed();
    let told = proxy.line("probe");
    let round = Duration::from_millis(told["elapsed_ms"].as_u64().unwrap());
    assert!(round >= Duration::from_secs(1), "{told}");
    assert!(answered < round, "the answer came after {answered:?}, the round took {round:?}");
}

fn proxy(origin: &str, runtime: &str, diagnosis: &str) -> Proxy {
    let tables = format!("[diagnosis]\n{diagnosis}\n[runtime]\n{runtime}");
    Proxy::run(&in_front_of(&[origin], "ejection.after = 1000", &tables))
}

/// An origin that reads what visitors ask and closes, and that answers the proxy's own requests.
fn hangs_up_on_visitors() -> (String, Arrivals) {
    let origin = Origin::listen();
    let (url, arrivals) = (origin.url.clone(), Arrivals::default());
    let all = Arc::clone(&arrivals);
    thread::spawn(move || {
        loop {
            let mut conversation = origin.accept();
            let all = Arc::clone(&all);
            thread::spawn(move || {
                let request = conversation.next();
                let answers = request.as_ref().is_some_and(is_probe);
                all.lock().unwrap().push(request);
                if answers {
                    conversation.answer_and_close("well");
                }
            });
        }
    });
    (url, arrivals)
}

fn is_probe(request: &Request) -> bool {
    request.field("user-agent") == Some("why502-probe")
}
