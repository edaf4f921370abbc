//! The demo's origins behind the real program: what each row says that it shows is what is answered and logged.

use serde_json::Value;
use tokio::runtime::Runtime;

use why502::demo::Demo;
use why502::demo::origin::BROKEN;
use why502::demo::origin::Row;
use why502::demo::viewer::Format;
use why502::demo::visit::Visit;
use why502::fault::Fault;

use crate::support::proxy::Proxy;

#[test]
fn every_row_leads_to_the_fault_that_it_names_in_every_format() {
    let origins = Runtime::new().expect("a runtime can be made");
    let demo = origins.block_on(async { Demo::open(([127, 0, 0, 1], 0).into()) }).expect("a demo can be opened");
    let proxy = Proxy::run(&demo.configuration().replace("format = \"pretty\"", "format = \"json\""));
    origins.block_on(demo.rehearse()).expect("the proxy can be reached");
    let address = proxy.address();
    let is_there = |row: &&Row| demo.configuration().contains(&format!("name = {:?}", row.name));
    let visits = BROKEN.iter().filter(is_there).flat_map(|row| Format::ALL.map(|format| (row, format)));
    let visits: Vec<_> = visits
        .map(|(row, format)| {
            let visit = async move { Visit { proxy: address, row, token: None, format }.make().await };
            (row, format, origins.spawn(visit))
        })
        .collect();
    let mut wrong = Vec::new();
    for (row, format, visit) in visits {
        let heard = origins.block_on(visit).expect("a visit ends").expect("the proxy can be reached");
        let answer = String::from_utf8_lossy(&heard.answer).into_owned();
        if !is_of(row, format, &answer) {
            wrong.push(format!("{} as {}: {}", row.name, format.word(), answer.lines().next().unwrap_or("nothing")));
        }
    }
    let (_, log) = proxy.stop();
    wrong.extend(log.iter().filter_map(misnamed));
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether the answer is the row's: its fault in the document, its title elsewhere, or the beginning of a body that was cut.
fn is_of(row: &Row, format: Format, answer: &str) -> bool {
    let Some(fault) = row.fault else { return true };
    let cut = answer.starts_with("HTTP/1.1 200 OK") && answer.contains("The beginning of an answer,");
    match format {
        _ if cut => fault.word().starts_with("response_"),
        Format::Json => answer.contains(&format!("\"fault\": \"{}\"", fault.word())),
        Format::Page | Format::Text | Format::Grpc => answer.replace("&#39;", "'").contains(fault.title()),
    }
}

/// What is wrong with a line of the log, if it is a failure of another fault than its row's.
fn misnamed(line: &Value) -> Option<String> {
    let row = BROKEN.iter().find(|row| line["upstream"] == row.name)?;
    let fault = line["fault"].as_str()?;
    (row.rehearsals == 0 && Some(fault) != row.fault.map(Fault::word))
        .then(|| format!("{}: {fault} in the log", row.name))
}
