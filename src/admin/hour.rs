//! Owns the last hour of each upstream, by the minute: how many requests it answered, how many went wrong, how long they took.
//!
//! Counters only go up; what came between two looks at them is a minute's. Pure: the time is given from outside.

use std::collections::VecDeque;
use std::time::Duration;

use crate::telemetry::Times;
use crate::telemetry::Ways;

/// The last hour.
#[derive(Debug, Default)]
pub(super) struct Hour {
    /// What there was in all at the beginning of each minute, the present one last, with the minute's number since 1970.
    minutes: VecDeque<(u64, Vec<Sum>)>,
}

/// What there was in all of one upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sum {
    upstream: Box<str>,
    requests: u64,
    errors: u64,
    took: Times,
}

/// What there was in one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Minute {
    /// Its number since 1970.
    pub(super) number: u64,
    pub(super) requests: u64,
    /// Those among them that were answered with 500 or above.
    pub(super) errors: u64,
    pub(super) took: Times,
}

impl Hour {
    /// Looks at the counters; to be called at least once a minute.
    pub(super) fn look(&mut self, now: Duration, ways: impl FnOnce() -> Vec<Ways>) {
        let number = now.as_secs() / 60;
        if self.minutes.back().is_some_and(|(known, _)| (number..=number + 1).contains(known)) {
            return;
        }
        // Where the clock was set back, what was counted meanwhile falls to the last minute before.
        self.minutes.retain(|(known, _)| *known < number);
        self.minutes.push_back((number, sums(&ways())));
        while self.minutes.len() > KEPT {
            self.minutes.pop_front();
        }
    }

    /// The minutes of an upstream, oldest first, the present one last and not over yet. A minute in which nobody looked is within
    /// the one before it.
    pub(super) fn of(&self, upstream: &str, ways: &[Ways]) -> Vec<Minute> {
        let now = sums(ways);
        let zero = Sum { upstream: upstream.into(), requests: 0, errors: 0, took: Times::default() };
        let find = |sums: &[Sum]| sums.iter().find(|sum| *sum.upstream == *upstream).cloned();
        let ends = self.minutes.iter().skip(1).map(|(_, sums)| sums).chain([&now]);
        let minutes = self.minutes.iter().zip(ends).map(|((number, begin), end)| {
            let begin = find(begin).unwrap_or_else(|| zero.clone());
            let end = find(end).unwrap_or_else(|| zero.clone());
            Minute {
                number: *number,
                requests: end.requests.saturating_sub(begin.requests),
                errors: end.errors.saturating_sub(begin.errors),
                took: end.took.since(&begin.took),
            }
        });
        minutes.collect()
    }
}

fn sums(ways: &[Ways]) -> Vec<Sum> {
    let mut sums: Vec<Sum> = Vec::new();
    for way in ways.iter().filter(|way| !way.upstream.is_empty()) {
        let (requests, errors) = (way.requests(), way.responses.server_error);
        match sums.iter_mut().find(|sum| sum.upstream == way.upstream) {
            Some(sum) => {
                sum.requests += requests;
                sum.errors += errors;
                sum.took.add(&way.took);
            }
            None => sums.push(Sum { upstream: way.upstream.clone(), requests, errors, took: way.took }),
        }
    }
    sums
}

/// The minutes of an hour, and the one that is not over.
const KEPT: usize = 61;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Hour;
    use super::KEPT;
    use crate::telemetry::Responses;
    use crate::telemetry::Times;
    use crate::telemetry::Ways;

    fn ways(success: u64, server_error: u64) -> Vec<Ways> {
        let way = |upstream: &str, success| Ways {
            route: "*/".into(),
            upstream: upstream.into(),
            responses: Responses { success, server_error, ..Responses::default() },
            other: 0,
            bytes_sent: 0,
            took: Times { sum: Duration::from_secs(success), ..Times::default() },
        };
        vec![way("", 99), way("app", success), way("app", 1)]
    }

    #[test]
    fn a_minute_is_what_came_between_two_looks() {
        let mut hour = Hour::default();
        let at = Duration::from_secs;
        hour.look(at(600), || ways(0, 0));
        hour.look(at(630), || ways(7, 0));
        hour.look(at(661), || ways(10, 1));
        let told = |hour: &Hour, ways: &[Ways]| {
            hour.of("app", ways).iter().map(|it| (it.number, it.requests, it.errors)).collect::<Vec<_>>()
        };
        assert_eq!(told(&hour, &ways(12, 1)), [(10, 12, 2), (11, 2, 0)]);
        assert_eq!(hour.of("app", &ways(12, 1))[1].took.sum, Duration::from_secs(2));
        assert_eq!(told(&hour, &[]), [(10, 12, 2), (11, 0, 0)], "what is gone does not count backwards");
        assert_eq!(hour.of("other", &ways(12, 1))[0].requests, 0);
        hour.look(at(540), || ways(12, 1));
        assert_eq!(told(&hour, &ways(13, 1)), [(9, 1, 0)], "a clock that is set back begins anew there");
        for minute in 0..2 * KEPT as u64 {
            hour.look(at(720 + 60 * minute), || ways(10, 1));
        }
        assert_eq!(hour.of("app", &ways(10, 1)).len(), KEPT);
    }
}
