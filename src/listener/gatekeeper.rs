//! Owns how many clients may be in at once, in all and of one address, over all cores.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::config::Limits;
use crate::fault::failure::Peer;
use crate::net::deadline::Deadline;

/// Counts clients.
#[derive(Debug)]
pub struct Gatekeeper {
    most: usize,
    most_of_one: usize,
    inside: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A client's place, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    gatekeeper: Arc<Gatekeeper>,
    address: Option<IpAddr>,
}

impl Gatekeeper {
    /// For these limits.
    #[must_use]
    pub fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            most: limits.connections,
            most_of_one: limits.connections_per_client,
            inside: AtomicUsize::new(0),
            by_address: Mutex::default(),
        })
    }

    /// How many clients are in.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }

    /// Waits while every place is taken.
    pub async fn wait_for_place(&self) {
        while self.inside() >= self.most {
            Deadline::after(CROWDED_PAUSE).await;
        }
    }

    /// A place for this client; none where its address has all that one address may have.
    #[must_use]
    pub fn admit(self: &Arc<Self>, peer: &Peer) -> Option<Place> {
        let address = match peer {
            Peer::Tcp(address) if self.most_of_one > 0 => Some(address.ip()),
            Peer::Tcp(_) | Peer::Unix(_) => None,
        };
        if let Some(address) = address {
            let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(address).or_insert(0);
            if *count >= self.most_of_one {
                return None;
            }
            *count += 1;
        }
        self.inside.fetch_add(1, Ordering::Relaxed);
        Some(Place { gatekeeper: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gatekeeper.inside.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let mut counts = self.gatekeeper.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

/// How often a place is looked for while there is none.
const CROWDED_PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Gatekeeper;
    use crate::config::Limits;
    use crate::fault::failure::Peer;

    fn limits(connections: usize, connections_per_client: usize) -> Limits {
        Limits {
            connections,
            request_header_bytes: 65_536,
            request_body_bytes: 0,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(75),
            connections_per_client,
        }
    }

    fn peer(address: &str) -> Peer {
        Peer::Tcp(address.parse().unwrap())
    }

    #[test]
    fn one_address_has_only_its_own_places_and_gets_them_back() {
        let gatekeeper = Gatekeeper::new(&limits(100, 2));
        let first = gatekeeper.admit(&peer("10.0.0.1:1"));
        let second = gatekeeper.admit(&peer("10.0.0.1:2"));
        assert!(first.is_some() && second.is_some());
        assert!(gatekeeper.admit(&peer("10.0.0.1:3")).is_none());
        assert!(gatekeeper.admit(&peer("10.0.0.2:1")).is_some());
        drop(first);
        assert!(gatekeeper.admit(&peer("10.0.0.1:4")).is_some());
    }

    #[test]
    fn peers_of_unix_sockets_are_not_told_apart() {
        let gatekeeper = Gatekeeper::new(&limits(100, 1));
        let unix = Peer::Unix(Arc::from(""));
        let places: Vec<_> = (0..5).filter_map(|_| gatekeeper.admit(&unix)).collect();
        assert_eq!((places.len(), gatekeeper.inside()), (5, 5));
        drop(places);
        assert_eq!(gatekeeper.inside(), 0);
    }
}
