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
            let waits = self.due.iter().enumerate().filter_map(|(server, slot)| {
                let share = share(server);
                (share > 0).then(|| (wait(slot, share, clock), server, share))
            });
            let (wait, server, share) = waits.min_by_key(|(wait, server, _)| (*wait, *server))?;
            let turn = clock.wrapping_add(wait);
            let slot = self.due.get(server)?;
            let (order, next) = (Ordering::Relaxed, turn.wrapping_add(pause(share)));
            // Another core may have taken this turn.
            if slot.compare_exchange(turn, next, order, order).is_ok() {
                self.clock.compare_exchange(clock, turn, order, order).ok();
                return Some(server);
            }
        }
    }
}

/// How long it takes from that moment until a server is due. The clock may turn over, so that moments are compared by how far they
/// lie ahead.
fn wait(slot: &AtomicU64, share: u32, clock: u64) -> u64 {
    let ahead = |due: u64| u64::try_from(due.wrapping_sub(clock).cast_signed()).ok();
    let due = slot.load(Ordering::Relaxed);
    ahead(due).unwrap_or_else(|| {
        // It is noted, for otherwise it would be as far ahead at every turn, behind whoever is due sooner.
        let (anew, order) = (clock.wrapping_add(pause(share) / 2), Ordering::Relaxed);
        slot.compare_exchange(due, anew, order, order).ok();
        pause(share) / 2
    })
}

/// How long it takes until a server is due again.
const fn pause(share: u32) -> u64 {
    // Shares are at most a million, so that this has six digits at least.
    (1 << 40) / (if share == 0 { 1 } else { share as u64 })
}
