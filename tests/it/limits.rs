//! What a client may ask of this proxy, and what it gets beyond that.

use std::time::Duration;
use std::time::Instant;

use super::support::client::Client;
use super::support::client::get;
use super::support::origin::Origin;
use super::support::origin::work;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

/// A proxy with these limits, in front of an origin that is played by hand.
fn limited(limits: &str) -> (Proxy, Origin) {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", &format!("[limits]\n{limits}")));
    (proxy, origin)
}

/// The same, in front of one that greets.
fn greeted(limits: &str) -> Proxy {
    let (proxy, origin) = limited(limits);
    origin.greet("hello");
    proxy
}

#[test]
fn a_head_that_comes_too_slowly_is_answered_and_the_connection_closed() {
    let (mut proxy, origin) = limited("header_timeout = \"300ms\"");
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\nAccept: application/problem+json\r\nX-Slow: ");
    let answer = client.answer();
    assert_eq!(answer.head.status, 408);
    assert_eq!(answer.json()["status"], 408);
    assert!(client.is_closed());
    assert!(origin.is_left_alone());
    assert_eq!(proxy.line("request")["status"], 408);
}

#[test]
fn a_head_that_comes_too_slowly_is_met_on_an_idle_connection_too() {
    let proxy = greeted("header_timeout = \"300ms\"\nidle_timeout = \"10s\"");
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.answer();
    // While another head is late, the limit passes for a connection on which none has begun.
    let mut other = Client::connect(proxy.address());
    other.send("GET / HTT");
    assert_eq!(other.answer().head.status, 408);
    let begin = Instant::now();
    client.send("GET / HTT");
    assert_eq!(client.answer().head.status, 408);
    assert!(begin.elapsed() < Duration::from_secs(5), "a limit of 0.3 seconds took {:?}", begin.elapsed());
}

#[test]
fn a_client_that_says_nothing_at_all_goes_without_a_word() {
    let proxy = greeted("idle_timeout = \"300ms\"");
    let mut silent = Client::connect(proxy.address());
    assert!(silent.is_closed());
    let mut idle = Client::connect(proxy.address());
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(idle.answer().text(), "hello");
    assert!(idle.is_closed());
}

#[test]
fn a_slow_origin_is_no_idle_client() {
    let (proxy, origin) = limited("idle_timeout = \"300ms\"\nheader_timeout = \"300ms\"\nbody_timeout = \"300ms\"");
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    // Another client comes and goes for being idle; so the limit has passed for the first one too.
    assert!(Client::connect(proxy.address()).is_closed());
    conversation.answer("late");
    assert_eq!(client.answer().text(), "late");
}

#[test]
fn a_body_that_stops_coming_is_the_clients_fault() {
    let (mut proxy, origin) = limited("body_timeout = \"300ms\"");
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    let mut conversation = origin.accept();
    conversation.head();
    let answer = client.answer();
    assert_eq!(answer.head.status, 408);
    assert_eq!(answer.field("proxy-status"), Some("why502; error=http_request_error; status-code=408"));
    assert!(client.is_closed());
    let mut rest = Vec::new();
    assert!(conversation.wire.take(10, &mut rest).is_none(), "the origin sees that it is not whole");
    let lines = proxy.lines_of_a_request();
    assert!(!lines.iter().any(|line| line["event"] == "upstream_failure"), "{lines:#?}");
}

#[test]
fn a_client_that_stops_reading_is_cut_and_holds_the_origin_no_longer() {
    let (proxy, origin) = limited("body_timeout = \"500ms\"");
    let begin = Instant::now();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    let filling = vec![b'x'; 1 << 20];
    while conversation.wire.try_send(&filling).is_ok() {}
    assert!(begin.elapsed() < Duration::from_secs(5), "a limit of half a second took {:?}", begin.elapsed());
    let mut body = Vec::new();
    client.head();
    assert_eq!(client.wire.until_closed(&mut body), None, "no orderly end");
}

#[test]
fn a_body_beyond_the_limit_is_refused_with_and_without_a_length() {
    let (mut proxy, origin) = limited("request_body_bytes = \"10\"");
    let fits =
        ["Content-Length: 10\r\n\r\n0123456789", "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"];
    for rest in fits {
        let mut client = Client::connect(proxy.address());
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{rest}"));
        let mut conversation = origin.accept();
        assert_eq!(conversation.request().body, b"0123456789");
        conversation.answer_and_close("fits");
        assert_eq!(client.answer().text(), "fits");
        proxy.line("request");
    }

    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
    assert_eq!(client.answer().head.status, 413);
    assert!(client.is_closed() && origin.is_left_alone(), "a length is known before anything is sent");
    proxy.line("request");

    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n");
    let mut conversation = origin.accept();
    conversation.head();
    client.send("1\r\nx\r\n");
    assert_eq!(client.answer().head.status, 413);
    assert!(client.is_closed());
    let mut rest = Vec::new();
    assert!(conversation.wire.chunks(&mut rest).is_none(), "the origin sees that it is not whole");
    let lines = proxy.lines_of_a_request();
    assert_eq!(lines.last().unwrap()["status"], 413);
    assert!(!lines.iter().any(|line| line["event"] == "upstream_failure"), "{lines:#?}");
}

