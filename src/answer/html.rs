//! Owns the page: one file with its style sheet inside, no script, nothing from elsewhere.
//!
//! `page.html` is the frame, `failure.html` and `refusal.html` are its two stories, `operator.html` is what only operators
//! see. Templates are checked when the program is compiled; every value is escaped.

use std::sync::LazyLock;

use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderValue;
use http::StatusCode;
use ring::digest;

use super::mark::Mark;
use super::place::Station;
use super::proxy_status;
use super::refusal::RefusalReport;
use super::report::OperatorReport;
use super::report::Report;
use super::report::ShownStep;
use super::report::VisitorReport;
use super::words;
use crate::diagnosis::Audience;
use crate::diagnosis::Cause;
use crate::diagnosis::Evidence;
use crate::fault::Failure;

/// The body of a failing answer, with marks for what is filled in.
pub(super) fn of_failure(report: &Report<'_>, status: StatusCode) -> String {
    let visitor = report.visitor();
    let page = FailurePage {
        code: status.as_u16(),
        phrase: status.canonical_reason().unwrap_or_default(),
        title: visitor.fault.title(),
        detail: report.detail(),
        stations: visitor.place().stations(),
        sentence: visitor.place().sentence(),
        causes: RankedCause::all(visitor),
        visitor_steps: report.steps_for(Audience::Visitor),
        owner_steps: report.steps_for(Audience::Owner),
        operator: report.operator().map(|operator| OperatorSections::of(operator, report)),
    };
    rendered(&page)
}

/// The body of a refusal, with marks for what is filled in.
pub(super) fn of_refusal(refusal: &RefusalReport<'_>) -> String {
    rendered(&RefusalPage {
        code: refusal.status.as_u16(),
        title: refusal.title(),
        detail: refusal.detail,
        hint: refusal.hint,
    })
}

/// Nothing but the page's own style sheet may be loaded, and nothing may frame the page.
pub(super) fn security_policy() -> HeaderValue {
    SECURITY_POLICY.clone()
}

/// Rendering into memory fails for no template of ours.
fn rendered(page: &impl Template) -> String {
    page.render().unwrap_or_default()
}

#[derive(Debug, Template)]
#[template(path = "failure.html", config = "src/answer/askama.toml")]
struct FailurePage<'a> {
    code: u16,
    phrase: &'static str,
    title: &'static str,
    detail: &'a str,
    stations: [Station; 3],
    sentence: &'static str,
    causes: Vec<RankedCause>,
    visitor_steps: Vec<ShownStep<'a>>,
    owner_steps: Vec<ShownStep<'a>>,
    operator: Option<OperatorSections<'a>>,
}

#[derive(Debug, Template)]
#[template(path = "refusal.html", config = "src/answer/askama.toml")]
struct RefusalPage<'a> {
    code: u16,
    title: &'static str,
    detail: &'a str,
    hint: Option<&'a str>,
}

/// A cause as the page shows it.
#[derive(Debug)]
struct RankedCause {
    title: &'static str,
    meaning: &'static str,
    sure: &'static str,
    /// 0 where there is no number worth showing.
    percent: u8,
}

impl RankedCause {
    /// The likeliest cause and those besides it that are worth naming.
    fn all(visitor: &VisitorReport<'_>) -> Vec<Self> {
        let certain = if visitor.cause == Cause::Unknown { 0.0 } else { visitor.confidence };
        std::iter::once((visitor.cause, certain)).chain(visitor.other_causes()).map(Self::of).collect()
    }

    fn of((cause, confidence): (Cause, f64)) -> Self {
        Self {
            title: cause.title(),
            meaning: cause.meaning(),
            sure: words::how_sure(confidence),
            percent: words::percent(confidence),
        }
    }
}

/// What only operators see.
#[derive(Debug)]
struct OperatorSections<'a> {
    evidence: &'a [Evidence],
    attempts: Vec<AttemptRow>,
    fault: &'static str,
    stage: &'static str,
    upstream: &'a str,
    proxy_status: String,
}

impl<'a> OperatorSections<'a> {
    fn of(operator: &OperatorReport<'a>, report: &Report<'_>) -> Self {
        Self {
            evidence: operator.evidence(),
            attempts: operator.attempts().iter().map(|failure| AttemptRow::of(operator, failure)).collect(),
            fault: operator.visitor.fault.word(),
            stage: operator.visitor.fault.stage().word(),
            upstream: &operator.case.settings.upstream,
            proxy_status: proxy_status::of_failure(report).to_str().unwrap_or_default().to_owned(),
        }
    }
}

/// One attempt as a row of a table.
#[derive(Debug)]
struct AttemptRow {
    server: String,
    peer: String,
    fault: &'static str,
    elapsed: String,
    timing: String,
}

impl AttemptRow {
    fn of(operator: &OperatorReport<'_>, failure: &Failure) -> Self {
        let timing = operator.timing(failure);
        let limit = timing.limit.map(|limit| format!(" of {}", words::duration(limit))).unwrap_or_default();
        Self {
            server: failure.target.as_ref().map_or_else(|| String::from("none"), |target| target.url.to_string()),
            peer: failure.peer.as_ref().map_or_else(|| String::from("none"), ToString::to_string),
            fault: failure.fault.word(),
            elapsed: words::duration(failure.elapsed),
            timing: format!("{}: {}{limit}", timing.stage, words::duration(timing.took)),
        }
    }
}

static SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = BASE64.encode(digest::digest(&digest::SHA256, CSS.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// It stands in the page byte for byte, since the policy allows it by its hash.
const CSS: &str = include_str!("page.css");
