//! `why502 report`: what it makes of a log that the real program wrote, whole, cut, wrapped and mixed.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;

use why502::demo::origin::PrivateDirectory;

use super::support::client::Client;
use super::support::eventually;
use super::support::origin::Origin;
use super::support::proxy::Ended;
use super::support::proxy::Program;
use super::support::proxy::in_front_of;
use super::support::proxy::why502;

/// The log of a program that answered once and failed three times, and the id of a request that failed.
fn log(directory: &PrivateDirectory) -> (String, String) {
    let (file, socket) = (directory.file("why502.log"), directory.file("why502.sock"));
    let origin = Origin::listen();
    let tables = "[log]\noutput = \"why502.log\"\n[[route]]\nhost = \"dead.example\"\nupstream = \"dead\"\n\
         [[upstream]]\nname = \"dead\"\nservers = [\"http://127.0.0.1:1\"]\n";
    let configuration =
        in_front_of(&[&origin.url], "", tables).replace("127.0.0.1:0", &format!("unix:{}", socket.display()));
    origin.greet("hello");
    let program = Program::run(&[], directory, &configuration);
    // The file is there a moment before anybody listens.
    eventually("the listener", || UnixStream::connect(&socket).ok());
    let ask = |host: &str| {
        let mut client = Client::connect_to_socket(&socket);
        client.send(format!("GET /cart?secret=1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        client.answer()
    };
    assert_eq!(ask("a").text(), "hello");
    let ids: Vec<String> = (0..3).map(|_| ask("dead.example").field("x-request-id").unwrap().to_owned()).collect();
    program.signal("TERM");
    assert_eq!(program.ended().status, Some(0));
    (fs::read_to_string(file).unwrap(), ids[1].clone())
}

fn report(directory: &PrivateDirectory, arguments: &[&str]) -> Ended {
    why502(&[&["report"], arguments].concat(), directory.path())
}

fn in_json(directory: &PrivateDirectory, arguments: &[&str]) -> Value {
    let ended = report(directory, &[arguments, &["--json"]].concat());
    assert_eq!((ended.status, &*ended.err), (Some(0), ""), "{arguments:?}");
    serde_json::from_str(&ended.out).unwrap()
}

/// What was counted, without what depends on the clock.
fn counts(report: &Value) -> Value {
    let kinds = report["failures"].as_array().unwrap().iter();
    let kinds: Vec<Value> =
        kinds.map(|kind| json!([kind["upstream"], kind["fault"], kind["cause"], kind["failures"]])).collect();
    let incidents = report["incidents"].as_array().unwrap().iter();
    let incidents: Vec<Value> = incidents.map(|one| json!([one["upstream"], one["cause"], one["count"]])).collect();
    json!([kinds, incidents, report["left_out"]])
}

#[test]
fn a_log_is_summed_up_however_it_has_come() {
    let directory = PrivateDirectory::new().unwrap();
    let (log, id) = log(&directory);
    let whole = in_json(&directory, &["why502.log"]);
    // Without probes it depends on the machine.
    let cause = &whole["failures"][0]["cause"];
    let expected = json!([[["dead", "connection_refused", cause, 3]], [["dead", cause, 3]], []]);
    assert_eq!(counts(&whole), expected);
    let upstreams: Vec<_> = whole["upstreams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|up| json!([up["upstream"], up["requests"], up["responses"]["5xx"]]))
        .collect();
    assert_eq!(upstreams, [json!(["dead", 3, 3]), json!(["app", 1, 0])]);
    assert_eq!(whole["lines"], log.lines().count());
    assert!(whole["checklist"][0]["step"].is_string() && whole["incidents"][0]["first_evidence"].is_string());

    let each = |form: &dyn Fn(&str) -> String| log.lines().map(form).collect::<String>();
    let sorted = |line: &str| serde_json::from_str::<Value>(line).unwrap().to_string();
    let forms = [
        ("journald", each(&|line| format!("Nov 26 10:00:00 host why502[7]: {line}\n"))),
        ("container", each(&|line| json!({ "log": format!("{line}\n"), "stream": "stdout" }).to_string() + "\n")),
        ("sorted", each(&|line| sorted(line) + "\n")),
        ("windows", each(&|line| format!("{line}\r\n"))),
        ("empty", each(&|line| format!("\n{line}\n\n"))),
    ];
    for (name, text) in forms {
        fs::write(directory.file(name), text).unwrap();
        assert_eq!(counts(&in_json(&directory, &[name])), expected, "{name}");
    }
    let middle = log.len() / 2;
    let (begin, end) = log.as_bytes().split_at(middle);
    fs::write(directory.file("cut"), [begin, b"\nListening\n", end].concat()).unwrap();
    let left_out = in_json(&directory, &["cut"])["left_out"].clone();
    let all: u64 = left_out.as_array().unwrap().iter().map(|row| row["count"].as_u64().unwrap()).sum();
    assert!((2..=3).contains(&all), "the two halves of one line, and one that is none: {left_out}");
    assert_eq!(left_out[0]["file"], "cut");

    let story = in_json(&directory, &["--request", &id, "why502.log"]);
    let events: Vec<&Value> = story["lines"].as_array().unwrap().iter().map(|line| &line["event"]).collect();
    assert_eq!(events, ["upstream_failure", "request"]);
    assert_eq!((&story["incident"]["upstream"], &story["request_id"]), (&json!("dead"), &json!(id)));
    let text = report(&directory, &["--request", &id, "why502.log"]).out;
    assert!(text.contains("connection_refused") && text.contains("What to do") && text.contains(&id), "{text}");
}

#[test]
fn the_report_fits_eighty_columns_and_has_no_colours_in_a_pipe() {
    let directory = PrivateDirectory::new().unwrap();
    log(&directory);
    let ended = report(&directory, &["why502.log"]);
    assert_eq!((ended.status, &*ended.err), (Some(0), ""));
    for part in ["Failed  3 of 4 requests (75.0 %)", "Timeline, ", "Incidents: 1", "What to do"] {
        assert!(ended.out.contains(part), "{part}: {}", ended.out);
    }
    for line in ended.out.lines().filter(|line| !line.trim_start().starts_with("$ ")) {
        assert!(line.chars().count() <= 80 && !line.contains('\x1b'), "{line:?}");
    }
}

#[test]
fn standard_input_is_a_log_too_and_time_and_upstream_choose_from_it() {
    let directory = PrivateDirectory::new().unwrap();
    let (log, _) = log(&directory);
    let piped = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_why502"));
        let command = command.arg("report").arg("--json").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(log.as_bytes()).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success());
        serde_json::from_slice::<Value>(&ended.stdout).unwrap()
    };
    for arguments in [&[][..], &["-"], &["--since", "1h"], &["--upstream", "dead"]] {
        assert_eq!(piped(arguments)["failures"][0]["failures"], 3, "{arguments:?}");
    }
    for arguments in [&["--until", "2020-01-01"][..], &["--upstream", "app"]] {
        assert_eq!(piped(arguments)["failures"], json!([]), "{arguments:?}");
    }
}

#[test]
fn what_cannot_be_read_ends_with_the_status_of_the_contract() {
    let directory = PrivateDirectory::new().unwrap();
    fs::write(directory.file("a.log"), "\n").unwrap();
    fs::write(directory.file("a.gz"), b"\x1f\x8b\x08\x00").unwrap();
    for (arguments, status, says) in [
        (&["absent.log", "a.gz"][..], 2, "absent.log: no such file"),
        (&["a.gz"], 2, "pipe it in: zcat a.gz | why502 report"),
        (&["."], 2, "this is a directory"),
        (&["a.log", "--since", "x"], 2, "--since: \"x\" is not a time"),
        (&["a.log", "--since", "1h", "--until", "2h"], 2, "write an earlier time"),
        (&["a.log", "--request", "A"], 1, "no request A in a.log"),
    ] {
        let ended = report(&directory, arguments);
        assert_eq!((ended.status, &*ended.out), (Some(status), ""), "{arguments:?}");
        assert!(ended.err.contains(says), "{arguments:?}: {}", ended.err);
    }
    assert_eq!(report(&directory, &["a.log"]).status, Some(0));
}
