//! Owns how much a server is given at once: places for requests and for connections, counted over all cores.
//!
//! A place is a value: whoever holds it is counted, and dropping it hands it to who is next in the queue, on whatever core.
//! Where requests in flight have no limit, none of them comes by here; connections do when they are opened and closed.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::config;
use crate::fault::failure::CapacityEvidence;
use crate::fault::failure::Limited;
use crate::net::deadline::within;
use crate::upstream::queue::Queue;

/// The places of an upstream's servers, as all cores see them.
#[derive(Debug)]
pub struct Capacity {
    limits: config::UpstreamLimits,
    servers: Vec<Counts>,
    queue: Mutex<Queue<oneshot::Sender<Place>>>,
}

/// What is taken of one server. Written with the queue's lock held, and looked at without it.
#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU32,
    connections: AtomicU32,
    /// How many wait for a connection.
    wanted: AtomicU32,
}

impl Counts {
    const fn of(&self, what: Limited) -> &AtomicU32 {
        match what {
            Limited::Requests => &self.requests,
            Limited::Connections => &self.connections,
        }
    }
}

/// One request or connection that is counted, until it is dropped.
#[derive(Debug)]
pub struct Place {
    capacity: Arc<Capacity>,
    what: Limited,
    server: usize,
    held: bool,
}

/// What comes of asking for a place.
#[derive(Debug)]
pub enum Turn {
    /// Here it is.
    Taken(Place),
    /// It will come, or not.
    Waits(Ticket),
    /// There is none, and no room to wait for one.
    Full,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// There was no room to wait for one.
    Full,
    /// None came in time.
    Late,
    /// Newer requests were served first, and there was no room to wait on.
    GaveWay,
}

/// A place in the queue, which is left when this is dropped.
#[derive(Debug)]
pub struct Ticket {
    capacity: Arc<Capacity>,
    number: u64,
    place: oneshot::Receiver<Place>,
}

impl Capacity {
    pub(super) fn new(limits: &config::UpstreamLimits, servers: usize) -> Arc<Self> {
        let counts = std::iter::repeat_with(Counts::default).take(servers);
        Arc::new(Self { limits: limits.clone(), servers: counts.collect(), queue: Mutex::default() })
    }

    /// Whether requests in flight have a limit.
    #[must_use]
    pub const fn limits_requests(&self) -> bool {
        self.limits.in_flight > 0
    }

