//! Owns what paths did: which were answered lately, as each core saw it, and which fail.
//!
//! A path is kept as a hash, without its query; the tables are small and fixed, so that nobody can make them grow.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::diagnosis::history::PathPast;
use crate::per_core::Number;
use crate::per_core::PerCore;

/// A path, as far as it is told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::upstream) struct Path(u32);

impl Path {
    /// The path of a URI, without the query. Nothing is lost by a collision but a word of evidence, so speed is all that counts.
    pub(in crate::upstream) fn of(path: &str) -> Self {
        let mut hash = SEED ^ path.len() as u64;
        let (words, rest) = path.as_bytes().as_chunks();
        for word in words {
            hash = (hash ^ u64::from_ne_bytes(*word)).wrapping_mul(SPREAD).rotate_left(29);
        }
        for byte in rest {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(SPREAD);
        }
        let spread = hash ^ (hash >> 32);
        Self((spread & LOW) as u32)
    }

    fn slot(self) -> usize {
        self.0 as usize % SLOTS
    }
}

/// Paths that were answered, as one core saw it: the last of each slot, with its second.
#[derive(Debug)]
pub(in crate::upstream) struct Answered([Number; SLOTS]);

impl Default for Answered {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Number::default()))
    }
}

impl Answered {
    /// A request for it was answered.
    pub(in crate::upstream) fn note(&self, path: Path, second: u64) {
        if let Some(slot) = self.0.get(path.slot()) {
            slot.set(u64::from(path.0) << 32 | (second & LOW));
        }
    }

    /// When each was, latest last; 0 stands for none.
    fn all(&self) -> Vec<(Path, u64)> {
        let read = |slot: &Number| (Path((slot.get() >> 32) as u32), slot.get() & LOW);
        self.0.iter().map(read).filter(|(_, second)| *second > 0).collect()
    }

    fn last(&self, path: Path) -> Option<u64> {
        let slot = self.0.get(path.slot())?.get();
        (slot >> 32 == u64::from(path.0) && slot & LOW > 0).then_some(slot & LOW)
    }
}

/// What all cores know of an upstream's paths.
#[derive(Debug, Default)]
pub(super) struct Paths {
    answered: PerCore<Answered>,
    failing: Mutex<Vec<Failing>>,
}

/// A path that fails. Times are in seconds.
#[derive(Debug, Clone, Copy)]
struct Failing {
    path: Path,
    /// Since it was last answered.
    first: u64,
    last: u64,
    count: u64,
}

impl Paths {
    /// A table for one core to write.
    pub(super) fn take(&self) -> std::sync::Arc<Answered> {
        self.answered.take()
    }

    /// A request for it failed.
    pub(super) fn failed(&self, path: Path, second: u64) {
        let answered = self.answered.read(|core| core.last(path)).into_iter().flatten().max();
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.retain(|known| known.last + REMEMBERED >= second);
        if let Some(known) = failing.iter_mut().find(|known| known.path == path) {
            if answered.is_some_and(|answered| answered > known.last) {
                known.first = second;
            }
            known.last = second;
            known.count += 1;
            return;
        }
        if failing.len() >= MOST_FAILING
            && let Some(oldest) = failing.iter().enumerate().min_by_key(|(_, known)| known.last).map(|(at, _)| at)
        {
            failing.swap_remove(oldest);
        }
        failing.push(Failing { path, first: second, last: second, count: 1 });
    }

    pub(super) fn past(&self, path: Path, second: u64) -> PathPast {
        let mut answered = self.answered.read(Answered::all).concat();
        // Of a path that several cores have answered, the latest counts.
        answered.sort_by_key(|(path, at)| (*path, std::cmp::Reverse(*at)));
        answered.dedup_by_key(|(path, _)| *path);
        let ago = |at: u64| Duration::from_secs(second.saturating_sub(at));
        let (own, others): (Vec<_>, Vec<_>) = answered.into_iter().partition(|(known, _)| *known == path);

        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = |known: &&Failing| known.last + REMEMBERED >= second;
        let this = failing.iter().filter(lately).find(|known| known.path == path);
        let from = this.map_or(second, |known| known.first).min(second.saturating_sub(MOMENT));
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        PathPast {
            last_success: own.first().map(|(_, at)| ago(*at)),
            failures: this.map_or(0, |known| known.count),
            others_failing: count(failing.iter().filter(lately).filter(|known| known.path != path).count()),
            others_working: count(others.iter().filter(|(_, at)| *at >= from).count()),
            other_success: others.iter().map(|(_, at)| *at).max().map(ago),
        }
    }
}

const SLOTS: usize = 256;
const LOW: u64 = 0xffff_ffff;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const SPREAD: u64 = 0xff51_afd7_ed55_8ccd;

/// How many failing paths are told apart.
const MOST_FAILING: usize = 64;
/// For how many seconds a failure is held against a path.
const REMEMBERED: u64 = 600;
/// How many seconds ago an answer may be that still says something of now.
const MOMENT: u64 = 30;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::Path;
    use super::Paths;
    use crate::diagnosis::history::PathPast;

    #[test]
    fn paths_are_told_apart() {
        let paths = (0..1_000).map(|number| Path::of(&format!("/product/{number}/reviews")));
        assert_eq!(paths.collect::<BTreeSet<_>>().len(), 1_000);
        assert_eq!(Path::of("/a"), Path::of("/a"));
        assert_ne!(Path::of("/"), Path::of(""));
    }

    #[test]
    fn a_path_that_fails_is_seen_beside_those_that_work() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let (one, other, gone) = (Path::of("/checkout"), Path::of("/cart"), Path::of("/gone"));
        let paths = Paths::default();
        let (here, there) = (paths.take(), paths.take());
        here.note(one, 100);
        there.note(one, 90);
        there.note(other, 110);
        here.note(other, 180);
        here.note(gone, 20);
        for second in [150, 160, 200] {
            paths.failed(one, second);
        }
        paths.failed(gone, 199);
        let expected = PathPast {
            last_success: seconds(105),
            failures: 3,
            others_failing: 1,
            others_working: 1,
            other_success: seconds(25),
        };
        assert_eq!(paths.past(one, 205), expected);
        assert_eq!(paths.past(one, 5_000).failures, 0, "after a while nothing is held against a path");
        assert_eq!(paths.past(Path::of("/new"), 205).others_failing, 2);
    }

    #[test]
    fn failing_paths_without_end_take_no_more_room() {
        let paths = Paths::default();
        (0..1_000).for_each(|number| paths.failed(Path::of(&format!("/{number}")), 50 + number));
        assert_eq!(paths.past(Path::of("/"), 1_049).others_failing, 64);
        assert_eq!(paths.past(Path::of("/999"), 1_049).failures, 1);
    }
}
