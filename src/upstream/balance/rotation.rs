//! Owns the turns: servers one after the other, each as often as its share, spread as evenly as can be.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Whose turn it is. Each server has a moment at which it is due, on a clock that only turns count; after each turn it is due
/// again the sooner the larger its share.
#[derive(Debug)]
pub(super) struct Rotation {
    due: Box<[AtomicU64]>,
    /// The moment of the latest turn. Who could not be chosen for a while is due from then on, as at the beginning.
    clock: AtomicU64,
}

impl Rotation {
    pub(super) fn new(shares: &[u32]) -> Self {
        let first = |share: &u32| AtomicU64::new(pause(*share) / 2);
        Self { due: shares.iter().map(first).collect(), clock: AtomicU64::new(0) }
    }

    /// The next one that has a share.
    pub(super) fn next(&self, share: impl Fn(usize) -> u32) -> Option<usize> {
        loop {
            let clock = self.clock.load(Ordering::Relaxed);
            // The clock may turn over, so that moments are compared by how far they lie ahead.
            let wait = |due: u64, share: u32| {
                u64::try_from(due.wrapping_sub(clock).cast_signed()).unwrap_or_else(|_| pause(share) / 2)
            };
            let waits = self.due.iter().enumerate().filter_map(|(server, due)| {
                let share = share(server);
                let due = due.load(Ordering::Relaxed);
                (share > 0).then(|| (wait(due, share), server, due, share))
            });
            let (wait, server, due, share) = waits.min_by_key(|(wait, server, ..)| (*wait, *server))?;
            let turn = clock.wrapping_add(wait);
            let slot = self.due.get(server)?;
            let (order, next) = (Ordering::Relaxed, turn.wrapping_add(pause(share)));
            // Another core may have taken this turn.
            if slot.compare_exchange(due, next, order, order).is_ok() {
                self.clock.compare_exchange(clock, turn, order, order).ok();
                return Some(server);
            }
        }
    }
}

/// How long it takes until a server is due again.
const fn pause(share: u32) -> u64 {
    // Shares are at most a million, so that this has six digits at least.
    (1 << 40) / (if share == 0 { 1 } else { share as u64 })
}
