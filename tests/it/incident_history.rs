//! The incidents' history: what is in the file after restarts, take-overs and kills, and what is said where it cannot be written.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::Path;
use std::thread;

use redb::Database;
use redb::ReadableDatabase;
use redb::ReadableTable;
use redb::TableDefinition;
use serde_json::Value;

use why502::demo::origin::PrivateDirectory;

use super::support::client::Client;
use super::support::client::get;
use super::support::eventually;
use super::support::origin::Origin;
use super::support::proxy::Program;
use super::support::proxy::Proxy;
use super::support::proxy::in_front_of;

/// What the file holds, by the incidents' ids. The program that wrote it must have let it go.
fn read(file: &Path) -> BTreeMap<String, Value> {
    let table: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("incidents");
    let database = eventually("the file", || Database::open(file).ok());
    let table = database.begin_read().unwrap().open_table(table).unwrap();
    let rows = table.iter().unwrap().map(|row| row.expect("a row can be read"));
    rows.map(|(id, value)| (id.value().to_owned(), serde_json::from_slice(value.value()).expect("it is JSON")))
        .collect()
}

const HISTORY: &str = "[incidents]\nhistory = \"incidents.db\"\n[runtime]\nworkers = 2\n";

fn in_front_of_nobody(tables: &str) -> String {
    in_front_of(&["http://127.0.0.1:1"], "", tables)
}

#[test]
fn an_incident_that_is_open_when_the_process_ends_is_over_at_the_next_start() {
    let directory = PrivateDirectory::new().unwrap();
    let file = directory.file("incidents.db");
    let mut proxy = Proxy::run_in(directory, &in_front_of_nobody(HISTORY));
    (0..3).for_each(|_| drop(get(proxy.address(), "/a", "")));
    let opened = proxy.line("incident_opened");
    assert_eq!(opened["stored"], true, "{opened}");
    let id = opened["incident"].as_str().unwrap().to_owned();
    proxy.signal("TERM");
    proxy.line("stopped");
    let before = read(&file)[&id].clone();
    assert_eq!((&before["count"], &before["closed"]), (&3.into(), &Value::Null), "{before:#}");
    assert_eq!(before["answer"]["path"], Value::Null, "the answer, not the line");
    assert_eq!(
        (&before["answer"]["incident"], &before["answer"]["server"]),
        (&id.clone().into(), &"http://127.0.0.1:1".into())
    );

    let directory = proxy.into_directory();
    let mut proxy = Proxy::run_in(directory, &in_front_of_nobody(HISTORY));
    let closed = proxy.line("incident_closed");
    assert_eq!(
        (&closed["incident"], &closed["cut_short"], &closed["stored"]),
        (&id.clone().into(), &true.into(), &true.into())
    );
    assert_eq!((&closed["count"], &closed["closed"]), (&3.into(), &before["last"]));
    get(proxy.address(), "/", "");
    let second = proxy.line("incident_opened")["incident"].as_str().unwrap().to_owned();
    proxy.signal("TERM");
    proxy.line("stopped");
    let after = read(&file);
    assert_eq!(after.keys().collect::<Vec<_>>(), [&id, &second]);
    assert_eq!((&after[&id]["closed"], &after[&id]["cut_short"]), (&before["last"], &true.into()));
}

