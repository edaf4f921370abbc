//! Owns the telling of an exchange while it goes on: a line for each step, with its time and its limit.
//!
//! At a terminal the step that is under way is shown too, and its end takes that place.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use super::Response;
use crate::command::console::Console;
use crate::diagnosis::observation::Findings;
use crate::diagnosis::observed;
use crate::diagnosis::wording::duration;
use crate::fault::Stage;
use crate::telemetry::colour::Colour;
use crate::upstream::Exhausted;
use crate::upstream::watcher::Step;

/// Tells one exchange.
pub(super) struct Teller<'c, 'o> {
    silent: bool,
    console: &'c mut Console<'o>,
    under_way: Option<UnderWay>,
}

struct UnderWay {
    stage: Stage,
    with: String,
    limit: Duration,
    since: Instant,
}

impl<'c, 'o> Teller<'c, 'o> {
    /// One who tells a person, or nobody.
    pub(super) const fn new(silent: bool, console: &'c mut Console<'o>) -> Self {
        Self { silent, console, under_way: None }
    }

    /// What is asked, and whose limits hold.
    pub(super) fn begin(&mut self, title: &str, by: &str) -> io::Result<()> {
        if self.silent {
            return Ok(());
        }
        let mut sheet = self.console.sheet();
        sheet.paragraph((Colour::Bold, "GET     "), title);
        sheet.paragraph((Colour::Dim, "Limits  "), by);
        sheet.blank();
        self.console.show(&mut sheet)
    }

    /// A step begins or has ended.
    pub(super) fn step(&mut self, at: Instant, step: Step) -> io::Result<()> {
        match step {
            Step::Begun { stage, with, limit } => {
                // An attempt before this one has failed where its last step never ended.
                if self.under_way.is_some() {
                    self.end(at, (Colour::Red, "FAIL"), "")?;
                }
                if !self.silent {
                    let says = format!("  ...   {:<8}  {with}, at most {}", stage.word(), duration(limit));
                    self.console.progress(Some(&says));
                }
                self.under_way = Some(UnderWay { stage, with, limit, since: at });
                Ok(())
            }
            Step::Done { found } => self.end(at, (Colour::Green, "ok"), &found),
        }
    }

    /// The answer has come.
    pub(super) fn answered(&mut self, response: &Response) -> io::Result<()> {
        let says = super::verdict::status_line(&response.parts);
        let at = self.under_way.as_ref().map_or_else(Instant::now, |under_way| under_way.since + response.elapsed);
        self.end(at.min(Instant::now()), (Colour::Green, "ok"), &says)
    }

    /// It has not.
    pub(super) fn failed(&mut self, exhausted: &Exhausted) -> io::Result<()> {
        let failure = exhausted.attempts.get(exhausted.telling);
        let says = failure.map(|failure| failure.fault.word().to_owned()).unwrap_or_default();
        let now = Instant::now();
        if let Some(failure) = failure.filter(|failure| failure.fault.stage() == Stage::Body) {
            // The head had come by then, which is when the wait for the body began.
            let head = now.checked_sub(failure.waited()).unwrap_or(now);
            self.end(head, (Colour::Green, "ok"), "its head")?;
            let limit = failure.limit.unwrap_or_default();
            self.under_way = Some(UnderWay { stage: Stage::Body, with: String::new(), limit, since: head });
        }
        self.end(now, (Colour::Red, "FAIL"), &says)
    }

    /// The server is being checked.
    pub(super) fn checking(&mut self) {
        if !self.silent {
            self.console.progress(Some("  ...   checking the server, its host and its name, at most 3 s"));
        }
    }

    /// What the checks have found.
    pub(super) fn checked(&mut self, findings: &Findings) -> io::Result<()> {
        if self.silent {
            return Ok(());
        }
        self.console.progress(None);
        let mut sheet = self.console.sheet();
        for line in observed::in_lines(&findings.observations) {
            sheet.paragraph((Colour::Dim, "  check "), &line);
        }
        self.console.show(&mut sheet)
    }

    fn end(&mut self, at: Instant, (colour, mark): (Colour, &str), found: &str) -> io::Result<()> {
        let Some(UnderWay { stage, with, limit, since }) = self.under_way.take() else { return Ok(()) };
        if self.silent {
            return Ok(());
        }
        self.console.progress(None);
        let took = duration(at.saturating_duration_since(since)).replace("less than ", "<");
        let limit = if limit > Duration::ZERO { format!("of {}", duration(limit)) } else { String::new() };
        let mut sheet = self.console.sheet();
        let says = match (with.is_empty(), found.is_empty() || found == with) {
            (_, true) => with,
            (true, false) => found.to_owned(),
            (false, false) => format!("{with}: {found}"),
        };
        let lead = format!("  {mark:<5} {:<8} {took:>7} {limit:<8} ", stage.word());
        sheet.paragraph((colour, &lead), &says);
        self.console.show(&mut sheet)
    }
}
