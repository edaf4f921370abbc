//! Owns the form of a line for a person at a terminal: time, a word, and a sentence, aligned; failures in two lines or more.
//!
//! Nothing that came over the network reaches the terminal as a control character.

use std::time::Duration;

use super::Totals;
use super::colour::Colour;
use super::colour::Colours;
use super::colour::paint;
use super::event::By;
use super::event::Event;
use super::event::IncidentClosed;
use super::event::IncidentOpened;
use super::event::Probe;
use super::event::ReloadRefused;
use super::event::Reloaded;
use super::event::Request;
use super::event::ServerEjected;
use super::event::ServerReturned;
use super::event::Started;
use super::event::Stopped;
use super::event::UpstreamFailure;
use super::event::before_query;
use super::json::is_hidden;
use super::stamp::Stamp;
use crate::diagnosis::wording::duration;

/// Appends the event's line or lines.
pub(super) fn write(out: &mut Vec<u8>, colours: Colours, stamp: &Stamp, event: &Event<'_>) {
    let (word, colour, says) = match event {
        Event::Started(started) => ("start".to_owned(), Colour::Green, says_started(started, stamp.day())),
        Event::Reloaded(reloaded) => ("reload".to_owned(), Colour::Green, says_reloaded(reloaded)),
        Event::ReloadRefused(refused) => ("REFUSE".to_owned(), Colour::Red, says_refused(refused)),
        Event::Stopped(stopped) => ("stop".to_owned(), Colour::Green, says_stopped(stopped)),
        Event::Request(request) => {
            (request.status.to_string(), Colour::of_status(request.status), says_request(request))
        }
        Event::UpstreamFailure(failure) if failure.retried => {
            ("retry".to_owned(), Colour::Yellow, says_failure(failure))
        }
        Event::UpstreamFailure(failure) => ("FAIL".to_owned(), Colour::Red, says_failure(failure)),
        Event::ServerEjected(ejected) => ("out".to_owned(), Colour::Yellow, says_ejected(ejected)),
        Event::ServerReturned(returned) => ("back".to_owned(), Colour::Green, says_returned(returned)),
        Event::Probe(probe) => ("probe".to_owned(), Colour::Dim, says_probe(probe)),
        Event::IncidentOpened(opened) => ("OPEN".to_owned(), Colour::Red, says_opened(opened)),
        Event::IncidentClosed(closed) => ("closed".to_owned(), Colour::Green, says_closed(closed)),
        Event::Notice(notice) => {
            let count = notice.dropped.map_or_else(String::new, |dropped| format!(": {dropped}"));
            ("notice".to_owned(), Colour::Yellow, wrapped(&format!("{}{count}", visible(notice.message.as_bytes()))))
        }
    };
    paint(out, colours, Colour::Dim, |out| stamp.write_time_of_day(out));
    out.extend_from_slice(b"  ");
    paint(out, colours, colour, |out| out.extend_from_slice(format!("{word:<6}").as_bytes()));
    out.extend_from_slice(b"  ");
    out.extend_from_slice(says.as_bytes());
    out.push(b'\n');
}

fn says_started(started: &Started<'_>, day: &str) -> String {
    let from = started.configuration.map_or_else(String::new, |file| format!(" with {}", visible(file.as_bytes())));
    let listeners = started.listeners.join(", ");
    let admin = started.admin.map_or_else(String::new, |admin| format!(", and for operators on {admin}"));
    let threads = counted(started.workers as u64, "worker");
    wrapped(&format!("why502 {} listens on {listeners}{admin}{from}, {threads}; it is {day}, UTC", started.version))
}

fn says_reloaded(reloaded: &Reloaded<'_>) -> String {
    let from = reloaded.configuration.map_or_else(String::new, |file| format!(" {}", visible(file.as_bytes())));
    let mut says = vec![match reloaded.changed {
        [] => format!("read{from} again, and nothing has changed"),
        _ => format!("serves by what{from} says now; changed:"),
    }];
    says.extend(reloaded.changed.iter().map(|changed| visible(changed.as_bytes())));
    wrapped(&says.join("\n"))
}

fn says_refused(refused: &ReloadRefused<'_>) -> String {
    let mut says = vec!["goes on as before, for what it was to read again cannot be followed:".to_owned()];
    says.extend(refused.problems.iter().map(|problem| visible(problem.as_bytes())));
    wrapped(&says.join("\n"))
}

fn says_stopped(stopped: &Stopped<'_>) -> String {
    let Totals { requests, responses, failures, lines_dropped, .. } = stopped.totals;
    let (reason, time, requests) = (stopped.reason, duration(stopped.uptime), counted(*requests, "request"));
    let (errors, dropped) = (responses.server_error, counted(*lines_dropped, "log line"));
    let mut says = vec![format!("{reason} after {time}: {requests}, {errors} answered 5xx, {dropped} dropped")];
    says.extend(
        failures.iter().map(|kind| format!("{} {}, {} ({})", kind.upstream, kind.fault, kind.cause, kind.count)),
    );
    wrapped(&says.join("\n"))
}

