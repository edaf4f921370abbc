//! Owns what is learned of how long a server keeps idle connections: from those that it closed.
//!
//! Nearly every server closes them at one age, and says nowhere which. A proxy that keeps them longer sends a request now and
//! then just as the server hangs up.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::notes::whole_millis;

/// One server's idle connections, as all cores saw them end. Moments are milliseconds of the memory's own clock.
#[derive(Debug, Default)]
pub(in crate::upstream) struct KeepAlive {
    /// The age at which the server closes, in milliseconds; 0 where that is not known.
    age: AtomicU64,
    closes: Mutex<Closes>,
}

#[derive(Debug, Default)]
struct Closes {
    recent: VecDeque<Close>,
    count: u64,
    learned_at: u64,
    /// What the log was last told, and whether it is to be told something else.
    told: u64,
}

#[derive(Debug, Clone, Copy)]
struct Close {
    at: u64,
    idle: u64,
}

impl KeepAlive {
    /// The age at which the server is found to close idle connections.
    pub(in crate::upstream) fn age(&self) -> Option<Duration> {
        Some(self.age.load(Relaxed)).filter(|age| *age > 0).map(Duration::from_millis)
    }

    /// How long a connection may lie idle: less than is configured where the server is found to close earlier.
    pub(in crate::upstream) fn limit(&self, configured: Duration) -> Duration {
        self.age().map_or(configured, |age| configured.min(below(age)))
    }

    /// The server closed a connection that had lain idle for so long. `good` is the longest idle time lately after which one
    /// was still open.
    pub(super) fn closed(&self, idle: Duration, at: u64, good: u64) {
        let mut closes = self.lock();
        closes.count += 1;
        let idle = whole_millis(idle);
        if idle < NOT_IDLE {
            return;
        }
        if closes.recent.len() >= MOST_RECENT {
            closes.recent.pop_front();
        }
        closes.recent.push_back(Close { at, idle });
        if let Some(age) = learned(closes.recent.make_contiguous(), at, good) {
            closes.learned_at = at;
            self.age.store(age, Relaxed);
        }
    }

    /// Forgets what was learned long ago, for the server may have been set up anew; the next connection that it closes at that age
    /// brings it back.
    pub(super) fn refresh(&self, at: u64) {
        if self.age.load(Relaxed) > 0 {
            let mut closes = self.lock();
            if closes.learned_at + HOLDS < at {
                self.age.store(0, Relaxed);
                let spare = closes.recent.len().saturating_sub(ENOUGH - 1);
                closes.recent.drain(..spare);
            }
        }
    }

    /// What was learned and is worth telling: the age, once, and again where it has become another.
    pub(super) fn news(&self) -> Option<Duration> {
        let age = self.age()?;
        let mut closes = self.lock();
        let millis = whole_millis(age);
        let known = closes.told > 0 && closes.told.abs_diff(millis) <= closes.told / 4 + MOMENT;
        if known {
            return None;
        }
        closes.told = millis;
        Some(age)
    }

