//! Owns what one core notes of one server while all goes well: counts, times and peaks, in numbers that only this core writes.

use std::time::Duration;

use crate::diagnosis::history::Pace;
use crate::diagnosis::history::Windows;
use crate::per_core::Number;

/// One core's notes on one server, on cache lines of their own (two at a time, as prefetchers take them).
///
/// Moments are milliseconds of the memory's own clock, which never shows 0.
#[derive(Debug)]
#[repr(align(128))]
pub(in crate::upstream) struct Notes {
    pub(super) successes: Counts,
    pub(super) last_success: Number,
    pub(super) connecting: Average,
    pub(super) answering: Average,
    /// The most in flight while answers came at their usual pace.
    pub(super) busiest: Peak,
    /// The longest idle time, in milliseconds, after which a connection was still good.
    pub(super) longest_idle: Peak,
    /// Answers on a connection that had lain idle.
    pub(super) reused: Number,
    /// Connections that lay idle when this was last looked at.
    pub(super) idle: Number,
}

impl Default for Notes {
    fn default() -> Self {
        Self {
            successes: Counts::default(),
            last_success: Number::default(),
            connecting: Average::default(),
            answering: Average::default(),
            busiest: Peak::over(BUSY_SPAN),
            longest_idle: Peak::over(IDLE_SPAN),
            reused: Number::default(),
            idle: Number::default(),
        }
    }
}

impl Notes {
    /// The server has answered.
    pub(in crate::upstream) fn succeeded(&self, at: u64, idle: Option<Duration>, in_flight: u32) {
        let second = at / 1000;
        self.successes.add(second);
        self.last_success.set(at);
        if !self.answering.is_slow() {
            self.busiest.note(u64::from(in_flight), second);
        }
        if let Some(idle) = idle {
            self.longest_idle.note(whole_millis(idle), second);
            self.reused.add(1);
        }
    }

    /// Whether the time of this answer is to be measured: of the first ones each, then one in a few, for reading the clock
    /// costs more than all other notes.
    pub(in crate::upstream) fn is_measured(&self) -> bool {
        let count = self.successes.ever.get();
        count < MEASURED || count.is_multiple_of(ONE_IN)
    }
}

/// Counts by second for about a minute, by minute for about an hour, and for ever.
#[derive(Debug)]
pub(super) struct Counts {
    seconds: [Number; SLOTS],
    minutes: [Number; SLOTS],
    ever: Number,
}

impl Default for Counts {
    fn default() -> Self {
        let ring = || std::array::from_fn(|_| Number::default());
        Self { seconds: ring(), minutes: ring(), ever: Number::default() }
    }
}

impl Counts {
    pub(super) fn add(&self, second: u64) {
        bump(&self.seconds, second);
        bump(&self.minutes, second / 60);
        self.ever.add(1);
    }

    pub(super) fn windows(&self, second: u64) -> Windows {
        Windows {
            seconds: since(&self.seconds, second, 10),
            minute: since(&self.seconds, second, 60),
            hour: since(&self.minutes, second / 60, 60),
            ever: self.ever.get(),
        }
    }
}

/// A slot holds its time and its count in one number, so that no reader sees the one without the other.
fn bump(ring: &[Number; SLOTS], at: u64) {
    let Some(slot) = slot(ring, at) else { return };
    let (time, count) = unpacked(slot.get());
    let before = if time == at & LOW { count } else { 0 };
    slot.set((at & LOW) << 32 | (before + 1).min(LOW));
}

fn since(ring: &[Number; SLOTS], now: u64, span: u64) -> u64 {
    let now = now & LOW;
    let recent = |(time, _): &(u64, u64)| *time <= now && *time + span > now;
    ring.iter().map(|slot| unpacked(slot.get())).filter(recent).map(|(_, count)| count).sum()
}

fn slot(ring: &[Number; SLOTS], at: u64) -> Option<&Number> {
    ring.get(usize::try_from(at % SLOTS as u64).unwrap_or_default())
}

const fn unpacked(slot: u64) -> (u64, u64) {
    (slot >> 32, slot & LOW)
}

