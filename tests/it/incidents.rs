//! Incidents: opened by the first failure that a client sees, named in every answer, closed when all is well again.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use why502::config;
use why502::demo::origin::PrivateDirectory;
use why502::diagnosis::checklist::Checklist;
use why502::incident::Patience;
use why502::server::Server;

use super::support::client::get;
use super::support::eventually;
use super::support::origin::Origin;
use super::support::origin::Reserved;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

const OPERATOR: &str = "[operators]\nnetworks = [\"127.0.0.1\"]";

fn lines(log: &Path) -> Vec<Value> {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line of the log is JSON")).collect()
}

fn only<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

#[test]
fn the_first_failure_opens_an_incident_and_every_answer_names_it() {
    let closed = Reserved::port();
    let mut proxy = Proxy::run(&in_front_of(&[&closed.url()], "", OPERATOR));
    let answer = |accept: &str| get(proxy.address(), "/", &format!("Accept: {accept}\r\n"));
    let first = answer("application/json").json();
    let id = first["incident"].as_str().expect("an incident").to_owned();
    assert_eq!(id.len(), 26);
    assert_eq!(answer("application/json").json()["incident"], *id);
    assert!(answer("text/html").text().contains(&id));
    assert!(answer("text/plain").text().contains(&id));

    let opened = proxy.line("incident_opened");
    assert_eq!((&opened["incident"], &opened["upstream"]), (&id.clone().into(), &"app".into()));
    assert_eq!((&opened["cause"], &opened["fault"]), (&first["cause"], &"connection_refused".into()));
    assert_eq!((&opened["level"], &opened["confidence"]), (&"error".into(), &first["confidence"]));
    assert!(opened["detail"].is_string() && opened["evidence"][0]["says"].is_string(), "{opened:#}");
    assert_eq!(proxy.line("upstream_failure")["incident"], *id);
    let log = proxy.stop().1;
    assert_eq!(only(&log, "incident_opened").len(), 1, "four failures are one incident");
    let stopped = only(&log, "stopped")[0];
    assert_eq!((&stopped["incidents_opened"], &stopped["incidents_closed"]), (&1.into(), &0.into()));
}

#[test]
fn what_a_retry_hides_is_no_incident() {
    let (closed, origin) = (Reserved::port(), Origin::listen());
    let proxy = Proxy::run(&in_front_of(&[&closed.url(), &origin.url], "balance = \"round_robin\"", OPERATOR));
    origin.greet("fine");
    // As many as may be retried in any case.
    for _ in 0..3 {
        assert_eq!(get(proxy.address(), "/", "").text(), "fine");
    }
    let log = proxy.stop().1;
    let failures = only(&log, "upstream_failure");
    assert!(!failures.is_empty() && failures.iter().all(|line| line["incident"].is_null()), "{failures:#?}");
    assert_eq!(only(&log, "incident_opened").len(), 0);
}

/// The program in this process, where incidents need not be waited for so long.
#[test]
fn an_incident_closes_when_the_upstream_answers_and_comes_back_as_the_same() {
    let (directory, origin) = (PrivateDirectory::new().unwrap(), Reserved::port());
    let (file, log) = (directory.file("why502.toml"), directory.file("log"));
    let output = format!("[log]\noutput = {:?}\n[runtime]\nworkers = 2", log.display().to_string());
    fs::write(&file, in_front_of(&[&origin.url()], "ejection.after = 1000", &output)).unwrap();
    let patience = Patience { calm: Duration::from_secs(1), ..Patience::default() };
    let config = config::load(Path::new(&file)).expect("the configuration is right");
    let server = Server::start_with(config, Checklist::built_in(), patience).expect("it starts");
    let config::ListenAddress::Tcp(address) = server.addresses()[0] else { panic!("it listens on TCP") };

    let id = get(address, "/", "Accept: application/json\r\n").json()["incident"].as_str().unwrap().to_owned();
    get(address, "/", "");
    origin.listen().greet("fine");
    let closed = eventually("the end of the incident", || {
        assert_eq!(get(address, "/", "").head.status, 200);
        only(&lines(&log), "incident_closed").first().map(|line| (*line).clone())
    });
    assert_eq!((&closed["incident"], &closed["count"]), (&id.clone().into(), &2.into()));
    assert_eq!((&closed["faults"]["connection_refused"], &closed["upstream"]), (&2.into(), &"app".into()));
    assert_eq!(closed["cause"], only(&lines(&log), "incident_opened")[0]["cause"]);
    let times = ["opened", "closed"].map(|key| closed[key].as_str().unwrap().to_owned());
    assert!(times[0] < times[1], "{times:?}");
    server.stop();
    assert_eq!(only(&lines(&log), "incident_opened").len(), 1);
}

#[test]
fn a_server_that_flaps_opens_one_incident() {
    let (directory, origin) = (PrivateDirectory::new().unwrap(), Origin::listen());
    let (file, log) = (directory.file("why502.toml"), directory.file("log"));
    let output = format!("[log]\noutput = {:?}\n[runtime]\nworkers = 1", log.display().to_string());
    let upstream = "ejection.after = 1000\nretry.attempts = 1";
    fs::write(&file, in_front_of(&[&origin.url], upstream, &output)).unwrap();
    let patience = Patience { calm: Duration::from_millis(500), ..Patience::default() };
    let config = config::load(Path::new(&file)).expect("the configuration is right");
    let server = Server::start_with(config, Checklist::built_in(), patience).expect("it starts");
    let config::ListenAddress::Tcp(address) = server.addresses()[0] else { panic!("it listens on TCP") };
    let ask = |answers: bool| {
        let asked = std::thread::spawn(move || get(address, "/", "Accept: application/json\r\n"));
        let mut conversation = origin.accept();
        conversation.request();
        if answers {
            conversation.answer_and_close("fine");
        } else {
            drop(conversation);
        }
        asked.join().expect("an answer comes")
    };
    let mut ids = Vec::new();
    for closed in 1..=2 {
        ids.push(ask(false).json()["incident"].as_str().unwrap().to_owned());
        eventually("the end of the incident", || {
            assert_eq!(ask(true).head.status, 200);
            (only(&lines(&log), "incident_closed").len() == closed).then_some(())
        });
    }
    ids.push(ask(false).json()["incident"].as_str().unwrap().to_owned());
    server.stop();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let log = lines(&log);
    let returns: Vec<_> = only(&log, "incident_opened").iter().map(|line| line["returns"].as_u64()).collect();
    assert_eq!(returns, [None, Some(1), Some(2)], "the same incident each time, and the log says so");
    assert_eq!(only(&log, "incident_closed")[1]["count"], 2);
}
