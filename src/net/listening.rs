//! Owns what clients connect to: a socket of TCP or of the file system, bound, and then in the runtime that accepts on it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::net::UnixListener;

use crate::fault::failure::Peer;
use crate::net::stream::Stream;

/// A listening socket that belongs to no runtime.
#[derive(Debug)]
pub enum Bound {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// A unix socket.
    Unix(std::os::unix::net::UnixListener),
}

impl Bound {
    /// The same socket once more.
    ///
    /// # Errors
    ///
    /// There is no descriptor left for it.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(bound) => Self::Tcp(bound.try_clone()?),
            Self::Unix(bound) => Self::Unix(bound.try_clone()?),
        })
    }

    /// The socket in the runtime of the caller.
    ///
    /// # Errors
    ///
    /// The runtime cannot wait for it.
    pub fn listen(self) -> io::Result<Listening> {
        Ok(match self {
            Self::Tcp(bound) => Listening::Tcp(TcpListener::from_std(bound)?),
            Self::Unix(bound) => Listening::Unix(UnixListener::from_std(bound)?),
        })
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(bound) => bound.as_fd(),
            Self::Unix(bound) => bound.as_fd(),
        }
    }
}

/// What is listened on.
#[derive(Debug)]
pub enum Listening {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

impl Listening {
    /// The next connection, and who is at its other end.
    ///
    /// # Errors
    ///
    /// What the kernel says: the other end has given up already, or this host has run short of something.
    pub async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // A socket for both families, which only somebody else can have made for us, has IPv4 peers as `::ffff:10.0.0.1`.
                let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                Ok((Stream::Tcp(stream), Peer::Tcp(address)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Peer::Unix(Arc::from(""))))
            }
        }
    }
}
