//! Owns one server of an upstream as all cores see it: where it is, and what is in flight to it.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use crate::config;
use crate::config::Location;
use crate::config::ServerUrl;
use crate::fault::failure::Target;
use crate::upstream::limit::Place;
use crate::upstream::whereabouts::Whereabouts;

/// One server.
#[derive(Debug)]
pub struct Server {
    /// Its place in the upstream's list.
    pub index: usize,
    /// Where it is.
    pub url: ServerUrl,
    /// The same for the evidence record.
    pub target: Arc<Target>,
    /// Where its name leads, where it has one.
    pub(super) whereabouts: Whereabouts,
    in_flight: AtomicU32,
}

impl Server {
    pub(super) fn new(upstream: &config::Upstream, index: usize, url: &ServerUrl) -> Self {
        let (host, port, socket) = match &url.location {
            Location::Host { host, port, .. } => (Arc::clone(host), *port, None),
            Location::Unix(path) => (Arc::from(""), 0, Some(Arc::clone(path))),
            // Its targets say the ports.
            Location::Service(service) => (Arc::clone(service), 0, None),
        };
        let target = Target {
            upstream: Arc::clone(&upstream.name),
            url: Arc::clone(&url.text),
            host,
            port,
            tls: url.tls,
            socket,
        };
        Self {
            index,
            url: url.clone(),
            target: Arc::new(target),
            whereabouts: Whereabouts::new(upstream.slow_start),
            in_flight: AtomicU32::new(0),
        }
    }

    /// Requests in flight to it, of all cores together.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request as in flight until the value returned is dropped.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { server: Arc::clone(self), place: None }
    }
}

/// A request in flight to a server.
#[derive(Debug)]
pub struct InFlight {
    server: Arc<Server>,
    /// Its place, where those are limited.
    place: Option<Place>,
}

impl InFlight {
    /// The server.
    #[must_use]
    pub const fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The same, with a place that is held as long.
    #[must_use]
    pub(super) fn with(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.server.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
