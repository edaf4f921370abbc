//! Owns the tests of whole answers: every fault and cause in every format, what no visitor may see, what is prepared.

use std::fs;
use std::path::Path;

use http::StatusCode;

use super::Answer;
use super::Format;
use super::Occurrence;
use super::RefusalReport;
use super::samples::OCCURRENCE;
use super::samples::Story;
use crate::config::StatusPolicy;
use crate::diagnosis::Cause;
use crate::fault::Fault;

#[test]
#[ignore = "writes pages and texts to target/gallery, to be looked at"]
fn the_gallery() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/gallery");
    fs::create_dir_all(&directory).unwrap();
    let write = |name: &str, suffix: &str, answer: Answer| {
        fs::write(directory.join(format!("{name}.{suffix}")), answer.body).unwrap();
    };
    for (name, story) in [
        ("refused", Story::refused()),
        ("resolver", Story::of(Fault::DnsTimeout, Cause::Dns)),
        ("ports", Story::of(Fault::LocalPortsExhausted, Cause::Overload)),
        ("unknown", Story::of(Fault::ResponseTimedOut, Cause::Unknown)),
        ("tried", Story::tried_twice()),
    ] {
        let posted = Occurrence { repeatable: false, retry_after: Some(120), incident: None, ..OCCURRENCE };
        let occurrence = if name == "tried" { posted } else { OCCURRENCE };
        for (format, suffix) in [(Format::Html, "html"), (Format::Text, "txt"), (Format::Json, "json")] {
            let answer = |report| Answer::failure(&report, format, StatusPolicy::BadGateway);
            write(&format!("{name}-visitor"), suffix, answer(story.for_visitor(occurrence)));
            write(&format!("{name}-operator"), suffix, answer(story.for_operator(occurrence)));
            write("not-found", suffix, Answer::refusal(&NOT_FOUND, format));
        }
    }
}

const NOT_FOUND: RefusalReport<'static> = RefusalReport {
    status: StatusCode::NOT_FOUND,
    detail: "Nothing is set up for this address.",
    hint: Some("Check the address for a typing error."),
    occurrence: Occurrence { repeatable: false, incident: None, ..OCCURRENCE },
};
