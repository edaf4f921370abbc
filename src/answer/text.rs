//! Owns the plain-text answer: for a terminal of 80 columns, without colours or control characters.

use std::borrow::Cow;
use std::fmt::Write;

use http::StatusCode;

use super::mark::Mark;
use super::refusal::RefusalReport;
use super::report::OperatorReport;
use super::report::Report;
use super::report::SENT_ALREADY;
use super::report::ShownStep;
use super::report::VisitorReport;
use super::style::Style;
use super::way::way;
use super::words;
use super::wrap;
use crate::diagnosis::Audience;
use crate::diagnosis::Cause;
use crate::diagnosis::wording::duration;

/// The body of a failing answer, with marks for what is filled in.
pub(super) fn of_failure(report: &Report<'_>, style: Style<'_>, status: StatusCode) -> String {
    let (visitor, language) = (report.visitor(), style.language);
    let mut sheet = Sheet::new(style);
    sheet.paragraph(&format!("{}  ", status.as_u16()), language.say(visitor.fault.title()));
    sheet.blank();
    for row in way(visitor.place(), language) {
        sheet.line(&row);
    }
    sheet.blank();
    sheet.paragraph("", language.say(report.detail()));
    sheet.blank();
    let reassurance = if report.operator().is_none() { language.say("It is most likely not your fault.") } else { "" };
    let between = if report.operator().is_none() { language.say(" ") } else { "" };
    sheet.paragraph("", &format!("{reassurance}{between}{}", language.say(visitor.place().sentence())));
    causes(&mut sheet, visitor);
    sheet.visitor_steps(&report.steps_for(Audience::Visitor, language));
    sheet.again(visitor);
    sheet.wait();
    sheet.steps(language.say("What the site's owner should do"), &report.steps_for(Audience::Owner, language));
    if let Some(operator) = report.operator() {
        evidence(&mut sheet, operator);
        attempts(&mut sheet, operator);
    }
    sheet.footer();
    sheet.text
}

/// The body of a refusal, with marks for what is filled in.
pub(super) fn of_refusal(refusal: &RefusalReport<'_>, style: Style<'_>) -> String {
    let language = style.language;
    let mut sheet = Sheet::new(style);
    sheet.line(&format!("{}  {}", refusal.status.as_u16(), refusal.title()));
    sheet.blank();
    sheet.paragraph("", language.say(refusal.detail));
    if let Some(hint) = refusal.hint {
        sheet.paragraph("", language.say(hint));
    }
    sheet.wait();
    if let Some(contact) = style.site.contact(language) {
        sheet.blank();
        sheet.paragraph("", &contact.text());
    }
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

fn causes(sheet: &mut Sheet<'_>, visitor: &VisitorReport<'_>) {
    let language = sheet.style.language;
    sheet.heading(language.say("Why"));
    let supposition = visitor.supposition(language);
    let percent = |confidence| words::percentage(confidence, language);
    let meaning = |cause: Cause| language.say(cause.meaning());
    if let Some(supposition) = &supposition {
        sheet.paragraph("  ", supposition);
        for (cause, confidence) in visitor.supposed() {
            let says = [("cause", &*words::ranked(&[(cause, confidence)], language)), ("meaning", meaning(cause))];
            sheet.paragraph("  ", &language.fill("{cause}: {meaning}", &says));
        }
    } else if visitor.cause == Cause::Unknown {
        sheet.paragraph("  ", meaning(visitor.cause));
    } else {
        let (cause, sure) = (language.say(visitor.cause.title()), words::how_sure(visitor.confidence, language));
        let says = [("cause", cause), ("sure", sure), ("percent", &*percent(visitor.confidence))];
        sheet.paragraph("  ", &language.fill("{cause} ({sure}, {percent})", &says));
        sheet.paragraph("  ", meaning(visitor.cause));
    }
    let others: Vec<_> = visitor.other_causes().skip(usize::from(supposition.is_some())).collect();
    if !others.is_empty() {
        let others = words::ranked(&others, language);
        sheet.paragraph("  ", &language.fill("Less likely: {causes}", &[("causes", &others)]));
    }
}

fn evidence(sheet: &mut Sheet<'_>, operator: &OperatorReport<'_>) {
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

fn attempts(sheet: &mut Sheet<'_>, operator: &OperatorReport<'_>) {
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
#[derive(Debug)]
struct Sheet<'a> {
    style: Style<'a>,
    text: String,
}

impl<'a> Sheet<'a> {
    fn new(style: Style<'a>) -> Self {
        Self { style, text: String::new() }
    }

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
        let indent = wrap::width(lead);
        let (mut line, mut column) = (lead.to_owned(), indent);
        for (spaced, piece) in wrap::pieces(text) {
            let (space, width) = (usize::from(spaced && column > indent), wrap::width(piece));
            if column > indent && column + space + width > COLUMNS {
                self.line(&line);
                (line, column) = (" ".repeat(indent), indent);
            } else if space > 0 {
                line.push(' ');
                column += space;
            }
            line.push_str(piece);
            column += width;
        }
        self.line(&line);
    }

    fn visitor_steps(&mut self, steps: &[ShownStep<'_>]) {
        let language = self.style.language;
        let contact = self.style.site.contact(language).map(|contact| contact.text());
        let contact = contact.iter().map(|text| ShownStep { audience: Audience::Visitor, text, command: None });
        let steps: Vec<ShownStep<'_>> = steps.iter().copied().chain(contact).collect();
        self.steps(language.say("What you can do"), &steps);
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
            self.paragraph("  ", self.style.language.say(SENT_ALREADY));
            self.text.push_str(&Mark::End.to_string());
        }
    }

    fn wait(&mut self) {
        let wait = self.style.language.fill("Give it about {wait} first.", &[("wait", &Mark::Wait.to_string())]);
        // Writing to a string cannot fail.
        let _written = write!(self.text, "{}  {wait}\n{}", Mark::IfWait, Mark::End);
    }

    fn footer(&mut self) {
        let language = self.style.language;
        let (site, request) = (language.say("Site"), language.say("Request"));
        let (time, incident) = (language.say("Time"), language.say("Incident"));
        let widest = [request, time, incident].map(wrap::width).into_iter().max().unwrap_or_default() + 2;
        let padded = |label: &str| format!("{label}{}", " ".repeat(widest.saturating_sub(wrap::width(label)).max(1)));
        self.blank();
        if let Some(name) = self.style.site.name() {
            self.line(&format!("{}{name}", padded(site)));
        }
        let (request, time, incident) = (padded(request), padded(time), padded(incident));
        // Writing to a string cannot fail.
        let _written = write!(
            self.text,
            "{request}{}\n{time}{}\n{}{incident}{}\n{}",
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
    use crate::answer::samples::style;
    use crate::answer::samples::text;
    use crate::config::StatusPolicy;
    use crate::diagnosis::Cause;
    use crate::fault::Fault;

    #[test]
    fn plain_text_fits_a_terminal_but_for_commands_which_are_never_wrapped() {
        for fault in Fault::ALL {
            let story = Story::of(fault, Cause::OriginDown);
            for report in [story.for_visitor(OCCURRENCE), story.for_operator(OCCURRENCE)] {
                let answer = Answer::failure(&report, style(Format::Text), StatusPolicy::BadGateway);
                for line in text(&answer).lines().filter(|line| !line.trim_start().starts_with("$ ")) {
                    assert!(line.chars().count() <= 80, "{fault}: {line}");
                    assert_eq!(line.trim_end(), line, "{fault} ends a line with a space");
                }
            }
        }
    }
}
