//! Owns what is kept of a server's failures: how many of each kind, since when, and the times at which they cluster.

use std::collections::VecDeque;
use std::time::Duration;

use super::notes::Counts;
use crate::diagnosis::history::Windows;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Stage;

/// One server's failures. Moments are milliseconds of the memory's own clock.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    recent: VecDeque<Trouble>,
    all: Counts,
    faults: Vec<(Fault, Counts)>,
    /// The first failure since the server last answered, and how many there were.
    first: u64,
    since: u64,
}

/// A failure, as far as others are compared with it.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    at: u64,
    stage: Stage,
    took: Duration,
    /// Whether a limit of this proxy's own ended it.
    limited: bool,
    /// How many requests were in flight to the server then, itself included.
    in_flight: u32,
}

impl Trouble {
    fn of(failure: &Failure, at: u64, in_flight: u32) -> Self {
        let limited = failure.limit.is_some();
        Self { at, stage: failure.fault.stage(), took: failure.stage_elapsed, limited, in_flight }
    }
}

impl Troubles {
    /// The server failed; it had last answered at that moment.
    pub(super) fn note(&mut self, failure: &Failure, at: u64, last_success: u64, in_flight: u32) {
        if self.since == 0 || last_success > self.first {
            (self.first, self.since) = (at, 0);
        }
        self.since += 1;
        if self.recent.len() >= MOST_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Trouble::of(failure, at, in_flight));
        if !self.faults.iter().any(|(fault, _)| *fault == failure.fault) {
            self.faults.push((failure.fault, Counts::default()));
        }
        let counts = self.faults.iter().find(|(fault, _)| *fault == failure.fault);
        if let Some((_, counts)) = counts {
            counts.add(at / 1000);
        }
        self.all.add(at / 1000);
    }

    /// How many there were lately.
    pub(super) fn windows(&self, at: u64) -> Windows {
        self.all.windows(at / 1000)
    }

    /// How many failures there were since it last answered, and for how long.
    pub(super) fn since_success(&self, at: u64, last_success: u64) -> (u64, Option<Duration>) {
        if self.since == 0 || last_success > self.first {
            return (0, None);
        }
        (self.since, Some(Duration::from_millis(at.saturating_sub(self.first))))
    }

    /// Failures of the last minute by fault, most first.
    pub(super) fn faults(&self, at: u64) -> Vec<(Fault, u64)> {
        let mut faults: Vec<(Fault, u64)> =
            self.faults.iter().map(|(fault, counts)| (*fault, counts.windows(at / 1000).minute)).collect();
        faults.retain(|(_, count)| *count > 0);
        faults.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        faults
    }

    /// The most requests that hung at once within the last minute, until a limit of this proxy's own ended each.
    pub(super) fn hung_at_once(&self, at: u64) -> u32 {
        let hung = |known: &&Trouble| known.limited && known.stage == Stage::Response && known.at + MINUTE >= at;
        self.recent.iter().filter(hung).map(|known| known.in_flight).max().unwrap_or_default()
    }

    /// The time around which failures like this one cluster, and how many do, this one included. A limit of this proxy's own is
    /// no discovery, and what ends at once has no time of its own.
    pub(super) fn cluster(&self, failure: &Failure, at: u64) -> Option<(Duration, u64)> {
        let this = Trouble::of(failure, at, 0);
        if this.limited || this.took < SHORTEST {
            return None;
        }
        let reach = (this.took / 20).max(REACH);
        let is_like = |known: &&Trouble| {
            known.stage == this.stage
                && !known.limited
                && known.took.abs_diff(this.took) <= reach
                && known.at + REMEMBERED >= at
        };
        let mut times: Vec<Duration> = self.recent.iter().filter(is_like).map(|known| known.took).collect();
        times.sort();
        let middle = *times.get(times.len() / 2)?;
        (times.len() > BESIDES).then(|| (middle, u64::try_from(times.len()).unwrap_or(u64::MAX)))
    }
}

/// How many failures are remembered one by one.
const MOST_RECENT: usize = 256;
/// A minute, in milliseconds.
const MINUTE: u64 = 60_000;
/// For how many milliseconds.
const REMEMBERED: u64 = 3_600_000;
/// How many failures there have to be besides one, before they cluster.
const BESIDES: usize = 2;
/// How far from each other times may lie that cluster, where a twentieth of them is less.
const REACH: Duration = Duration::from_millis(500);
/// Nothing that ends earlier was ended by a clock that counts in seconds.
const SHORTEST: Duration = Duration::from_millis(900);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Troubles;
    use crate::fault::Failure;
    use crate::fault::Fault;

    fn closed_after(millis: u64) -> Failure {
        let stage_elapsed = Duration::from_millis(millis);
        Failure { stage_elapsed, ..Failure::new(Fault::ClosedBeforeResponse) }
    }

    #[test]
    fn failures_are_counted_since_the_last_answer() {
        let mut troubles = Troubles::default();
        assert_eq!(troubles.since_success(500, 0), (0, None));
        for at in [1_000, 2_000, 3_000] {
            troubles.note(&Failure::new(Fault::ConnectionRefused), at, 0, 1);
        }
        assert_eq!(troubles.since_success(5_000, 0), (3, Some(Duration::from_secs(4))));
        assert_eq!(troubles.since_success(5_000, 4_000), (0, None));
        troubles.note(&Failure::new(Fault::ResponseTimedOut), 6_000, 4_000, 1);
        assert_eq!(troubles.since_success(7_000, 4_000), (1, Some(Duration::from_secs(1))));
        assert_eq!(troubles.faults(7_000), [(Fault::ConnectionRefused, 3), (Fault::ResponseTimedOut, 1)]);
        assert_eq!((troubles.windows(7_000).seconds, troubles.windows(64_000).minute), (4, 1));
        assert_eq!(troubles.faults(64_000), [(Fault::ResponseTimedOut, 1)]);
    }

    #[test]
    fn times_cluster_where_three_lie_close_and_no_limit_of_ours_made_them() {
        let limited = |millis| closed_after(millis).after(Duration::from_millis(millis));
        let table = [
            (vec![closed_after(30_010), closed_after(29_900), closed_after(30_300)], Some((30_010, 3))),
            (vec![closed_after(30_010), closed_after(30_300)], None),
            (vec![closed_after(5), closed_after(6), closed_after(7)], None),
            (vec![closed_after(10_000), closed_after(20_000), closed_after(30_000)], None),
            (vec![limited(30_000), limited(30_000), closed_after(30_000)], None),
            (vec![limited(30_000), limited(30_000), limited(30_000)], None),
        ];
        for (failures, expected) in table {
            let mut troubles = Troubles::default();
            for failure in &failures {
                troubles.note(failure, 1_000, 0, 1);
            }
            let expected = expected.map(|(millis, count)| (Duration::from_millis(millis), count));
            assert_eq!(troubles.cluster(&failures[failures.len() - 1], 1_000), expected);
        }
    }
}
