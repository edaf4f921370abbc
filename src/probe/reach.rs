//! Owns every connection that a probe opens: to whom it may go, for how long it is tried, how it went.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::subject::Subject;
use crate::diagnosis::observation::Connected;
use crate::fault::Fault;
use crate::fault::failure::Peer;
use crate::net::deadline::within;
use crate::net::stream::Stream;

/// A connection that could not be opened.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unreached {
    pub(super) fault: Fault,
    pub(super) os_error: Option<i32>,
}

impl Subject {
    /// Opens a connection to there; none at all where it would lead back to this process.
    pub(super) async fn reach(&self, peer: &Peer) -> Option<Result<Stream, Unreached>> {
        if self.ourselves.listen_at(peer) {
            return None;
        }
        Some(match peer {
            Peer::Tcp(address) => open(TcpStream::connect(address), Fault::of_connect).await.map(|stream| {
                stream.set_nodelay(true).ok();
                Stream::Tcp(stream)
            }),
            Peer::Unix(path) => open(UnixStream::connect(&**path), Fault::of_unix_connect).await.map(Stream::Unix),
        })
    }

    /// The same over TCP, with how it went as an observation.
    pub(super) async fn connect(&self, address: SocketAddr) -> Option<(Connected, Option<Stream>)> {
        let begin = Instant::now();
        let outcome = self.reach(&Peer::Tcp(address)).await?;
        let elapsed = begin.elapsed();
        Some(match outcome {
            Ok(stream) => (Connected { address, fault: None, os_error: None, elapsed }, Some(stream)),
            Err(Unreached { fault, os_error }) => (Connected { address, fault: Some(fault), os_error, elapsed }, None),
        })
    }
}

async fn open<T>(
    connecting: impl Future<Output = io::Result<T>>,
    classify: fn(&io::Error) -> Fault,
) -> Result<T, Unreached> {
    match within(CONNECT, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(Unreached { fault: classify(&error), os_error: error.raw_os_error() }),
        Err(_) => Err(Unreached { fault: Fault::ConnectionTimedOut, os_error: None }),
    }
}

/// Just short of the second at which the kernel would send its first packet again (RFC 6298, section 2).
pub(super) const CONNECT: Duration = Duration::from_millis(950);
