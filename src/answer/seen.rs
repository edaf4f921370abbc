//! Owns what the operator's own page sees of an answer: a visitor's report, in the visitor's language, as plain values.

use std::sync::LazyLock;

use http::StatusCode;
use serde::Serialize;

use super::format::Format;
use super::head;
use super::language::Language;
use super::mark::Mark;
use super::occurrence::Moment;
use super::occurrence::Occurrence;
use super::report::PublicStep;
use super::report::SENT_ALREADY;
use super::report::VisitorReport;
use super::site::Site;
use super::style::Style;
use super::words;
use crate::config::StatusPolicy;
use crate::diagnosis::Audience;
use crate::diagnosis::Cause;
use crate::diagnosis::summary::summary;
use crate::fault::Fault;

/// Everything that a template sees. README.md lists it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Seen<'a> {
    language: &'static str,
    site: Option<&'a str>,
    contact: Option<Link<'a>>,
    status: u16,
    phrase: &'static str,
    fault: &'static str,
    stage: &'static str,
    title: &'static str,
    detail: &'a str,
    place: &'static str,
    stations: Vec<Station>,
    cause: SeenCause,
    causes: Vec<SeenCause>,
    supposition: Option<String>,
    steps: Vec<&'a str>,
    owner_steps: Vec<&'a str>,
    may_have_arrived: Option<&'static str>,
    repeatable: bool,
    request_id: String,
    incident: Option<String>,
    time: String,
    clock: String,
    wait: Option<String>,
}

/// The names of its members, and of the function that says a text of ours in another language.
pub(super) const NAMES: [&str; 24] = [
    "language",
    "site",
    "contact",
    "status",
    "phrase",
    "fault",
    "stage",
    "title",
    "detail",
    "place",
    "stations",
    "cause",
    "causes",
    "supposition",
    "steps",
    "owner_steps",
    "may_have_arrived",
    "repeatable",
    "request_id",
    "incident",
    "time",
    "clock",
    "wait",
    "say",
];

#[derive(Debug, Clone, Copy, Serialize)]
struct Link<'a> {
    url: &'a str,
    text: &'a str,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Station {
    name: &'static str,
    role: &'static str,
    state: &'static str,
    says: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct SeenCause {
    word: &'static str,
    title: &'static str,
    meaning: &'static str,
    percent: u8,
    sure: &'static str,
}

impl<'a> Seen<'a> {
    /// What a template sees of this report. What differs between requests is a mark, or nothing where the occurrence has none.
    pub(super) fn new(report: &VisitorReport<'a>, style: Style<'a>, status: StatusCode) -> Self {
        let (language, occurrence) = (style.language, report.occurrence());
        let cause = |(cause, confidence): (Cause, f64)| SeenCause {
            word: cause.word(),
            title: language.say(if cause == Cause::Unknown { "Not clear yet" } else { cause.title() }),
            meaning: language.say(cause.meaning()),
            percent: words::percent(confidence),
            sure: words::how_sure(confidence, language),
        };
        let steps = |audience: Audience| {
            let steps = report.steps.iter().filter(move |step| step.audience == audience);
            steps.map(|step| if audience == Audience::Visitor { language.say(step.text) } else { step.text }).collect()
        };
        let stations = report.place().stations().map(|station| Station {
            name: language.say(station.name),
            role: language.say(station.role),
            state: station.state,
            says: language.say(station.says),
        });
        let waits = occurrence.retry_after.is_some() || head::usual_wait(report.fault).is_some();
        Self {
            language: language.tag(),
            site: style.site.name(),
            contact: style.site.link().map(|contact| Link { url: contact.url(), text: contact.shown() }),
            status: status.as_u16(),
            phrase: status.canonical_reason().unwrap_or_default(),
            fault: report.fault.word(),
            stage: report.fault.stage().word(),
            title: language.say(report.fault.title()),
            detail: language.say(report.summary),
            place: language.say(report.place().sentence()),
            stations: stations.to_vec(),
            cause: cause((report.cause, report.confidence)),
            causes: report.other_causes().map(cause).collect(),
            supposition: report.supposition(language),
            steps: steps(Audience::Visitor),
            owner_steps: steps(Audience::Owner),
            may_have_arrived: report.may_have_arrived.then(|| language.say(SENT_ALREADY)),
            repeatable: occurrence.repeatable,
            request_id: Mark::RequestId.to_string(),
            incident: occurrence.incident.map(|_| Mark::Incident.to_string()),
            time: Mark::Moment.to_string(),
            clock: Mark::Clock.to_string(),
            wait: waits.then(|| Mark::Wait.to_string()),
        }
    }
}

/// An answer of every kind: each fault with each cause; and every language, status and form of an occurrence among them.
pub(super) fn of_every_kind() -> impl Iterator<Item = Seen<'static>> {
    let faults = Fault::ALL.into_iter().flat_map(|fault| Cause::ALL.map(|cause| (fault, cause)));
    faults.enumerate().map(|(number, (fault, cause))| kind(number, fault, cause))
}

/// One of them; its number decides on what does not depend on fault and cause.
fn kind(number: usize, fault: Fault, cause: Cause) -> Seen<'static> {
    let has = |bit: usize| number >> bit & 1 == 1;
    let languages = Language::all().count();
    let language = Language::all().nth(number % languages).unwrap_or(Language::ENGLISH);
    let step = |audience, text| PublicStep { audience, text };
    let steps = [step(Audience::Visitor, "Try again."), step(Audience::Owner, "Read the log.")];
    let occurrence = Occurrence {
        request_id: "01JNWZ8Q4T5K3V9XH2M7RDCAEB",
        at: Moment(0),
        incident: has(0).then_some("01JNWZ7F0G1Y6S8PBN4QWKCT3D"),
        retry_after: has(1).then_some(120),
        repeatable: has(2),
    };
    let report = VisitorReport {
        fault,
        cause,
        confidence: if has(3) { 0.86 } else { 0.4 },
        causes: &[(Cause::Firewall, 0.3), (Cause::Network, 0.1)],
        summary: summary(fault, cause),
        steps: if has(5) { Vec::new() } else { steps.to_vec() },
        parameters: Vec::new(),
        may_have_arrived: has(6),
        occurrence,
    };
    let policy = if has(7) { StatusPolicy::Standard } else { StatusPolicy::BadGateway };
    let style = Style { format: Format::Html, language, site: &NOBODYS };
    let seen = Seen::new(&report, style, head::status(fault, policy));
    if has(4) {
        return Seen { site: Some("Example Shop"), contact: Some(EXAMPLE), ..seen };
    }
    seen
}

static NOBODYS: LazyLock<Site> = LazyLock::new(Site::default);

const EXAMPLE: Link<'static> = Link { url: "https://status.example", text: "https://status.example" };
