//! HTTP/2 towards origins: what arrives there, what comes back, and what is said when it goes wrong.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;
use http::Response;
use tokio::sync::Notify;

use why502::demo::origin::Authority;
use why502::demo::origin::Credentials;
use why502::demo::origin::PrivateDirectory;
use why502::demo::origin::SERVER_NAME;

use super::support::client::Client;
use super::support::client::get;
use super::support::h2::ACK;
use super::support::h2::DATA;
use super::support::h2::END_HEADERS;
use super::support::h2::END_STREAM;
use super::support::h2::Framed;
use super::support::h2::HEADERS;
use super::support::h2::PING;
use super::support::h2::RST_STREAM;
use super::support::h2::STATUS_200;
use super::support::h2::Served;
use super::support::h2::WINDOW_UPDATE;
use super::support::origin::Origin;
use super::support::origin::work;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

const H2: &str = "protocol = \"h2\"";

/// A proxy that speaks HTTP/2 to this server, on one core.
fn before(url: &str, upstream: &str) -> Proxy {
    Proxy::run(&in_front_of(&[url], &format!("{H2}\n{upstream}"), "[runtime]\nworkers = 1"))
}

/// Says back what it got: the pseudo-fields and fields, the body, and the trailers as trailers.
async fn echo(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let (parts, mut body) = request.into_parts();
    let mut said = format!("{} {}\n", parts.method, parts.uri);
    let mut fields: Vec<String> =
        parts.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap())).collect();
    fields.sort();
    said.extend(fields);
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        said.push_str(std::str::from_utf8(&data).unwrap());
    }
    let trailers = body.trailers().await.unwrap();
    let response = Response::builder().header("x-origin", "h2").header("trailer", "x-sum").body(()).unwrap();
    let mut stream = respond.send_response(response, false).unwrap();
    stream.send_data(Bytes::from(said), trailers.is_none()).unwrap();
    if let Some(trailers) = trailers {
        stream.send_trailers(trailers).unwrap();
    }
}

#[test]
fn a_request_arrives_as_http_2_has_it_and_the_answer_comes_back() {
    let origin = Served::serve(None, 100, echo);
    let proxy = before(&origin.url(), "");
    let mut client = Client::connect(proxy.address());
    client.send(
        "POST /a%2Fb?x=1 HTTP/1.1\r\nHost: shop.example\r\nConnection: te, x-hop\r\nX-Hop: 1\r\nTE: trailers\r\n\
         Keep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\nCookie: a=1; b=2\r\n\r\n\
         5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n",
    );
    let answer = client.answer();
    assert_eq!((answer.head.status, answer.field("x-origin")), (200, Some("h2")));
    assert!(answer.field("via").unwrap().starts_with("2 why502-"), "{answer:?}");
    let lines: Vec<&str> = answer.text().lines().collect();
    assert_eq!(lines[0], "POST http://shop.example/a%2Fb?x=1");
    assert!(lines.contains(&"te: trailers") && lines.contains(&"cookie: a=1; b=2"), "{lines:?}");
    assert_eq!(lines.last(), Some(&"hello"));
    let of_connection = ["connection:", "host:", "transfer-encoding:", "keep-alive:", "x-hop:"];
    assert!(!lines.iter().any(|line| of_connection.iter().any(|field| line.starts_with(field))), "{lines:?}");
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "7".to_owned())]);
}

/// Answers once so many requests are there.
fn together(most: usize) -> impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> Answering + Clone + Send + 'static {
    let (there, all) = (Arc::<AtomicUsize>::default(), Arc::<Notify>::default());
    move |request: Request<RecvStream>, mut respond| {
        let (there, all) = (Arc::clone(&there), Arc::clone(&all));
        Box::pin(async move {
            let waiting = all.notified();
            if there.fetch_add(1, Ordering::SeqCst) + 1 == most {
                all.notify_waiters();
            } else {
                waiting.await;
            }
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from(request.uri().path().to_owned()), true).unwrap();
        })
    }
}

