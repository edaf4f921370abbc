//! Owns a body as it comes from a client or a server, over either version of HTTP.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use hyper::body::Incoming;

use crate::upstream::inbound::Inbound;

/// The body of a request or of a response as it comes.
#[derive(Debug)]
pub enum Inflow {
    /// There is none.
    Nothing,
    /// Over HTTP/1.
    Http1(Incoming),
    /// On a stream.
    Http2(Inbound),
}

/// How a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// In hyper's words.
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    /// In those of HTTP/2.
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

impl Body for Inflow {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut *self {
            Self::Nothing => Poll::Ready(None),
            Self::Http1(body) => Pin::new(body).poll_frame(cx).map_err(Broken::from),
            Self::Http2(body) => Pin::new(body).poll_frame(cx).map_err(Broken::from),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}
