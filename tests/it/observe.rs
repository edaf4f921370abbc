//! What the admin listener tells of the running program: metrics, the API, the live stream, the dashboard.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

use why502::demo::origin::PrivateDirectory;

use super::support::Needs;
use super::support::can;
use super::support::client::Answer;
use super::support::client::Client;
use super::support::client::get;
use super::support::eventually;
use super::support::origin::Origin;
use super::support::origin::Reserved;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;
use super::support::schema::differences;

const ADMIN: &str = "[admin]\naddress = \"127.0.0.1:0\"\n";

fn ask(admin: SocketAddr, path: &str, fields: &str) -> Answer {
    let mut client = Client::connect(admin);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: close\r\n\r\n"));
    client.answer()
}

/// Every sample of the metrics by its name and labels.
fn metrics(admin: SocketAddr) -> BTreeMap<String, f64> {
    let page = ask(admin, "/metrics", "");
    let samples = page.text().lines().filter(|line| !line.starts_with('#'));
    let pairs = samples.map(|line| line.rsplit_once(' ').expect("a sample has a value"));
    pairs.map(|(name, value)| (name.to_owned(), value.parse().expect("a value is a number"))).collect()
}

/// Whether a count is this one.
fn is(count: f64, expected: f64) -> bool {
    count.total_cmp(&expected).is_eq()
}

/// A configuration with two upstreams: one works, nothing listens where the other is.
fn half_broken(works: &str, closed: &str) -> String {
    in_front_of(&[works], "", ADMIN)
        + &format!(
            "[[route]]\npath = \"/down\"\nupstream = \"down\"\n[[upstream]]\nname = \"down\"\nservers = [{closed:?}]\n\
             [upstream.retry]\nattempts = 1\n"
        )
}

