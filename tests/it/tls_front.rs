//! TLS towards clients: which certificate, which version, whose session, and what becomes of a handshake that fails.

use std::fs;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::process::Command;
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::version::TLS12;
use rustls::version::TLS13;
use why502::demo::origin::PrivateDirectory;

use super::support::Needs;
use super::support::can;
use super::support::certs;
use super::support::certs::Authority;
use super::support::certs::Identity;
use super::support::client::Client;
use super::support::client::Ending;
use super::support::origin::Origin;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;
use super::support::proxy::why502;
use super::support::tls::Dialer;
use super::support::tls::Secured;
use super::support::wire::field;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
const SITE: &str = r#"tls = { certificate = "site.pem", key = "site.key" }"#;

/// A directory with an authority, and the files of an identity for each of these.
struct Files {
    directory: PrivateDirectory,
    authority: Authority,
}

impl Files {
    fn new() -> Self {
        let files = Self { directory: PrivateDirectory::new().unwrap(), authority: Authority::new("test authority") };
        files.write("ca.pem", &files.authority.pem);
        files
    }

    /// With `site.pem` and `site.key`, for `a.example`.
    fn of_a_site() -> (Self, Identity) {
        let files = Self::new();
        let site = files.issue("site", &["a.example"]);
        (files, site)
    }

    fn issue(&self, name: &str, names: &[&str]) -> Identity {
        let identity = self.authority.issue(names);
        self.put(name, &identity);
        identity
    }

    fn put(&self, name: &str, identity: &Identity) {
        self.write(&format!("{name}.pem"), &identity.certificate);
        self.write(&format!("{name}.key"), &identity.key);
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.file(name), text).unwrap();
    }

    fn dialer(&self) -> Dialer {
        Dialer::new(&self.authority, &[&TLS13, &TLS12], None)
    }

    fn run(self, origin: &Origin, tables: &str) -> Proxy {
        Proxy::run_in(self.directory, &in_front_of(&[&origin.url], "", tables))
    }
}

#[test]
fn each_name_gets_its_certificate_and_the_rest_the_first() {
    let files = Files::new();
    let (one, two) = (files.issue("one", &["one.example"]), files.issue("two", &["two.example", "*.wild.example"]));
    let three = files.issue("three", &["best.wild.example", "two.example"]);
    let dialer = files.dialer();
    let origin = Origin::listen();
    let tls = ["one", "two", "three"].map(|name| format!("{{ certificate = \"{name}.pem\", key = \"{name}.key\" }}"));
    let mut proxy = files.run(&origin, &format!("tls = [{}]", tls.join(", ")));
    for (name, wanted) in [
        ("one.example", &one),
        ("two.example", &two),
        ("a.wild.example", &two),
        ("A.WILD.EXAMPLE", &two),
        ("best.wild.example", &three),
    ] {
        let secured = dialer.dial(proxy.address(), name).unwrap();
        assert_eq!(secured.shown, wanted.der, "{name}");
    }
    for (name, complaint) in [
        ("other.example", "not valid for name"),
        ("wild.example", "not valid for name"),
        ("a.b.wild.example", "not valid for name"),
        ("127.0.0.1", "not valid for name"),
    ] {
        let error = dialer.dial(proxy.address(), name).unwrap_err().to_string();
        assert!(error.contains(complaint) && error.contains("one.example"), "{name}: {error}");
    }
    let said = proxy.line("notice")["message"].to_string();
    assert!(
        said.contains("three.pem is for two.example too, which ") && said.contains("two.pem is shown for"),
        "{said}"
    );
}

