//! How it ends: whoever is in is served, nobody else comes in, and the exit status is 0.

use std::net::SocketAddr;
use std::net::TcpStream;
use std::thread;

use super::support::client::Client;
use super::support::eventually;
use super::support::origin::Origin;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;
use super::support::wire::Wire;

#[test]
fn a_request_in_flight_finishes_when_the_program_is_told_to_stop() {
    for signal in ["TERM", "INT"] {
        let origin = Origin::listen();
        let proxy = Proxy::run(&in_front_of(&[&origin.url], "", ""));
        let mut client = Client::connect(proxy.address());
        client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut conversation = origin.accept();
        conversation.request();

        proxy.signal(signal);
        eventually("the end of the listener", || TcpStream::connect(proxy.address()).is_err().then_some(()));
        conversation.answer("done");
        let answer = client.answer();
        assert_eq!((answer.text(), answer.field("connection")), ("done", Some("close")));
        assert!(client.is_closed());
        let (ended, log) = proxy.ended();
        assert_eq!((ended.status, &*ended.err), (Some(0), ""));
        let events: Vec<_> =
            log.iter().map(|line| line["event"].as_str().unwrap()).filter(|event| *event != "notice").collect();
        assert_eq!(events, ["started", "request", "stopped"]);
        let last = log.last().unwrap();
        assert_eq!((&last["reason"], &last["requests"]), (&format!("SIG{signal}").into(), &1.into()));
    }
}

#[test]
fn whose_answer_had_begun_without_a_word_of_the_end_may_ask_once_more() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", ""));
    let mut client = Client::connect(proxy.address());
    client.send("GET /begun HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhalf");
    let head = client.head();
    assert!(!head.fields.iter().any(|(name, _)| name == "connection"), "{head:?}");
    proxy.signal("TERM");
    eventually("the end of the listener", || TcpStream::connect(proxy.address()).is_err().then_some(()));
    conversation.say("..");
    assert_eq!(client.wire.bytes(6), b"half..");
    client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(conversation.request().line, "GET /next HTTP/1.1");
    conversation.answer("done");
    let answer = client.answer();
    assert_eq!((answer.text(), answer.field("connection")), ("done", Some("close")));
    assert!(client.is_closed());
    assert_eq!(proxy.ended().0.status, Some(0));
}

#[test]
fn who_is_idle_is_let_go_at_once() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", ""));
    origin.greet("hello");
    let mut idle = Client::connect(proxy.address());
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    idle.answer();
    let mut silent = Client::connect(proxy.address());
    let (ended, _) = proxy.stop();
    assert_eq!(ended.status, Some(0));
    assert!(idle.is_closed() && silent.is_closed());
}

#[test]
fn a_request_that_does_not_end_is_cut_when_the_time_is_up() {
    let origin = Origin::listen();
    let configuration = format!("shutdown_timeout = \"300ms\"\n{}", in_front_of(&[&origin.url], "", ""));
    let proxy = Proxy::run(&configuration);
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    let (ended, _) = proxy.stop();
    assert_eq!(ended.status, Some(0));
    assert!(client.is_closed() && conversation.is_closed());
}

#[test]
fn whoever_asks_a_second_time_does_not_have_to_wait() {
    let origin = Origin::listen();
    let configuration = format!("shutdown_timeout = \"10m\"\n{}", in_front_of(&[&origin.url], "", ""));
    let proxy = Proxy::run(&configuration);
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    proxy.signal("TERM");
    eventually("the end of the listener", || TcpStream::connect(proxy.address()).is_err().then_some(()));
    let (ended, log) = proxy.stop();
    assert_eq!((ended.status, &log.last().unwrap()["event"]), (Some(0), &"stopped".into()));
    assert!(client.is_closed() && conversation.is_closed());
}

#[test]
fn whoever_was_let_in_is_answered_also_while_the_program_ends() {
    for _ in 0..3 {
        let origin = Origin::listen();
        let proxy = Proxy::run(&in_front_of(&[&origin.url], "", "[runtime]\nworkers = 2"));
        origin.greet("hello");
        let address = proxy.address();
        let crowd: Vec<_> = (0..8).map(|_| thread::spawn(move || ask_until_refused(address))).collect();
        let mut proxy = proxy;
        for _ in 0..200 {
            proxy.line("request");
        }
        proxy.signal("TERM");
        let asked: Vec<_> = crowd.into_iter().map(|client| client.join().unwrap()).collect();
        let (answered, lost) = asked.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        assert!(answered >= 200);
        assert_eq!(lost, 0, "of {answered} and these");
        assert_eq!(proxy.ended().0.status, Some(0));
    }
}

/// Asks on one new connection after the other until none is to be had; how many were answered, and how many were not.
fn ask_until_refused(proxy: SocketAddr) -> (usize, usize) {
    let (mut answered, mut lost) = (0, 0);
    while let Ok(mut wire) = Wire::to(proxy) {
        let sent = wire.try_send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let mut answer = Vec::new();
        let came = sent.ok().and_then(|()| wire.until_closed(&mut answer));
        if came.is_some() && answer.ends_with(b"hello") { answered += 1 } else { lost += 1 }
    }
    (answered, lost)
}
