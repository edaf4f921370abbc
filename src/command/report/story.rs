//! Owns one request's story for a person: line by line as it went, its incident, what the checks found, what to do.

use serde_json::Value;

use super::summary::one_incident;
use crate::command::sheet::Sheet;
use crate::logbook::Kept;
use crate::logbook::Story;
use crate::telemetry::colour::Colour;

/// Writes all of it.
pub(super) fn write(sheet: &mut Sheet, story: &Story, names: &[String]) {
    let lines = story.lines();
    sheet.paragraph((Colour::Bold, "Request "), story.id());
    if let Some(first) = lines.first() {
        let says = &first.says;
        let asked = [text(says, "method"), text(says, "host")].join(" ");
        let from =
            if text(says, "client").is_empty() { String::new() } else { format!(" from {}", text(says, "client")) };
        sheet.paragraph((Colour::Plain, "        "), &format!("{asked}{}{from}", text(says, "path")));
        let trace = text(says, "trace_id");
        if !trace.is_empty() {
            sheet.line(Colour::Dim, &format!("        trace {trace}"));
        }
    }
    for line in &lines {
        sheet.blank();
        match text(&line.says, "event") {
            "upstream_failure" => failure(sheet, line, names),
            _ => request(sheet, line, names),
        }
    }
    if let Some(incident) = story.incident() {
        sheet.heading("Incident");
        one_incident(sheet, incident);
    }
    probes(sheet, &story.probes());
    if let Some(failure) = lines.iter().rev().find(|line| text(&line.says, "event") == "upstream_failure") {
        steps(sheet, &failure.says);
    }
}

fn head(sheet: &mut Sheet, (colour, word): (Colour, &str), line: &Kept, says: &str, names: &[String]) {
    let place = names.get(line.place.file).map_or("?", String::as_str);
    sheet.row(&[
        (Colour::Plain, &format!("{}  ", line.at.rfc3339())),
        (colour, word),
        (Colour::Plain, says),
        (Colour::Dim, &format!("  {place}:{}", line.place.line)),
    ]);
}

fn request(sheet: &mut Sheet, line: &Kept, names: &[String]) {
    let status = number(&line.says, "status");
    let colour = if status.starts_with('5') { Colour::Red } else { Colour::Green };
    let cut = if line.says.get("aborted") == Some(&Value::Bool(true)) { ", cut short" } else { "" };
    head(sheet, (colour, &status), line, &format!(" after {} ms{cut}", number(&line.says, "elapsed_ms")), names);
    let (upstream, server) = (text(&line.says, "upstream"), text(&line.says, "server"));
    if !upstream.is_empty() {
        let bytes = number(&line.says, "bytes_sent");
        sheet.paragraph((Colour::Plain, "  "), &format!("{upstream}, {server}; {bytes} bytes sent"));
    }
}

fn failure(sheet: &mut Sheet, line: &Kept, names: &[String]) {
    let says = &line.says;
    let hidden = says.get("retried") == Some(&Value::Bool(true));
    let colour = if hidden { Colour::Yellow } else { Colour::Red };
    let after = if hidden { ", hidden by a retry" } else { "" };
    head(sheet, (colour, text(says, "fault")), line, after, names);
    sheet.paragraph((Colour::Plain, "  "), text(says, "detail"));
    for cause in list(says, "causes") {
        let sure = cause.get("confidence").and_then(Value::as_f64).unwrap_or_default() * 100.0;
        sheet.paragraph((Colour::Bold, &format!("  {sure:>3.0} % ")), text(cause, "cause"));
    }
    for evidence in list(says, "evidence") {
        let weight = evidence.get("weight").and_then(Value::as_f64).unwrap_or_default();
        let lead = format!("  {weight:+5.1} {:<12} ", text(evidence, "points_to"));
        sheet.paragraph((Colour::Dim, &lead), text(evidence, "says"));
    }
    for (number_of, attempt) in (1..).zip(list(says, "attempts")) {
        let peer = text(attempt, "peer");
        let peer = if peer.is_empty() { String::new() } else { format!(" at {peer}") };
        let (server, fault) = (text(attempt, "server"), text(attempt, "fault"));
        let elapsed = number(attempt, "elapsed_ms");
        sheet.paragraph(
            (Colour::Plain, &format!("  attempt {number_of}: ")),
            &format!("{server}{peer}, {fault} after {elapsed} ms"),
        );
    }
}

fn probes(sheet: &mut Sheet, probes: &[&Kept]) {
    for probe in probes {
        sheet.heading(&format!("Checks of {} at {}", text(&probe.says, "server"), probe.at.clock()));
        for found in list(&probe.says, "found") {
            sheet.paragraph((Colour::Plain, "  "), found.as_str().unwrap_or_default());
        }
    }
}

fn steps(sheet: &mut Sheet, says: &Value) {
    let owners: Vec<&Value> = list(says, "checklist").iter().filter(|step| text(step, "audience") == "owner").collect();
    if owners.is_empty() {
        return;
    }
    sheet.heading("What to do");
    for (number, step) in (1..).zip(owners) {
        sheet.paragraph((Colour::Plain, &format!("{number:>4}. ")), text(step, "step"));
        for line in text(step, "command").lines() {
            sheet.line(Colour::Cyan, &format!("      $ {line}"));
        }
    }
}

fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, member: &str) -> String {
    object.get(member).filter(|value| value.is_number()).map_or_else(|| "?".to_owned(), Value::to_string)
}

fn list<'a>(object: &'a Value, member: &str) -> &'a [Value] {
    object.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
