//! Answers of the upstream itself that are diagnosed instead of passed on.

use std::fs;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;

use why502::demo::origin::PrivateDirectory;

use super::support::Needs;
use super::support::can;
use super::support::client::Answer;
use super::support::client::Client;
use super::support::client::get;
use super::support::eventually;
use super::support::origin::Conversation;
use super::support::origin::Origin;
use super::support::origin::Reserved;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

const INTERCEPT: &str = "intercept = [502, 503, 504]\nretry.attempts = 2";
const STANDARD: &str = "[runtime]\nworkers = 1\n[diagnosis]\nstatus = \"standard\"\nprobes = false";

/// Asks once, has the origin answer so, and gives the client's answer, the failure's line and the origin's connection.
fn intercepted(request: &str, answer: &[u8]) -> (Answer, Value, Conversation, Proxy, Origin) {
    let origin = Origin::listen();
    let mut proxy = Proxy::run(&in_front_of(&[&origin.url], INTERCEPT, STANDARD));
    let mut client = Client::connect(proxy.address());
    client.send(request);
    let mut conversation = origin.accept();
    conversation.request();
    conversation.say(answer);
    let answer = if request.starts_with("HEAD") { client.answer_to_head() } else { client.answer() };
    let line = proxy.line("upstream_failure");
    (answer, line, conversation, proxy, origin)
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n";

#[test]
fn an_intercepted_answer_is_told_and_its_connection_is_used_again() {
    let page = "<html><head><title>502 Bad Gateway</title></head><hr><center>nginx/1.22.1</center></html>";
    let chunked = format!("{:x}\r\n{page}\r\n0\r\n\r\n", page.len());
    let head = "HTTP/1.1 502 Bad Gateway\r\nServer: nginx/1.22.1\r\n";
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03";
    let table: [(&str, Vec<u8>); 5] = [
        (GET, format!("{head}Content-Length: {}\r\n\r\n{page}", page.len()).into_bytes()),
        (GET, format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunked}").into_bytes()),
        (GET, format!("{head}Content-Length: 0\r\n\r\n").into_bytes()),
        (GET, [format!("{head}Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n").as_bytes(), gzip].concat()),
        ("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n", format!("{head}Content-Length: {}\r\n\r\n", page.len()).into_bytes()),
    ];
    for (request, said) in table {
        let (answer, line, mut conversation, proxy, origin) = intercepted(request, &said);
        let told = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(answer.head.status, 502, "{told}");
        assert_eq!(answer.field("proxy-status"), Some("why502; received-status=502"), "{told}");
        assert!(!answer.text().contains("nginx"), "a visitor is not told who: {}", answer.text());
        let word = |key: &str| line[key].as_str().unwrap_or_default();
        assert_eq!((word("fault"), word("stage"), word("cause")), ("upstream_bad_gateway", "upstream", "origin_down"));
        assert!(word("detail").starts_with("nginx at 127.0.0.1:"), "{line}");
        assert_eq!(line["attempts"].as_array().map(Vec::len), Some(1), "it is not asked again");

        let mut client = Client::connect(proxy.address());
        client.send(GET);
        assert_eq!(conversation.request().line, "GET /a HTTP/1.1", "on the same connection");
        conversation.answer("well");
        assert_eq!(client.answer().text(), "well");
        assert!(origin.is_left_alone());
    }
}

#[test]
fn each_status_has_its_fault_and_retry_after_is_passed_on() {
    for (status, fault) in
        [(502, "upstream_bad_gateway"), (503, "upstream_unavailable"), (504, "upstream_gateway_timeout")]
    {
        let said = format!("HTTP/1.1 {status} X\r\nRetry-After: 17\r\nContent-Length: 4\r\n\r\nbusy");
        let (answer, line, ..) = intercepted(GET, said.as_bytes());
        assert_eq!((answer.head.status, answer.field("retry-after")), (status, Some("17")));
        assert_eq!(answer.field("proxy-status"), Some(&*format!("why502; received-status={status}")));
        assert_eq!((answer.json()["fault"].as_str(), line["fault"].as_str()), (Some(fault), Some(fault)));
    }
}

#[test]
fn what_is_not_listed_is_passed_on() {
    for (intercept, status) in [("", 502), ("intercept = [502, 504]", 503), ("intercept = [502, 503, 504]", 500)] {
        let origin = Origin::listen();
        let mut proxy = Proxy::run(&in_front_of(&[&origin.url], intercept, STANDARD));
        let mut client = Client::connect(proxy.address());
        client.send(GET);
        let mut conversation = origin.accept();
        conversation.request();
        conversation.say(format!("HTTP/1.1 {status} X\r\nContent-Length: 3\r\n\r\nown"));
        let answer = client.answer();
        assert_eq!((answer.head.status, answer.text()), (status, "own"));
        assert_eq!(proxy.line("request")["status"], status);
    }
}

#[test]
fn a_page_without_an_end_is_waited_for_a_moment_only_and_its_connection_is_closed() {
    let endless = "HTTP/1.1 503 X\r\nServer: Varnish\r\nContent-Length: 1000000\r\n\r\nthe beginning";
    let (answer, line, mut conversation, ..) = intercepted(GET, endless.as_bytes());
    assert_eq!((answer.head.status, line["fault"].as_str()), (503, Some("upstream_unavailable")));
    assert!(line["elapsed_ms"].as_f64().unwrap() < 1000.0, "the time is that of the head: {line}");
    assert!(conversation.is_closed());

    let large = [b"HTTP/1.1 503 X\r\nContent-Length: 40000\r\n\r\n".as_slice(), &vec![b'x'; 40_000]].concat();
    let (answer, _, mut conversation, ..) = intercepted(GET, &large);
    assert_eq!(answer.head.status, 503);
    assert!(conversation.is_closed());

    let broken = "HTTP/1.1 502 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let origin = Origin::listen();
    let mut proxy = Proxy::run(&in_front_of(&[&origin.url], INTERCEPT, STANDARD));
    let mut client = Client::connect(proxy.address());
    client.send(GET);
    let mut conversation = origin.accept();
    conversation.request();
    conversation.say(broken);
    drop(conversation);
    assert_eq!(
        (client.answer().head.status, proxy.line("upstream_failure")["fault"].as_str()),
        (502, Some("upstream_bad_gateway"))
    );
}

#[test]
fn an_answer_that_does_not_wait_for_the_request_is_told_too() {
    let origin = Origin::listen();
    let mut proxy = Proxy::run(&in_front_of(&[&origin.url], INTERCEPT, STANDARD));
    let mut client = Client::connect(proxy.address());
    client.send("POST /a HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nContent-Length: 100\r\n\r\nthe beginning");
    let mut conversation = origin.accept();
    conversation.head();
    conversation.say("HTTP/1.1 503 X\r\nContent-Length: 4\r\n\r\nbusy");
    let answer = client.answer();
    assert_eq!((answer.head.status, answer.json()["fault"].as_str()), (503, Some("upstream_unavailable")));
    assert_eq!(proxy.line("upstream_failure")["fault"], "upstream_unavailable");
    assert!(origin.is_left_alone(), "what was begun is not sent again");
}

#[test]
fn intercepted_answers_in_a_row_eject_a_server() {
    let (sick, well) = (Origin::listen(), Origin::listen());
    let settings = format!("{INTERCEPT}\nbalance = \"round_robin\"\nejection.after = 2\nejection.base_time = \"1h\"");
    let mut proxy = Proxy::run(&in_front_of(&[&sick.url, &well.url], &settings, STANDARD));
    let url = sick.url.clone();
    std::thread::spawn(move || {
        let mut conversation = sick.accept();
        while conversation.next().is_some() {
            conversation.say("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n");
        }
    });
    well.greet("well");
    let statuses: Vec<u16> = (0..6).map(|_| get(proxy.address(), "/", "").head.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 2, "{statuses:?}");
    assert_eq!(proxy.line("server_ejected")["server"], url.as_str());
}

/// An nginx in front of that port, on a port of its own.
fn nginx(directory: &PrivateDirectory, backend: &str) -> (Child, String) {
    let reserved = Reserved::port();
    let address = reserved.address;
    drop(reserved);
    let root = directory.file("");
    let configuration = format!(
        "daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/error.log; events {{}}\n\
         http {{ access_log off; client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f;\n\
         uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n\
         server {{ listen {address}; location / {{ proxy_pass {backend}; }} }} }}\n",
        root = root.display()
    );
    let file = directory.file("nginx.conf");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-e").arg(directory.file("error.log")).arg("-c").arg(&file).stdin(Stdio::null()).stderr(Stdio::null());
    (command.spawn().unwrap(), format!("http://{address}"))
}

#[test]
fn an_nginx_whose_backend_refuses_is_named_to_the_operator() {
    if !can("an answer of nginx", Needs::Program("nginx")) {
        return;
    }
    let directory = PrivateDirectory::new().unwrap();
    let closed = Reserved::port();
    let (mut nginx, url) = nginx(&directory, &closed.url());
    let address = url.strip_prefix("http://").unwrap().parse().unwrap();
    eventually("nginx", || std::net::TcpStream::connect::<std::net::SocketAddr>(address).ok());
    let mut proxy = Proxy::run(&in_front_of(&[&url], INTERCEPT, STANDARD));
    let answer = get(proxy.address(), "/", "Accept: application/json\r\n");
    let line = proxy.line("upstream_failure");
    nginx.kill().unwrap();
    nginx.wait().unwrap();
    assert_eq!((answer.head.status, answer.json()["fault"].as_str()), (502, Some("upstream_bad_gateway")));
    assert_eq!(line["cause"], "origin_down", "{line}");
    assert!(line["detail"].as_str().unwrap().starts_with(&format!("nginx at {address} answered 502 itself")), "{line}");
    assert!(
        line["evidence"].as_array().unwrap().iter().any(|found| found["id"] == "gateway_gave_up_at_once"),
        "{line}"
    );
    let steps = line["checklist"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["command"].as_str().is_some_and(|it| it.contains("nginx -T"))), "{line}");
}
