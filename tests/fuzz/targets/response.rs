//! An origin's bytes, read and passed on: the client gets exactly one response, the origin's, and never a broken one for whole.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::pin::pin;
use std::rc::Rc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use http::HeaderMap;
use http::Method;
use http::Request;
use http::Response;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use why502::fault::Spoken;
use why502::fault::failure::Malformed;
use why502::proxy::hop::Named;
use why502::proxy::response::response;

use super::judge;
use super::judge::Reading;
use super::request::HEAD;
use super::request::assert_end_to_end;
use super::request::pseudonym;
use super::wire::Wire;
use super::wire::until_still;

/// The first byte says who asks: with HEAD where it is odd, in HTTP/1.0 where its second bit is set.
pub(crate) fn check(input: &[u8]) {
    let Some((flags, origin)) = input.split_first() else { return };
    let (to_head, is_old) = (flags & 1 == 1, flags & 2 == 2);
    let judged = judge::response(origin, to_head, true);
    let got = pass(origin, to_head, is_old);
    match (&judged, &got) {
        // What is too large, or has more fields than hyper reads, is refused though it is sound.
        (Reading::Whole(message, _), None) => {
            let is_large = origin.len() > HEAD / 2 || message.fields.len() > 90;
            let is_odd = message.values("transfer-encoding").len() + message.values("connection").len() > 0;
            let interim = origin.starts_with(b"HTTP/1.0 1") || origin.starts_with(b"HTTP/1.1 1");
            assert!(is_large || is_odd || interim, "a sound response is refused: {}", origin.escape_ascii());
        }
        (_, None) => {
            // It is looked at again, for the operator.
            assert_eq!(Malformed::read(origin).is_none(), origin.is_empty());
            assert_eq!(Spoken::recognise(origin).is_none(), origin.is_empty());
        }
        (_, Some(got)) => assert_sound(origin, &judged, got, to_head),
    }
}

/// What the client gets.
struct Got {
    /// The origin's head, as it was read.
    came: HeaderMap,
    wire: Vec<u8>,
    /// Whether the connection was closed in order.
    closed: bool,
}

fn assert_sound(origin: &[u8], judged: &Reading, got: &Got, to_head: bool) {
    let shown = format!("{}\n{}", origin.escape_ascii(), got.wire.escape_ascii());
    let (message, length) = match judge::response(&got.wire, to_head, got.closed) {
        Reading::Whole(message, length) => (message, length),
        // It was cut, and the client can tell.
        Reading::Partial => return,
        Reading::Wrong(why) => panic!("the client gets what is no response, {why}: {shown}"),
    };
    assert_eq!(length, got.wire.len(), "the client gets more than one response: {shown}");
    let via = message.values("via");
    assert!(via.last().is_some_and(|line| line.ends_with(pseudonym().name().as_bytes())), "{shown}");
    assert!(message.values("transfer-encoding").len() + message.values("content-length").len() <= 1, "{shown}");
    // hyper writes `Trailer` where trailers can follow, which is in chunks alone.
    let untold = if message.framing == judge::Framing::Chunks { "date" } else { "trailer" };
    assert!(message.values("x-why502-token").is_empty(), "{shown}");
    assert_end_to_end(&got.came, &message, &["content-length", "date", "via", "x-why502-token", untold]);
    match judged {
        Reading::Whole(theirs, _) => {
            assert_eq!((&theirs.start[1], &theirs.body), (&message.start[1], &message.body), "{shown}");
        }
        Reading::Partial => panic!("a response that breaks off is whole to the client: {shown}"),
        // hyper is more lenient than the judge. What it has made of it is one sound response all the same.
        Reading::Wrong(_) => {}
    }
}

/// Reads a response as an upstream does and relays it as the listener does; none where it is refused.
fn pass(origin: &[u8], to_head: bool, is_old: bool) -> Option<Got> {
    let pieces = [1, 7, 100, usize::MAX];
    let far = Wire::saying(origin, pieces[origin.len() % pieces.len()]).when_told();
    let mut asked = Request::new(Empty::<Bytes>::new());
    *asked.method_mut() = if to_head { Method::HEAD } else { Method::GET };
    asked.headers_mut().insert("host", http::HeaderValue::from_static("a"));
    let read = Rc::new(RefCell::new(None));
    let (note, wire) = (Rc::clone(&read), far.clone());
    let mut upstream = pin!(async move {
        let handshake = hyper::client::conn::http1::Builder::new().max_header_size(HEAD).handshake(wire).await;
        let (mut sender, connection) = handshake.expect("a handshake in memory");
        let (mut answer, mut connection) = (pin!(sender.send_request(asked)), pin!(connection));
        let (mut answered, mut over) = (false, false);
        std::future::poll_fn(|cx| {
            over = over || connection.as_mut().poll(cx).is_ready();
            if !answered && let Poll::Ready(outcome) = answer.as_mut().poll(cx) {
                answered = true;
                *note.borrow_mut() = Some(outcome);
            }
            if answered && over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    });
    let mut over = false;
    until_still(|| far.moved(), |cx| over = over || upstream.as_mut().poll(cx).is_ready());
    let (parts, body) = read.take()?.ok()?.into_parts();
    let came = parts.headers.clone();
    let relayed = response(parts, &pseudonym()).ok()?;
    let answer = Response::from_parts(relayed.parts, Relayed { body, named: relayed.named });

    let (method, version) = (if to_head { "HEAD" } else { "GET" }, if is_old { "1.0" } else { "1.1" });
    let near = Wire::saying(format!("{method} / HTTP/{version}\r\nHost: a\r\n\r\n").as_bytes(), usize::MAX).staying();
    let answer = Rc::new(RefCell::new(Some(answer)));
    let service = service_fn(move |_: Request<Incoming>| {
        let answer = answer.take();
        async move { answer.ok_or("only once") }
    });
    let mut connection = pin!(hyper::server::conn::http1::Builder::new().serve_connection(near.clone(), service));
    let mut served: Option<bool> = None;
    until_still(
        || near.moved() + far.moved(),
        |cx| {
            over = over || upstream.as_mut().poll(cx).is_ready();
            if served.is_none()
                && let Poll::Ready(outcome) = connection.as_mut().poll(cx)
            {
                served = Some(outcome.is_ok());
            }
        },
    );
    Some(Got { came, wire: near.told(), closed: served == Some(true) })
}

/// A body on its way, rid of trailers that are none.
struct Relayed {
    body: Incoming,
    named: Named,
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_trailers() {
                Ok(trailers) => Frame::trailers(self.named.trailers(trailers)),
                Err(frame) => frame,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
