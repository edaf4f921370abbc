//! `why502 diagnose`: what it says of each of the demo's origins, and how it ends.

use std::collections::VecDeque;
use std::fs;
use std::sync::Mutex;
use std::thread;

use serde_json::Value;

use why502::demo::origin::Ask;
use why502::demo::origin::BROKEN;
use why502::demo::origin::HEALTHY;
use why502::demo::origin::PrivateDirectory;
use why502::fault::Fault;

use super::support::museum::Museum;
use super::support::origin::Origin;
use super::support::proxy::why502;

#[test]
fn every_origin_of_the_demo_is_told_as_the_proxy_tells_it() {
    let museum = Museum::open("");
    let directory = PrivateDirectory::new().unwrap();
    fs::write(directory.file("demo.toml"), &museum.configuration).unwrap();
    let there = museum.rows();
    let rows = BROKEN.iter().chain(HEALTHY).filter(|row| there.iter().any(|known| known.name == row.name));
    let rows = rows.filter(|row| row.ask == Ask::Get && row.rehearsals == 0 && !OTHERWISE.contains(&row.name));
    let rows = Mutex::new(rows.collect::<VecDeque<_>>());
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(row) = { rows.lock().unwrap().pop_front() } {
                    let url = format!("http://demo.example{}", row.path());
                    let arguments = ["diagnose", &url, "--config", "demo.toml", "--json"];
                    let ended = why502(&arguments, directory.path());
                    let said: Value = serde_json::from_str(&ended.out).unwrap_or_default();
                    let expected = (Some(i32::from(row.fault.is_some())), row.fault.map(Fault::word));
                    if (ended.status, said["fault"].as_str()) != expected {
                        wrong.lock().unwrap().push(format!("{}: {:?} {}{}", row.name, ended.status, said, ended.err));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_origin_that_answers_is_told_step_by_step() {
    let directory = PrivateDirectory::new().unwrap();
    let origin = Origin::listen();
    let url = format!("{}/a?b", origin.url);
    origin.greet("hello");
    let ended = why502(&["diagnose", &url, "--host", "shop.example"], directory.path());
    assert_eq!((ended.status, &*ended.err), (Some(0), ""), "{}", ended.out);
    for part in ["/a?b from ", ", host shop.example", "ok    connect", "ok    response", "The origin answers."] {
        assert!(ended.out.contains(part), "{part}: {}", ended.out);
    }
}

#[test]
fn a_failure_is_told_with_what_was_checked_and_what_to_do() {
    let directory = PrivateDirectory::new().unwrap();
    let ended = why502(&["diagnose", "http://127.0.0.1:1"], directory.path());
    assert_eq!((ended.status, &*ended.err), (Some(1), ""));
    for part in ["FAIL  connect", "check nothing on this host listens on port 1", "Why\n", "origin_down", "What to do"]
    {
        assert!(ended.out.contains(part), "{part}: {}", ended.out);
    }
    for line in ended.out.lines().filter(|line| !line.trim_start().starts_with("$ ")) {
        assert!(line.chars().count() <= 80 && !line.contains('\x1b'), "{line:?}");
    }
    let answer = why502(&["diagnose", "http://127.0.0.1:1", "--json"], directory.path());
    let answer: Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!((&answer["fault"], &answer["cause"]), (&"connection_refused".into(), &"origin_down".into()));
    for member in ["request_id", "causes", "checklist", "upstream", "server", "peer", "evidence", "attempts"] {
        assert!(!answer[member].is_null(), "{member}");
    }
}

#[test]
fn what_is_wrong_starts_nothing() {
    let directory = PrivateDirectory::new().unwrap();
    fs::write(directory.file("a.toml"), "[[listener]]\nadress = 1\n").unwrap();
    for (arguments, says) in [
        (&["ftp://a"][..], "\"ftp://\" is not spoken to servers"),
        (&["a:80"], "write \"http://a:80\""),
        (&["http://a", "--host", "b c"], "--host: \"b c\" is not a host"),
        (&["http://a", "--config", "absent.toml"], "absent.toml: no such file"),
        (&["http://a", "--config", "a.toml"], "unknown key `adress`"),
    ] {
        let ended = why502(&[&["diagnose"], arguments].concat(), directory.path());
        assert_eq!((ended.status, &*ended.out), (Some(2), ""), "{arguments:?}");
        assert!(ended.err.contains(says), "{arguments:?}: {}", ended.err);
    }
}

/// Rows that are another failure to whoever is not the demo's own proxy: it is only a loop for the one who comes back to itself.
const OTHERWISE: &[&str] = &["proxy_loop"];

/// How many origins are asked at once; some take a second or two.
const AT_ONCE: usize = 6;