/// The history survives what kills the process at any moment: as many times as `WHY502_KILLS` says.
#[test]
fn what_is_said_to_be_stored_is_there_after_a_kill() {
    const UPSTREAMS: usize = 30;
    let kills: u64 = env::var("WHY502_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(4);
    let directory = PrivateDirectory::new().unwrap();
    let file = directory.file("incidents.db");
    let upstream = |number: usize| {
        format!(
            "[[route]]\npath = \"/{number}\"\nupstream = \"u{number}\"\n[[upstream]]\nname = \"u{number}\"\n\
             servers = [\"http://127.0.0.1:1\"]\n"
        )
    };
    let upstreams: String = (0..UPSTREAMS).map(upstream).collect();
    let configuration =
        format!("[[listener]]\naddress = \"127.0.0.1:0\"\n[diagnosis]\nprobes = false\n{HISTORY}{upstreams}");
    // Those that a line has said to be stored: open, or over.
    let mut promised: BTreeMap<String, bool> = BTreeMap::new();
    let mut lines = 0;
    for kill in 0..kills {
        let program = Program::run(&[], &directory, &configuration);
        let mut hear = |line: &str| {
            // The last line of a process that was killed may be cut.
            let Ok(line) = serde_json::from_str::<Value>(line) else { return Value::Null };
            if line["stored"] == true {
                lines += 1;
                let over = line["event"] == "incident_closed";
                *promised.entry(line["incident"].as_str().unwrap().to_owned()).or_default() |= over;
            }
            line
        };
        let mut started = Value::Null;
        while started["event"] != "started" {
            started = hear(&program.line().expect("it starts"));
        }
        let address: SocketAddr = started["listeners"][0].as_str().unwrap().parse().unwrap();
        let asking = thread::spawn(move || {
            for number in 0..UPSTREAMS {
                // It ends in the middle of this.
                let Ok(mut connection) = TcpStream::connect(address) else { return };
                write!(connection, "GET /{number} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ok();
                connection.read_to_end(&mut Vec::new()).ok();
            }
        });
        // Sooner and later, so that it is hit at every step of its work.
        let wanted = 1 + kill * 7 % 25;
        let mut seen = 0;
        while seen < wanted {
            let line = hear(&program.line().expect("it goes on"));
            seen += u64::from(line["event"] == "incident_opened");
        }
        program.signal("KILL");
        program.ended().out.lines().for_each(|line| drop(hear(line)));
        asking.join().unwrap();

        let kept = read(&file);
        for (id, over) in &promised {
            let Some(record) = kept.get(id) else { panic!("kill {kill}: {id} is lost") };
            assert!(!over || !record["closed"].is_null(), "kill {kill}: the end of {id} is lost");
        }
    }
    assert!(lines > 0);
    eprintln!("{kills} kills, {lines} lines that were promised, {} incidents, none lost", promised.len());
}

#[test]
fn the_file_goes_from_one_process_to_the_next() {
    let origin = Origin::listen();
    let directory = PrivateDirectory::new().unwrap();
    let file = directory.file("incidents.db");
    let dead = "[[route]]\npath = \"/dead\"\nupstream = \"dead\"\n[[upstream]]\nname = \"dead\"\nservers = [\"http://127.0.0.1:1\"]\n";
    let mut proxy = Proxy::run_in(directory, &(in_front_of(&[&origin.url], "", HISTORY) + dead));
    let address = proxy.address();
    get(address, "/dead", "");
    let first = proxy.line("incident_opened")["incident"].clone();
    let mut slow = Client::connect(address);
    slow.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut conversation = origin.accept();
    conversation.request();

    proxy.signal("USR2");
    proxy.line("started");
    eventually("the new one", || {
        let answer = get(address, "/dead", "Accept: application/json\r\n").json();
        (answer["incident"] != first).then_some(())
    });
    // The old one still serves, and holds the file.
    let second = proxy.line("incident_opened");
    assert_eq!(second["stored"], false, "an alarm does not wait for the file: {second}");
    conversation.answer("done");
    assert_eq!(slow.answer().text(), "done");
    proxy.heir();
    let closed = proxy.heard("incident_closed").unwrap_or_else(|| proxy.line("incident_closed"));
    assert_eq!((&closed["incident"], &closed["cut_short"], &closed["stored"]), (&first, &true.into(), &true.into()));
    proxy.signal("TERM");
    proxy.line("stopped");
    let kept = read(&file);
    let expected = [&first, &second["incident"]].map(|id| id.as_str().unwrap().to_owned());
    assert_eq!(kept.keys().cloned().collect::<Vec<_>>(), expected, "nothing is lost on the way");
}

/// What is said of a file that cannot be used, once, while the proxy serves on.
fn said_of(file: Option<&[u8]>, wrapper: &[&str]) -> (String, Value) {
    let directory = PrivateDirectory::new().unwrap();
    let path = directory.file("incidents.db");
    // The program's directory goes with it; this name of the file stays.
    let beside = PrivateDirectory::new().unwrap();
    let link = beside.file("link");
    if let Some(bytes) = file {
        fs::write(&path, bytes).unwrap();
        fs::hard_link(&path, &link).unwrap();
    }
    let mut proxy = Proxy::run_under(wrapper, directory, &in_front_of_nobody(HISTORY));
    let answer = get(proxy.address(), "/", "Accept: application/json\r\n").json();
    assert_eq!(answer["status"], 502);
    let opened = proxy.line("incident_opened");
    let log = proxy.stop().1;
    let messages = log.iter().filter_map(|line| line["message"].as_str());
    let said: Vec<&str> = messages.filter(|said| said.contains("incidents.db")).collect();
    assert_eq!(said.len(), 1, "it is said once: {said:?}");
    if let Some(bytes) = file {
        assert!(fs::read(&link).is_ok_and(|now| now == bytes), "it is left as it is");
    }
    (said[0].to_owned(), opened["stored"].clone())
}

#[test]
fn a_file_of_another_kind_is_left_alone() {
    let (said, stored) = said_of(Some(b"{\"ts\":\"2026-01-01T00:00:00.000Z\"}\n"), &[]);
    assert!(said.contains("is a file of another kind"), "{said}");
    assert_eq!(stored, false);
}

#[test]
fn a_damaged_file_is_left_as_it_is() {
    let directory = PrivateDirectory::new().unwrap();
    let file = directory.file("incidents.db");
    let mut proxy = Proxy::run_in(directory, &in_front_of_nobody(HISTORY));
    get(proxy.address(), "/", "");
    proxy.line("incident_opened");
    proxy.signal("TERM");
    proxy.line("stopped");
    let right = eventually("its end", || fs::read(&file).ok());
    let mut cut = right.clone();
    cut.truncate(5000);
    let mut zeros = right.clone();
    zeros[9..4096].fill(0);
    let mut noise = right;
    noise[4096..].iter_mut().enumerate().for_each(|(at, byte)| *byte ^= u8::try_from(at % 251).unwrap());
    for bytes in [cut, zeros, noise] {
        let (said, stored) = said_of(Some(&bytes), &[]);
        assert!(said.contains("is damaged") || said.contains("cannot be written"), "{said}");
        assert_eq!(stored, false);
    }
}

#[test]
fn a_disk_that_is_full_is_told_once() {
    // What the shell ignores, the program ignores too: writing beyond the limit is an error then, as on a disk that is full.
    let wrapper = ["sh", "-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"];
    let (said, stored) = said_of(None, &wrapper);
    assert!(said.contains("cannot be written"), "{said}");
    assert_eq!(stored, false);
}

#[test]
fn a_reload_moves_the_history() {
    let directory = PrivateDirectory::new().unwrap();
    let (first, second) = (directory.file("incidents.db"), directory.file("other.db"));
    let mut proxy = Proxy::run_in(directory, &in_front_of_nobody("[runtime]\nworkers = 2\n"));
    get(proxy.address(), "/", "");
    let opened = proxy.line("incident_opened");
    assert_eq!(opened["stored"], Value::Null, "no history is kept");
    let id = opened["incident"].as_str().unwrap();
    for tables in [HISTORY.to_owned(), HISTORY.replace("incidents.db", "other.db")] {
        fs::write(proxy.directory().join("why502.toml"), in_front_of_nobody(&tables)).unwrap();
        proxy.signal("HUP");
        assert_eq!(proxy.line("reloaded")["changed"], serde_json::json!(["[incidents]"]));
    }
    assert!(read(&first).contains_key(id), "it has what was known before");
    proxy.signal("TERM");
    proxy.line("stopped");
    assert!(read(&second).contains_key(id));
}
