//! What a route does besides leading somewhere: redirects, stripped prefixes, changed fields.

use super::support::client::Answer;
use super::support::client::Client;
use super::support::client::get;
use super::support::origin::Origin;
use super::support::origin::Request;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

/// A proxy with these routes beside the one that leads everything to the origin.
fn with_routes(routes: &str) -> (Proxy, Origin) {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", routes));
    (proxy, origin)
}

/// One request, and what the origin and the client get.
fn exchange(proxy: &Proxy, origin: &Origin, request: &str, answer: &str) -> (Request, Answer) {
    let mut client = Client::connect(proxy.address());
    client.send(request);
    let mut conversation = origin.accept();
    let got = conversation.request();
    conversation.say(answer);
    drop(conversation);
    (got, client.answer())
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const FROM_HTTPS: &str = "[forwarding]\ntrusted_proxies = [\"127.0.0.1\"]\n";

#[test]
fn a_redirect_keeps_everything_but_the_scheme() {
    let (mut proxy, origin) = with_routes("[[route]]\nredirect = \"https\"\nresponse_headers = { X-Policy = \"1\" }");
    for (head, status, location) in [
        ("GET /a%2Fb//c?q=%20&r HTTP/1.1\r\nHost: shop.example", 301, "https://shop.example/a%2Fb//c?q=%20&r"),
        ("HEAD / HTTP/1.1\r\nHost: shop.example:8080", 301, "https://shop.example/"),
        ("POST /form HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3", 308, "https://shop.example/form"),
        ("GET http://b.example/x HTTP/1.1\r\nHost: shop.example", 301, "https://b.example/x"),
        ("GET / HTTP/1.1\r\nHost: [::1]:80", 301, "https://[::1]/"),
    ] {
        let mut client = Client::connect(proxy.address());
        let body = if head.starts_with("POST") { "a=1" } else { "" };
        client.send(format!("{head}\r\n\r\n{body}"));
        let answer = client.answer_to_head();
        assert_eq!((answer.head.status, answer.field("location")), (status, Some(location)), "{head}");
        assert_eq!(answer.field("x-policy"), Some("1"));
        let line = proxy.line("request");
        assert_eq!(line["request_id"].as_str(), answer.field("x-request-id"));
        assert_eq!((&line["status"], &line["route"]), (&status.into(), &"*/".into()), "{line}");
        assert!(line["upstream"].is_null(), "{line}");
    }
    let mut client = Client::connect(proxy.address());
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.answer().head.status, 400, "without a host there is nowhere to go");
    assert!(origin.is_left_alone());
}

#[test]
fn a_redirect_is_not_there_for_what_came_by_https_or_has_a_longer_route() {
    let (proxy, origin) = with_routes(&format!(
        "{FROM_HTTPS}[[route]]\nredirect = \"https\"\n[[route]]\npath = \"/.well-known\"\nupstream = \"app\""
    ));
    let (secure, _) = exchange(
        &proxy,
        &origin,
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\n\r\n",
        EMPTY,
    );
    assert_eq!(secure.field("x-forwarded-proto"), Some("https"));
    exchange(&proxy, &origin, "GET /.well-known/acme HTTP/1.1\r\nHost: a\r\n\r\n", EMPTY);
    assert_eq!(get(proxy.address(), "/", "X-Forwarded-Proto: http\r\n").head.status, 301);
}

#[test]
fn a_stripped_prefix_is_gone_for_the_origin_only() {
    let (mut proxy, origin) = with_routes("[[route]]\npath = \"/api\"\nupstream = \"app\"\nstrip_path = true");
    for (target, arrives) in [
        ("/api", "/"),
        ("/api/", "/"),
        ("/api?x=/api/y", "/?x=/api/y"),
        ("/api/a%2Fb/../c//d?e=%zz", "/a%2Fb/../c//d?e=%zz"),
        ("/api//evil.example/", "/evil.example/"),
    ] {
        let (got, _) = exchange(&proxy, &origin, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), EMPTY);
        assert_eq!(got.line, format!("GET {arrives} HTTP/1.1"));
        assert_eq!(got.field("x-forwarded-prefix"), Some("/api"));
        let path = target.split('?').next().unwrap();
        assert_eq!(proxy.line("request")["path"], path);
    }
    // Another route, and a stranger who claims a prefix.
    let (got, _) = exchange(&proxy, &origin, "GET /apis HTTP/1.1\r\nHost: a\r\nX-Forwarded-Prefix: /x\r\n\r\n", EMPTY);
    assert_eq!((&*got.line, got.field("x-forwarded-prefix")), ("GET /apis HTTP/1.1", None));
}

