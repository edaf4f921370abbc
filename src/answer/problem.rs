//! Owns the JSON answer: a problem document (RFC 9457) with the members of the contract, in the contract's order.
//!
//! Words of the contract are the same in every language; `title`, `detail` and a visitor's steps are in the reader's (RFC
//! 9457, section 3.1.3). A refusal's title is HTTP's own phrase for its status.
//!
//! The log writes the very same members, so that the structs are public and may be flattened into a line.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use super::language::Language;
use super::mark::Mark;
use super::refusal::RefusalReport;
use super::report::OperatorReport;
use super::report::Report;
use super::report::ShownStep;
use super::style::Style;
use crate::diagnosis::Audience;
use crate::diagnosis::Evidence;
use crate::fault::Failure;
use crate::fault::failure::AddressFailure;

/// A failure as JSON. A visitor's has everything up to `checklist`.
#[derive(Debug, Clone, Serialize)]
pub struct Problem<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: String,
    request_id: &'a str,
    incident: Option<&'a str>,
    fault: &'static str,
    stage: &'static str,
    proxy_status: Option<&'static str>,
    cause: &'static str,
    confidence: f64,
    causes: Vec<RankedCause>,
    checklist: Vec<ChecklistStep<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    inside: Option<Inside<'a>>,
}

/// One cause with how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct RankedCause {
    cause: &'static str,
    confidence: f64,
}

/// One step of the checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ChecklistStep<'a> {
    audience: &'static str,
    step: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
}

/// What operators see beyond that. What is not known is `null`, so that the members are always the same.
#[derive(Debug, Clone, Serialize)]
struct Inside<'a> {
    upstream: &'a str,
    server: Option<&'a str>,
    peer: Option<String>,
    elapsed_ms: f64,
    /// `under_way` until the checks of the server have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<&'static str>,
    evidence: Vec<EvidenceItem<'a>>,
    attempts: Vec<Attempt<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct EvidenceItem<'a> {
    id: &'static str,
    says: &'a str,
    points_to: &'static str,
    weight: f64,
}

#[derive(Debug, Clone, Serialize)]
struct Attempt<'a> {
    server: Option<&'a str>,
    peer: Option<String>,
    fault: &'static str,
    elapsed_ms: f64,
    /// Each address with its own error, where more than one was tried (RFC 8305).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<TriedAddress>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct TriedAddress {
    address: String,
    fault: &'static str,
    elapsed_ms: f64,
}

impl<'a> Problem<'a> {
    /// The document of a report, with the status that the answer has.
    #[must_use]
    pub fn new(report: &Report<'a>, style: Style<'_>, status: u16) -> Self {
        let occurrence = report.visitor().occurrence();
        Self::under(report, style, status, (occurrence.request_id, occurrence.incident))
    }

    fn under(
        report: &Report<'a>,
        style: Style<'_>,
        status: u16,
        (request_id, incident): (&'a str, Option<&'a str>),
    ) -> Self {
        let (visitor, language) = (report.visitor(), style.language);
        Self {
            r#type: format!("urn:why502:fault:{}", visitor.fault),
            title: language.say(visitor.fault.title()),
            status,
            detail: language.say(report.detail()),
            instance: instance(request_id),
            request_id,
            incident,
            fault: visitor.fault.word(),
            stage: visitor.fault.stage().word(),
            proxy_status: visitor.fault.proxy_error(),
            cause: visitor.cause.word(),
            confidence: rounded(visitor.confidence),
            causes: visitor
                .causes
                .iter()
                .map(|(cause, confidence)| RankedCause { cause: cause.word(), confidence: rounded(*confidence) })
                .collect(),
            checklist: checklist(report, style),
            inside: report.operator().map(Inside::of),
        }
    }
}

/// The visitor's steps, the site's contact behind them, then the owner's.
fn checklist<'a>(report: &Report<'a>, style: Style<'_>) -> Vec<ChecklistStep<'a>> {
    let step = |step: ShownStep<'a>| ChecklistStep {
        audience: step.audience.word(),
        step: Cow::Borrowed(step.text),
        command: step.command,
    };
    let steps = |audience| report.steps_for(audience, style.language).into_iter().map(step);
    let contact = style.site.contact(style.language).map(|contact| ChecklistStep {
        audience: Audience::Visitor.word(),
        step: Cow::Owned(contact.text()),
        command: None,
    });
    steps(Audience::Visitor).chain(contact).chain(steps(Audience::Owner)).collect()
}

