//! Owns the page: one file with its style sheet inside, no script, nothing from elsewhere.
//!
//! `page.html` is the frame, `failure.html` and `refusal.html` are its two stories, `operator.html` is what only operators
//! see. Templates are checked when the program is compiled; every value is escaped.

use std::fmt;
use std::sync::LazyLock;

use askama::Template;
use askama::filters::Escaper;
use askama::filters::Html as HtmlEscaper;
use askama::filters::HtmlSafe;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderValue;
use http::StatusCode;
use ring::digest;

use super::language::Language;
use super::mark::Mark;
use super::place::Station;
use super::proxy_status;
use super::refusal::RefusalReport;
use super::report::OperatorReport;
use super::report::Report;
use super::report::SENT_ALREADY;
use super::report::ShownStep;
use super::report::VisitorReport;
use super::site::ContactStep;
use super::style::Style;
use super::words;
use crate::diagnosis::Audience;
use crate::diagnosis::Cause;
use crate::diagnosis::Evidence;
use crate::diagnosis::wording::duration;
use crate::fault::Failure;
use crate::fault::failure::AddressFailure;

/// The body of a failing answer, with marks for what is filled in.
pub(super) fn of_failure(report: &Report<'_>, style: Style<'_>, status: StatusCode) -> String {
    let (visitor, language) = (report.visitor(), style.language);
    let ranked = |cause| RankedCause::of(cause, language);
    let supposition = visitor.supposition(language);
    let title = language.say(visitor.fault.title());
    let page = FailurePage {
        language,
        site: style.site.name(),
        contact: style.site.contact(language),
        code: status.as_u16(),
        phrase: status.canonical_reason().unwrap_or_default(),
        title,
        headline: language.fill("{title}.", &[("title", title)]),
        wait: wait(language),
        detail: language.say(report.detail()),
        stations: visitor.place().stations(),
        sentence: language.say(visitor.place().sentence()),
        supposed: visitor.supposed().map(ranked).collect(),
        cause: RankedCause::likeliest(visitor, language),
        others: visitor.other_causes().skip(usize::from(supposition.is_some())).map(ranked).collect(),
        supposition,
        visitor_steps: report.steps_for(Audience::Visitor, language),
        owner_steps: report.steps_for(Audience::Owner, language),
        may_have_arrived: visitor.may_have_arrived,
        operator: report.operator().map(|operator| OperatorSections::of(operator, report)),
    };
    rendered(&page)
}

/// The body of a refusal, with marks for what is filled in.
pub(super) fn of_refusal(refusal: &RefusalReport<'_>, style: Style<'_>) -> String {
    let language = style.language;
    rendered(&RefusalPage {
        language,
        site: style.site.name(),
        contact: style.site.contact(language),
        code: refusal.status.as_u16(),
        title: refusal.title(),
        wait: wait(language),
        detail: language.say(refusal.detail),
        hint: refusal.hint.map(|hint| language.say(hint)),
    })
}

/// Nothing but the page's own style sheet may be loaded, and nothing may frame the page.
pub(super) fn security_policy() -> HeaderValue {
    SECURITY_POLICY.clone()
}

fn wait(language: Language) -> String {
    language.fill("Give it about {wait} first.", &[("wait", &Mark::Wait.to_string())])
}

/// Rendering into memory fails for no template of ours.
fn rendered(page: &impl Template) -> String {
    page.render().unwrap_or_default()
}

#[derive(Debug, Template)]
#[template(path = "failure.html", config = "src/answer/askama.toml")]
struct FailurePage<'a> {
    language: Language,
    site: Option<&'a str>,
    contact: Option<ContactStep<'a>>,
    code: u16,
    phrase: &'static str,
    title: &'static str,
    headline: String,
    /// How long to wait before another try, with a mark for the time.
    wait: String,
    detail: &'a str,
    stations: [Station; 3],
    sentence: &'static str,
    supposition: Option<String>,
    supposed: Vec<RankedCause>,
    cause: RankedCause,
    others: Vec<RankedCause>,
    visitor_steps: Vec<ShownStep<'a>>,
    owner_steps: Vec<ShownStep<'a>>,
    may_have_arrived: bool,
    operator: Option<OperatorSections<'a>>,
}

#[derive(Debug, Template)]
#[template(path = "refusal.html", config = "src/answer/askama.toml")]
struct RefusalPage<'a> {
    language: Language,
    site: Option<&'a str>,
    contact: Option<ContactStep<'a>>,
    code: u16,
    title: &'static str,
    wait: String,
    detail: &'a str,
    hint: Option<&'a str>,
}

/// A cause as the page shows it.
#[derive(Debug)]
struct RankedCause {
    title: &'static str,
    meaning: &'static str,
    /// None where there is no number worth showing.
    percent: Option<String>,
    /// How sure that is, in a word and a number.
    share: Option<String>,
    bar: Bar,
}