#[test]
fn what_an_operator_is_told_to_ask_the_origin_for_is_what_it_would_see() {
    let tables =
        "[operators]\nnetworks = [\"127.0.0.1\"]\n[[route]]\npath = \"/api\"\nupstream = \"app\"\nstrip_path = true";
    let proxy = Proxy::run(&in_front_of(&["http://127.0.0.1:1"], "", tables));
    let answer = get(proxy.address(), "/api/users", "Accept: application/json\r\n");
    let commands: Vec<_> = answer.json()["checklist"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|step| step["command"].as_str().map(str::to_owned))
        .collect();
    assert!(!commands.iter().any(|command| command.contains("/api")), "{commands:#?}");
}

#[test]
fn fields_are_set_and_removed_both_ways() {
    let routes = "[[route]]\npath = \"/x\"\nupstream = \"app\"\n\
        request_headers = { X-Env = \"prod\", X-Debug = \"\", Accept-Encoding = \"\", traceparent = \"\", X-Forwarded-Proto = \"https\" }\n\
        response_headers = { Server = \"\", X-Frame-Options = \"DENY\", Set-Cookie = \"\" }";
    let (proxy, origin) = with_routes(routes);
    let request = "GET /x HTTP/1.1\r\nHost: a\r\nX-Env: a\r\nX-Env: b\r\nX-Debug: 1\r\nAccept-Encoding: gzip\r\nAccept: */*\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\nServer: x/1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nX-Frame-Options: SAMEORIGIN\r\n\
        X-Keep: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let (got, answer) = exchange(&proxy, &origin, request, answer);
    let expected = [
        "accept: */*",
        "host: a",
        "x-env: prod",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: a",
        "x-forwarded-proto: https",
    ];
    assert_eq!(got.lines(), expected);
    assert_eq!(got.field("traceparent"), None);
    let fields = ["server", "set-cookie", "x-frame-options", "x-keep"].map(|name| answer.field(name));
    assert_eq!(fields, [None, None, Some("DENY"), Some("1")]);
}

#[test]
fn an_answer_of_the_proxys_own_gets_what_it_lacks() {
    let tables = "[[route]]\npath = \"/x\"\nupstream = \"app\"\nresponse_headers = { Strict-Transport-Security = \"max-age=9\", \
        Cache-Control = \"public\", Content-Type = \"\" }";
    let proxy = Proxy::run(&in_front_of(&["http://127.0.0.1:1"], "", tables));
    let answer = get(proxy.address(), "/x", "");
    assert_eq!(answer.head.status, 502);
    let fields = ["strict-transport-security", "cache-control"].map(|name| answer.field(name));
    assert_eq!(fields, [Some("max-age=9"), Some("no-store")]);
    assert!(answer.field("content-type").is_some());
    assert_eq!(get(proxy.address(), "/", "").field("strict-transport-security"), None, "another route");
}

#[test]
fn an_upgrade_gets_the_fields_of_its_route_too() {
    let (proxy, origin) = with_routes(
        "[[route]]\npath = \"/ws\"\nupstream = \"app\"\nstrip_path = true\nresponse_headers = { X-Policy = \"1\" }",
    );
    let mut client = Client::connect(proxy.address());
    client.send("GET /ws/room HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n");
    let mut conversation = origin.accept();
    assert_eq!(conversation.head().line, "GET /room HTTP/1.1");
    conversation.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\nhello");
    let head = client.answer_to_head();
    assert_eq!((head.head.status, head.field("x-policy")), (101, Some("1")));
    assert_eq!(client.wire.bytes(5), b"hello");
}
