//! Owns the idle connections to one server, a core.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config;
use crate::fault::failure::Peer;
use crate::upstream::connection::Connection;
use crate::upstream::history::KeepAlive;

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

impl Pool {
    pub(super) fn new(settings: config::Pool, keep_alive: &Arc<KeepAlive>) -> Self {
        let keep_alive = Arc::clone(keep_alive);
        Self { settings, keep_alive, idle: RefCell::default(), closed: RefCell::default() }
    }

    /// The connection that was used last and can take a request now, and how long it has been idle; to that address, where one is
    /// given. The freshest is the likeliest to be open still.
    pub(super) fn take(&self, to: Option<SocketAddr>, now: Instant) -> Option<(Box<Connection>, Duration)> {
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
