//! Holds the room as a whole to what it promises, over real files and pipes.

use std::fs;
use std::io;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use serde_json::Value;

use super::Event;
use super::Request;
use super::Telemetry;
use super::samples;
use crate::config::Log;
use crate::config::LogFormat;
use crate::config::LogOutput;

#[test]
fn lines_of_every_core_reach_the_file() {
    let folder = Folder::new("cores");
    let telemetry = telemetry(folder.path("log"), Access::On);
    let (one, two) = (telemetry.core(), telemetry.core());
    std::thread::scope(|scope| {
        for core in [one, two] {
            scope.spawn(move || (0..1000).for_each(|_| core.record(samples::request())));
        }
    });
    telemetry.core().record(samples::notice());
    telemetry.stop(LONG);
    let totals = telemetry.totals();
    assert_eq!((totals.requests, totals.lines_written, totals.lines_dropped), (2000, 2001, 0));
    assert_eq!(events(&folder.path("log")).len(), 2001);
}

#[test]
fn a_failure_does_not_wait_for_the_tick() {
    let folder = Folder::new("failure");
    let telemetry = telemetry(folder.path("log"), Access::On);
    let core = telemetry.core();
    core.record(samples::request());
    core.record(samples::failure());
    core.record(samples::request());
    telemetry.stop(LONG);
    assert_eq!(events(&folder.path("log")), ["request", "upstream_failure"]);
}

#[test]
fn failures_in_a_storm_wait_for_the_tick_together() {
    let folder = Folder::new("storm");
    let telemetry = telemetry(folder.path("log"), Access::On);
    let core = telemetry.core();
    let start = UNIX_EPOCH + Duration::from_secs(1_709_209_681);
    for (event, millisecond) in
        [(samples::failure(), 0), (samples::failure(), 1), (samples::request(), 2), (samples::failure(), 3)]
    {
        core.record_at(event, start + Duration::from_millis(millisecond));
    }
    telemetry.stop(LONG);
    assert_eq!(events(&folder.path("log")), ["upstream_failure"]);

    let telemetry = self::telemetry(folder.path("next"), Access::On);
    let core = telemetry.core();
    for (event, millisecond) in [(samples::failure(), 0), (samples::failure(), 9), (samples::failure(), 19)] {
        core.record_at(event, start + Duration::from_millis(millisecond));
    }
    telemetry.stop(LONG);
    assert_eq!(events(&folder.path("next")).len(), 3);
}

#[test]
fn without_access_lines_requests_are_still_counted() {
    let folder = Folder::new("access");
    let telemetry = telemetry(folder.path("log"), Access::Off);
    let core = telemetry.core();
    core.record(samples::request());
    core.record(samples::failure());
    drop(core);
    telemetry.stop(LONG);
    assert_eq!((events(&folder.path("log")), telemetry.totals().requests), (vec!["upstream_failure".to_owned()], 1));
}

#[test]
fn a_renamed_file_is_left_for_a_new_one() {
    let folder = Folder::new("reopen");
    let telemetry = telemetry(folder.path("log"), Access::On);
    let core = telemetry.core();
    core.record(samples::failure());
    fs::rename(folder.path("log"), folder.path("log.1")).expect("the file is there");
    telemetry.reopen();
    core.record(samples::notice());
    telemetry.stop(LONG);
    assert_eq!(
        (events(&folder.path("log.1")), events(&folder.path("log"))),
        (vec!["upstream_failure".to_owned()], vec!["notice".to_owned()])
    );
}

#[test]
fn whoever_tells_goes_over_to_another_format_at_a_reload() {
    let folder = Folder::new("format");
    let telemetry = telemetry(folder.path("log"), Access::On);
    let (core, thread) = (telemetry.core(), telemetry.core());
    let json = settings(folder.path("log"), Access::On);
    let pretty = Log { format: LogFormat::Pretty, access: false, ..json.clone() };
    core.record(samples::request());
    let prepared = telemetry.prepare(&pretty, &json).expect("nothing is to be opened");
    telemetry.switch(prepared, || core.flush());
    thread.record(samples::notice());
    core.record(samples::request());
    drop((core, thread));
    telemetry.stop(LONG);
    let text = fs::read_to_string(folder.path("log")).expect("the log is there");
    assert_eq!(text.lines().map(|line| line.starts_with('{')).collect::<Vec<_>>(), [true, false], "{text}");
}