#[test]
fn both_versions_are_spoken_and_the_origin_hears_of_https() {
    let (files, _) = Files::of_a_site();
    let dialers = [&TLS12, &TLS13].map(|version| Dialer::new(&files.authority, &[version], None));
    let any = files.dialer();
    let none = any.offering(&[]);
    let unknown = any.offering(&[b"spdy/3"]);
    let origin = Origin::listen();
    let mut proxy = files.run(&origin, SITE);
    for dialer in dialers {
        let Secured { mut client, protocol, .. } = dialer.dial(proxy.address(), "a.example").unwrap();
        assert_eq!(protocol.as_deref(), Some(&b"http/1.1"[..]));
        client.send(GET);
        let mut conversation = origin.accept();
        let request = conversation.request();
        assert_eq!(field(&request.fields, "x-forwarded-proto"), Some("https"));
        conversation.answer("over TLS");
        assert_eq!(client.answer().text(), "over TLS");
        assert_eq!(proxy.line("request")["status"], 200);
        drop(conversation);
    }
    let both = any.offering(&[b"http/1.1", b"h2"]);
    assert_eq!(both.dial(proxy.address(), "a.example").unwrap().protocol.as_deref(), Some(&b"h2"[..]));
    assert_eq!(none.dial(proxy.address(), "a.example").unwrap().protocol, None);
    let error = unknown.dial(proxy.address(), "a.example").unwrap_err().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn a_session_is_resumed_on_every_core() {
    let (files, _) = Files::of_a_site();
    let dialers = [&TLS12, &TLS13].map(|version| Dialer::new(&files.authority, &[version], None));
    let origin = Origin::listen();
    let proxy = files.run(&origin, &format!("{SITE}\n[runtime]\nworkers = 3"));
    origin.greet("hello");
    for dialer in dialers {
        for round in 0..12 {
            let mut secured = dialer.dial(proxy.address(), "a.example").unwrap();
            assert_eq!(secured.resumed, round > 0, "{round}");
            secured.client.send(GET);
            assert_eq!(secured.client.answer().text(), "hello");
        }
    }
}

#[test]
fn whoever_speaks_plain_http_is_told_what_to_speak() {
    let (files, _) = Files::of_a_site();
    let origin = Origin::listen();
    let mut proxy = files.run(&origin, SITE);
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\nAccept: application/json\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.head.status, answer.field("connection")), (400, Some("close")));
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains("https://"), "{detail}");
    assert!(client.is_closed());
    assert_eq!(proxy.line("request")["status"], 400);
    assert!(origin.is_left_alone());
}

#[test]
fn a_handshake_that_is_slow_or_none_holds_nobody_and_makes_no_line() {
    let (files, _) = Files::of_a_site();
    let dialer = files.dialer();
    let origin = Origin::listen();
    let proxy = files.run(&origin, &format!("{SITE}\n[limits]\nheader_timeout = \"3s\""));
    origin.greet("hello");
    let mut silent = Client::connect(proxy.address());
    let mut half = Client::connect(proxy.address());
    half.send([22, 3, 1, 2, 0, 1, 0, 1, 0xfc]);
    let mut alien = Client::connect(proxy.address());
    alien.send([1; 600]);
    let mut secured = dialer.dial(proxy.address(), "a.example").unwrap();
    secured.client.send(GET);
    assert_eq!(secured.client.answer().text(), "hello");
    assert!(silent.is_closed() && half.is_closed());
    // A fatal alert, unexpected_message or decode_error, and the end.
    assert_eq!(alien.wire.bytes(7)[..6], [21, 3, 3, 0, 2, 2]);
    assert!(alien.is_closed());
    drop(secured);
    let (ended, log) = proxy.stop();
    let events: Vec<_> = log.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!((ended.status, events), (Some(0), vec!["started", "request", "stopped"]));
    assert_eq!(log[2]["handshakes_failed"], 3);
}

