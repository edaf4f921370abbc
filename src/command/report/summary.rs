//! Owns the report for a person: what failed, when, in which incidents, and what to do.

use std::time::Duration;

use super::left_out_in_lines;
use crate::command::sheet::Sheet;
use crate::command::sheet::counted;
use crate::command::sheet::grouped;
use crate::diagnosis::wording::duration;
use crate::logbook::At;
use crate::logbook::Filter;
use crate::logbook::Incident;
use crate::logbook::Kind;
use crate::logbook::Tally;
use crate::logbook::Upstream;
use crate::telemetry::colour::Colour;

/// Writes all of it.
pub(super) fn write(sheet: &mut Sheet, tally: &Tally, filter: &Filter, names: &[String]) {
    overview(sheet, tally, filter, names);
    if tally.span.is_some() {
        upstreams(sheet, tally);
        kinds(sheet, tally);
        timeline(sheet, tally);
    }
    incidents(sheet, tally, filter);
    advice(sheet, tally);
    left_out(sheet, tally, names);
}

fn overview(sheet: &mut Sheet, tally: &Tally, filter: &Filter, names: &[String]) {
    let (lines, of) = (counted(tally.lines, "line"), names.join(", "));
    sheet.paragraph((Colour::Dim, "Read    "), &format!("{lines} of {of}"));
    let only = [
        filter.upstream.as_ref().map(|upstream| format!("upstream {upstream}")),
        filter.since.map(|since| format!("since {since}")),
        filter.until.map(|until| format!("before {until}")),
    ];
    let only: Vec<String> = only.into_iter().flatten().collect();
    if !only.is_empty() {
        sheet.paragraph((Colour::Dim, "Only    "), &only.join(", "));
    }
    match tally.span {
        None => sheet.paragraph((Colour::Dim, "Time    "), "no event of why502 is in there"),
        Some((first, last)) => {
            let says = format!("{first} to {} UTC, {}", until(first, last), between(first, last));
            sheet.paragraph((Colour::Dim, "Time    "), &says);
        }
    }
    let (mut requests, mut seen, mut hidden) = (tally.own.all(), 0, 0);
    for upstream in tally.upstreams() {
        requests += upstream.answers.all();
        seen += upstream.seen();
        hidden += upstream.hidden();
    }
    let hidden = if hidden > 0 { format!(", {} more hidden by a retry", grouped(hidden)) } else { String::new() };
    let colour = if seen > 0 { Colour::Red } else { Colour::Green };
    let failed = format!("{} of {}", grouped(seen), counted(requests, "request"));
    let says = if requests == 0 { grouped(seen) } else { format!("{failed} ({})", share(seen, requests)) };
    sheet.paragraph((colour, "Failed  "), &format!("{says}{hidden}"));
}

fn upstreams(sheet: &mut Sheet, tally: &Tally) {
    let all = tally.upstreams();
    if all.is_empty() {
        return;
    }
    sheet.heading("Upstreams");
    let mut table = Table::new(&[
        ("upstream", Side::Left),
        ("requests", Side::Right),
        ("5xx", Side::Right),
        ("failed", Side::Right),
        ("share", Side::Right),
        ("hidden", Side::Right),
    ]);
    for upstream in all.iter().take(MOST_ROWS) {
        let (requests, seen) = (upstream.answers.all(), upstream.seen());
        let colour = if seen > 0 { Colour::Red } else { Colour::Plain };
        let share = if requests > 0 { share(seen, requests) } else { "-".to_owned() };
        table.row(
            colour,
            vec![
                upstream.name.to_string(),
                grouped(requests),
                grouped(upstream.answers.server_error),
                grouped(seen),
                share,
                grouped(upstream.hidden()),
            ],
        );
    }
    if tally.own.all() > 0 {
        let own = tally.own;
        table.row(
            Colour::Dim,
            vec![
                "(why502 itself)".to_owned(),
                grouped(own.all()),
                grouped(own.server_error),
                "-".to_owned(),
                "-".to_owned(),
                "-".to_owned(),
            ],
        );
    }
    table.write(sheet);
    more(sheet, all.len(), "upstream");
}

fn kinds(sheet: &mut Sheet, tally: &Tally) {
    let all = tally.kinds();
    if all.is_empty() {
        return;
    }
    sheet.heading("Failures by upstream, fault and cause");
    let mut table = Table::new(&[
        ("failed", Side::Right),
        ("hidden", Side::Right),
        ("upstream", Side::Left),
        ("fault", Side::Left),
        ("cause", Side::Left),
        ("last", Side::Left),
    ]);
    let newest = tally.span.map(|(_, last)| last);
    for (upstream, kind) in all.iter().take(MOST_ROWS) {
        let last = newest.map_or_else(|| kind.last.to_string(), |newest| until(newest, kind.last));
        let (fault, cause) = (kind.fault.to_string(), kind.cause.to_string());
        table.row(
            Colour::Plain,
            vec![grouped(kind.seen), grouped(kind.hidden), upstream.name.to_string(), fault, cause, last],
        );
    }
    table.write(sheet);
    more(sheet, all.len(), "row");
    examples(sheet, &all);
}

