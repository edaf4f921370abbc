//! Owns the program under test: started as a person starts it, watched by what it writes, ended with the test.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;

use serde_json::Value;

use why502::demo::origin::PrivateDirectory;

use super::PATIENCE;

/// A why502 that serves. It ends with the test at the latest.
#[derive(Debug)]
pub(crate) struct Proxy {
    program: Program,
    /// Where it listens, as its `started` line says.
    listeners: Vec<String>,
    /// Where operators look at it, where they may.
    admin: Option<String>,
    /// Every line of the log that was read so far.
    log: Vec<Value>,
    directory: PrivateDirectory,
}

impl Proxy {
    /// Runs with this configuration, and serves when this returns. Its listeners had best be on port 0; the log has to go
    /// to standard output, as JSON.
    pub(crate) fn run(configuration: &str) -> Self {
        Self::run_in(PrivateDirectory::new().expect("a directory can be made"), configuration)
    }

    /// The same in a directory with files that the configuration names.
    pub(crate) fn run_in(directory: PrivateDirectory, configuration: &str) -> Self {
        Self::run_under(&[], directory, configuration)
    }

    /// The same, started by another command: the program with its arguments follows those words.
    pub(crate) fn run_under(wrapper: &[&str], directory: PrivateDirectory, configuration: &str) -> Self {
        let program = Program::run(wrapper, &directory, configuration);
        let mut proxy = Self { program, listeners: Vec::new(), admin: None, log: Vec::new(), directory };
        let started = proxy.line("started");
        let listeners = started["listeners"].as_array().expect("a started line names its listeners");
        proxy.listeners = listeners.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        proxy.admin = started["admin"].as_str().map(str::to_owned);
        proxy
    }

    /// Where its first listener listens, which has to be on TCP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listeners[0].parse().expect("the first listener is on TCP")
    }

    /// Where operators look at it, which has to be on TCP.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin.as_ref().and_then(|admin| admin.parse().ok()).expect("it has an admin listener on TCP")
    }

    /// The same for the next, when it has ended.
    pub(crate) fn into_directory(self) -> PrivateDirectory {
        self.directory
    }

    /// The last line of that event that was passed over.
    pub(crate) fn heard(&self, event: &str) -> Option<Value> {
        self.log.iter().rfind(|line| line["event"] == event).cloned()
    }

    /// Its directory, with its configuration in `why502.toml`.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The next line of the log that is this event. Others are passed over.
    pub(crate) fn line(&mut self, event: &str) -> Value {
        loop {
            let line = self.next_line(event);
            if line["event"] == event {
                return line;
            }
        }
    }

    /// The lines up to and with the next one of a request, which ends whatever is told of it.
    pub(crate) fn lines_of_a_request(&mut self) -> Vec<Value> {
        let mut lines = Vec::new();
        loop {
            lines.push(self.next_line("request"));
            if lines.iter().any(|line| line["event"] == "request") {
                return lines;
            }
        }
    }

    /// The next line of the log, whatever it is, where that one is waited for.
    pub(crate) fn next_line(&mut self, wanted: &str) -> Value {
        let Some(line) = self.program.line() else {
            let events: Vec<_> = self.log.iter().map(|line| format!("{} {}", line["event"], line["path"])).collect();
            panic!("no `{wanted}` line came after {events:#?}; it said:\n{}", self.program.complaints());
        };
        let line: Value = serde_json::from_str(&line).expect("a line of the log is JSON");
        self.log.push(line.clone());
        line
    }

    /// The most memory that it has had resident so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.memory_by("VmHWM:")
    }

    /// The memory that it has resident now, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.memory_by("VmRSS:")
    }

    fn memory_by(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("the kernel tells of a program that runs");
        let size = status.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_suffix(" kB")?.parse().ok());
        size.map(|size: u64| size * 1024).expect("it tells of its memory")
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.id()));
        open.expect("the kernel tells of a program that runs").count()
    }

    /// Closes the far end of its standard output, so that it cannot log any more.
    pub(crate) fn stop_listening(&mut self) {
        self.program.out = mpsc::channel().1;
    }

    /// The next line that it has written to standard error, if there is one by now.
    pub(crate) fn has_complained(&self) -> Option<String> {
        self.program.err.try_recv().ok()
    }

    /// The number of its process: of the latest that serves, where one has taken over from another.
    pub(crate) fn id(&self) -> u32 {
        self.program.id()
    }

    /// Has another process take over, and waits until the one before has ended; what that one said last.
    pub(crate) fn take_over(&mut self) -> Value {
        self.signal("USR2");
        self.heir()
    }

    /// Waits until another process has taken over and the one before has ended; what that one said last.
    pub(crate) fn heir(&mut self) -> Value {
        let stopped = self.line("stopped");
        let reason = stopped["reason"].as_str().unwrap_or_default();
        let process = reason.strip_prefix("process ").and_then(|rest| rest.split(' ').next()?.parse().ok());
        self.program.successor = Some(process.unwrap_or_else(|| panic!("nobody has taken over: {reason}")));
        stopped
    }

    /// Sends it a signal: `TERM`, `INT`, `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        self.program.signal(name);
    }

    /// Ends it by SIGTERM; answers how it ended and every line of its log.
    pub(crate) fn stop(self) -> (Ended, Vec<Value>) {
        self.program.signal("TERM");
        self.ended()
    }

    /// Waits until it has ended after a signal; answers the same.
    pub(crate) fn ended(self) -> (Ended, Vec<Value>) {
        let Self { program, mut log, .. } = self;
        let ended = program.ended();
        log.extend(
            ended.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of the log is JSON")),
        );
        (ended, log)
    }
}

