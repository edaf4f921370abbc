//! How much a server is given at once: limits that hold over all cores, and a queue that is fair and has an end.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use super::support::client::Client;
use super::support::client::get;
use super::support::eventually;
use super::support::origin::Conversation;
use super::support::origin::Origin;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

const ONE_CORE: &str = "[runtime]\nworkers = 1";

/// A proxy with one core and these limits, in front of an origin that is played by hand.
fn limited(limits: &str) -> (Proxy, Origin) {
    let origin = Origin::listen();
    let limits = format!("[upstream.limits]\n{limits}");
    (Proxy::run(&in_front_of(&[&origin.url], &limits, ONE_CORE)), origin)
}

fn ask(proxy: &Proxy, path: &str) -> Client {
    let mut client = Client::connect(proxy.address());
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n"));
    client
}

/// When this returns, a proxy with one core has taken up every request that was sent before.
fn taken_up(proxy: &Proxy) {
    for _ in 0..3 {
        let mut client = Client::connect(proxy.address());
        client.send("GET / HTTP/1.1\r\n\r\n");
        assert_eq!(client.answer().head.status, 400);
    }
}

/// The next request that reaches the origin, and its path.
fn arrives(conversation: &mut Conversation) -> String {
    conversation.request().line.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn without_a_queue_what_is_over_is_answered_at_once() {
    let (mut proxy, origin) = limited("in_flight = 2");
    let mut first = ask(&proxy, "/1");
    let mut one = origin.accept();
    arrives(&mut one);
    let _second = ask(&proxy, "/2");
    let mut two = origin.accept();
    arrives(&mut two);
    let answer = get(proxy.address(), "/3", "Accept: application/json\r\n");
    assert_eq!((answer.head.status, &answer.json()["fault"]), (502, &"server_at_capacity".into()));
    assert_eq!(answer.field("retry-after"), Some("5"));
    let line = proxy.line("upstream_failure");
    assert!(line["detail"].as_str().unwrap().ends_with("; 2 of 2 requests in flight, no queue."), "{line}");
    assert_eq!((&line["stage"], &line["server"]), (&"gateway".into(), &origin.url.clone().into()));
    assert_eq!(line["evidence"][0]["id"], "limit_reached");
    // One that ends makes room for the next.
    one.answer("done");
    assert_eq!(first.answer().text(), "done");
    let mut next = ask(&proxy, "/4");
    assert_eq!(arrives(&mut one), "/4");
    one.answer("next");
    assert_eq!(next.answer().text(), "next");
}

#[test]
fn who_waits_longest_is_next_and_a_full_queue_takes_nobody() {
    let (mut proxy, origin) = limited("in_flight = 1\nqueue = 3\nqueue_timeout = \"1m\"");
    let mut clients = vec![ask(&proxy, "/0")];
    let mut conversation = origin.accept();
    assert_eq!(arrives(&mut conversation), "/0");
    for number in 1..=3 {
        clients.push(ask(&proxy, &format!("/{number}")));
        taken_up(&proxy);
    }
    let answer = get(proxy.address(), "/4", "Accept: application/json\r\n");
    assert_eq!(answer.json()["fault"], "server_at_capacity");
    let line = proxy.line("upstream_failure");
    assert!(line["detail"].as_str().unwrap().ends_with("; 1 of 1 requests in flight, 3 of 3 waiting."), "{line}");
    for (number, mut client) in clients.into_iter().enumerate() {
        conversation.answer(&number.to_string());
        assert_eq!(client.answer().text(), number.to_string());
        if number < 3 {
            assert_eq!(arrives(&mut conversation), format!("/{}", number + 1));
        }
    }
    assert!(origin.is_left_alone(), "one connection was enough");
}

#[test]
fn a_place_is_waited_for_no_longer_than_is_set_and_no_body_is_asked_for() {
    let (mut proxy, origin) = limited("in_flight = 1\nqueue = 1\nqueue_timeout = \"300ms\"");
    let _first = ask(&proxy, "/");
    let mut conversation = origin.accept();
    arrives(&mut conversation);
    let begin = Instant::now();
    let mut client = Client::connect(proxy.address());
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\nAccept: application/json\r\n\r\n",
    );
    let answer = client.answer();
    assert!(begin.elapsed() >= Duration::from_millis(300));
    assert_eq!((&*answer.interim, &answer.json()["fault"]), (&[][..], &"server_at_capacity".into()));
    let line = proxy.line("upstream_failure");
    assert!(line["detail"].as_str().unwrap().contains("came free within the limit of 300 ms; 1 of 1"), "{line}");
    assert!(line["elapsed_ms"].as_f64().is_some_and(|time| time >= 300.0), "{line}");
}

