//! HTTP/2 for clients: what arrives at the origin of it, what comes back, and how a connection ends.

use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::RecvStream;
use h2::client;
use h2::ext::Protocol;
use h2::server::SendResponse;
use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::Response;

use super::support::Needs;
use super::support::can;
use super::support::client::Client;
use super::support::eventually;
use super::support::h2::DATA;
use super::support::h2::END_STREAM;
use super::support::h2::Framed;
use super::support::h2::GOAWAY;
use super::support::h2::HEADERS;
use super::support::h2::SETTINGS;
use super::support::h2::Served;
use super::support::h2::WINDOW_UPDATE;
use super::support::http2::PREFACE;
use super::support::http2::Polite;
use super::support::http2::ask;
use super::support::http2::reset_code;
use super::support::origin::Conversation;
use super::support::origin::Origin;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;
use super::support::wire::Wire;

/// A proxy on one core in front of an origin that is played by hand, and a client of HTTP/2.
struct World {
    client: Polite,
    proxy: Proxy,
    origin: Origin,
}

fn world(upstream: &str, tables: &str) -> World {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], upstream, &format!("[runtime]\nworkers = 1\n{tables}")));
    World { client: Polite::connect(proxy.address()), proxy, origin }
}

/// The same in front of an origin that greets.
fn greeted(tables: &str) -> (Polite, Proxy) {
    let World { client, proxy, origin } = world("", tables);
    origin.greet("hello");
    (client, proxy)
}

#[test]
fn a_request_arrives_as_http_1_1_has_it_and_the_answer_comes_back() {
    let World { mut client, mut proxy, origin } = world("", "");
    let request = ask("POST", "/a%2Fb?x=1").header("cookie", "a=1").header("cookie", "b=2").header("te", "trailers");
    let request = request.header("priority", "u=1, i").header("trailer", "x-sum");
    let mut asked = client.begin(request);
    asked.stream.send_data(Bytes::from("hello"), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("7"));
    asked.stream.send_trailers(trailers).unwrap();

    let mut conversation = origin.accept();
    let request = conversation.request();
    assert_eq!(request.line, "POST /a%2Fb?x=1 HTTP/1.1");
    let arrives = [
        "connection: te",
        "cookie: a=1; b=2",
        "host: shop.example",
        "priority: u=1, i",
        "te: trailers",
        "trailer: x-sum",
        "transfer-encoding: chunked",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: shop.example",
        "x-forwarded-proto: http",
    ];
    assert_eq!(request.lines(), arrives);
    assert!(request.field("via").unwrap().starts_with("2 why502-"));
    assert_eq!((&*request.body, &*request.trailers), (&b"hello"[..], &[("x-sum".to_owned(), "7".to_owned())][..]));

    conversation.say(
        "HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\
         Set-Cookie: a\r\nSet-Cookie: b\r\n\r\n2\r\nhi\r\n0\r\nX-End: 1\r\n\r\n",
    );
    let answer = client.answer(asked).unwrap();
    assert_eq!((answer.status, answer.text(), answer.trailers["x-end"].as_bytes()), (200, "hi", &b"1"[..]));
    let mut names: Vec<&str> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["date", "set-cookie", "set-cookie", "via", "x-request-id"]);
    let line = proxy.line("request");
    assert_eq!(
        (&line["protocol"], &line["bytes_sent"], &line["host"]),
        (&"HTTP/2".into(), &2.into(), &"shop.example".into())
    );
}

#[test]
fn what_is_spoken_is_recognised_however_the_first_bytes_come() {
    let (_, proxy) = greeted("");
    for pieces in [vec![PREFACE], PREFACE.chunks(1).collect(), PREFACE.chunks(10).collect()] {
        let mut wire = Wire::to(proxy.address()).unwrap();
        for piece in pieces {
            wire.send(piece);
            thread::yield_now();
        }
        let mut framed = Framed(wire);
        framed.say(SETTINGS, 0, 0, b"");
        framed.get(1);
        assert_eq!(framed.next(DATA).payload, b"hello");
    }
    for pieces in
        [["P", "OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"], ["PRI", "NT / HTTP/1.1\r\nHost: a\r\n\r\n"]]
    {
        let mut client = Client::connect(proxy.address());
        client.send(pieces[0]);
        eventually("a read", || Some(()));
        client.send(pieces[1]);
        assert_eq!(client.answer().text(), "hello", "{pieces:?}");
    }
    let mut client = Client::connect(proxy.address());
    client.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    assert_eq!(client.answer().head.status, 400);
}