/// How the program ended, and what it wrote that had not been read yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The exit status; none where a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the program with these arguments until it ends.
pub(crate) fn why502(arguments: &[&str], directory: &Path) -> Ended {
    Program::start(&[], arguments, directory).ended()
}

/// A configuration with one upstream, these servers in it, more lines for it, and more tables before it.
///
/// Without a `[diagnosis]` among them nothing is probed, so that an origin sees what the test makes the proxy do and no more.
pub(crate) fn in_front_of(servers: &[&str], upstream: &str, tables: &str) -> String {
    let diagnosis = if tables.contains("[diagnosis]") { "" } else { "[diagnosis]\nprobes = false\n" };
    format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\n{tables}\n{diagnosis}\n[[route]]\nupstream = \"app\"\n\n\
         [[upstream]]\nname = \"app\"\nservers = {servers:?}\n{upstream}\n"
    )
}

/// A started program, both of whose outputs are read line by line.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    /// The process that has taken over from it.
    successor: Option<u32>,
    out: Receiver<String>,
    err: Receiver<String>,
}

impl Program {
    /// Runs with this configuration, which is written to `why502.toml`. Nobody waits for it to serve.
    pub(crate) fn run(wrapper: &[&str], directory: &PrivateDirectory, configuration: &str) -> Self {
        let file = directory.file("why502.toml");
        fs::write(&file, configuration).expect("a file can be written");
        Self::start(wrapper, &["run", "--config", &file.to_string_lossy()], directory.path())
    }

    /// Runs with these arguments.
    pub(crate) fn start(wrapper: &[&str], arguments: &[&str], directory: &Path) -> Self {
        let words: Vec<&str> = wrapper.iter().copied().chain([env!("CARGO_BIN_EXE_why502")]).collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(arguments).current_dir(directory).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        let out = lines(child.stdout.take().expect("it was piped"));
        let err = lines(child.stderr.take().expect("it was piped"));
        Self { child, successor: None, out, err }
    }

    fn id(&self) -> u32 {
        self.successor.unwrap_or_else(|| self.child.id())
    }

    /// The next line that it writes to standard output; none where none comes.
    pub(crate) fn line(&self) -> Option<String> {
        self.out.recv_timeout(PATIENCE).ok()
    }

    /// The next line that it writes to standard error; none where none comes.
    pub(crate) fn complaint(&self) -> Option<String> {
        self.err.recv_timeout(PATIENCE).ok()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} could not be sent");
    }

    /// Waits until it ends.
    pub(crate) fn ended(mut self) -> Ended {
        let (out, err) = (rest(&self.out), rest(&self.err));
        let status = self.child.wait().expect("it has not been waited for").code();
        Ended { status, out, err }
    }

    /// Ends it at once; answers what it wrote to standard error.
    fn complaints(&mut self) -> String {
        self.child.kill().ok();
        rest(&self.err)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that was about to take over must not outlive the test either.
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.child.id())).unwrap_or_default();
        let heirs = children.split_whitespace().map(str::to_owned).chain(self.successor.map(|id| id.to_string()));
        for heir in heirs {
            Command::new("sh").args(["-c", "kill -s KILL \"$0\"", &heir]).stderr(Stdio::null()).status().ok();
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
    });
    receiver
}

/// Every line until the output is closed.
fn rest(output: &Receiver<String>) -> String {
    let mut text = String::new();
    loop {
        match output.recv_timeout(PATIENCE) {
            Ok(line) => text.extend([&*line, "\n"]),
            Err(RecvTimeoutError::Disconnected) => return text,
            Err(RecvTimeoutError::Timeout) => panic!("it has not ended after {PATIENCE:?}; it wrote:\n{text}"),
        }
    }
}
