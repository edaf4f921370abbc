//! Owns what is in a line of a file: an event, more than one where a line break got lost, one behind a prefix, one inside another
//! program's JSON, a piece of one, or nothing.

use memchr::memmem;
use serde_json::error::Category;

use super::entry::BEGIN;
use super::entry::Entry;
use super::entry::Members;
use super::left_out::LeftOut;

/// Something in a line.
#[derive(Debug)]
pub enum Found<'a> {
    /// An event.
    Entry(Entry<'a>),
    /// What could not be read.
    LeftOut(LeftOut),
}

/// Reads a line, and tells of each thing that is in it. A prefix, as journald and containers write it, is nothing that is missed.
pub fn read(line: &[u8], told: &mut impl FnMut(Found<'_>)) {
    read_text(line, Inside::Line, told);
}

/// Where a text was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Line,
    Wrapping,
}

fn read_text(text: &[u8], inside: Inside, told: &mut impl FnMut(Found<'_>)) {
    let text = text.trim_ascii();
    let Some(first) = memmem::find(text, BEGIN) else { return read_other(text, inside, told) };
    let mut piece = text.get(first..).unwrap_or_default();
    // Where two programs write to one file, a line break may be lost, or a line be begun within another.
    while let Some(next) = piece.get(1..).and_then(|rest| memmem::find(rest, BEGIN)) {
        let (this, rest) = piece.split_at_checked(next + 1).unwrap_or((piece, &[]));
        read_piece(this.trim_ascii(), told);
        piece = rest;
    }
    read_piece(piece, told);
}

/// What begins as this program's lines do.
fn read_piece<'a>(piece: &'a [u8], told: &mut impl FnMut(Found<'a>)) {
    let entry = Entry::request_as_written(piece).map_or_else(|| parsed(piece), Ok);
    told(entry.map_or_else(Found::LeftOut, Found::Entry));
}

fn parsed(piece: &[u8]) -> Result<Entry<'_>, LeftOut> {
    let mut values = serde_json::Deserializer::from_slice(piece).into_iter::<Members<'_>>();
    match values.next() {
        Some(Ok(members)) => {
            let object = piece.get(..values.byte_offset()).unwrap_or(piece);
            Entry::of(members, object).ok_or(LeftOut::Foreign)
        }
        Some(Err(error)) => Err(left_out(&error)),
        None => Err(LeftOut::Foreign),
    }
}

