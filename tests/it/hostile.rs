//! What clients and origins do to each other at the worst moment: nobody else pays for it, and nothing is left behind.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use why502::demo::origin::PrivateDirectory;

use super::support::client::Client;
use super::support::client::Ending;
use super::support::client::get;
use super::support::eventually;
use super::support::origin::Origin;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

const CHUNKED_POST: &str = "POST /form HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n";
const BEGINNING: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";

/// What a client does to its own body when the response has begun.
enum Spoils {
    WithABadChunk,
    ByLeaving,
    ByStalling,
}

#[test]
fn a_body_that_its_client_spoils_is_never_the_servers_failure() {
    for how in [Spoils::WithABadChunk, Spoils::ByLeaving, Spoils::ByStalling] {
        let origin = Origin::listen();
        let upstream = "ejection.after = 1\nejection.max_share = 1.0\ntimeouts.body = \"10s\"";
        let proxy = Proxy::run(&in_front_of(&[&origin.url], upstream, "[limits]\nbody_timeout = \"300ms\""));
        let mut client = Client::connect(proxy.address());
        client.send(CHUNKED_POST);
        let mut conversation = origin.accept();
        conversation.head();
        conversation.say(BEGINNING);
        assert_eq!(client.head().status, 200);
        match how {
            Spoils::WithABadChunk => client.send("ZZ\r\n"),
            Spoils::ByLeaving => client.wire.half_close(),
            Spoils::ByStalling => {}
        }
        assert!(client.wire.chunks(&mut Vec::new()).is_none(), "the client sees that its answer is cut");
        drop(conversation);
        origin.greet("hello");
        assert_eq!(get(proxy.address(), "/", "").text(), "hello", "the server is not ejected");
        let (_, log) = proxy.stop();
        let blamed = log.iter().filter(|line| line["event"] == "upstream_failure").count();
        assert_eq!(blamed, 0, "{log:?}");
    }
}

#[test]
fn half_a_head_behind_a_request_has_the_time_of_a_head() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", "[limits]\nheader_timeout = \"300ms\""));
    origin.greet("hello");
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHos");
    assert_eq!(client.answer().text(), "hello");
    assert_eq!(client.answer().head.status, 408);
}

#[test]
fn a_tunnel_whose_ends_are_both_gone_leaves_nothing_behind() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", ""));
    let before = descriptors(&proxy);
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.head();
    conversation.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nbye");
    drop(conversation);
    assert_eq!(client.head().status, 101);
    for _ in 0..3 {
        client.wire.try_send("anybody there?").ok();
    }
    drop(client);
    eventually("the descriptors", || (descriptors(&proxy) <= before).then_some(()));
}

#[test]
fn a_body_that_would_end_with_its_connection_is_reset_when_the_program_ends() {
    let origin = Origin::listen();
    let configuration = format!("shutdown_timeout = \"200ms\"\n{}", in_front_of(&[&origin.url], "", ""));
    let proxy = Proxy::run(&configuration);
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.head();
    conversation.say(BEGINNING);
    client.wire.bytes(1);
    let (ended, log) = proxy.stop();
    assert_eq!(ended.status, Some(0));
    assert!(client.wire.until_closed(&mut Vec::new()).is_none(), "no orderly end");
    let request = log.iter().find(|line| line["event"] == "request").unwrap();
    assert_eq!(request["aborted"], true);
}

#[test]
fn an_origin_that_closes_at_every_second_request_fails_no_get() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "retry.budget = 0.0", "[runtime]\nworkers = 1"));
    std::thread::spawn(move || {
        while let Some(mut conversation) = origin.wait() {
            std::thread::spawn(move || {
                conversation.request();
                conversation.answer("first");
                conversation.next();
            });
        }
    });
    let mut client = Client::connect(proxy.address());
    for _ in 0..50 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = client.answer();
        assert_eq!((answer.text(), &answer.ending), ("first", &Ending::Whole));
    }
}

#[test]
fn interim_answers_without_end_are_ended() {
    let origin = Origin::listen();
    let mut proxy = Proxy::run(&in_front_of(&[&origin.url], "", "[runtime]\nworkers = 1"));
    origin.serve(|_, conversation| {
        let early = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
        while conversation.wire.try_send(&early).is_ok() {}
    });
    // An old client, for which there are no interim answers.
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().status, 502);
    assert_eq!(proxy.line("upstream_failure")["fault"], "response_header_too_large");
}

