//! What a failing answer is made of, said by somebody hostile: nothing breaks out of any format, and a visitor sees none of it.

#![expect(clippy::string_slice, reason = "at the ends of what was found")]

use std::collections::BTreeSet;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Response;
use why502::answer::Answer;
use why502::answer::Format;
use why502::answer::Language;
use why502::answer::Moment;
use why502::answer::Occurrence;
use why502::answer::OperatorReport;
use why502::answer::Report;
use why502::answer::Site;
use why502::answer::Style;
use why502::answer::VisitorReport;
use why502::config::StatusPolicy;
use why502::diagnosis::Case;
use why502::diagnosis::Checklist;
use why502::diagnosis::diagnose;
use why502::fault::Fault;
use why502::fault::failure::ResponseEvidence;

use super::case::case;

/// The first byte chooses the fault, the second the language; the rest is the head and the page of an answer that is
/// intercepted, and what everybody says.
pub(crate) fn check(input: &[u8]) {
    let [fault, language, rest @ ..] = input else { return };
    let fault = Fault::ALL[usize::from(*fault) % Fault::ALL.len()];
    let language = Language::all().nth(usize::from(*language) % Language::all().count()).unwrap_or(Language::ENGLISH);
    let says: String = String::from_utf8_lossy(rest).chars().take(200).collect();
    let case = case(fault, &says, Some(intercepted(rest)));
    let diagnosis = CHECKLIST.with(|checklist| diagnose(&case, |cause| checklist.steps(&case, cause)));
    // A field that a trusted proxy has sent (`proxy::request_id`).
    let id: String = says.chars().filter(char::is_ascii_graphic).collect();
    let incident = id.get(..10.min(id.len())).unwrap_or("01J");
    let occurrence = Occurrence {
        request_id: &id,
        at: Moment(1_772_357_400_000),
        incident: Some(incident),
        retry_after: None,
        repeatable: true,
    };
    let site = Site::default();
    let operator = Report::Operator(OperatorReport::new(&case, &diagnosis, occurrence));
    // What the request is called is the one thing that a visitor has said itself.
    let occurrence = Occurrence { request_id: "01JNWZ8Q4T5K3V9XH2M7RDCAEB", incident: None, ..occurrence };
    let visitor = Report::Visitor(VisitorReport::new(&case, &diagnosis, occurrence));
    for format in Format::ALL {
        let style = Style { format, language, site: &site };
        assert_closed(format, &Answer::failure(&operator, style, StatusPolicy::BadGateway));
        let answer = Answer::failure(&visitor, style, StatusPolicy::Standard);
        assert_closed(format, &answer);
        assert_silent(&answer, &case, &says);
    }
}