impl RankedCause {
    fn likeliest(visitor: &VisitorReport<'_>, language: Language) -> Self {
        let ranked = Self::of((visitor.cause, visitor.confidence), language);
        if visitor.cause == Cause::Unknown {
            return Self { title: language.say("Not clear yet"), percent: None, share: None, ..ranked };
        }
        ranked
    }

    fn of((cause, confidence): (Cause, f64), language: Language) -> Self {
        let (hundredths, sure) = (words::percent(confidence), words::how_sure(confidence, language));
        let percent = (hundredths > 0).then(|| words::percentage(confidence, language));
        Self {
            title: language.say(cause.title()),
            meaning: language.say(cause.meaning()),
            share: percent
                .as_ref()
                .map(|percent| language.fill("{sure}, {percent}", &[("sure", sure), ("percent", percent)])),
            percent,
            bar: Bar(hundredths),
        }
    }
}

/// So many hundredths, drawn. It repeats what stands beside it in words, so that a screen reader passes over it.
#[derive(Debug, Clone, Copy)]
struct Bar(u8);

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(percent) = self;
        let whole = r#"<svg class="bar" aria-hidden="true"><rect width="100%" height="100%"/>"#;
        write!(f, r#"{whole}<rect class="full" width="{percent}%" height="100%"/></svg>"#)
    }
}

/// It is made of fixed text and a number.
impl HtmlSafe for Bar {}

/// A text as the page shows it: what stands between two backticks as code, everything escaped.
#[derive(Debug, Clone, Copy)]
struct Prose<'a>(&'a str);

impl fmt::Display for Prose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(mut rest) = *self;
        while let Some((before, (code, behind))) =
            rest.split_once('`').and_then(|(before, from)| Some((before, from.split_once('`')?)))
        {
            HtmlEscaper.write_escaped_str(&mut *f, before)?;
            f.write_str("<code>")?;
            HtmlEscaper.write_escaped_str(&mut *f, code)?;
            f.write_str("</code>")?;
            rest = behind;
        }
        HtmlEscaper.write_escaped_str(f, rest)
    }
}

/// All of the text in it is escaped where it is written.
impl HtmlSafe for Prose<'_> {}

/// What only operators see.
#[derive(Debug)]
struct OperatorSections<'a> {
    evidence: Vec<EvidenceItem<'a>>,
    checks: Option<&'static str>,
    attempts: Vec<AttemptRow>,
    fault: &'static str,
    stage: &'static str,
    upstream: &'a str,
    proxy_status: String,
}

impl<'a> OperatorSections<'a> {
    fn of(operator: &OperatorReport<'a>, report: &Report<'_>) -> Self {
        Self {
            evidence: operator.evidence().iter().map(EvidenceItem::of).collect(),
            checks: operator.checks(),
            attempts: operator.attempts().iter().flat_map(|failure| AttemptRow::of(operator, failure)).collect(),
            fault: operator.visitor.fault.word(),
            stage: operator.visitor.fault.stage().word(),
            upstream: &operator.case.settings.upstream,
            proxy_status: proxy_status::of_failure(report).to_str().unwrap_or_default().to_owned(),
        }
    }
}

/// A piece of evidence as the page shows it.
#[derive(Debug)]
struct EvidenceItem<'a> {
    weight: String,
    says: &'a str,
    points_to: &'static str,
    id: &'static str,
}

impl<'a> EvidenceItem<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let weight = format!("{:+.1}", evidence.weight).replace('-', "\u{2212}");
        Self { weight, says: &evidence.says, points_to: evidence.points_to.title(), id: evidence.id }
    }
}

/// One attempt, or one address of it, as a row of a table.
#[derive(Debug)]
struct AttemptRow {
    server: String,
    peer: String,
    fault: &'static str,
    elapsed: String,
    timing: String,
    /// How much of its limit the stage had used.
    used: Option<Bar>,
}

impl AttemptRow {
    /// The attempt itself, then each address where more than one was tried (RFC 8305).
    fn of(operator: &OperatorReport<'_>, failure: &Failure) -> Vec<Self> {
        let timing = operator.timing(failure);
        let limit = timing.limit.map(|limit| format!(" of at most {}", duration(limit))).unwrap_or_default();
        let attempt = Self {
            server: failure.target.as_ref().map_or_else(|| String::from("no server"), |target| target.url.to_string()),
            peer: failure.peer.as_ref().map(ToString::to_string).unwrap_or_default(),
            fault: failure.fault.word(),
            elapsed: duration(timing.in_all),
            timing: format!("{}: {}{limit}", timing.stage, duration(timing.took)),
            used: timing.limit.map(|limit| Bar(words::percent(timing.took.as_secs_f64() / limit.as_secs_f64()))),
        };
        let several = failure.addresses.len() > 1;
        std::iter::once(attempt).chain(failure.addresses.iter().filter(|_| several).map(Self::of_address)).collect()
    }