#[test]
fn a_client_that_reads_late_gets_all_that_it_asked_for_early_hints_and_all() {
    // More than the kernel keeps for a client that does not read.
    const COUNT: usize = 300;
    let origin = Origin::listen();
    let limits = "[limits]\nheader_timeout = \"200ms\"\nidle_timeout = \"200ms\"\nbody_timeout = \"20s\"";
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", limits));
    origin.serve(|_, conversation| {
        let early = format!("HTTP/1.1 103 Early Hints\r\nLink: <{}>\r\n\r\n", "a".repeat(8000));
        conversation.say(early.repeat(6));
        conversation.answer("hi");
    });
    let mut client = Client::connect(proxy.address());
    client.wire.socket().set_recv_buffer_size(4096).unwrap();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(COUNT));
    // Longer than a head may take, and a connection be idle.
    std::thread::park_timeout(std::time::Duration::from_millis(700));
    client.wire.socket().set_recv_buffer_size(1 << 20).unwrap();
    for number in 0..COUNT {
        let head = std::iter::repeat_with(|| client.head()).find(|head| head.status != 103);
        assert_eq!(head.map(|head| head.status), Some(200), "answer {number}");
        assert_eq!(client.wire.bytes(2), b"hi", "answer {number}");
    }
}

#[test]
fn many_clients_that_read_nothing_fill_little_memory() {
    let origin = Origin::listen();
    let upstream = "limits.connections = 400\ntimeouts.body = \"60s\"";
    let proxy = Proxy::run(&in_front_of(&[&origin.url], upstream, "[runtime]\nworkers = 1"));
    let stuck = Arc::new(AtomicUsize::new(0));
    let of_origin = Arc::clone(&stuck);
    let body = vec![b'x'; 16 << 20];
    origin.serve(move |_, conversation| {
        conversation.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
        // While 300 of them begin, one may have to wait for its turn.
        let mut sent = 0;
        for _ in 0..5 {
            sent += conversation.wire.send_until_stuck(&body[sent..]);
        }
        assert!(sent < body.len(), "it waits in the proxy");
        of_origin.fetch_add(1, Ordering::Relaxed);
    });
    let before = proxy.peak_memory();
    let clients: Vec<_> = (0..300)
        .map(|_| {
            let mut client = Client::connect(proxy.address());
            client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    eventually("that all of them are stuck", || (stuck.load(Ordering::Relaxed) == clients.len()).then_some(()));
    // The first of them may have a megabyte each, and whoever comes when they are many half of one.
    let grown = proxy.peak_memory() - before;
    assert!(grown < 230 << 20, "{grown} bytes for {} clients", clients.len());
}

#[test]
fn clients_that_only_wait_leave_descriptors_for_servers() {
    let origins = [(); 2].map(|()| Origin::listen());
    let upstream =
        |name: &str, url: &str| format!("[[upstream]]\nname = \"{name}\"\nservers = [\"{url}\"]\npool.max_idle = 0\n");
    let configuration = format!(
        "runtime.workers = 1\n[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\nupstream = \"a\"\n\
         [[route]]\npath = \"/other\"\nupstream = \"b\"\n{}{}",
        upstream("a", &origins[0].url),
        upstream("b", &origins[1].url),
    );
    let proxy = Proxy::run_under(
        &["sh", "-c", "ulimit -n 64; exec \"$0\" \"$@\""],
        PrivateDirectory::new().unwrap(),
        &configuration,
    );
    for origin in origins {
        origin.serve(|_, conversation| conversation.answer("ok"));
    }
    let mut waiting = Vec::new();
    for _ in 0..120 {
        let mut client = Client::connect(proxy.address());
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer().text(), "ok");
        waiting.push(client);
        assert_eq!(get(proxy.address(), "/other", "").text(), "ok", "after {}", waiting.len());
    }
}

/// How many descriptors the program has open.
fn descriptors(proxy: &Proxy) -> usize {
    fs::read_dir(format!("/proc/{}/fd", proxy.id())).map_or(0, Iterator::count)
}
