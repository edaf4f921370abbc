//! Owns the tests of the archive: what is listed and found of incidents that open, close and come back.

use std::time::Duration;

use super::*;
use crate::diagnosis::Cause;
use crate::fault::Fault;

/// A record with nothing in it but its id.
pub(super) fn record(id: &str) -> Record {
    Record {
        id: id.to_owned(),
        upstream: "app".to_owned(),
        opened: Duration::ZERO,
        last: Duration::ZERO,
        closed: Some(Duration::ZERO),
        cut_short: false,
        count: 1,
        faults: Vec::new(),
        fault: Fault::ConnectionRefused,
        cause: Cause::OriginDown,
        confidence: 0.5,
        returns: 0,
        detail: String::new(),
        evidence: Vec::new(),
        answer: None,
    }
}

/// An archive that closes an incident as soon as its upstream has answered.
fn archive() -> Archive {
    Archive::new(Patience { calm: Duration::ZERO, ..Patience::default() })
}

fn failed(archive: &Archive, upstream: &str, cause: Cause, id: &str) -> Noted {
    let diagnosis = Diagnosis {
        fault: Fault::ConnectionRefused,
        cause,
        confidence: 0.5,
        causes: Vec::new(),
        evidence: Vec::new(),
        summary: "",
        detail: "refused".to_owned(),
        steps: Vec::new(),
    };
    archive.failed(&upstream.into(), &diagnosis, |_| id.into()).expect("there is room")
}

/// All is well again for a while.
fn close(archive: &Archive) -> usize {
    archive.review(|_| Some(0));
    archive.review(|_| Some(10)).len()
}

fn listed(archive: &Archive, upstream: Option<&str>, limit: usize) -> Vec<String> {
    archive.list(upstream, limit).iter().map(|record| record.id.clone()).collect()
}

#[test]
fn the_open_come_first_and_then_the_latest() {
    let archive = archive();
    assert!(failed(&archive, "app", Cause::OriginDown, "a").opened.is_some());
    failed(&archive, "shop", Cause::OriginDown, "b");
    assert_eq!(close(&archive), 2);
    failed(&archive, "app", Cause::Firewall, "c");
    failed(&archive, "shop", Cause::Dns, "d");
    assert!(failed(&archive, "shop", Cause::Dns, "x").opened.is_none());
    assert_eq!(listed(&archive, None, 9), ["d", "c", "b", "a"]);
    assert_eq!(listed(&archive, None, 3), ["d", "c", "b"]);
    assert_eq!(listed(&archive, Some("app"), 9), ["c", "a"]);
    assert_eq!(listed(&archive, Some("no"), 9), [""; 0]);
    assert_eq!(archive.open(), 2);
    let found = archive.find("d").expect("it is open");
    assert_eq!((found.count, found.closed), (2, None));
    assert!(archive.find("a").expect("it is known").closed.is_some());
    assert!(archive.find("x").is_none());
}

#[test]
fn the_first_answer_is_kept_over_its_end_and_its_return() {
    let archive = archive();
    let answer =
        |archive: &Archive| archive.find("a").expect("it is known").answer.clone().map(|it| it.json().to_owned());
    let id = failed(&archive, "app", Cause::OriginDown, "a").id;
    assert_eq!(answer(&archive), None);
    archive.keep_answer(&id, r#","status":502"#);
    archive.keep_answer(&"y".into(), r#","status":502"#);
    assert_eq!(answer(&archive).as_deref(), Some(r#"{"status":502}"#));
    assert_eq!(close(&archive), 1);
    assert_eq!(answer(&archive).as_deref(), Some(r#"{"status":502}"#));
    assert!(failed(&archive, "app", Cause::OriginDown, "x").opened.is_some(), "it is back");
    archive.keep_answer(&id, r#","status":503"#);
    assert_eq!(listed(&archive, None, 9), ["a"], "one that is back is not among those that are over");
    assert_eq!(answer(&archive).as_deref(), Some(r#"{"status":502}"#));
    assert_eq!((close(&archive), archive.open()), (1, 0));
}