#[test]
fn requests_without_a_body_and_answers_without_one_end_with_their_heads() {
    let World { mut client, proxy: _proxy, origin } = world("", "");
    origin.serve(|request, conversation| {
        conversation.say(match request.line.split(' ').nth(1) {
            Some("/204") => "HTTP/1.1 204 No Content\r\n\r\n",
            Some("/304") => "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
            Some("/head") => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        });
    });
    for (method, path, status) in
        [("GET", "/204", 204), ("GET", "/304", 304), ("HEAD", "/head", 200), ("OPTIONS", "/", 200)]
    {
        let asked = client.get(ask(method, path));
        let answer = client.answer(asked).unwrap();
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{path}");
        let length = match path {
            "/head" => Some("1000"),
            "/" => Some("0"),
            _ => None,
        };
        assert_eq!(answer.field("content-length"), length, "{path}");
    }
    let mut star = http::uri::Parts::default();
    star.scheme = Some(http::uri::Scheme::HTTP);
    star.authority = Some("shop.example".parse().unwrap());
    star.path_and_query = Some(http::uri::PathAndQuery::from_static("*"));
    let request = Request::builder().method("OPTIONS").uri(http::Uri::from_parts(star).unwrap());
    let asked = client.get(request);
    assert_eq!(client.answer(asked).unwrap().status, 200);
}

#[test]
fn interim_answers_come_before_the_final_one() {
    let World { mut client, proxy: _proxy, origin } = world("", "");
    let asked = client.get(ask("GET", "/"));
    let mut conversation = origin.accept();
    conversation.request();
    conversation.say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n");
    let mut asked = asked;
    let early = client.wait(std::future::poll_fn(|cx| asked.response.poll_informational(cx))).unwrap().unwrap();
    assert_eq!((early.status().as_u16(), early.headers()["link"].as_bytes()), (103, &b"</a>"[..]));
    conversation.answer("at last");
    let answer = client.answer(asked).unwrap();
    assert_eq!((answer.text(), &*answer.interim), ("at last", &[103][..]));
}

#[test]
fn a_body_that_waits_to_be_asked_for_is_asked_for() {
    for origin_says in ["HTTP/1.1 100 Continue\r\n\r\n", ""] {
        let World { mut client, proxy: _proxy, origin } = world("", "");
        let mut asked = client.begin(ask("PUT", "/").header("expect", "100-continue").header("content-length", "2"));
        let mut conversation = origin.accept();
        assert_eq!(conversation.head().field("expect"), Some("100-continue"));
        conversation.say(origin_says);
        let early = client.wait(std::future::poll_fn(|cx| asked.response.poll_informational(cx))).unwrap().unwrap();
        assert_eq!(early.status().as_u16(), 100);
        asked.stream.send_data(Bytes::from("ok"), true).unwrap();
        assert_eq!(conversation.wire.bytes(2), b"ok");
        conversation.answer("fine");
        assert_eq!(client.answer(asked).unwrap().text(), "fine");
    }
}

#[test]
fn an_answer_that_breaks_off_is_a_reset_and_told() {
    let World { mut client, mut proxy, origin } = world("", "");
    let asked = client.get(ask("GET", "/"));
    let mut conversation = origin.accept();
    conversation.request();
    conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    drop(conversation);
    assert_eq!(reset_code(client.answer(asked)), Some(Reason::INTERNAL_ERROR));
    assert_eq!(proxy.line("upstream_failure")["fault"], "response_truncated");
    // The connection goes on.
    let asked = client.get(ask("GET", "/"));
    origin.accept().answer_after_request("again");
    assert_eq!(client.answer(asked).unwrap().text(), "again");
}