    /// How long a place is waited for.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        self.limits.queue_timeout
    }

    /// Whether another request may go to this server, as far as can be seen in passing.
    #[must_use]
    pub fn has_room(&self, server: usize) -> bool {
        !self.limits_requests() || self.taken(Limited::Requests, server) < self.limits.in_flight
    }

    /// Whether any connection to this server is open.
    #[must_use]
    pub fn has_connections(&self, server: usize) -> bool {
        self.taken(Limited::Connections, server) > 0
    }

    /// Whether another connection may be opened to this server, as far as can be seen in passing.
    #[must_use]
    pub fn has_connection_left(&self, server: usize) -> bool {
        self.taken(Limited::Connections, server) < self.limits.connections
    }

    /// How many requests wait for a connection to this server, for which idle ones are to make room.
    #[must_use]
    pub fn wanted(&self, server: usize) -> u32 {
        self.servers.get(server).map_or(0, |counts| counts.wanted.load(Ordering::Relaxed))
    }

    /// How many requests wait for a place.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().len()
    }

    /// A place at this server, if there is one.
    #[must_use]
    pub fn take(self: &Arc<Self>, what: Limited, server: usize) -> Option<Place> {
        let queue = self.lock();
        self.take_locked(&queue, what, server)
    }

    /// A place at one of these servers, or one in the queue. `spare` is how many are about to come free anyway, for which that many
    /// may wait although the queue is full.
    #[must_use]
    pub fn take_or_wait(self: &Arc<Self>, what: Limited, servers: Vec<usize>, spare: u32) -> Turn {
        let mut queue = self.lock();
        if let Some(place) = servers.iter().find_map(|server| self.take_locked(&queue, what, *server)) {
            return Turn::Taken(place);
        }
        let promised = servers.iter().map(|server| self.wanted(*server)).sum::<u32>();
        let mut gives_way = None;
        if queue.len() >= self.limits.queue && promised >= spare {
            if what == Limited::Requests {
                queue.sent_away(Instant::now());
                gives_way = queue.give_way();
            }
            if gives_way.is_none() {
                return Turn::Full;
            }
        }
        let (heir, place) = oneshot::channel();
        self.note_wanted(what, &servers, 1);
        let number = queue.join(what, servers, heir);
        drop(queue);
        // Outside the lock, for that wakes it, on whatever core.
        drop(gives_way);
        Turn::Waits(Ticket { capacity: Arc::clone(self), number, place })
    }

    /// How things stand with a server, for the evidence record.
    #[must_use]
    pub fn evidence(&self, what: Limited, server: usize) -> CapacityEvidence {
        let waiting = self.waiting();
        CapacityEvidence {
            what,
            taken: self.taken(what, server),
            limit: self.limit(what),
            waiting,
            queue: self.limits.queue,
        }
    }

    fn take_locked(
        self: &Arc<Self>,
        _queue: &MutexGuard<'_, Queue<oneshot::Sender<Place>>>,
        what: Limited,
        server: usize,
    ) -> Option<Place> {
        let count = self.servers.get(server)?.of(what);
        let taken = count.load(Ordering::Relaxed);
        (taken < self.limit(what)).then(|| {
            count.store(taken + 1, Ordering::Relaxed);
            Place { capacity: Arc::clone(self), what, server, held: true }
        })
    }

    /// Hands a place on to who is next for one like it; where nobody is, it is free.
    fn release(self: &Arc<Self>, what: Limited, server: usize) {
        loop {
            let heir = {
                let mut queue = self.lock();
                let Some(next) = queue.next(what, server) else {
                    if let Some(counts) = self.servers.get(server) {
                        counts.of(what).fetch_sub(1, Ordering::Relaxed);
                    }
                    return;
                };
                self.note_wanted(what, &next.servers, -1);
                next.heir
            };
            // Outside the lock, for a place that nobody takes any more comes back here when it is dropped.
            match heir.send(Place { capacity: Arc::clone(self), what, server, held: true }) {
                Ok(()) => return,
                Err(mut left) => left.held = false,
            }
        }
    }

    fn leave(&self, number: u64) {
        if let Some(left) = self.lock().leave(number) {
            self.note_wanted(left.what, &left.servers, -1);
        }
    }

    /// Counts who waits for a connection; to be called with the lock held.
    fn note_wanted(&self, what: Limited, servers: &[usize], change: i32) {
        if what == Limited::Connections {
            for counts in servers.iter().filter_map(|server| self.servers.get(*server)) {
                let wanted = counts.wanted.load(Ordering::Relaxed);
                counts.wanted.store(wanted.saturating_add_signed(change), Ordering::Relaxed);
            }
        }
    }

    /// How many of these a server has now.
    #[must_use]
    pub fn taken(&self, what: Limited, server: usize) -> u32 {
        self.servers.get(server).map_or(0, |counts| counts.of(what).load(Ordering::Relaxed))
    }

    const fn limit(&self, what: Limited) -> u32 {
        match what {
            Limited::Requests => self.limits.in_flight,
            Limited::Connections => self.limits.connections,
        }
    }

    /// How many connections to a server lie idle, where so many requests are in flight to it, the one that asks among them.
    #[must_use]
    pub fn idle(&self, server: usize, in_flight: u32) -> u32 {
        let busy = in_flight.saturating_sub(1).saturating_sub(self.wanted(server));
        self.taken(Limited::Connections, server).saturating_sub(busy)
    }

    fn lock(&self) -> MutexGuard<'_, Queue<oneshot::Sender<Place>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The server that it is at.
    #[must_use]
    pub const fn server(&self) -> usize {
        self.server
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.held {
            self.capacity.release(self.what, self.server);
        }
    }
}

