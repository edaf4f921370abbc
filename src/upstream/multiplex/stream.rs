//! Owns one exchange on a stream: the request's head as HTTP/2 has it, its body in a task of its own, the response's head.

use std::cell::Cell;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use h2::Reason;
use h2::SendStream;
use h2::client::ResponseFuture;
use http::HeaderMap;
use http::HeaderName;
use http::Request;
use http::Response;
use http::Uri;
use http::Version;
use http::header;
use http::request::Parts;
use http::uri::Authority;
use http::uri::PathAndQuery;
use http::uri::Scheme;
use http_body::Body;
use http_body::Frame;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Place;
use crate::net::pump;
use crate::net::pump::Outcome;
use crate::net::pump::Progress;
use crate::upstream::body::ClientFault;
use crate::upstream::body::Early;
use crate::upstream::body::RequestBody;
use crate::upstream::connection::HEADS;
use crate::upstream::inbound::Inbound;

/// One request on a connection. Dropping it before its end resets the stream (CANCEL), and nothing else.
#[derive(Debug)]
pub(in crate::upstream) struct Stream {
    pub(in crate::upstream) place: Place,
    progress: Rc<Progress>,
    head_sent: Cell<u64>,
    head_received: Cell<u64>,
    id: Cell<Option<u32>>,
    sending: RefCell<Option<Sending>>,
    /// What the connection had received before this exchange.
    received_before: u64,
    /// What the head of a response may have.
    header_limit: u64,
}

/// The task that sends a body.
#[derive(Debug)]
struct Sending(JoinHandle<()>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why there is no response, and the request where it may go out again whatever its method: the server has not seen it, or has
/// said that it did not begin to process it, and nothing of the body was taken.
#[derive(Debug)]
pub(in crate::upstream) struct Refused {
    pub(in crate::upstream) error: h2::Error,
    pub(in crate::upstream) request: Option<Box<Request<RequestBody>>>,
}

impl Stream {
    /// A stream on that place, which sends nothing yet.
    pub(in crate::upstream) fn new(place: Place, header_limit: u64, now: Instant) -> Self {
        Self {
            received_before: place.connection.tap.received(),
            header_limit,
            place,
            progress: Rc::new(Progress::new(now)),
            head_sent: Cell::new(0),
            head_received: Cell::new(0),
            id: Cell::new(None),
            sending: RefCell::new(None),
        }
    }

    /// The number of the stream, once it has one.
    pub(in crate::upstream) fn id(&self) -> Option<u32> {
        self.id.get()
    }

    /// Whether the server takes no more of the request: its window is full, or the connection is.
    pub(in crate::upstream) fn is_blocked(&self) -> bool {
        self.progress.is_stuck() || self.place.connection.tap.is_blocked()
    }

    /// When something of the request was last sent.
    pub(in crate::upstream) fn last_sent(&self) -> Instant {
        let last = self.progress.last();
        if self.place.connection.tap.is_blocked() { last.max(self.place.connection.tap.last_sent()) } else { last }
    }

    /// Whether all of the request was sent.
    pub(in crate::upstream) fn is_sent(&self) -> bool {
        self.progress.is_complete() && !self.is_blocked()
    }

    /// Bytes of the request that were sent, as they would be written in HTTP/1.
    pub(in crate::upstream) fn sent(&self) -> u64 {
        self.head_sent.get() + self.progress.sent()
    }

    /// Bytes of the response's head, in the same way.
    pub(in crate::upstream) fn received(&self) -> u64 {
        self.head_received.get()
    }

    /// The server has answered.
    pub(in crate::upstream) fn answered(&self) {
        self.place.connection.answered();
    }

    /// The connection is not to be used for anything new.
    pub(in crate::upstream) fn retire(&self) {
        self.place.connection.retire();
    }

    /// The exchange has waited in vain. Where nothing at all came on the connection meanwhile, it may be dead without anybody
    /// having said so, and nothing new is sent on it.
    pub(in crate::upstream) fn waited_in_vain(&self) {
        if self.place.connection.tap.received() == self.received_before {
            self.retire();
        }
    }

    /// Whether the connection takes new streams.
    pub(in crate::upstream) fn stands(&self) -> bool {
        self.place.connection.is_open()
    }

    /// Sends the request and waits for the response's head. The body goes out meanwhile, and after it.
    pub(in crate::upstream) async fn exchange(
        &self,
        request: Request<RequestBody>,
        scheme: &Scheme,
    ) -> Result<Response<Inbound>, Refused> {
        let mut sender = self.place.connection.sender.clone();
        if let Err(error) = poll_fn(|cx| sender.poll_ready(cx)).await {
            self.retire();
            return Err(Refused { error, request: Some(Box::new(request)) });
        }
        let (parts, body) = request.into_parts();
        let head = head_for(&parts, scheme);
        let early = body.early();
        let size = size(head.headers()) + head.uri().to_string().len() as u64;
        let no_body = body.is_empty();
        let (response, sending) = match sender.send_request(head, no_body) {
            Ok(begun) => begun,
            Err(error) => {
                // It cannot number any more streams, or it has ended just now.
                self.retire();
                return Err(Refused { error, request: Some(Box::new(Request::from_parts(parts, body))) });
            }
        };
        self.head_sent.set(size);
        self.id.set(Some(response.stream_id().as_u32()));
        let held = Held(Rc::new(RefCell::new(body)));
        if no_body {
            self.progress.finish();
        } else {
            self.progress.moved(0);
            let task = send(held.clone(), sending, Rc::clone(&self.progress));
            *self.sending.borrow_mut() = Some(Sending(tokio::task::spawn_local(task)));
        }
        match self.await_head(response, early).await {
            Ok(response) => Ok(response),
            Err(error) => Err(Refused { error, request: self.take_back(parts, &held) }),
        }
    }

    async fn await_head(
        &self,
        mut response: ResponseFuture,
        early: Option<Early>,
    ) -> Result<Response<Inbound>, h2::Error> {
        let most = self.header_limit.saturating_mul(HEADS);
        let response = poll_fn(|cx| {
            while let Poll::Ready(Some(interim)) = response.poll_informational(cx) {
                // The response says the same.
                let Ok(interim) = interim else { break };
                self.head_received.set(self.head_received.get() + size(interim.headers()) + STATUS_LINE);
                if self.head_received.get() > most {
                    // Nothing else would ever end them but the time that the whole head has.
                    return Poll::Ready(Err(Reason::ENHANCE_YOUR_CALM.into()));
                }
                if let Some(early) = &early {
                    early.tell(interim.status(), interim.headers());
                }
            }
            Pin::new(&mut response).poll(cx)
        });
        let (parts, stream) = response.await?.into_parts();
        self.head_received.set(size(&parts.headers));
        let body = Inbound::new(stream, &parts.headers);
        Ok(Response::from_parts(parts, body))
    }

    /// The request as it was, where nothing of its body was taken.
    fn take_back(&self, parts: Parts, held: &Held) -> Option<Box<Request<RequestBody>>> {
        self.sending.borrow_mut().take();
        let body = held.0.replace(RequestBody::empty());
        let untouched = body.watch().is_none_or(|watch| !watch.begun());
        untouched.then(|| Box::new(Request::from_parts(parts, body)))
    }
}

/// A body that can be had back as long as nothing was taken from it.
#[derive(Clone)]
struct Held(Rc<RefCell<RequestBody>>);

impl Body for Held {
    type Data = Bytes;
    type Error = ClientFault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ClientFault>>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.borrow().is_end_stream()
    }
}

