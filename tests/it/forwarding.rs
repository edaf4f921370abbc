//! What a proxy passes on and what not, byte for byte, between a client and an origin that are played by hand.

use super::support::client::Answer;
use super::support::client::Client;
use super::support::client::Ending;
use super::support::client::Head;
use super::support::origin::Conversation;
use super::support::origin::Origin;
use super::support::origin::Request;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;
use super::support::wire::Fields;

/// A proxy in front of an origin.
struct Pair {
    proxy: Proxy,
    origin: Origin,
}

impl Pair {
    fn new(upstream: &str, tables: &str) -> Self {
        let origin = Origin::listen();
        Self { proxy: Proxy::run(&in_front_of(&[&origin.url], upstream, tables)), origin }
    }

    /// Neither tells the origin of the client, so that rows stay short.
    fn silent() -> Self {
        Self::new("", SILENT)
    }

    fn client(&self) -> Client {
        Client::connect(self.proxy.address())
    }

    /// What the origin gets of a request that is sent at once.
    fn request(&self, request: &str) -> Request {
        self.exchange(request, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").0
    }

    /// What the client gets of an answer to a GET.
    fn answer(&self, answer: &str) -> Answer {
        self.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", answer).1
    }

    /// One request and its answer, each on a connection of its own.
    fn exchange(&self, request: &str, answer: &str) -> (Request, Answer) {
        let mut client = self.client();
        client.send(request);
        let mut origin = self.origin.accept();
        let got = origin.request();
        origin.say(answer);
        drop(origin);
        let heard = if request.starts_with("HEAD") { client.answer_to_head() } else { client.answer() };
        (got, heard)
    }
}

/// The fields of an answer as lines, sorted, without those that hold a time, an id or this installation's name.
fn lines(fields: &Fields) -> Vec<String> {
    let mut lines: Vec<_> =
        fields.iter().filter(|(name, _)| !matches!(&**name, "date" | "via" | "x-request-id")).collect();
    lines.sort_by_key(|(name, _)| name);
    lines.into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
}

#[test]
fn what_belongs_to_a_connection_stays_on_it_on_the_way_to_the_origin() {
    let pair = Pair::silent();
    let table: &[(&str, &[&str])] = &[
        ("X-Keep: 1", &["host: a", "x-keep: 1"]),
        ("Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nX-Keep: 2", &["host: a", "x-keep: 2"]),
        ("Connection: X-A\r\nConnection: X-B\r\nX-A: 1\r\nX-B: 2", &["host: a"]),
        ("Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nUpgrade: tcp", &["host: a"]),
        ("Proxy-Authorization: Basic eA==\r\nX-Why502-Token: secret", &["host: a"]),
        ("Connection: TE\r\nTE: trailers", &["connection: te", "host: a", "te: trailers"]),
        // Nobody can make this proxy forget what frames the body or what is for every recipient.
        (
            "Connection: Content-Length, Host, Authorization\r\nAuthorization: x\r\nContent-Length: 0",
            &["authorization: x", "content-length: 0", "host: a"],
        ),
        ("X-D: 2\r\nX-D: 1\r\nX-D: 3", &["host: a", "x-d: 2", "x-d: 1", "x-d: 3"]),
        ("Max-Forwards: 5\r\nX-Unknown-Thing: \u{fc}", &["host: a", "max-forwards: 5", "x-unknown-thing: \u{fc}"]),
    ];
    for (fields, arrive) in table {
        let request = pair.request(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"));
        assert_eq!(request.lines(), *arrive, "{fields:?}");
    }
}

#[test]
fn what_belongs_to_a_connection_stays_on_it_on_the_way_to_the_client() {
    let pair = Pair::silent();
    let table: &[(&str, &[&str])] = &[
        ("X-Keep: 1", &["connection: close", "content-length: 0", "x-keep: 1"]),
        ("Connection: X-Hop, close\r\nX-Hop: 1", &["connection: close", "content-length: 0"]),
        (
            "Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nProxy-Authenticate: x\r\nUpgrade: tcp",
            &["connection: close", "content-length: 0"],
        ),
        (
            "Connection: Content-Length, Set-Cookie\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2, 3",
            &["connection: close", "content-length: 0", "set-cookie: a=1", "set-cookie: b=2, 3"],
        ),
    ];
    for (fields, arrive) in table {
        let answer = pair.answer(&format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{fields}\r\n\r\n"));
        assert_eq!(lines(&answer.head.fields), *arrive, "{fields:?}");
    }
}

#[test]
fn a_request_line_goes_on_untouched_in_the_form_for_an_origin() {
    let pair = Pair::silent();
    for (sent, arrives) in [
        ("GET /a%2Fb/./c//d;v=1/%7Eu?x=%00&z=%zz&{} HTTP/1.1", "GET /a%2Fb/./c//d;v=1/%7Eu?x=%00&z=%zz&{} HTTP/1.1"),
        ("GET http://a?y HTTP/1.1", "GET /?y HTTP/1.1"),
        ("GET http://a HTTP/1.1", "GET / HTTP/1.1"),
        ("OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1"),
        ("FROBNICATE /x HTTP/1.1", "FROBNICATE /x HTTP/1.1"),
        ("GET /x HTTP/1.0", "GET /x HTTP/1.1"),
    ] {
        assert_eq!(pair.request(&format!("{sent}\r\nHost: a\r\n\r\n")).line, arrives);
    }
}

#[test]
fn max_forwards_counts_down_and_ends_here() {
    let pair = Pair::silent();
    let left = |line: &str| pair.request(&format!("{line} HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n"));
    for (line, arrives) in [("OPTIONS /", "4"), ("TRACE /", "4"), ("GET /", "5")] {
        assert_eq!(left(line).field("max-forwards"), Some(arrives), "{line}");
    }
    let endless = "OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 99999999999999999999\r\n\r\n";
    assert_eq!(
        pair.request(endless).field("max-forwards"),
        Some("9223372036854775806"),
        "it is counted down all the same"
    );
    for (method, status) in [("OPTIONS", 200), ("TRACE", 405)] {
        let mut client = pair.client();
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nConnection: close\r\n\r\n"));
        let answer = client.answer();
        assert_eq!(answer.head.status, status, "{method}");
        assert!(answer.field("allow").is_some_and(|allow| allow.contains("GET")), "{method}");
    }
    assert!(pair.origin.is_left_alone());
}

#[test]
fn host_is_the_clients_the_servers_or_the_configured_one() {
    for (setting, request, arrives) in [
        ("", "GET / HTTP/1.1\r\nHost: shop.example:81", "shop.example:81"),
        ("", "GET http://target.example/ HTTP/1.1\r\nHost: a", "target.example"),
        ("host_header = \"upstream\"", "GET / HTTP/1.1\r\nHost: shop.example", "SERVER"),
        ("host_header = \"literal.example\"", "GET / HTTP/1.1\r\nHost: shop.example", "literal.example"),
        ("", "GET / HTTP/1.0", "SERVER"),
    ] {
        let pair = Pair::new(setting, SILENT);
        let arrives = arrives.replace("SERVER", pair.origin.url.strip_prefix("http://").unwrap());
        assert_eq!(pair.request(&format!("{request}\r\n\r\n")).field("host"), Some(&*arrives), "{setting} {request}");
    }
}

#[test]
fn via_is_added_behind_those_that_are_there_and_is_the_same_both_ways() {
    let pair = Pair::silent();
    let answered = "HTTP/1.1 200 OK\r\nVia: 1.0 fred\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let (request, answer) = pair.exchange("GET / HTTP/1.0\r\nVia: 1.1 jim\r\n\r\n", answered);
    let all = |fields: &Fields| -> Vec<String> {
        let vias = fields.iter().filter(|(name, _)| name == "via");
        vias.flat_map(|(_, value)| value.split(',').map(|member| member.trim().to_owned())).collect()
    };
    let (to_origin, to_client) = (all(&request.fields), all(&answer.head.fields));
    let own = to_origin[1].strip_prefix("1.0 why502-").expect("the received version and our name");
    assert_eq!(to_origin[0], "1.1 jim");
    assert_eq!(to_client, ["1.0 fred".to_owned(), format!("1.1 why502-{own}")]);

    let others = pair.request("GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 why502-another\r\n\r\n");
    assert_eq!(all(&others.fields).len(), 2, "another why502 in the chain is no loop");
    let mut client = pair.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 why502-{own}\r\nConnection: close\r\n\r\n"));
    assert_eq!(client.answer().field("proxy-status"), Some("why502; error=proxy_loop_detected"));
    assert!(pair.origin.is_left_alone());
}

#[test]
fn the_origin_is_told_of_the_client_as_configured_and_strangers_are_not_believed() {
    const CLAIMS: &str = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n\
        X-Forwarded-Port: 1\r\nForwarded: for=192.0.2.8;proto=https";
    let stranger = ["host: a", "x-forwarded-for: 127.0.0.1", "x-forwarded-host: a", "x-forwarded-proto: http"];
    let table: &[(&str, &str, &[&str])] = &[
        ("", "", &stranger),
        ("", CLAIMS, &stranger),
        ("headers = \"none\"", CLAIMS, &["host: a"]),
        ("headers = \"forwarded\"", CLAIMS, &["forwarded: for=127.0.0.1;host=a;proto=http", "host: a"]),
        ("headers = \"both\"", "", &[&["forwarded: for=127.0.0.1;host=a;proto=http"], &stranger[..]].concat()),
        (
            "trusted_proxies = [\"127.0.0.0/8\"]",
            "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b",
            &["host: a", "x-forwarded-for: 192.0.2.7, 127.0.0.1", "x-forwarded-host: b", "x-forwarded-proto: https"],
        ),
        (
            "trusted_proxies = [\"127.0.0.0/8\"]\nheaders = \"forwarded\"",
            "Forwarded: for=192.0.2.8;proto=https",
            &["forwarded: for=192.0.2.8;proto=https, for=127.0.0.1;host=a;proto=http", "host: a"],
        ),
        // What Connection names cannot take away what we add.
        ("", "Connection: X-Forwarded-For, X-Forwarded-Proto, Via", &stranger),
    ];
    for (setting, fields, arrive) in table {
        let pair = Pair::new("", &format!("[forwarding]\n{setting}"));
        let fields = if fields.is_empty() { String::new() } else { format!("{fields}\r\n") };
        let request = pair.request(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        assert_eq!(request.lines(), *arrive, "{setting:?} {fields:?}");
        assert!(request.field("via").is_some());
    }
}

#[test]
fn trailers_stay_trailers_both_ways() {
    let pair = Pair::silent();
    let (request, answer) = pair.exchange(
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: TE, X-Hop\r\nTE: trailers\r\nTrailer: X-Sum\r\n\
         Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\nX-Hop: 1\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nConnection: close, X-Hop\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nho\r\n0\r\nX-Sum: 8\r\nX-Hop: 1\r\nTransfer-Encoding: x\r\n\r\n",
    );
    let trailer = |value: &str| vec![("x-sum".to_owned(), value.to_owned())];
    assert_eq!((&*request.body, request.trailers), (&b"hi"[..], trailer("7")));
    assert_eq!((&*answer.body, answer.trailers, answer.ending), (&b"ho"[..], trailer("8"), Ending::Whole));
}

#[test]
fn an_answer_is_framed_by_the_rules_whatever_it_answers() {
    let pair = Pair::silent();
    let close = "Connection: close\r\n";
    // Request line; what the origin says; status, framing and body that the client gets.
    let table: &[(&str, &str, u16, &[&str], &str)] = &[
        ("GET", "200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, &["content-length: 2"], "hi"),
        (
            "GET",
            "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\n\r\n",
            200,
            &["transfer-encoding: chunked"],
            "hi",
        ),
        // The chunks count, and the length is not passed on (RFC 9112, section 6.3).
        (
            "GET",
            "200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            200,
            &["transfer-encoding: chunked"],
            "hi",
        ),
        ("GET", "200 OK\r\n\r\nhi", 200, &["transfer-encoding: chunked"], "hi"),
        ("HEAD", "200 OK\r\nContent-Length: 2\r\n\r\n", 200, &["content-length: 2"], ""),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, &[], ""),
        ("GET", "304 Not Modified\r\nETag: \"x\"\r\n\r\n", 304, &["etag: \"x\""], ""),
        ("GET", "204 No Content\r\nContent-Length: 2\r\n\r\n", 204, &[], ""),
        ("GET", "299 Strange\r\nContent-Length: 0\r\n\r\n", 299, &["content-length: 0"], ""),
        ("GET", "599 \r\nContent-Length: 0\r\n\r\n", 599, &["content-length: 0"], ""),
    ];
    for (method, said, status, framing, body) in table {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n{close}\r\n");
        let answer = pair.exchange(&request, &format!("HTTP/1.1 {said}")).1;
        let framed = [&["connection: close"], *framing].concat();
        assert_eq!(
            (answer.head.status, answer.text(), answer.ending),
            (*status, *body, Ending::Whole),
            "{method} {said}"
        );
        assert_eq!(lines(&answer.head.fields), framed, "{method} {said}");
    }
}

#[test]
fn an_answer_without_a_date_gets_one() {
    let pair = Pair::silent();
    let dated = "Sun, 06 Nov 1994 08:49:37 GMT";
    let answer = |field: &str| pair.answer(&format!("HTTP/1.1 200 OK\r\n{field}Content-Length: 0\r\n\r\n"));
    assert_eq!(answer(&format!("Date: {dated}\r\n")).field("date"), Some(dated));
    assert!(answer("").field("date").is_some_and(|date| date.ends_with(" GMT")));
}

#[test]
fn a_client_of_http_1_0_gets_an_answer_that_it_can_read() {
    let pair = Pair::silent();
    let said = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
        HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n";
    let mut client = pair.client();
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let mut origin = pair.origin.accept();
    origin.request();
    origin.say(said);
    let (line, fields) = client.wire.head().unwrap();
    let mut body = Vec::new();
    client.wire.until_closed(&mut body).expect("the body ends with an orderly close");
    assert!(line.ends_with(" 200 OK"), "{line}");
    assert_eq!(lines(&fields).iter().filter(|line| line.starts_with("transfer-encoding")).count(), 0);
    assert_eq!(body, b"hi");
}

#[test]
fn early_hints_go_on_before_the_answer() {
    let pair = Pair::silent();
    let mut client = pair.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut origin = pair.origin.accept();
    origin.request();
    for hint in ["</a>", "</b>"] {
        origin.say(format!("HTTP/1.1 103 Early Hints\r\nLink: {hint}\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n"));
        let expected = Head { status: 103, fields: vec![("link".to_owned(), hint.to_owned())] };
        assert_eq!(client.head(), expected, "it comes before there is an answer");
    }
    origin.answer("hi");
    assert_eq!(client.answer().text(), "hi");
}

#[test]
fn early_hints_go_on_where_the_next_request_waits_or_the_answer_comes_with_them() {
    let pair = Pair::silent();
    let mut client = pair.client();
    client
        .send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut origin = pair.origin.accept();
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    for at_once in [false, true, false] {
        origin.request();
        if at_once {
            origin.say(format!("{early}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"));
            assert_eq!(client.head().status, 103);
        } else {
            origin.say(early);
            assert_eq!(client.head().status, 103);
            origin.answer("hi");
        }
        assert_eq!(client.answer().text(), "hi");
    }
}

#[test]
fn a_client_that_waits_to_be_asked_for_its_body_is_asked_by_the_origin() {
    const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let pair = Pair::silent();
    let begin = || {
        let mut client = pair.client();
        client.send(HEAD);
        let mut origin = pair.origin.accept();
        assert_eq!(origin.head().field("expect"), Some("100-continue"));
        (client, origin)
    };

    let (mut client, mut origin) = begin();
    origin.say("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.head().status, 100);
    client.send("hi");
    assert_eq!(origin.wire.bytes(2), b"hi");
    origin.answer_and_close("thanks");
    assert_eq!(client.answer().text(), "thanks");

    let (mut client, mut origin) = begin();
    origin.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let answer = client.answer();
    assert_eq!((answer.interim, answer.head.status, &*answer.body), (vec![], 403, &b"no"[..]));
    assert!(client.is_closed(), "nobody knows whether the body would follow");

    // An origin that knows nothing of expectations says nothing; the body is asked for all the same.
    let (mut client, mut origin) = begin();
    assert_eq!(client.head().status, 100);
    client.send("hi");
    assert_eq!(origin.wire.bytes(2), b"hi");
    origin.answer_and_close("thanks");
    assert_eq!(client.answer().text(), "thanks");
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let pair = Pair::silent();
    let mut client = pair.client();
    let one = |path: &str| format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n");
    client.send([one("1"), one("2"), one("3")].concat());
    let mut origin = pair.origin.accept();
    for path in ["1", "2", "3"] {
        assert_eq!(origin.request().line, format!("GET /{path} HTTP/1.1"));
        origin.answer(path);
    }
    for path in ["1", "2", "3"] {
        assert_eq!(client.answer().text(), path);
    }
    assert!(pair.origin.is_left_alone(), "one connection was enough");
}

#[test]
fn an_answer_that_comes_before_the_upload_has_ended_is_passed_on_at_once() {
    let pair = Pair::silent();
    let mut client = pair.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nthe beginning");
    let mut origin = pair.origin.accept();
    origin.head();
    origin.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nstop");
    let answer = client.answer();
    assert_eq!((answer.head.status, answer.text()), (413, "stop"));
    // What is left of the body is read away or the connection closed: it is never taken for the next request.
    client.wire.try_send(vec![b'x'; 1_000_000 - "the beginning".len()]).ok();
    client.wire.try_send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n").ok();
    assert!(client.is_closed());
    assert!(pair.origin.is_left_alone());
}

#[test]
fn a_client_that_leaves_ends_the_exchange_with_the_origin() {
    let pair = Pair::silent();
    for (request, said, _) in LEAVERS {
        let mut origin = leave(&pair, request, said);
        let mut rest = Vec::new();
        origin.wire.until_closed(&mut rest);
        assert!(!rest.ends_with(b"0\r\n\r\n"), "half an upload never looks like a whole one");
    }
}

#[test]
fn a_client_that_leaves_is_logged_as_such() {
    let mut pair = Pair::silent();
    for (request, said, status) in LEAVERS {
        let _origin = leave(&pair, request, said);
        let lines = pair.proxy.lines_of_a_request();
        assert_eq!(lines.last().unwrap()["status"], status, "{request:?} {said:?}");
        assert!(!lines.iter().any(|line| line["event"] == "upstream_failure"), "it is no origin's failure: {lines:#?}");
    }
}

/// What clients have asked for, what the origin has said to it when they leave, and the status in the log.
const LEAVERS: [(&str, &str, u16); 3] = [
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", 499),
    ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegin", 200),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "", 400),
];

fn leave(pair: &Pair, request: &str, said: &str) -> Conversation {
    let mut client = pair.client();
    client.send(request);
    let mut origin = pair.origin.accept();
    origin.head();
    origin.say(said);
    if !said.is_empty() {
        client.head();
    }
    origin
}

#[test]
fn a_broken_upload_is_the_clients_fault_and_never_the_origins() {
    let mut pair = Pair::silent();
    let mut client = pair.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nwhat?\r\n");
    let mut origin = pair.origin.accept();
    origin.head();
    let answer = client.answer();
    assert_eq!(answer.field("proxy-status"), Some("why502; error=http_request_error; status-code=400"));
    assert_eq!(answer.head.status, 400);
    assert!(client.is_closed());
    let lines = pair.proxy.lines_of_a_request();
    assert!(!lines.iter().any(|line| line["event"] == "upstream_failure"), "{lines:?}");
}

#[test]
fn what_two_readers_could_frame_differently_is_refused_and_so_is_what_follows_it() {
    const NEXT: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for message in [
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\n\n".to_owned(),
        "GET / HTTP/1.1\nHost: a\r\n\r\n".to_owned(),
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        format!("{POST}2;\r\nhi\r\n0\r\n\r\n"),
        format!("{POST}2;a=\"\r\nhi\r\n0\r\n\r\n"),
        format!("{POST}2\r\nhi\r\n0;\0\r\n\r\n"),
        format!("{POST}2\r\nhi\r\n0\r\nA: b\n\r\n"),
    ] {
        for size in [1, 7, usize::MAX] {
            let pair = Pair::silent();
            let mut client = pair.client();
            let all = format!("{message}{NEXT}");
            // It may have been answered, and closed, before all of it is sent.
            all.as_bytes().chunks(size).all(|part| client.wire.try_send(part).is_ok());
            assert_eq!(client.answer().head.status, 400, "{message:?} in pieces of {size}");
            assert!(client.is_closed(), "{message:?}");
            // At most the head of a broken upload has arrived.
            while let Some(mut conversation) = pair.origin.try_accept() {
                assert!(conversation.next().is_none(), "{message:?}");
            }
        }
    }
}

#[test]
fn requests_that_come_together_are_answered_one_after_the_other_whatever_lies_between_them() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", ""));
    origin.serve(|request, conversation| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        conversation.answer(&format!("{} {body}", request.line));
    });
    let together = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n\
        POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2 ;a=\"\\\"\";b\r\nhi\r\n0\r\nX-T: 1\r\n\r\n\
        \r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\n\r\n";
    let bodies = ["POST /1 HTTP/1.1 \r\n\r\n", "POST /2 HTTP/1.1 hi", "GET /3 HTTP/1.1 ", "GET /4 HTTP/1.1 "];
    for size in [1, 5, 64, usize::MAX] {
        let mut client = Client::connect(proxy.address());
        together.as_bytes().chunks(size).for_each(|part| client.send(part));
        assert_eq!(bodies.map(|_| client.answer().text().to_owned()), bodies, "in pieces of {size}");
    }
}

#[test]
fn each_event_of_a_stream_is_passed_on_when_it_comes() {
    let pair = Pair::silent();
    let mut client = pair.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut origin = pair.origin.accept();
    origin.request();
    origin.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.head().status, 200, "the head waits for no body");
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        origin.say(format!("{:x}\r\n{event}\r\n", event.len()));
        let mut heard = Vec::new();
        while heard.len() < event.len() {
            let size = client.wire.line().unwrap();
            client.wire.take(usize::from_str_radix(&size, 16).unwrap(), &mut heard).unwrap();
            client.wire.line().unwrap();
        }
        assert_eq!(heard, event.as_bytes());
    }
}

#[test]
fn what_comes_behind_an_answer_is_never_the_next_answer() {
    let pair = Pair::silent();
    let mut client = pair.client();
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut origin = pair.origin.accept();
    origin.request();
    origin.say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    assert_eq!(client.answer().text(), "1");
    client.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut fresh = pair.origin.accept();
    assert_eq!(fresh.request().line, "GET /2 HTTP/1.1");
    fresh.answer("2");
    assert_eq!(client.answer().text(), "2");
}

#[test]
fn a_connection_serves_again_only_where_both_sides_let_it() {
    let pair = Pair::silent();
    // What the client says, what the origin says, whether the proxy asks on the same connection again.
    let table = [
        ("HTTP/1.1\r\nHost: a", "HTTP/1.1 200 OK\r\n", true),
        ("HTTP/1.1\r\nHost: a", "HTTP/1.1 200 OK\r\nConnection: close\r\n", false),
        ("HTTP/1.1\r\nHost: a", "HTTP/1.0 200 OK\r\n", false),
    ];
    for (version, said, again) in table {
        let mut client = pair.client();
        let request = format!("GET / {version}\r\n\r\n");
        client.send(&request);
        let mut origin = pair.origin.accept();
        origin.request();
        origin.say(format!("{said}Content-Length: 1\r\n\r\n1"));
        assert_eq!(client.answer().text(), "1");
        client.send(&request);
        let mut second = if again { origin } else { pair.origin.accept() };
        second.request();
        second.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n2");
        assert_eq!(client.answer().text(), "2", "{said:?}");
    }
}

#[test]
fn a_large_download_is_exact_and_waits_for_a_slow_reader() {
    let pair = Pair::silent();
    let content = content();
    let mut client = pair.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut origin = pair.origin.accept();
    origin.request();
    let before = pair.proxy.peak_memory();
    origin.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len()));
    let stuck_at = origin.wire.send_until_stuck(&content);
    assert!(stuck_at < content.len(), "nobody reads, and all of it went somewhere");
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| origin.say(&content[stuck_at..]));
        client.answer()
    });
    assert!(answer.body == content, "not the same bytes");
    let grown = pair.proxy.peak_memory() - before;
    assert!(grown < MOST_GROWN, "{grown} bytes of memory for one download");
}

#[test]
fn a_large_upload_is_exact_and_waits_for_a_slow_origin() {
    let pair = Pair::silent();
    let content = content();
    let before = pair.proxy.peak_memory();
    let mut client = pair.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", content.len()));
    let stuck_at = client.wire.send_until_stuck(&content);
    assert!(stuck_at < content.len(), "nobody reads, and all of it went somewhere");
    let mut origin = pair.origin.accept();
    let request = std::thread::scope(|scope| {
        scope.spawn(|| client.send(&content[stuck_at..]));
        origin.request()
    });
    assert!(request.body == content, "not the same bytes");
    origin.answer("thanks");
    assert_eq!(client.answer().text(), "thanks");
    let grown = pair.proxy.peak_memory() - before;
    assert!(grown < MOST_GROWN, "{grown} bytes of memory for one upload");
}

/// Bytes of which no two neighbouring blocks are alike.
fn content() -> Vec<u8> {
    (0..LARGE).map(|index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

const SILENT: &str = "[forwarding]\nheaders = \"none\"";

/// Much more than all buffers on the way.
const LARGE: u32 = 20 * 1024 * 1024;

/// What a proxy may need in memory for one exchange, in bytes.
const MOST_GROWN: u64 = 4 * 1024 * 1024;