    /// How often connections were found closed after lying idle, and the least idle time that it happened at lately.
    pub(super) fn idle_closes(&self) -> Option<(u64, Duration)> {
        let closes = self.lock();
        let least = closes.recent.iter().map(|close| close.idle).min()?;
        Some((closes.count, Duration::from_millis(least)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Closes> {
        self.closes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The age at which these were closed, where it is one age: a few of them close together, at several moments, for a server that
/// restarts closes everything at one, and none known that lived longer.
fn learned(closes: &[Close], at: u64, good: u64) -> Option<u64> {
    let recent: Vec<&Close> = closes.iter().filter(|close| close.at + REMEMBERED >= at).collect();
    let recent = recent.get(recent.len().saturating_sub(LOOKED_AT)..)?;
    let least = recent.iter().map(|close| close.idle).min()?;
    let most = recent.iter().map(|close| close.idle).max()?;
    let first = recent.first()?.at;
    let apart = recent.iter().any(|close| close.at > first + MOMENT);
    let one_age = most - least <= least / 10 + MOMENT;
    (recent.len() >= ENOUGH && apart && one_age && good < least + MOMENT / 2).then_some(least)
}

/// How long a connection is kept where the server closes at that age.
pub(in crate::upstream) fn below(age: Duration) -> Duration {
    age.saturating_sub((age / 10).max(MARGIN).min(age / 2))
}

/// A connection that ends within so many milliseconds has not lain idle: its end was under way.
const NOT_IDLE: u64 = 100;
/// Milliseconds by which moments and ages may differ that are the same.
const MOMENT: u64 = 1_000;
/// How many closed connections it takes.
const ENOUGH: usize = 3;
/// How many of the last are looked at.
const LOOKED_AT: usize = 6;
const MOST_RECENT: usize = 16;
/// For how many milliseconds closed connections are remembered, and what was learned from them holds.
const REMEMBERED: u64 = 3 * 3_600_000;
const HOLDS: u64 = 3_600_000;
/// How long before its end a connection is given up at least, where that leaves it half its time: a request that is on its
/// way then is lost.
const MARGIN: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::KeepAlive;

    /// What is learned from connections closed at a moment, each after so long.
    fn after(closes: &[(u64, u64)], good: u64) -> (KeepAlive, Option<u64>) {
        let keep_alive = KeepAlive::default();
        for (at, idle) in closes {
            keep_alive.closed(Duration::from_millis(*idle), *at, good);
        }
        let age = keep_alive.age().map(|age| u64::try_from(age.as_millis()).unwrap());
        (keep_alive, age)
    }

    #[test]
    fn an_age_is_learned_where_several_end_at_it_and_none_lives_longer() {
        let table = [
            (vec![(10_000, 5_001), (20_000, 5_004), (30_000, 5_900)], 4_800, Some(5_001), "node, with its buffer"),
            (vec![(10_000, 5_001), (20_000, 5_004)], 0, None, "too few"),
            (vec![(10_000, 5_001), (10_002, 5_003), (10_010, 5_004)], 0, None, "a restart closes all at once"),
            (vec![(10_000, 5_001), (20_000, 9_000), (30_000, 2_000)], 0, None, "at any age"),
            (vec![(10_000, 5_001), (20_000, 5_004), (30_000, 5_010)], 9_000, None, "one lived longer"),
            (vec![(10_000, 3), (20_000, 0), (30_000, 7)], 0, None, "never idle at all"),
            (vec![(1, 60_000), (2, 9), (50_000, 60_100), (90_000, 60_040)], 0, Some(60_000), "the odd one beside them"),
        ];
        for (closes, good, expected, says) in table {
            assert_eq!(after(&closes, good).1, expected, "{says}");
        }
    }

    #[test]
    fn the_pool_keeps_below_what_was_learned_and_never_above_what_is_configured() {
        let (keep_alive, _) = after(&[(10_000, 20_000), (50_000, 20_004), (90_000, 20_010)], 0);
        let limit = |seconds| keep_alive.limit(Duration::from_secs(seconds));
        assert_eq!(
            (limit(55), limit(18), limit(3)),
            (Duration::from_secs(18), Duration::from_secs(18), Duration::from_secs(3))
        );
        let (short_lived, _) = after(&[(10_000, 300), (50_000, 310), (90_000, 305)], 0);
        assert_eq!(short_lived.limit(Duration::from_secs(55)), Duration::from_millis(150));
        assert_eq!(KeepAlive::default().limit(Duration::from_secs(55)), Duration::from_secs(55));
        assert_eq!(keep_alive.idle_closes(), Some((3, Duration::from_secs(20))));
    }

    #[test]
    fn it_is_told_once_and_forgotten_after_a_while_until_it_is_seen_again() {
        let (keep_alive, _) = after(&[(10_000, 5_000), (20_000, 5_000), (30_000, 5_000)], 0);
        assert_eq!(keep_alive.news(), Some(Duration::from_secs(5)));
        assert_eq!(keep_alive.news(), None);
        keep_alive.refresh(3_000_000);
        assert!(keep_alive.age().is_some());
        keep_alive.refresh(4_000_000);
        assert_eq!(keep_alive.age(), None);
        keep_alive.closed(Duration::from_millis(5_100), 4_010_000, 0);
        assert_eq!((keep_alive.age(), keep_alive.news()), (Some(Duration::from_secs(5)), None));
    }
}