impl<'a> Inside<'a> {
    fn of(operator: &OperatorReport<'a>) -> Self {
        let failure = operator.failure();
        Self {
            upstream: &operator.case.settings.upstream,
            server: server(failure),
            peer: peer(failure),
            elapsed_ms: millis(failure.elapsed),
            checks: operator.checks().map(|_| "under_way"),
            evidence: operator.evidence().iter().map(EvidenceItem::of).collect(),
            attempts: operator.attempts().iter().map(Attempt::of).collect(),
        }
    }
}

impl<'a> EvidenceItem<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let weight = rounded(evidence.weight);
        Self { id: evidence.id, says: &evidence.says, points_to: evidence.points_to.word(), weight }
    }
}

impl<'a> Attempt<'a> {
    fn of(failure: &'a Failure) -> Self {
        let several = failure.addresses.len() > 1;
        Self {
            server: server(failure),
            peer: peer(failure),
            fault: failure.fault.word(),
            elapsed_ms: millis(failure.elapsed),
            addresses: failure.addresses.iter().filter(|_| several).map(TriedAddress::of).collect(),
        }
    }
}

impl TriedAddress {
    fn of(tried: &AddressFailure) -> Self {
        Self { address: tried.address.to_string(), fault: tried.fault.word(), elapsed_ms: millis(tried.elapsed) }
    }
}

/// What was the client's doing, as JSON: `about:blank` says that the status tells all (RFC 9457, section 4.2.1).
#[derive(Debug, Clone, Serialize)]
struct Refused<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: String,
    request_id: &'a str,
}

/// The body of a failing answer, with marks for what is filled in.
pub(super) fn of_failure(report: &Report<'_>, style: Style<'_>, status: u16) -> String {
    let (request_id, incident) = (Mark::RequestId.to_string(), Mark::Incident.to_string());
    let body = json(&Problem::under(report, style, status, (&request_id, Some(&incident))));
    // A quote inside a text is escaped, so that this finds the member itself and nothing that a text may hold.
    let (with, without, end) = (Mark::IfIncident, Mark::UnlessIncident, Mark::End);
    body.replacen(&format!("\"{incident}\""), &format!("{with}\"{incident}\"{end}{without}null{end}"), 1)
}

/// The body of a refusal, with marks for what is filled in.
pub(super) fn of_refusal(refusal: &RefusalReport<'_>, language: Language) -> String {
    let request_id = Mark::RequestId.to_string();
    json(&Refused {
        r#type: "about:blank",
        title: refusal.title(),
        status: refusal.status.as_u16(),
        detail: language.say(refusal.detail),
        instance: instance(&request_id),
        request_id: &request_id,
    })
}

/// Nothing in these documents can fail to be written: no map has a key that is not text, and no number is written by hand.
fn json(document: &impl Serialize) -> String {
    let mut body = serde_json::to_string_pretty(document).unwrap_or_default();
    body.push('\n');
    body
}

fn instance(request_id: &str) -> String {
    format!("urn:why502:request:{request_id}")
}

fn server(failure: &Failure) -> Option<&str> {
    failure.target.as_ref().map(|target| &*target.url)
}

fn peer(failure: &Failure) -> Option<String> {
    failure.peer.as_ref().map(ToString::to_string)
}