    fn of_address(tried: &AddressFailure) -> Self {
        Self {
            server: String::new(),
            peer: tried.address.to_string(),
            fault: tried.fault.word(),
            elapsed: duration(tried.elapsed),
            timing: String::new(),
            used: None,
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
const CSS: &str = concat!(include_str!("house.css"), include_str!("page.css"));

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD as BASE64;

    use super::Prose;
    use crate::answer::Answer;
    use crate::answer::Format;
    use crate::answer::samples::BARE;
    use crate::answer::samples::OCCURRENCE;
    use crate::answer::samples::Story;
    use crate::answer::samples::style;
    use crate::answer::samples::text;
    use crate::config::StatusPolicy;
    use crate::diagnosis::Cause;
    use crate::fault::Fault;

    #[test]
    fn what_stands_between_backticks_is_code_and_everything_is_escaped() {
        for (written, shown) in [
            ("a preStop hook", "a preStop hook"),
            ("a `preStop` hook, `sleep 5`", "a <code>preStop</code> hook, <code>sleep 5</code>"),
            ("`a < b` & <b>", "<code>a &#60; b</code> &#38; &#60;b&#62;"),
            ("one ` alone, <i>", "one ` alone, &#60;i&#62;"),
            ("`a` and ` alone", "<code>a</code> and ` alone"),
        ] {
            assert_eq!(Prose(written).to_string(), shown);
        }
    }

    #[test]
    fn code_in_a_step_is_code_in_the_page_alone() {
        let mut story = Story::refused();
        for step in &mut story.diagnosis.steps {
            step.text = "Give it a `preStop` hook.".to_owned();
        }
        for report in [story.for_visitor(OCCURRENCE), story.for_operator(OCCURRENCE)] {
            let shown = |format| text(&Answer::failure(&report, style(format), StatusPolicy::BadGateway)).to_owned();
            let steps = shown(Format::Text).matches("`preStop`").count();
            assert!(steps > 0);
            assert_eq!(shown(Format::Html).matches("<code>preStop</code>").count(), steps);
            assert_eq!(shown(Format::Json).matches("`preStop`").count(), steps);
            assert!(!shown(Format::Html).contains('`'));
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_is_small() {
        for fault in Fault::ALL {
            let story = Story::of(fault, Cause::OriginDown);
            let answer = Answer::failure(&story.for_visitor(OCCURRENCE), style(Format::Html), StatusPolicy::BadGateway);
            let page = text(&answer);
            for outside in ["://", "src=", "<script", "<link", "@import", "url(", " style=", " onclick"] {
                assert!(!page.contains(outside), "{fault} has {outside}");
            }
            assert!(page.len() < 16_384, "{fault}: {} bytes before compression", page.len());
        }
    }

    #[test]
    fn the_policy_allows_the_style_sheet_that_is_in_the_page() {
        let story = Story::refused();
        let answer = Answer::failure(&story.for_visitor(OCCURRENCE), style(Format::Html), StatusPolicy::BadGateway);
        let page = text(&answer);
        let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        let hash = BASE64.encode(ring::digest::digest(&ring::digest::SHA256, style.as_bytes()));
        assert_eq!(
            answer.headers["content-security-policy"],
            format!(
                "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            )
        );
    }

    #[test]
    fn the_page_marks_the_station_that_broke() {
        for (fault, mark) in [
            (Fault::ConnectionRefused, "<li class=\"broken\"><b>Origin</b>"),
            (Fault::LocalPortsExhausted, "<li class=\"broken\"><b>This proxy</b>"),
            (Fault::DnsTimeout, "<li class=\"fine cut\"><b>This proxy</b>"),
        ] {
            let story = Story::of(fault, Cause::Unknown);
            let answer = Answer::failure(&story.for_visitor(OCCURRENCE), style(Format::Html), StatusPolicy::BadGateway);
            assert!(text(&answer).contains(mark), "{fault}");
        }
    }

    #[test]
    fn only_a_request_that_a_link_repeats_gets_a_link() {
        let story = Story::tried_twice();
        let page = |occurrence| {
            let answer = Answer::failure(&story.for_visitor(occurrence), style(Format::Html), StatusPolicy::BadGateway);
            (text(&answer).contains("<a href=\"\">Try again</a>"), text(&answer).contains("it had gone through"))
        };
        assert_eq!(page(OCCURRENCE), (true, false));
        assert_eq!(page(BARE), (false, true));
    }

    #[test]
    fn a_request_that_was_never_sent_cannot_have_gone_through() {
        let story = Story::refused();
        let answer = Answer::failure(&story.for_visitor(BARE), style(Format::Html), StatusPolicy::BadGateway);
        assert!(!text(&answer).contains("it had gone through"));
    }
}