/// What the first of the most frequent kinds said.
fn examples(sheet: &mut Sheet, all: &[(&Upstream, &Kind)]) {
    let telling = all.iter().filter(|(_, kind)| !kind.details.detail.is_empty()).take(MOST_EXAMPLES);
    for (number, (upstream, kind)) in telling.enumerate() {
        if number == 0 {
            sheet.blank();
        }
        let lead = format!("  {}, {}: ", upstream.name, kind.fault);
        sheet.paragraph((Colour::Dim, "  "), &format!("{}{}", lead.trim_start(), kind.details.detail));
    }
}

fn timeline(sheet: &mut Sheet, tally: &Tally) {
    let (length, buckets) = tally.timeline.clone().in_steps(MOST_STEPS);
    if buckets.is_empty() {
        return;
    }
    let step = duration(Duration::from_secs(length.unsigned_abs()));
    sheet.heading(&format!("Timeline, {step} a row"));
    let most = buckets.iter().map(|(_, bucket)| bucket.failures).max().unwrap_or_default();
    let widest = |text: &dyn Fn(u64) -> String, of: &dyn Fn(usize) -> u64, least: usize| {
        (0..buckets.len()).map(|row| text(of(row)).len()).max().unwrap_or_default().max(least)
    };
    let at = |row: usize| buckets.get(row).map(|(_, bucket)| *bucket).unwrap_or_default();
    let requests = widest(&grouped, &|row| at(row).requests, "requests".len());
    let failures = widest(&grouped, &|row| at(row).failures, "failed".len());
    let days = length >= DAY;
    let time = if days { "day".len().max(10) } else { "2026-07-31 23:58:01".len() };
    let head =
        format!("  {:<time$}  {:>requests$}  {:>failures$}", if days { "day" } else { "begin" }, "requests", "failed");
    sheet.line(Colour::Dim, &head);
    let room = sheet.columns().saturating_sub(2 + time + 2 + requests + 2 + failures + 2);
    let mut day = String::new();
    for (begin, bucket) in &buckets {
        let written = match (days, begin.day() == day) {
            (true, _) => begin.day(),
            (false, true) => format!("{:>10} {}", "", begin.clock()),
            (false, false) => begin.to_string(),
        };
        day = begin.day();
        let (asked, failed) = (grouped(bucket.requests), grouped(bucket.failures));
        let colour = if bucket.failures > 0 { Colour::Red } else { Colour::Dim };
        sheet.row(&[
            (Colour::Plain, &format!("  {written:<time$}  {asked:>requests$}  ")),
            (colour, &format!("{failed:>failures$}  ")),
            (Colour::Red, &bar(bucket.failures, most, room)),
        ]);
    }
}

/// A bar as long as its share of the longest, and never nothing for something.
fn bar(count: u64, most: u64, room: usize) -> String {
    let cells = u128::from(count) * room as u128 / u128::from(most.max(1));
    let cells = usize::try_from(cells).unwrap_or(room).max(usize::from(count > 0));
    "#".repeat(cells)
}

fn incidents(sheet: &mut Sheet, tally: &Tally, filter: &Filter) {
    let all = tally.incidents(filter);
    if all.is_empty() {
        return;
    }
    sheet.heading(&format!("Incidents: {}", grouped(all.len() as u64)));
    // The latest are what somebody looks for.
    for (number, incident) in all.iter().skip(all.len().saturating_sub(MOST_INCIDENTS)).enumerate() {
        if number > 0 {
            sheet.blank();
        }
        one_incident(sheet, incident);
    }
    if all.len() > MOST_INCIDENTS {
        let earlier = counted((all.len() - MOST_INCIDENTS) as u64, "earlier one");
        sheet.paragraph((Colour::Dim, "  "), &format!("and {earlier}: see --json, or --since and --until"));
    }
    if tally.incidents_beyond() > 0 {
        let beyond = counted(tally.incidents_beyond(), "line");
        sheet.paragraph((Colour::Yellow, "  "), &format!("{beyond} of further incidents found no room"));
    }
}

pub(super) fn one_incident(sheet: &mut Sheet, incident: &Incident) {
    let begin = incident.begin();
    let before = if incident.opened.is_none() { "before " } else { "" };
    let (colour, end) = match incident.closed() {
        Some(closed) => (Colour::Green, format!("to {}, {}", until(begin, closed), between(begin, closed))),
        None => (Colour::Red, format!("and not closed by {}", until(begin, incident.span.1))),
    };
    sheet.row(&[(colour, &format!("  {before}{begin}")), (Colour::Plain, &format!(" {end}"))]);
    let failures = counted(incident.count(), "failure");
    sheet.paragraph((Colour::Plain, "    "), &format!("{}: {}, {failures}", incident.upstream, incident.cause));
    if let Some(first) = incident.details.evidence.first() {
        sheet.paragraph((Colour::Plain, "    "), &format!("first evidence: {}", first.says));
    } else if !incident.details.detail.is_empty() {
        sheet.paragraph((Colour::Plain, "    "), &incident.details.detail);
    }
    sheet.line(Colour::Dim, &format!("    {}", incident.id));
}

