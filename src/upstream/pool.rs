//! Owns the idle connections to one server, a core.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use tokio::time::Instant;

use crate::config;
use crate::fault::failure::Peer;
use crate::upstream::body::RequestBody;
use crate::upstream::connection::Connection;
use crate::upstream::history::KeepAlive;
use crate::upstream::retry;

/// Connections to one server that wait for their next request.
#[derive(Debug)]
pub struct Pool {
    settings: config::Pool,
    keep_alive: Arc<KeepAlive>,
    idle: RefCell<Vec<Idle>>,
    /// How long connections had lain idle that the server has closed.
    closed: RefCell<Vec<Duration>>,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

/// How sure one has to be that a connection is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// As sure as the runtime is: a request that finds it closed goes out again.
    Usual,
    /// As sure as the kernel is: it would not.
    Great,
}

impl Care {
    /// What a request needs.
    pub(super) fn of(request: &Request<RequestBody>) -> Self {
        let goes_out_again = request.body().is_empty() && retry::is_idempotent(request.method());
        if goes_out_again { Self::Usual } else { Self::Great }
    }
}

impl Pool {
    pub(super) fn new(settings: config::Pool, keep_alive: &Arc<KeepAlive>) -> Self {
        let keep_alive = Arc::clone(keep_alive);
        Self { settings, keep_alive, idle: RefCell::default(), closed: RefCell::default() }
    }

    /// The connection that was used last and can take a request now, and how long it has been idle; to that address, where one is
    /// given. The freshest is the likeliest to be open still.
    pub(super) fn take(&self, to: Option<SocketAddr>, care: Care, now: Instant) -> Option<(Box<Connection>, Duration)> {
        let fits = |connection: &Connection| to.is_none_or(|to| connection.peer == Peer::Tcp(to));
        let mut idle = self.idle.borrow_mut();
        let mut busy = Vec::new();
        let mut found = None;
        let limit = self.keep_alive.limit(self.settings.idle_timeout);
        while let Some(entry) = idle.pop() {
            let age = now.duration_since(entry.since);
            if entry.connection.is_closed() {
                self.note_closed(&entry);
                continue;
            }
            if age >= entry.connection.idle_limit(limit) {
                continue;
            }
            if entry.connection.is_ready() && fits(&entry.connection) {
                if care == Care::Great && entry.connection.is_closed_below() {
                    self.closed.borrow_mut().push(age);
                    continue;
                }
                found = Some((entry.connection, age));
                break;
            }
            busy.push(entry);
        }
        idle.extend(busy.into_iter().rev());
        found
    }

    /// Takes a connection back. Where there are enough, it is closed.
    pub(super) fn give(&self, connection: Box<Connection>, now: Instant) {
        if connection.is_closed() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.settings.max_idle {
            idle.push(Idle { connection, since: now });
        }
    }

    /// Closes so many of those that have been idle for longest, to make room for others.
    pub(super) fn evict(&self, count: usize) {
        let mut idle = self.idle.borrow_mut();
        let count = count.min(idle.len());
        idle.drain(..count);
    }

    /// Closes all but those to peers that may stay.
    pub(super) fn keep(&self, stays: impl Fn(&Peer) -> bool) {
        self.idle.borrow_mut().retain(|entry| stays(&entry.connection.peer));
    }

    /// Closes what has been idle for too long, and forgets what the server has closed.
    pub(super) fn sweep(&self, now: Instant) {
        let limit = self.keep_alive.limit(self.settings.idle_timeout);
        let keep = |entry: &Idle| {
            if entry.connection.is_closed() {
                self.note_closed(entry);
                return false;
            }
            now.duration_since(entry.since) < entry.connection.idle_limit(limit)
        };
        self.idle.borrow_mut().retain(keep);
    }

    /// Tells how long each of the connections had lain idle that the server has closed since this was last asked.
    pub(super) fn take_closed(&self, mut tell: impl FnMut(Duration)) {
        self.closed.take().into_iter().for_each(&mut tell);
    }

    fn note_closed(&self, entry: &Idle) {
        if let Some(ended) = entry.connection.ended() {
            self.closed.borrow_mut().push(ended.saturating_duration_since(entry.since));
        }
    }

    /// How many connections are idle.
    #[must_use]
    pub fn len(&self) -> usize {
        self.idle.borrow().len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::net::TcpStream;
    use tokio::task::LocalSet;
    use tokio::time::Instant;

    use super::Care;
    use super::Pool;
    use crate::config;
    use crate::fault::failure::Peer;
    use crate::net::stream::Stream;
    use crate::upstream::connection::Connection;

    #[tokio::test]
    async fn a_request_that_cannot_go_out_again_gets_no_connection_that_was_just_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let settings = config::Pool { idle_timeout: Duration::from_secs(55), max_idle: 9 };
        let pool = Pool::new(settings, &Arc::default());
        let opened = async {
            let stream = TcpStream::connect(address).await.unwrap();
            let connection = Connection::begin(Stream::Tcp(stream), Peer::Tcp(address), 9999, None).await.unwrap();
            while !connection.is_ready() {
                tokio::task::yield_now().await;
            }
            (Box::new(connection), listener.accept().unwrap().0)
        };
        let local = LocalSet::new();
        let (connection, server) = local.run_until(opened).await;
        let now = Instant::now();
        pool.give(connection, now);
        let (connection, _) = pool.take(None, Care::Great, now).expect("it is open");
        pool.give(connection, now);
        // Nothing runs from here on that could hear of it.
        drop(server);
        let (connection, _) = pool.take(None, Care::Usual, now).expect("nobody has heard");
        pool.give(connection, now);
        assert!(pool.take(None, Care::Great, now).is_none() && pool.is_empty());
    }
}
