//! The PROXY header, versions 1 and 2: who may send one, what is made of it, and that nothing else comes in.

use std::fs;
use std::net::SocketAddr;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use rustls::version::TLS13;
use socket2::Domain;
use socket2::Socket;
use socket2::Type;
use why502::demo::origin::PrivateDirectory;

use super::support::Needs;
use super::support::can;
use super::support::certs::Authority;
use super::support::client::Client;
use super::support::eventually;
use super::support::origin::Origin;
use super::support::origin::Request;
use super::support::origin::Reserved;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;
use super::support::tls::Dialer;
use super::support::wire::Wire;
use super::support::wire::field;

const TRUSTED: &str = "proxy_protocol = true\n[forwarding]\ntrusted_proxies = [\"127.0.0.1\"]\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
const FORGED: &str = "GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 198.51.100.66\r\n\r\n";

/// A header of version 2: command and family, and what follows its length.
fn second(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
}

/// For 192.0.2.7:1000.
const V4: [u8; 12] = [192, 0, 2, 7, 192, 0, 2, 9, 3, 0xe8, 1, 0xbb];

/// For `2001:db8::7`, port 1000.
fn v6() -> Vec<u8> {
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    [&address("2001:db8::7")[..], &address("::1"), &[3, 0xe8, 1, 0xbb]].concat()
}

fn pair(tables: &str) -> (Proxy, Origin) {
    let origin = Origin::listen();
    (Proxy::run(&in_front_of(&[&origin.url], "", tables)), origin)
}

/// What the origin gets of a request behind these bytes, and who the log says the client was.
fn introduced(proxy: &mut Proxy, origin: &Origin, header: &[u8], request: &str) -> (Request, String) {
    let mut client = Client::connect(proxy.address());
    client.send([header, request.as_bytes()].concat());
    let mut conversation = origin.accept();
    let got = conversation.request();
    conversation.answer_and_close("hello");
    assert_eq!(client.answer().text(), "hello");
    (got, proxy.line("request")["client"].as_str().unwrap().to_owned())
}

#[test]
fn the_address_of_a_header_is_the_clients() {
    let (mut proxy, origin) = pair(TRUSTED);
    for (header, client) in [
        (&b"PROXY TCP4 192.0.2.7 192.0.2.9 1000 443\r\n"[..], "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 1000 443\r\n", "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1000 443\r\n", "192.0.2.7"),
        (&second(0x21, 0x11, &V4), "192.0.2.7"),
        (&second(0x21, 0x21, &v6()), "2001:db8::7"),
        (&second(0x21, 0x11, &[&V4[..], &[4, 0, 2, 0, 0, 0xe0, 0, 1, 7]].concat()), "192.0.2.7"),
    ] {
        // The client is no proxy, so what it says of others is not believed.
        let (got, logged) = introduced(&mut proxy, &origin, header, FORGED);
        let told = (field(&got.fields, "x-forwarded-for"), field(&got.fields, "x-forwarded-proto"), &*logged);
        assert_eq!(told, (Some(client), Some("http"), client), "{header:?}");
    }
}