fn advice(sheet: &mut Sheet, tally: &Tally) {
    let all = tally.advice();
    if all.is_empty() {
        return;
    }
    sheet.heading("What to do, by the failures that call for it");
    for (number, advice) in (1..).zip(all.iter().take(MOST_STEPS_TO_TAKE)) {
        sheet.paragraph((Colour::Plain, &format!("{number:>4}. ")), &advice.step.step);
        for line in advice.step.command.iter().flat_map(|command| command.lines()) {
            sheet.line(Colour::Cyan, &format!("      $ {line}"));
        }
        let on: Vec<String> = advice.on.iter().take(3).map(|(upstream, fault)| format!("{upstream} {fault}")).collect();
        let on = if advice.on.len() > on.len() { format!("{} …", on.join(", ")) } else { on.join(", ") };
        sheet.paragraph((Colour::Dim, "      "), &format!("{}: {on}", counted(advice.failures, "failure")));
    }
}

fn left_out(sheet: &mut Sheet, tally: &Tally, names: &[String]) {
    let lines = left_out_in_lines(&tally.left_out, names);
    if lines.is_empty() && tally.beyond == 0 {
        return;
    }
    sheet.heading("Left out");
    for line in lines {
        sheet.paragraph((Colour::Yellow, "  "), &line);
    }
    if tally.beyond > 0 {
        let beyond = format!("{} of too many names to keep apart", counted(tally.beyond, "request or failure"));
        sheet.paragraph((Colour::Yellow, "  "), &beyond);
    }
}

fn more(sheet: &mut Sheet, all: usize, noun: &str) {
    if all > MOST_ROWS {
        let more = counted((all - MOST_ROWS) as u64, &format!("more {noun}"));
        sheet.paragraph((Colour::Dim, "  "), &format!("and {more}: see --json"));
    }
}

/// A moment as it is said beside another: only its time of day where it is of the same day.
pub(super) fn until(beside: At, at: At) -> String {
    if beside.day() == at.day() { at.clock() } else { at.to_string() }
}

/// How much time is between two moments.
pub(super) fn between(one: At, other: At) -> String {
    duration(Duration::from_millis(one.0.abs_diff(other.0)))
}

/// A share in percent, with as many digits as it takes for some not to look like none.
fn share(part: u64, all: u64) -> String {
    let ppm = u128::from(part) * 1_000_000 / u128::from(all.max(1));
    match ppm {
        _ if part == 0 => "0 %".to_owned(),
        0..100 => "<0.01 %".to_owned(),
        100..10_000 => format!("{}.{:02} %", ppm / 10_000, ppm / 100 % 100),
        _ => format!("{}.{} %", ppm / 10_000, ppm / 1000 % 10),
    }
}

/// A table whose columns are as wide as what is in them.
struct Table {
    head: Vec<(&'static str, Side)>,
    rows: Vec<(Colour, Vec<String>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

impl Table {
    fn new(head: &[(&'static str, Side)]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    fn row(&mut self, colour: Colour, cells: Vec<String>) {
        self.rows.push((colour, cells));
    }

    fn write(&self, sheet: &mut Sheet) {
        let widths: Vec<usize> = (0..self.head.len()).map(|column| self.width(column)).collect();
        let write = |cells: &mut dyn Iterator<Item = &str>| {
            let columns = cells.zip(self.head.iter().zip(&widths)).map(|(cell, ((_, side), width))| match side {
                Side::Left => format!("  {cell:<width$}"),
                Side::Right => format!("  {cell:>width$}"),
            });
            columns.collect::<String>()
        };
        sheet.line(Colour::Dim, &write(&mut self.head.iter().map(|(name, _)| *name)));
        for (colour, cells) in &self.rows {
            sheet.line(*colour, &write(&mut cells.iter().map(String::as_str)));
        }
    }

    fn width(&self, column: usize) -> usize {
        let name = self.head.get(column).map(|(name, _)| name.len()).unwrap_or_default();
        let cells = self.rows.iter().filter_map(|(_, cells)| cells.get(column));
        cells.map(|cell| cell.chars().count()).chain([name]).max().unwrap_or_default()
    }
}

/// How many rows of a table are shown.
const MOST_ROWS: usize = 20;
/// How many steps of time.
const MOST_STEPS: usize = 24;
/// How many incidents.
const MOST_INCIDENTS: usize = 12;
/// How many steps to take.
const MOST_STEPS_TO_TAKE: usize = 6;
/// How many kinds are told of in a sentence.
const MOST_EXAMPLES: usize = 3;
const DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::bar;
    use super::share;

    #[test]
    fn some_never_looks_like_none() {
        for (part, all, text) in [
            (0, 0, "0 %"),
            (0, 7, "0 %"),
            (1, 1_000_000, "<0.01 %"),
            (1, 5_000, "0.02 %"),
            (1, 3, "33.3 %"),
            (7, 7, "100.0 %"),
        ] {
            assert_eq!(share(part, all), text);
        }
        assert_eq!((bar(0, 9, 5).len(), bar(1, 900, 5).len(), bar(9, 9, 5).len()), (0, 1, 5));
    }
}
