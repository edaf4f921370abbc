//! Owns the sums over a log. Parts of a log may be summed up apart and merged, in whatever order.

use super::at::At;
use super::entry::Entry;
use super::entry::Event;
use super::entry::Failure;
use super::entry::StepSeen;
use super::incidents::Incident;
use super::incidents::Incidents;
use super::kinds::Answers;
use super::kinds::Kind;
use super::kinds::Upstream;
use super::kinds::Upstreams;
use super::left_out::LeftOut;
use super::left_out::LeftOuts;
use super::left_out::Place;
use super::line::Found;
use super::line::read;
use super::timeline::Timeline;

/// Which events count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of this moment and later.
    pub since: Option<At>,
    /// Those before this moment.
    pub until: Option<At>,
    /// Those of this upstream.
    pub upstream: Option<Box<str>>,
}

/// The sums.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// How many lines were read.
    pub lines: u64,
    /// How many events of them counted.
    pub events: u64,
    /// The first and the last moment of those.
    pub span: Option<(At, At)>,
    /// How requests were answered that are for no upstream.
    pub own: Answers,
    /// What was left out.
    pub left_out: LeftOuts,
    /// Requests and failures over time.
    pub timeline: Timeline,
    /// How many requests, failures and lines of incidents have no rows, for there are too many names.
    pub beyond: u64,
    upstreams: Upstreams,
    incidents: Incidents,
}

/// A step that the log advises, and how much speaks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice<'a> {
    /// The step.
    pub step: &'a StepSeen,
    /// How many failures had it on their checklist, as the first of their kind had.
    pub failures: u64,
    /// The upstreams and faults that it is for, those with most failures first.
    pub on: Vec<(&'a str, &'a str)>,
}

impl Filter {
    fn lets_through(&self, entry: &Entry<'_>) -> bool {
        let in_time =
            self.since.is_none_or(|since| entry.at >= since) && self.until.is_none_or(|until| entry.at < until);
        // When an incident began and ended counts, not when that was told.
        in_time || matches!(entry.event, Event::Opened(_) | Event::Closed(_))
    }

    fn is_for(&self, upstream: Option<&str>) -> bool {
        self.upstream.as_deref().is_none_or(|wanted| upstream == Some(wanted))
    }
}

impl Tally {
    /// Counts what is in a line.
    pub fn line(&mut self, line: &[u8], place: Place, filter: &Filter) {
        self.lines += 1;
        read(line, &mut |found| match found {
            Found::Entry(entry) if filter.lets_through(&entry) => self.entry(&entry, filter),
            Found::Entry(_) => {}
            Found::LeftOut(what) => self.left_out.note(what, place),
        });
    }

    /// A line that is too long to be looked at.
    pub fn too_long(&mut self, place: Place) {
        self.lines += 1;
        self.left_out.note(LeftOut::TooLong, place);
    }

    /// Adds what another has summed up.
    pub fn merge(&mut self, other: Self) {
        self.lines += other.lines;
        self.events += other.events;
        for at in other.span.into_iter().flat_map(|(first, last)| [first, last]) {
            self.extend(at);
        }
        self.own.merge(other.own);
        self.left_out.merge(&other.left_out);
        self.timeline.merge(other.timeline);
        self.beyond += other.beyond + self.upstreams.merge(other.upstreams);
        self.incidents.merge(other.incidents);
    }

    /// Every upstream, the one with most failures first.
    #[must_use]
    pub fn upstreams(&self) -> Vec<&Upstream> {
        let mut all: Vec<&Upstream> = self.upstreams.rows().iter().collect();
        all.sort_by(|one, other| {
            let rank = |upstream: &Upstream| (upstream.seen(), upstream.hidden());
            rank(other).cmp(&rank(one)).then_with(|| one.name.cmp(&other.name))
        });
        all
    }

    /// Every fault and cause with its upstream, the most frequent first.
    #[must_use]
    pub fn kinds(&self) -> Vec<(&Upstream, &Kind)> {
        let rows = self.upstreams.rows().iter();
        let mut all: Vec<(&Upstream, &Kind)> =
            rows.flat_map(|upstream| upstream.kinds.iter().map(move |kind| (upstream, kind))).collect();
        all.sort_by(|(upstream, one), (others, other)| {
            let rank = |kind: &Kind| (kind.seen, kind.hidden, kind.last);
            let names = (&upstream.name, &one.fault, &one.cause);
            rank(other).cmp(&rank(one)).then_with(|| names.cmp(&(&others.name, &other.fault, &other.cause)))
        });
        all
    }

