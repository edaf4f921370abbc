//! Owns one HTTP/1.1 connection to a server: hyper's sender, the task that drives it, and the connection's past.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::fault::failure::ConnectionEvidence;
use crate::fault::failure::Peer;
use crate::net::stream::Stream;
use crate::net::tap::Tap;
use crate::net::tap::Tapped;
use crate::upstream::body::RequestBody;
use crate::upstream::limit::Place;

/// An open connection. Dropping it closes it, whatever it is doing.
pub(super) struct Connection {
    /// The sending half.
    pub(super) sender: http1::SendRequest<RequestBody>,
    /// What it has carried in the exchange under way.
    pub(super) tap: Rc<Tap>,
    /// The far end.
    pub(super) peer: Peer,
    opened: Instant,
    served: u32,
    keep_alive_hint: Option<Duration>,
    upgraded: Option<oneshot::Receiver<Upgraded>>,
    ended: Rc<Cell<Option<Instant>>>,
    driver: JoinHandle<()>,
}

/// What is left of a connection after a 101: the stream, and what the server said behind its head.
pub struct Upgraded {
    /// The stream.
    pub stream: Tapped<Stream>,
    /// Bytes that were read together with the response's head.
    pub read: Bytes,
    /// Counts the connection for as long as it is open.
    _place: Option<Place>,
}

impl Connection {
    /// Begins HTTP/1.1 on a stream, which is counted by its place until it is closed.
    ///
    /// # Errors
    ///
    /// hyper's, which has none to tell before anything was sent.
    pub(super) async fn begin(
        stream: Stream,
        peer: Peer,
        header_limit: u64,
        place: Option<Place>,
    ) -> hyper::Result<Self> {
        let tap = Tap::new();
        let descriptor = stream.descriptor();
        tap.limit_heads(header_limit.saturating_mul(HEADS));
        let stream = Tapped::over(stream, Rc::clone(&tap), descriptor);
        let limit = usize::try_from(header_limit).unwrap_or(usize::MAX);
        let mut builder = http1::Builder::new();
        // A head has to have room in hyper's buffer too.
        let builder = builder.max_header_size(limit).max_buf_size(limit.max(BUFFER));
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        let (upgrade, upgraded) = oneshot::channel();
        let ended = Rc::<Cell<Option<Instant>>>::default();
        // Boxed, for a task is moved several times before it runs and when it has ended, and this one is large.
        let driver = tokio::task::spawn_local(Box::pin(drive(place, connection, upgrade, Rc::clone(&ended))));
        Ok(Self {
            sender,
            tap,
            peer,
            opened: Instant::now(),
            served: 0,
            keep_alive_hint: None,
            upgraded: Some(upgraded),
            ended,
            driver,
        })
    }

    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether the server has closed it, although the runtime may not have heard of that yet. It takes a system call.
    pub(super) fn is_closed_below(&self) -> bool {
        self.tap.is_ended_below()
    }

    /// When it ended, where it has.
    pub(super) fn ended(&self) -> Option<Instant> {
        self.ended.get()
    }

    /// A request goes out on it now, one of so many that are in flight to the server.
    pub(super) fn ask(&self, now: Instant, in_flight: u32) {
        self.tap.begin(CAPTURE, now);
        self.tap.limit_reads(if in_flight > FEW { READ_OF_MANY } else { u64::MAX });
    }

    /// The connection has answered a request, and perhaps said how long it will wait for the next.
    pub(super) fn answered(&mut self, headers: &http::HeaderMap) {
        self.served = self.served.saturating_add(1);
        if let Some(hint) = headers.get("keep-alive") {
            self.keep_alive_hint = announced_timeout(hint.to_str().unwrap_or_default());
        }
    }

    /// The connection's past, for the evidence record.
    pub(super) fn evidence(&self, idle: Option<Duration>, now: Instant) -> ConnectionEvidence {
        ConnectionEvidence {
            reused: idle.is_some(),
            idle,
            age: Some(now.duration_since(self.opened)),
            requests_served: self.served,
            keep_alive_hint: self.keep_alive_hint,
        }
    }

    /// How long it may lie idle: less than the pool would keep it where the server has said that it closes earlier. It is given
    /// up a little before that, for a request that is on its way when the server closes is lost.
    pub(super) fn idle_limit(&self, configured: Duration) -> Duration {
        self.keep_alive_hint.map_or(configured, |hint| configured.min(hint.saturating_sub(HINT_MARGIN)))
    }

    /// Where the stream arrives after a 101; once.
    pub(super) fn upgraded(&mut self) -> Option<oneshot::Receiver<Upgraded>> {
        self.upgraded.take()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).field("served", &self.served).finish_non_exhaustive()
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").field("read", &self.read.len()).finish_non_exhaustive()
    }
}

/// Drives the connection to its end. How it ended is seen by the tap; where it ended with a 101, the stream is handed on. The
/// place stands first, so that it is given back last, when the stream is closed.
async fn drive(
    place: Option<Place>,
    mut connection: http1::Connection<TokioIo<Tapped<Stream>>, RequestBody>,
    upgrade: oneshot::Sender<Upgraded>,
    ended: Rc<Cell<Option<Instant>>>,
) {
    let end = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    ended.set(Some(Instant::now()));
    if end.is_ok() {
        let parts = connection.into_parts();
        // Nobody waits for it where the connection simply ended.
        upgrade.send(Upgraded { stream: parts.io.into_inner(), read: parts.read_buf, _place: place }).ok();
    }
}

/// How much hyper may hold of a connection, in bytes, where a head needs no more: as much as it holds by itself. What is read at
/// once waits as a whole for a client that reads slowly; but with 256 KiB a large answer takes a tenth more processor.
const BUFFER: usize = 408 << 10;
/// How many requests in flight to a server are few enough for reads of that size.
const FEW: u32 = 64;
/// How much of an answer is read at once where they are more, in bytes. That takes half as much processor again.
const READ_OF_MANY: u64 = 64 << 10;
/// How much of an answer is kept until its head is complete, to tell what spoke and what was wrong with it.
const CAPTURE: usize = 4096;

/// All the heads of an answer, the interim ones among them, may have so many times what one may have.
pub(super) const HEADS: u64 = 4;

/// How long before its announced end a connection is given up.
const HINT_MARGIN: Duration = Duration::from_millis(500);

/// `timeout=5, max=100`
fn announced_timeout(field: &str) -> Option<Duration> {
    let parameter = field.split(',').find_map(|part| part.trim().strip_prefix("timeout="))?;
    parameter.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::announced_timeout;

    #[test]
    fn an_announced_timeout_is_read() {
        assert_eq!(announced_timeout("timeout=5"), Some(Duration::from_secs(5)));
        assert_eq!(announced_timeout("max=100, timeout=65"), Some(Duration::from_secs(65)));
        assert_eq!(announced_timeout("max=100"), None);
        assert_eq!(announced_timeout("timeout=soon"), None);
    }
}