/// What begins otherwise: an event with its members in another order, or one as a text within another program's object.
fn read_other(line: &[u8], inside: Inside, told: &mut impl FnMut(Found<'_>)) {
    if line.is_empty() {
        return;
    }
    let Some(object) = memchr::memchr(b'{', line).and_then(|begin| line.get(begin..)) else {
        return told(Found::LeftOut(LeftOut::Foreign));
    };
    let mut values = serde_json::Deserializer::from_slice(object).into_iter::<Members<'_>>();
    let mut members = match values.next() {
        Some(Ok(members)) => members,
        // What never was an event is not one that was cut.
        Some(Err(error)) if memmem::find(object, b"\"event\"").is_some() => {
            return told(Found::LeftOut(left_out(&error)));
        }
        Some(Err(_)) | None => return told(Found::LeftOut(LeftOut::Foreign)),
    };
    let object = object.get(..values.byte_offset()).unwrap_or(object);
    let wrapped =
        [&mut members.log, &mut members.journal, &mut members.message].into_iter().find_map(|text| text.0.take());
    match (Entry::of(members, object), wrapped) {
        (Some(entry), _) => told(Found::Entry(entry)),
        (None, Some(text)) if inside == Inside::Line => read_text(text.as_bytes(), Inside::Wrapping, told),
        (None, _) => told(Found::LeftOut(LeftOut::Foreign)),
    }
}

fn left_out(error: &serde_json::Error) -> LeftOut {
    match error.classify() {
        Category::Eof | Category::Syntax | Category::Io => LeftOut::Cut,
        Category::Data => LeftOut::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::Found;
    use super::read;
    use crate::logbook::Event;
    use crate::logbook::LeftOut;

    fn found(line: &str) -> Vec<String> {
        let mut all = Vec::new();
        read(line.as_bytes(), &mut |found| {
            all.push(match found {
                Found::LeftOut(what) => what.word().to_owned(),
                Found::Entry(entry) => match entry.event {
                    Event::Request { upstream, status } => format!("{} {status}", upstream.as_deref().unwrap_or("-")),
                    Event::Failure(failure) => format!(
                        "{} {} {} {} {}",
                        failure.upstream,
                        failure.fault,
                        failure.cause,
                        failure.retried,
                        failure.incident.as_deref().unwrap_or("-")
                    ),
                    Event::Opened(incident) => format!("opened {} {:?}", incident.id, incident.opened.map(|at| at.0)),
                    Event::Closed(incident) => format!("closed {} {:?}", incident.id, incident.count),
                    Event::Probe { server } => format!("probe {server}"),
                    Event::Other => "other".to_owned(),
                },
            });
        });
        all
    }

    fn begin(text: &str, length: usize) -> &str {
        text.get(..length).unwrap()
    }

    const REQUEST: &str = r#"{"ts":"2026-11-26T10:00:00.000Z","level":"info","event":"request","request_id":"01J","client":"::1","method":"GET","host":"a","path":"/","protocol":"HTTP/1.1","status":200,"bytes_sent":3,"elapsed_ms":1.407,"route":"/","upstream":"app","server":"http://a"}"#;
    const FAILURE: &str = r#"{"ts":"2026-11-26T10:00:00.000Z","level":"error","event":"upstream_failure","upstream":"app","retried":false,"fault":"connection_refused","cause":"origin_down","incident":"01K","causes":[{"cause":"dns"}],"checklist":[]}"#;

    #[test]
    fn an_event_is_found_wherever_it_stands() {
        let quoted = serde_json::to_string(FAILURE).unwrap();
        let twice = serde_json::to_string(&format!("{}{FAILURE}", begin(FAILURE, 60))).unwrap();
        let sorted = r#"{"cause":"dns","event":"upstream_failure","fault":"dns_timeout","retried":true,"ts":"2026-11-26T10:00:00Z","upstream":"b"}"#;
        let escaped = REQUEST.replace(r#""path":"/""#, r#""path":"/\",\"status\":500,\"upstream\":\"evil\"""#);
        let odd = REQUEST.replace(r#""upstream":"app""#, r#""upstream":"a\"b""#);
        for (line, expected) in [
            (REQUEST.to_owned(), vec!["app 200"]),
            (format!("{REQUEST}\r"), vec!["app 200"]),
            (escaped, vec!["app 200"]),
            (odd, vec!["a\"b 200"]),
            (REQUEST.replace("\"app\"", "null"), vec!["- 200"]),
            (REQUEST.replace("\"status\":200", "\"status\": 404"), vec!["app 404"]),
            (FAILURE.to_owned(), vec!["app connection_refused origin_down false 01K"]),
            (sorted.to_owned(), vec!["b dns_timeout dns true -"]),
            (format!("Nov 26 10:00:00 host why502[7]: {REQUEST}"), vec!["app 200"]),
            (format!("2026-11-26T10:00:00.1Z stdout F {REQUEST}"), vec!["app 200"]),
            (format!("why502-1  | {sorted}"), vec!["b dns_timeout dns true -"]),
            (format!(r#"{{"log":{quoted},"stream":"stdout"}}"#), vec!["app connection_refused origin_down false 01K"]),
            (format!(r#"{{"log":{twice}}}"#), vec!["cut", "app connection_refused origin_down false 01K"]),
            (format!(r#"{{"MESSAGE":{quoted},"_PID":"7"}}"#), vec!["app connection_refused origin_down false 01K"]),
            (format!(r#"{{"host":"x","event":{FAILURE},"a":1}}"#), vec!["app connection_refused origin_down false 01K"]),
            (format!("{REQUEST} (from a container)"), vec!["app 200"]),
            (format!("{REQUEST}{FAILURE}"), vec!["app 200", "app connection_refused origin_down false 01K"]),
            (format!("{}{REQUEST}", begin(REQUEST, 90)), vec!["cut", "app 200"]),
            (
                r#"{"ts":"2026-11-26T10:00:00.000Z","event":"stopped","reason":"SIGTERM"}"#.to_owned(),
                vec!["other"],
            ),
            (
                r#"{"ts":"2026-11-26T10:00:00.000Z","event":"incident_closed","incident":"I","upstream":"a","cause":"dns","count":7}"#
                    .to_owned(),
                vec!["closed I Some(7)"],
            ),
            (String::new(), vec![]),
        ] {
            assert_eq!(found(&line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_event_is_told_as_what_it_is() {
        for (line, expected) in [
            (begin(REQUEST, 200), LeftOut::Cut),
            (begin(REQUEST, REQUEST.len() - 1), LeftOut::Cut),
            (begin(FAILURE, 60), LeftOut::Cut),
            (FAILURE.get(10..).unwrap(), LeftOut::Foreign),
            ("Listening on port 80", LeftOut::Foreign),
            ("{}", LeftOut::Foreign),
            ("[1]", LeftOut::Foreign),
            (r#"{"level":"info","msg":"hello"}"#, LeftOut::Foreign),
            (
                r#"{"ts":"2026-11-26T10:00:00.000Z","level":"info","event":"request","status":20099,"upstream":null}"#,
                LeftOut::Foreign,
            ),
            (r#"{"ts":"yesterday","event":"request","status":200}"#, LeftOut::Foreign),
            (r#"{"ts":"2026-11-26T10:00:00.000Z","event":"login","user":"a"}"#, LeftOut::Foreign),
            (r#"{"log":"{\"log\":\"x\"}"}"#, LeftOut::Foreign),
            (r#"{"ts":7,"event":["request"],"status":{"a":[1]}}"#, LeftOut::Foreign),
        ] {
            assert_eq!(found(line), [expected.word()], "{line}");
        }
    }

    #[test]
    fn a_request_is_read_alike_in_haste_and_with_care() {
        let loose = REQUEST.replace("\"level\":", "\"level\": ");
        let (mut hasty, mut careful) = (None, None);
        read(REQUEST.as_bytes(), &mut |found| {
            if let Found::Entry(entry) = found {
                hasty = Some((entry.at, format!("{:?}", entry.event)));
            }
        });
        read(loose.as_bytes(), &mut |found| {
            if let Found::Entry(entry) = found {
                careful = Some((entry.at, format!("{:?}", entry.event)));
            }
        });
        assert!(hasty.is_some());
        assert_eq!(hasty, careful);
    }
}
