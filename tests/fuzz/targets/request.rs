//! A client's bytes, read, admitted and sent on: what the origin gets is exactly one request, and the one that the client sent.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::pin::pin;
use std::rc::Rc;
use std::task::Context;
use std::task::Poll;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::HeaderMap;
use http::Request;
use http::Response;
use http::request::Parts;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use why502::config;
use why502::config::Config;
use why502::fault::failure::Peer;
use why502::proxy::admission::Content;
use why502::proxy::admission::admit;
use why502::proxy::arrival::Arrival;
use why502::proxy::arrival::Scheme;
use why502::proxy::client::Client;
use why502::proxy::fields::Fields;
use why502::proxy::forward;
use why502::proxy::forward::Onward;
use why502::proxy::via::Pseudonym;
use why502::proxy::way::Way;

use super::judge;
use super::judge::Framing;
use super::judge::Message;
use super::judge::Reading;
use super::wire::Wire;
use super::wire::until_still;

/// A request that was passed on.
struct Passed {
    /// Its head, as it was read.
    head: Parts,
    host: String,
    target: String,
    body: Bytes,
    /// What the origin got.
    wire: Vec<u8>,
}

pub(crate) fn check(input: &[u8]) {
    let passed = pass(input);
    for passed in &passed {
        assert_sound(passed);
    }
    // As far as a strict reader follows the client, both have read the same.
    let mut rest = input;
    for passed in &passed {
        while let Some(behind) = rest.strip_prefix(b"\r\n") {
            rest = behind;
        }
        match judge::request(rest) {
            Reading::Whole(message, length) => {
                assert_same(passed, &message);
                rest = &rest[length..];
            }
            Reading::Partial => panic!("the client has not sent a whole request: {}", rest.escape_ascii()),
            Reading::Wrong(_) => return,
        }
    }
}

/// What the origin gets is one request, this one, and nothing of the client's connection is in it.
fn assert_sound(passed: &Passed) {
    let shown = passed.wire.escape_ascii();
    let Reading::Whole(message, length) = judge::request(&passed.wire) else {
        panic!("the origin gets no whole request: {shown}: {:?}", judge::request(&passed.wire));
    };
    assert_eq!(length, passed.wire.len(), "the origin gets more than one request: {shown}");
    assert_eq!(message.start, [passed.head.method.as_str(), &passed.target, "HTTP/1.1"], "{shown}");
    assert_eq!(message.body, passed.body, "{shown}");
    assert_eq!(message.values("host"), [passed.host.as_bytes()], "{shown}");
    assert!(message.values("via").last().is_some_and(|line| line.ends_with(pseudonym().name().as_bytes())), "{shown}");
    for name in OF_A_CONNECTION {
        let asked = match message.members("connection").first().map(String::as_str) {
            Some(option @ ("te" | "upgrade")) => *name == option || *name == "connection",
            Some(_) | None => *name == "transfer-encoding" && message.framing == Framing::Chunks,
        };
        assert!(asked || message.values(name).is_empty(), "{name}: {shown}");
    }
    assert!(message.values("x-why502-token").is_empty(), "{shown}");
    assert_end_to_end(&passed.head.headers, &message, OURS);
}

/// What a strict reader has read of the client is what was passed on.
fn assert_same(passed: &Passed, message: &Message) {
    let (authority, target) = split_target(&message.start[1]);
    assert_eq!((passed.head.method.as_str(), &passed.target), (&*message.start[0], &target));
    assert_eq!(passed.body, message.body);
    let host =
        authority.map_or_else(|| message.values("host").first().map(|host| host.to_vec()), |host| Some(host.into()));
    let host = host.filter(|host| !host.is_empty()).unwrap_or_else(|| b"app.internal:3000".to_vec());
    assert_eq!(passed.host.as_bytes(), host);
}

/// The authority of an absolute target, and the target in origin-form (RFC 9112, section 3.2).
fn split_target(target: &str) -> (Option<String>, String) {
    let Some((_, rest)) = target.split_once("://").filter(|_| !target.starts_with(['/', '*'])) else {
        return (None, target.to_owned());
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let slash = if path.starts_with('/') { "" } else { "/" };
    (Some(authority.to_owned()), format!("{slash}{path}"))
}

/// Fields that are neither a connection's nor this proxy's own are passed on as they are, and no others.
pub(super) fn assert_end_to_end(came: &HeaderMap, went: &Message, ours: &[&str]) {
    let named: Vec<String> = came
        .get_all("connection")
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name).trim().to_lowercase())
        .collect();
    let is_ours = |name: &str| ours.contains(&name) || name.starts_with("x-forwarded-");
    // An application that is told names as CGI tells them would take `_` for `-`.
    let is_disguised = |name: &str| {
        let plain = name.replace('_', "-");
        plain != name
            && (plain.starts_with("x-forwarded-")
                || ["client-cert", "client-cert-chain", "x-request-id"].contains(&&*plain))
    };
    let is_kept = |name: &str| !OF_A_CONNECTION.contains(&name) && !named.iter().any(|named| named == name);
    let went_on = |name: &&str| !is_ours(name) && !is_disguised(name) && is_kept(name);
    for name in came.keys().map(http::HeaderName::as_str).filter(went_on) {
        let values: Vec<_> = came.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
        // hyper writes several lines of `Trailer` as one, which a list may be (RFC 9110, section 5.3). The last may be empty.
        let joined = name == "trailer" && went.values(name) == [values.join(&b", "[..]).trim_ascii_end()];
        assert!(joined || went.values(name) == values, "{name}: {:?}, {values:?}", went.values(name));
    }
    for (name, _) in &went.fields {
        assert!(is_ours(name) || OF_A_CONNECTION.contains(&&**name) || came.contains_key(name), "{name} is new");
    }
}

