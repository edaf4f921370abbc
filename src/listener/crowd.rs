//! Owns who is in on one core: where all places are taken, those who only wait make way for those who want to come in.
//!
//! Nothing is kept in order while there is room. When there is none, one look over all clients finds those that have waited
//! for the longest, and serves for as many newcomers.

use std::cell::Cell;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::task::Waker;
use std::time::Duration;

use slab::Slab;
use tokio::time::Instant;

use crate::listener::gatekeeper::Gatekeeper;

/// The clients of one core.
#[derive(Debug, Default)]
pub struct Crowd {
    seats: RefCell<Slab<Rc<Seat>>>,
    /// Those that had waited for the longest at the last look, the longest of them last.
    waiting: RefCell<Vec<(Instant, usize)>>,
}

/// A client's connection, as far as it is in use. Leaves the crowd when it is dropped.
#[derive(Debug)]
pub(super) struct Seated {
    crowd: Rc<Crowd>,
    key: usize,
    seat: Rc<Seat>,
}

/// What a connection says of itself to the crowd, and what it is told.
#[derive(Default)]
pub(super) struct Seat {
    idle_since: Cell<Option<Instant>>,
    told_to_leave: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Crowd {
    /// Takes a client in. It counts as one that only waits from a moment later: its first request may be on its way.
    pub(super) fn sit_down(self: &Rc<Self>) -> Seated {
        let seat = Rc::<Seat>::default();
        seat.idle(Instant::now() + MOMENT);
        let key = self.seats.borrow_mut().insert(Rc::clone(&seat));
        Seated { crowd: Rc::clone(self), key, seat }
    }

    /// Tells clients to leave whenever one is wanted to; for as long as the core runs.
    pub async fn make_room(self: Rc<Self>, gatekeeper: Arc<Gatekeeper>) {
        loop {
            gatekeeper.crowded().await;
            if gatekeeper.wants_room() && !self.make_way() {
                gatekeeper.want_room();
            }
        }
    }

    /// Tells the client that has waited for the longest to leave; false where none only waits.
    pub(super) fn make_way(&self) -> bool {
        self.dismiss() || {
            self.look();
            self.dismiss()
        }
    }

    fn dismiss(&self) -> bool {
        let seats = self.seats.borrow();
        let mut waiting = self.waiting.borrow_mut();
        // Whoever was served since, or has left, is passed over.
        while let Some((since, key)) = waiting.pop() {
            if let Some(seat) = seats.get(key).filter(|seat| seat.idle_since.get() == Some(since))
                && seat.tell_to_leave()
            {
                return true;
            }
        }
        false
    }

    fn look(&self) {
        let mut waiting = self.waiting.borrow_mut();
        let seats = self.seats.borrow();
        let now = Instant::now();
        let idle = seats.iter().filter(|(_, seat)| !seat.told_to_leave.get());
        let since = idle.filter_map(|(key, seat)| Some((seat.idle_since.get()?, key)));
        waiting.extend(since.filter(|(since, _)| *since <= now));
        if waiting.len() > AT_ONCE {
            waiting.select_nth_unstable(AT_ONCE);
            waiting.truncate(AT_ONCE);
        }
        waiting.sort_unstable_by(|one, other| other.cmp(one));
    }
}

impl Seated {
    /// What its connection says of itself.
    pub(super) fn seat(&self) -> Rc<Seat> {
        Rc::clone(&self.seat)
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.crowd.seats.borrow_mut().try_remove(self.key);
    }
}

impl Seat {
    /// Nothing is asked for on it.
    pub(super) fn idle(&self, since: Instant) {
        self.idle_since.set(Some(since));
    }

    /// Something is.
    pub(super) fn busy(&self) {
        self.idle_since.set(None);
        self.told_to_leave.set(false);
    }

    /// Whether it has to leave for others; whoever asks hears of a change.
    pub(super) fn has_to_leave(&self, cx: &Context<'_>) -> bool {
        match &mut *self.waker.borrow_mut() {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        self.told_to_leave.get()
    }

    /// Whether this was news to it.
    fn tell_to_leave(&self) -> bool {
        let is_news = !self.told_to_leave.replace(true);
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
        is_news
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("idle_since", &self.idle_since).finish_non_exhaustive()
    }
}

/// For how many newcomers one look over all clients serves.
const AT_ONCE: usize = 64;
/// How long whoever has just come may take to ask for something before others can have its place.
const MOMENT: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::task::Context;
    use std::task::Waker;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::AT_ONCE;
    use super::Crowd;
    use super::MOMENT;
    use super::Seated;

    fn leaves(seated: &Seated) -> bool {
        seated.seat.has_to_leave(&Context::from_waker(Waker::noop()))
    }

    /// Clients of a crowd, each of whom waits since so many seconds; none is served.
    fn crowd(waits: &[Option<u64>]) -> (Rc<Crowd>, Vec<Seated>) {
        let crowd = Rc::<Crowd>::default();
        let now = Instant::now();
        let seat = |wait: &Option<u64>| {
            let seated = crowd.sit_down();
            match wait {
                Some(seconds) => seated.seat.idle(now - Duration::from_secs(*seconds)),
                None => seated.seat.busy(),
            }
            seated
        };
        let seated = waits.iter().map(seat).collect();
        (crowd, seated)
    }

    #[test]
    fn who_has_waited_for_the_longest_goes_first_and_who_is_served_stays() {
        let (crowd, seated) = crowd(&[Some(1), Some(3), None, Some(2)]);
        for expected in [[false, true, false, false], [false, true, false, true], [true, true, false, true]] {
            assert!(crowd.make_way());
            assert_eq!(seated.iter().map(leaves).collect::<Vec<_>>(), expected);
        }
        assert!(!crowd.make_way(), "whoever is left is being served");
    }

    #[test]
    fn who_is_served_since_the_look_or_has_left_is_passed_over() {
        let (crowd, mut seated) = crowd(&[Some(1), Some(2), Some(3), Some(4)]);
        assert!(crowd.make_way() && leaves(&seated[3]));
        seated[2].seat.busy();
        drop(seated.remove(1));
        assert!(crowd.make_way() && leaves(&seated[0]));
        assert!(!crowd.make_way() && !leaves(&seated[1]));
        // It has been served, and waits again.
        seated[1].seat.idle(Instant::now());
        assert!(crowd.make_way() && leaves(&seated[1]));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_just_come_has_a_moment_to_ask() {
        let crowd = Rc::<Crowd>::default();
        let seated = crowd.sit_down();
        assert!(!crowd.make_way() && !leaves(&seated));
        tokio::time::advance(MOMENT).await;
        assert!(crowd.make_way() && leaves(&seated));
    }

    #[test]
    fn one_look_serves_for_many_and_loses_nobody() {
        let waits: Vec<_> = (0..3 * AT_ONCE as u64).map(Some).collect();
        let (crowd, seated) = crowd(&waits);
        for gone in 1..=seated.len() {
            assert!(crowd.make_way());
            assert_eq!(seated.iter().rev().take_while(|seated| leaves(seated)).count(), gone);
        }
        assert!(!crowd.make_way());
    }
}