impl Conversation {
    fn answer_after_request(&mut self, body: &str) {
        self.request();
        self.answer(body);
    }
}

#[test]
fn a_failure_is_explained_as_ever() {
    let proxy = Proxy::run(&in_front_of(&["http://127.0.0.1:1"], "", ""));
    let mut client = Polite::connect(proxy.address());
    let asked = client.get(ask("GET", "/").header("accept", "application/problem+json"));
    let answer = client.answer(asked).unwrap();
    assert_eq!((answer.status, answer.field("content-type")), (502, Some("application/problem+json")));
    assert_eq!(answer.field("proxy-status"), Some("why502; error=connection_refused"));

    // gRPC wants a head that is all there is.
    let asked = client.begin(ask("POST", "/t.S/M").header("content-type", "application/grpc").header("te", "trailers"));
    let answer = client.answer(asked).unwrap();
    assert_eq!((answer.status, answer.field("grpc-status"), answer.body.len()), (200, Some("14"), 0));
    assert_eq!(answer.field("content-type"), Some("application/grpc"));
    assert!(answer.field("grpc-message").is_some() && answer.trailers.is_empty());
}

#[test]
fn what_is_the_clients_doing_is_answered_or_reset_and_never_the_origins_fault() {
    let World { mut client, proxy, origin } = world("", "");
    for (request, status) in [
        (ask("GET", "/").header("host", "other.example"), 400),
        (ask("GET", "/").header("content-length", "9223372036854775808"), 400),
        (ask("GET", "/").header("expect", "x"), 417),
        (Request::builder().method("CONNECT").uri("shop.example:443"), 405),
        (ask("CONNECT", "/").extension(Protocol::from_static("connect-udp")), 501),
        (ask("GET", "/").header("x", "y".repeat(70_000)), 431),
        (ask("GET", &format!("/{}", "x".repeat(65_000))).header("x", "y".repeat(1000)), 431),
    ] {
        let asked = client.begin(request);
        assert_eq!(client.answer(asked).unwrap().status, status);
    }
    // Lengths that do not hold.
    let mut asked = client.begin(ask("POST", "/").header("content-length", "2"));
    asked.stream.send_data(Bytes::from("too long"), true).unwrap();
    assert_eq!(reset_code(client.answer(asked)), Some(Reason::PROTOCOL_ERROR));
    let mut asked = client.begin(ask("POST", "/").header("content-length", "20"));
    asked.stream.send_data(Bytes::from("too short"), true).unwrap();
    assert_eq!(reset_code(client.answer(asked)), Some(Reason::PROTOCOL_ERROR));
    drop(origin);
    let log = proxy.stop().1;
    assert!(!log.iter().any(|line| line["event"] == "upstream_failure"), "{log:#?}");
}

#[test]
fn a_request_that_is_taken_back_is_taken_back_from_the_origin() {
    let World { mut client, mut proxy, origin } = world("", "");
    let mut asked = client.get(ask("GET", "/"));
    let mut conversation = origin.accept();
    conversation.request();
    asked.stream.send_reset(Reason::CANCEL);
    assert!(conversation.is_closed());
    let line = proxy.line("request");
    assert_eq!((&line["status"], &line["aborted"]), (&499.into(), &true.into()));

    // And so is one whose answer has begun, or whose client is gone.
    let mut asked = client.get(ask("GET", "/"));
    let mut conversation = origin.accept();
    conversation.request();
    conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    client.wait(&mut asked.response).unwrap();
    drop(client);
    assert!(conversation.is_closed());
    assert_eq!(proxy.line("request")["aborted"], true);
}

