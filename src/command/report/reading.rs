//! Owns the reading itself: every core takes the next block and sums it up on its own; the sums are merged at the end.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use super::source::Block;
use super::source::Source;
use super::source::Unread;
use crate::command::console::Console;
use crate::diagnosis::wording::duration;
use crate::logbook::Filter;
use crate::logbook::Place;
use crate::logbook::Story;
use crate::logbook::Tally;

/// What takes in a log, a part of it on each core.
pub(super) trait Sum: Send {
    /// A line of the log.
    fn line(&mut self, line: &[u8], place: Place);

    /// A line that is too long to be looked at.
    fn too_long(&mut self, place: Place);

    /// What another core has taken in.
    fn merge(&mut self, other: Self);
}

/// The sums over what counts.
pub(super) struct Summing<'a> {
    pub(super) tally: Tally,
    pub(super) filter: &'a Filter,
}

impl Sum for Summing<'_> {
    fn line(&mut self, line: &[u8], place: Place) {
        self.tally.line(line, place, self.filter);
    }

    fn too_long(&mut self, place: Place) {
        self.tally.too_long(place);
    }

    fn merge(&mut self, other: Self) {
        self.tally.merge(other.tally);
    }
}

impl Sum for Story {
    fn line(&mut self, line: &[u8], place: Place) {
        Self::line(self, line, place);
    }

    fn too_long(&mut self, _: Place) {}

    fn merge(&mut self, other: Self) {
        Self::merge(self, other);
    }
}

/// Reads to the end, and says on the way how far it is.
pub(super) fn read<S: Sum>(
    source: Source,
    new: impl Fn() -> S + Sync,
    console: &mut Console<'_>,
) -> (S, Option<Unread>) {
    let cores = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let source = Mutex::new(source);
    let failed = Mutex::new(None);
    let mut sum = new();
    thread::scope(|scope| {
        let (sums, finished) = mpsc::channel();
        for _ in 0..cores {
            let (sums, new, source, failed) = (sums.clone(), &new, &source, &failed);
            // Who is not there any more has had enough.
            scope.spawn(move || sums.send(take_in(new(), source, failed)).ok());
        }
        drop(sums);
        let begin = Instant::now();
        loop {
            match finished.recv_timeout(if console.shows_progress() { BETWEEN } else { Duration::MAX }) {
                Ok(part) => sum.merge(part),
                Err(RecvTimeoutError::Timeout) => console.progress(Some(&progress(&source, begin.elapsed()))),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    });
    console.progress(None);
    (sum, failed.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn take_in<S: Sum>(mut sum: S, source: &Mutex<Source>, failed: &Mutex<Option<Unread>>) -> S {
    let mut block = Block::empty();
    loop {
        let filled = source.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut block);
        match filled {
            Ok(true) => {}
            Ok(false) => return sum,
            Err(unread) => {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(unread);
                return sum;
            }
        }
        if let Some(place) = block.too_long {
            sum.too_long(place);
        }
        let Place { file, mut line } = block.begin;
        let mut rest = block.bytes.as_slice();
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let (one, others) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            sum.line(one, Place { file, line });
            line += 1;
            rest = others;
        }
    }
}

/// `[########--------]  52 %  1.11 GB of 2.15 GB, 850 MB/s, 2 s left`
fn progress(source: &Mutex<Source>, elapsed: Duration) -> String {
    let source = source.lock().unwrap_or_else(PoisonError::into_inner);
    let (read, all) = (source.read(), source.length());
    drop(source);
    let seconds = elapsed.as_secs_f64().max(0.001);
    let (read, speed) = (to_float(read), to_float(read) / seconds);
    let speed_in_words = format!("{:.0} MB/s", speed / MEGABYTE);
    let Some(all) = all.map(to_float).filter(|all| *all >= read && *all > 0.0) else {
        return format!("{}, {speed_in_words}", size(read));
    };
    let done = (0..BAR).filter(|cell| f64::from(*cell) < read / all * f64::from(BAR)).count();
    let bar = format!("{}{}", "#".repeat(done), "-".repeat(BAR as usize - done));
    let left = Duration::try_from_secs_f64((all - read) / speed.max(1.0)).unwrap_or_default();
    // Less than a second is over before it is read.
    let left = Some(left.as_secs()).filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let left = left.map(|left| format!(", {} left", duration(left))).unwrap_or_default();
    format!("[{bar}] {:3.0} %  {} of {}, {speed_in_words}{left}", 100.0 * read / all, size(read), size(all))
}

/// A number of bytes: `1.24 GB`, `150 MB`.
fn size(bytes: f64) -> String {
    if bytes >= GIGABYTE { format!("{:.2} GB", bytes / GIGABYTE) } else { format!("{:.0} MB", bytes / MEGABYTE) }
}

#[expect(clippy::cast_precision_loss, reason = "for a person to read")]
const fn to_float(bytes: u64) -> f64 {
    bytes as f64
}

/// More threads than that wait for each other to read.
const MOST_THREADS: usize = 8;
/// How often it is said how far it is.
const BETWEEN: Duration = Duration::from_millis(150);
/// How many cells the bar has.
const BAR: u32 = 24;
const MEGABYTE: f64 = 1e6;
const GIGABYTE: f64 = 1e9;
