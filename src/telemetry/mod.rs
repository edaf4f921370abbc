//! Owns what the proxy tells: one call an event makes the log line and the counters, so that they cannot disagree.
//!
//! Each core has its own half, a `Core`: a buffer of finished lines and a set of counters that nobody else writes. Buffers
//! go whole to the one thread that writes the log (`log`). What a line says is in `event`; how it looks in `json` and `pretty`.

pub mod colour;
mod count;
pub mod event;
mod json;
mod live;
mod log;
mod outlet;
mod pretty;
mod stamp;
mod style;
mod tally;
mod traffic;
mod visits;

use std::cell::Cell;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

pub use self::count::Failures;
pub use self::count::Refusals;
pub use self::count::Responses;
pub use self::count::Totals;
pub use self::count::TurnedAway;
pub use self::event::By;
pub use self::event::Event;
pub use self::event::IncidentClosed;
pub use self::event::IncidentOpened;
pub use self::event::Level;
pub use self::event::Notice;
pub use self::event::Probe;
pub use self::event::ReloadRefused;
pub use self::event::Reloaded;
pub use self::event::Request;
pub use self::event::ServerEjected;
pub use self::event::ServerReturned;
pub use self::event::Span;
pub use self::event::Started;
pub use self::event::Stopped;
pub use self::event::UpstreamFailure;
pub use self::json::members_in_line;
pub use self::live::Audience;
pub use self::live::Kinds;
pub use self::outlet::Outlet;
pub use self::stamp::rfc_3339;
pub use self::tally::Tally;
pub use self::traffic::BOUNDS;
pub use self::traffic::Times;
pub use self::traffic::Traffic;
pub use self::traffic::Ways;
pub use self::visits::Visit;
pub use self::visits::Visits;

use self::count::Counters;
use self::live::Script;
use self::live::Stage;
use self::log::Lines;
use self::log::Log;
use self::log::Output;
use self::stamp::Stamp;
use self::style::Current;
use self::style::Style;
use crate::config;
use crate::per_core::PerCore;

/// What the whole process tells.
#[derive(Debug)]
pub struct Telemetry {
    style: Arc<Current>,
    log: Log,
    cores: PerCore<Counters>,
    outlet: Arc<Outlet>,
    began: SystemTime,
    stage: Arc<Stage>,
}

/// One core's own half. It may move to its thread, but is never shared.
pub struct Core {
    style: Arc<Current>,
    log: log::Queue,
    outlet: Arc<Outlet>,
    counters: Arc<Counters>,
    stamp: Cell<Stamp>,
    buffer: Cell<Lines>,
    last_failure: Cell<SystemTime>,
    stage: Arc<Stage>,
    script: Script,
}

/// Another style and another output, opened already, so that nothing can fail any more.
#[derive(Debug)]
pub struct Prepared {
    style: Style,
    /// None where the output is the one that there is.
    output: Option<Output>,
}

impl Telemetry {
    /// Opens the log's output and starts the thread that writes to it.
    ///
    /// # Errors
    ///
    /// The output cannot be opened, or the thread cannot be started.
    pub fn start(settings: &config::Log) -> io::Result<Self> {
        let style = Style::of(settings);
        let log = Log::start(Output::open(&settings.output)?, style.form)?;
        Ok(Self {
            style: Arc::new(Current::new(style)),
            log,
            cores: PerCore::default(),
            outlet: Arc::default(),
            began: SystemTime::now(),
            stage: Arc::default(),
        })
    }

    /// What it takes to go on with other settings.
    ///
    /// # Errors
    ///
    /// The output cannot be opened.
    pub fn prepare(&self, settings: &config::Log, before: &config::Log) -> io::Result<Prepared> {
        let same = settings.output == before.output;
        let output = if same { None } else { Some(Output::open(&settings.output)?) };
        Ok(Prepared { style: Style::of(settings), output })
    }

    /// Goes on with other settings. `flushed` has the cores flush what they have told by the old ones.
    pub fn switch(&self, prepared: Prepared, flushed: impl FnOnce()) {
        let Prepared { style, output } = prepared;
        self.style.set(style);
        flushed();
        self.log.switch(output, style.form);
    }

    /// A core's own half, which one thread may use. What it counted stays in the totals when it is dropped.
    #[must_use]
    pub fn core(&self) -> Core {
        Core {
            style: Arc::clone(&self.style),
            log: self.log.queue().clone(),
            outlet: Arc::clone(&self.outlet),
            counters: self.cores.take(),
            stamp: Cell::default(),
            buffer: Cell::default(),
            last_failure: Cell::new(SystemTime::UNIX_EPOCH),
            stage: Arc::clone(&self.stage),
            script: Script::default(),
        }
    }

    /// Where the lines of incidents come out for somebody who wants each of them.
    #[must_use]
    pub const fn outlet(&self) -> &Arc<Outlet> {
        &self.outlet
    }

