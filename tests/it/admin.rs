//! The admin listener: who is let in, and what the program says of itself there.

use std::fs;
use std::net::SocketAddr;
use std::net::TcpStream;

use why502::demo::origin::PrivateDirectory;

use super::support::client::Answer;
use super::support::client::Client;
use super::support::client::get;
use super::support::eventually;
use super::support::origin::Origin;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

const TOKEN: &str = "0123456789abcdef0123";
const ADMIN: &str = "[admin]\naddress = \"127.0.0.1:0\"\nnames = [\"why502.internal\"]\n";

/// Asks for this, with more fields where they are given, each with its line end.
fn ask(admin: SocketAddr, what: &str, fields: &str) -> Answer {
    let mut client = Client::connect(admin);
    client.send(format!("{what} HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: close\r\n\r\n"));
    if what.starts_with("HEAD ") { client.answer_to_head() } else { client.answer() }
}

#[test]
fn it_is_there_where_it_is_configured_and_nowhere_else() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", ADMIN));
    origin.greet("the origin's");
    let live = ask(proxy.admin(), "GET /livez", "");
    assert_eq!((live.head.status, live.text()), (200, r#"{"status":"live"}"#));
    assert_eq!((live.field("content-type"), live.field("cache-control")), (Some("application/json"), Some("no-store")));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(live.field(name), Some(value), "{name}");
    }
    let ready = eventually("readiness, just after the start", || {
        Some(ask(proxy.admin(), "GET /readyz", "")).filter(|answer| answer.head.status != 503)
    });
    assert_eq!((ready.head.status, ready.text()), (200, r#"{"status":"ready"}"#));
    let head = ask(proxy.admin(), "HEAD /readyz", "");
    assert_eq!((head.head.status, head.field("content-length")), (200, Some("18")));
    let posted = ask(proxy.admin(), "POST /readyz", "Content-Length: 0\r\n");
    assert_eq!((posted.head.status, posted.field("allow")), (405, Some("GET, HEAD")));
    let absent = ask(proxy.admin(), "GET /nothing", "");
    assert_eq!((absent.head.status, absent.field("content-type")), (404, Some("application/problem+json")));
    assert_eq!(absent.json()["status"], 404);
    assert_eq!(get(proxy.address(), "/livez", "").text(), "the origin's", "where clients come in, nothing is ours");
}

#[test]
fn a_foreign_host_and_a_foreign_page_are_refused() {
    let proxy = Proxy::run(&in_front_of(&["http://127.0.0.1:1"], "", ADMIN));
    let status = |host: &str, fields: &str| {
        let mut client = Client::connect(proxy.admin());
        client.send(format!("GET /livez HTTP/1.1\r\n{host}{fields}Connection: close\r\n\r\n"));
        client.answer().head.status
    };
    for (host, expected) in [
        (format!("Host: {}\r\n", proxy.admin()), 200),
        ("Host: why502.internal:9502\r\n".to_owned(), 200),
        ("Host: evil.example\r\n".to_owned(), 421),
        (String::new(), 400),
        ("Host: localhost\r\nHost: localhost\r\n".to_owned(), 400),
    ] {
        assert_eq!(status(&host, ""), expected, "{host}");
    }
    let foreign = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n";
    assert_eq!(ask(proxy.admin(), "GET /nothing", foreign).head.status, 403);
    assert_eq!(ask(proxy.admin(), "GET /nothing", "Sec-Fetch-Site: same-origin\r\n").head.status, 404);
}

#[test]
fn beyond_loopback_only_probes_come_in_without_the_token() {
    let directory = PrivateDirectory::new().unwrap();
    fs::write(directory.file("operator.token"), TOKEN).unwrap();
    let tables = "[operators]\ntoken_file = \"operator.token\"\n[admin]\naddress = \"0.0.0.0:0\"\n";
    let proxy = Proxy::run_in(directory, &in_front_of(&["http://127.0.0.1:1"], "", tables));
    let admin = SocketAddr::from(([127, 0, 0, 1], proxy.admin().port()));
    let status = |path: &str, fields: &str| ask(admin, &format!("GET {path}"), fields).head.status;
    assert_eq!(status("/livez", ""), 200);
    eventually("readiness", || (status("/readyz", "") == 200).then_some(()));
    for path in ["/", "/metrics", "/api/incidents", "/nothing"] {
        let refused = ask(admin, &format!("GET {path}"), "");
        let challenge = "Basic realm=\"why502\", charset=\"UTF-8\"";
        assert_eq!((refused.head.status, refused.field("www-authenticate")), (401, Some(challenge)), "{path}");
    }
    assert_eq!(status("/nothing", &format!("X-Why502-Token: {TOKEN}\r\n")), 404);
    assert_eq!(status("/nothing", &format!("X-Why502-Token: {TOKEN}x\r\n")), 401);
    // `on-call:0123456789abcdef0123`
    let basic = "Authorization: Basic b24tY2FsbDowMTIzNDU2Nzg5YWJjZGVmMDEyMw==\r\n";
    assert_eq!(status("/nothing", basic), 404);
}

#[test]
fn after_ten_wrong_tokens_none_is_looked_at_wherever_they_were_sent() {
    let directory = PrivateDirectory::new().unwrap();
    fs::write(directory.file("operator.token"), TOKEN).unwrap();
    let tables = "[operators]\ntoken_file = \"operator.token\"\n[admin]\naddress = \"0.0.0.0:0\"\n";
    let mut proxy = Proxy::run_in(directory, &in_front_of(&["http://127.0.0.1:1"], "", tables));
    let admin = SocketAddr::from(([127, 0, 0, 1], proxy.admin().port()));
    let answer = |fields: &str| ask(admin, "GET /api/incidents", fields);
    let right = format!("X-Why502-Token: {TOKEN}\r\n");
    // `on-call:0123456789abcdef0124`
    let basic = "Authorization: Basic b24tY2FsbDowMTIzNDU2Nzg5YWJjZGVmMDEyNA==\r\n";
    for _ in 0..20 {
        assert_eq!(answer("").head.status, 401, "no token is no guess");
    }
    for _ in 0..3 {
        assert_eq!(get(proxy.address(), "/", "X-Why502-Token: wrong\r\n").head.status, 502);
        assert_eq!(answer("X-Why502-Token: wrong\r\n").head.status, 401);
        assert_eq!(answer(basic).head.status, 401);
    }
    assert_eq!(answer("X-Why502-Token: the tenth\r\n").head.status, 401);
    for fields in ["X-Why502-Token: wrong\r\n", basic, &right] {
        let refused = answer(fields);
        assert_eq!((refused.head.status, refused.field("retry-after")), (429, Some("60")), "{fields}");
    }
    assert_eq!(answer("").head.status, 401, "who brings none is asked for it");
    assert_eq!(ask(admin, "GET /livez", "").head.status, 200);
    let told = proxy.line("notice");
    assert!(told["message"].as_str().unwrap().starts_with("127.0.0.1 has sent 10 tokens"), "{told}");
}

#[test]
fn a_program_that_drains_lives_and_is_not_ready() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", ADMIN));
    let mut client = Client::connect(proxy.address());
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    let mut watcher = Client::connect(proxy.admin());
    let mut status = |path: &str| {
        watcher.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        watcher.answer().head.status
    };
    eventually("readiness", || (status("/readyz") == 200).then_some(()));
    proxy.signal("TERM");
    eventually("the end of the listener", || TcpStream::connect(proxy.address()).is_err().then_some(()));
    assert_eq!([status("/readyz"), status("/livez")], [503, 200]);
    assert_eq!(ask(proxy.admin(), "GET /readyz", "").head.status, 503, "newcomers are told too");
    conversation.answer("done");
    assert_eq!(client.answer().text(), "done");
    let (ended, _) = proxy.ended();
    assert_eq!((ended.status, &*ended.err), (Some(0), ""));
    assert!(watcher.is_closed());
}

#[test]
fn a_reload_opens_moves_and_closes_it() {
    let directory = PrivateDirectory::new().unwrap();
    let socket = directory.file("admin.sock");
    let configuration = in_front_of(&["http://127.0.0.1:1"], "", "");
    let mut proxy = Proxy::run_in(directory, &configuration);
    let file = proxy.directory().join("why502.toml");
    let mut reload = |tables: &str, event: &str| {
        fs::write(&file, format!("{configuration}{tables}")).unwrap();
        proxy.signal("HUP");
        proxy.line(event)
    };
    let live = |mut client: Client| {
        client.send("GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        client.answer().head.status
    };
    let on_socket = format!("[admin]\naddress = \"unix:{}\"\n", socket.display());
    assert_eq!(reload(&on_socket, "reloaded")["changed"], serde_json::json!(["[admin]"]));
    assert_eq!(live(Client::connect_to_socket(&socket)), 200);
    let mut stays = Client::connect_to_socket(&socket);
    stays.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(stays.answer().head.status, 200);
    assert_eq!(reload(&format!("{on_socket}names = [\"a\"]\n"), "reloaded")["changed"], serde_json::json!(["[admin]"]));
    stays.send("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(stays.answer().head.status, 200, "the connection and the socket stay, and the name counts");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_address = format!("[admin]\naddress = \"{}\"\n", taken.local_addr().unwrap());
    let refused = reload(&taken_address, "reload_refused");
    assert!(refused["problems"][0].as_str().unwrap().contains("another program listens there"), "{refused}");
    assert_eq!(live(Client::connect_to_socket(&socket)), 200);

    let port = taken.local_addr().unwrap();
    drop(taken);
    reload(&format!("[admin]\naddress = \"{port}\"\n"), "reloaded");
    assert_eq!(live(Client::connect(port)), 200);
    assert!(!socket.exists(), "nobody is there any more");
    reload("", "reloaded");
    eventually("the end of the listener", || TcpStream::connect(port).is_err().then_some(()));
}

#[test]
fn the_process_that_takes_over_goes_on_with_it() {
    for unix in [false, true] {
        let origin = Origin::listen();
        let directory = PrivateDirectory::new().unwrap();
        let socket = directory.file("admin.sock");
        let place = if unix { format!("unix:{}", socket.display()) } else { "127.0.0.1:0".to_owned() };
        let configuration = in_front_of(&[&origin.url], "", &format!("[admin]\naddress = {place:?}\n"));
        let mut proxy = Proxy::run_in(directory, &configuration);
        let address = (!unix).then(|| proxy.admin());
        let connect = || address.map_or_else(|| Client::connect_to_socket(&socket), Client::connect);
        let mut watcher = connect();
        eventually("readiness", || {
            watcher.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n");
            (watcher.answer().head.status == 200).then_some(())
        });
        let mut client = Client::connect(proxy.address());
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut conversation = origin.accept();
        conversation.request();

        proxy.signal("USR2");
        let started = proxy.line("started");
        let expected = address.map_or_else(|| place.clone(), |address| address.to_string());
        assert_eq!(started["admin"].as_str(), Some(&*expected));
        watcher.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        eventually("the word that the old one wants nothing more", || {
            let status = watcher.answer().head.status;
            watcher.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n");
            (status == 503).then_some(())
        });
        let mut newcomer = eventually("the new one, where newcomers come in", || {
            let mut newcomer = connect();
            newcomer.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n");
            (newcomer.answer().head.status == 200).then_some(newcomer)
        });
        conversation.answer("done");
        assert_eq!(client.answer().text(), "done");
        proxy.heir();
        newcomer.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(newcomer.answer().head.status, 200);
        assert!(!unix || socket.exists());
        proxy.signal("TERM");
        proxy.line("stopped");
        if unix {
            eventually("the end of the socket", || (!socket.exists()).then_some(()));
        }
    }
}