/// Reads requests as the listener does, until one is not passed on.
fn pass(input: &[u8]) -> Vec<Passed> {
    let passed = Rc::new(RefCell::new(Vec::new()));
    let pieces = [1, 7, 100, usize::MAX];
    let wire = Wire::saying(input, pieces[input.len() % pieces.len()]);
    let notes = Rc::clone(&passed);
    let service = service_fn(move |request| {
        let notes = Rc::clone(&notes);
        async move {
            let mut answer = Response::new(Empty::<Bytes>::new());
            if let Some(passed) = send(request).await {
                notes.borrow_mut().push(passed);
            } else {
                *answer.status_mut() = http::StatusCode::BAD_REQUEST;
                answer.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    let mut connection = pin!(server.half_close(true).max_header_size(HEAD).serve_connection(wire.clone(), service));
    let mut over = false;
    until_still(|| wire.moved() + passed.borrow().len(), |cx| over = over || connection.as_mut().poll(cx).is_ready());
    passed.take()
}

/// Makes of a request what the proxy makes of it; none where it is refused, or breaks off.
async fn send(request: Request<Incoming>) -> Option<Passed> {
    let (parts, body) = request.into_parts();
    let config = configuration();
    let fields = Fields::of(&parts.headers);
    let arrival = Arrival::new(Peer::Tcp(([192, 0, 2, 9], 4711).into()), Scheme::Http);
    let client = Client::identify(&parts, fields, &arrival, &config.forwarding, &config.operators, UNIX_EPOCH);
    let admitted = admit(&parts, fields, &config.limits).ok()?;
    let pseudonym = pseudonym();
    let onward = Onward::new(&config.upstreams[0], config.forwarding.headers, &pseudonym);
    let head = parts.clone();
    let outbound = forward::request(parts, fields, &admitted, &arrival, &client, (&Way::default(), &onward)).ok()?;
    let collected = body.collect().await.ok()?;
    let trailers = collected.trailers().cloned().map(|trailers| outbound.named.trailers(trailers));
    let body = collected.to_bytes();
    let length = (admitted.content != Content::Chunked).then_some(body.len() as u64);
    let replayed = Replayed { data: Some(body.clone()).filter(|body| !body.is_empty()), trailers, length };
    let host = outbound.parts.headers["host"].to_str().unwrap_or_default().to_owned();
    let wire = written(Request::from_parts(outbound.parts, replayed));
    Some(Passed { head, host, target: admitted.target.as_str().to_owned(), body, wire })
}

/// What hyper writes of a request.
fn written(request: Request<Replayed>) -> Vec<u8> {
    let wire = Wire::saying(b"", 1).staying();
    let far = wire.clone();
    let mut work = pin!(async move {
        let handshake = hyper::client::conn::http1::Builder::new().max_header_size(HEAD).handshake(far).await;
        let (mut sender, connection) = handshake.expect("a handshake in memory");
        let (mut answer, mut connection) = (pin!(sender.send_request(request)), pin!(connection));
        std::future::poll_fn(|cx| match (answer.as_mut().poll(cx), connection.as_mut().poll(cx)) {
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
    });
    let mut over = false;
    until_still(|| wire.moved(), |cx| over = over || work.as_mut().poll(cx).is_ready());
    wire.told()
}

/// A body that was received before.
struct Replayed {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
    length: Option<u64>,
}

impl Body for Replayed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.take().map(Frame::data);
        Poll::Ready(data.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none() && self.length.is_some()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// One origin, and every default.
pub(super) fn configuration() -> Rc<Config> {
    thread_local! {
        static CONFIGURATION: Rc<Config> = Rc::new(
            config::from_text(
                "[[route]]\nupstream = \"app\"\n[[upstream]]\nname = \"app\"\nservers = [\"http://app.internal:3000\"]\n",
                Path::new("fuzz.toml"),
            )
            .expect("it is right"),
        );
    }
    CONFIGURATION.with(Rc::clone)
}

/// This proxy's name in `Via`.
pub(super) fn pseudonym() -> Pseudonym {
    thread_local! {
        static PSEUDONYM: Pseudonym = Pseudonym::random();
    }
    PSEUDONYM.with(Clone::clone)
}

/// Bytes of a head, on both sides.
pub(super) const HEAD: usize = 1 << 16;

/// RFC 9110, section 7.6.1, and what was never standardised.
const OF_A_CONNECTION: &[&str] = &[
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// What this proxy writes itself into a request, or takes out of it.
const OURS: &[&str] = &[
    "client-cert",
    "client-cert-chain",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "max-forwards",
    "traceparent",
    "tracestate",
    "via",
    "x-request-id",
    "x-why502-token",
];