/// How long something takes: an average over the last few, and one over some minutes.
#[derive(Debug, Default)]
pub(super) struct Average {
    /// In nanoseconds, both.
    fast: Number,
    slow: Number,
    samples: Number,
    /// How often the slow one has moved.
    moves: Number,
    second: Number,
}

impl Average {
    /// Something took so long. Once there are a few, the slow average moves once a second at most: in an overload samples come
    /// by the thousand, and what is usual must not become what it was in the overload's first seconds.
    pub(super) fn add(&self, took: Duration, second: u64) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(LONGEST);
        self.samples.add(1);
        let samples = self.samples.get();
        self.fast.set(moved(self.fast.get(), took, samples.min(FEW)));
        if samples <= FIRST || second != self.second.get() {
            self.moves.add(1);
            self.slow.set(moved(self.slow.get(), self.fast.get(), self.moves.get().min(MANY)));
            self.second.set(second);
        }
    }

    /// Whether it takes clearly longer now than it usually does.
    fn is_slow(&self) -> bool {
        self.samples.get() > FIRST && self.fast.get() > self.slow.get().saturating_mul(2)
    }

    fn known(&self) -> Known {
        Known {
            fast: self.fast.get(),
            slow: self.slow.get(),
            samples: self.samples.get(),
            moves: self.moves.get(),
            second: self.second.get(),
        }
    }
}

/// What one core knows of a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    fast: u64,
    slow: u64,
    samples: u64,
    moves: u64,
    second: u64,
}

impl Known {
    pub(super) fn of(average: &Average) -> Self {
        average.known()
    }

    /// What all cores know. What a core measured long before the others says nothing of now.
    pub(super) fn together(all: &[Self]) -> Option<Pace> {
        let latest = all.iter().filter(|known| known.samples > 0).map(|known| known.second).max()?;
        let fresh = |known: &&Self| known.samples > 0 && known.second + STALE >= latest;
        let now = mean(all.iter().filter(fresh).map(|known| (known.fast, 1)));
        let usual = mean(all.iter().map(|known| (known.slow, known.moves.min(MANY))));
        let samples = all.iter().map(|known| known.samples).sum();
        Some(Pace { now: Duration::from_nanos(now), usual: Duration::from_nanos(usual), samples })
    }
}

/// The mean of values with their weights.
fn mean(values: impl Iterator<Item = (u64, u64)>) -> u64 {
    let (mut sum, mut weights) = (0_u128, 0_u128);
    for (value, weight) in values {
        sum += u128::from(value) * u128::from(weight);
        weights += u128::from(weight);
    }
    u64::try_from(sum.checked_div(weights).unwrap_or_default()).unwrap_or(u64::MAX)
}

/// The average, moved towards a value by one part in so many.
const fn moved(average: u64, value: u64, over: u64) -> u64 {
    if value >= average { average + (value - average) / over } else { average - (average - value) / over }
}

/// The highest of the last while: of a span of time, and of the one before it.
#[derive(Debug)]
pub(super) struct Peak {
    span: u64,
    current: Number,
    before: Number,
    number: Number,
}

impl Peak {
    const fn over(span: u64) -> Self {
        Self { span, current: Number::new(), before: Number::new(), number: Number::new() }
    }

    pub(super) fn note(&self, value: u64, second: u64) {
        let (number, known) = (second / self.span, self.number.get());
        if number == known {
            self.current.raise_to(value);
            return;
        }
        self.before.set(if number == known + 1 { self.current.get() } else { 0 });
        self.current.set(value);
        self.number.set(number);
    }

    /// 0 where nothing was noted lately.
    pub(super) fn highest(&self, second: u64) -> u64 {
        match (second / self.span).saturating_sub(self.number.get()) {
            0 => self.current.get().max(self.before.get()),
            1 => self.current.get(),
            _ => 0,
        }
    }
}

pub(super) fn whole_millis(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1000).saturating_add(u64::from(time.subsec_millis()))
}

