//! Owns one request's whole story: its own lines, the incident that it belongs to, the checks of its servers at that time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

use memchr::memmem;
use serde_json::Value;

use super::at::At;
use super::entry::Entry;
use super::entry::Event;
use super::incidents::Incident;
use super::incidents::Incidents;
use super::left_out::Place;
use super::line::Found;
use super::line::read;

/// What is kept of a log for one request.
#[derive(Debug, Clone)]
pub struct Story {
    id: Box<str>,
    lines: Vec<Kept>,
    /// Until the request has been met, the last ones; then those near it.
    probes: VecDeque<Kept>,
    incidents: Incidents,
    failed: Arc<Span>,
}

/// When the request has failed, first and last, as far as any part of the log has told: its checks may stand in another part.
#[derive(Debug)]
struct Span {
    first: AtomicI64,
    last: AtomicI64,
}

/// A line that was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// When.
    pub at: At,
    /// Where it stands.
    pub place: Place,
    /// All that it says.
    pub says: Value,
}

impl Story {
    /// The story of the request with this id.
    #[must_use]
    pub fn of(id: &str) -> Self {
        let failed = Arc::new(Span { first: AtomicI64::new(i64::MAX), last: AtomicI64::new(i64::MIN) });
        Self { id: id.into(), lines: Vec::new(), probes: VecDeque::new(), incidents: Incidents::default(), failed }
    }

    /// The same, for a part of the log that is read beside others.
    #[must_use]
    pub fn part(&self) -> Self {
        Self { failed: Arc::clone(&self.failed), ..Self::of(&self.id) }
    }

    /// Keeps what is in a line.
    pub fn line(&mut self, line: &[u8], place: Place) {
        let has_id = memmem::find(line, self.id.as_bytes()).is_some();
        // Nearly no line has anything to do with it.
        if has_id || WORDS.iter().any(|word| memmem::find(line, word).is_some()) {
            read(line, &mut |found| {
                if let Found::Entry(entry) = found {
                    self.entry(&entry, place);
                }
            });
        }
    }

    /// Adds what another has kept of the same request.
    pub fn merge(&mut self, other: Self) {
        self.lines.extend(other.lines);
        self.probes.extend(other.probes);
        self.incidents.merge(other.incidents);
    }

    /// The request's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its own lines, in order.
    #[must_use]
    pub fn lines(&self) -> Vec<&Kept> {
        in_order(self.lines.iter())
    }

    /// The incident that it belongs to.
    #[must_use]
    pub fn incident(&self) -> Option<&Incident> {
        let mut ids = self.lines.iter().filter_map(|line| line.says.get("incident")?.as_str());
        ids.find_map(|id| self.incidents.get(id))
    }

    /// The checks of the servers that failed, shortly before or after, in order.
    #[must_use]
    pub fn probes(&self) -> Vec<&Kept> {
        let failed = |kept: &&Kept| word(&kept.says, "event") == Some("upstream_failure");
        let failures: Vec<&Kept> = self.lines.iter().filter(failed).collect();
        let is_of = |probe: &Kept, failure: &Kept| {
            (probe.at.0 - failure.at.0).abs() <= NEAR && has_server(&failure.says, word(&probe.says, "server"))
        };
        in_order(self.probes.iter().filter(|probe| failures.iter().any(|failure| is_of(probe, failure))))
    }

    fn entry(&mut self, entry: &Entry<'_>, place: Place) {
        let kept = || Some(Kept { at: entry.at, place, says: serde_json::from_slice(entry.object).ok()? });
        match &entry.event {
            Event::Request { .. } | Event::Failure(_) => {
                let own = kept().filter(|kept| word(&kept.says, "request_id") == Some(&self.id));
                if let Some(own) = own.filter(|_| self.lines.len() < MOST_KEPT) {
                    self.failed.note(&entry.event, entry.at);
                    self.lines.push(own);
                }
            }
            Event::Opened(incident) | Event::Closed(incident) => {
                self.incidents.told(entry.at, incident, entry.details());
            }
            Event::Probe { .. } if self.failed.may_be_near(entry.at) => {
                self.probes.extend(kept());
                if self.probes.len() > MOST_KEPT {
                    self.probes.pop_front();
                }
            }
            Event::Probe { .. } | Event::Other => {}
        }
    }
}

impl Span {
    fn note(&self, event: &Event<'_>, at: At) {
        if let Event::Failure(_) = event {
            self.first.fetch_min(at.0, Relaxed);
            self.last.fetch_max(at.0, Relaxed);
        }
    }

