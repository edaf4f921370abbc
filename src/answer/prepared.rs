//! Owns the prepared answer: rendered once for one diagnosis, reader, format and status, filled in for each request.
//!
//! Failing answers are served when a site has the most trouble. Filling one in is a few copies, so that an outage costs less
//! than the traffic that it stopped.

use std::fmt::Write;

use askama::filters::Escaper;
use askama::filters::Html as HtmlEscaper;
use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::header;

use super::Answer;
use super::format::Format;
use super::grpc;
use super::grpc::GrpcCode;
use super::head;
use super::html;
use super::language::Language;
use super::mark::Mark;
use super::occurrence::Occurrence;
use super::problem;
use super::proxy_status;
use super::refusal::RefusalReport;
use super::report::Report;
use super::style::Style;
use super::text;
use super::words;
use crate::config::StatusPolicy;

/// An answer that lacks only what differs from request to request. It holds for as long as the diagnosis behind it does:
/// keep one for each fault, cause and so on that was diagnosed anew, and drop it with the diagnosis.
#[derive(Debug, Clone)]
pub struct Prepared {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
    format: Format,
    language: Language,
    /// After how many seconds another try is worth it, where an occurrence does not know better.
    wait: Option<u64>,
}

impl Prepared {
    /// Renders a failure. The report's own occurrence is left out: it comes with `fill`. But where the style has a shape, the
    /// answer is for occurrences of that shape only.
    #[must_use]
    pub fn failure(report: &Report<'_>, style: Style<'_>, policy: StatusPolicy) -> Self {
        let style = style.for_reader(report.operator().is_some());
        let Style { format, language, .. } = style;
        let fault = report.visitor().fault;
        let status = head::status(fault, policy);
        let mut headers = head::fields(style, proxy_status::of_failure(report));
        let own_page = match report {
            Report::Visitor(visitor) if format == Format::Html => style.site.own_page(visitor, style, status),
            Report::Visitor(_) | Report::Operator(_) => None,
        };
        if own_page.is_some() {
            headers.insert(header::CONTENT_SECURITY_POLICY, head::own_page_policy());
        }
        let body = match format {
            Format::Html => own_page.unwrap_or_else(|| html::of_failure(report, style, status)),
            Format::Problem | Format::Json => problem::of_failure(report, style, status.as_u16()),
            Format::Text => text::of_failure(report, style, status),
            Format::Grpc => {
                let message = format!("{}. {}", fault.title(), report.detail());
                grpc::write(&mut headers, GrpcCode::UNAVAILABLE, &message);
                String::new()
            }
        };
        let wait = head::usual_wait(fault);
        if let Some(seconds) = wait {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        Self { status, headers, body: Body::marked(&body), format, language, wait }.answering_in_its_protocol()
    }

    /// Renders a refusal, as `failure` does.
    #[must_use]
    pub fn refusal(refusal: &RefusalReport<'_>, style: Style<'_>) -> Self {
        let style = style.for_reader(false);
        let Style { format, language, .. } = style;
        let mut headers = head::fields(style, proxy_status::of_refusal(refusal.status));
        let body = match format {
            Format::Html => html::of_refusal(refusal, style),
            Format::Problem | Format::Json => problem::of_refusal(refusal, language),
            Format::Text => text::of_refusal(refusal, style),
            Format::Grpc => {
                grpc::write(&mut headers, GrpcCode::of(refusal.status), refusal.detail);
                String::new()
            }
        };
        Self { status: refusal.status, headers, body: Body::marked(&body), format, language, wait: None }
            .answering_in_its_protocol()
    }

    /// gRPC says in fields of its own what went wrong; its HTTP status is 200 whatever happened.
    fn answering_in_its_protocol(mut self) -> Self {
        if self.format == Format::Grpc {
            self.status = StatusCode::OK;
        }
        self
    }

    /// The answer to one request.
    #[must_use]
    pub fn fill(&self, occurrence: &Occurrence<'_>) -> Answer {
        let mut headers = self.headers.clone();
        if let Ok(id) = HeaderValue::from_str(occurrence.request_id) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        if let Some(seconds) = occurrence.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let body = self.fill_body(occurrence);
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        Answer { status: self.status, headers, body: Bytes::from(body) }
    }

    /// The body of that answer, without a head.
    #[must_use]
    pub fn fill_body(&self, occurrence: &Occurrence<'_>) -> String {
        let wait = occurrence.retry_after.or(self.wait);
        self.body.filled(&Filling { occurrence, wait, format: self.format, language: self.language })
    }

    /// The same answer with its body written otherwise. Where something is to be filled in stands a noncharacter of Unicode, which
    /// has to stay.
    #[must_use]
    pub fn rewritten(&self, rewrite: impl FnOnce(&str) -> String) -> Self {
        Self { body: Body::marked(&rewrite(&self.body.text())), ..self.clone() }
    }

    /// How many bytes its body has before it is filled in.
    #[must_use]
    pub fn size(&self) -> usize {
        self.body.size()
    }
}

/// What an occurrence has and what it lacks, as a template may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    incident: bool,
    wait: bool,
    repeatable: bool,
}