#[test]
fn a_body_that_is_too_slow_is_answered_and_other_requests_go_on() {
    let World { mut client, mut proxy, origin } = world("", "[limits]\nbody_timeout = \"300ms\"");
    let asked = client.begin(ask("POST", "/").header("content-length", "10"));
    let mut conversation = origin.accept();
    conversation.head();
    assert_eq!(client.answer(asked).unwrap().status, 408);
    assert!(conversation.is_closed());
    assert_eq!(proxy.line("request")["status"], 408);
    let asked = client.get(ask("GET", "/"));
    origin.accept().answer_after_request("fine");
    assert_eq!(client.answer(asked).unwrap().text(), "fine");
}

#[test]
fn a_body_that_is_too_large_is_a_413() {
    let World { mut client, proxy: _proxy, origin } = world("", "[limits]\nrequest_body_bytes = \"1KiB\"");
    let asked = client.begin(ask("POST", "/").header("content-length", "1025"));
    assert_eq!(client.answer(asked).unwrap().status, 413);
    assert!(origin.is_left_alone());
    let mut asked = client.begin(ask("POST", "/"));
    asked.stream.send_data(Bytes::from(vec![b'x'; 1025]), false).unwrap();
    assert_eq!(client.answer(asked).unwrap().status, 413);
}

#[test]
fn whoever_reads_one_answer_slowly_holds_up_no_other_and_fills_no_memory() {
    let World { mut client, proxy, origin } = world("", "");
    let before = proxy.peak_memory();
    let asked = client.get(ask("GET", "/large"));
    let mut conversation = origin.accept();
    conversation.request();
    conversation.say("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    let (head, body) = client.wait(asked.response).unwrap().into_parts();
    assert_eq!(head.status, 200);
    // Nobody opens the window again.
    let taken = conversation.wire.send_until_stuck(&vec![0; 50_000_000]);
    assert!(taken < 20_000_000, "{taken}, most of it in the kernel");
    for _ in 0..3 {
        let asked = client.get(ask("GET", "/small"));
        origin.accept().answer_and_close_after_request("small");
        assert_eq!(client.answer(asked).unwrap().text(), "small");
    }
    let grown = proxy.peak_memory() - before;
    assert!(grown < 8 << 20, "{grown} bytes");
    drop((body, asked.stream));
    assert!(conversation.is_closed());
}

#[test]
fn open_windows_that_nobody_reads_fill_little_memory_and_hold_nothing_up() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", "[runtime]\nworkers = 1"));
    let mut client = Framed::connect(proxy.address());
    // Only what fits into the sockets is taken; both windows have room for all.
    client.say(SETTINGS, 0, 0, &[&[0, 4][..], &(1_u32 << 30).to_be_bytes()].concat());
    client.say(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes());
    let before = proxy.peak_memory();
    let body = vec![b'x'; 1 << 20];
    let conversations: Vec<_> = (0..60)
        .map(|number| {
            client.get(2 * number + 1);
            let mut conversation = origin.accept();
            conversation.request();
            conversation
        })
        .collect();
    thread::scope(|scope| {
        let stuck: Vec<_> = conversations
            .into_iter()
            .map(|mut conversation| {
                let body = &body;
                scope.spawn(move || {
                    conversation.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
                    let sent = conversation.wire.send_until_stuck(body);
                    (conversation, sent)
                })
            })
            .collect();
        let stuck: Vec<_> = stuck.into_iter().map(|sent| sent.join().unwrap()).collect();
        let grown = proxy.peak_memory() - before;
        assert!(grown < 24 << 20, "{grown} bytes for {} answers", stuck.len());
        for (mut conversation, sent) in stuck {
            let body = &body;
            scope.spawn(move || conversation.say(&body[sent..]));
        }
        // Whoever reads gets all of them.
        let mut left = 60;
        let mut got = 0;
        while left > 0 {
            let frame = client.next(DATA);
            got += frame.payload.len();
            left -= usize::from(frame.flags & END_STREAM);
        }
        assert_eq!(got, 60 << 20);
    });
}

impl Conversation {
    fn answer_and_close_after_request(mut self, body: &str) {
        self.request();
        self.answer_and_close(body);
    }
}

