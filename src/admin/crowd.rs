//! Owns how many operators are in at once: where there is no room, whoever has waited for the longest makes way.

use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;
use std::rc::Weak;

use tokio::task::AbortHandle;
use tokio::time::Instant;

/// The connections that are open.
#[derive(Debug, Default)]
pub(super) struct Crowd(RefCell<Vec<Weak<Seat>>>);

/// One of them.
#[derive(Debug)]
pub(super) struct Seat {
    /// When it was last answered, or came.
    idle_since: Cell<Instant>,
    answers: Cell<usize>,
    task: RefCell<Option<AbortHandle>>,
}

/// A connection on which an answer is under way, until this is dropped.
#[derive(Debug)]
pub(super) struct Busy(Rc<Seat>);

impl Crowd {
    /// A seat for one more; none where all who are in are being answered.
    pub(super) fn sit_down(&self) -> Option<Rc<Seat>> {
        let mut seats = self.0.borrow_mut();
        seats.retain(|seat| seat.strong_count() > 0);
        if seats.len() >= MOST_SEATS {
            let idle = seats.iter().filter_map(Weak::upgrade).filter(|seat| seat.answers.get() == 0);
            let longest = idle.min_by_key(|seat| seat.idle_since.get())?;
            longest.task.borrow().as_ref().map(AbortHandle::abort);
            // It has left as far as others are concerned, although its task ends a moment later.
            seats.retain(|seat| !std::ptr::eq(seat.as_ptr(), Rc::as_ptr(&longest)));
        }
        let seat =
            Rc::new(Seat { idle_since: Cell::new(Instant::now()), answers: Cell::new(0), task: RefCell::default() });
        seats.push(Rc::downgrade(&seat));
        Some(seat)
    }
}

impl Seat {
    /// What serves the connection.
    pub(super) fn belongs_to(&self, task: AbortHandle) {
        self.task.replace(Some(task));
    }

    /// An answer begins.
    pub(super) fn busy(self: &Rc<Self>) -> Busy {
        self.answers.set(self.answers.get() + 1);
        Busy(Rc::clone(self))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.answers.set(self.0.answers.get().saturating_sub(1));
        self.0.idle_since.set(Instant::now());
    }
}

/// How many may be in.
const MOST_SEATS: usize = 64;

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use super::Crowd;
    use super::MOST_SEATS;

    #[tokio::test(start_paused = true)]
    async fn whoever_has_waited_longest_makes_way_and_who_is_answered_stays() {
        let crowd = Crowd::default();
        let mut seats = Vec::new();
        for _ in 0..MOST_SEATS {
            let seat = crowd.sit_down().expect("there is room");
            seat.belongs_to(tokio::spawn(std::future::pending::<()>()).abort_handle());
            seats.push(seat);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let answered = seats[0].busy();
        let newcomer = crowd.sit_down();
        assert!(newcomer.is_some());
        tokio::task::yield_now().await;
        let ended =
            |seat: &Rc<super::Seat>| seat.task.borrow().as_ref().is_some_and(tokio::task::AbortHandle::is_finished);
        assert_eq!(seats.iter().position(ended), Some(1), "the first is being answered");
        let all: Vec<_> = seats.iter().map(super::Seat::busy).collect();
        let new = newcomer.map(|seat| seat.busy());
        assert!(crowd.sit_down().is_none(), "nobody only waits");
        drop((answered, all, new));
        assert!(crowd.sit_down().is_some());
    }
}
