//! Names that lead to origins: looked up while the program runs, for as long as they hold, over both families.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use super::support::client::get;
use super::support::eventually;
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
