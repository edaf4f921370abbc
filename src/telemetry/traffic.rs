//! Owns what is counted of requests by the way that they take: how many of which class of status, and how long they took.
//!
//! Each core has a set of its own for each way, which it finds once, when the configuration is read, and not for each request.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use super::count::Responses;
use crate::per_core::Number;

/// The requests of one way, as one core counts them, on cache lines of their own (two at a time, as prefetchers take them).
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Traffic {
    route: Box<str>,
    upstream: Box<str>,
    /// By class, from 1xx to 5xx.
    classes: [Number; 5],
    /// Of no class: origins may answer with a status that there is not.
    other: Number,
    bytes_sent: Number,
    /// By how long they took: the last one is for those beyond every bound.
    took: [Number; BOUNDS.len() + 1],
    /// In microseconds, all together.
    time: Number,
}

/// The requests of one way, of all cores together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ways {
    /// The route, as the log calls it; empty for those that none took.
    pub route: Box<str>,
    /// The upstream; empty where this proxy answered on its own.
    pub upstream: Box<str>,
    /// By class of status.
    pub responses: Responses,
    /// Answered with a status that is of no class.
    pub other: u64,
    /// Bytes of bodies that went to clients.
    pub bytes_sent: u64,
    /// How long they took, from a request's head to the end of its answer.
    pub took: Times,
}

/// How long things took: how many were at most as long as each of `BOUNDS`, and longer than the one before; the last number
/// is of those that took longer than all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// How many, by bound.
    pub counts: [u64; BOUNDS.len() + 1],
    /// All together.
    pub sum: Duration,
}

/// In milliseconds.
pub const BOUNDS: [u32; 13] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];

impl Traffic {
    fn of(route: &str, upstream: &str) -> Self {
        Self { route: route.into(), upstream: upstream.into(), ..Self::default() }
    }

    /// A request has ended. To be called by one thread only.
    pub(super) fn count(&self, status: u16, bytes_sent: u64, took: Duration) {
        let class = usize::from(status / 100).checked_sub(1).and_then(|at| self.classes.get(at));
        class.unwrap_or(&self.other).add(1);
        self.bytes_sent.add(bytes_sent);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS.iter().position(|bound| micros <= u64::from(*bound) * 1000).unwrap_or(BOUNDS.len());
        if let Some(counter) = self.took.get(at) {
            counter.add(1);
        }
        self.time.add(micros);
    }

    /// What it has come to.
    pub(super) fn sum(&self) -> Ways {
        let [informational, success, redirection, client_error, server_error] =
            self.classes.each_ref().map(Number::get);
        Ways {
            route: self.route.clone(),
            upstream: self.upstream.clone(),
            responses: Responses { informational, success, redirection, client_error, server_error },
            other: self.other.get(),
            bytes_sent: self.bytes_sent.get(),
            took: Times { counts: self.took.each_ref().map(Number::get), sum: Duration::from_micros(self.time.get()) },
        }
    }
}

impl Ways {
    /// How many requests there were.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.responses.sum() + self.other
    }

    fn add(&mut self, more: &Self) {
        self.responses.add(more.responses);
        self.other += more.other;
        self.bytes_sent += more.bytes_sent;
        self.took.add(&more.took);
    }
}

impl Times {
    /// Adds others to them.
    pub fn add(&mut self, more: &Self) {
        for (count, more) in self.counts.iter_mut().zip(more.counts) {
            *count += more;
        }
        self.sum += more.sum;
    }

    /// Those that came after these others, of the same kind.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut counts = self.counts;
        for (count, before) in counts.iter_mut().zip(before.counts) {
            *count = count.saturating_sub(before);
        }
        Self { counts, sum: self.sum.saturating_sub(before.sum) }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long they took on average; none where there are none.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let nanos = self.sum.as_nanos().checked_div(self.count().into())?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// The time that this share of them was within, as near as the bounds tell; none where there are none. What took longer than
    /// the last bound is taken to have taken that.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    pub fn within(&self, share: f64) -> Option<Duration> {
        let all = self.count();
        if all == 0 {
            return None;
        }
        let rank = share * all as f64;
        let (mut below, mut lower) = (0.0, 0.0);
        for (count, bound) in self.counts.iter().zip(BOUNDS) {
            let (count, upper) = (*count as f64, f64::from(bound));
            if count > 0.0 && below + count >= rank {
                let millis = lower + (upper - lower) * ((rank - below) / count).clamp(0.0, 1.0);
                return Some(Duration::from_secs_f64(millis / 1000.0));
            }
            (below, lower) = (below + count, upper);
        }
        Some(Duration::from_secs_f64(lower / 1000.0))
    }
}

