//! The log: what a line is, where it goes, and that it never costs a request.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use why502::demo::origin::PrivateDirectory;

use super::support::client::Client;
use super::support::client::get;
use super::support::eventually;
use super::support::origin::Origin;
use super::support::proxy::Program;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;
use super::support::proxy::why502;

fn greeted(upstream_url: &str, log: &str) -> String {
    in_front_of(&[upstream_url], "", &format!("[log]\n{log}"))
}

#[test]
fn every_line_says_when_how_urgent_and_what() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&greeted(&origin.url, ""));
    let mut client = Client::connect(proxy.address());
    // A path with what would end a line or move a terminal's cursor, and a query with a secret.
    client.send("GET /a%0Ab/\u{85}\u{202e}?token=secret HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    conversation.answer_and_close("hello");
    client.answer();
    client.send("GET /b HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    drop(conversation);
    let failed = client.answer();

    let log = proxy.stop().1;
    for line in &log {
        let ts = line["ts"].as_str().expect("a line has its time");
        let parsed = time::OffsetDateTime::parse(ts, &time::format_description::well_known::Rfc3339);
        assert!(parsed.is_ok_and(|at| at.offset().is_utc()), "{ts}");
        assert!(matches!(line["level"].as_str(), Some("info" | "warn" | "error")), "{line}");
        assert!(line["event"].is_string(), "{line}");
        assert!(!line.to_string().contains("secret"), "{line}");
    }
    let find = |event: &str| log.iter().filter(|line| line["event"] == event).cloned().collect::<Vec<_>>();
    let requests = find("request");
    let members =
        ["request_id", "client", "method", "host", "path", "status", "bytes_sent", "elapsed_ms", "route", "upstream"];
    for member in &members {
        assert!(requests.iter().all(|line| !line[*member].is_null()), "{member}: {requests:#?}");
    }
    let first = &requests[0];
    assert_eq!(
        (&first["client"], &first["method"], &first["host"]),
        (&"127.0.0.1".into(), &"GET".into(), &"shop.example".into())
    );
    assert_eq!((&first["status"], &first["bytes_sent"]), (&200.into(), &5.into()));
    assert_eq!((&first["upstream"], &first["server"]), (&"app".into(), &origin.url.clone().into()));

    // A failure has every member of the operator's answer, and the id that the client was told.
    let [failure] = &find("upstream_failure")[..] else { panic!("one failure: {log:#?}") };
    let members = [
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "request_id",
        "fault",
        "stage",
        "proxy_status",
        "cause",
        "confidence",
        "causes",
        "checklist",
        "upstream",
        "server",
        "peer",
        "elapsed_ms",
        "evidence",
        "attempts",
        "client",
        "method",
        "host",
        "path",
        "route",
        "bytes_sent",
        "retried",
    ];
    for member in members {
        assert!(!failure[member].is_null(), "{member}: {failure:#}");
    }
    assert_eq!(failure["request_id"].as_str(), failed.field("x-request-id"));
    assert_eq!(failure["request_id"], requests[1]["request_id"]);
}

#[test]
fn the_line_of_a_request_that_failed_names_the_server_that_was_tried_last() {
    let mut proxy = Proxy::run(&greeted("http://127.0.0.1:1", ""));
    get(proxy.address(), "/", "");
    assert_eq!(proxy.line("request")["server"], "http://127.0.0.1:1");
}

#[test]
fn without_access_lines_only_failures_are_told() {
    let origin = Origin::listen();
    let mut proxy = Proxy::run(&greeted(&origin.url, "access = false"));
    for fails in [false, true] {
        let mut client = Client::connect(proxy.address());
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut conversation = origin.accept();
        conversation.request();
        if fails {
            drop(conversation);
        } else {
            conversation.answer_and_close("hello");
        }
        client.answer();
    }
    // A fresh connection failed, and a GET may be tried at another server, of which there is none.
    assert_eq!(proxy.line("upstream_failure")["fault"], "closed_before_response");
    let (_, log) = proxy.stop();
    assert!(!log.iter().any(|line| line["event"] == "request"), "{log:#?}");
}

#[test]
fn a_pretty_line_is_for_a_person() {
    let directory = PrivateDirectory::new().unwrap();
    let path = directory.file("why502.sock");
    let configuration = greeted("http://127.0.0.1:1", "format = \"pretty\"")
        .replace("127.0.0.1:0", &format!("unix:{}", path.display()));
    let program = Program::run(&[], &directory, &configuration);
    let started = program.line().expect("it tells that it has started");
    assert!(started.contains("  start ") && started.contains(env!("CARGO_PKG_VERSION")), "{started}");
    let mut client = Client::connect_to_socket(&path);
    client.send("GET /cart\u{1b}[31m HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    client.answer();
    drop(client);
    let mut client = Client::connect_to_socket(&path);
    client.send("GET /cart HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    client.answer();
    drop(client);
    program.signal("TERM");
    let ended = program.ended();
    assert_eq!(ended.status, Some(0));
    for said in ["  FAIL ", "connection_refused", "  502 ", "GET a/cart", "  stop "] {
        assert!(ended.out.contains(said), "{said}: {}", ended.out);
    }
    assert!(!ended.out.contains('\u{1b}') && !ended.out.contains('{'), "{}", ended.out);
}

#[test]
fn nothing_from_outside_begins_a_line_or_moves_a_cursor() {
    const ANSWERS: [&[u8]; 4] = [
        b"\x1b]0;owned\x07\nFAKE line\r\n\r\n",
        b"HTTP/1.1 200 \x1b[2J\r\nServer: a\xc2\x9b2J\r\nBad\x1b[31m Field: z\nFAKE: x\r\n\r\n",
        b"HTTP/1.1 502 \xe2\x80\xae\r\nServer: evil\xe2\x80\xae\xc2\x9b2J\xff\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \xc2\x9bchunked\x1b[1m\r\n\r\n",
    ];
    const REQUESTS: [&[u8]; 7] = [
        b"GET /a%0aFAKE%0d%1b[2J HTTP/1.1\r\nHost: a\r\nUser-Agent: \xe2\x80\xae\xc2\x9b2J\r\nReferer: \x9b\r\n",
        b"GET /\xc2\x9b2J\xe2\x80\xae HTTP/1.1\r\nHost: a\r\n",
        b"GET /a\x1b[31m\rFAKE HTTP/1.1\r\nHost: a\r\n",
        b"G\x1bT / HTTP/1.1\r\nHost: a\r\n",
        b"GET / HTTP/1.1\r\nHost: a\x1b[2J\r\n",
        b"GET / HTTP/1.1\r\nHost: a\xe2\x80\xae\xc2\x9b\r\n",
        b"GET http://a\xc2\x9b/\nFAKE HTTP/1.1\r\nHost: a\r\n",
    ];
    // As the log has it: control characters, the old ones of eight bits too, and what turns the direction of writing.
    let harms = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    let innocent = |said: &str| !said.contains(harms) && !said.lines().any(|line| line.starts_with("FAKE"));
    for format in ["json", "pretty"] {
        let directory = PrivateDirectory::new().unwrap();
        let (file, socket, origin) = (directory.file("why502.log"), directory.file("why502.sock"), Origin::listen());
        let tables =
            format!("[operators]\nnetworks = [\"unix\"]\n[log]\nformat = {format:?}\noutput = \"why502.log\"\n");
        let upstream = "intercept = [502]\nejection.after = 1000\nretry.attempts = 1";
        let configuration = in_front_of(&[&origin.url], upstream, &tables);
        let listener = format!("unix:{}", socket.display());
        let program = Program::run(&[], &directory, &configuration.replace("127.0.0.1:0", &listener));
        // The file is there a moment before anybody listens.
        eventually("the listener", || UnixStream::connect(&socket).ok());
        let begin = |request: &[u8]| {
            let mut client = Client::connect_to_socket(&socket);
            client.send([request, b"Accept: text/plain\r\nConnection: close\r\n\r\n"].concat());
            client
        };
        let mut told = Vec::new();
        for answer in ANSWERS {
            let mut client = begin(b"GET / HTTP/1.1\r\nHost: a\r\n");
            let mut conversation = origin.accept();
            conversation.request();
            conversation.wire.send(answer);
            drop(conversation);
            told.push(client.answer());
        }
        drop(origin);
        told.extend(REQUESTS.map(|request| begin(request).answer()));
        for answer in told {
            assert!((400..=502).contains(&answer.head.status) && innocent(answer.text()), "{answer:#?}");
        }
        program.signal("TERM");
        assert_eq!(program.ended().status, Some(0));
        let log = fs::read_to_string(file).unwrap();
        assert!(innocent(&log), "{log}");
        assert!(log.lines().count() >= 2 + ANSWERS.len() + REQUESTS.len(), "{log}");
        if format == "json" {
            let lines = log.lines().map(serde_json::from_str::<Value>);
            assert!(lines.into_iter().all(|line| line.is_ok_and(|line| line["event"].is_string())), "{log}");
        }
        let report = why502(&["report", "why502.log"], directory.path());
        assert!(innocent(&report.out) && innocent(&report.err), "{report:?}");
        assert_eq!(report.status, Some(0), "{report:?}");
    }
}

#[test]
fn a_file_is_written_to_and_opened_anew_when_it_was_moved_away() {
    let directory = PrivateDirectory::new().unwrap();
    let (log, old, socket) =
        (directory.file("why502.log"), directory.file("why502.log.1"), directory.file("why502.sock"));
    let origin = Origin::listen();
    let configuration =
        greeted(&origin.url, "output = \"why502.log\"").replace("127.0.0.1:0", &format!("unix:{}", socket.display()));
    origin.greet("hello");
    let program = Program::run(&[], &directory, &configuration);
    let ask = |path: &str| {
        eventually("the listener", || socket.exists().then_some(()));
        let mut client = Client::connect_to_socket(&socket);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        assert_eq!(client.answer().text(), "hello");
    };
    let told = |file: &Path, path: &str| lines(file).iter().any(|line| line["path"] == path);
    ask("/1");
    eventually("its line", || told(&log, "/1").then_some(()));
    fs::rename(&log, &old).unwrap();
    ask("/2");
    eventually("the next line, still in the old file", || told(&old, "/2").then_some(()));
    program.signal("HUP");
    eventually("the new file", || log.exists().then_some(()));
    ask("/3");
    eventually("the last line", || told(&log, "/3").then_some(()));
    assert!(!told(&old, "/3") && !told(&log, "/2"));
    program.signal("TERM");
    assert_eq!(program.ended().status, Some(0));
}

#[test]
fn a_full_disk_costs_lines_and_no_request() {
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: a full disk: there is no /dev/full");
        return;
    }
    let directory = PrivateDirectory::new().unwrap();
    let socket = directory.file("why502.sock");
    let origin = Origin::listen();
    let configuration =
        greeted(&origin.url, "output = \"/dev/full\"").replace("127.0.0.1:0", &format!("unix:{}", socket.display()));
    origin.greet("hello");
    let program = Program::run(&[], &directory, &configuration);
    eventually("the listener", || socket.exists().then_some(()));
    let complaint = program.complaint().expect("it says that the log cannot be written");
    assert!(complaint.contains("the log cannot be written"), "{complaint}");
    for _ in 0..50 {
        let mut client = Client::connect_to_socket(&socket);
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(client.answer().text(), "hello");
    }
    program.signal("TERM");
    assert_eq!(program.ended().status, Some(0));
}

#[test]
fn a_closed_pipe_costs_lines_and_no_request() {
    let origin = Origin::listen();
    let mut proxy = Proxy::run(&greeted(&origin.url, ""));
    origin.greet("hello");
    proxy.stop_listening();
    let ask = || assert_eq!(get(proxy.address(), "/", "").text(), "hello");
    let complaint = eventually("a complaint", || {
        ask();
        proxy.has_complained()
    });
    assert!(complaint.contains("the log cannot be written"), "{complaint}");
    (0..50).for_each(|_| ask());
    proxy.signal("TERM");
    assert_eq!(proxy.ended().0.status, Some(0));
}

/// Every line of a file that is whole; none where there is no such file.
fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap()).collect()
}