#[test]
fn a_proxy_that_speaks_for_itself_is_itself_and_one_that_does_not_know_vouches_for_nobody() {
    let (mut proxy, origin) = pair(TRUSTED);
    for (header, told) in [
        (second(0x20, 0x00, &[]), "198.51.100.66, 127.0.0.1"),
        (second(0x20, 0x11, &V4), "198.51.100.66, 127.0.0.1"),
        (second(0x21, 0x00, &[]), "127.0.0.1"),
        (second(0x21, 0x31, &[0; 216]), "127.0.0.1"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (b"PROXY UNKNOWN 192.0.2.7 whatever\r\n".to_vec(), "127.0.0.1"),
    ] {
        let (got, _) = introduced(&mut proxy, &origin, &header, FORGED);
        assert_eq!(field(&got.fields, "x-forwarded-for"), Some(told), "{header:?}");
    }
}

#[test]
fn a_header_that_says_so_makes_it_https() {
    let (mut proxy, origin) = pair(TRUSTED);
    let header = second(0x21, 0x11, &[&V4[..], &[0x20, 0, 5, 1, 0, 0, 0, 0]].concat());
    let (got, _) = introduced(&mut proxy, &origin, &header, GET);
    assert_eq!(field(&got.fields, "x-forwarded-proto"), Some("https"));
}

#[test]
fn a_header_may_come_in_any_pieces() {
    let (proxy, origin) = pair(TRUSTED);
    origin.greet("hello");
    for header in [b"PROXY TCP4 192.0.2.7 192.0.2.9 1000 443\r\n".to_vec(), second(0x21, 0x11, &V4)] {
        let mut client = Client::connect(proxy.address());
        for byte in header.iter().chain(GET.as_bytes()) {
            client.send([*byte]);
        }
        assert_eq!(client.answer().text(), "hello");
        client.send(GET.repeat(2));
        assert_eq!((client.answer().text(), client.answer().text()), ("hello", "hello"));
    }
}

#[test]
fn what_is_no_header_is_closed_and_said_once() {
    let (mut proxy, origin) = pair(TRUSTED);
    for bytes in [
        GET.as_bytes(),
        b"PROXY TCP4 192.0.2.7 192.0.2.9 1000\r\nGET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.9 1000 443\nGET / HTTP/1.1\r\n\r\n",
        &[b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat(),
        &second(0x21, 0x12, &V4),
        &second(0x31, 0x11, &V4),
        &second(0x21, 0x11, &V4[..8]),
        &second(0x21, 0x11, &[&V4[..], &[3, 0, 4, 1, 2, 3, 4]].concat()),
    ] {
        let mut client = Client::connect(proxy.address());
        client.send(bytes);
        assert!(client.is_closed(), "{bytes:?}");
    }
    // A header whose rest does not come.
    let mut client = Client::connect(proxy.address());
    client.send(b"PROXY TCP4 192.0.2.7");
    client.wire.half_close();
    assert!(client.is_closed());
    // One that only looks whether the port is open.
    drop(Client::connect(proxy.address()));
    let said = proxy.line("notice")["message"].to_string();
    assert!(said.contains("its PROXY header is refused, as it does not begin with one; let it send one"), "{said}");
    assert!(origin.is_left_alone());
    let (_, log) = proxy.stop();
    let events: Vec<_> = log.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["started", "notice", "stopped"]);
    assert_eq!(log[2]["proxy_headers_refused"], 9);
}

#[test]
fn a_header_from_a_stranger_is_not_even_read() {
    let (mut proxy, origin) =
        pair("proxy_protocol = true\n[forwarding]\ntrusted_proxies = [\"10.0.0.0/8\", \"unix\"]\n");
    let mut client = Client::connect(proxy.address());
    assert!(client.is_closed(), "before it has said anything");
    let mut client = Client::connect(proxy.address());
    client.wire.try_send(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n").ok();
    assert!(client.is_closed());
    assert!(origin.is_left_alone());
    let said = proxy.line("notice")["message"].to_string();
    assert!(said.contains("127.0.0.1 was closed: it is not in [forwarding] trusted_proxies"), "{said}");
}

#[test]
fn a_header_that_is_late_is_not_waited_for() {
    let (proxy, origin) = pair(&format!("{TRUSTED}[limits]\nheader_timeout = \"300ms\"\n"));
    let mut silent = Client::connect(proxy.address());
    let mut half = Client::connect(proxy.address());
    half.send(b"PROXY TCP4 ");
    assert!(silent.is_closed() && half.is_closed());
    assert!(origin.is_left_alone());
}

#[test]
fn without_the_setting_a_header_is_no_request() {
    let (proxy, origin) = pair("[forwarding]\ntrusted_proxies = [\"127.0.0.0/8\"]\n");
    for header in [b"PROXY TCP4 192.0.2.7 192.0.2.9 1000 443\r\n".to_vec(), second(0x21, 0x11, &V4)] {
        let mut client = Client::connect(proxy.address());
        client.send([&header, GET.as_bytes()].concat());
        assert_eq!(client.answer().head.status, 400);
    }
    assert!(origin.is_left_alone());
}

#[test]
fn limits_and_operators_go_by_the_address_of_the_header() {
    let (proxy, origin) = pair(&format!(
        "{TRUSTED}[limits]\nconnections_per_client = 2\n[operators]\nnetworks = [\"192.0.2.7\", \"127.0.0.1\"]\n"
    ));
    drop(origin);
    let connect = |address: &str| {
        let mut client = Client::connect(proxy.address());
        client.send(format!(
            "PROXY TCP4 {address} 192.0.2.9 1000 443\r\nGET / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n"
        ));
        client
    };
    let mut inside = Vec::new();
    for (address, is_operator) in
        [("192.0.2.7", true), ("192.0.2.8", false), ("192.0.2.7", true), ("192.0.2.8", false), ("192.0.2.9", false)]
    {
        let mut client = connect(address);
        assert_eq!(client.answer().json()["server"].is_string(), is_operator, "{address}");
        inside.push(client);
    }
    assert!(connect("192.0.2.7").is_closed() && connect("192.0.2.8").is_closed());
    inside.remove(0);
    eventually("a place", || {
        let mut client = connect("192.0.2.7");
        client.wire.has_head().then_some(())
    });
    // The proxy itself, and clients of whom it knows nothing, are not counted; and the latter are nobody's operators.
    for (header, is_operator) in [(second(0x20, 0, &[]), true), (second(0x21, 0, &[]), false)] {
        let mut clients = Vec::new();
        for _ in 0..4 {
            let mut client = Client::connect(proxy.address());
            client.send([&header, &b"GET / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n"[..]].concat());
            assert_eq!(client.answer().json()["server"].is_string(), is_operator);
            clients.push(client);
        }
    }
}

#[test]
fn it_comes_before_tls() {
    let directory = PrivateDirectory::new().unwrap();
    let authority = Authority::new("test authority");
    let site = authority.issue(&["a.example"]);
    fs::write(directory.file("site.pem"), &site.certificate).unwrap();
    fs::write(directory.file("site.key"), &site.key).unwrap();
    let origin = Origin::listen();
    let tables = format!("tls = {{ certificate = \"site.pem\", key = \"site.key\" }}\n{TRUSTED}");
    let proxy = Proxy::run_in(directory, &in_front_of(&[&origin.url], "", &tables));
    let dialer = Dialer::new(&authority, &[&TLS13], None);
    let header = second(0x21, 0x11, &V4);
    let mut client = dialer.dial_after(&header, proxy.address(), "a.example").unwrap().client;
    client.send(GET);
    let mut conversation = origin.accept();
    let got = conversation.request();
    conversation.answer("hello");
    assert_eq!(client.answer().text(), "hello");
    assert_eq!(field(&got.fields, "x-forwarded-for"), Some("192.0.2.7"));
    assert_eq!(field(&got.fields, "x-forwarded-proto"), Some("https"));
    assert!(dialer.dial(proxy.address(), "a.example").is_err());
}

#[test]
fn peers_of_a_unix_socket_are_trusted_by_their_word() {
    for (trusted, opens) in [("[\"unix\"]", true), ("[\"127.0.0.0/8\"]", false)] {
        let directory = PrivateDirectory::new().unwrap();
        let front = directory.file("front.sock");
        let origin = Origin::listen();
        let tables = format!("proxy_protocol = true\n[forwarding]\ntrusted_proxies = {trusted}\n");
        let configuration = in_front_of(&[&origin.url], "", &tables);
        let _proxy =
            Proxy::run_in(directory, &configuration.replace("127.0.0.1:0", &format!("unix:{}", front.display())));
        let mut client = Client::connect_to_socket(&front);
        client.wire.try_send([&second(0x21, 0x11, &V4), GET.as_bytes()].concat()).ok();
        if opens {
            let mut conversation = origin.accept();
            assert_eq!(field(&conversation.request().fields, "x-forwarded-for"), Some("192.0.2.7"));
            conversation.answer("hello");
            assert_eq!(client.answer().text(), "hello");
        } else {
            assert!(client.is_closed() && origin.is_left_alone());
        }
    }
}

/// A client at that address of this host.
fn client_at(own: &str, to: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&own.parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.connect(&to.into()).unwrap();
    Client { wire: Wire::tcp(socket.into()) }
}

/// HAProxy with one frontend for each way to send the header; ends with the test.
struct Haproxy {
    child: Child,
    ports: Vec<SocketAddr>,
    _directory: PrivateDirectory,
}

impl Haproxy {
    fn before(proxy: SocketAddr, ways: &[&str]) -> Self {
        let directory = PrivateDirectory::new().unwrap();
        let mut configuration =
            "global\n  maxconn 200\ndefaults\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n"
                .to_owned();
        let mut ports = Vec::new();
        for way in ways {
            let port = Reserved::port().address;
            let listen = format!("listen l{}\n  mode tcp\n  bind {port}\n  server s {proxy} {way}\n", port.port());
            configuration.push_str(&listen);
            ports.push(port);
        }
        let file = directory.file("haproxy.cfg");
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let haproxy = Self { child: command.spawn().unwrap(), ports, _directory: directory };
        for port in &haproxy.ports {
            eventually("HAProxy", || std::net::TcpStream::connect(port).ok());
        }
        haproxy
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn haproxy_sends_headers_that_are_understood() {
    if !can("haproxy_sends_headers_that_are_understood", Needs::Program("haproxy")) {
        return;
    }
    let (proxy, origin) = pair(TRUSTED);
    origin.serve(|request, conversation| {
        conversation.answer(field(&request.fields, "x-forwarded-for").unwrap_or("-"));
    });
    let ways = [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options crc32c,authority",
        "send-proxy-v2-ssl",
        // Its health checks say LOCAL.
        "send-proxy-v2 check inter 100ms",
    ];
    let haproxy = Haproxy::before(proxy.address(), &ways);
    for (way, port) in ways.iter().zip(&haproxy.ports) {
        let mut client = client_at("127.0.0.5:0", *port);
        client.send(FORGED);
        assert_eq!(client.answer().text(), "127.0.0.5", "{way}");
    }
    drop(haproxy);
    let (_, log) = proxy.stop();
    assert_eq!(log.last().unwrap()["proxy_headers_refused"], 0, "{log:#?}");
}