#[test]
fn a_client_certificate_is_asked_for_verified_and_passed_on() {
    let files = Files::new();
    files.issue("open", &["open.example"]);
    files.issue("site", &["a.example"]);
    files.issue("maybe", &["maybe.example"]);
    let (known, unknown) = (files.authority.issue(&["somebody"]), certs::identity("somebody"));
    let dialers = |own| [&TLS12, &TLS13].map(|version| Dialer::new(&files.authority, &[version], own));
    let (bare, good, bad) = (dialers(None), dialers(Some(&known)), dialers(Some(&unknown)));
    let origin = Origin::listen();
    let proxy = files.run(
        &origin,
        r#"tls = [
            { certificate = "open.pem", key = "open.key" },
            { certificate = "site.pem", key = "site.key", client_ca = "ca.pem" },
            { certificate = "maybe.pem", key = "maybe.key", client_ca = "ca.pem", client_certificate = "optional" },
        ]"#,
    );
    origin.serve(|request, conversation| {
        conversation.answer(field(&request.fields, "client-cert").unwrap_or("none"));
    });
    let der = STANDARD.encode(&known.der);
    let ask = |dialer: &Dialer, name: &str, host: &str| {
        let mut client = dialer.dial(proxy.address(), name).ok()?.client;
        client.wire.try_send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nClient-Cert: :forged:\r\n\r\n")).ok()?;
        client.wire.has_head().then(|| client.answer()).map(|answer| (answer.head.status, answer.text().to_owned()))
    };
    let shown = || Some((200, format!(":{der}:")));
    let none = || Some((200, "none".to_owned()));
    for version in 0..2 {
        let [bare, good, bad] = [&bare, &good, &bad].map(|dialers| &dialers[version]);
        assert_eq!(ask(bare, "open.example", "open.example"), none());
        assert_eq!(ask(bare, "a.example", "a.example"), None);
        assert_eq!(ask(bad, "a.example", "a.example"), None);
        for _ in 0..2 {
            // The second one is resumed.
            assert_eq!(ask(good, "a.example", "A.example:443"), shown());
        }
        assert_eq!(ask(bare, "maybe.example", "maybe.example"), none());
        assert_eq!(ask(good, "maybe.example", "maybe.example"), shown());
        assert_eq!(ask(bad, "maybe.example", "maybe.example"), None);
        // A name that asks for nothing is no way past one that does.
        for (dialer, name, host) in [
            (bare, "open.example", "a.example"),
            (bare, "open.example", "maybe.example"),
            (bare, "maybe.example", "a.example"),
            (good, "a.example", "open.example"),
        ] {
            assert_eq!(ask(dialer, name, host).map(|(status, _)| status), Some(421), "{name} {host}");
        }
    }
}

#[test]
fn new_files_are_taken_up_without_a_dropped_connection_and_wrong_ones_are_not() {
    let (files, first) = Files::of_a_site();
    let (second, third) =
        (files.authority.issue(&["a.example"]), files.authority.issue_until(&["a.example"], 2025, 1, 1));
    let dialer = files.dialer();
    let origin = Origin::listen();
    let mut proxy = files.run(&origin, SITE);
    origin.greet("hello");
    let directory = proxy.directory().to_owned();
    let address = proxy.address();
    let shown = || dialer.dial(address, "a.example").unwrap().shown;
    let mut open = dialer.dial(address, "a.example").unwrap().client;
    assert_eq!(shown(), first.der);

    // Half of a new certificate, and the key is still the old one.
    fs::write(directory.join("site.pem"), &second.certificate.as_bytes()[..200]).unwrap();
    let said = proxy.line("notice")["message"].to_string();
    assert!(said.contains("cannot be used, so those from before stay in use") && said.contains("site.pem"), "{said}");
    assert_eq!(shown(), first.der);
    // One step of the two, which are renames here, is told as well: somebody may have forgotten the other.
    fs::write(directory.join("new"), &second.certificate).unwrap();
    fs::rename(directory.join("new"), directory.join("site.pem")).unwrap();
    let said = proxy.line("notice")["message"].to_string();
    assert!(said.contains("cannot be used") && said.contains("KeyMismatch"), "{said}");
    fs::write(directory.join("new"), &second.key).unwrap();
    fs::rename(directory.join("new"), directory.join("site.key")).unwrap();
    let said = proxy.line("notice")["message"].to_string();
    assert!(said.contains("read anew") && said.contains("site.pem"), "{said}");
    assert_eq!(shown(), second.der);

    fs::write(directory.join("site.pem"), &third.certificate).unwrap();
    fs::write(directory.join("site.key"), &third.key).unwrap();
    let said = proxy.line("notice")["message"].to_string();
    assert!(said.contains("have expired, so those from before stay in use"), "{said}");
    assert_eq!(shown(), second.der);
    open.send(GET);
    assert_eq!(open.answer().text(), "hello");
    drop(open);
    let (_, log) = proxy.stop();
    let notices = log.iter().filter(|line| line["event"] == "notice").count();
    assert_eq!(notices, 4, "{log:#?}");
}

