//! One row a fault: met on real sockets by the real program, and what is said of it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use why502::demo::origin::BROKEN;
use why502::demo::origin::Row;
use why502::demo::shown;
use why502::demo::viewer::Format;
use why502::demo::viewer::Viewer;
use why502::demo::visit::Ending;
use why502::fault::Fault;

use super::support::museum::Museum;

#[test]
fn dump() {
    let mut museum = Museum::open("");
    let rows: Vec<_> = museum.rows().into_iter().filter(|row| row.fault.is_some()).collect();
    let visits: Vec<_> = rows.iter().map(|row| (*row, Viewer::Visitor, Format::Json)).collect();
    let heard = museum.visit(&visits);
    let mut told = BTreeMap::new();
    while told.len() < rows.len() - 1 {
        let line = museum.proxy.line("upstream_failure");
        let name = line["upstream"].as_str().unwrap().to_owned();
        eprintln!("{name} {} {} {} {} {}", line["fault"], line["cause"], line["confidence"], line["path"], line["detail"]);
        told.insert(name, line);
    }
    for (row, heard) in rows.iter().zip(&heard) {
        let (head, _) = shown::split(&heard.answer).unwrap_or_default();
        let Some(line) = told.get(row.name) else { println!("NONE {} {}", row.name, String::from_utf8_lossy(&heard.answer)); continue };
        println!("ROW {} | {} | {} | {} | {} | {:?} | {} | {}", row.name, line["fault"], line["stage"], line["cause"], head.lines().next().unwrap_or(""), heard.ending, shown::field(&head, "proxy-status").unwrap_or("-"), heard.elapsed.as_millis());
    }
}
