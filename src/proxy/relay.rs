//! Owns the response on its way to the client, and the body that the client's side of hyper reads.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use http::HeaderMap;
use http::Response;
use http::StatusCode;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;

use crate::proxy::Passage;
use crate::proxy::Proxy;
use crate::proxy::Reply;
use crate::proxy::explain;
use crate::proxy::fields::X_REQUEST_ID;
use crate::proxy::hop::Named;
use crate::proxy::response;
use crate::proxy::response::Framing;
use crate::proxy::story::Story;
use crate::proxy::upgrade::Tunnel;
use crate::telemetry::Event;
use crate::upstream::Answered;
use crate::upstream::Cut;
use crate::upstream::ResponseBody;
use crate::upstream::Switched;

impl Proxy {
    /// Passes a response on. A head that hyper let through and nobody should see becomes a failure here.
    pub(super) fn relay(self: &Rc<Self>, mut passage: Box<Passage>, answered: Answered) -> Reply {
        let Passage { state, destination, upgrade, story, .. } = &mut *passage;
        story.server = Some(Arc::clone(&answered.server.url.text));
        for failure in answered.hidden {
            self.explain_hidden(state, destination, failure, story);
        }
        let (parts, mut body) = answered.response.into_parts();
        let status = parts.status;
        let pseudonym = &state.shared.pseudonym;
        let refused = |body, malformed| {
            let exhausted = explain::rejected(body, malformed, status.as_u16());
            self.explain(state, destination, exhausted, story)
        };
        if parts.extensions.get::<Switched>().is_some() {
            return match response::switching(parts, upgrade.as_ref(), pseudonym) {
                Ok(mut parts) => {
                    dress(&mut parts.headers, story);
                    self.switch(parts, body, *passage)
                }
                Err(malformed) => refused(body, malformed),
            };
        }
        let mut relayed = match response::response(parts, pseudonym) {
            Ok(relayed) => relayed,
            Err(malformed) => return refused(body, malformed),
        };
        if relayed.framing == Framing::Doubtful {
            body.use_up();
        }
        dress(&mut relayed.parts.headers, story);
        let proxy = Rc::clone(self);
        let relay = Relay { proxy, passage, body, named: relayed.named, status, sent: 0, cut: None, aborted: true };
        Response::from_parts(relayed.parts, ClientBody(Kind::Relayed(Box::new(relay)))).into()
    }

    fn switch(self: &Rc<Self>, parts: http::response::Parts, body: ResponseBody, passage: Passage) -> Reply {
        let limit = passage.destination.upstream.settings().timeouts.tunnel;
        let tunnel = Tunnel::new(Rc::clone(self), body, limit, passage.story);
        Reply { response: Response::from_parts(parts, ClientBody::empty()), tunnel: Some(Box::new(tunnel)) }
    }
}

/// Readies a server's head for the client: what the route changes, and the id by which the log knows the request, unless the
/// server has sent one itself.
fn dress(headers: &mut HeaderMap, story: &Story) {
    if let Some(way) = &story.way {
        way.response_headers.apply(headers);
    }
    headers.entry(X_REQUEST_ID).or_insert_with(|| story.request_id.value());
}

/// A body on its way to a client.
pub struct ClientBody(Kind);

enum Kind {
    Empty,
    Whole(Bytes),
    Relayed(Box<Relay>),
}

/// A server's body, counted; its end is the request's end.
struct Relay {
    proxy: Rc<Proxy>,
    passage: Box<Passage>,
    body: ResponseBody,
    named: Named,
    status: StatusCode,
    sent: u64,
    /// Why the body breaks off, where that is not to be said yet.
    cut: Option<Cut>,
    /// Until the end is reached.
    aborted: bool,
}

impl ClientBody {
    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A body that is there as a whole.
    #[must_use]
    pub const fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }
}

impl Relay {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(cut) = self.cut.take() {
            return Poll::Ready(Some(Err(cut)));
        }
        let frame = match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            None => {
                self.aborted = false;
                return Poll::Ready(None);
            }
            Some(Err(cut)) => {
                if let Cut::Server(failure) = &cut {
                    let Passage { state, destination, story, .. } = &*self.passage;
                    self.proxy.explain_cut(state, destination, failure, story, self.sent);
                }
                // Whoever writes throws away at an error what it has not written, and does not write while it is given more.
                self.cut = Some(cut);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Ok(frame)) => frame,
        };
        if let Some(data) = frame.data_ref() {
            self.sent += data.len() as u64;
        }
        self.aborted = !self.body.is_end_stream();
        Poll::Ready(Some(Ok(match frame.into_trailers() {
            Ok(trailers) => Frame::trailers(self.named.trailers(trailers)),
            Err(frame) => frame,
        })))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let aborted = self.aborted && !self.body.is_end_stream();
        let request = self.passage.story.request(self.status.as_u16(), self.sent, aborted);
        self.proxy.telemetry.record(Event::Request(request));
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Kind::Relayed(relay) => relay.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Relayed(relay) => relay.cut.is_none() && relay.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Relayed(relay) => relay.body.size_hint(),
        }
    }
}

impl fmt::Debug for ClientBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBody").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}
