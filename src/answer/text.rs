//! Owns the plain-text answer: for a terminal of 80 columns, without colours or control characters.

use std::borrow::Cow;
use std::fmt::Write;

use http::StatusCode;

use super::mark::Mark;
use super::place::Place;
use super::refusal::RefusalReport;
use super::report::OperatorReport;
use super::report::Report;
use super::report::SENT_ALREADY;
use super::report::ShownStep;
use super::report::VisitorReport;
use super::words;
use crate::diagnosis::Audience;
use crate::diagnosis::Cause;
use crate::diagnosis::wording::duration;

/// The body of a failing answer, with marks for what is filled in.
pub(super) fn of_failure(report: &Report<'_>, status: StatusCode) -> String {
    let visitor = report.visitor();
    let mut sheet = Sheet::default();
    sheet.line(&format!("{}  {}", status.as_u16(), visitor.fault.title()));
    sheet.blank();
    sheet.text.push_str(way(visitor.place()));
    sheet.blank();
    sheet.paragraph("", report.detail());
    sheet.blank();
    let reassurance = if report.operator().is_none() { "It is most likely not your fault. " } else { "" };
    sheet.paragraph("", &format!("{reassurance}{}", visitor.place().sentence()));
    causes(&mut sheet, visitor);
    sheet.steps("What you can do", &report.steps_for(Audience::Visitor));
    sheet.again(visitor);
    sheet.wait();
    sheet.steps("What the site's owner should do", &report.steps_for(Audience::Owner));
    if let Some(operator) = report.operator() {
        evidence(&mut sheet, operator);
        attempts(&mut sheet, operator);
    }
    sheet.footer();
    sheet.text
}

/// The body of a refusal, with marks for what is filled in.
pub(super) fn of_refusal(refusal: &RefusalReport<'_>) -> String {
    let mut sheet = Sheet::default();
    sheet.line(&format!("{}  {}", refusal.status.as_u16(), refusal.title()));
    sheet.blank();
    sheet.paragraph("", refusal.detail);
    if let Some(hint) = refusal.hint {
        sheet.paragraph("", hint);
    }
    sheet.wait();
    sheet.footer();
    sheet.text
}

/// The same text without control characters: a server's words must not move the cursor of who reads them.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(text.chars().map(|character| if character.is_control() { '?' } else { character }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// The way from the reader to the origin, with the place where it broke.
const fn way(place: Place) -> &'static str {
    match place {
        Place::Gateway => {
            "  you --------------- this proxy                 origin\n   ok                 ^ it broke here            not reached\n"
        }
        Place::Way => {
            "  you --------------- this proxy ------ x        origin\n   ok                 ok                ^        not reached\n                                        it broke here\n"
        }
        Place::Talk => {
            "  you --------------- this proxy ------ x        origin\n   ok                 ok                ^        cut off\n                                        it broke here\n"
        }
        Place::Origin => {
            "  you --------------- this proxy --------------- origin\n   ok                 ok                         ^ it broke here\n"
        }
    }
}

fn causes(sheet: &mut Sheet, visitor: &VisitorReport<'_>) {
    sheet.heading("Why");
    let supposition = visitor.supposition();
    if let Some(supposition) = &supposition {
        sheet.paragraph("  ", supposition);
        for (cause, confidence) in visitor.supposed() {
            sheet
                .paragraph("  ", &format!("{} ({} %): {}", cause.title(), words::percent(confidence), cause.meaning()));
        }
    } else if visitor.cause == Cause::Unknown {
        sheet.paragraph("  ", visitor.cause.meaning());
    } else {
        let (percent, sure) = (words::percent(visitor.confidence), words::how_sure(visitor.confidence));
        sheet.paragraph("  ", &format!("{} ({sure}, {percent} %)", visitor.cause.title()));
        sheet.paragraph("  ", visitor.cause.meaning());
    }
    let others: Vec<_> = visitor
        .other_causes()
        .skip(usize::from(supposition.is_some()))
        .map(|(cause, confidence)| format!("{} ({} %)", cause.title(), words::percent(confidence)))
        .collect();
    if !others.is_empty() {
        sheet.paragraph("  ", &format!("Less likely: {}", others.join(", ")));
    }
}

fn evidence(sheet: &mut Sheet, operator: &OperatorReport<'_>) {
    if operator.evidence().is_empty() && operator.checks().is_none() {
        return;
    }
    sheet.heading("Evidence");
    if let Some(checks) = operator.checks() {
        sheet.paragraph("  ", checks);
    }
    for evidence in operator.evidence() {
        let lead = format!("  {:+5.1} {:<12} ", evidence.weight, evidence.points_to.word());
        sheet.paragraph(&lead, &evidence.says);
    }
}