impl Shape {
    pub(super) const fn of(occurrence: &Occurrence<'_>) -> Self {
        Self {
            incident: occurrence.incident.is_some(),
            wait: occurrence.retry_after.is_some(),
            repeatable: occurrence.repeatable,
        }
    }
}

/// A body with the places of its marks.
#[derive(Debug, Clone)]
struct Body {
    /// The pieces, each with the mark that stands behind it; the last may have none.
    pieces: Vec<(String, Option<Mark>)>,
}

impl Body {
    fn marked(text: &str) -> Self {
        let pieces = text.split_inclusive(|character| Mark::of(character).is_some()).map(|piece| {
            let mark = piece.chars().next_back().and_then(Mark::of);
            let text = mark.and_then(|mark| piece.strip_suffix(mark.sign())).unwrap_or(piece);
            (text.to_owned(), mark)
        });
        Self { pieces: pieces.collect() }
    }

    /// What it was made of.
    fn text(&self) -> String {
        let mut text = String::with_capacity(self.size() + ROOM_FOR_VALUES);
        for (piece, mark) in &self.pieces {
            text.push_str(piece);
            text.extend(mark.map(Mark::sign));
        }
        text
    }

    fn size(&self) -> usize {
        self.pieces.iter().map(|(piece, _)| piece.len()).sum()
    }

    fn filled(&self, filling: &Filling<'_>) -> String {
        let mut body = String::with_capacity(self.size() + ROOM_FOR_VALUES);
        let mut kept = true;
        for (piece, mark) in &self.pieces {
            if kept {
                body.push_str(piece);
            }
            let Some(mark) = *mark else { continue };
            match filling.keeps_after(mark) {
                Some(keeps) => kept = keeps,
                None if kept => filling.write(mark, &mut body),
                None => {}
            }
        }
        body
    }
}

/// What is filled in, and into which format.
#[derive(Debug)]
struct Filling<'a> {
    occurrence: &'a Occurrence<'a>,
    wait: Option<u64>,
    format: Format,
    language: Language,
}

