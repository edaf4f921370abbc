//! Owns how an upstream looks to whoever watches it: what is known of each server now, put together when somebody asks.

use std::sync::Arc;

use tokio::time::Instant;

use crate::diagnosis::history::Past;
use crate::fault::failure::Limited;
use crate::upstream::Server;
use crate::upstream::Shared;
use crate::upstream::health::Checks;
use crate::upstream::health::Health;

/// One server as it is now.
#[derive(Debug)]
pub struct ServerView {
    /// The server.
    pub server: Arc<Server>,
    /// Its past; its addresses, what is in flight to it and what keeps it out are in there.
    pub past: Past,
    /// Whether requests go to it.
    pub stands: Stands,
    /// Connections that are open to it.
    pub connections: u32,
    /// Those of HTTP/1 among them that lie idle, as of the last second.
    pub idle: u64,
    /// Connections that were opened so far.
    pub opened: u64,
    /// Answers that came on a connection which had served before.
    pub reused: u64,
    /// Active checks so far; none where there are none.
    pub checks: Option<Checks>,
}

/// Whether requests go to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// They do.
    Up,
    /// Checks hold it to be down.
    Down,
    /// It has failed too often.
    Ejected,
}

impl Stands {
    /// In one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Ejected => "ejected",
        }
    }
}

impl Shared {
    /// Each of its servers, in the order of the configuration.
    #[must_use]
    pub fn view(&self, now: Instant) -> Vec<ServerView> {
        self.servers.iter().map(|server| self.view_of(server, now)).collect()
    }

    fn view_of(&self, server: &Arc<Server>, now: Instant) -> ServerView {
        let index = server.index;
        let past = self.past(server, now);
        let stands = if !self.health.as_ref().is_none_or(|health| health.is_up(index)) {
            Stands::Down
        } else if self.ejection.is_in(index, now) {
            Stands::Up
        } else {
            Stands::Ejected
        };
        let (idle, reused) = self.memory.connections(index);
        ServerView {
            opened: past.connecting.map(|connecting| connecting.samples).unwrap_or_default(),
            past,
            stands,
            connections: self.capacity.taken(Limited::Connections, index),
            idle,
            reused,
            checks: self.health.as_ref().map(|health| Health::checks(health, index)),
            server: Arc::clone(server),
        }
    }

    /// How many requests wait for a place at a server.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.capacity.waiting()
    }

    /// How often a request went out again so far.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries.load(std::sync::atomic::Ordering::Relaxed)
    }
}
