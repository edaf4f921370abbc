//! Names that lead to origins: looked up while the program runs, for as long as they hold, over both families.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use super::support::client::Client;
use super::support::client::get;
use super::support::eventually;
use super::support::h2::Framed;
use super::support::names::Names;
use super::support::names::Says;
use super::support::origin::Reserved;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

const NAME: &str = "app.why502.test";

/// A proxy whose one server is that name, at this port.
fn before_name(names: &Names, port: u16, upstream: &str, dns: &str) -> Proxy {
    let dns = format!("[dns]\nservers = [\"{}\"]\n{dns}", names.address);
    Proxy::run(&in_front_of(&[&format!("http://{NAME}:{port}")], upstream, &dns))
}

fn addresses(addresses: &[IpAddr], ttl: u32) -> Says {
    Says::Addresses(addresses.to_vec(), ttl)
}

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

#[test]
fn an_answer_holds_for_its_time_and_not_for_each_request() {
    let (names, port) = (Names::serve(), Reserved::port());
    names.say(NAME, addresses(&[V4], 60));
    let proxy = before_name(&names, port.address.port(), "", "[runtime]\nworkers = 1");
    port.listen().greet("hello");
    for _ in 0..5 {
        assert_eq!(get(proxy.address(), "/", "").text(), "hello");
    }
    assert_eq!(names.questions(), 2, "one for each family");
}

#[test]
fn where_one_family_does_not_answer_the_other_is_used() {
    let (names, port) = (Names::serve(), Reserved::port());
    names.say(NAME, addresses(&[V6, V4], 60));
    let mut proxy = before_name(&names, port.address.port(), "", "");
    port.listen().greet("over IPv4");
    assert_eq!(get(proxy.address(), "/", "").text(), "over IPv4");
    let lines = proxy.lines_of_a_request();
    assert!(!lines.iter().any(|line| line["event"] == "upstream_failure"), "it is no failure: {lines:#?}");
}

#[test]
fn each_address_is_told_with_its_own_error() {
    let (names, port) = (Names::serve(), Reserved::port());
    names.say(NAME, addresses(&[V4, OTHER], 60));
    let mut proxy = before_name(&names, port.address.port(), "", "");
    assert_eq!(get(proxy.address(), "/", "").head.status, 502);
    let line = proxy.line("upstream_failure");
    assert_eq!(line["fault"], "connection_refused");
    let line = line.to_string();
    for address in [V4, OTHER] {
        assert!(line.contains(&format!("{address}:{}", port.address.port())), "{address}: {line}");
    }
}

#[test]
fn a_change_of_address_is_followed_when_the_old_answer_has_run_out() {
    let names = Names::serve();
    let old = Reserved::port();
    let new = Reserved::at((Ipv4Addr::new(127, 0, 0, 2), old.address.port()).into()).unwrap();
    names.say(NAME, addresses(&[V4], 1));
    let proxy = before_name(&names, old.address.port(), "pool.max_idle = 0", "");
    old.listen().greet("old");
    new.listen().greet("new");
    assert_eq!(get(proxy.address(), "/", "").text(), "old");
    names.say(NAME, addresses(&[OTHER], 1));
    let ask = || get(proxy.address(), "/", "").text().to_owned();
    eventually("the new address", || (ask() == "new").then_some(()));
    assert!((0..5).all(|_| ask() == "new"), "nobody is sent to the old address any more");
}

#[test]
fn addresses_that_worked_serve_on_while_dns_fails() {
    let (names, port) = (Names::serve(), Reserved::port());
    names.say(NAME, addresses(&[V4], 1));
    let proxy = before_name(&names, port.address.port(), "pool.max_idle = 0\ntimeouts.resolve = \"500ms\"", "");
    port.listen().greet("hello");
    assert_eq!(get(proxy.address(), "/", "").text(), "hello");
    names.say(NAME, Says::Failure);
    let before = names.questions();
    // Once the answer has run out, the name server is asked again and fails; nobody notices.
    eventually("another question", || {
        assert_eq!(get(proxy.address(), "/", "").text(), "hello");
        (names.questions() > before).then_some(())
    });
    assert_eq!(get(proxy.address(), "/", "").text(), "hello");
}

#[test]
fn without_stale_addresses_a_failing_name_server_is_told() {
    let (names, port) = (Names::serve(), Reserved::port());
    names.say(NAME, addresses(&[V4], 1));
    let upstream = "pool.max_idle = 0\ntimeouts.resolve = \"500ms\"";
    let mut proxy = before_name(&names, port.address.port(), upstream, "serve_stale = \"0s\"");
    port.listen().greet("hello");
    assert_eq!(get(proxy.address(), "/", "").text(), "hello");
    names.say(NAME, Says::Failure);
    eventually("the failure", || (get(proxy.address(), "/", "").head.status == 502).then_some(()));
    assert_eq!(proxy.line("upstream_failure")["fault"], "dns_server_failure");
}

