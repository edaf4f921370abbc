//! Owns the idle connections to one server, a core.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::Instant;

use crate::config;
use crate::upstream::connection::Connection;

/// Connections to one server that wait for their next request.
#[derive(Debug)]
pub struct Pool {
    settings: config::Pool,
    idle: RefCell<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

impl Pool {
    pub(super) fn new(settings: config::Pool) -> Self {
        Self { settings, idle: RefCell::default() }
    }

    /// The connection that was used last and can take a request now, and how long it has been idle. The freshest is the
    /// likeliest to be open still.
    pub(super) fn take(&self, now: Instant) -> Option<(Box<Connection>, Duration)> {
        let mut idle = self.idle.borrow_mut();
        let mut busy = Vec::new();
        let mut found = None;
        while let Some(entry) = idle.pop() {
            let age = now.duration_since(entry.since);
            if entry.connection.is_closed() || age >= entry.connection.idle_limit(self.settings.idle_timeout) {
                continue;
            }
            if entry.connection.is_ready() {
                found = Some((entry.connection, age));
                break;
            }
            busy.push(entry);
        }
        idle.extend(busy.into_iter().rev());
        found
    }

    /// Takes a connection back. Where there are enough, it is closed.
    pub(super) fn give(&self, connection: Box<Connection>) {
        if connection.is_closed() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.settings.max_idle {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    /// Closes so many of those that have been idle for longest, to make room for others.
    pub(super) fn evict(&self, count: usize) {
        let mut idle = self.idle.borrow_mut();
        let count = count.min(idle.len());
        idle.drain(..count);
    }

    /// Closes what has been idle for too long, and forgets what the server has closed.
    pub(super) fn sweep(&self, now: Instant) {
        let keep = |entry: &Idle| {
            let limit = entry.connection.idle_limit(self.settings.idle_timeout);
            !entry.connection.is_closed() && now.duration_since(entry.since) < limit
        };
        self.idle.borrow_mut().retain(keep);
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