fn attempts(sheet: &mut Sheet, operator: &OperatorReport<'_>) {
    sheet.heading("What was tried");
    for (number, failure) in (1..).zip(operator.attempts()) {
        let server = failure.target.as_ref().map_or("no server", |target| &*target.url);
        let peer = failure.peer.as_ref().map(|peer| format!(" at {peer}")).unwrap_or_default();
        sheet.paragraph(&format!("{number:>4}. "), &format!("{server}{peer}"));
        let timing = operator.timing(failure);
        let limit = timing.limit.map(|limit| format!(" of at most {}", duration(limit))).unwrap_or_default();
        let (elapsed, took) = (duration(timing.in_all), duration(timing.took));
        sheet.paragraph("      ", &format!("{} after {elapsed}; {}: {took}{limit}", failure.fault, timing.stage));
        for tried in failure.addresses.iter().filter(|_| failure.addresses.len() > 1) {
            let elapsed = duration(tried.elapsed);
            sheet.paragraph("      ", &format!("{}: {} after {elapsed}", tried.address, tried.fault));
        }
    }
}

/// A text that grows downwards.
#[derive(Debug, Default)]
struct Sheet {
    text: String,
}

impl Sheet {
    fn line(&mut self, line: &str) {
        self.text.push_str(printable(line).trim_end());
        self.blank();
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        self.blank();
        self.line(heading);
    }

    /// Wraps a text behind a lead; further lines are indented as far as the lead is wide.
    fn paragraph(&mut self, lead: &str, text: &str) {
        let indent = lead.chars().count();
        let mut line = lead.to_owned();
        let mut empty = true;
        for word in text.split_whitespace() {
            if !empty && line.chars().count() + 1 + word.chars().count() > COLUMNS {
                self.line(&line);
                line = " ".repeat(indent);
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        self.line(&line);
    }

    fn steps(&mut self, heading: &str, steps: &[ShownStep<'_>]) {
        if steps.is_empty() {
            return;
        }
        self.heading(heading);
        for (number, step) in (1..).zip(steps) {
            self.paragraph(&format!("{number:>4}. "), step.text);
            // A command is never wrapped: it is there to be copied.
            for line in step.command.unwrap_or_default().lines() {
                self.line(&format!("      $ {line}"));
            }
        }
    }

    fn again(&mut self, visitor: &VisitorReport<'_>) {
        if visitor.may_have_arrived {
            self.text.push_str(&Mark::UnlessRepeatable.to_string());
            self.paragraph("  ", SENT_ALREADY);
            self.text.push_str(&Mark::End.to_string());
        }
    }

    fn wait(&mut self) {
        let (wait, end) = (Mark::IfWait, Mark::End);
        // Writing to a string cannot fail.
        let _written = write!(self.text, "{wait}  Give it about {} first.\n{end}", Mark::Wait);
    }

    fn footer(&mut self) {
        // Writing to a string cannot fail.
        let _written = write!(
            self.text,
            "\nRequest   {}\nTime      {}\n{}Incident  {}\n{}",
            Mark::RequestId,
            Mark::Clock,
            Mark::IfIncident,
            Mark::Incident,
            Mark::End
        );
    }
}

/// The width of a terminal that nobody has widened.
const COLUMNS: usize = 80;

#[cfg(test)]
mod tests {
    use crate::answer::Answer;
    use crate::answer::Format;
    use crate::answer::samples::OCCURRENCE;
    use crate::answer::samples::Story;
    use crate::answer::samples::text;
    use crate::config::StatusPolicy;
    use crate::diagnosis::Cause;
    use crate::fault::Fault;

    #[test]
    fn plain_text_fits_a_terminal_but_for_commands_which_are_never_wrapped() {
        for fault in Fault::ALL {
            let story = Story::of(fault, Cause::OriginDown);
            for report in [story.for_visitor(OCCURRENCE), story.for_operator(OCCURRENCE)] {
                let answer = Answer::failure(&report, Format::Text, StatusPolicy::BadGateway);
                for line in text(&answer).lines().filter(|line| !line.trim_start().starts_with("$ ")) {
                    assert!(line.chars().count() <= 80, "{fault}: {line}");
                    assert_eq!(line.trim_end(), line, "{fault} ends a line with a space");
                }
            }
        }
    }
}
