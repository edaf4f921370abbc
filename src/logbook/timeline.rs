//! Owns the counts over time: finely while the time is short, coarser the longer it gets, so that its memory is bounded.

use std::collections::BTreeMap;

use super::at::At;

/// Requests and failures in steps of one length.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// The length of a step, as a place in `STEPS`.
    step: usize,
    buckets: BTreeMap<i64, Bucket>,
    /// The one that was counted in last, which lies outside the map: lines come in order, nearly.
    open: Option<(i64, Bucket)>,
}

/// What happened in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    /// Requests that ended.
    pub requests: u64,
    /// Failures that reached clients.
    pub failures: u64,
}

impl Timeline {
    /// The step that a moment lies in, to count in.
    pub fn at(&mut self, at: At) -> &mut Bucket {
        let begin = floor(at.second(), seconds(self.step));
        if self.open.as_ref().is_some_and(|(open, _)| *open != begin) {
            self.close();
        }
        // The map may have become coarser just now.
        let begin = floor(begin, seconds(self.step));
        &mut self.open.get_or_insert_with(|| (begin, Bucket::default())).1
    }

    /// The same in steps that are long enough for them to be no more than `most`, without gaps, each with its begin; and the length
    /// of a step in seconds.
    #[must_use]
    pub fn in_steps(mut self, most: usize) -> (i64, Vec<(At, Bucket)>) {
        self.close();
        let (Some((first, _)), Some((last, _))) = (self.buckets.first_key_value(), self.buckets.last_key_value())
        else {
            return (seconds(self.step), Vec::new());
        };
        let (first, last) = (*first, *last);
        let count = |step: usize| (floor(last, seconds(step)) - floor(first, seconds(step))) / seconds(step) + 1;
        let fits = |step: &usize| usize::try_from(count(*step)).is_ok_and(|count| count <= most);
        let Some(step) = (self.step..STEPS.len()).find(fits) else {
            // Decades lie between the first and the last: only what there is.
            let rows = self.buckets.iter().map(|(begin, bucket)| (At(begin * 1000), *bucket)).take(most).collect();
            return (seconds(self.step), rows);
        };
        self.coarsen(step);
        let length = seconds(step);
        let begins = (0..).map(|number| floor(first, length) + number * length).take_while(|begin| *begin <= last);
        let bucket = |begin: i64| (At(begin * 1000), self.buckets.get(&begin).copied().unwrap_or_default());
        (length, begins.map(bucket).collect())
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, mut other: Self) {
        self.close();
        other.close();
        let step = self.step.max(other.step);
        self.coarsen(step);
        for (begin, bucket) in other.buckets {
            self.add(floor(begin, seconds(step)), bucket);
        }
        self.bound();
    }

    fn close(&mut self) {
        if let Some((begin, bucket)) = self.open.take() {
            self.add(floor(begin, seconds(self.step)), bucket);
            self.bound();
        }
    }

    fn add(&mut self, begin: i64, more: Bucket) {
        let bucket = self.buckets.entry(begin).or_default();
        bucket.requests += more.requests;
        bucket.failures += more.failures;
    }

    fn bound(&mut self) {
        while self.buckets.len() > MOST_BUCKETS && self.step + 1 < STEPS.len() {
            self.coarsen(self.step + 1);
        }
        // Times all over the calendar are no log's; the first ones of them are kept.
        while self.buckets.len() > MOST_BUCKETS {
            self.buckets.pop_last();
        }
    }

    fn coarsen(&mut self, step: usize) {
        if step != self.step {
            self.step = step;
            for (begin, bucket) in std::mem::take(&mut self.buckets) {
                self.add(floor(begin, seconds(step)), bucket);
            }
        }
    }
}

/// Where the step begins that a second lies in. Steps of days begin at midnight, those of weeks on Mondays.
const fn floor(second: i64, length: i64) -> i64 {
    let offset = if length == WEEK { 4 * DAY } else { 0 };
    (second - offset).div_euclid(length) * length + offset
}

fn seconds(step: usize) -> i64 {
    STEPS.get(step).copied().unwrap_or(WEEK)
}

/// How many steps are kept apart.
const MOST_BUCKETS: usize = 4096;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// Lengths of a step in seconds, each of them a whole number of those before.
const STEPS: [i64; 12] = [1, 10, 60, 300, 600, 1_800, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, WEEK];

#[cfg(test)]
mod tests {
    use super::Bucket;
    use super::Timeline;
    use crate::logbook::At;

    fn counted(seconds: impl IntoIterator<Item = i64>) -> Timeline {
        let mut timeline = Timeline::default();
        for second in seconds {
            timeline.at(At(second * 1000 + 999)).requests += 1;
        }
        timeline
    }

    fn rows(timeline: Timeline, most: usize) -> (i64, Vec<(i64, u64)>) {
        let (step, rows) = timeline.in_steps(most);
        (step, rows.into_iter().map(|(at, bucket)| (at.second(), bucket.requests)).collect())
    }

    #[test]
    fn steps_are_as_long_as_it_takes_and_have_no_gaps() {
        assert_eq!(rows(counted([]), 20), (1, vec![]));
        assert_eq!(rows(counted([3, 1, 3]), 20), (1, vec![(1, 1), (2, 0), (3, 2)]));
        assert_eq!(
            rows(counted([0, 59, 60, 3_599]), 6),
            (600, vec![(0, 3), (600, 0), (1200, 0), (1800, 0), (2400, 0), (3000, 1)])
        );
        let (step, days) = rows(counted((0..100).map(|hour| hour * 3_600)), 5);
        assert_eq!((step, days.iter().map(|(_, count)| count).sum::<u64>()), (86_400, 100));
    }

    #[test]
    fn a_long_time_is_counted_coarsely_and_whole() {
        let all = || counted((0..200_000).map(|number| number * 61));
        let mut both = all();
        assert!(both.buckets.len() <= super::MOST_BUCKETS + 1);
        both.merge(all());
        let (_, rows) = both.in_steps(24);
        assert!(rows.len() <= 24);
        assert_eq!(rows.iter().map(|(_, Bucket { requests, .. })| requests).sum::<u64>(), 400_000);
    }

    #[test]
    fn times_all_over_the_calendar_take_no_more_room() {
        let timeline = counted((0..20_000).map(|number| number * 9_000_000));
        assert!(timeline.buckets.len() <= super::MOST_BUCKETS);
        assert!(timeline.in_steps(24).1.len() <= 24);
    }
}