fn says_request(request: &Request<'_>) -> String {
    let mut says = format!("{:>8}  {}", in_column(request.elapsed), target(request.method, request.host, request.path));
    if let Some(origin) = request.server.or(request.upstream) {
        says.push_str("  ");
        says.push_str(origin);
    }
    if request.aborted {
        says.push_str("  (cut short)");
    }
    says
}

fn says_failure(failure: &UpstreamFailure<'_>) -> String {
    let UpstreamFailure { fault, cause, confidence, upstream, .. } = failure;
    let target = target(failure.method, failure.host, failure.path);
    let detail = wrapped(&format!("\n{}", visible(failure.detail.as_bytes())));
    // What was asked for has a line of its own and no break in it, so that it can be copied.
    format!("{fault}, {cause} {:.0}%\n{:INDENT$}{target}  {upstream}{detail}", confidence * 100.0, "")
}

fn says_ejected(ejected: &ServerEjected<'_>) -> String {
    let ServerEjected { upstream, server, by, fault, status, failures, ejected } = ejected;
    let time = ejected.map_or_else(String::new, |time| format!(" for {}", duration(time)));
    let what = match by {
        By::Failures => "failure",
        By::Health => "failed check",
    };
    let last = fault.map(|fault| format!(" ({fault})")).or_else(|| status.map(|status| format!(" (status {status})")));
    let (failures, last) = (counted(u64::from(*failures), what), last.unwrap_or_default());
    wrapped(&format!("{upstream}: {server} gets no requests{time}, after {failures} in a row{last}"))
}

fn says_returned(returned: &ServerReturned<'_>) -> String {
    let ServerReturned { upstream, server, .. } = returned;
    wrapped(&format!("{upstream}: {server} gets requests again, after {}", duration(returned.ejected)))
}

fn says_probe(probe: &Probe<'_>) -> String {
    let Probe { upstream, server, fault, found, .. } = probe;
    let count = counted(found.len() as u64, "finding");
    let mut says = vec![format!("{upstream}: {server} checked after {fault}: {count} in {}", duration(probe.elapsed))];
    says.extend(found.iter().map(|found| visible(found.as_bytes())));
    wrapped(&says.join("\n"))
}

fn says_opened(opened: &IncidentOpened<'_>) -> String {
    let IncidentOpened { incident, upstream, fault, cause, confidence, detail, .. } = opened;
    let again = if opened.returns == 0 { "an incident" } else { "an incident that has come back" };
    let detail = visible(detail.as_bytes());
    wrapped(&format!("{upstream}: {again}, {cause} {:.0}% ({fault}), {incident}\n{detail}", confidence * 100.0))
}

fn says_closed(closed: &IncidentClosed<'_>) -> String {
    let IncidentClosed { incident, upstream, cause, .. } = closed;
    let (time, count) = (duration(closed.closed.saturating_sub(closed.opened)), counted(closed.count, "failure"));
    let faults: Vec<String> = closed.faults.iter().map(|(fault, count)| format!("{fault} ({count})")).collect();
    let over = if closed.cut_short { "was open when the process ended that saw it, for" } else { "is over after" };
    wrapped(&format!(
        "{upstream}: the incident {over} {time}, {cause}, {count} that clients saw: {}, {incident}",
        faults.join(", ")
    ))
}

/// What was asked for, short enough for a line.
fn target(method: &str, host: &[u8], path: &[u8]) -> String {
    let mut target = visible(method.as_bytes());
    target.push(' ');
    target.push_str(&visible(host));
    target.push_str(&visible(before_query(path)));
    if let Some((end, _)) = target.char_indices().nth(MOST_OF_TARGET) {
        target.truncate(end);
        target.push('…');
    }
    target
}

/// The text without a character that a terminal would obey.
fn visible(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    if !text.contains(is_hidden) {
        return text.into_owned();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_hidden(character) { shown.extend(character.escape_default()) } else { shown.push(character) }
    }
    shown
}

/// The text in lines that fit beside the time and the word, the following ones indented. Line breaks in it are kept.
fn wrapped(text: &str) -> String {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let full = !line.is_empty() && line.chars().count() + 1 + word.chars().count() > LINE;
            if full {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines.join(&format!("\n{:INDENT$}", ""))
}

/// A time, short enough for a column.
fn in_column(time: Duration) -> String {
    duration(time).replace("less than ", "<")
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Where the sentence begins: `23:58:01.123  notice  `.
const INDENT: usize = 22;

/// How many columns it has then, of 80.
const LINE: usize = 58;

/// How many characters of method, host and path are shown.
const MOST_OF_TARGET: usize = 120;

#[cfg(test)]
mod tests;
