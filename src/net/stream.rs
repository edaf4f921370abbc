//! Owns the one type of stream that servers and clients are spoken to through: TCP or unix, plain or TLS.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::net::UnixStream;

use crate::net::tap::Tapped;

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
    /// TLS with a server on one of the others, whose own bytes were tapped during the handshake.
    Tls(Box<tokio_rustls::client::TlsStream<Tapped<Self>>>),
    /// TLS with a client on one of the others.
    Front(Box<tokio_rustls::server::TlsStream<Self>>),
    /// One of the others, of which something was read already.
    Ahead(Box<Ahead>),
}

/// A stream that begins with bytes that were read from it before.
#[derive(Debug)]
pub struct Ahead {
    unread: Bytes,
    stream: Stream,
}

impl Stream {
    /// The same stream, beginning with these bytes, which were read from it already.
    #[must_use]
    pub fn beginning_with(self, unread: impl Into<Bytes>) -> Self {
        let unread = unread.into();
        if unread.is_empty() { self } else { Self::Ahead(Box::new(Ahead { unread, stream: self })) }
    }

    /// The descriptor of the connection, which is open as long as this is.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
            Self::Tls(stream) => stream.get_ref().0.stream().descriptor(),
            Self::Front(stream) => stream.get_ref().0.descriptor(),
            Self::Ahead(ahead) => ahead.stream.descriptor(),
        }
    }

    /// The address of the far end; none for a unix socket.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.tcp().and_then(|stream| stream.peer_addr().ok())
    }

    /// The address of this end; none for a unix socket.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.tcp().and_then(|stream| stream.local_addr().ok())
    }

    /// Makes the end of this connection a reset, so that the far end cannot take what it got for the whole.
    pub fn reset_on_close(&self) {
        if let Some(stream) = self.tcp() {
            socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).ok();
        }
    }

    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Unix(_) => None,
            Self::Tls(stream) => stream.get_ref().0.stream().tcp(),
            Self::Front(stream) => stream.get_ref().0.tcp(),
            Self::Ahead(ahead) => ahead.stream.tcp(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Front(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Ahead(ahead) if ahead.unread.is_empty() => Pin::new(&mut ahead.stream).poll_read(cx, buf),
            Self::Ahead(ahead) => {
                let count = ahead.unread.len().min(buf.remaining());
                buf.put_slice(&ahead.unread.split_to(count));
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Front(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Ahead(ahead) => Pin::new(&mut ahead.stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // One call with one buffer is the cheaper system call, by more than it takes to copy a head and a small body together.
        if let [only] = bufs {
            return self.poll_write(cx, only);
        }
        let mut room = [0; GATHERED];
        if let Some(all) = gather(&mut room, bufs) {
            return self.poll_write(cx, all);
        }
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Front(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Ahead(ahead) => Pin::new(&mut ahead.stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            // The kernel holds nothing back that a flush could send.
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Front(stream) => Pin::new(stream).poll_flush(cx),
            Self::Ahead(ahead) => Pin::new(&mut ahead.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Front(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Ahead(ahead) => Pin::new(&mut ahead.stream).poll_shutdown(cx),
        }
    }
}

/// The pieces as one, where they have room.
fn gather<'a>(room: &'a mut [u8; GATHERED], bufs: &[io::IoSlice<'_>]) -> Option<&'a [u8]> {
    let mut filled = 0;
    for buf in bufs {
        room.get_mut(filled..filled + buf.len())?.copy_from_slice(buf);
        filled += buf.len();
    }
    room.get(..filled)
}

/// How many bytes are copied together.
const GATHERED: usize = 1024;

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::GATHERED;
    use super::gather;

    #[test]
    fn small_pieces_are_sent_as_one_and_large_ones_as_they_are() {
        for (sizes, together) in
            [(&[300, 100][..], true), (&[0, GATHERED, 0], true), (&[1, GATHERED], false), (&[], true)]
        {
            let pieces: Vec<Vec<u8>> = sizes.iter().zip(b'a'..).map(|(size, letter)| vec![letter; *size]).collect();
            let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let mut room = [0; GATHERED];
            assert_eq!(gather(&mut room, &slices), together.then(|| pieces.concat()).as_deref(), "{sizes:?}");
        }
    }
}
