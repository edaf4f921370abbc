//! Owns time limits: a wheel of deadlines a thread, turned by one coarse tick.
//!
//! A timer of its own for every exchange would arm a kernel timer at each wait, which costs more than the bookkeeping of
//! the whole request. Deadlines are late by up to one `TICK`, never early.

use std::cell::Cell;
use std::cell::RefCell;
use std::future::Future;
use std::future::poll_fn;
use std::pin::Pin;
use std::pin::pin;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;

use slab::Slab;
use tokio::time::Instant;

/// A limit that ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing happened within {0:?}")]
pub struct Late(pub Duration);

/// Waits for `work`, but no longer than `limit`.
///
/// # Errors
///
/// `Late` when the limit ran out first; `work` is dropped then.
pub async fn within<F: Future>(limit: Duration, work: F) -> Result<F::Output, Late> {
    let mut work = pin!(work);
    let mut deadline = Deadline::after(limit);
    poll_fn(|cx| {
        if let Poll::Ready(output) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut deadline).poll(cx).map(|()| Err(Late(limit)))
    })
    .await
}

/// A moment in the future that can be waited for, and moved at next to no cost.
///
/// It belongs to the thread on which it is first polled, and so to one current-thread runtime.
#[derive(Debug)]
pub struct Deadline {
    at: Instant,
    key: Option<usize>,
}

impl Deadline {
    /// The moment that lies this far ahead.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self::at(far(Instant::now(), limit))
    }

    /// That moment.
    #[must_use]
    pub const fn at(at: Instant) -> Self {
        Self { at, key: None }
    }

    /// Ready when something has run out. What is due is only asked for when the moment comes, and may lie further ahead by then.
    pub fn poll_due<L>(&mut self, cx: &mut Context<'_>, due: impl Fn() -> Due<L>) -> Poll<L> {
        while Pin::new(&mut *self).poll(cx).is_ready() {
            match due() {
                Due::At(at) => self.reset(at),
                Due::Late(late) => return Poll::Ready(late),
            }
        }
        Poll::Pending
    }

    /// Moves it.
    pub fn reset(&mut self, at: Instant) {
        let sooner = at < self.at;
        self.at = at;
        if let Some(key) = self.key {
            if sooner {
                // The wheel only looks at an entry when its old moment comes, which is too late for an earlier one.
                WHEEL.with_borrow_mut(|wheel| wheel.remove(key));
                self.key = None;
            } else {
                WHEEL.with_borrow_mut(|wheel| wheel.postpone(key, at));
            }
        }
    }
}

/// When a limit has to be looked at again, or what comes of it that it has run out.
#[derive(Debug)]
pub enum Due<L> {
    /// At that moment, no sooner.
    At(Instant),
    /// It has run out.
    Late(L),
}

impl<L> Due<L> {
    /// This, from that moment on.
    pub fn by(at: Instant, late: L) -> Self {
        if Instant::now() >= at { Self::Late(late) } else { Self::At(at) }
    }

    /// The same, but at that moment again where there is an excuse.
    #[must_use]
    pub fn unless(self, has_excuse: impl FnOnce() -> bool, again: Instant) -> Self {
        match self {
            Self::Late(_) if has_excuse() => Self::At(again),
            Self::At(_) | Self::Late(_) => self,
        }
    }

    /// The same, looked at again at that moment at the latest: another limit may come into force in the meantime, and it may be a
    /// shorter one.
    #[must_use]
    pub fn and_look(self, at: Instant) -> Self {
        match self {
            Self::At(due) => Self::At(due.min(at)),
            late @ Self::Late(_) => late,
        }
    }
}

impl Future for Deadline {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // It comes with a tick, whose time is known. One that was just made lies ahead of the next.
        if self.key.is_some() && TICKED.get() >= Some(self.at) {
            if let Some(key) = self.key.take() {
                WHEEL.with_borrow_mut(|wheel| wheel.remove(key));
            }
            return Poll::Ready(());
        }
        let at = self.at;
        let start = WHEEL.with_borrow_mut(|wheel| {
            match self.key {
                Some(key) => wheel.watch(key, cx.waker()),
                None => self.key = Some(wheel.insert(at, cx.waker().clone())),
            }
            !std::mem::replace(&mut wheel.turning, true)
        });
        if start {
            tokio::spawn(turn_while_needed(Turning));
        }
        Poll::Pending
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            // The thread may be ending, and its wheel with it.
            WHEEL.try_with(|wheel| wheel.borrow_mut().remove(key)).ok();
        }
    }
}

/// `from + limit`, or a day ahead where that cannot be told.
fn far(from: Instant, limit: Duration) -> Instant {
    from.checked_add(limit).unwrap_or_else(|| from + DAY)
}

/// Marks the wheel as standing when the task that turns it ends, however it ends.
struct Turning;

impl Drop for Turning {
    fn drop(&mut self) {
        WHEEL.try_with(|wheel| wheel.borrow_mut().turning = false).ok();
    }
}

/// Turns this thread's wheel until nothing is on it.
async fn turn_while_needed(turning: Turning) {
    let mut due = Vec::new();
    loop {
        tokio::time::sleep(TICK).await;
        let now = Instant::now();
        let empty = WHEEL.with_borrow_mut(|wheel| {
            wheel.turn(now, &mut due);
            wheel.entries.is_empty()
        });
        TICKED.set(Some(now));
        due.drain(..).for_each(Waker::wake);
        if empty {
            drop(turning);
            return;
        }
    }
}

/// A hashed wheel: each entry hangs in the slot of its tick; those of later rounds are left hanging when it passes.
struct Wheel {
    entries: Slab<Entry>,
    slots: Vec<Vec<usize>>,
    origin: Option<Instant>,
    turned: u64,
    turning: bool,
}