impl Filling<'_> {
    /// Whether what follows a mark is kept, where the mark is the edge of a passage.
    fn keeps_after(&self, mark: Mark) -> Option<bool> {
        match mark {
            Mark::End => Some(true),
            Mark::IfIncident => Some(self.occurrence.incident.is_some()),
            Mark::UnlessIncident => Some(self.occurrence.incident.is_none()),
            Mark::IfWait => Some(self.wait.is_some()),
            Mark::IfRepeatable => Some(self.occurrence.repeatable),
            Mark::UnlessRepeatable => Some(!self.occurrence.repeatable),
            Mark::RequestId | Mark::Moment | Mark::Clock | Mark::Incident | Mark::Wait => None,
        }
    }

    fn write(&self, mark: Mark, body: &mut String) {
        // Writing to a string cannot fail.
        let _written = match mark {
            Mark::RequestId => self.write_escaped(self.occurrence.request_id, body),
            Mark::Incident => self.write_escaped(self.occurrence.incident.unwrap_or_default(), body),
            Mark::Moment => write!(body, "{}", self.occurrence.at),
            Mark::Clock => write!(body, "{}", self.occurrence.at.for_a_person()),
            Mark::Wait => self.write_escaped(&words::wait(self.wait.unwrap_or_default(), self.language), body),
            Mark::IfIncident
            | Mark::UnlessIncident
            | Mark::IfWait
            | Mark::IfRepeatable
            | Mark::UnlessRepeatable
            | Mark::End => Ok(()),
        };
    }

    fn write_escaped(&self, value: &str, body: &mut String) -> std::fmt::Result {
        // Ids of our own and most waits, which stand for themselves in every format.
        if value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ') {
            return body.write_str(value);
        }
        match self.format {
            Format::Html => HtmlEscaper.write_escaped_str(body, value),
            Format::Problem | Format::Json => {
                let quoted = serde_json::to_string(value).unwrap_or_default();
                body.write_str(quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default())
            }
            Format::Text => body.write_str(&text::printable(value)),
            Format::Grpc => Ok(()),
        }
    }
}

/// Bytes for the ids, the time and the wait.
const ROOM_FOR_VALUES: usize = 256;

#[cfg(test)]
mod tests {
    use crate::answer::Answer;
    use crate::answer::Format;
    use crate::answer::Occurrence;
    use crate::answer::Prepared;
    use crate::answer::Report;
    use crate::answer::samples::BARE;
    use crate::answer::samples::OCCURRENCE;
    use crate::answer::samples::Story;
    use crate::answer::samples::style;
    use crate::answer::samples::text;
    use crate::config::StatusPolicy;
    use crate::diagnosis::Cause;
    use crate::fault::Fault;

    #[test]
    fn a_prepared_answer_filled_in_is_the_answer() {
        let story = Story::tried_twice();
        for format in Format::ALL {
            for report in [story.for_visitor(OCCURRENCE), story.for_operator(OCCURRENCE)] {
                let prepared = Prepared::failure(&report, style(format), StatusPolicy::BadGateway);
                for occurrence in [OCCURRENCE, BARE] {
                    let report = match report {
                        Report::Visitor(_) => story.for_visitor(occurrence),
                        Report::Operator(_) => story.for_operator(occurrence),
                    };
                    let direct = Answer::failure(&report, style(format), StatusPolicy::BadGateway);
                    assert_eq!(prepared.fill(&occurrence), direct, "{format:?}");
                    let sees = |part: &str| text(&direct).contains(part);
                    assert_eq!(sees(occurrence.request_id), format != Format::Grpc, "{format:?} and the request's id");
                    assert_eq!(
                        sees(OCCURRENCE.incident.unwrap()),
                        occurrence.incident.is_some() && format != Format::Grpc
                    );
                }
            }
        }
    }

    #[test]
    fn a_known_wait_goes_before_the_usual_one() {
        let story = Story::refused();
        let occurrence = Occurrence { retry_after: Some(120), ..OCCURRENCE };
        let answer = Answer::failure(&story.for_visitor(occurrence), style(Format::Text), StatusPolicy::BadGateway);
        assert_eq!(answer.headers["retry-after"], "120");
        assert!(text(&answer).contains("Give it about 2 minutes first."));
    }

    #[test]
    fn nobody_is_asked_to_wait_where_waiting_does_not_help() {
        let story = Story::of(Fault::TlsCertificateExpired, Cause::Tls);
        let answer = Answer::failure(&story.for_visitor(OCCURRENCE), style(Format::Html), StatusPolicy::BadGateway);
        assert!(!answer.headers.contains_key("retry-after"));
        assert!(!text(&answer).contains("Give it about"));
    }
}
