//! Owns a stream of HTTP/2 as the client's end of a tunnel (RFC 8441, section 5): the end of the stream is the end of its side,
//! and a reset with CANCEL is a reset.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Buf;
use bytes::Bytes;
use h2::Reason;
use h2::RecvStream;
use h2::SendStream;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use crate::proxy::upgrade::Near;

/// A stream that carries bytes. Dropped before its end, it is reset.
#[derive(Debug)]
pub(super) struct Pipe {
    inbound: RecvStream,
    outbound: SendStream<Bytes>,
    unread: Bytes,
}

impl Pipe {
    pub(super) const fn new(inbound: RecvStream, outbound: SendStream<Bytes>) -> Self {
        Self { inbound, outbound, unread: Bytes::new() }
    }
}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { inbound, unread, .. } = &mut *self;
        while unread.is_empty() {
            match std::task::ready!(inbound.poll_data(cx)) {
                Some(Ok(data)) => *unread = data,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = unread.len().min(buf.remaining());
        buf.put_slice(unread.get(..count).unwrap_or_default());
        unread.advance(count);
        // What is taken may be sent again.
        inbound.flow_control().release_capacity(count).ok();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outbound = &mut self.outbound;
        let gone = || Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        outbound.reserve_capacity(buf.len());
        while outbound.capacity() == 0 {
            match std::task::ready!(outbound.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return gone(),
            }
        }
        let count = buf.len().min(outbound.capacity());
        let data = Bytes::copy_from_slice(buf.get(..count).unwrap_or_default());
        if outbound.send_data(data, false).is_err() { gone() } else { Poll::Ready(Ok(count)) }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = self.outbound.send_data(Bytes::new(), true);
        Poll::Ready(ended.map_err(|error| io::Error::new(io::ErrorKind::BrokenPipe, error)))
    }
}

impl Near for Pipe {
    fn reset(&mut self) {
        self.outbound.send_reset(Reason::CANCEL);
    }
}