type Answering = std::pin::Pin<Box<dyn Future<Output = ()>>>;

fn ask_at_once(proxy: &Proxy, count: usize) -> Vec<Client> {
    let ask = |number| {
        let mut client = Client::connect(proxy.address());
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
        client
    };
    (0..count).map(ask).collect()
}

fn each_has_its_own(clients: Vec<Client>) {
    for (number, mut client) in clients.into_iter().enumerate() {
        assert_eq!(client.answer().text(), format!("/{number}"));
    }
}

#[test]
fn a_hundred_requests_at_once_share_one_connection() {
    let origin = Served::serve(None, 250, together(100));
    let proxy = before(&origin.url(), "");
    each_has_its_own(ask_at_once(&proxy, 100));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn another_connection_is_opened_where_the_first_has_as_many_streams_as_it_may() {
    let origin = Served::serve(None, 2, together(7));
    let proxy = before(&origin.url(), "");
    each_has_its_own(ask_at_once(&proxy, 7));
    assert_eq!(origin.connections(), 4);
}

#[test]
fn a_large_body_passes_both_ways_at_the_pace_of_the_slower_side() {
    let origin =
        Served::serve(None, 100, |request: Request<RecvStream>, mut respond: SendResponse<Bytes>| async move {
            let mut body = request.into_body();
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                stream.send_data(data, false).unwrap();
            }
            stream.send_data(Bytes::new(), true).unwrap();
        });
    let proxy = before(&origin.url(), "");
    let mut client = Client::connect(proxy.address());
    let piece = vec![b'x'; 64 * 1024];
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 64 * piece.len()));
    let mut writer = client.wire.second();
    let sending = std::thread::spawn(move || (0..64).for_each(|_| writer.send(&piece)));
    let answer = client.answer();
    sending.join().unwrap();
    assert_eq!((answer.head.status, answer.body.len()), (200, 64 * 64 * 1024));
}

