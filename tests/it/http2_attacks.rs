//! Clients of HTTP/2 that abuse it: their connection ends, others are served, and the origin hears little of it.

use super::support::client::get;
use super::support::h2::CONTINUATION;
use super::support::h2::DATA;
use super::support::h2::END_STREAM;
use super::support::h2::Frame;
use super::support::h2::Framed;
use super::support::h2::GOAWAY;
use super::support::h2::HEADERS;
use super::support::h2::PING;
use super::support::h2::PRIORITY;
use super::support::h2::RST_STREAM;
use super::support::h2::SETTINGS;
use super::support::h2::WINDOW_UPDATE;
use super::support::http2::block;
use super::support::origin::Origin;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

const CANCEL: [u8; 4] = [0, 0, 0, 8];

fn greeted() -> Proxy {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", "[runtime]\nworkers = 1"));
    origin.greet("hello");
    proxy
}

/// Sends this again and again, at most so many times; the GOAWAY that it brings.
fn flood(what: &str, most: u32, step: impl Fn(&mut Framed, u32)) -> Frame {
    let proxy = greeted();
    let mut attacker = Framed::connect(proxy.address());
    let mut sent = 0;
    while sent < most && !attacker.0.is_reset() {
        step(&mut attacker, sent);
        sent += 1;
    }
    let told = attacker.try_next(GOAWAY).unwrap_or_else(|| panic!("{what}: no word after {sent}"));
    assert!(attacker.try_next(GOAWAY).is_none(), "{what}: it is closed");
    assert_eq!(get(proxy.address(), "/", "").text(), "hello", "{what}: others are served");
    assert!(proxy.peak_memory() < 100 << 20, "{what}: {}", proxy.peak_memory());
    told
}

#[test]
fn floods_end_the_connection() {
    let calm = [0, 0, 0, 11];
    let told = flood("rapid reset", 5000, |client, step| {
        client.get(2 * step + 1);
        client.say(RST_STREAM, 0, 2 * step + 1, &CANCEL);
    });
    assert_eq!(told.payload[4..8], calm);
    let told = flood("PING", 50_000, |client, _| client.say(PING, 0, 0, &[0; 8]));
    assert_eq!(told.payload[4..8], calm);
    let told = flood("SETTINGS", 50_000, |client, _| client.say(SETTINGS, 0, 0, b""));
    assert_eq!(told.payload[4..8], calm);
    let told = flood("PRIORITY", 50_000, |client, _| client.say(PRIORITY, 0, 3, &[0, 0, 0, 0, 1]));
    assert_eq!(told.payload[4..8], calm);
    let told = flood("an unknown frame", 50_000, |client, _| client.say(99, 0, 0, b"x"));
    assert_eq!(told.payload[4..8], calm);
    let told = flood("empty DATA", 50_000, |client, step| {
        if step == 0 {
            client.ask(1, "POST", &[], 0);
        }
        client.say(DATA, 0, 1, b"");
    });
    assert_eq!(told.payload[4..8], calm);
    let told = flood("CONTINUATION", 50_000, |client, step| {
        client.say(if step == 0 { HEADERS } else { CONTINUATION }, 0, 1, &block(&[("x", "y")]));
    });
    assert_eq!(told.payload[4..8], calm);
    flood("windows that are opened by nothing", 50_000, |client, step| {
        client.ask(2 * step + 1, "GET", &[], END_STREAM);
        client.say(WINDOW_UPDATE, 0, 2 * step + 1, &[0; 4]);
    });
}

#[test]
fn requests_that_are_taken_back_one_by_one_end_it_too() {
    let proxy = greeted();
    let mut attacker = Framed::connect(proxy.address());
    let mut answered = 0_u32;
    // Each is taken in before the next one comes, as whoever waits for the answer to a PING can tell.
    for step in 0..2000 {
        if attacker.0.is_reset() {
            break;
        }
        attacker.get(2 * step + 1);
        attacker.say(PING, 0, 0, &step.to_be_bytes().repeat(2));
        attacker.say(RST_STREAM, 0, 2 * step + 1, &CANCEL);
        if attacker.try_next(PING).is_none() {
            break;
        }
        answered = step;
    }
    assert!((300..1900).contains(&answered), "{answered}");
    assert_eq!(get(proxy.address(), "/", "").text(), "hello");
}

#[test]
fn a_head_that_unpacks_to_far_more_than_it_has_is_refused() {
    let proxy = greeted();
    let mut attacker = Framed::connect(proxy.address());
    // One large field in the table, whose number is 62 then, and ten thousand times that number (RFC 7541, section 6.1).
    let value = "y".repeat(120);
    let mut head = block(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "shop.example")]);
    head.extend([&[0x40, 1, b'x', 120][..], value.as_bytes()].concat());
    head.resize(head.len() + 10_000, 0xBE);
    attacker.say(HEADERS, 4 | END_STREAM, 1, &head);
    assert!(attacker.try_next(GOAWAY).is_some());
    assert!(proxy.peak_memory() < 100 << 20);
    assert_eq!(get(proxy.address(), "/", "").text(), "hello");
}

#[test]
fn more_requests_at_once_than_are_allowed_are_refused_one_by_one() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", "[runtime]\nworkers = 1"));
    let mut client = Framed::connect(proxy.address());
    let settings = client.next(SETTINGS).payload;
    let most = settings.chunks(6).find(|pair| pair[..2] == [0, 3]).map(|pair| pair[5]).unwrap();
    for number in 0..=u32::from(most) {
        client.get(2 * number + 1);
    }
    let refused = client.next(RST_STREAM);
    assert_eq!((refused.stream, &*refused.payload), (2 * u32::from(most) + 1, &[0, 0, 0, 7][..]));
}