#[test]
fn new_files_that_could_not_be_read_for_a_while_are_taken_up_when_they_can() {
    if !can("files that cannot be read for a while", Needs::Program("prlimit")) {
        return;
    }
    let (files, first) = Files::of_a_site();
    let second = files.authority.issue(&["a.example"]);
    let dialer = files.dialer();
    let mut proxy = files.run(&Origin::listen(), SITE);
    let (id, address) = (proxy.id().to_string(), proxy.address());
    let allow = |descriptors: &str| {
        let limit = Command::new("prlimit").args(["--pid", &id, &format!("--nofile={descriptors}:")]).status();
        assert!(limit.unwrap().success());
    };
    assert_eq!(dialer.dial(address, "a.example").unwrap().shown, first.der);
    allow("3");
    fs::write(proxy.directory().join("site.pem"), &second.certificate).unwrap();
    fs::write(proxy.directory().join("site.key"), &second.key).unwrap();
    let said = proxy.line("notice")["message"].to_string();
    assert!(said.contains("Too many open files"), "{said}");
    allow("1000");
    let said = proxy.line("notice")["message"].to_string();
    assert!(said.contains("read anew"), "{said}");
    assert_eq!(dialer.dial(address, "a.example").unwrap().shown, second.der);
}

#[test]
fn certificates_are_read_again_with_the_configuration() {
    let (files, first) = Files::of_a_site();
    let other = files.issue("other", &["a.example"]);
    let dialer = files.dialer();
    let origin = Origin::listen();
    let configuration = in_front_of(&[&origin.url], "", SITE);
    let mut proxy = files.run(&origin, SITE);
    origin.greet("hello");
    // With port 0 the listener is the same as long as its address is.
    let address = proxy.address();
    let mut open = dialer.dial(address, "a.example").unwrap();
    assert_eq!(open.shown, first.der);
    fs::write(proxy.directory().join("why502.toml"), configuration.replace("site.", "other.")).unwrap();
    proxy.signal("HUP");
    proxy.line("reloaded");
    assert_eq!(dialer.dial(address, "a.example").unwrap().shown, other.der);
    open.client.send(GET);
    assert_eq!(open.client.answer().text(), "hello");
    fs::write(proxy.directory().join("why502.toml"), configuration.replace(SITE, "")).unwrap();
    proxy.signal("HUP");
    proxy.line("reloaded");
    let mut plain = Client::connect(address);
    plain.send(GET);
    assert_eq!(plain.answer().text(), "hello");
    open.client.send(GET);
    assert_eq!(open.client.answer().text(), "hello");
}