    /// Incidents that were going on at a time that counts, in the order in which they began.
    #[must_use]
    pub fn incidents(&self, filter: &Filter) -> Vec<&Incident> {
        let mut all = self.incidents.within(filter.since, filter.until);
        all.retain(|incident| filter.is_for(Some(&incident.upstream)));
        all
    }

    /// How many rows of incidents there was no room for.
    #[must_use]
    pub const fn incidents_beyond(&self) -> u64 {
        self.incidents.beyond
    }

    /// What owners are told to do, for the most failures first.
    #[must_use]
    pub fn advice(&self) -> Vec<Advice<'_>> {
        let mut all: Vec<Advice<'_>> = Vec::new();
        for (upstream, kind) in self.kinds() {
            let (failures, on) = (kind.seen + kind.hidden, (&*upstream.name, &*kind.fault));
            for step in kind.details.checklist.iter().filter(|step| step.audience == "owner") {
                let same = |known: &&mut Advice<'_>| known.step.step == step.step && known.step.command == step.command;
                match all.iter_mut().find(same) {
                    Some(known) => {
                        known.failures += failures;
                        if !known.on.contains(&on) {
                            known.on.push(on);
                        }
                    }
                    None => all.push(Advice { step, failures, on: vec![on] }),
                }
            }
        }
        // Of steps for as many failures, the order of their checklists stays.
        all.sort_by_key(|advice| std::cmp::Reverse(advice.failures));
        all
    }

    fn entry(&mut self, entry: &Entry<'_>, filter: &Filter) {
        match &entry.event {
            Event::Request { upstream, status } => {
                if !filter.is_for(upstream.as_deref()) {
                    return;
                }
                let answers = match upstream {
                    None => Some(&mut self.own),
                    Some(name) => self.upstreams.named(name).map(|upstream| &mut upstream.answers),
                };
                match answers {
                    Some(answers) => answers.note(*status),
                    None => self.beyond += 1,
                }
                self.timeline.at(entry.at).requests += 1;
            }
            Event::Failure(failure) => {
                if !filter.is_for(Some(&failure.upstream)) {
                    return;
                }
                self.failure(entry, failure);
            }
            Event::Opened(incident) | Event::Closed(incident) => {
                self.incidents.told(entry.at, incident, entry.details());
                // Its time may lie outside of what counts.
                return;
            }
            Event::Probe { .. } | Event::Other => {
                if filter.upstream.is_some() {
                    return;
                }
            }
        }
        self.events += 1;
        self.extend(entry.at);
    }

    fn failure(&mut self, entry: &Entry<'_>, failure: &Failure<'_>) {
        let Failure { upstream, fault, cause, retried, .. } = failure;
        let new = || Kind {
            fault: (**fault).into(),
            cause: (**cause).into(),
            seen: 0,
            hidden: 0,
            first: entry.at,
            last: entry.at,
            details: entry.details(),
        };
        match self.upstreams.kind((upstream, fault, cause), new) {
            Some(kind) => kind.note(entry.at, *retried),
            None => self.beyond += 1,
        }
        self.incidents.failed(entry.at, failure, || entry.details());
        self.timeline.at(entry.at).failures += u64::from(!retried);
    }

    fn extend(&mut self, at: At) {
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;
    use super::Tally;
    use crate::logbook::At;
    use crate::logbook::LeftOut;
    use crate::logbook::Place;

    fn request(second: u32, upstream: &str, status: u16) -> String {
        format!(
            r#"{{"ts":"2026-11-26T10:00:{second:02}.000Z","level":"info","event":"request","request_id":"r{second}","status":{status},"upstream":"{upstream}","server":null}}"#
        )
    }

    fn failure(second: u32, upstream: &str, fault: &str, incident: &str, retried: bool) -> String {
        format!(
            r#"{{"ts":"2026-11-26T10:00:{second:02}.000Z","event":"upstream_failure","upstream":"{upstream}","retried":{retried},"fault":"{fault}","cause":"dns","incident":{incident},"detail":"at {second}","evidence":[{{"says":"seen at {second}"}}],"checklist":[{{"audience":"visitor","step":"wait"}},{{"audience":"owner","step":"look","command":"ls"}},{{"audience":"owner","step":"fix {fault}"}}]}}"#
        )
    }

    fn log() -> Vec<String> {
        vec![
            request(1, "app", 200),
            failure(2, "app", "dns_timeout", "\"I\"", false),
            request(2, "app", 502),
            "garbage".to_owned(),
            failure(3, "app", "dns_timeout", "null", true),
            request(3, "app", 200),
            r#"{"ts":"2026-11-26T10:00:02.500Z","event":"incident_opened","incident":"I","upstream":"app","cause":"dns","opened":"2026-11-26T10:00:02.000Z","evidence":[{"says":"seen when it opened"}]}"#
                .to_owned(),
            failure(4, "api", "connection_refused", "\"J\"", false),
            failure(5, "api", "connection_refused", "\"J\"", false),
            r#"{"ts":"2026-11-26T10:00:50.000Z","event":"incident_closed","incident":"I","upstream":"app","cause":"dns","opened":"2026-11-26T10:00:02.000Z","closed":"2026-11-26T10:00:40.000Z","count":9}"#
                .to_owned(),
            request(50, "static", 304),
        ]
    }

    fn tally(lines: &[(u64, &String)], filter: &Filter) -> Tally {
        let mut tally = Tally::default();
        for (number, line) in lines {
            tally.line(line.as_bytes(), Place { file: 0, line: *number }, filter);
        }
        tally
    }

    fn shown(tally: &Tally, filter: &Filter) -> String {
        let upstreams = tally.upstreams();
        let rows = upstreams.iter().map(|up| format!("{} {} {} {}", up.name, up.answers.all(), up.seen(), up.hidden()));
        let kinds = tally.kinds();
        let kinds = kinds.iter().map(|(up, kind)| {
            let clock = |at: At| at.clock();
            let (first, last) = (clock(kind.first), clock(kind.last));
            format!("{} {} {}+{} {first} {last} {}", up.name, kind.fault, kind.seen, kind.hidden, kind.details.detail)
        });
        let incidents = tally.incidents(filter);
        let incidents = incidents.iter().map(|one| {
            let closed = one.closed().map_or_else(|| "-".to_owned(), At::clock);
            format!("{} {} {closed} {} {}", one.id, one.begin().clock(), one.count(), one.details.evidence[0].says)
        });
        let advice = tally.advice();
        let advice = advice.iter().map(|advice| format!("{} {}", advice.step.step, advice.failures));
        let left = tally.left_out.all().map(|(what, count, place)| format!("{} {count} {}", what.word(), place.line));
        rows.chain(kinds).chain(incidents).chain(advice).chain(left).collect::<Vec<_>>().join("\n")
    }

    const ALL: &str = "\
api 0 2 0
app 3 1 1
static 1 0 0
api connection_refused 2+0 10:00:04 10:00:05 at 4
app dns_timeout 1+1 10:00:02 10:00:03 at 2
I 10:00:02 10:00:40 9 seen at 2
J 10:00:04 - 2 seen at 4
look 4
fix connection_refused 2
fix dns_timeout 2
foreign 1 4";

    #[test]
    fn a_log_is_summed_up_whole_and_in_parts_alike() {
        let (log, filter) = (log(), Filter::default());
        let lines: Vec<(u64, &String)> = (1..).zip(&log).collect();
        assert_eq!(shown(&tally(&lines, &filter), &filter), ALL);
        for cut in 0..=lines.len() {
            let (one, other) = lines.split_at(cut);
            let mut first = tally(one, &filter);
            first.merge(tally(other, &filter));
            assert_eq!(shown(&first, &filter), ALL, "cut behind line {cut}");
            let mut last = tally(other, &filter);
            last.merge(tally(one, &filter));
            assert_eq!(shown(&last, &filter), ALL, "cut behind line {cut}, the end first");
        }
    }

    #[test]
    fn only_what_is_asked_for_counts() {
        let log = log();
        let lines: Vec<(u64, &String)> = (1..).zip(&log).collect();
        let at = |text: &str| At::read(text.as_bytes());
        let upstream = Filter { upstream: Some("api".into()), ..Filter::default() };
        let found = shown(&tally(&lines, &upstream), &upstream);
        assert!(
            found.starts_with("api 0 2 0\napi conn") && found.contains("\nJ ") && !found.contains("\nI "),
            "{found}"
        );
        let early = Filter { until: at("2026-11-26T10:00:03Z"), ..Filter::default() };
        let found = shown(&tally(&lines, &early), &early);
        assert!(found.starts_with("app 2 1 0\n") && found.contains("\nI ") && !found.contains("\nJ "), "{found}");
        let late = Filter { since: at("2026-11-26T10:00:45Z"), ..Filter::default() };
        let found = shown(&tally(&lines, &late), &late);
        assert!(found.starts_with("static 1 0 0\n") && !found.contains("\nI "), "{found}");
    }

    #[test]
    fn an_incident_that_came_back_is_as_its_last_line_says_in_whatever_order_they_are_read() {
        let line = |second: u32, event: &str, more: &str| {
            format!(
                r#"{{"ts":"2026-11-26T10:00:{second:02}.000Z","event":"incident_{event}","incident":"I","upstream":"app",{more}}}"#
            )
        };
        let closed = |second: u32, cause: &str| {
            line(second, "closed", &format!(r#""cause":"{cause}","closed":"2026-11-26T10:00:{second:02}.000Z""#))
        };
        let log = [
            line(1, "opened", r#""cause":"dns""#),
            closed(10, "overload"),
            line(20, "opened", r#""cause":"dns","returns":1"#),
            closed(30, "firewall"),
            line(40, "opened", r#""cause":"dns","returns":2"#),
        ];
        for (lines, expected) in [
            (1, (None, "dns")),
            (2, (Some(10), "overload")),
            (3, (None, "overload")),
            (4, (Some(30), "firewall")),
            (5, (None, "firewall")),
        ] {
            for first in 0..lines {
                let mut tally = Tally::default();
                for number in (first..lines).chain(0..first) {
                    let place = Place { file: 0, line: number as u64 };
                    let mut part = Tally::default();
                    part.line(log[number].as_bytes(), place, &Filter::default());
                    tally.merge(part);
                }
                let incidents = tally.incidents(&Filter::default());
                let [incident] = incidents[..] else { panic!("{incidents:?}") };
                let closed = incident.closed().map(|at| at.second() % 60);
                assert_eq!((closed, &*incident.cause), expected, "{lines} lines, from {first}");
            }
        }
    }

    #[test]
    fn rows_with_the_same_numbers_have_one_order() {
        let mut rows: Vec<String> =
            ["b", "a", "c"].iter().map(|fault| failure(1, "app", fault, "null", false)).collect();
        rows.push(failure(1, "api", "z", "null", false));
        let tally = tally(&(1..).zip(&rows).collect::<Vec<_>>(), &Filter::default());
        let faults: String = tally.kinds().iter().map(|(_, kind)| &*kind.fault).collect();
        assert_eq!(faults, "zabc");
    }

    #[test]
    fn whatever_the_bytes_are_they_are_counted_and_nothing_breaks() {
        let log = log().join("\n").into_bytes();
        let mut random = fastrand::Rng::with_seed(7);
        let mut tally = Tally::default();
        for number in 1..20_000 {
            let begin = random.usize(..log.len());
            let mut line: Vec<u8> = log.iter().copied().skip(begin).take(random.usize(..600)).collect();
            for _ in 0..random.usize(..4) {
                if let Some(byte) = random.choice(line.iter_mut()) {
                    *byte = random.u8(..);
                }
            }
            tally.line(&line, Place { file: 0, line: number }, &Filter::default());
        }
        let other = tally.clone();
        tally.merge(other);
        assert_eq!(tally.lines, 2 * 19_999);
        assert!(tally.events > 0 && tally.left_out.all().count() == 2);
        assert!(tally.timeline.in_steps(24).1.len() <= 24);
    }

    #[test]
    fn what_is_too_long_has_its_place_too() {
        let mut tally = Tally::default();
        tally.too_long(Place { file: 1, line: 7 });
        tally.too_long(Place { file: 0, line: 9 });
        assert_eq!(tally.left_out.all().collect::<Vec<_>>(), [(LeftOut::TooLong, 2, Place { file: 0, line: 9 })]);
    }
}