#[test]
fn metrics_count_what_clients_saw() {
    let (origin, closed) = (Origin::listen(), Reserved::port());
    let (url, closed_url) = (origin.url.clone(), closed.url());
    let mut proxy = Proxy::run(&half_broken(&url, &closed_url));
    let app = |status: &str| format!("why502_requests_total{{route=\"*/\",upstream=\"app\",status=\"{status}\"}}");
    eventually("a series before its first count", || (*metrics(proxy.admin()).get(&app("5xx"))? == 0.0).then_some(()));
    origin.greet("hello");
    let mut client = Client::connect(proxy.address());
    for _ in 0..3 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer().text(), "hello");
    }
    for _ in 0..2 {
        assert_eq!(get(proxy.address(), "/down", "").head.status, 502);
    }
    // What a container is to the diagnosis, a bare host is not.
    let cause = proxy.line("upstream_failure")["cause"].as_str().unwrap().to_owned();
    let mut broken = Client::connect(proxy.address());
    broken.send("GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
    assert_eq!(broken.answer().head.status, 400);
    let told = eventually("the end of the last request", || {
        let told = metrics(proxy.admin());
        (told["why502_requests_total{route=\"\",upstream=\"\",status=\"4xx\"}"] > 0.0).then_some(told)
    });
    let server = |name: &str, upstream: &str, url: &str| format!("{name}{{upstream=\"{upstream}\",server=\"{url}\"}}");
    for (name, value) in [
        (app("2xx"), 3.0),
        (app("5xx"), 0.0),
        ("why502_requests_total{route=\"*/down\",upstream=\"down\",status=\"5xx\"}".to_owned(), 2.0),
        ("why502_response_bytes_total{route=\"*/\",upstream=\"app\"}".to_owned(), 15.0),
        ("why502_request_duration_seconds_count{upstream=\"app\"}".to_owned(), 3.0),
        ("why502_request_duration_seconds_bucket{upstream=\"app\",le=\"+Inf\"}".to_owned(), 3.0),
        ("why502_refusals_total{status=\"400\"}".to_owned(), 1.0),
        (
            format!(
                "why502_upstream_failures_total{{upstream=\"down\",fault=\"connection_refused\",cause=\"{cause}\"}}"
            ),
            2.0,
        ),
        ("why502_upstream_failures_hidden_total".to_owned(), 0.0),
        ("why502_upstream_servers_up{upstream=\"app\"}".to_owned(), 1.0),
        (server("why502_server_up", "app", &url), 1.0),
        (server("why502_server_answers_total", "app", &url), 3.0),
        (server("why502_server_failures_total", "down", &closed_url), 2.0),
        (server("why502_server_in_flight", "app", &url), 0.0),
        (server("why502_server_connections", "app", &url), 1.0),
        (server("why502_server_connections_opened_total", "app", &url), 1.0),
        (server("why502_server_connections_reused_total", "app", &url), 2.0),
        (format!("why502_incidents_open{{upstream=\"down\",cause=\"{cause}\"}}"), 1.0),
        ("why502_incidents_opened_total".to_owned(), 1.0),
        (format!("why502_listener_connections_accepted_total{{listener=\"{}\"}}", proxy.address()), 4.0),
        ("why502_log_lines_dropped_total".to_owned(), 0.0),
        ("why502_ready".to_owned(), 1.0),
        (format!("why502_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0),
    ] {
        assert_eq!(told.get(&name), Some(&value), "{name} in {told:#?}");
    }
    assert!(told["process_resident_memory_bytes"] > 1e6 && told["process_open_fds"] > 5.0, "{told:#?}");
    let idle = server("why502_server_connections_idle", "app", &url);
    eventually("the look at idle connections", || is(metrics(proxy.admin())[&idle], 1.0).then_some(()));
}

#[test]
fn retries_ejections_checks_and_reloads_are_counted() {
    let (origin, closed) = (Origin::listen(), Reserved::port());
    let url = origin.url.clone();
    let upstream = "balance = \"round_robin\"\nejection.after = 1\nhealth.path = \"/\"\nhealth.interval = \"100ms\"";
    let mut proxy = Proxy::run(&in_front_of(&[&closed.url(), &url], upstream, ADMIN));
    origin.greet("hello");
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/", "").text(), "hello");
    }
    proxy.signal("HUP");
    proxy.line("reloaded");
    let label = format!("{{upstream=\"app\",server=\"{}\"", closed.url());
    eventually("what is counted", || {
        let told = metrics(proxy.admin());
        let value = |name: &str| told.get(name).copied().unwrap_or_default();
        let out = value(&format!("why502_server_ejections_total{label},by=\"failures\"}}"))
            + value(&format!("why502_server_ejections_total{label},by=\"health\"}}"));
        let checks = value(&format!("why502_health_checks_total{label},result=\"ill\"}}"));
        let retries = value("why502_upstream_retries_total{upstream=\"app\"}");
        let reloads = value("why502_reloads_total{result=\"taken\"}");
        let up = value("why502_upstream_servers_up{upstream=\"app\"}");
        (out >= 1.0
            && checks >= 1.0
            && is(reloads, 1.0)
            && is(retries, value("why502_upstream_failures_hidden_total"))
            && is(up, 1.0))
        .then_some(())
    });
}

#[test]
fn prometheus_reads_both_forms() {
    let closed = Reserved::port();
    let proxy = Proxy::run(&in_front_of(&[&closed.url()], "", ADMIN));
    get(proxy.address(), "/", "");
    let plain = ask(proxy.admin(), "/metrics", "");
    assert_eq!(plain.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let open =
        ask(proxy.admin(), "/metrics", "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n");
    assert_eq!(open.field("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open.text().ends_with("\n# EOF\n") && !plain.text().contains("# EOF"));
    if !can("prometheus_reads_both_forms", Needs::Program("promtool")) {
        return;
    }
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = promtool.spawn().expect("promtool can be started");
    std::io::Write::write_all(&mut running.stdin.take().unwrap(), plain.text().as_bytes()).unwrap();
    let ended = running.wait_with_output().unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&said).trim()), (Some(0), ""));
    let rules = Command::new("promtool").args(["check", "rules", "config/prometheus.rules.yml"]).output().unwrap();
    assert!(rules.status.success(), "{}", String::from_utf8_lossy(&rules.stderr));
}

#[test]
fn the_answers_are_as_the_document_says() {
    let (origin, closed) = (Origin::listen(), Reserved::port());
    let mut proxy = Proxy::run(&half_broken(&origin.url.clone(), &closed.url()));
    let admin = proxy.admin();
    let document = ask(admin, "/api/openapi.json", "").json();
    let mut tried = 0;
    let mut check = |path: &str, entry: &str, status: u16| -> Value {
        let answer = ask(admin, path, "");
        assert_eq!(answer.head.status, status, "{path}: {}", answer.text());
        let media_type = answer.field("content-type").expect("an answer has a type").to_owned();
        let responses = &document["paths"][entry]["get"]["responses"];
        let schema = &responses[status.to_string()]["content"][&media_type]["schema"];
        assert!(schema.is_object(), "{entry} does not tell of {status} in {media_type}");
        let value = answer.json();
        assert_eq!(differences(&value, schema, &document), [""; 0], "{path}: {value:#}");
        tried += 1;
        value
    };
    origin.greet("hello");
    get(proxy.address(), "/", "");
    let failed = get(proxy.address(), "/down", "");
    let request_id = failed.field("x-request-id").expect("an answer has its request's id").to_owned();
    let failure = proxy.line("upstream_failure");
    for (path, status) in [("/livez", 200), ("/readyz", 200), ("/api/openapi.json", 200)] {
        check(path, path, status);
    }
    let upstreams = check("/api/upstreams", "/api/upstreams", 200);
    let down = &upstreams["upstreams"][1];
    assert_eq!(
        (&down["name"], &down["servers"][0]["state"]),
        (&"down".into(), &"up".into()),
        "an only server stays in"
    );
    assert_eq!(down["servers"][0]["faults"][0]["fault"], "connection_refused");
    let hour = down["hour"].as_array().unwrap();
    let sum = |key: &str| hour.iter().map(|minute| minute[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("requests"), sum("errors")), (1, 1));

    let incidents = check("/api/incidents", "/api/incidents", 200);
    let [incident] = incidents["incidents"].as_array().unwrap().as_slice() else { panic!("{incidents:#}") };
    assert_eq!((&incident["upstream"], &incident["cause"]), (&"down".into(), &failure["cause"]));
    for (query, count) in [("?upstream=down&limit=1", 1), ("?upstream=app", 0), ("?limit=5", 1)] {
        let some = check(&format!("/api/incidents{query}"), "/api/incidents", 200);
        assert_eq!(some["incidents"].as_array().unwrap().len(), count, "{query}");
    }
    check("/api/incidents?limit=0", "/api/incidents", 400);
    let path = format!("/api/incidents/{}", incident["incident"].as_str().unwrap());
    let whole = check(&path, "/api/incidents/{id}", 200);
    assert_eq!(
        (whole["answer"]["request_id"].as_str(), &whole["incident"]),
        (Some(&*request_id), &incident["incident"])
    );
    assert!(whole["evidence"].as_array().is_some_and(|evidence| !evidence.is_empty()), "{whole:#}");
    check("/api/incidents/01J8Z3K4M5N6P7Q8R9S0T1V2W3", "/api/incidents/{id}", 404);

    let story = check(&format!("/api/requests/{request_id}"), "/api/requests/{id}", 200);
    for member in ["detail", "cause", "confidence", "evidence", "checklist", "attempts", "incident"] {
        assert_eq!(story[member], failure[member], "{member} as the log has it");
    }
    check("/api/requests/nobody", "/api/requests/{id}", 404);
    check("/api/events?events=nothing", "/api/events", 400);
    assert!(tried >= 14);
}

/// The next event of a stream: its name and what it tells.
fn event(client: &mut Client, unread: &mut String) -> (String, Value) {
    loop {
        while let Some((event, rest)) = unread.split_once("\n\n") {
            let line = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            let found = line("event: ").zip(line("data: "));
            *unread = rest.to_owned();
            if let Some((name, data)) = found {
                return (name, serde_json::from_str(&data).expect("an event tells in JSON"));
            }
        }
        // A chunk: its length, what is in it, and a line end.
        let length = client.wire.line().expect("the stream goes on");
        let length = usize::from_str_radix(length.trim(), 16).expect("a length is a number");
        let chunk = client.wire.bytes(length + 2);
        unread.push_str(std::str::from_utf8(&chunk[..length]).expect("events are text"));
    }
}

#[test]
fn events_come_as_they_happen_even_where_the_log_leaves_them_out() {
    let closed = Reserved::port();
    let mut proxy = Proxy::run(&in_front_of(&[&closed.url()], "", &format!("[log]\naccess = false\n{ADMIN}")));
    let listen = |query: &str| {
        let mut client = Client::connect(proxy.admin());
        client.send(format!("GET /api/events{query} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let head = client.head();
        assert_eq!(head.status, 200);
        assert!(head.fields.contains(&("content-type".to_owned(), "text/event-stream".to_owned())), "{head:?}");
        client
    };
    let (mut all, mut some) = (listen(""), listen("?events=incident_opened,stopped"));
    let status = get(proxy.address(), "/", "").head.status;
    let (mut unread, mut unread_some) = (String::new(), String::new());
    let mut names = Vec::new();
    let request = loop {
        let (name, told) = event(&mut all, &mut unread);
        assert_eq!(told["event"], *name);
        names.push(name);
        if told["event"] == "request" {
            break told;
        }
    };
    assert_eq!((&request["status"], &request["upstream"]), (&status.into(), &"app".into()));
    assert!(
        names.contains(&"upstream_failure".to_owned()) && names.contains(&"incident_opened".to_owned()),
        "{names:?}"
    );
    let (name, told) = event(&mut some, &mut unread_some);
    assert_eq!((&*name, &told), ("incident_opened", &proxy.line("incident_opened")), "word for word as in the log");
    proxy.signal("TERM");
    let (name, told) = event(&mut some, &mut unread_some);
    assert_eq!((&*name, &told["reason"]), ("stopped", &"SIGTERM".into()));
    let (ended, log) = proxy.ended();
    assert_eq!(ended.status, Some(0));
    assert!(log.iter().all(|line| line["event"] != "request"));
}

#[test]
fn a_reader_that_does_not_keep_up_is_cut_off_and_told() {
    let nobody_served =
        in_front_of(&["http://127.0.0.1:1"], "", ADMIN).replace("[[route]]\n", "[[route]]\nhost = \"b\"\n");
    let proxy = Proxy::run(&nobody_served);
    let request = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(7000));
    // Who does not read at all for ten seconds is let go without a word, and a busy machine may take that long.
    let cut = (0..5).find_map(|_| {
        let mut sleeper = Client::connect(proxy.admin());
        sleeper.send("GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(sleeper.head().status, 200);
        let begin = Instant::now();
        let mut client = Client::connect(proxy.address());
        // More than all buffers on the way hold.
        for _ in 0..40 {
            client.send(request.repeat(30));
            (0..30).for_each(|_| assert_eq!(client.answer().head.status, 421, "nobody else is held up"));
        }
        if begin.elapsed() > Duration::from_secs(8) {
            return None;
        }
        let (mut unread, mut events) = (String::new(), 0);
        loop {
            let (name, told) = event(&mut sleeper, &mut unread);
            if name == "cut" {
                return Some((events, told));
            }
            events += 1;
        }
    });
    let (events, told) = cut.expect("this machine is quick enough once in five times");
    assert!(events > 10 && told["reason"].as_str().unwrap().contains("too slow"), "{events} {told}");
}

#[test]
fn the_dashboard_is_one_page_that_may_load_nothing() {
    let directory = PrivateDirectory::new().unwrap();
    fs::write(directory.file("operator.token"), "0123456789abcdef0123").unwrap();
    let proxy = Proxy::run_in(directory, &in_front_of(&["http://127.0.0.1:1"], "", ADMIN));
    let page = ask(proxy.admin(), "/", "");
    assert_eq!((page.head.status, page.field("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.field("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-") && policy.contains("connect-src 'self'"),
        "{policy}"
    );
    assert!(page.text().contains("<main id=\"main\"") && page.text().contains("\"origin_down\""));
}
