//! Owns the tests of whole answers: every fault and cause in every format, what no visitor may see, what is prepared.

use std::fs;
use std::path::Path;

use super::Answer;
use super::Format;
use super::samples::OCCURRENCE;
use super::samples::Story;
use crate::config::StatusPolicy;

#[test]
#[ignore = "writes pages and texts to target/gallery, to be looked at"]
fn the_gallery() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/gallery");
    fs::create_dir_all(&directory).unwrap();
    let story = Story::refused();
    for (name, report) in [("visitor", story.for_visitor(OCCURRENCE)), ("operator", story.for_operator(OCCURRENCE))] {
        for (format, suffix) in [(Format::Html, "html"), (Format::Text, "txt"), (Format::Json, "json")] {
            let answer = Answer::failure(&report, format, StatusPolicy::BadGateway);
            fs::write(directory.join(format!("refused-{name}.{suffix}")), answer.body).unwrap();
        }
    }
}