#[test]
fn a_client_that_leaves_the_queue_frees_its_place() {
    let (mut proxy, origin) = limited("in_flight = 1\nqueue = 1\nqueue_timeout = \"1m\"");
    let mut first = ask(&proxy, "/first");
    let mut conversation = origin.accept();
    arrives(&mut conversation);
    let gone = ask(&proxy, "/gone");
    taken_up(&proxy);
    assert_eq!(get(proxy.address(), "/full", "").head.status, 502);
    drop(gone);
    while proxy.line("request")["path"] != "/gone" {}
    let mut next = ask(&proxy, "/next");
    taken_up(&proxy);
    conversation.answer("first");
    assert_eq!(first.answer().text(), "first");
    assert_eq!(arrives(&mut conversation), "/next");
    conversation.answer("next");
    assert_eq!(next.answer().text(), "next");
}

#[test]
fn under_lasting_overload_the_newest_is_served_and_the_oldest_told_soon() {
    let (mut proxy, origin) = limited("in_flight = 1\nqueue = 3\nqueue_timeout = \"1m\"");
    let mut first = ask(&proxy, "/first");
    let mut conversation = origin.accept();
    arrives(&mut conversation);
    let mut waiting: Vec<Client> = (0..3)
        .map(|number| {
            let client = ask(&proxy, &format!("/{number}"));
            taken_up(&proxy);
            client
        })
        .collect();
    // Those who find the queue full are sent away; when that has gone on for a while, the oldest gives way instead.
    let mut sent_away = 0;
    let mut newest = eventually("a change of order", || {
        let mut client = ask(&proxy, "/newest");
        taken_up(&proxy);
        let told = eventually("an end for one of them", || {
            [waiting[0].wire.has_more(), client.wire.has_more()].into_iter().position(|told| told)
        });
        if told == 0 {
            return Some(client);
        }
        assert_eq!(client.answer().json()["fault"], "server_at_capacity");
        sent_away += 1;
        None
    });
    assert!(sent_away > 1, "a rush is none");
    let told = waiting.remove(0).answer();
    assert_eq!((told.json()["fault"].as_str(), told.field("retry-after")), (Some("server_at_capacity"), Some("5")));
    while proxy.line("upstream_failure")["path"] != "/0" {}
    conversation.answer("first");
    assert_eq!(first.answer().text(), "first");
    for (path, client) in [("/newest", &mut newest), ("/2", &mut waiting.remove(1)), ("/1", &mut waiting.remove(0))] {
        assert_eq!(arrives(&mut conversation), path);
        conversation.answer(path);
        assert_eq!(client.answer().text(), path);
    }
}

#[test]
fn a_full_server_is_passed_over_while_another_has_room() {
    let (one, other) = (Origin::listen(), Origin::listen());
    let settings = "balance = \"round_robin\"\nlimits.in_flight = 1";
    let mut proxy = Proxy::run(&in_front_of(&[&one.url, &other.url], settings, ""));
    let _first = ask(&proxy, "/");
    let _second = ask(&proxy, "/");
    let mut busy = [one.accept(), other.accept()];
    assert_eq!(busy.each_mut().map(arrives), ["/", "/"]);
    for _ in 0..2 {
        assert_eq!(get(proxy.address(), "/", "").head.status, 502);
        assert_eq!(proxy.line("upstream_failure")["fault"], "server_at_capacity");
    }
}

#[test]
fn a_retry_gives_up_the_place_at_the_server_that_failed() {
    let (one, other) = (Origin::listen(), Origin::listen());
    let settings = "balance = \"round_robin\"\nlimits.in_flight = 1";
    let proxy = Proxy::run(&in_front_of(&[&one.url, &other.url], settings, ""));
    let mut first = ask(&proxy, "/first");
    let (mut failing, failed, other) = match one.try_accept() {
        Some(conversation) => (conversation, one, other),
        None => (other.accept(), other, one),
    };
    arrives(&mut failing);
    drop(failing);
    let mut retried = other.accept();
    arrives(&mut retried);
    // The other one is busy with the retry, so that there is only the one that has failed.
    let mut second = ask(&proxy, "/second");
    let mut conversation = failed.accept();
    assert_eq!(arrives(&mut conversation), "/second");
    conversation.answer("second");
    assert_eq!(second.answer().text(), "second");
    retried.answer("first");
    assert_eq!(first.answer().text(), "first");
}

