//! Owns how an answer of the admin listener looks: its body, its type, and what keeps browsers from doing more with it than
//! showing it.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::Full;

use crate::admin::crowd::Busy;
use crate::admin::live::Events;

/// The body of an answer, and the mark that its connection is in use until it has gone.
#[derive(Debug)]
pub(super) struct Body {
    content: Content,
    _busy: Option<Busy>,
}

#[derive(Debug)]
enum Content {
    Whole(Full<Bytes>),
    /// Comes as it happens.
    Events(Box<Events>),
}

impl Body {
    /// All of it is there.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Whole(Full::new(bytes.into())), _busy: None }
    }

    /// It comes as it happens.
    pub(super) fn events(events: Events) -> Self {
        Self { content: Content::Events(Box::new(events)), _busy: None }
    }

    /// The same, with the connection's mark.
    pub(super) fn keeping(self, busy: Busy) -> Self {
        Self { _busy: Some(busy), ..self }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.get_mut().content {
            Content::Whole(body) => Pin::new(body).poll_frame(cx),
            Content::Events(events) => events.poll_next(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(body) => body.is_end_stream(),
            Content::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(body) => body.size_hint(),
            Content::Events(_) => SizeHint::default(),
        }
    }
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    of_type("application/json", status, text)
}

/// An answer of this media type.
pub(super) fn of_type(media_type: &'static str, status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(Body::whole(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}

/// Adds the fields that every answer has: nothing is kept, framed, sniffed, or let into another site's page.
pub(super) fn protect(answer: &mut Response<Body>) {
    let headers = answer.headers_mut();
    for (name, value) in FIELDS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// A page that has a policy of its own keeps it.
const FIELDS: [(header::HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
