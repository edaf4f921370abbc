//! Owns the slow start of servers that come back: caches are cold and pools empty, so that a whole share at once may take them
//! down again.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Since when each server is back. Moments are in milliseconds, and 0 is never.
#[derive(Debug)]
pub(super) struct SlowStart {
    lasts: u64,
    since: Box<[AtomicU64]>,
    /// When the last of them has its whole share; 0 where all have.
    until: AtomicU64,
}

impl SlowStart {
    pub(super) fn new(servers: usize, lasts: Duration) -> Self {
        let since = std::iter::repeat_with(AtomicU64::default).take(servers).collect();
        Self { lasts: u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX), since, until: AtomicU64::new(0) }
    }

    /// The server is back from that moment on.
    pub(super) fn returns(&self, server: usize, at: u64) {
        if self.lasts > 0
            && let Some(since) = self.since.get(server)
        {
            since.store(at, Ordering::Relaxed);
            self.until.fetch_max(at.saturating_add(self.lasts), Ordering::Relaxed);
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.until.load(Ordering::Relaxed) > 0
    }

    /// How much of its share the server gets at that moment: a tenth at first, and evenly more from then on.
    pub(super) fn share(&self, server: usize, whole: u32, now: u64) -> u32 {
        let until = self.until.load(Ordering::Relaxed);
        if until > 0 && now >= until {
            // One that comes back in this very moment has moved it, and it stays.
            self.until.compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed).ok();
            return whole;
        }
        let since = self.since.get(server).map_or(0, |since| since.load(Ordering::Relaxed));
        if until == 0 || since == 0 {
            return whole;
        }
        let passed = now.saturating_sub(since).min(self.lasts);
        let least = (whole / 10).max(1);
        let more = u128::from(whole - least) * u128::from(passed) / u128::from(self.lasts.max(1));
        least.saturating_add(u32::try_from(more).unwrap_or(u32::MAX)).min(whole)
    }
}