#[test]
fn threads_that_come_and_go_share_their_counters() {
    let folder = Folder::new("threads");
    let telemetry = telemetry(folder.path("log"), Access::On);
    for _ in 0..3 {
        telemetry.core().record(samples::request());
    }
    assert_eq!((telemetry.totals().requests, telemetry.cores.read(|_| ()).len()), (3, 1));
}

#[test]
fn a_file_is_appended_to_and_is_not_for_everybody() {
    let folder = Folder::new("append");
    for _ in 0..2 {
        let telemetry = telemetry(folder.path("log"), Access::On);
        telemetry.core().record(samples::notice());
        telemetry.stop(LONG);
    }
    let mode = fs::metadata(folder.path("log")).expect("the file is there").permissions().mode();
    assert_eq!((events(&folder.path("log")).len(), mode & 0o777 & !0o640), (2, 0));
}

#[test]
fn a_file_that_cannot_be_opened_stops_the_start() {
    let folder = Folder::new("start");
    let error =
        Telemetry::start(&settings(folder.path("missing/log"), Access::On)).expect_err("there is no such folder");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_full_disk_costs_lines_only_where_it_stays_full() {
    let folder = Folder::new("full");
    symlink("/dev/full", folder.path("log")).expect("a link can be made");
    let telemetry = telemetry(folder.path("log"), Access::On);
    let core = telemetry.core();
    core.record(samples::failure());
    fs::remove_file(folder.path("log")).expect("the link is there");
    telemetry.reopen();
    core.record(samples::notice());
    telemetry.stop(LONG);
    assert_eq!(events(&folder.path("log")), ["upstream_failure", "notice"]);

    let telemetry = Telemetry::start(&settings("/dev/full".into(), Access::On)).expect("it can be opened");
    telemetry.core().record(samples::failure());
    telemetry.stop(LONG);
    let totals = telemetry.totals();
    assert_eq!((totals.lines_written, totals.lines_dropped), (0, 1));
}

#[test]
fn a_closed_pipe_costs_lines_and_nothing_else() {
    let (reader, writer) = io::pipe().expect("a pipe can be made");
    let telemetry = telemetry(name_of(&writer), Access::On);
    drop((reader, writer));
    telemetry.core().record(samples::failure());
    telemetry.stop(LONG);
    let totals = telemetry.totals();
    assert_eq!((totals.lines_written, totals.lines_dropped), (0, 1));
}

#[test]
fn a_reader_that_sleeps_costs_lines_which_are_counted_and_said() {
    let (mut reader, writer) = io::pipe().expect("a pipe can be made");
    let telemetry = telemetry(name_of(&writer), Access::On);
    drop(writer);
    let core = telemetry.core();
    let path = [b'a'; 10_000];
    let Event::Request(request) = samples::request() else { panic!("the sample is a request") };
    for _ in 0..1000 {
        core.record(Event::Request(Request { path: &path, ..request }));
    }
    drop(core);
    let dropped = telemetry.totals().lines_dropped;
    assert!(dropped > 0);
    telemetry.stop(Duration::from_millis(1));
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("the pipe can be read");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let (notices, requests): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["event"] == "notice");
    assert_eq!(requests.len() as u64 + dropped, 1000);
    assert_eq!(notices.iter().map(|notice| notice["dropped"].as_u64()).collect::<Vec<_>>(), [Some(dropped)]);
}

/// Long enough for what takes no time at all.
const LONG: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
enum Access {
    On,
    Off,
}

fn telemetry(path: PathBuf, access: Access) -> Telemetry {
    Telemetry::start(&settings(path, access)).expect("the log can be opened")
}

fn settings(path: PathBuf, access: Access) -> Log {
    Log { format: LogFormat::Json, output: LogOutput::File(path), access: matches!(access, Access::On) }
}

/// A name under which the pipe's end can be opened as a file.
fn name_of(writer: &io::PipeWriter) -> PathBuf {
    format!("/proc/self/fd/{}", writer.as_raw_fd()).into()
}

/// The event of each line of a file, all of which are JSON.
fn events(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("the log is there");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    lines.map(|line| line["event"].as_str().expect("an event has a name").to_owned()).collect()
}

/// A folder of a test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("why502-telemetry-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder can be made");
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}
