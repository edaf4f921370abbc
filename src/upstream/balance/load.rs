//! Owns what a server has to do and how it fares: requests in flight, how long it takes to begin an answer, how often it fails.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What has come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An answer began after this time.
    Answered(Duration),
    /// None did, or one that says that the server failed.
    Failed,
}

/// How a server fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fares {
    /// How long it takes to begin an answer, in `UNIT`s; 0 where that is not known.
    latency: u64,
    /// How often it fails, of 255.
    failing: u64,
}

/// What one server has to do, beside another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Its share of the requests.
    pub(super) share: u32,
    /// Requests in flight to it.
    pub(super) in_flight: u32,
    /// How it fares.
    pub(super) fares: Fares,
}

impl Load {
    /// Whether a request is better sent there than to the other: fewer requests in flight for its share, each of which counts as
    /// much as it takes and as it is likely to fail. A server that fails at once has nothing in flight, and must not seem idle.
    pub(super) fn is_less_than(&self, other: &Self) -> bool {
        let (own, others) = (self.fares, other.fares);
        // Neither has anything to do, so that how fast they are tells nothing: who was drawn first, by its weight, has the
        // request, unless it fails so much more often.
        if self.in_flight == 0 && other.in_flight == 0 {
            return own.failing + FAILS_MORE <= others.failing;
        }
        let alike = own.is_like(others);
        let cost = |load: &Self, fares: Fares, beside: Fares| {
            // Among equals an idle server costs nothing, so that the first one drawn has the request.
            let in_flight = u128::from(load.in_flight) + u128::from(!alike);
            if alike { in_flight } else { in_flight * fares.price(beside) }
        };
        let (own_cost, other_cost) = (cost(self, own, others), cost(other, others, own));
        own_cost * u128::from(other.share) < other_cost * u128::from(self.share)
    }
}

impl Fares {
    /// Whether they differ by no more than chance would have it.
    const fn is_like(self, other: Self) -> bool {
        let same_pace = self.latency == 0
            || other.latency == 0
            || (self.latency <= 2 * other.latency && other.latency <= 2 * self.latency);
        same_pace && self.failing.abs_diff(other.failing) < FAILS_MORE
    }

    /// What a request in flight there costs, beside one that fares like the other. Some requests take longer than others,
    /// whoever answers them, so that latency alone says no more than a factor.
    fn price(self, beside: Self) -> u128 {
        let latency = if self.latency == 0 || beside.latency == 0 {
            u128::from(FINE)
        } else {
            let ratio = u128::from(self.latency) * u128::from(FINE) / u128::from(beside.latency);
            ratio.clamp(u128::from(FINE), u128::from(FINE * MOST_LATENCY))
        };
        let answers = u128::from(256 - self.failing.min(255));
        latency * 256 * 256 / (answers * answers)
    }
}

/// How a server fares, as all cores note it in passing: in one word, so that it needs no lock. Where two cores note something in
/// the same moment, one of the notes is lost.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicU64);

impl Pace {
    /// How the server fares at that moment, in milliseconds. What was seen long ago says little: the server is tried again.
    pub(super) fn at(&self, now: u64) -> Fares {
        let (fares, seen) = unpack(self.0.load(Ordering::Relaxed));
        // The clock's low half goes round in 49 days.
        let age = u64::from(low(now).wrapping_sub(seen));
        let unit = FORGET_LATENCY.max(4 * fares.latency / UNITS_A_MILLISECOND);
        Fares { latency: halved(fares.latency, age / unit), failing: halved(fares.failing, age / FORGET_FAILURES) }
    }

    /// Something has come of a request.
    pub(super) fn note(&self, outcome: Outcome, now: u64) {
        let Fares { latency, failing } = self.at(now);
        let fares = match outcome {
            Outcome::Answered(took) => {
                let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX) / UNIT;
                let took = took.clamp(1, MOST_UNITS);
                let latency = if latency == 0 { took } else { (latency * 7 + took).div_ceil(8) };
                Fares { latency, failing: failing - failing.div_ceil(16) }
            }
            Outcome::Failed => Fares { latency, failing: (failing + (255 - failing).div_ceil(16)).min(255) },
        };
        self.0.store(pack(fares, low(now)), Ordering::Relaxed);
    }
}

/// The latency in 24 bits, how often it fails in 8, when that was seen in 32.
fn pack(fares: Fares, seen: u32) -> u64 {
    (fares.latency.min(MOST_UNITS) << 40) | (fares.failing.min(255) << 32) | u64::from(seen)
}

fn unpack(packed: u64) -> (Fares, u32) {
    (Fares { latency: packed >> 40, failing: (packed >> 32) & 255 }, low(packed))
}

fn low(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default()
}

fn halved(number: u64, times: u64) -> u64 {
    u32::try_from(times).ok().and_then(|times| number.checked_shr(times)).unwrap_or_default()
}

/// Latencies are kept in units of so many microseconds.
const UNIT: u64 = 10;
const UNITS_A_MILLISECOND: u64 = 1000 / UNIT;
const MOST_UNITS: u64 = (1 << 24) - 1;
/// After so many milliseconds without an answer, half of what was known is forgotten; after as long as four answers take, where
/// that is longer.
const FORGET_LATENCY: u64 = 2000;
const FORGET_FAILURES: u64 = 10_000;
/// By how much, of 255, a server has to fail more often than another for that to be no chance.
const FAILS_MORE: u64 = 64;
/// How exactly latencies are compared.
const FINE: u64 = 16;
/// A request in flight counts as so many at most, however long it takes.
const MOST_LATENCY: u64 = 4;