/// Sends a body to its end. What the client broke off is reset as its own doing.
async fn send(mut body: Held, mut stream: SendStream<Bytes>, progress: Rc<Progress>) {
    if let Outcome::Broken(_) = pump::send(&mut body, &mut stream, &progress).await {
        stream.send_reset(Reason::CANCEL);
    }
}

/// The head as HTTP/2 has it (RFC 9113, section 8.3): the host is the authority, and nothing speaks of the connection.
fn head_for(parts: &Parts, scheme: &Scheme) -> Request<()> {
    let mut head = Request::new(());
    parts.method.clone_into(head.method_mut());
    parts.headers.clone_into(head.headers_mut());
    *head.version_mut() = Version::HTTP_2;
    let headers = head.headers_mut();
    for name in CONNECTION_FIELDS {
        headers.remove(name);
    }
    if headers.get(header::TE).is_some_and(|te| te != "trailers") {
        headers.remove(header::TE);
    }
    let authority = headers.get(header::HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let path = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(scheme.clone());
    uri.authority = authority;
    uri.path_and_query = Some(path.clone());
    if let Ok(uri) = Uri::from_parts(uri) {
        headers.remove(header::HOST);
        *head.uri_mut() = uri;
    } else {
        // A host that cannot be an authority is still told, as the field that it came in.
        *head.version_mut() = Version::HTTP_11;
        *head.uri_mut() = Uri::from(path);
    }
    head
}

/// What the fields of a head would take in HTTP/1.
fn size(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| (name.as_str().len() + value.len() + 4) as u64).sum()
}

/// What a status line takes in HTTP/1 at least.
const STATUS_LINE: u64 = 16;

/// Fields that are of one connection, and that HTTP/2 does not have (RFC 9113, section 8.2.2).
const CONNECTION_FIELDS: [HeaderName; 6] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
];

#[cfg(test)]
mod tests {
    use http::Request;
    use http::uri::Scheme;

    use super::head_for;

    #[test]
    fn a_head_has_an_authority_and_nothing_of_the_connection() {
        let request = Request::builder()
            .method("POST")
            .uri("/a%2Fb?x=1")
            .header("host", "shop.example:8443")
            .header("connection", "te")
            .header("te", "trailers")
            .header("transfer-encoding", "chunked")
            .header("upgrade", "x/1")
            .header("accept", "*/*")
            .body(())
            .unwrap();
        let head = head_for(&request.into_parts().0, &Scheme::HTTPS);
        assert_eq!(head.uri(), "https://shop.example:8443/a%2Fb?x=1");
        let mut fields: Vec<&str> = head.headers().keys().map(http::HeaderName::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["accept", "te"]);
    }

    #[test]
    fn a_target_that_is_a_star_stays_one() {
        let request = Request::builder().method("OPTIONS").uri("*").header("host", "a").body(()).unwrap();
        let head = head_for(&request.into_parts().0, &Scheme::HTTP);
        assert_eq!(head.uri().path(), "*");
    }
}
