//! Services that SRV records name: which target is asked, and what is said where there is none.

use std::net::IpAddr;
use std::net::Ipv4Addr;

use super::support::client::get;
use super::support::eventually;
use super::support::names::Names;
use super::support::names::Says;
use super::support::origin::Reserved;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

const SERVICE: &str = "_app._tcp.why502.test";
const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A proxy whose one server is that service, without connections that wait for a next request.
fn before_service(names: &Names, upstream: &str) -> Proxy {
    let tables = format!("[dns]\nservers = [\"{}\"]\n[runtime]\nworkers = 1", names.address);
    Proxy::run(&in_front_of(&[&format!("srv+http://{SERVICE}")], &format!("pool.max_idle = 0\n{upstream}"), &tables))
}

/// A name server that knows these targets, all of them on this host.
fn naming(services: &[(u16, u16, u16, &'static str)], ttl: u32) -> Names {
    let names = Names::serve();
    names.say(SERVICE, Says::Services(services.to_vec(), ttl));
    for (.., target) in services {
        names.say(target.trim_end_matches('.'), Says::Addresses(vec![V4], 60));
    }
    names
}

#[test]
fn the_target_with_the_lowest_priority_is_asked_on_its_own_port() {
    let (first, second) = (Reserved::port(), Reserved::port());
    let (a, b) = (first.address.port(), second.address.port());
    let names = naming(&[(20, 0, b, "b.why502.test."), (10, 0, a, "a.why502.test.")], 60);
    let proxy = before_service(&names, "");
    first.listen().greet("first");
    second.listen().greet("second");
    for _ in 0..5 {
        assert_eq!(get(proxy.address(), "/", "").text(), "first");
    }
    assert_eq!(names.questions(), 3, "one for the service, and one for each family of its target");
}

#[test]
fn equals_share_by_their_weights() {
    let (heavy, light) = (Reserved::port(), Reserved::port());
    let (a, b) = (heavy.address.port(), light.address.port());
    let names = naming(&[(1, 90, a, "a.why502.test."), (1, 10, b, "b.why502.test.")], 60);
    let proxy = before_service(&names, "");
    heavy.listen().greet("heavy");
    light.listen().greet("light");
    let heavy = (0..100).filter(|_| get(proxy.address(), "/", "").text() == "heavy").count();
    assert!((70..100).contains(&heavy), "{heavy} of 100");
}

#[test]
fn the_next_target_is_asked_where_one_cannot_be_connected_to_or_found() {
    let (closed, open) = (Reserved::port(), Reserved::port());
    let (a, b) = (closed.address.port(), open.address.port());
    let services = [(1, 0, 80, "gone.why502.test."), (2, 0, a, "a.why502.test."), (3, 0, b, "b.why502.test.")];
    let names = naming(&services[1..], 60);
    names.say(SERVICE, Says::Services(services.to_vec(), 60));
    let mut proxy = before_service(&names, "");
    open.listen().greet("open");
    assert_eq!(get(proxy.address(), "/", "").text(), "open");
    let lines = proxy.lines_of_a_request();
    assert!(!lines.iter().any(|line| line["event"] == "upstream_failure"), "it is no failure: {lines:#?}");
}

#[test]
fn where_no_target_can_be_connected_to_the_failure_tells_each() {
    let (first, second) = (Reserved::port(), Reserved::port());
    let (a, b) = (first.address.port(), second.address.port());
    let names = naming(&[(1, 0, a, "a.why502.test."), (2, 0, b, "b.why502.test.")], 60);
    let mut proxy = before_service(&names, "");
    assert_eq!(get(proxy.address(), "/", "").head.status, 502);
    let line = proxy.line("upstream_failure");
    assert_eq!((&line["fault"], &line["peer"]), (&"connection_refused".into(), &format!("127.0.0.1:{a}").into()));
    assert_eq!(line["server"], format!("srv+http://{SERVICE}"));
    let detail = line["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("127.0.0.1:{b}")), "{detail}");
}

#[test]
fn a_service_without_records_and_one_that_is_not_offered_are_told_apart() {
    for (services, says) in [(vec![], "no SRV record"), (vec![(0, 0, 0, ".")], "not there")] {
        let names = Names::serve();
        names.say(SERVICE, Says::Services(services, 60));
        let mut proxy = before_service(&names, "");
        assert_eq!(get(proxy.address(), "/", "").head.status, 502);
        let line = proxy.line("upstream_failure");
        assert_eq!((&line["fault"], &line["cause"]), (&"dns_no_records".into(), &"dns".into()), "{line:#}");
        let detail = line["detail"].as_str().unwrap();
        assert!(detail.contains(says) && detail.contains(SERVICE), "{detail}");
    }
    let names = Names::serve();
    let mut proxy = before_service(&names, "");
    assert_eq!(get(proxy.address(), "/", "").head.status, 502);
    assert_eq!(proxy.line("upstream_failure")["fault"], "dns_name_not_found");
}

#[test]
fn records_are_asked_for_again_when_their_time_is_over_and_serve_on_while_dns_fails() {
    let (old, new) = (Reserved::port(), Reserved::port());
    let (a, b) = (old.address.port(), new.address.port());
    let names = naming(&[(1, 0, a, "a.why502.test.")], 1);
    let proxy = before_service(&names, "timeouts.resolve = \"500ms\"");
    old.listen().greet("old");
    new.listen().greet("new");
    let ask = || get(proxy.address(), "/", "").text().to_owned();
    assert_eq!(ask(), "old");
    names.say(SERVICE, Says::Services(vec![(1, 0, b, "a.why502.test.")], 1));
    eventually("the new port", || (ask() == "new").then_some(()));
    names.say(SERVICE, Says::Failure);
    let before = names.questions();
    eventually("another question", || {
        assert_eq!(ask(), "new");
        (names.questions() > before).then_some(())
    });
    assert_eq!(ask(), "new");
}