/// The answer of a gateway: field lines, and a page behind an empty one.
fn intercepted(bytes: &[u8]) -> ResponseEvidence {
    let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap_or(bytes.len());
    let (head, page) = bytes.split_at(end);
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n').take(50) {
        let mut words = line.splitn(2, |byte| *byte == b':');
        let name = words.next().and_then(|name| HeaderName::from_bytes(name).ok());
        let value = words.next().and_then(|value| HeaderValue::from_bytes(value.trim_ascii()).ok());
        if let (Some(name), Some(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = http::StatusCode::BAD_GATEWAY;
    parts.headers = headers;
    ResponseEvidence::of_gateway(&parts, page)
}

/// Nothing that was said stands as anything but text.
fn assert_closed(format: Format, answer: &Answer) {
    let body = std::str::from_utf8(&answer.body).expect("an answer is UTF-8");
    for (name, value) in &answer.headers {
        assert!(value.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t')), "{name}: {value:?}");
    }
    match format {
        Format::Html => {
            for tag in tags(body) {
                assert!(KNOWN.with(|known| known.contains(&tag)), "{tag:?} in {body}");
            }
            let hidden = body.find(|c: char| (c.is_control() && c != '\n') || is_bidi(c));
            assert!(hidden.is_none(), "{:?}", hidden.map(|at| &body[at..]));
        }
        Format::Problem | Format::Json => {
            let document: serde_json::Value = serde_json::from_str(body).expect("a document");
            assert_eq!(document["status"], answer.status.as_u16());
        }
        Format::Text => assert!(!body.chars().any(|c| (c.is_control() && c != '\n') || is_bidi(c)), "{body:?}"),
        Format::Grpc => assert!(body.is_empty()),
    }
}

/// Nothing that was said reaches a visitor.
fn assert_silent(answer: &Answer, case: &Case, says: &str) {
    let marked: Vec<&str> = says.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() >= 12).collect();
    let shown = format!("{:?}\n{}", answer.headers, String::from_utf8_lossy(&answer.body));
    let is_own = |word: &str| OWN_WORDS.with(|own| own.iter().any(|own| own.contains(word)));
    for word in marked.iter().filter(|word| !is_own(word)) {
        assert!(!shown.contains(word), "{word} is shown of {}", case.failure().fault);
    }
    assert!(!shown.contains("10.77.0."), "{shown}");
}

/// Tags as a browser sees them: a name, and the names of attributes.
fn tags(page: &str) -> BTreeSet<String> {
    let mut tags = BTreeSet::new();
    let mut rest = page;
    while let Some((_, behind)) = rest.split_once('<') {
        let name: String = behind.chars().take_while(|c| !c.is_whitespace() && !matches!(c, '>')).collect();
        rest = &behind[name.len()..];
        let mut seen = name;
        loop {
            rest = rest.trim_start();
            let attribute: String =
                rest.chars().take_while(|c| !c.is_whitespace() && !matches!(c, '>' | '=')).collect();
            rest = &rest[attribute.len()..];
            if !attribute.is_empty() {
                seen = format!("{seen} {attribute}");
            }
            let Some(value) = rest.strip_prefix('=') else {
                if rest.starts_with('>') || rest.is_empty() {
                    break;
                }
                continue;
            };
            rest = match value.chars().next() {
                Some(quote @ ('"' | '\'')) => value[1..].split_once(quote).map_or("", |(_, behind)| behind),
                _ => value.trim_start_matches(|c: char| !c.is_whitespace() && c != '>'),
            };
        }
        tags.insert(seen);
    }
    tags
}

const fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

thread_local! {
    static CHECKLIST: Checklist = Checklist::built_in();
    /// The tags of answers to cases in which nobody says anything but a harmless word, or nothing.
    static KNOWN: BTreeSet<String> = harmless().iter().flat_map(|page| tags(page)).collect();
    /// The long words that are this program's own.
    static OWN_WORDS: BTreeSet<String> = {
        let words = |text: &String| text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_owned).collect::<Vec<_>>();
        harmless().iter().flat_map(words).filter(|word| word.len() >= 12).collect()
    };
}

/// Every fault's answers, with their heads.
fn harmless() -> Vec<String> {
    let mut pages = Vec::new();
    for fault in Fault::ALL {
        for (says, repeatable, incident) in [("ab", true, None), ("abc", false, Some("01J"))] {
            let occurrence = Occurrence { request_id: "01J", at: Moment(0), incident, retry_after: None, repeatable };
            pages.extend(answers(&case(fault, says, None), occurrence));
        }
    }
    pages
}

/// An operator's page in English, and a visitor's page and document in every language.
fn answers(case: &Case, occurrence: Occurrence<'_>) -> Vec<String> {
    let site = Site::default();
    let diagnosis = CHECKLIST.with(|checklist| diagnose(case, |cause| checklist.steps(case, cause)));
    let operator = Report::Operator(OperatorReport::new(case, &diagnosis, occurrence));
    let visitor = Report::Visitor(VisitorReport::new(case, &diagnosis, occurrence));
    let english = [(&operator, Format::Html, Language::ENGLISH), (&visitor, Format::Json, Language::ENGLISH)];
    let all = Language::all().map(|language| (&visitor, Format::Html, language));
    let answers = english.into_iter().chain(all).map(|(report, format, language)| {
        let answer = Answer::failure(report, Style { format, language, site: &site }, StatusPolicy::Standard);
        format!("{:?}\n{}", answer.headers, String::from_utf8_lossy(&answer.body))
    });
    answers.collect()
}