    /// Opens the log's file anew, under its name: it may have been renamed. Where that fails, the old one stays.
    pub fn reopen(&self) {
        self.log.reopen();
    }

    /// Writes what the cores have flushed and ends the thread; gives up after the limit. A `Core` that is dropped has flushed.
    pub fn stop(&self, limit: Duration) {
        self.log.stop(limit);
    }

    /// The sums over all cores. What a core is just counting may be in one number and not yet in another.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.cores.for_each(|counters| counters.add_to(&mut totals));
        let queue = self.log.queue();
        Totals {
            lines_written: queue.written(),
            lines_dropped: queue.dropped(),
            webhook_dropped: self.outlet.dropped(),
            ..totals
        }
    }

    /// Requests by the way that they took, all cores together; first those that no route took.
    #[must_use]
    pub fn ways(&self) -> Vec<Ways> {
        let mut ways = Vec::new();
        self.cores.for_each(|counters| counters.traffic.add_to(&mut ways));
        ways
    }

    /// How often what happens rarely has happened, all cores together.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.cores.for_each(|counters| counters.rare.add_to(&mut tally));
        tally
    }

    /// Lets somebody listen to events of these kinds from now on, as they happen; none where too many do.
    #[must_use]
    pub fn listen(&self, kinds: Kinds) -> Option<Audience> {
        self.stage.listen(kinds)
    }

    /// When the program began to tell.
    #[must_use]
    pub const fn began(&self) -> SystemTime {
        self.began
    }
}

impl Core {
    /// Counts the event and makes its log line. The end of a request takes no lock, and a system call only once in
    /// `BUFFER_BYTES` of lines; a failure takes a lock that only `Telemetry::totals` shares.
    pub fn record(&self, event: Event<'_>) {
        self.record_at(event, SystemTime::now());
    }

    /// Where requests are counted that this route leads to this upstream, or that this proxy answers on its own there.
    #[must_use]
    pub fn traffic(&self, route: &str, upstream: Option<&str>) -> Arc<Traffic> {
        self.counters.traffic.of(route, upstream.unwrap_or_default())
    }

    /// Counts a client that did not get as far as a request.
    pub fn turned_away(&self, at: TurnedAway) {
        self.counters.count_turned_away(at);
    }

    fn record_at(&self, event: Event<'_>, now: SystemTime) {
        self.counters.count(&event);
        let Style { form, access } = self.style.get();
        let is_logged = access || !matches!(event, Event::Request(_));
        let is_heard = self.stage.is_wanted(&event);
        if !is_logged && !is_heard {
            return;
        }
        let mut stamp = self.stamp.take();
        stamp.set(now);
        if matches!(event, Event::IncidentOpened(_) | Event::IncidentClosed(_)) {
            self.outlet.put(|| json::line(&stamp, &event));
        }
        let mut full = is_heard && self.script.add(&stamp, &event);
        if is_logged {
            let mut lines = self.buffer.take();
            form.write(&mut lines.text, &stamp, &event);
            lines.count += 1;
            full |= lines.text.len() >= BUFFER_BYTES;
            self.buffer.set(lines);
        }
        self.stamp.set(stamp);
        if full || self.is_urgent(&event, now) {
            self.flush();
        }
    }

    /// Whether the event's line goes out at once. Access lines never do, and failures only where the one before is a
    /// moment ago: in a storm, a system call for each would make the outage worse.
    fn is_urgent(&self, event: &Event<'_>, now: SystemTime) -> bool {
        match event {
            // A round is told of on the tick, and with it.
            Event::Request(_) | Event::Probe(_) => false,
            Event::UpstreamFailure(_) => {
                let before = self.last_failure.replace(now);
                now.duration_since(before).is_ok_and(|quiet| quiet >= STORM)
            }
            Event::Started(_)
            | Event::Reloaded(_)
            | Event::ReloadRefused(_)
            | Event::Stopped(_)
            | Event::ServerEjected(_)
            | Event::ServerReturned(_)
            | Event::IncidentOpened(_)
            | Event::IncidentClosed(_)
            | Event::Notice(_) => true,
        }
    }

    /// Hands over the lines that wait, and events to whoever listens. To be called on the core's coarse tick, about every 100 ms.
    pub fn flush(&self) {
        let mut lines = self.buffer.take();
        if lines.count > 0 {
            // The core keeps its buffer, which is warm in its caches; the queue gets a copy that is no larger than it must be.
            self.log.push(lines.clone());
            lines.text.clear();
            lines.count = 0;
        }
        self.buffer.set(lines);
        self.script.pass_on(&self.stage);
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.flush();
    }
}

/// How many bytes of lines a core gathers before it hands them over without waiting for the tick.
const BUFFER_BYTES: usize = 32 * 1024;

/// Failures that follow each other faster than this wait for the tick together.
const STORM: Duration = Duration::from_millis(10);

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
