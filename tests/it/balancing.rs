//! How requests spread over several servers.

use super::support::client::Client;
use super::support::client::get;
use super::support::origin::Origin;
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