/// Two origins on the same port of two addresses, and a name that leads to the first for a second.
fn moved(names: &Names) -> (Reserved, Reserved) {
    let old = Reserved::port();
    let new = Reserved::at((Ipv4Addr::new(127, 0, 0, 2), old.address.port()).into()).unwrap();
    names.say(NAME, addresses(&[V4], 1));
    (old, new)
}

#[test]
fn traffic_that_keeps_its_connection_moves_too_and_what_is_in_flight_ends() {
    let names = Names::serve();
    let (old, new) = moved(&names);
    let proxy = before_name(&names, old.address.port(), "", "[runtime]\nworkers = 1");
    let old = old.listen();
    new.listen().greet("new");
    let ask = || {
        let mut client = Client::connect(proxy.address());
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        client
    };
    // Two connections to the old address: one on which a request stays in flight, and one that is kept busy.
    let mut slow = ask();
    let mut held = old.accept();
    held.request();
    let mut quick = ask();
    let mut busy = old.accept();
    names.say(NAME, addresses(&[OTHER], 1));
    let mut rounds = 0;
    // It is closed when it lies idle between two requests, or the new address has the next one.
    while busy.next().is_some() {
        busy.answer("old");
        assert_eq!(quick.answer().text(), "old");
        rounds += 1;
        assert!(rounds < 100_000, "the connection is never given up");
        quick = ask();
    }
    assert_eq!(quick.answer().text(), "new");
    assert!((0..5).all(|_| ask().answer().text() == "new"), "nobody is sent to the old address any more");
    held.answer("late");
    assert_eq!(slow.answer().text(), "late");
    assert!(held.is_closed(), "its connection is not used again");
}

#[test]
fn connections_of_http_2_move_too() {
    let names = Names::serve();
    let (old, new) = moved(&names);
    let tables = "[runtime]\nworkers = 1";
    let proxy = before_name(&names, old.address.port(), "protocol = \"h2\"", tables);
    let (old, new) = (old.listen(), new.listen());
    let ask = || {
        let mut client = Client::connect(proxy.address());
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client
    };
    let mut slow = ask();
    let mut first = Framed::greet(old.accept(), &[]);
    let id = first.request();
    names.say(NAME, addresses(&[OTHER], 1));
    // Each request is a stream of the old connection until the name is looked up again; then another one is opened.
    let mut streams = Vec::new();
    let arrived = eventually("a connection to the new address", || {
        streams.push(ask());
        new.try_accept()
    });
    let mut second = Framed::greet(arrived, &[]);
    let new_id = second.request();
    second.answer(new_id, b"new");
    assert_eq!(streams.pop().unwrap().answer().text(), "new");
    first.answer(id, b"late");
    assert_eq!(slow.answer().text(), "late");
}

#[test]
fn failing_name_servers_close_no_connection() {
    let (names, port) = (Names::serve(), Reserved::port());
    names.say(NAME, addresses(&[V4], 1));
    let proxy = before_name(&names, port.address.port(), "", "[runtime]\nworkers = 1");
    let origin = port.listen();
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    conversation.answer("hello");
    assert_eq!(client.answer().text(), "hello");
    for says in [Says::Failure, addresses(&[], 1)] {
        names.say(NAME, says);
        let before = names.questions();
        // Two look-ups for two families: whatever came of the first has had a second to do harm.
        eventually("more questions, though nobody opens a connection", || {
            (names.questions() > before + 3).then_some(())
        });
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        conversation.request();
        conversation.answer("still here");
        assert_eq!(client.answer().text(), "still here");
    }
    assert!(origin.is_left_alone(), "one connection was enough");
}

#[test]
fn all_addresses_of_a_name_have_their_share_and_one_that_is_dead_costs_nothing() {
    let (names, one) = (Names::serve(), Reserved::port());
    let at = |last: u8| Reserved::at((Ipv4Addr::new(127, 0, 0, last), one.address.port()).into()).unwrap();
    let (two, dead) = (at(2), at(3));
    names.say(NAME, addresses(&[V4, OTHER, IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3))], 60));
    let mut proxy = before_name(&names, one.address.port(), "", "[runtime]\nworkers = 1");
    one.listen().greet("one");
    two.listen().greet("two");
    let met: Vec<String> = (0..60).map(|_| get(proxy.address(), "/", "").text().to_owned()).collect();
    for name in ["one", "two"] {
        assert!(met.iter().filter(|met| *met == name).count() > 12, "{met:?}");
    }
    for _ in 0..60 {
        let lines = proxy.lines_of_a_request();
        assert!(lines.iter().all(|line| line["event"] != "upstream_failure"), "{lines:?}");
    }
    drop(dead);
}