#[test]
fn a_limit_of_requests_holds_over_all_cores() {
    let (answers, most) = crowd("in_flight = 3\nqueue = 100\nqueue_timeout = \"20s\"");
    assert_eq!(answers, ["hello"; 24]);
    assert!((1..=3).contains(&most), "{most} at once");
}

#[test]
fn a_limit_of_connections_holds_over_all_cores() {
    let (answers, most) = crowd("connections = 2\nqueue = 100\nqueue_timeout = \"20s\"");
    assert_eq!(answers, ["hello"; 24]);
    assert!((1..=2).contains(&most), "{most} at once");
}

#[test]
fn connections_that_lie_idle_make_room() {
    let (proxy, _) = greeting("connections = 1\nqueue_timeout = \"20s\"");
    // Each client may meet another core, which has to have the only connection from the one that keeps it.
    for _ in 0..12 {
        assert_eq!(get(proxy.address(), "/", "").text(), "hello");
    }
}

#[test]
fn a_connection_that_there_is_not_is_not_waited_for_without_a_queue() {
    let (mut proxy, origin) = limited("connections = 1");
    let _first = ask(&proxy, "/");
    let mut conversation = origin.accept();
    arrives(&mut conversation);
    let answer = get(proxy.address(), "/", "Accept: application/json\r\n");
    assert_eq!(answer.json()["fault"], "server_at_capacity");
    let line = proxy.line("upstream_failure");
    assert!(line["detail"].as_str().unwrap().ends_with("; 1 of 1 connections open, no queue."), "{line}");
}

#[test]
fn a_tunnel_is_counted_until_it_ends() {
    let (proxy, origin) = limited("connections = 1");
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();
    conversation.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello");
    assert_eq!(client.head().status, 101);
    assert_eq!(client.wire.bytes(5), b"hello");
    assert_eq!(get(proxy.address(), "/", "").head.status, 502);
    drop(client);
    assert!(conversation.is_closed());
    drop(conversation);
    taken_up(&proxy);
    let mut next = ask(&proxy, "/");
    let mut conversation = origin.accept();
    arrives(&mut conversation);
    conversation.answer("next");
    assert_eq!(next.answer().text(), "next");
}

/// What 24 clients at once are answered by a proxy with two cores and these limits, and how many requests were at the origin at
/// the same time at most.
fn crowd(limits: &str) -> (Vec<String>, usize) {
    let (proxy, most) = greeting(limits);
    let address = proxy.address();
    let clients: Vec<_> = (0..24).map(|_| thread::spawn(move || get(address, "/", "").text().to_owned())).collect();
    (clients.into_iter().map(|client| client.join().unwrap()).collect(), most.load(Ordering::SeqCst))
}

/// A proxy with two cores and these limits in front of an origin that takes its time; and how many requests were at it at once.
fn greeting(limits: &str) -> (Proxy, Arc<AtomicUsize>) {
    let origin = Origin::listen();
    let limits = format!("[upstream.limits]\n{limits}");
    let proxy = Proxy::run(&in_front_of(&[&origin.url], &limits, "[runtime]\nworkers = 2"));
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    origin.serve(move |_, conversation| {
        seen.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::park_timeout(Duration::from_millis(10));
        inside.fetch_sub(1, Ordering::SeqCst);
        conversation.answer("hello");
    });
    (proxy, most)
}

#[test]
fn idle_connections_to_a_server_are_kept_for_so_long_and_so_many() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(
        &[&origin.url],
        "[upstream.pool]\nidle_timeout = \"2s\"\nmax_idle = 1",
        "[runtime]\nworkers = 1",
    ));
    let mut clients: Vec<_> = (0..3).map(|_| Client::connect(proxy.address())).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    let mut conversations: Vec<_> = (0..3).map(|_| origin.accept()).collect();
    for conversation in &mut conversations {
        conversation.request();
    }
    for conversation in &mut conversations {
        conversation.answer("hello");
    }
    for client in &mut clients {
        assert_eq!(client.answer().text(), "hello");
    }
    // One of them is kept and serves the next request; then it is idle for too long.
    clients[0].send("GET /again HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut kept = Vec::new();
    for mut conversation in conversations {
        if let Some(request) = conversation.next() {
            assert_eq!(request.line, "GET /again HTTP/1.1");
            conversation.answer("again");
            kept.push(conversation);
        }
    }
    assert_eq!(clients[0].answer().text(), "again");
    assert_eq!(kept.len(), 1);
    assert!(origin.is_left_alone());
    let begin = Instant::now();
    assert!(kept[0].is_closed());
    let after = begin.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(8)).contains(&after), "closed after {after:?}");
}
