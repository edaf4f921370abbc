//! How requests spread over several servers.

use std::time::Duration;

use super::support::client::Client;
use super::support::client::get;
use super::support::origin::Origin;
use super::support::origin::Reserved;
use super::support::origin::work;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

#[test]
fn servers_take_turns() {
    let origins = [Origin::listen(), Origin::listen(), Origin::listen()];
    let servers = origins.each_ref().map(|origin| &*origin.url);
    let proxy = Proxy::run(&in_front_of(&servers, "balance = \"round_robin\"", ""));
    let names = ["one", "two", "three"];
    for (origin, name) in origins.into_iter().zip(names) {
        origin.greet(name);
    }
    let mut met: Vec<String> = (0..9).map(|_| get(proxy.address(), "/", "").text().to_owned()).collect();
    let turn: Vec<_> = met[..3].to_vec();
    assert!(met.chunks(3).all(|round| round == turn), "{met:?}");
    met.sort();
    assert_eq!(met, ["one", "one", "one", "three", "three", "three", "two", "two", "two"]);
}

#[test]
fn the_server_with_the_fewest_requests_gets_the_next_one() {
    let (busy, free) = (Origin::listen(), Origin::listen());
    let proxy = Proxy::run(&in_front_of(&[&busy.url, &free.url], "balance = \"least_requests\"", ""));
    let ask = || {
        let mut client = Client::connect(proxy.address());
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client
    };
    // One request hangs at one of the two; whoever has it gets none until it is done.
    let _waiting = ask();
    let (mut taken, other) = match busy.try_accept() {
        Some(conversation) => (conversation, free),
        None => (free.accept(), busy),
    };
    taken.request();
    for _ in 0..6 {
        let mut client = ask();
        let mut conversation = other.accept();
        conversation.request();
        conversation.answer_and_close("other");
        assert_eq!(client.answer().text(), "other");
    }
}

/// A proxy in front of servers that are written as in a file.
fn in_front_of_weighed(servers: &str, upstream: &str) -> Proxy {
    Proxy::run(&in_front_of(&["SERVERS"], upstream, "").replace("[\"SERVERS\"]", servers))
}

#[test]
fn a_server_with_a_weight_gets_so_many_times_the_share() {
    let (large, small) = (Origin::listen(), Origin::listen());
    let servers = format!("[{{ url = \"{}\", weight = 3 }}, \"{}\"]", large.url, small.url);
    let proxy = in_front_of_weighed(&servers, "balance = \"round_robin\"");
    large.greet("large");
    small.greet("small");
    let met: Vec<String> = (0..20).map(|_| get(proxy.address(), "/", "").text().to_owned()).collect();
    assert_eq!(met.iter().filter(|met| *met == "large").count(), 15, "{met:?}");
    assert!(met.chunks(4).all(|round| round.iter().any(|met| met == "small")), "evenly: {met:?}");
}

#[test]
fn a_cookie_leads_to_the_same_server_until_that_is_gone() {
    let closed = [Reserved::port(), Reserved::port(), Reserved::port()];
    let urls = closed.each_ref().map(Reserved::url);
    let settings = "balance = \"hash\"\nhash_on = \"cookie:sid\"\nejection.after = 1\nejection.base_time = \"1h\"";
    let proxy = Proxy::run(&in_front_of(&urls.each_ref().map(|url| &**url), settings, ""));
    let [one, two, gone] = closed;
    one.listen().greet("one");
    two.listen().greet("two");
    let visit =
        |visitor: u32| get(proxy.address(), "/", &format!("Cookie: theme=dark; sid={visitor}\r\n")).text().to_owned();
    // The third server refuses; whoever it would have had is served by another, and the same one each time.
    let first: Vec<_> = (0..30).map(visit).collect();
    for round in 0..3 {
        assert_eq!((0..30).map(visit).collect::<Vec<_>>(), first, "round {round}");
    }
    assert!(["one", "two"].iter().all(|name| first.iter().filter(|met| met == name).count() > 5), "{first:?}");
    // Without the cookie it goes by the client, which is always the same here.
    let without: Vec<_> = (0..5).map(|_| get(proxy.address(), "/", "").text().to_owned()).collect();
    assert!(without.windows(2).all(|pair| pair[0] == pair[1]), "{without:?}");
    drop(gone);
}

#[test]
fn a_server_that_fails_at_once_draws_no_traffic() {
    let (quick, slow) = (Origin::listen(), Origin::listen());
    let proxy = Proxy::run(&in_front_of(&[&quick.url, &slow.url], "", ""));
    quick.serve(|_, conversation| conversation.say("HTTP/1.1 500 Oh No\r\nContent-Length: 0\r\n\r\n"));
    slow.serve(|_, conversation| {
        work(Duration::from_millis(10));
        conversation.answer("well");
    });
    let address = proxy.address();
    let visit = move || {
        let mut client = Client::connect(address);
        let failed = |_: &u32| {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            client.answer().head.status == 500
        };
        (0..50).filter(failed).count()
    };
    let failed: usize = std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..8).map(|_| scope.spawn(visit)).collect();
        visitors.into_iter().map(|visitor| visitor.join().unwrap()).sum()
    });
    // By requests in flight alone it would have had nearly all of them.
    assert!(failed < 100, "{failed} of 400 went to the server that fails");
}