#[test]
fn an_upload_that_an_origin_does_not_read_stops_at_the_window_and_others_go_on() {
    let World { mut client, proxy, origin } = world("", "");
    let before = proxy.peak_memory();
    let mut asked = client.begin(ask("POST", "/stuck"));
    let mut conversation = origin.accept();
    conversation.head();
    let sent = client.wait(async {
        let mut sent = 0;
        loop {
            asked.stream.reserve_capacity(1 << 16);
            let room = std::future::poll_fn(|cx| asked.stream.poll_capacity(cx));
            let Ok(Some(Ok(room))) = tokio::time::timeout(Duration::from_millis(300), room).await else { break sent };
            asked.stream.send_data(Bytes::from(vec![0; room]), false).unwrap();
            sent += room;
        }
    });
    assert!((256 << 10..20 << 20).contains(&sent), "{sent}, most of it in the kernel");
    let asked = client.get(ask("GET", "/small"));
    origin.accept().answer_after_request("small");
    assert_eq!(client.answer(asked).unwrap().text(), "small");
    assert!(proxy.peak_memory() - before < 8 << 20);
}

#[test]
fn a_window_that_stays_shut_ends_the_stream() {
    let origin = Origin::listen();
    let proxy = Proxy::run(&in_front_of(&[&origin.url], "", "[limits]\nbody_timeout = \"300ms\""));
    origin.greet("hello");
    let mut client = Polite::with(proxy.address(), client::Builder::new().initial_window_size(3));
    let asked = client.get(ask("GET", "/"));
    let (_, mut body) = client.wait(asked.response).unwrap().into_parts();
    assert_eq!(client.wait(body.data()).unwrap().unwrap(), "hel");
    assert_eq!(client.wait(body.data()).unwrap().unwrap_err().reason(), Some(Reason::CANCEL));
}

/// What a client of HTTP/2 asks for a WebSocket with (RFC 8441).
fn websocket() -> http::request::Builder {
    ask("CONNECT", "/chat").extension(Protocol::from_static("websocket")).header("sec-websocket-version", "13")
}

/// What a server proves to this key.
fn proof(key: &str) -> String {
    use base64::Engine;
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(digest)
}

#[test]
fn a_websocket_is_an_upgrade_at_the_origin_and_a_stream_at_the_client() {
    let World { mut client, mut proxy, origin } = world("", "");
    client.settle();
    let mut asked = client.begin(websocket().header("sec-websocket-protocol", "chat"));
    let mut conversation = origin.accept();
    let request = conversation.head();
    assert_eq!(request.line, "GET /chat HTTP/1.1");
    assert_eq!((request.field("connection"), request.field("upgrade")), (Some("upgrade"), Some("websocket")));
    assert_eq!((request.field("host"), request.field("transfer-encoding")), (Some("shop.example"), None));
    let accept = proof(request.field("sec-websocket-key").unwrap());
    conversation.say(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: chat\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\nearly"
    ));
    let (head, mut body) = client.wait(asked.response).unwrap().into_parts();
    assert_eq!((head.status.as_u16(), head.headers["sec-websocket-protocol"].as_bytes()), (200, &b"chat"[..]));
    assert!(["upgrade", "connection", "sec-websocket-accept"].iter().all(|name| !head.headers.contains_key(*name)));
    assert_eq!(client.wait(body.data()).unwrap().unwrap(), "early");
    asked.stream.send_data(Bytes::from_static(&[0, 255]), false).unwrap();
    assert_eq!(conversation.wire.bytes(2), [0, 255]);
    conversation.say("back");
    assert_eq!(client.wait(body.data()).unwrap().unwrap(), "back");
    // One side ends; the other may go on.
    asked.stream.send_data(Bytes::new(), true).unwrap();
    assert!(conversation.is_closed());
    conversation.say("the last word");
    drop(conversation);
    let mut rest = Vec::new();
    while let Some(data) = client.wait(body.data()) {
        rest.extend(data.unwrap());
    }
    assert_eq!(rest, b"the last word");
    let line = proxy.line("request");
    assert_eq!((&line["status"], &line["bytes_sent"], &line["path"]), (&200.into(), &22.into(), &"/chat".into()));
}

