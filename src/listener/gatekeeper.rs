//! Owns how many clients may be in at once, in all and of one address, over all cores.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;

use crate::config::Limits;
use crate::fault::failure::Peer;
use crate::net::deadline::within;

/// Counts clients.
#[derive(Debug)]
pub struct Gatekeeper {
    most: AtomicUsize,
    most_of_one: AtomicUsize,
    inside: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    /// Somebody has left.
    freed: Notify,
    /// Somebody waits for a place, and a client that only waits for its next request should leave.
    crowded: Notify,
    wants_room: AtomicBool,
}

/// A client's place, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    gatekeeper: Arc<Gatekeeper>,
    address: Option<IpAddr>,
    inside: bool,
}

impl Gatekeeper {
    /// For these limits.
    #[must_use]
    pub fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            most: AtomicUsize::new(limits.connections),
            most_of_one: AtomicUsize::new(limits.connections_per_client),
            inside: AtomicUsize::new(0),
            by_address: Mutex::default(),
            freed: Notify::new(),
            crowded: Notify::new(),
            wants_room: AtomicBool::new(false),
        })
    }

    /// Goes by these limits from now on. Whoever is in stays.
    pub fn adjust(&self, limits: &Limits) {
        self.most.store(limits.connections, Ordering::Relaxed);
        self.most_of_one.store(limits.connections_per_client, Ordering::Relaxed);
    }

    /// How many clients are in.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }

    /// A place for this client, once there is one; none where its address has all that one address may have. Without a peer it is
    /// not known yet who the client is.
    pub async fn admit(self: &Arc<Self>, peer: Option<&Peer>) -> Option<Place> {
        let mut place = Place { gatekeeper: Arc::clone(self), address: None, inside: false };
        if !peer.is_none_or(|peer| place.is_free_for(peer)) {
            return None;
        }
        while !self.enter() {
            self.want_room();
            self.crowded.notify_waiters();
            within(CROWDED_PAUSE, self.freed.notified()).await.ok();
        }
        place.inside = true;
        Some(place)
    }

    /// Counts one more inside, if there is room.
    fn enter(&self) -> bool {
        let mut inside = self.inside.load(Ordering::Relaxed);
        while inside < self.most.load(Ordering::Relaxed) {
            match self.inside.compare_exchange_weak(inside, inside + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => inside = now,
            }
        }
        false
    }

    /// Waits until there is a crowd.
    pub(super) async fn crowded(&self) {
        self.crowded.notified().await;
    }

    /// Whether room is wanted; whoever asks has to make it, or to say that it cannot.
    pub(super) fn wants_room(&self) -> bool {
        self.wants_room.swap(false, Ordering::Relaxed)
    }

    /// Lets it be made, by the first core that can.
    pub(super) fn want_room(&self) {
        self.wants_room.store(true, Ordering::Relaxed);
    }
}

impl Place {
    /// Counts the client among those of its address, and of no other. Not, and then it may not stay, where they are all that one
    /// address may have.
    pub(super) fn is_free_for(&mut self, peer: &Peer) -> bool {
        self.leave_address();
        let most = self.gatekeeper.most_of_one.load(Ordering::Relaxed);
        let address = match peer {
            Peer::Tcp(address) if most > 0 => address.ip(),
            Peer::Tcp(_) | Peer::Unix(_) => return true,
        };
        let mut counts = self.gatekeeper.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        let free = *count < most;
        if free {
            *count += 1;
            self.address = Some(address);
        }
        free
    }

    fn leave_address(&mut self) {
        let Some(address) = self.address.take() else { return };
        let mut counts = self.gatekeeper.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.inside {
            self.gatekeeper.inside.fetch_sub(1, Ordering::Relaxed);
            self.gatekeeper.freed.notify_one();
        }
        self.leave_address();
    }
}

/// How often somebody is told to leave while there is no place and nobody leaves.
const CROWDED_PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Gatekeeper;
    use crate::config::Limits;
    use crate::fault::failure::Peer;
    use crate::net::deadline::within;

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

    #[tokio::test]
    async fn one_address_has_only_its_own_places_and_gets_them_back() {
        let gatekeeper = Gatekeeper::new(&limits(100, 2));
        let first = gatekeeper.admit(Some(&peer("10.0.0.1:1"))).await;
        let second = gatekeeper.admit(Some(&peer("10.0.0.1:2"))).await;
        assert!(first.is_some() && second.is_some());
        assert!(gatekeeper.admit(Some(&peer("10.0.0.1:3"))).await.is_none());
        assert!(gatekeeper.admit(Some(&peer("10.0.0.2:1"))).await.is_some());
        drop(first);
        assert!(gatekeeper.admit(Some(&peer("10.0.0.1:4"))).await.is_some());
    }

    #[tokio::test]
    async fn whoever_turns_out_to_be_somebody_else_is_counted_once() {
        let gatekeeper = Gatekeeper::new(&limits(100, 1));
        let mut place = gatekeeper.admit(Some(&peer("10.0.0.1:1"))).await.unwrap();
        // A reload asks for PROXY headers while the client waits.
        assert!(place.is_free_for(&peer("192.0.2.7:1")));
        assert!(gatekeeper.admit(Some(&peer("192.0.2.7:2"))).await.is_none());
        assert!(gatekeeper.admit(Some(&peer("10.0.0.1:2"))).await.is_some());
        drop(place);
        assert!(gatekeeper.admit(Some(&peer("192.0.2.7:3"))).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_place_is_waited_for() {
        let gatekeeper = Gatekeeper::new(&limits(1, 0));
        let first = gatekeeper.admit(Some(&peer("10.0.0.1:1"))).await;
        let other = peer("10.0.0.2:1");
        let second = gatekeeper.admit(Some(&other));
        assert!(within(Duration::from_secs(1), second).await.is_err());
        drop(first);
        assert!(gatekeeper.admit(Some(&peer("10.0.0.2:2"))).await.is_some());
        assert_eq!(gatekeeper.inside(), 0);
    }

    #[tokio::test]
    async fn other_limits_hold_for_whoever_comes_next() {
        let gatekeeper = Gatekeeper::new(&limits(100, 1));
        let first = gatekeeper.admit(Some(&peer("10.0.0.1:1"))).await;
        gatekeeper.adjust(&limits(100, 2));
        let second = gatekeeper.admit(Some(&peer("10.0.0.1:2"))).await;
        assert!(second.is_some() && gatekeeper.admit(Some(&peer("10.0.0.1:3"))).await.is_none());
        gatekeeper.adjust(&limits(100, 0));
        assert!(gatekeeper.admit(Some(&peer("10.0.0.1:3"))).await.is_some());
        drop((first, second));
        assert_eq!(gatekeeper.inside(), 0);
    }

    #[tokio::test]
    async fn peers_of_unix_sockets_are_not_told_apart() {
        let gatekeeper = Gatekeeper::new(&limits(100, 1));
        let unix = Peer::Unix(Arc::from(""));
        let mut places = Vec::new();
        for _ in 0..5 {
            places.extend(gatekeeper.admit(Some(&unix)).await);
        }
        assert_eq!((places.len(), gatekeeper.inside()), (5, 5));
        drop(places);
        assert_eq!(gatekeeper.inside(), 0);
    }
}
