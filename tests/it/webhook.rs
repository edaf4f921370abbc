//! The webhook: the lines of incidents as somebody else gets them, and what is said where nobody takes them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use why502::config;
use why502::demo::origin::PrivateDirectory;
use why502::diagnosis::checklist::Checklist;
use why502::incident::Patience;
use why502::server::Server;

use super::support::certs::Authority;
use super::support::client::get;
use super::support::eventually;
use super::support::origin::Origin;
use super::support::origin::Request;
use super::support::origin::Reserved;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

fn json(request: &Request) -> Value {
    serde_json::from_slice(&request.body).expect("a line is JSON")
}

fn webhook(url: &str) -> String {
    format!("[incidents]\nwebhook = {url:?}\n[runtime]\nworkers = 2\n")
}

/// Reads the next POST and answers with that status.
fn receive(receiver: &Origin, status: &str) -> Request {
    let mut conversation = receiver.accept();
    let request = conversation.request();
    conversation.say(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nLocation: /elsewhere\r\n\r\n"));
    request
}

#[test]
fn the_opening_and_the_closing_line_are_posted_and_posted_again_where_that_fails() {
    let (directory, origin, receiver) = (PrivateDirectory::new().unwrap(), Reserved::port(), Origin::listen());
    let (file, log) = (directory.file("why502.toml"), directory.file("log"));
    let tables = webhook(&format!("{}/hook?key=secret", receiver.url))
        + &format!("[log]\noutput = {:?}", log.display().to_string());
    fs::write(&file, in_front_of(&[&origin.url()], "ejection.after = 1000", &tables)).unwrap();
    let patience = Patience { calm: Duration::from_millis(500), ..Patience::default() };
    let config = config::load(Path::new(&file)).expect("the configuration is right");
    let server = Server::start_with(config, Checklist::built_in(), patience).expect("it starts");
    let config::ListenAddress::Tcp(address) = server.addresses()[0] else { panic!("it listens on TCP") };
    let line = |event: &str| {
        eventually("the line", || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            text.lines().rfind(|line| line.contains(event)).map(str::to_owned)
        })
    };

    get(address, "/", "");
    let first = receive(&receiver, "503 Service Unavailable");
    let again = receive(&receiver, "204 No Content");
    assert_eq!(first.line, "POST /hook?key=secret HTTP/1.1");
    assert_eq!((first.line, first.body), (again.line.clone(), again.body.clone()));
    assert_eq!(again.field("host"), receiver.url.strip_prefix("http://"));
    assert_eq!(again.field("content-type"), Some("application/json"));
    assert_eq!(again.field("user-agent").map(|agent| agent.starts_with("why502/")), Some(true));
    assert_eq!(String::from_utf8(again.body).unwrap(), line("incident_opened"));
    assert!(line("does not take the lines").contains("it answered 503"));
    assert!(line("takes lines again").contains("0 were dropped"));

    origin.listen().greet("fine");
    let mut closing = None;
    eventually("the end of the incident", || {
        get(address, "/", "");
        fs::read_to_string(&log).unwrap_or_default().contains("incident_closed").then(|| {
            closing = Some(receive(&receiver, "200 OK"));
        })
    });
    assert_eq!(String::from_utf8(closing.unwrap().body).unwrap(), line("incident_closed"));
    server.stop();
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains("secret"), "who knows the path may send lines too");
    assert!(text.contains("\"webhook_dropped\":0"));
}

#[test]
fn a_line_that_is_refused_is_dropped_and_a_redirect_is_no_way_out() {
    let (receiver, elsewhere) = (Origin::listen(), Origin::listen());
    let dead = |name: &str| {
        format!(
            "[[route]]\npath = \"/{name}\"\nupstream = \"{name}\"\n[[upstream]]\nname = \"{name}\"\n\
             servers = [\"http://127.0.0.1:1\"]\n"
        )
    };
    let configuration =
        |receiver: &Origin| in_front_of(&["http://127.0.0.1:1"], "", &webhook(&receiver.url)) + &dead("b") + &dead("c");
    let mut proxy = Proxy::run(&configuration(&receiver));
    let address = proxy.address();
    get(address, "/", "");
    let moved = receive(&receiver, "307 Temporary Redirect");
    let notice = proxy.line("notice")["message"].as_str().unwrap().to_owned();
    assert!(notice.contains("307") && notice.contains(&receiver.url), "{notice}");
    get(address, "/b", "");
    let next = receive(&receiver, "404 Not Found");
    assert_ne!(json(&next)["incident"], json(&moved)["incident"], "a line that is refused is not sent again");
    assert!(receiver.is_left_alone());

    fs::write(proxy.directory().join("why502.toml"), configuration(&elsewhere)).unwrap();
    proxy.signal("HUP");
    assert_eq!(proxy.line("reloaded")["changed"], serde_json::json!(["[incidents]"]));
    get(address, "/c", "");
    let line = json(&receive(&elsewhere, "200 OK"));
    assert_eq!((&line["event"], &line["upstream"]), (&"incident_opened".into(), &"c".into()));
    let log = proxy.stop().1;
    assert_eq!(log.last().unwrap()["webhook_dropped"], 2);
    let said = log.iter().filter(|line| line["message"].as_str().is_some_and(|said| said.contains("the webhook")));
    assert_eq!(said.count(), 1, "it is said once");
    assert!(receiver.is_left_alone());
}

/// Another why502 stands in front of the receiver, for TLS.
#[test]
fn a_receiver_has_to_show_a_certificate_that_the_system_trusts() {
    let authority = Authority::new("the system's");
    let shown = authority.issue(&["localhost"]);
    let receiver = Origin::listen();
    let directory = PrivateDirectory::new().unwrap();
    fs::write(directory.file("site.pem"), shown.certificate).unwrap();
    fs::write(directory.file("site.key"), shown.key).unwrap();
    let tls = "tls = { certificate = \"site.pem\", key = \"site.key\" }\n";
    let front = Proxy::run_in(directory, &in_front_of(&[&receiver.url], "", tls));
    let url = format!("https://localhost:{}/hook", front.address().port());
    let configuration = in_front_of(&["http://127.0.0.1:1"], "", &webhook(&url));

    let mut proxy = Proxy::run(&configuration);
    get(proxy.address(), "/", "");
    let notice = proxy.line("notice")["message"].as_str().unwrap().to_owned();
    assert!(notice.contains("the TLS handshake failed"), "{notice}");
    assert!(receiver.is_left_alone(), "nothing is sent to whom nobody knows");
    drop(proxy);

    let directory = PrivateDirectory::new().unwrap();
    let roots = directory.file("roots.pem");
    fs::write(&roots, &authority.pem).unwrap();
    let trusting = format!("SSL_CERT_FILE={}", roots.display());
    let proxy = Proxy::run_under(&["env", &trusting], directory, &configuration);
    get(proxy.address(), "/", "");
    let request = receive(&receiver, "200 OK");
    assert_eq!(request.line, "POST /hook HTTP/1.1");
    assert_eq!(json(&request)["event"], "incident_opened");
}

#[test]
fn what_waits_at_the_end_is_tried_once_more() {
    let receiver = Origin::listen();
    let mut proxy = Proxy::run(&in_front_of(&["http://127.0.0.1:1"], "", &webhook(&receiver.url)));
    get(proxy.address(), "/", "");
    receive(&receiver, "503 Service Unavailable");
    proxy.line("notice");
    proxy.signal("TERM");
    assert_eq!(json(&receive(&receiver, "200 OK"))["event"], "incident_opened");
    assert_eq!(proxy.line("stopped")["webhook_dropped"], 0);
}