impl Ticket {
    /// Waits for the place, by one who has waited since then.
    ///
    /// # Errors
    ///
    /// Why it does not come.
    pub async fn place(mut self, since: Instant) -> Result<Place, NoPlace> {
        let left = self.capacity.patience().saturating_sub(since.elapsed());
        match within(left, &mut self.place).await {
            Ok(place) => place.map_err(|_| NoPlace::GaveWay),
            // It may have come in the last moment.
            Err(_) => self.place.try_recv().map_err(|_| {
                self.capacity.lock().sent_away(Instant::now());
                NoPlace::Late
            }),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.capacity.leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Capacity;
    use super::Place;
    use super::Ticket;
    use super::Turn;
    use crate::config;
    use crate::fault::failure::Limited::Connections;
    use crate::fault::failure::Limited::Requests;

    fn capacity(in_flight: u32, queue: usize, servers: usize) -> Arc<Capacity> {
        let queue_timeout = Duration::from_secs(1);
        Capacity::new(&config::UpstreamLimits { connections: 1, in_flight, queue, queue_timeout }, servers)
    }

    fn taken(turn: Turn) -> Place {
        let Turn::Taken(place) = turn else { panic!("{turn:?}") };
        place
    }

    fn waits(turn: Turn) -> Ticket {
        let Turn::Waits(ticket) = turn else { panic!("{turn:?}") };
        ticket
    }

    /// The place, where it has been handed over by now.
    fn handed(ticket: &mut Ticket) -> Option<Place> {
        ticket.place.try_recv().ok()
    }

    #[test]
    fn a_limit_holds_for_each_server_and_a_dropped_place_is_free_again() {
        let capacity = capacity(2, 0, 2);
        let places: Vec<_> = (0..3).map(|_| capacity.take(Requests, 0)).collect();
        assert_eq!(places.iter().flatten().count(), 2);
        assert!(capacity.take(Requests, 1).is_some());
        drop(places);
        assert!(capacity.take(Requests, 0).is_some());
        assert!(capacity.take(Requests, 9).is_none(), "a server that there is not");
    }

    #[test]
    fn a_freed_place_goes_to_who_has_waited_longest() {
        let capacity = capacity(1, 3, 1);
        let place = taken(capacity.take_or_wait(Requests, vec![0], 0));
        let mut tickets: Vec<_> = (0..3).map(|_| waits(capacity.take_or_wait(Requests, vec![0], 0))).collect();
        assert!(matches!(capacity.take_or_wait(Requests, vec![0], 0), Turn::Full));
        drop(tickets.remove(1));
        drop(place);
        assert!(capacity.take(Requests, 0).is_none(), "nobody comes in between");
        assert!(handed(&mut tickets[1]).is_none());
        drop(handed(&mut tickets[0]).expect("the first is next"));
        drop(handed(&mut tickets[1]).expect("then the other one"));
        assert!(capacity.take(Requests, 0).is_some());
    }

    #[test]
    fn who_leaves_with_a_place_in_hand_hands_it_on() {
        let capacity = capacity(1, 2, 1);
        let place = taken(capacity.take_or_wait(Requests, vec![0], 0));
        let first = waits(capacity.take_or_wait(Requests, vec![0], 0));
        let mut second = waits(capacity.take_or_wait(Requests, vec![0], 0));
        drop(place);
        drop(first);
        assert!(handed(&mut second).is_some());
        assert_eq!(capacity.evidence(Requests, 0).waiting, 0);
    }

    #[test]
    fn a_place_only_goes_to_who_can_use_it() {
        let capacity = capacity(1, 3, 2);
        let (zero, one) = (capacity.take(Requests, 0).unwrap(), capacity.take(Requests, 1).unwrap());
        let _connection = capacity.take(Connections, 1).unwrap();
        let mut for_zero = waits(capacity.take_or_wait(Requests, vec![0], 0));
        let mut for_connection = waits(capacity.take_or_wait(Connections, vec![1], 0));
        let mut for_both = waits(capacity.take_or_wait(Requests, vec![0, 1], 0));
        drop(one);
        assert!(handed(&mut for_zero).is_none() && handed(&mut for_connection).is_none());
        assert_eq!(handed(&mut for_both).map(|place| place.server()), Some(1));
        drop(zero);
        assert_eq!(handed(&mut for_zero).map(|place| place.server()), Some(0));
        assert_eq!((capacity.wanted(0), capacity.wanted(1)), (0, 1));
        drop(for_connection);
        assert_eq!(capacity.wanted(1), 0);
    }

    #[test]
    fn an_idle_connection_may_be_waited_for_without_a_queue() {
        let capacity = capacity(0, 0, 1);
        let _idle = capacity.take(Connections, 0).unwrap();
        // The one that asks is in flight itself; the second finds the only idle connection promised.
        assert_eq!(capacity.idle(0, 1), 1);
        let _first = waits(capacity.take_or_wait(Connections, vec![0], capacity.idle(0, 1)));
        assert_eq!(capacity.idle(0, 2), 1);
        assert!(matches!(capacity.take_or_wait(Connections, vec![0], capacity.idle(0, 2)), Turn::Full));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_waited_for_no_longer_than_is_set() {
        let capacity = capacity(1, 1, 1);
        let _place = capacity.take(Requests, 0);
        let begin = tokio::time::Instant::now();
        assert!(waits(capacity.take_or_wait(Requests, vec![0], 0)).place(begin).await.is_err());
        assert!(begin.elapsed() >= capacity.patience());
        assert_eq!(capacity.evidence(Requests, 0).waiting, 0);
    }

    #[test]
    fn the_limit_holds_whatever_threads_do() {
        let capacity = capacity(3, 64, 1);
        let most = std::sync::atomic::AtomicU32::new(0);
        let inside = std::sync::atomic::AtomicU32::new(0);
        let order = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let place = match capacity.take_or_wait(Requests, vec![0], 0) {
                            Turn::Taken(place) => Some(place),
                            Turn::Waits(mut ticket) => handed(&mut ticket),
                            Turn::Full => None,
                        };
                        if let Some(place) = place {
                            most.fetch_max(inside.fetch_add(1, order) + 1, order);
                            inside.fetch_sub(1, order);
                            drop(place);
                        }
                    }
                });
            }
        });
        assert!(most.load(order) <= 3);
        assert_eq!((capacity.evidence(Requests, 0).taken, capacity.evidence(Requests, 0).waiting), (0, 0));
    }
}