struct Entry {
    at: Instant,
    waker: Option<Waker>,
    slot: usize,
    place: usize,
}

impl Wheel {
    fn new() -> Self {
        Self { entries: Slab::new(), slots: vec![Vec::new(); SLOTS], origin: None, turned: 0, turning: false }
    }

    /// The number of the tick at or after that moment.
    fn tick(&mut self, at: Instant) -> u64 {
        let origin = *self.origin.get_or_insert_with(Instant::now);
        let micros = u64::try_from(at.saturating_duration_since(origin).as_micros()).unwrap_or(u64::MAX);
        (micros / TICK_MICROS + 1).max(self.turned + 1)
    }

    fn insert(&mut self, at: Instant, waker: Waker) -> usize {
        let slot = self.slot(at);
        let key = self.entries.insert(Entry { at, waker: Some(waker), slot, place: 0 });
        self.hang(key, slot);
        key
    }

    fn slot(&mut self, at: Instant) -> usize {
        usize::try_from(self.tick(at) % SLOTS as u64).unwrap_or(0)
    }

    fn hang(&mut self, key: usize, slot: usize) {
        let Some(hanging) = self.slots.get_mut(slot) else { return };
        if let Some(entry) = self.entries.get_mut(key) {
            entry.slot = slot;
            entry.place = hanging.len();
            hanging.push(key);
        }
    }

    fn watch(&mut self, key: usize, waker: &Waker) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        match &mut entry.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        let lost = self.slots.get(entry.slot).and_then(|slot| slot.get(entry.place)) != Some(&key);
        if lost {
            let at = entry.at;
            let slot = self.slot(at);
            self.hang(key, slot);
        }
    }

    /// The entry stays where it hangs; it is moved on when its old moment comes.
    fn postpone(&mut self, key: usize, at: Instant) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.at = at;
        }
    }

    fn remove(&mut self, key: usize) {
        let Some(entry) = self.entries.try_remove(key) else { return };
        let Some(slot) = self.slots.get_mut(entry.slot) else { return };
        if slot.get(entry.place) != Some(&key) {
            return;
        }
        slot.swap_remove(entry.place);
        if let Some(moved) = slot.get(entry.place).and_then(|moved| self.entries.get_mut(*moved)) {
            moved.place = entry.place;
        }
    }

    /// Passes every slot up to now and collects the wakers of what is due.
    fn turn(&mut self, now: Instant, due: &mut Vec<Waker>) {
        let reached = self.tick(now) - 1;
        let from = (self.turned + 1).max(reached.saturating_sub(SLOTS as u64 - 1));
        for tick in from..=reached {
            let index = usize::try_from(tick % SLOTS as u64).unwrap_or(0);
            let Some(hanging) = self.slots.get_mut(index) else { continue };
            let passed = std::mem::take(hanging);
            for key in &passed {
                let Some(entry) = self.entries.get_mut(*key) else { continue };
                if entry.at <= now {
                    due.extend(entry.waker.take());
                    // Off the wheel until it is polled again, which finds that its moment has come, or that it was moved.
                    entry.slot = SLOTS;
                }
            }
            self.turned = self.turned.max(tick);
            for key in passed {
                let Some(entry) = self.entries.get(key) else { continue };
                if entry.slot < SLOTS {
                    let at = entry.at;
                    let slot = self.slot(at);
                    self.hang(key, slot);
                }
            }
        }
        self.turned = self.turned.max(reached);
    }
}

thread_local! {
    static WHEEL: RefCell<Wheel> = RefCell::new(Wheel::new());
    /// When the wheel was last turned.
    static TICKED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// How late a deadline may be.
const TICK: Duration = Duration::from_micros(TICK_MICROS);
const TICK_MICROS: u64 = 10_000;
const SLOTS: usize = 512;
const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Deadline;
    use super::Late;
    use super::TICK;
    use super::within;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_never_early_and_at_most_two_ticks_late() {
        for millis in [0, 1, 9, 10, 11, 250, 5_119, 5_120, 5_121, 60_000] {
            let limit = Duration::from_millis(millis);
            let begin = Instant::now();
            Deadline::after(limit).await;
            let took = begin.elapsed();
            assert!(took >= limit && took <= limit + 2 * TICK, "{limit:?} took {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_is_moved_keeps_to_its_new_moment() {
        for (first, second) in [(100, 900), (900, 100), (10_000, 60), (60, 10_000)] {
            let begin = Instant::now();
            let mut deadline = Deadline::after(Duration::from_millis(first));
            let started = within(Duration::from_millis(15), &mut deadline).await;
            assert!(started.is_err());
            deadline.reset(begin + Duration::from_millis(second));
            deadline.await;
            let took = begin.elapsed();
            let wanted = Duration::from_millis(second);
            assert!(took >= wanted && took <= wanted + 4 * TICK, "{first} moved to {second}: {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_ends_in_time_is_returned() {
        let work = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            7
        };
        assert_eq!(within(Duration::from_millis(100), work).await, Ok(7));
        let limit = Duration::from_millis(100);
        assert_eq!(within(limit, std::future::pending::<()>()).await, Err(Late(limit)));
    }

    #[tokio::test(start_paused = true)]
    async fn many_deadlines_all_come() {
        let begin = Instant::now();
        let tasks: Vec<_> = (0..2000_u64)
            .map(|n| tokio::spawn(async move { Deadline::after(Duration::from_millis(n * 7 % 9_000)).await }))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(begin.elapsed() < Duration::from_millis(9_100), "{:?}", begin.elapsed());
    }
}