#[test]
fn what_is_wrong_with_certificates_is_said_where_they_are_named() {
    let files = Files::new();
    let (site, other) = (files.issue("site", &["a.example"]), files.issue("other", &["b.example"]));
    files.write("swapped.pem", &format!("{}{}", files.authority.pem, site.certificate));
    files.put("old", &files.authority.issue_until(&["c.example"], 2025, 3, 1));
    files.write("stray.pem", &format!("{}{}", site.certificate, other.certificate));
    let check = |tables: &str| {
        files.write("why502.toml", &in_front_of(&["http://127.0.0.1:1"], "", tables));
        let ended = why502(&["check", "--config", "why502.toml"], files.directory.path());
        (ended.status, ended.out + &ended.err)
    };
    for (tables, says) in [
        (r#"tls = { certificate = "site.pem", key = "other.key" }"#, "why502.toml:3:41: this key is not that of "),
        (
            r#"tls = { certificate = "swapped.pem", key = "site.key" }"#,
            "why502.toml:3:23: the key is that of certificate 2 of this file, not of the first; put that one first, and behind each \
             the one that signed it",
        ),
        (
            r#"tls = { certificate = "site.pem" }"#,
            "why502.toml:3:7: `tls` has no `key`; add key = \"site.key\", a PEM file",
        ),
        (r#"tls = [{ certificate = "no.pem", key = "site.key" }]"#, "why502.toml:3:24: there is no file "),
        ("tls = []", "why502.toml:3:7: `tls` is empty; write a table in it, or remove it"),
        (
            r#"tls = { certificate = "site.pem", key = "site.key", client_certificate = "optional" }"#,
            "why502.toml:3:74: nobody can vouch for a client; add client_ca = \"ca.pem\", or remove this",
        ),
        (
            r#"tls = { certificate = "site.pem", key = "site.key", client_ca = "site.key" }"#,
            "why502.toml:3:65: no certificate is in this file; write a PEM file with -----BEGIN CERTIFICATE-----",
        ),
    ] {
        let (status, said) = check(tables);
        assert!(status == Some(2) && said.contains(says), "{tables}: {said}");
    }
    for (tables, says) in [
        (
            r#"tls = { certificate = "old.pem", key = "old.key" }"#,
            "old.pem expired on 2025-03-01, so clients refuse it; renew it",
        ),
        (
            r#"tls = { certificate = "stray.pem", key = "site.key" }"#,
            "certificate 2 of stray.pem is not the one that signed",
        ),
        ("proxy_protocol = true", "nobody who connects there is trusted to send one, so every connection is closed"),
    ] {
        let (status, said) = check(tables);
        assert!(
            status == Some(0) && said.contains("notice    listener 127.0.0.1:0: ") && said.contains(says),
            "{said}"
        );
    }
    let (status, said) = check(SITE);
    assert!(status == Some(0) && !said.contains("notice"), "{said}");
}

#[test]
fn a_message_that_is_cut_ends_in_a_way_that_the_client_can_tell() {
    let (files, _) = Files::of_a_site();
    let dialer = files.dialer();
    let origin = Origin::listen();
    let proxy = files.run(&origin, SITE);
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut client = dialer.dial(proxy.address(), "a.example").unwrap().client;
        client.send(GET);
        let mut conversation = origin.accept();
        conversation.request();
        conversation.say(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n"));
        drop(conversation);
        assert_eq!(client.answer().ending, Ending::Cut, "{head}");
    }
    // HTTP/1.0 has no chunks: its body ends with the connection, and only a reset tells that it was cut.
    let mut client = dialer.dial(proxy.address(), "a.example").unwrap().client;
    client.send("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    conversation.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    drop(conversation);
    assert_eq!(client.answer().ending, Ending::Cut);
}

#[test]
fn a_whole_message_ends_with_a_word_also_when_the_program_ends() {
    let (files, _) = Files::of_a_site();
    let dialer = files.dialer();
    let origin = Origin::listen();
    // On one core there is one connection to the origin, which is used again.
    let proxy = files.run(&origin, &format!("{SITE}\n[runtime]\nworkers = 1"));
    // Its end is that of the connection, so a close without close_notify would be a cut.
    let mut client = dialer.dial(proxy.address(), "a.example").unwrap().client;
    client.send("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    conversation.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.text(), answer.ending), ("hello", Ending::Whole));

    let mut idle = dialer.dial(proxy.address(), "a.example").unwrap().client;
    let mut busy = dialer.dial(proxy.address(), "a.example").unwrap().client;
    busy.send(GET);
    conversation.request();
    let _unfinished = TcpStream::connect(proxy.address()).unwrap();
    proxy.signal("TERM");
    let mut rest = Vec::new();
    assert_eq!(idle.wire.until_closed(&mut rest), Some(()), "an idle connection is closed with a word");
    conversation.answer("done");
    let answer = busy.answer();
    assert_eq!((answer.text(), answer.field("connection")), ("done", Some("close")));
    assert_eq!(busy.wire.until_closed(&mut rest), Some(()));
    let (ended, _) = proxy.ended();
    assert_eq!(ended.status, Some(0));
}

#[test]
fn a_tunnel_runs_in_tls() {
    let (files, _) = Files::of_a_site();
    let dialer = files.dialer();
    let origin = Origin::listen();
    let mut proxy = files.run(&origin, SITE);
    let mut client = dialer.dial(proxy.address(), "a.example").unwrap().client;
    client.send(
        "GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly",
    );
    let mut conversation = origin.accept();
    conversation.head();
    conversation.say(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nfirst",
    );
    assert_eq!(client.head().status, 101);
    assert_eq!((client.wire.bytes(5), conversation.wire.bytes(5)), (b"first".to_vec(), b"early".to_vec()));
    let large = vec![7; 300_000];
    for _ in 0..3 {
        client.send(&large);
        assert_eq!(conversation.wire.bytes(large.len()), large);
        conversation.say(&large);
        assert_eq!(client.wire.bytes(large.len()), large);
    }
    drop(conversation);
    let mut rest = Vec::new();
    assert_eq!((client.wire.until_closed(&mut rest), rest.len()), (Some(()), 0), "it ends with a word");
    drop(client);
    assert_eq!(proxy.line("request")["status"], 101);
}

#[test]
fn large_bodies_pass_whole_both_ways() {
    let (files, _) = Files::of_a_site();
    let dialer = files.dialer();
    let origin = Origin::listen();
    let proxy = files.run(&origin, SITE);
    origin.serve(|request, conversation| {
        conversation.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len()));
        conversation.say(request.body);
    });
    let body: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let mut client = dialer.dial(proxy.address(), "a.example").unwrap().client;
    for _ in 0..2 {
        client.send(format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n", body.len()));
        client.send(&body);
        assert_eq!(client.answer().body, body);
    }
}

#[test]
fn curl_and_openssl_are_served() {
    if !can("curl_and_openssl_are_served", Needs::Program("curl"))
        || !can("curl_and_openssl_are_served", Needs::Program("openssl"))
    {
        return;
    }
    let files = Files::new();
    files.issue("site", &["a.example"]);
    files.issue("mutual", &["mutual.example"]);
    files.put("own", &files.authority.issue(&["somebody"]));
    let origin = Origin::listen();
    let proxy = files.run(
        &origin,
        r#"tls = [
            { certificate = "site.pem", key = "site.key" },
            { certificate = "mutual.pem", key = "mutual.key", client_ca = "ca.pem" },
        ]"#,
    );
    origin.greet("hello");
    let address = proxy.address();
    let curl = |arguments: &[&str]| {
        let resolve = |name: &str| format!("{name}:{}:127.0.0.1", address.port());
        let (site, mutual) = (resolve("a.example"), resolve("mutual.example"));
        let always = ["-sS", "--cacert", "ca.pem", "--resolve", &site, "--resolve", &mutual];
        said(Command::new("curl").args(always).args(arguments).current_dir(proxy.directory()))
    };
    let site = format!("https://a.example:{}/", address.port());
    let mutual = format!("https://mutual.example:{}/", address.port());
    assert_eq!(curl(&["--tlsv1.3", "--http1.1", &site]), "hello");
    let version = ["-o", "/dev/null", "-w", "%{http_version} %{response_code}", "--http2"];
    assert_eq!(curl(&[&version[..], &[&*site]].concat()), "2 200");
    assert_eq!(curl(&["--tls-max", "1.2", &site]), "hello");
    assert_eq!(curl(&["--cert", "own.pem", "--key", "own.key", &mutual]), "hello");
    assert!(curl(&[&mutual]).contains("certificate required"));
    assert!(curl(&[&format!("http://a.example:{}/", address.port())]).contains("https://"));

    for version in ["-tls1_2", "-tls1_3"] {
        let s_client = |more: &[&str]| {
            let connect = address.to_string();
            let always = [
                "s_client",
                "-connect",
                &connect,
                "-servername",
                "a.example",
                "-CAfile",
                "ca.pem",
                "-ign_eof",
                version,
            ];
            let mut command = Command::new("openssl");
            let command = command.args(always).args(more).current_dir(proxy.directory());
            asked(command, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        };
        let first = s_client(&["-sess_out", "session"]);
        assert!(first.contains("Verify return code: 0 (ok)") && first.contains("\nNew, TLSv1."), "{first}");
        assert!(first.contains("hello"), "{first}");
        let second = s_client(&["-sess_in", "session"]);
        assert!(second.contains("\nReused, TLSv1.") && second.contains("hello"), "{second}");
    }
}

/// What a program writes, to both outputs.
fn said(command: &mut Command) -> String {
    asked(command, "")
}

/// The same for a program that reads this.
fn asked(command: &mut Command, input: &str) -> String {
    use std::io::Write;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn many_come_at_once() {
    let (files, _) = Files::of_a_site();
    let dialer = files.dialer();
    let origin = Origin::listen();
    let proxy = files.run(&origin, SITE);
    origin.greet("hello");
    let address: SocketAddr = proxy.address();
    let clients: Vec<_> = (0..40)
        .map(|_| {
            let dialer = dialer.clone();
            std::thread::spawn(move || {
                let mut secured = dialer.dial(address, "a.example").unwrap();
                secured.client.send(GET);
                secured.client.answer().text().to_owned()
            })
        })
        .collect();
    assert!(clients.into_iter().all(|client| client.join().unwrap() == "hello"));
}