/// The first request on a connection that is played by hand.
fn played(upstream: &str, request: &str) -> (Proxy, Client, Origin, Framed) {
    let origin = Origin::listen();
    let proxy = before(&origin.url, upstream);
    let mut client = Client::connect(proxy.address());
    client.send(request);
    let framed = Framed::greet(origin.accept(), &[]);
    (proxy, client, origin, framed)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn each_way_of_ending_a_stream_or_a_connection_is_told_for_what_it_is() {
    type Play = fn(&mut Framed, u32);
    let table: [(Play, &str, &str, &str); 9] = [
        (|origin, id| origin.reset(id, 7), "h2_stream_refused", "overload", "RST_STREAM with REFUSED_STREAM (7)"),
        (|origin, id| origin.reset(id, 2), "h2_stream_reset", "application", "RST_STREAM with INTERNAL_ERROR (2)"),
        (|origin, id| origin.reset(id, 13), "h2_stream_reset", "faulty_proxy", "HTTP_1_1_REQUIRED (13)"),
        (|origin, _| origin.goaway(0, 0, b""), "h2_stream_refused", "origin_down", "GOAWAY with NO_ERROR (0)"),
        (
            |origin, _| origin.goaway(0, 11, b"too\nmany"),
            "h2_connection_error",
            "overload",
            "GOAWAY with ENHANCE_YOUR_CALM (11) and 0 as the last stream, saying 'too many'",
        ),
        // What it had begun may still have been answered, until it closes.
        (
            |origin, id| {
                origin.goaway(id, 2, b"");
                origin.0.half_close();
            },
            "h2_connection_error",
            "application",
            "GOAWAY with INTERNAL_ERROR (2)",
        ),
        (|origin, _| origin.say(DATA, 0, 0, b"?"), "h2_connection_error", "faulty_proxy", "PROTOCOL_ERROR (1)"),
        // A field of the connection.
        (
            |origin, id| origin.say(HEADERS, END_HEADERS, id, b"\x88\x00\x0aconnection\x01x"),
            "response_malformed",
            "application",
            "PROTOCOL_ERROR (1)",
        ),
        (|origin, _| origin.0.half_close(), "closed_before_response", "", "without an answer"),
    ];
    for (play, fault, cause, says) in table {
        let (mut proxy, mut client, _origin, mut framed) =
            played("retry.attempts = 1\ntimeouts.response = \"1s\"", POST);
        let id = framed.request();
        framed.next(DATA);
        play(&mut framed, id);
        let answer = client.answer();
        assert_eq!(answer.head.status, 502, "{fault}");
        let line = proxy.line("upstream_failure");
        assert_eq!(line["fault"], fault, "{line:#}");
        assert!(line["detail"].as_str().unwrap().contains(says), "{says}: {line:#}");
        assert!(cause.is_empty() || line["cause"] == cause, "{line:#}");
    }
}

#[test]
fn a_stream_that_was_not_processed_goes_out_again_whatever_its_method() {
    // The method and body; how the stream is refused; whether it comes again.
    type Refusing = fn(&mut Framed, u32);
    let refused: Refusing = |origin, id| origin.reset(id, 7);
    let too_late: Refusing = |origin, _| origin.goaway(0, 0, b"");
    let reset: Refusing = |origin, id| origin.reset(id, 2);
    let late_for_error: Refusing = |origin, _| origin.goaway(0, 11, b"");
    let processed: Refusing = |origin, id| {
        origin.goaway(id, 11, b"");
        origin.0.half_close();
    };
    let empty_post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    // The body is waited for, and nothing of it was taken yet.
    let expecting = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let table = [
        (GET, refused, true),
        (empty_post, refused, true),
        (expecting, refused, true),
        (POST, refused, false),
        (GET, too_late, true),
        (empty_post, too_late, true),
        (empty_post, late_for_error, true),
        (empty_post, processed, false),
        (empty_post, reset, false),
        (GET, reset, false),
    ];
    for (number, (request, refuse, again)) in table.into_iter().enumerate() {
        let (mut proxy, mut client, origin, mut framed) = played("", request);
        let id = framed.request();
        if request == POST {
            framed.next(DATA);
        }
        refuse(&mut framed, id);
        if again {
            let mut fresh =
                if refuse as usize == refused as usize { framed } else { Framed::greet(origin.accept(), &[]) };
            let id = fresh.request();
            fresh.answer(id, b"again");
            if request == expecting {
                client.send("hello");
            }
            assert_eq!(client.answer().text(), "again", "row {number}");
            assert_eq!(proxy.line("upstream_failure")["retried"], true, "row {number}");
        } else {
            assert_eq!(client.answer().head.status, 502, "row {number}");
            assert_eq!(proxy.line("upstream_failure")["retried"], false, "row {number}");
        }
    }
}

#[test]
fn after_goaway_what_is_in_flight_ends_and_what_comes_goes_elsewhere() {
    let (proxy, mut first, origin, mut framed) = played("", GET);
    let id = framed.request();
    framed.goaway(id, 0, b"");
    // The goaway has been read once what follows it is.
    framed.say(PING, 0, 0, b"12345678");
    assert_eq!(framed.next(PING).flags, ACK);
    let mut second = Client::connect(proxy.address());
    second.send(GET);
    let mut fresh = Framed::greet(origin.accept(), &[]);
    let other = fresh.request();
    fresh.answer(other, b"second");
    assert_eq!(second.answer().text(), "second");
    framed.answer(id, b"first");
    assert_eq!(first.answer().text(), "first");
    assert!(framed_is_closed(framed), "what has nothing left to do is closed");
}

/// Whether the proxy closes the connection, whatever it says before.
fn framed_is_closed(mut framed: Framed) -> bool {
    framed.0.until_closed(&mut Vec::new()).is_some()
}

#[test]
fn a_client_that_leaves_resets_its_stream_and_nothing_else() {
    let (proxy, first, _origin, mut framed) = played("", GET);
    let left = framed.request();
    let mut second = Client::connect(proxy.address());
    second.send(GET);
    let stays = framed.request();
    drop(first);
    let reset = framed.next(RST_STREAM);
    assert_eq!((reset.stream, reset.payload), (left, 8_u32.to_be_bytes().to_vec()));
    framed.answer(stays, b"still here");
    assert_eq!(second.answer().text(), "still here");

    // In the middle of an upload.
    let (_proxy, mut client, _origin, mut framed) =
        played("", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n");
    let id = framed.request();
    client.send(vec![b'x'; 200_000]);
    framed.next(DATA);
    framed.say(HEADERS, END_HEADERS, id, STATUS_200);
    assert_eq!(client.head().status, 200);
    drop(client);
    // The server can take more, and there is no more.
    framed.say(WINDOW_UPDATE, 0, 0, &1_000_000_u32.to_be_bytes());
    framed.say(WINDOW_UPDATE, 0, id, &1_000_000_u32.to_be_bytes());
    let reset = framed.next(RST_STREAM);
    assert_eq!((reset.stream, reset.payload), (id, 8_u32.to_be_bytes().to_vec()));
}

#[test]
fn an_answer_that_comes_early_reaches_a_client_that_still_sends() {
    let (_proxy, mut client, _origin, mut framed) =
        played("", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    let id = framed.request();
    framed.say(HEADERS, END_HEADERS, id, STATUS_200);
    assert_eq!(client.head().status, 200);
    client.send("world");
    let mut body = Vec::new();
    while body.len() < 10 {
        body.extend(framed.next(DATA).payload);
    }
    assert_eq!(body, b"helloworld");
    framed.say(DATA, END_STREAM, id, b"done");
    assert_eq!(client.wire.bytes(14), b"4\r\ndone\r\n0\r\n\r\n");
}

#[test]
fn a_server_that_has_answered_may_do_without_the_rest_of_the_request() {
    let (mut proxy, mut client, _origin, mut framed) =
        played("", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    let id = framed.request();
    framed.next(DATA);
    framed.say(HEADERS, END_HEADERS, id, STATUS_200);
    framed.say(DATA, END_STREAM, id, b"enough");
    framed.reset(id, 0);
    assert_eq!(client.answer().text(), "enough");
    let lines = proxy.lines_of_a_request();
    assert!(!lines.iter().any(|line| line["event"] == "upstream_failure"), "it is no failure: {lines:#?}");
}

#[test]
fn the_limits_hold_for_each_stream() {
    // A window that never opens.
    let origin = Origin::listen();
    let mut proxy = before(&origin.url, "retry.attempts = 1\ntimeouts.send = \"300ms\"");
    let mut client = Client::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n");
    client.send(vec![b'x'; 70_000]);
    let mut framed = Framed::greet(origin.accept(), &[]);
    framed.request();
    assert_eq!(client.answer().head.status, 502);
    assert_eq!(proxy.line("upstream_failure")["fault"], "request_send_timed_out");

    // A head that never comes, while another stream of the connection goes on.
    let (mut proxy, mut slow, _origin, mut framed) = played("retry.attempts = 1\ntimeouts.response = \"500ms\"", GET);
    let never = framed.request();
    let mut other = Client::connect(proxy.address());
    other.send(GET);
    let id = framed.request();
    framed.answer(id, b"other");
    assert_eq!(other.answer().text(), "other");
    assert_eq!(slow.answer().head.status, 502);
    assert_eq!(proxy.line("upstream_failure")["fault"], "response_timed_out");
    assert_eq!(framed.next(RST_STREAM).stream, never);

    // A body that stops.
    let (mut proxy, mut client, _origin, mut framed) = played("timeouts.body = \"300ms\"", GET);
    let id = framed.request();
    framed.say(HEADERS, END_HEADERS, id, STATUS_200);
    framed.say(DATA, 0, id, b"some");
    assert_eq!(client.head().status, 200);
    assert_eq!(proxy.line("upstream_failure")["fault"], "response_body_timed_out");
    assert_eq!(framed.next(RST_STREAM).stream, id);
}

#[test]
fn a_body_that_is_reset_or_cut_is_cut_for_the_client_too() {
    type Cut = fn(&mut Framed, u32);
    let table: [(Cut, &str); 2] = [
        (|origin, id| origin.reset(id, 2), "h2_stream_reset"),
        (|origin, _| origin.0.half_close(), "response_truncated"),
    ];
    for (cut, fault) in table {
        let (mut proxy, mut client, _origin, mut framed) = played("", GET);
        let id = framed.request();
        framed.say(HEADERS, END_HEADERS, id, STATUS_200);
        framed.say(DATA, 0, id, b"some");
        assert_eq!(client.head().status, 200);
        assert_eq!(client.wire.bytes(9), b"4\r\nsome\r\n");
        cut(&mut framed, id);
        assert!(client.is_closed());
        let line = proxy.line("upstream_failure");
        assert_eq!((&line["fault"], &line["bytes_sent"]), (&fault.into(), &4.into()), "{line:#}");
    }
}

/// Says frames of a stream in one piece.
fn say_at_once(framed: &mut Framed, id: u32, frames: &[(u8, u8, &[u8])]) {
    let mut piece = Vec::new();
    for (kind, flags, payload) in frames {
        piece.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes()[1..]);
        piece.extend_from_slice(&[*kind, *flags]);
        piece.extend_from_slice(&id.to_be_bytes());
        piece.extend_from_slice(payload);
    }
    framed.0.send(piece);
}

#[test]
fn an_answer_that_breaks_off_as_it_comes_is_a_failure_and_one_that_has_begun_is_cut_behind_all_of_it() {
    const RESET: &[u8] = &2_u32.to_be_bytes();
    let (mut proxy, mut client, _origin, mut framed) = played("retry.attempts = 1", GET);
    let id = framed.request();
    let half = [b'x'; 16_000];
    say_at_once(
        &mut framed,
        id,
        &[(HEADERS, END_HEADERS, STATUS_200), (DATA, 0, &half), (DATA, 0, &half), (RST_STREAM, 0, RESET)],
    );
    assert_eq!(client.answer().head.status, 502);
    assert_eq!(proxy.line("upstream_failure")["fault"], "h2_stream_reset");

    client.send(GET);
    let id = framed.request();
    framed.say(HEADERS, END_HEADERS, id, STATUS_200);
    assert_eq!(client.head().status, 200);
    say_at_once(&mut framed, id, &[(DATA, 0, b"some"), (DATA, 0, b"more"), (RST_STREAM, 0, RESET)]);
    assert_eq!(client.wire.bytes(18), b"4\r\nsome\r\n4\r\nmore\r\n");
    assert!(client.is_closed());
    let lines = proxy.stop().1;
    let cut = lines.iter().rfind(|line| line["event"] == "upstream_failure").unwrap();
    assert_eq!(cut["bytes_sent"], 8, "{cut:#}");
    assert!(lines.iter().any(|line| line["event"] == "request" && line["aborted"] == true), "{lines:#?}");
}

#[test]
fn early_hints_go_on_that_come_together_with_the_answer() {
    let (_proxy, mut client, _origin, mut framed) = played("", GET);
    let id = framed.request();
    // `:status: 103`, as a literal of the field with index 8.
    let early = (HEADERS, END_HEADERS, &b"\x08\x03103"[..]);
    say_at_once(&mut framed, id, &[early, (HEADERS, END_HEADERS, STATUS_200), (DATA, END_STREAM, b"hi")]);
    assert_eq!(client.head().status, 103);
    assert_eq!(client.answer().text(), "hi");
}

#[test]
fn a_head_beyond_the_limit_is_told_as_that() {
    let (mut proxy, mut client, _origin, mut framed) =
        played("retry.attempts = 1\nlimits.response_header_bytes = \"8KiB\"", GET);
    let id = framed.request();
    // A literal of 9000 bytes: 127 and 8873 more, in groups of seven bits.
    let field = [STATUS_200, b"\x00\x01a\x7f\xa9\x45", &[b'x'; 9000]].concat();
    framed.say(HEADERS, END_HEADERS | END_STREAM, id, &field);
    assert_eq!(client.answer().head.status, 502);
    let line = proxy.line("upstream_failure");
    assert_eq!(line["fault"], "response_header_too_large", "{line:#}");
}

#[test]
fn interim_answers_pass_and_a_continue_lets_the_body_through() {
    let (_proxy, mut client, _origin, mut framed) =
        played("", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let id = framed.request();
    // `:status: 100`, as a literal of the field with index 8.
    framed.say(HEADERS, END_HEADERS, id, b"\x08\x03100");
    assert_eq!(client.head().status, 100);
    client.send("hello");
    assert_eq!(framed.next(DATA).payload, b"hello");
    framed.answer(id, b"thanks");
    assert_eq!(client.answer().text(), "thanks");
}

#[test]
fn a_connection_on_which_nothing_comes_any_more_is_not_used_again() {
    let (proxy, mut first, origin, mut framed) = played("retry.attempts = 1\ntimeouts.response = \"300ms\"", GET);
    let id = framed.request();
    framed.answer(id, b"first");
    assert_eq!(first.answer().text(), "first");
    first.send(GET);
    framed.request();
    assert_eq!(first.answer().head.status, 502);
    first = Client::connect(proxy.address());
    first.send(GET);
    let mut fresh = Framed::greet(origin.accept(), &[]);
    let id = fresh.request();
    fresh.answer(id, b"fresh");
    assert_eq!(first.answer().text(), "fresh");
}

#[test]
fn a_connection_that_is_reset_at_once_is_told_at_once() {
    for _ in 0..20 {
        let origin = Origin::listen();
        let mut proxy = before(&origin.url, "retry.attempts = 1");
        let mut client = Client::connect(proxy.address());
        client.send(GET);
        origin.accept().wire.reset();
        assert_eq!(client.answer().head.status, 502);
        let line = proxy.line("upstream_failure");
        let fault = line["fault"].as_str().unwrap();
        // The reset may come before connecting has been noticed to be done.
        let known = ["connection_refused", "closed_before_response", "reset_before_response", "reset_while_sending"];
        assert!(known.contains(&fault), "{line:#}");
    }
}

#[test]
fn an_idle_connection_is_closed_in_its_time() {
    let (_proxy, mut client, _origin, mut framed) = played("pool.idle_timeout = \"1s\"", GET);
    let id = framed.request();
    framed.answer(id, b"hello");
    assert_eq!(client.answer().text(), "hello");
    assert!(framed_is_closed(framed));
}

#[test]
fn a_server_of_http_1_is_told_as_one() {
    let origin = Origin::listen();
    let mut proxy = before(&origin.url, "");
    let mut client = Client::connect(proxy.address());
    client.send(GET);
    let mut conversation = origin.accept();
    conversation.wire.bytes(24);
    conversation.answer_and_close("no");
    assert_eq!(client.answer().head.status, 502);
    let line = proxy.line("upstream_failure");
    assert_eq!((&line["fault"], &line["cause"]), (&"response_not_http".into(), &"faulty_proxy".into()), "{line:#}");
    assert!(line["evidence"].to_string().contains("http1_only"), "{line:#}");
}

#[test]
fn a_websocket_goes_over_http_1_or_not_at_all() {
    let asks = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let origin = Origin::listen();
    let proxy = before(&origin.url, "");
    let mut client = Client::connect(proxy.address());
    client.send(asks);
    assert_eq!(client.answer().head.status, 501);
    assert!(origin.is_left_alone());

    let proxy = Proxy::run(&in_front_of(&[&origin.url], "protocol = \"auto\"", ""));
    let mut client = Client::connect(proxy.address());
    client.send(asks);
    assert_eq!(origin.accept().head().field("upgrade"), Some("websocket"));
}

/// A directory with the demo's authority in it, and a server's configuration that offers this.
fn certified(protocols: &[&[u8]]) -> (PrivateDirectory, Authority, Arc<rustls::ServerConfig>) {
    let directory = PrivateDirectory::new().unwrap();
    let authority = Authority::new(directory.path()).unwrap();
    let mut config = rustls::ServerConfig::clone(&authority.server(Credentials::Good).unwrap());
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    (directory, authority, Arc::new(config))
}

fn in_front_of_tls(directory: PrivateDirectory, authority: &Authority, origin: &Served, upstream: &str) -> Proxy {
    let tls = format!("{upstream}\n[upstream.tls]\nca = {:?}\nserver_name = {SERVER_NAME:?}", authority.file());
    Proxy::run_in(directory, &in_front_of(&[&format!("https://{}", origin.address)], &tls, ""))
}

#[test]
fn in_tls_the_handshake_decides() {
    for protocol in ["h2", "auto"] {
        let (directory, authority, config) = certified(&[b"h2", b"http/1.1"]);
        let origin = Served::serve(Some(config), 100, echo);
        let proxy = in_front_of_tls(directory, &authority, &origin, &format!("protocol = \"{protocol}\""));
        let answer = get(proxy.address(), "/x", "");
        assert_eq!(answer.text().lines().next(), Some("GET https://shop.example/x"), "{protocol}: {answer:?}");
    }
}

#[test]
fn auto_speaks_http_1_where_the_handshake_says_so_or_the_request_needs_it() {
    let websocket = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    let plain = "Connection: keep-alive\r\n";
    for (offers, fields) in [(&[&b"http/1.1"[..]][..], plain), (&[], plain), (&[b"h2", b"http/1.1"], websocket)] {
        let (directory, authority, config) = certified(offers);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            let session = rustls::ServerConnection::new(config).unwrap();
            let mut stream = BufReader::new(rustls::StreamOwned::new(session, socket));
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
            stream.get_mut().write_all(answer).unwrap();
            line
        });
        let tls =
            format!("protocol = \"auto\"\n[upstream.tls]\nca = {:?}\nserver_name = {SERVER_NAME:?}", authority.file());
        let proxy = Proxy::run_in(directory, &in_front_of(&[&url], &tls, ""));
        let mut client = Client::connect(proxy.address());
        client.send(format!("GET /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        assert_eq!(client.answer().text(), "hi", "{offers:?}");
        assert_eq!(serving.join().unwrap(), "GET /x HTTP/1.1\r\n");
    }
}

#[test]
fn a_server_that_agrees_to_no_http_2_is_told_by_what_it_did() {
    for (offers, fault, says) in
        [(&[][..], "tls_protocol_error", "ALPN"), (&[&b"http/1.1"[..]][..], "tls_alert", "no_application_protocol")]
    {
        let (directory, authority, config) = certified(offers);
        let origin = Served::serve(Some(config), 100, echo);
        let mut proxy = in_front_of_tls(directory, &authority, &origin, H2);
        assert_eq!(get(proxy.address(), "/x", "").head.status, 502);
        let line = proxy.line("upstream_failure");
        assert_eq!((&line["fault"], &line["stage"]), (&fault.into(), &"tls".into()), "{line:#}");
        assert_eq!(line["cause"], "faulty_proxy", "{line:#}");
        assert!(line["detail"].as_str().unwrap().contains(says), "{line:#}");
    }
}

#[test]
fn those_who_wait_for_a_connection_that_fails_all_hear_of_it() {
    let closed = super::support::origin::Reserved::port();
    let mut proxy = before(&closed.url(), "");
    let clients = ask_at_once(&proxy, 8);
    let statuses: BTreeSet<u16> = clients.into_iter().map(|mut client| client.answer().head.status).collect();
    assert_eq!(statuses, BTreeSet::from([502]));
    assert_eq!(proxy.line("upstream_failure")["fault"], "connection_refused");
}

#[test]
fn a_check_leaves_no_connection_behind() {
    let origin = Origin::listen();
    let health = "[upstream.health]\npath = \"/\"\ninterval = \"50ms\"\ntimeout = \"5s\"";
    let _proxy = before(&origin.url, health);
    let mut framed = Framed::greet(origin.accept(), &[]);
    let id = framed.request();
    framed.answer(id, b"well");
    assert!(framed_is_closed(framed));
}

#[test]
fn those_who_wait_do_not_queue_up_behind_connections_that_end_at_once() {
    let origin = Origin::listen();
    let proxy = before(&origin.url, "retry.attempts = 1\ntimeouts.connect = \"300ms\"");
    let begin = std::time::Instant::now();
    let clients = ask_at_once(&proxy, 8);
    // Each connection ends before the server has said how many streams it allows; alone, one after the other, this would take
    // more than three seconds.
    std::thread::spawn(move || {
        while let Some(conversation) = origin.wait() {
            std::thread::spawn(move || {
                work(std::time::Duration::from_millis(400));
                drop(conversation);
            });
        }
    });
    for mut client in clients {
        assert_eq!(client.answer().head.status, 502);
    }
    assert!(begin.elapsed() < std::time::Duration::from_millis(2400), "{:?}", begin.elapsed());
}

#[test]
fn an_idle_connection_of_one_core_makes_room_for_another_core() {
    let origin = Served::serve(None, 100, echo);
    let settings = format!("{H2}\nlimits.connections = 1");
    let proxy = Proxy::run(&in_front_of(&[&origin.url()], &settings, "[runtime]\nworkers = 2"));
    for _ in 0..16 {
        assert_eq!(get(proxy.address(), "/", "").head.status, 200);
    }
}

#[test]
fn interim_answers_without_end_are_ended() {
    let (mut proxy, mut client, _origin, mut framed) = played("", "GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let id = framed.request();
    // `:status: 103` as a literal, several hundred thousand times at most.
    let mut early = Vec::new();
    for _ in 0..1000 {
        early.extend_from_slice(&[0, 0, 5, HEADERS, END_HEADERS]);
        early.extend_from_slice(&id.to_be_bytes());
        early.extend_from_slice(b"\x08\x03103");
    }
    std::thread::spawn(move || (0..300).all(|_| framed.0.try_send(&early).is_ok()));
    assert_eq!(client.head().status, 502);
    assert_eq!(proxy.line("upstream_failure")["fault"], "response_header_too_large");
}

#[test]
fn nobody_waits_for_a_connection_for_longer_than_is_set() {
    let origin = Origin::listen();
    let limits = "limits.connections = 1\nlimits.queue = 20\nlimits.queue_timeout = \"400ms\"\nretry.attempts = 1";
    let proxy = before(&origin.url, limits);
    let mut first = Client::connect(proxy.address());
    first.send(GET);
    // One stream at a time, and that one is taken.
    let mut framed = Framed::greet(origin.accept(), &[(3, 1)]);
    let id = framed.request();
    let begin = std::time::Instant::now();
    for mut client in ask_at_once(&proxy, 8) {
        assert_eq!(client.head().status, 502);
    }
    let waited = begin.elapsed().as_millis();
    assert!((400..1200).contains(&waited), "one after the other, they would wait for eight times as long: {waited} ms");
    framed.answer(id, b"first");
    assert_eq!(first.answer().text(), "first");
}
