//! Holds the spool to its promises over an output that fails as it is told to.

use std::collections::VecDeque;
use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::PAUSE;
use super::Reopen;
use super::Spool;
use crate::telemetry::log::Fill;
use crate::telemetry::log::Lines;
use crate::telemetry::style::Form;

/// What the next write does; when nothing is left, all writes succeed.
#[derive(Debug, Clone, Copy)]
enum Step {
    Takes(usize),
    Full,
    Closed,
    Interrupted,
    Busy,
}

#[derive(Debug, Default)]
struct Scripted {
    steps: VecDeque<Step>,
    out: String,
}

impl Write for Scripted {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let taken = match self.steps.pop_front() {
            None => text.len(),
            Some(Step::Takes(some)) => some,
            Some(Step::Full) => return Err(io::ErrorKind::StorageFull.into()),
            Some(Step::Closed) => return Err(io::ErrorKind::BrokenPipe.into()),
            Some(Step::Interrupted) => return Err(io::ErrorKind::Interrupted.into()),
            Some(Step::Busy) => return Err(io::ErrorKind::WouldBlock.into()),
        };
        self.out.push_str(std::str::from_utf8(&text[..taken]).expect("the tests cut between characters"));
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Reopen for Scripted {
    fn reopen(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }
}

#[test]
fn a_failed_write_loses_no_line_and_joins_no_two() {
    use Step::Busy;
    use Step::Closed;
    use Step::Full;
    use Step::Interrupted;
    use Step::Takes;
    let table: [(&[Step], &str); 9] = [
        (&[], "one\ntwo\nthree\n"),
        (&[Takes(2), Takes(3)], "one\ntwo\nthree\n"),
        (&[Interrupted, Takes(5), Interrupted], "one\ntwo\nthree\n"),
        (&[Busy, Takes(5)], "one\ntwo\nthree\n"),
        (&[Full], "one\ntwo\nthree\n"),
        (&[Takes(4), Full], "one\ntwo\nthree\n"),
        (&[Takes(6), Full], "one\ntw\ntwo\nthree\n"),
        (&[Takes(6), Full, Full, Closed], "one\ntw\ntwo\nthree\n"),
        (&[Takes(2), Closed, Takes(1), Takes(1), Closed], "on\no\none\ntwo\nthree\n"),
    ];
    for (steps, expected) in table {
        let (mut spool, _) = spool(steps);
        spool.push(lines("one\ntwo\n"));
        spool.push(lines("three\n"));
        let start = Instant::now();
        for second in 0..4 {
            spool.deliver(start + PAUSE * second);
        }
        assert_eq!((spool.output.out.as_str(), spool.retry_at()), (expected, None), "{steps:?}");
    }
}

#[test]
fn a_failing_output_is_left_alone_for_a_second() {
    let (mut spool, _) = spool(&[Step::Full]);
    spool.push(lines("one\n"));
    let start = Instant::now();
    spool.deliver(start);
    assert_eq!(spool.retry_at(), Some(start + PAUSE));
    spool.deliver(start + PAUSE.mul_f64(0.999));
    assert_eq!(spool.output.out, "");
    spool.deliver(start + PAUSE);
    assert_eq!((spool.output.out.as_str(), spool.retry_at()), ("one\n", None));
}

#[test]
fn reopening_ends_the_wait_at_once() {
    let (mut spool, _) = spool(&[Step::Full]);
    spool.push(lines("one\n"));
    spool.deliver(Instant::now());
    spool.reopen();
    spool.deliver(Instant::now());
    assert_eq!(spool.output.out, "one\n");
}

#[test]
fn dropped_lines_are_said_when_writing_works_and_at_most_once_a_second() {
    let (mut spool, fill) = spool(&[Step::Full]);
    let start = Instant::now();
    spool.push(lines("one\n"));
    fill.dropped.fetch_add(3, Relaxed);
    spool.deliver(start);
    assert_eq!(said(&mut spool), Vec::<u64>::new());
    spool.deliver(start + PAUSE);
    assert_eq!(said(&mut spool), [3]);
    fill.dropped.fetch_add(4, Relaxed);
    spool.deliver(start + PAUSE);
    assert_eq!((said(&mut spool), spool.retry_at()), (vec![], Some(start + PAUSE * 2)));
    spool.deliver(start + PAUSE * 2);
    assert_eq!((said(&mut spool), spool.retry_at()), (vec![4], None));
}

#[test]
fn what_cannot_be_written_at_the_end_is_counted_as_dropped() {
    let (mut spool, fill) = spool(&[Step::Takes(4), Step::Full]);
    spool.push(lines("one\n"));
    spool.push(lines("two\nthree\n"));
    spool.finish();
    assert_eq!((fill.written.load(Relaxed), fill.dropped.load(Relaxed)), (1, 2));
}

fn spool(steps: &[Step]) -> (Spool<Scripted>, Arc<Fill>) {
    let fill = Arc::<Fill>::default();
    let output = Scripted { steps: steps.iter().copied().collect(), out: String::new() };
    (Spool::new(output, Form::Json, Arc::clone(&fill)), fill)
}

fn lines(text: &str) -> Lines {
    Lines { text: text.as_bytes().to_vec(), count: text.lines().count() as u64 }
}

/// The losses that were said since the last call.
fn said(spool: &mut Spool<Scripted>) -> Vec<u64> {
    let out = std::mem::take(&mut spool.output.out);
    let counts = out.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    counts.filter_map(|line| line["dropped"].as_u64()).collect()
}