#[test]
fn a_head_beyond_the_limit_is_refused() {
    let mut proxy = greeted("request_header_bytes = \"16KiB\"");
    let with = |bytes| format!("X-Large: {}\r\n", "x".repeat(bytes));
    assert_eq!(get(proxy.address(), "/", &with(12_000)).text(), "hello");
    proxy.line("request");
    let answer = get(proxy.address(), "/", &with(20_000));
    assert_eq!(answer.head.status, 431);
    assert_eq!(proxy.line("request")["status"], 431);
}

#[test]
fn a_head_may_be_as_large_as_the_limit_is() {
    let origin = Origin::listen();
    let tables = "[limits]\nrequest_header_bytes = \"1MiB\"";
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "limits.response_header_bytes = \"1MiB\"", tables));
    let field = format!("X-Large: {}\r\n", "y".repeat(900_000));
    let mut client = Client::connect(proxy.address());
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n"));
    let mut conversation = origin.accept();
    assert_eq!(conversation.request().line, "GET / HTTP/1.1");
    conversation.say(format!("HTTP/1.1 200 OK\r\n{field}Content-Length: 5\r\n\r\nlarge"));
    let answer = client.answer();
    assert_eq!((answer.head.status, answer.text()), (200, "large"));
}

#[test]
fn clients_beyond_the_limit_wait_until_one_leaves() {
    check_a_crowd(1);
}

#[test]
fn the_limit_on_clients_holds_over_all_cores() {
    check_a_crowd(4);
}

fn check_a_crowd(workers: usize) {
    let origin = Origin::listen();
    let tables = format!("[limits]\nconnections = 2\nheader_timeout = \"5m\"\n[runtime]\nworkers = {workers}");
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", &tables));
    origin.greet("hello");
    let mut inside = [Client::connect(proxy.address()), Client::connect(proxy.address())];
    for client in &mut inside {
        // The next request begins together with this one, so that there is no moment in which nothing is asked for.
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n");
        client.answer();
    }
    let mut waiting: Vec<_> = (0..8).map(|_| Client::connect(proxy.address())).collect();
    // Whoever comes in leaves again, so that the next one can; which one that is, the kernel decides.
    for client in &mut waiting {
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    }
    // Those inside are served meanwhile, and as long as they ask for something they stay.
    for client in &mut inside {
        client.send("Host: a\r\n\r\nGET / HTTP/1.1\r\n");
        assert_eq!(client.answer().text(), "hello");
    }
    let early = waiting.iter().filter(|client| client.wire.has_more()).count();
    assert_eq!(early, 0, "nobody is let in beyond the limit");
    drop(inside);
    for mut client in waiting {
        assert_eq!(client.answer().text(), "hello");
    }
}

#[test]
fn whoever_has_waited_for_the_longest_makes_way_where_all_places_are_taken() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", "[limits]\nconnections = 3\n[runtime]\nworkers = 1"));
    origin.greet("hello");
    let enter = || {
        let mut client = Client::connect(proxy.address());
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer().text(), "hello");
        client
    };
    let (mut first, mut second, mut busy) = (enter(), enter(), enter());
    busy.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1");
    let mut third = enter();
    assert!(first.is_closed());
    second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(second.answer().text(), "hello");
    let _fourth = enter();
    assert!(third.is_closed(), "the second was served since");
    busy.send("2");
    assert_eq!(busy.answer().text(), "hello");
}

#[test]
fn a_crowd_comes_through_a_full_house_on_every_core() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", "[limits]\nconnections = 4\n[runtime]\nworkers = 3"));
    origin.greet("hello");
    let mut inside = Vec::new();
    let begin = Instant::now();
    for _ in 0..100 {
        let mut client = Client::connect(proxy.address());
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer().text(), "hello");
        inside.push(client);
    }
    assert!(begin.elapsed() < Duration::from_secs(20), "100 clients took {:?}", begin.elapsed());
}

#[test]
fn a_head_that_drips_does_not_outstay_its_time() {
    let mut proxy = greeted("header_timeout = \"500ms\"");
    let mut client = Client::connect(proxy.address());
    let begin = Instant::now();
    let mut head = "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ".to_owned() + &"x".repeat(10_000);
    // A byte now and then, each long before the limit.
    while !head.is_empty() && client.wire.try_send(head.remove(0).to_string()).is_ok() {
        work(Duration::from_millis(20));
        if client.wire.has_more() {
            break;
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "it dripped for {:?}", begin.elapsed());
    assert_eq!(client.answer().head.status, 408);
    assert_eq!(proxy.line("request")["status"], 408);
}

#[test]
fn a_thousand_idle_clients_are_held_and_each_is_still_served() {
    let proxy = greeted("connections = 2000");
    let mut clients: Vec<_> = (0..1000).map(|_| Client::connect(proxy.address())).collect();
    for _ in 0..2 {
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(client.answer().text(), "hello");
        }
    }
}

#[test]
fn one_address_gets_only_its_share_of_connections() {
    let proxy = greeted("connections_per_client = 2");
    let mut first = Client::connect(proxy.address());
    let mut second = Client::connect(proxy.address());
    for client in [&mut first, &mut second] {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer().text(), "hello");
    }
    assert!(Client::connect(proxy.address()).is_closed(), "the third is turned away");
    drop(first);
    super::support::eventually("the place of the first", || {
        let mut client = Client::connect(proxy.address());
        client.wire.try_send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ok()?;
        client.wire.head()
    });
}