#[test]
fn a_websocket_that_is_refused_or_proves_nothing_is_an_answer() {
    let World { mut client, mut proxy, origin } = world("", "");
    client.settle();
    let asked = client.begin(websocket());
    let mut conversation = origin.accept();
    conversation.head();
    conversation.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    let answer = client.answer(asked).unwrap();
    assert_eq!((answer.status, answer.text()), (403, "no"));

    let asked = client.begin(websocket());
    let mut conversation = origin.accept();
    conversation.head();
    conversation.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.answer(asked).unwrap().status, 502);
    assert_eq!(proxy.line("upstream_failure")["fault"], "upgrade_failed");
}

#[test]
fn a_reset_on_one_side_of_a_websocket_is_one_on_the_other_and_silence_has_a_limit() {
    let World { mut client, proxy: _proxy, origin } = world("timeouts.tunnel = \"1s\"", "");
    client.settle();
    let open = |client: &mut Polite| {
        let asked = client.begin(websocket());
        let mut conversation = origin.accept();
        let accept = proof(conversation.head().field("sec-websocket-key").unwrap());
        conversation.say(format!(
            "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        ));
        let body = client.wait(asked.response).unwrap().into_body();
        (body, asked.stream, conversation)
    };
    let (mut body, _stream, conversation) = open(&mut client);
    conversation.wire.reset();
    assert_eq!(client.wait(body.data()).unwrap().unwrap_err().reason(), Some(Reason::CANCEL));

    let (_body, mut stream, mut conversation) = open(&mut client);
    stream.send_reset(Reason::CANCEL);
    assert!(conversation.is_closed());

    let (mut body, _stream, mut conversation) = open(&mut client);
    assert_eq!(client.wait(body.data()).unwrap().unwrap_err().reason(), Some(Reason::CANCEL));
    assert!(conversation.is_closed());
}

/// Says back the pseudo-fields, the body, and the trailers.
async fn echo(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let (parts, mut body) = request.into_parts();
    let Ok(mut stream) = respond.send_response(Response::new(()), false) else { return };
    stream.send_data(Bytes::from(format!("{} {}\n", parts.method, parts.uri)), false).ok();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).ok();
        stream.send_data(data, false).ok();
    }
    let trailers = body.trailers().await.ok().flatten().unwrap_or_default();
    stream.send_trailers(trailers).ok();
}