/// The sets of one core.
#[derive(Debug, Default)]
pub(super) struct Sets {
    /// Of requests that no route took.
    pub(super) unrouted: Traffic,
    ways: Mutex<Vec<Arc<Traffic>>>,
}

impl Sets {
    /// The set for this way: the one that there was, where the configuration had it before.
    pub(super) fn of(&self, route: &str, upstream: &str) -> Arc<Traffic> {
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        let full = ways.len() >= MOST_WAYS;
        let known = |ways: &[Arc<Traffic>], route: &str, upstream: &str| {
            ways.iter().find(|way| *way.route == *route && *way.upstream == *upstream).map(Arc::clone)
        };
        let other = || if full { known(&ways, OTHER, OTHER) } else { None };
        known(&ways, route, upstream).or_else(other).unwrap_or_else(|| {
            let new = Arc::new(if full { Traffic::of(OTHER, OTHER) } else { Traffic::of(route, upstream) });
            ways.push(Arc::clone(&new));
            new
        })
    }

    /// Adds all of them to these sums.
    pub(super) fn add_to(&self, sums: &mut Vec<Ways>) {
        let ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        for more in std::iter::once(&self.unrouted).chain(ways.iter().map(|way| &**way)).map(Traffic::sum) {
            match sums.iter_mut().find(|known| known.route == more.route && known.upstream == more.upstream) {
                Some(known) => known.add(&more),
                None => sums.push(more),
            }
        }
    }
}

/// How many ways are told apart; reloads may bring new ones without end.
const MOST_WAYS: usize = 1024;

/// Stands for the ways beyond those.
const OTHER: &str = "other";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::MOST_WAYS;
    use super::Sets;
    use super::Times;

    #[test]
    fn requests_are_counted_by_their_way_over_all_cores_and_reloads() {
        let (one, two) = (Sets::default(), Sets::default());
        one.of("*/", "app").count(200, 10, Duration::from_millis(5));
        one.of("*/", "app").count(502, 1, Duration::from_secs(61));
        two.of("*/", "app").count(999, 1, Duration::from_micros(5_001));
        two.of("*/api", "app").count(404, 0, Duration::ZERO);
        one.unrouted.count(404, 7, Duration::ZERO);
        let mut sums = Vec::new();
        one.add_to(&mut sums);
        two.add_to(&mut sums);
        let told: Vec<_> =
            sums.iter().map(|way| (&*way.route, &*way.upstream, way.requests(), way.bytes_sent)).collect();
        assert_eq!(told, [("", "", 1, 7), ("*/", "app", 3, 12), ("*/api", "app", 1, 0)]);
        let app = &sums[1];
        assert_eq!((app.responses.success, app.responses.server_error, app.other), (1, 1, 1));
        assert_eq!((app.took.counts[0], app.took.counts[1], app.took.counts[13]), (1, 1, 1));
        assert_eq!(app.took.sum, Duration::from_micros(61_010_001));
    }

    #[test]
    fn ways_without_end_share_one_set() {
        let sets = Sets::default();
        for number in 0..MOST_WAYS + 5 {
            sets.of(&format!("*/{number}"), "app").count(200, 0, Duration::ZERO);
        }
        sets.of("*/0", "app").count(200, 0, Duration::ZERO);
        let mut sums = Vec::new();
        sets.add_to(&mut sums);
        assert_eq!(sums.len(), MOST_WAYS + 2);
        assert_eq!((sums[1].requests(), sums.last().map(super::Ways::requests)), (2, Some(5)));
    }

    #[test]
    fn a_share_is_found_between_the_bounds() {
        let mut times = Times::default();
        assert_eq!((times.within(0.5), times.mean()), (None, None));
        times.counts[1] = 10;
        assert_eq!(times.within(0.5), Some(Duration::from_micros(7_500)));
        assert_eq!(times.within(1.0), Some(Duration::from_millis(10)));
        times.counts[13] = 90;
        assert_eq!(times.within(0.95), Some(Duration::from_secs(60)));
        times.sum = Duration::from_secs(200);
        assert_eq!(times.mean(), Some(Duration::from_secs(2)));
        assert_eq!(times.since(&times), Times::default());
    }
}
