//! Owns the order in which those are served who wait for a place, and who gives way when there is no room to wait.
//!
//! Whoever has waited longest is next. That is fair as long as everybody is served in the end. Where more is asked for than
//! can be done, and not just for a moment, it is the worst of all orders: every answer comes as late as the queue is long, and
//! many to clients who have no patience left. Then the newest is next, and where the queue is full the oldest gives way: as
//! many are served, nearly at once, and the others are told soon. When nobody waits any more, it is as before.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::fault::failure::Limited;

/// Those who wait. What each is handed when its time comes is an `Heir`.
#[derive(Debug)]
pub(super) struct Queue<Heir> {
    waiting: VecDeque<Waiting<Heir>>,
    next: u64,
    pressure: Pressure,
}

/// One who waits.
#[derive(Debug)]
pub(super) struct Waiting<Heir> {
    number: u64,
    /// For what.
    pub(super) what: Limited,
    /// The servers at which a place will do.
    pub(super) servers: Vec<usize>,
    pub(super) heir: Heir,
}

/// Whether more is asked for than can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pressure {
    /// Everybody was served.
    None,
    /// Some had to be sent away, the first of them at that moment.
    Since(Instant),
    /// It has gone on for too long to be a moment's rush.
    Lasting,
}

impl<Heir> Default for Queue<Heir> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), next: 0, pressure: Pressure::None }
    }
}

impl<Heir> Queue<Heir> {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a place at the end; answers its number.
    pub(super) fn join(&mut self, what: Limited, servers: Vec<usize>, heir: Heir) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting.push_back(Waiting { number, what, servers, heir });
        number
    }

    /// Who is next for a place at this server.
    pub(super) fn next(&mut self, what: Limited, server: usize) -> Option<Waiting<Heir>> {
        let fits = |it: &Waiting<Heir>| it.what == what && it.servers.contains(&server);
        let newest_first = self.pressure == Pressure::Lasting && what == Limited::Requests;
        let found = if newest_first { self.waiting.iter().rposition(fits) } else { self.waiting.iter().position(fits) };
        self.take(found?)
    }

    /// Leaves the queue; who is not in it any more has left already.
    pub(super) fn leave(&mut self, number: u64) -> Option<Waiting<Heir>> {
        // Numbers only grow on the way to the back.
        self.take(self.waiting.binary_search_by_key(&number, |waiting| waiting.number).ok()?)
    }

    /// The request that gives way to a newer one, where the queue is full and has been under pressure for a while.
    pub(super) fn give_way(&mut self) -> Option<Waiting<Heir>> {
        let lasting = self.pressure == Pressure::Lasting;
        let oldest = self.waiting.iter().position(|it| it.what == Limited::Requests).filter(|_| lasting);
        self.take(oldest?)
    }

    /// Somebody had to be sent away, for there was no room or it has waited in vain.
    pub(super) fn sent_away(&mut self, now: Instant) {
        self.pressure = match self.pressure {
            Pressure::None => Pressure::Since(now),
            Pressure::Since(first) if now.saturating_duration_since(first) < RUSH => Pressure::Since(first),
            Pressure::Since(_) | Pressure::Lasting => Pressure::Lasting,
        };
    }

    fn take(&mut self, at: usize) -> Option<Waiting<Heir>> {
        let taken = self.waiting.remove(at);
        if self.waiting.is_empty() {
            self.pressure = Pressure::None;
        }
        taken
    }
}

/// How long a moment's rush may last.
const RUSH: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Queue;
    use crate::fault::failure::Limited::Connections;
    use crate::fault::failure::Limited::Requests;

    fn filled(count: u64) -> Queue<()> {
        let mut queue = Queue::default();
        (0..count).for_each(|number| assert_eq!(queue.join(Requests, vec![0], ()), number));
        queue
    }

    fn next(queue: &mut Queue<()>) -> Option<u64> {
        queue.next(Requests, 0).map(|waiting| waiting.number)
    }

    #[test]
    fn who_waits_longest_is_next_also_after_a_rush() {
        let now = Instant::now();
        let mut queue = filled(4);
        queue.sent_away(now);
        queue.sent_away(now + Duration::from_millis(99));
        assert!(queue.give_way().is_none(), "the newest is sent away, not the oldest");
        assert_eq!([(); 5].map(|()| next(&mut queue)), [Some(0), Some(1), Some(2), Some(3), None]);
    }

    #[test]
    fn under_lasting_pressure_the_newest_is_next_and_the_oldest_gives_way() {
        let now = Instant::now();
        let mut queue = filled(4);
        queue.sent_away(now);
        queue.sent_away(now + Duration::from_millis(100));
        assert_eq!(queue.give_way().map(|waiting| waiting.number), Some(0));
        assert_eq!(next(&mut queue), Some(3));
        assert_eq!(queue.join(Requests, vec![0], ()), 4);
        assert_eq!([(); 4].map(|()| next(&mut queue)), [Some(4), Some(2), Some(1), None]);
        // Nobody waits any more, so it is over.
        (5..8).for_each(|number| assert_eq!(queue.join(Requests, vec![0], ()), number));
        assert_eq!((next(&mut queue), queue.give_way().is_none()), (Some(5), true));
    }

    #[test]
    fn pressure_is_over_when_nobody_waits() {
        let now = Instant::now();
        let mut queue = filled(2);
        queue.sent_away(now);
        assert_eq!((next(&mut queue), next(&mut queue)), (Some(0), Some(1)));
        (2..4).for_each(|number| assert_eq!(queue.join(Requests, vec![0], ()), number));
        queue.sent_away(now + Duration::from_secs(1));
        assert!(queue.give_way().is_none(), "that is another rush");
    }

    #[test]
    fn who_leaves_is_passed_over_and_connections_keep_their_turn() {
        let now = Instant::now();
        let mut queue = filled(3);
        queue.join(Connections, vec![0], ());
        queue.join(Connections, vec![0], ());
        queue.sent_away(now);
        queue.sent_away(now + Duration::from_secs(1));
        assert!(queue.leave(1).is_some() && queue.leave(1).is_none());
        assert_eq!(queue.next(Connections, 0).map(|waiting| waiting.number), Some(3));
        assert_eq!(queue.next(Requests, 1).map(|waiting| waiting.number), None, "not at that server");
        assert_eq!((next(&mut queue), next(&mut queue), next(&mut queue)), (Some(2), Some(0), None));
        assert_eq!(queue.len(), 1);
    }

    /// Whatever happens in whatever order, nobody is lost and nobody is served twice.
    #[test]
    fn everybody_is_served_leaves_or_gives_way_once() {
        let mut chance = fastrand::Rng::with_seed(502);
        for _ in 0..200 {
            let (mut queue, mut now) = (Queue::default(), Instant::now());
            let (mut inside, mut out) = (Vec::new(), Vec::new());
            for _ in 0..200 {
                now += Duration::from_millis(chance.u64(0..40));
                let gone = match chance.u8(0..6) {
                    0..=2 => {
                        inside.push(queue.join(Requests, vec![chance.usize(0..2)], ()));
                        None
                    }
                    3 => queue.next(Requests, chance.usize(0..2)),
                    4 => queue.leave(chance.u64(0..200)),
                    _ => {
                        queue.sent_away(now);
                        queue.give_way()
                    }
                };
                out.extend(gone.map(|waiting| waiting.number));
                assert_eq!(queue.len() + out.len(), inside.len());
            }
            let count = out.len();
            out.sort_unstable();
            out.dedup();
            assert_eq!(out.len(), count, "somebody was served twice");
        }
    }
}
