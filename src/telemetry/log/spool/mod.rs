//! Owns what waits for the output, and what becomes of it when the output fails: no line is cut in two and passed off as
//! two, none is lost while there is room, and what was lost is said.

use std::collections::VecDeque;
use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use super::Fill;
use super::Lines;
use super::complain;
use super::output::Reopen;
use crate::telemetry::Event;
use crate::telemetry::Notice;
use crate::telemetry::stamp::Stamp;
use crate::telemetry::style::Form;

/// The lines that wait, and the output that they wait for.
#[derive(Debug)]
pub(super) struct Spool<O> {
    output: O,
    form: Form,
    fill: Arc<Fill>,
    waiting: VecDeque<Lines>,
    /// Bytes of the first of `waiting` that are written; always whole lines, between two deliveries.
    written: usize,
    /// Whether the last write left a part of a line behind.
    torn: bool,
    /// Set while the output fails.
    retry_at: Option<Instant>,
    /// Dropped lines that were said.
    said: u64,
    /// Not before this are more of them said.
    say_at: Option<Instant>,
}

impl<O: Write + Reopen> Spool<O> {
    pub(super) fn new(output: O, form: Form, fill: Arc<Fill>) -> Self {
        Self {
            output,
            form,
            fill,
            waiting: VecDeque::new(),
            written: 0,
            torn: false,
            retry_at: None,
            said: 0,
            say_at: None,
        }
    }

    pub(super) fn push(&mut self, lines: Lines) {
        self.waiting.push_back(lines);
    }

    /// When the output is to be tried again, where it has failed or something is yet to be said.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        if self.unsaid() > 0 { self.retry_at.or(self.say_at) } else { self.retry_at }
    }

    /// Opens the output anew and tries it at the next delivery, whatever it did before.
    pub(super) fn reopen(&mut self) {
        if let Err(error) = self.output.reopen() {
            complain(format_args!("the log cannot be reopened, the old file stays in use: {error}"));
        }
        if self.retry_at.is_some() {
            self.retry_at = Some(Instant::now());
        }
    }

    /// Goes on with another output, or reopens the one that there is where there is no other.
    pub(super) fn switch(&mut self, output: Option<O>, form: Form) {
        self.form = form;
        let Some(output) = output else { return self.reopen() };
        self.output = output;
        // Where the old one has a part of a line, the new one gets it whole.
        self.torn = false;
        self.retry_at = self.retry_at.map(|_| Instant::now());
    }

    /// Writes what waits, as far as the output takes it.
    pub(super) fn deliver(&mut self, now: Instant) {
        if self.retry_at.is_some_and(|at| now < at) {
            return;
        }
        if self.retry_at.is_some() {
            // What failed may have been the file and not the disk. If it cannot be opened, the old one is tried.
            self.output.reopen().ok();
        }
        match self.write_waiting(now) {
            Ok(()) => self.retry_at = None,
            Err(error) => {
                if self.retry_at.is_none() {
                    complain(format_args!("the log cannot be written, and is tried again every second: {error}"));
                }
                self.retry_at = Some(now + PAUSE);
            }
        }
    }

    /// Writes what can be written, for the last time; the rest is lost.
    pub(super) fn finish(mut self) {
        let now = Instant::now();
        self.retry_at = self.retry_at.map(|_| now);
        self.say_at = None;
        self.deliver(now);
        let lost = self.waiting.iter().map(|lines| lines.count).sum();
        self.fill.dropped.fetch_add(lost, Relaxed);
    }

    fn write_waiting(&mut self, now: Instant) -> io::Result<()> {
        loop {
            while let Some(lines) = self.waiting.front() {
                write_lines(&mut self.output, &lines.text, &mut self.written, &mut self.torn)?;
                self.fill.waiting.fetch_sub(lines.text.len(), Relaxed);
                self.fill.written.fetch_add(lines.count, Relaxed);
                self.written = 0;
                self.waiting.pop_front();
            }
            match self.loss(now) {
                Some(notice) => self.waiting.push_back(notice),
                None => return Ok(()),
            }
        }
    }

    fn unsaid(&self) -> u64 {
        self.fill.dropped.load(Relaxed).saturating_sub(self.said)
    }

    /// The line that says how many lines were dropped, where some were and it is not too soon to say so again.
    fn loss(&mut self, now: Instant) -> Option<Lines> {
        let dropped = self.unsaid();
        if dropped == 0 || self.say_at.is_some_and(|at| now < at) {
            return None;
        }
        if self.said == 0 {
            complain(format_args!(
                "log lines were dropped, since the log's output did not keep up; the log says how many"
            ));
        }
        self.said += dropped;
        self.say_at = Some(now + PAUSE);
        let mut stamp = Stamp::default();
        stamp.set(SystemTime::now());
        let mut notice = Lines { text: Vec::new(), count: 1 };
        let event = Event::Notice(Notice { message: "log lines were dropped", dropped: Some(dropped) });
        self.form.write(&mut notice.text, &stamp, &event);
        self.fill.waiting.fetch_add(notice.text.len(), Relaxed);
        Some(notice)
    }
}

/// Writes the lines from `written` on. Where that fails, `written` stands at the beginning of the line that was not
/// finished, to be written again; what of it got out is `torn` and gets an end of line before anything else is written.
fn write_lines(output: &mut impl Write, text: &[u8], written: &mut usize, torn: &mut bool) -> io::Result<()> {
    if *torn {
        write_some(output, b"\n")?;
        *torn = false;
    }
    while let Some(rest) = text.get(*written..).filter(|rest| !rest.is_empty()) {
        match write_some(output, rest) {
            Ok(taken) => *written += taken,
            Err(error) => {
                let whole = text.get(..*written).and_then(|out| memchr::memrchr(b'\n', out)).map_or(0, |end| end + 1);
                *torn = whole != *written;
                *written = whole;
                return Err(error);
            }
        }
    }
    Ok(())
}

/// One write. An output that another program has made non-blocking is waited for all the same: this thread has the time.
fn write_some(output: &mut impl Write, text: &[u8]) -> io::Result<usize> {
    loop {
        match output.write(text) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => return Ok(taken),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::park_timeout(Duration::from_millis(10)),
            Err(error) => return Err(error),
        }
    }
}

/// Between two tries of an output that fails, and between two lines about loss.
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