    /// Whether that is near the request's failures, or they are not known yet.
    fn may_be_near(&self, at: At) -> bool {
        let (first, last) = (self.first.load(Relaxed), self.last.load(Relaxed));
        first > last || (first.saturating_sub(NEAR)..=last.saturating_add(NEAR)).contains(&at.0)
    }
}

/// A member of an object that is a text.
fn word<'a>(object: &'a Value, member: &str) -> Option<&'a str> {
    object.get(member)?.as_str()
}

fn has_server(failure: &Value, server: Option<&str>) -> bool {
    let attempts = failure.get("attempts").and_then(Value::as_array).into_iter().flatten();
    server.is_some() && attempts.chain([failure]).any(|attempt| word(attempt, "server") == server)
}

fn in_order<'a>(kept: impl Iterator<Item = &'a Kept>) -> Vec<&'a Kept> {
    let mut all: Vec<&Kept> = kept.collect();
    all.sort_by_key(|kept| (kept.at, kept.place));
    all
}

/// How many lines are kept of one kind. One request has a few.
const MOST_KEPT: usize = 10_000;

/// How long before or after a failure a round of checks may end to belong to it, in milliseconds.
const NEAR: i64 = 15_000;

/// What else the story may need, for it is known only later: lines of incidents and of checks.
const WORDS: [&[u8]; 2] = [b"incident_", b"probe"];

#[cfg(test)]
mod tests {
    use super::Story;
    use crate::logbook::Place;

    #[test]
    fn a_request_has_its_lines_its_incident_and_the_checks_of_its_server() {
        let log = [
            r#"{"ts":"2026-11-26T10:00:00.000Z","event":"request","request_id":"B","status":200,"upstream":"app"}"#,
            r#"{"ts":"2026-11-26T10:00:02.000Z","event":"request","request_id":"A","status":502,"upstream":"app"}"#,
            r#"{"ts":"2026-11-26T10:00:01.000Z","event":"upstream_failure","request_id":"A","upstream":"app","fault":"f","cause":"c","incident":"I","attempts":[{"server":"http://a"}]}"#,
            r#"{"ts":"2026-11-26T10:00:00.000Z","event":"incident_opened","incident":"I","upstream":"app","cause":"c"}"#,
            r#"{"ts":"2026-11-26T10:00:00.000Z","event":"incident_opened","incident":"K","upstream":"app","cause":"c"}"#,
            r#"{"ts":"2026-11-26T10:00:03.000Z","event":"probe","server":"http://a","found":[]}"#,
            r#"{"ts":"2026-11-26T10:00:03.000Z","event":"probe","server":"http://b","found":[]}"#,
            r#"{"ts":"2026-11-26T10:01:03.000Z","event":"probe","server":"http://a","found":[]}"#,
            r#"{"ts":"2026-11-26T10:00:02.000Z","event":"request","request_id":"C","path":"/A","status":200,"upstream":"app"}"#,
            "A",
        ];
        let mut story = Story::of("A");
        for (number, line) in (1..).zip(log) {
            let mut part = story.part();
            part.line(line.as_bytes(), Place { file: 0, line: number });
            story.merge(part);
        }
        let places = |kept: Vec<&super::Kept>| kept.iter().map(|kept| kept.place.line).collect::<Vec<_>>();
        assert_eq!((places(story.lines()), places(story.probes())), (vec![3, 2], vec![6]));
        assert_eq!(&*story.incident().unwrap().id, "I");
    }

    #[test]
    fn the_checks_of_a_request_are_found_among_any_number_of_others() {
        let probe = |second: usize| {
            let (minute, second) = (second / 60, second % 60);
            let (hour, minute) = (minute / 60, minute % 60);
            format!(
                r#"{{"ts":"2026-11-26T{hour:02}:{minute:02}:{second:02}.000Z","event":"probe","server":"http://a","found":[]}}"#
            )
        };
        let failure = probe(22_005).replace(
            r#""probe","server""#,
            r#""upstream_failure","request_id":"A","upstream":"app","fault":"f","cause":"c","server""#,
        );
        let whole = Story::of("A");
        let (mut one, mut other) = (whole.part(), whole.part());
        for second in (0..30_000).step_by(2) {
            one.line(probe(second).as_bytes(), Place { file: 0, line: 0 });
            other.line(probe(second + 1).as_bytes(), Place { file: 0, line: 0 });
            if second == 22_006 {
                one.line(failure.as_bytes(), Place { file: 0, line: 1 });
            }
        }
        one.merge(other);
        assert_eq!(one.probes().len(), 31, "each second, and 15 before and behind it");
    }
}
