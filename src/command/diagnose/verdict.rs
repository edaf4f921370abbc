//! Owns what is concluded in the end: the answer, or why there is none, with the evidence under each cause, and what to do.

use std::fmt::Write;

use http::header;
use http::response::Parts;
use serde_json::json;

use super::Response;
use crate::answer::Answer;
use crate::answer::Format;
use crate::answer::Language;
use crate::answer::Occurrence;
use crate::answer::OperatorReport;
use crate::answer::Report;
use crate::answer::Style;
use crate::command::sheet::Sheet;
use crate::command::sheet::grouped;
use crate::diagnosis::Audience;
use crate::diagnosis::Case;
use crate::diagnosis::Cause;
use crate::diagnosis::Diagnosis;
use crate::diagnosis::wording::duration;
use crate::proxy::state::Shared;
use crate::telemetry::colour::Colour;

/// `200 OK, nginx`
pub(super) fn status_line(parts: &Parts) -> String {
    let mut says = parts.status.as_u16().to_string();
    if let Some(reason) = parts.status.canonical_reason() {
        // Writing to a string cannot fail.
        let _written = write!(says, " {reason}");
    }
    if let Some(server) = parts.headers.get(header::SERVER) {
        let _written = write!(says, ", {}", String::from_utf8_lossy(server.as_bytes()));
    }
    says
}

/// The origin answers.
pub(super) fn answered(sheet: &mut Sheet, response: &Response) {
    sheet.blank();
    let body = match (response.bytes, response.whole) {
        (0, true) => "without a body".to_owned(),
        (bytes, true) => format!("with a body of {} bytes", grouped(bytes)),
        (bytes, false) => format!("{} bytes of its body were read, and more would have come", grouped(bytes)),
    };
    let status = response.parts.status;
    let colour = if status.is_server_error() { Colour::Yellow } else { Colour::Green };
    let says = format!("{} in {}, {body}.", status_line(&response.parts), duration(response.elapsed));
    sheet.line(colour, "The origin answers.");
    sheet.paragraph((Colour::Plain, ""), &says);
    if status.is_server_error() {
        sheet.paragraph((Colour::Plain, ""), "That is the program's own error: its log says why.");
    } else if let Some(location) = response.parts.headers.get(header::LOCATION) {
        let to = String::from_utf8_lossy(location.as_bytes());
        sheet.paragraph((Colour::Plain, ""), &format!("It sends clients on to {to}"));
    }
}

/// The same for a program.
pub(super) fn answered_in_json(response: &Response) -> String {
    let Response { parts, server, elapsed, bytes, whole } = response;
    let elapsed = (elapsed.as_secs_f64() * 1_000_000.0).round() / 1000.0;
    let answer = json!({
        "status": parts.status.as_u16(),
        "fault": null,
        "server": server,
        "elapsed_ms": elapsed,
        "body_bytes": bytes,
        "body_complete": whole,
    });
    serde_json::to_string_pretty(&answer).unwrap_or_default()
}

/// It does not.
pub(super) fn failed(sheet: &mut Sheet, case: &Case, diagnosis: &Diagnosis) {
    sheet.blank();
    sheet.line(Colour::Red, &format!("{}: {}.", diagnosis.fault, diagnosis.fault.title()));
    sheet.paragraph((Colour::Plain, ""), &diagnosis.detail);
    attempts(sheet, case);
    causes(sheet, diagnosis);
    steps(sheet, diagnosis);
}

/// The operator's answer of the contract.
pub(super) fn failed_in_json(
    case: &Case,
    diagnosis: &Diagnosis,
    occurrence: Occurrence<'_>,
    shared: &Shared,
) -> String {
    let report = Report::Operator(OperatorReport::new(case, diagnosis, occurrence));
    let style = Style { format: Format::Json, language: Language::ENGLISH, site: &shared.site };
    let answer = Answer::failure(&report, style, shared.config.diagnosis.status);
    String::from_utf8_lossy(&answer.body).trim_end().to_owned()
}

/// Where more than one was made, or more than one address was tried.
fn attempts(sheet: &mut Sheet, case: &Case) {
    let several = case.attempts.len() > 1 || case.attempts.iter().any(|attempt| attempt.addresses.len() > 1);
    if !several {
        return;
    }
    sheet.heading("What was tried");
    for (number, attempt) in (1..).zip(&case.attempts) {
        let server = attempt.target.as_ref().map_or("no server", |target| &*target.url);
        let says = format!("{server}: {} after {}", attempt.fault, duration(attempt.elapsed));
        sheet.paragraph((Colour::Plain, &format!("{number:>4}. ")), &says);
        for tried in attempt.addresses.iter().filter(|_| attempt.addresses.len() > 1) {
            let says = format!("{}: {} after {}", tried.address, tried.fault, duration(tried.elapsed));
            sheet.paragraph((Colour::Plain, "      "), &says);
        }
    }
}

/// Every cause that is worth naming, with what speaks for and against it.
fn causes(sheet: &mut Sheet, diagnosis: &Diagnosis) {
    sheet.heading("Why");
    for (number, (cause, confidence)) in diagnosis.causes.iter().enumerate() {
        let evidence = || diagnosis.evidence.iter().filter(|evidence| evidence.points_to == *cause);
        let is_first = number == 0;
        if !is_first && *confidence < LEAST_CONFIDENCE && evidence().next().is_none() {
            continue;
        }
        let percent = format!("{:>4.0} %  ", confidence * 100.0);
        let colour = if is_first { Colour::Bold } else { Colour::Plain };
        let says =
            if *cause == Cause::Unknown { cause.meaning().to_owned() } else { format!("{cause}: {}", cause.meaning()) };
        sheet.paragraph((colour, &percent), &says);
        for evidence in evidence() {
            let colour = if evidence.weight > 0.0 { Colour::Green } else { Colour::Yellow };
            sheet.paragraph((colour, &format!("        {:+4.1}  ", evidence.weight)), &evidence.says);
        }
    }
}

fn steps(sheet: &mut Sheet, diagnosis: &Diagnosis) {
    let owners = diagnosis.steps.iter().filter(|step| step.audience == Audience::Owner);
    for (number, step) in (1..).zip(owners) {
        if number == 1 {
            sheet.heading("What to do");
        }
        sheet.paragraph((Colour::Plain, &format!("{number:>4}. ")), &step.text);
        for line in step.command.iter().flat_map(|command| command.lines()) {
            sheet.line(Colour::Cyan, &format!("      $ {line}"));
        }
    }
}

/// Causes below this share are only named where something speaks of them.
const LEAST_CONFIDENCE: f64 = 0.05;