#[test]
fn both_ways_of_an_exchange_go_on_at_once_from_http_2_to_http_2() {
    let origin = Served::serve(None, 100, echo);
    {
        let proxy = Proxy::run(&in_front_of(&[&origin.url()], "protocol = \"h2\"", "[runtime]\nworkers = 1"));
        let mut client = Polite::connect(proxy.address());
        let mut asked = client.begin(ask("POST", "/t.S/Bidi").header("te", "trailers"));
        let mut body = client.wait(asked.response).unwrap().into_body();
        assert_eq!(client.wait(body.data()).unwrap().unwrap(), "POST http://shop.example/t.S/Bidi\n");
        for word in ["one", "two", "three"] {
            asked.stream.send_data(Bytes::from(word), false).unwrap();
            assert_eq!(client.wait(body.data()).unwrap().unwrap(), word);
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        asked.stream.send_trailers(trailers.clone()).unwrap();
        assert!(client.wait(body.data()).is_none());
        assert_eq!(client.wait(body.trailers()).unwrap(), Some(trailers));
    }
}

#[test]
fn who_is_told_to_go_is_answered_first() {
    let World { mut client, mut proxy, origin } = world("", "");
    let asked = client.get(ask("GET", "/"));
    let mut conversation = origin.accept();
    conversation.request();
    proxy.signal("TERM");
    eventually("the end of the listener", || TcpStream::connect(proxy.address()).is_err().then_some(()));
    assert!(client.is_told_to_go());
    conversation.answer("done");
    assert_eq!(client.answer(asked).unwrap().text(), "done");
    assert_eq!(proxy.line("request")["status"], 200);
    assert_eq!(proxy.ended().0.status, Some(0));
}

#[test]
fn who_is_idle_is_told_to_go_when_its_time_or_the_programs_is_over() {
    let (mut client, proxy) = greeted("");
    let asked = client.get(ask("GET", "/"));
    client.answer(asked).unwrap();
    // A client that does not answer a PING is let go all the same.
    let mut deaf = Framed::connect(proxy.address());
    deaf.get(1);
    assert_eq!(deaf.next(DATA).payload, b"hello");
    assert_eq!(proxy.stop().0.status, Some(0));
    assert!(client.is_told_to_go());
    assert_eq!(deaf.next(GOAWAY).payload, [127, 255, 255, 255, 0, 0, 0, 0]);
    assert_eq!(deaf.next(GOAWAY).payload, [0, 0, 0, 1, 0, 0, 0, 0], "which requests were taken, to the end");

    let (_, proxy) = greeted("[limits]\nidle_timeout = \"300ms\"");
    let mut idle = Framed::connect(proxy.address());
    idle.get(1);
    assert_eq!(idle.next(DATA).payload, b"hello");
    assert_eq!(idle.next(GOAWAY).payload[4..8], [0; 4]);
    while idle.try_next(GOAWAY).is_some() {}
}

#[test]
fn a_greeting_or_a_head_that_comes_too_slowly_ends_the_connection() {
    let (_, proxy) = greeted("[limits]\nheader_timeout = \"300ms\"");
    let mut silent = Wire::to(proxy.address()).unwrap();
    silent.send(PREFACE);
    silent.until_closed(&mut Vec::new());
    let mut slow = Framed::connect(proxy.address());
    slow.say(HEADERS, 0, 1, b"");
    assert_eq!(slow.next(GOAWAY).payload[4..8], [0, 0, 0, 11]);
    assert!(slow.try_next(DATA).is_none());
}

#[test]
fn what_is_left_of_an_upload_is_not_wanted_when_the_answer_is_whole() {
    let World { mut client, proxy: _proxy, origin } = world("", "");
    let mut asked = client.begin(ask("POST", "/"));
    asked.stream.send_data(Bytes::from("begin"), false).unwrap();
    let mut conversation = origin.accept();
    conversation.head();
    conversation.say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    let (head, mut body) = client.wait(asked.response).unwrap().into_parts();
    assert_eq!((head.status.as_u16(), client.wait(body.data()).unwrap().unwrap()), (401, Bytes::from("no")));
    let reset = client.wait(std::future::poll_fn(|cx| asked.stream.poll_reset(cx))).unwrap();
    assert_eq!(reset, Reason::NO_ERROR);
}

/// What this command says, run against the proxy.
fn say(proxy: &Proxy, command: &[&str], path: &str) -> String {
    let url = format!("http://{}{path}", proxy.address());
    let output = Command::new(command[0]).args(&command[1..]).arg(url).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn other_peoples_clients_are_served() {
    let World { proxy, origin, .. } = world("", "");
    origin.serve(|request, conversation| conversation.answer(&format!("{} bytes\n", request.body.len())));
    let directory = proxy.directory().join("upload");
    std::fs::write(&directory, vec![b'x'; 1_000_000]).unwrap();
    let file = directory.to_string_lossy().into_owned();
    if can("curl over HTTP/2", Needs::Program("curl")) {
        let format = "%{http_version} %{http_code}";
        let said = say(&proxy, &["curl", "-s", "--http2-prior-knowledge", "-T", &file, "-w", format], "/up");
        assert_eq!(said, "1000000 bytes\n2 200");
    }
    if can("nghttp", Needs::Program("nghttp")) {
        let said = say(&proxy, &["nghttp", "-d", &file, "--trailer", "x-t: 1"], "/up");
        assert_eq!(said, "1000000 bytes\n");
    }
    if can("h2load", Needs::Program("h2load")) {
        let said = say(&proxy, &["h2load", "-n", "500", "-c", "2", "-m", "20"], "/");
        assert!(said.contains("500 succeeded, 0 failed"), "{said}");
    }
}
