//! The demo's origins behind the real program: what each row says that it shows is what is answered, in every format.

use why502::demo::origin::Row;
use why502::demo::viewer::Format;
use why502::demo::viewer::Viewer;
use why502::fault::Fault;

use crate::support::museum::Museum;

#[test]
fn every_row_leads_to_the_fault_that_it_names_in_every_format() {
    let museum = Museum::open("");
    let rows = museum.rows().into_iter().filter_map(|row| Some((row, row.fault?)));
    let visits: Vec<_> = rows.flat_map(|(row, fault)| Format::ALL.map(|format| (row, fault, format))).collect();
    let asked: Vec<_> = visits.iter().map(|(row, _, format)| (*row, Viewer::Visitor, *format)).collect();
    let mut wrong = Vec::new();
    for ((row, fault, format), heard) in visits.into_iter().zip(museum.visit(&asked)) {
        let answer = String::from_utf8_lossy(&heard.answer);
        if !is_of(row, fault, format, &answer) {
            wrong.push(format!("{} as {}: {}", row.name, format.word(), answer.lines().next().unwrap_or("nothing")));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether the answer is the row's: its fault in the document, its title elsewhere, or the beginning of a body that was cut.
fn is_of(row: &Row, fault: Fault, format: Format, answer: &str) -> bool {
    let cut = answer.starts_with("HTTP/1.1 200 OK") && answer.contains("The beginning of an answer,");
    match format {
        _ if cut => row.name.starts_with("response_"),
        Format::Json => answer.contains(&format!("\"fault\": \"{}\"", fault.word())),
        Format::Page | Format::Text | Format::Grpc => answer.replace("&#39;", "'").contains(fault.title()),
    }
}