/// Milliseconds, to the microsecond.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// Two digits: more would claim more than is known.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use crate::answer::Answer;
    use crate::answer::Format;
    use crate::answer::Problem;
    use crate::answer::samples::NOT_FOUND;
    use crate::answer::samples::OCCURRENCE;
    use crate::answer::samples::Story;
    use crate::answer::samples::style;
    use crate::answer::samples::text;
    use crate::config::StatusPolicy;
    use crate::diagnosis::Cause;
    use crate::fault::Fault;

    #[test]
    fn the_document_has_the_members_of_the_contract_in_its_order() {
        let story = Story::refused();
        let operators =
            Answer::failure(&story.for_operator(OCCURRENCE), style(Format::Problem), StatusPolicy::BadGateway);
        assert_eq!(members(&operators), [&PUBLIC_MEMBERS[..], &PRIVATE_MEMBERS[..]].concat());
        let visitors =
            Answer::failure(&story.for_visitor(OCCURRENCE), style(Format::Problem), StatusPolicy::BadGateway);
        assert_eq!(members(&visitors), PUBLIC_MEMBERS);
    }

    #[test]
    fn a_visitors_document_is_as_in_the_contract() {
        let story = Story::refused();
        let answer = Answer::failure(&story.for_visitor(OCCURRENCE), style(Format::Problem), StatusPolicy::BadGateway);
        let document: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            document,
            json!({
                "type": "urn:why502:fault:connection_refused",
                "title": "The origin refused the connection",
                "status": 502,
                "detail": story.diagnosis.summary,
                "instance": "urn:why502:request:01JNWZ8Q4T5K3V9XH2M7RDCAEB",
                "request_id": "01JNWZ8Q4T5K3V9XH2M7RDCAEB",
                "incident": "01JNWZ7F0G1Y6S8PBN4QWKCT3D",
                "fault": "connection_refused",
                "stage": "connect",
                "proxy_status": "connection_refused",
                "cause": "origin_down",
                "confidence": 0.86,
                "causes": [
                    { "cause": "origin_down", "confidence": 0.86 },
                    { "cause": "firewall", "confidence": 0.08 },
                ],
                "checklist": [
                    { "audience": "visitor", "step": story.diagnosis.steps[0].text },
                    { "audience": "visitor", "step": story.diagnosis.steps[1].text },
                    { "audience": "visitor", "step": story.diagnosis.steps[2].text },
                    { "audience": "owner", "step": story.diagnosis.steps[3].text },
                ],
            })
        );
    }

    #[test]
    fn what_only_operators_read_is_as_in_the_contract() {
        let story = Story::refused();
        let answer = Answer::failure(&story.for_operator(OCCURRENCE), style(Format::Json), StatusPolicy::BadGateway);
        let document: Value = serde_json::from_slice(&answer.body).unwrap();
        let inside: Vec<_> = PRIVATE_MEMBERS.iter().map(|member| document[member].clone()).collect();
        assert_eq!(
            inside[..4],
            [json!("app"), json!("http://app-1.internal:3000"), json!("10.0.0.5:3000"), json!(0.4)]
        );
        assert_eq!(
            inside[4][0],
            json!({
                "id": "port_closed_host_alive",
                "says": "port 3000 is closed, but the host answers on port 22",
                "points_to": "origin_down",
                "weight": 1.5,
            })
        );
        assert_eq!(
            inside[5],
            json!([{
                "server": "http://app-1.internal:3000",
                "peer": "10.0.0.5:3000",
                "fault": "connection_refused",
                "elapsed_ms": 0.4,
            }])
        );
        assert_eq!(document["checklist"][4]["command"], "ss -ltnp 'sport = :3000'");
        assert_eq!(document["detail"], story.diagnosis.detail);
    }

    #[test]
    fn the_log_writes_the_very_same_document() {
        let story = Story::refused();
        let report = story.for_operator(OCCURRENCE);
        let logged = serde_json::to_value(Problem::new(&report, style(Format::Json), 502)).unwrap();
        let answered: Value =
            serde_json::from_slice(&Answer::failure(&report, style(Format::Json), StatusPolicy::BadGateway).body)
                .unwrap();
        assert_eq!(logged, answered);
    }

    #[test]
    fn the_document_says_the_status_of_its_answer() {
        for policy in [StatusPolicy::BadGateway, StatusPolicy::Standard, StatusPolicy::Unavailable] {
            for fault in Fault::ALL {
                let story = Story::of(fault, Cause::Unknown);
                let answer = Answer::failure(&story.for_visitor(OCCURRENCE), style(Format::Problem), policy);
                let document: Value = serde_json::from_slice(&answer.body).unwrap();
                assert_eq!(document["status"], answer.status.as_u16(), "{fault} under {policy:?}");
            }
        }
    }

    #[test]
    fn a_refusal_has_neither_fault_nor_cause() {
        let answer = Answer::refusal(&NOT_FOUND, style(Format::Problem));
        let document: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            document,
            json!({
                "type": "about:blank",
                "title": "Not Found",
                "status": 404,
                "detail": "Nothing is set up for this address.",
                "instance": "urn:why502:request:01JNWZ8Q4T5K3V9XH2M7RDCAEB",
                "request_id": "01JNWZ8Q4T5K3V9XH2M7RDCAEB",
            })
        );
    }

    const PUBLIC_MEMBERS: [&str; 14] = [
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "request_id",
        "incident",
        "fault",
        "stage",
        "proxy_status",
        "cause",
        "confidence",
        "causes",
        "checklist",
    ];

    const PRIVATE_MEMBERS: [&str; 6] = ["upstream", "server", "peer", "elapsed_ms", "evidence", "attempts"];

    /// The members of the outermost object, in the order in which they stand.
    fn members(answer: &Answer) -> Vec<&str> {
        let member = |line: &'_ str| line.starts_with("  \"");
        text(answer).lines().filter(|line| member(line)).map(|line| line.split('"').nth(1).unwrap()).collect()
    }
}
