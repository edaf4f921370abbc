//! Owns the tests of the archive: what is listed and found of incidents that open, close and come back.

use std::time::Duration;

use super::file::File;
use super::*;
use crate::demo::origin::PrivateDirectory;
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
    Archive::new(&config::Incidents::default(), Patience { calm: Duration::ZERO, ..Patience::default() })
}

fn failed(archive: &Archive, upstream: &str, cause: Cause, id: &str) -> Noted {
    archive.failed(&upstream.into(), &diagnosis(cause, 0.5), |_| id.into()).expect("there is room")
}

fn diagnosis(cause: Cause, confidence: f64) -> Diagnosis {
    Diagnosis {
        fault: Fault::ConnectionRefused,
        cause,
        confidence,
        causes: Vec::new(),
        evidence: Vec::new(),
        summary: "",
        detail: "refused".to_owned(),
        steps: Vec::new(),
    }
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
    assert!(failed(&archive, "app", Cause::OriginDown, "a").goes_by_it);
    failed(&archive, "shop", Cause::OriginDown, "b");
    assert_eq!(close(&archive), 2);
    failed(&archive, "app", Cause::Firewall, "c");
    failed(&archive, "shop", Cause::Dns, "d");
    assert!(!failed(&archive, "shop", Cause::Dns, "x").goes_by_it);
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
fn the_answer_is_that_to_the_clearest_failure_and_is_kept_over_its_end_and_its_return() {
    let archive = archive();
    let answer =
        |archive: &Archive| archive.find("a").expect("it is known").answer.clone().map(|it| it.json().to_owned());
    let id = failed(&archive, "app", Cause::OriginDown, "a").id;
    assert_eq!(answer(&archive), None);
    archive.keep_answer(&id, r#","status":504"#);
    assert!(!failed(&archive, "app", Cause::OriginDown, "x").goes_by_it, "it says no more than the first");
    let surer = archive.failed(&"app".into(), &diagnosis(Cause::Firewall, 0.95), |_| "x".into());
    assert!(surer.is_some_and(|noted| noted.goes_by_it));
    archive.keep_answer(&id, r#","status":502"#);
    archive.keep_answer(&"y".into(), r#","status":502"#);
    assert_eq!(answer(&archive).as_deref(), Some(r#"{"status":502}"#));
    assert_eq!(close(&archive), 1);
    assert_eq!(answer(&archive).as_deref(), Some(r#"{"status":502}"#));
    assert!(!failed(&archive, "app", Cause::OriginDown, "x").goes_by_it, "it is back, and goes by what it went by");
    assert_eq!(listed(&archive, None, 9), ["a"], "one that is back is not among those that are over");
    assert_eq!(answer(&archive).as_deref(), Some(r#"{"status":502}"#));
    assert_eq!((close(&archive), archive.open()), (1, 0));
}

/// Writes what there is to write, as the keeper does; how many lines can be told then.
fn write(archive: &Archive, file: &File) -> usize {
    archive.batch().map_or(0, |batch| {
        file.write(&batch.records, &batch.gone).expect("it can be written");
        archive.written(&batch).len()
    })
}

/// Lets so much time pass.
fn wait(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::thread::park_timeout(time);
    }
}

#[test]
fn a_line_waits_for_the_disk_and_what_is_too_old_leaves_the_file() {
    let directory = PrivateDirectory::new().expect("a directory can be made");
    let place = directory.file("incidents.db");
    let settings = config::Incidents { history: Some(place.clone()), ..config::Incidents::default() };
    let archive = Archive::new(&settings, Patience { calm: Duration::ZERO, ..Patience::default() });
    let (file, contents) = File::open(&place).expect("it can be made");
    assert_eq!(File::open(&place).err(), Some(file::Trouble::Busy), "one has it at a time");
    archive.take_in(contents);
    assert!(failed(&archive, "app", Cause::OriginDown, "a").news.is_none());
    assert_eq!((write(&archive, &file), write(&archive, &file)), (1, 0));
    assert_eq!(close(&archive), 0, "its end waits too");
    assert_eq!(write(&archive, &file), 1);
    file.close();

    let (file, contents) = File::open(&place).expect("it can be opened");
    assert_eq!(contents.records.iter().map(|record| &*record.id).collect::<Vec<_>>(), ["a"]);
    let next = Archive::new(&settings, Patience::default());
    next.take_in(contents);
    assert_eq!(listed(&next, None, 9), ["a"]);
    let short = config::Incidents { keep: Duration::from_nanos(1), ..settings };
    wait(Duration::from_millis(2));
    next.configure(&short);
    assert_eq!((listed(&next, None, 9), write(&next, &file)), (vec![], 0));
    file.close();
    assert_eq!(File::open(&place).expect("it can be opened").1.records.len(), 0);
}

#[test]
fn without_the_disk_a_line_is_told_in_a_second_and_says_so() {
    let settings = config::Incidents { history: Some("/nowhere".into()), ..config::Incidents::default() };
    let archive = Archive::new(&settings, Patience::default());
    assert!(failed(&archive, "app", Cause::OriginDown, "a").news.is_none());
    assert_eq!(archive.review(|_| Some(0)).len(), 0, "the disk may still answer");
    wait(Duration::from_millis(1100));
    let told: Vec<_> = archive.review(|_| Some(0)).iter().map(|news| news.stored).collect();
    assert_eq!(told, [Some(false)]);
    archive.despair();
    let news = failed(&archive, "shop", Cause::OriginDown, "b").news.expect("nobody waits any more");
    assert_eq!(news.stored, Some(false));
}
