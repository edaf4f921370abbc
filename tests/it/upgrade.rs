//! Connections that become something else: a tunnel only after a 101 that was asked for, and then byte for byte.

use super::support::client::Client;
use super::support::origin::Conversation;
use super::support::origin::Origin;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

const ASKS: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCHES: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

struct Tunnel {
    proxy: Proxy,
    client: Client,
    origin: Conversation,
}

/// A client that has asked, and an origin that has been asked.
fn asked(upstream: &str, request: &str) -> Tunnel {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], upstream, "[forwarding]\nheaders = \"none\""));
    let mut client = Client::connect(proxy.address());
    client.send(request);
    Tunnel { proxy, client, origin: origin.accept() }
}

fn open(upstream: &str) -> Tunnel {
    let mut tunnel = asked(upstream, ASKS);
    tunnel.origin.head();
    tunnel.origin.say(SWITCHES);
    assert_eq!(tunnel.client.head().status, 101);
    tunnel
}

#[test]
fn a_handshake_goes_through_untouched_both_ways() {
    let mut tunnel = asked("", ASKS);
    let request = tunnel.origin.head();
    let arrives = [
        "connection: upgrade",
        "host: a",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version: 13",
        "upgrade: websocket",
    ];
    assert_eq!(request.lines(), arrives);
    tunnel.origin.say(SWITCHES);
    let answer = tunnel.client.answer();
    let accept = answer.field("sec-websocket-accept");
    assert_eq!((answer.head.status, accept), (101, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
    assert_eq!((answer.field("connection"), answer.field("upgrade")), (Some("upgrade"), Some("websocket")));
}

#[test]
fn bytes_pass_both_ways_until_both_sides_have_ended() {
    let mut tunnel = open("");
    for round in 0..3_u8 {
        tunnel.client.send([round, 0, 255, b'\r', b'\n']);
        assert_eq!(tunnel.origin.wire.bytes(5), [round, 0, 255, b'\r', b'\n']);
        tunnel.origin.say([round, 1]);
        assert_eq!(tunnel.client.wire.bytes(2), [round, 1]);
    }
    // One side ends; the other may go on.
    tunnel.client.wire.half_close();
    assert!(tunnel.origin.is_closed());
    tunnel.origin.say("the last word");
    assert_eq!(tunnel.client.wire.bytes(13), b"the last word");
    drop(tunnel.origin);
    assert!(tunnel.client.is_closed());
    let line = tunnel.proxy.line("request");
    assert_eq!((&line["status"], &line["bytes_sent"], &line["path"]), (&101.into(), &19.into(), &"/chat".into()));
}

#[test]
fn what_comes_along_with_the_handshake_is_not_lost() {
    let mut tunnel = asked("", &format!("{ASKS}early from the client"));
    tunnel.origin.head();
    tunnel.origin.say(format!("{SWITCHES}early from the origin"));
    assert_eq!(tunnel.client.head().status, 101);
    assert_eq!(tunnel.client.wire.bytes(21), b"early from the origin");
    assert_eq!(tunnel.origin.wire.bytes(21), b"early from the client");
}

#[test]
fn a_reset_on_one_side_is_one_on_the_other() {
    let mut tunnel = open("");
    tunnel.origin.wire.reset();
    let mut nothing = Vec::new();
    assert_eq!(tunnel.client.wire.until_closed(&mut nothing), None, "no orderly end");

    let mut tunnel = open("");
    tunnel.client.wire.reset();
    assert!(tunnel.origin.is_closed());
}

#[test]
fn a_tunnel_without_a_byte_for_its_limit_is_closed_and_one_with_bytes_is_not() {
    let mut tunnel = open("timeouts.tunnel = \"1s\"\ntimeouts.body = \"100ms\"\ntimeouts.response = \"100ms\"");
    tunnel.client.send("x");
    tunnel.origin.wire.bytes(1);
    assert!(tunnel.client.is_closed());
    assert!(tunnel.origin.is_closed());
    let elapsed = tunnel.proxy.line("request")["elapsed_ms"].as_f64().unwrap();
    assert!((1000.0..5000.0).contains(&elapsed), "{elapsed}");
}

#[test]
fn a_tunnel_that_is_open_when_the_time_is_up_is_broken_off_and_in_the_log() {
    let origin = Origin::listen();
    let configuration = format!("shutdown_timeout = \"300ms\"\n{}", in_front_of(&[&origin.url], "", ""));
    let proxy = Proxy::run(&configuration);
    let mut client = Client::connect(proxy.address());
    client.send(ASKS);
    let mut conversation = origin.accept();
    conversation.head();
    conversation.say(SWITCHES);
    assert_eq!(client.head().status, 101);
    conversation.say("half a wo");
    assert_eq!(client.wire.bytes(9), b"half a wo");
    let (ended, log) = proxy.stop();
    assert_eq!(ended.status, Some(0));
    let line = log.iter().find(|line| line["event"] == "request").expect("the tunnel is in the log");
    assert_eq!((&line["status"], &line["bytes_sent"], &line["aborted"]), (&101.into(), &9.into(), &true.into()));
    assert_eq!(client.wire.until_closed(&mut Vec::new()), None, "no orderly end");
}

#[test]
fn an_answer_other_than_101_is_an_ordinary_answer_and_nothing_is_tunnelled() {
    let mut tunnel = asked("", &format!("{ASKS}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"));
    tunnel.origin.head();
    tunnel.origin.say("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nno");
    let answer = tunnel.client.answer();
    assert_eq!((answer.head.status, answer.text()), (426, "no"));
    // What followed is a request like any other: it is read, not copied.
    let request = tunnel.origin.request();
    assert_eq!(request.line, "GET /smuggled HTTP/1.1");
    assert!(request.field("via").is_some());
}

#[test]
fn a_101_that_nobody_asked_for_is_a_failure() {
    let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (request, protocol) in [(plain, "websocket"), (ASKS, "chat"), (ASKS, "websocket, chat")] {
        let mut tunnel = asked("", request);
        tunnel.origin.head();
        tunnel.origin.say(SWITCHES.replace("websocket", protocol));
        let answer = tunnel.client.answer();
        assert_eq!(answer.head.status, 502, "{protocol}");
        assert_eq!(tunnel.proxy.line("upstream_failure")["fault"], "upgrade_failed", "{protocol}");
    }
}

#[test]
fn an_upgrade_that_is_none_is_not_asked_for() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    ] {
        let mut tunnel = asked("", request);
        assert_eq!(tunnel.origin.request().lines(), ["host: a"], "{request:?}");
        tunnel.origin.answer("plain");
        assert_eq!(tunnel.client.answer().text(), "plain");
    }
}