/// Slots of a ring: more than the seconds of a minute and the minutes of an hour.
const SLOTS: usize = 64;
/// Half of a slot.
const LOW: u64 = 0xffff_ffff;

/// Over how many samples the fast average goes.
const FEW: u64 = 4;
/// How many samples move the slow average each.
const FIRST: u64 = 16;
/// Over how many of its own moves, and so seconds, the slow average goes.
const MANY: u64 = 256;
/// An hour in nanoseconds: whatever takes longer takes so long.
const LONGEST: u64 = 3_600_000_000_000;
/// After how many seconds a core's fast average is no longer about now.
const STALE: u64 = 60;

/// How many first answers are measured each.
const MEASURED: u64 = 64;
/// Of how many later ones one is.
const ONE_IN: u64 = 8;

/// The spans of the peaks, in seconds.
const BUSY_SPAN: u64 = 3600;
const IDLE_SPAN: u64 = 600;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Average;
    use super::Counts;
    use super::Known;
    use super::Notes;
    use super::Peak;
    use crate::diagnosis::history::Pace;
    use crate::diagnosis::history::Windows;

    #[test]
    fn counts_slide_out_of_their_windows() {
        let counts = Counts::default();
        for (second, times) in [(0, 1), (100, 2), (3_000, 1), (4_000, 3), (4_055, 2), (4_063, 1)] {
            (0..times).for_each(|_| counts.add(second));
        }
        for (now, seconds, minute, hour) in [(4_063, 3, 3, 7), (4_066, 1, 3, 7), (4_200, 0, 0, 7), (9_000, 0, 0, 0)] {
            assert_eq!(counts.windows(now), Windows { seconds, minute, hour, ever: 10 }, "at {now}");
        }
    }

    #[test]
    fn what_is_usual_stays_while_what_is_now_follows() {
        let average = Average::default();
        for second in 0..300 {
            average.add(Duration::from_millis(10), second);
        }
        let busy = (300..303).flat_map(|second| std::iter::repeat_n(second, 1_000));
        busy.for_each(|second| average.add(Duration::from_millis(400), second));
        let Pace { now, usual, samples } = Known::together(&[Known::of(&average)]).unwrap();
        assert!(now > Duration::from_millis(399) && samples == 3_300, "{now:?} {samples}");
        assert!(usual < Duration::from_millis(16), "{usual:?}");
        assert!(average.is_slow());
    }

    #[test]
    fn cores_are_taken_together_and_those_that_were_silent_say_nothing_of_now() {
        let (one, other, idle) = (Average::default(), Average::default(), Average::default());
        one.add(Duration::from_millis(10), 5);
        other.add(Duration::from_millis(30), 900);
        let known = [&one, &other, &idle].map(Known::of);
        let expected = Pace { now: Duration::from_millis(30), usual: Duration::from_millis(20), samples: 2 };
        assert_eq!(Known::together(&known), Some(expected));
        assert_eq!(Known::together(&[Known::of(&idle)]), None);
    }

    #[test]
    fn a_peak_is_forgotten_after_a_while() {
        let peak = Peak::over(600);
        peak.note(7, 10);
        peak.note(5, 20);
        peak.note(3, 700);
        assert_eq!([20, 700, 1_250, 1_900].map(|second| peak.highest(second)), [7, 7, 3, 0]);
        peak.note(2, 5_000);
        assert_eq!(peak.highest(5_000), 2);
    }

    #[test]
    fn in_flight_counts_as_usual_only_at_the_usual_pace() {
        let notes = Notes::default();
        for second in 1..60_u64 {
            notes.answering.add(Duration::from_millis(5), second);
            notes.succeeded(second * 1000, Some(Duration::from_millis(second)), 3);
        }
        (0..20).for_each(|_| notes.answering.add(Duration::from_secs(2), 61));
        notes.succeeded(61_000, None, 400);
        assert_eq!((notes.busiest.highest(61), notes.longest_idle.highest(61)), (3, 59));
        assert_eq!((notes.last_success.get(), notes.successes.windows(61).ever), (61_000, 60));
        assert!(notes.is_measured());
    }
}
