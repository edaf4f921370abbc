//! Owns the program under test: its file, which changes, its reloads, its take-overs, and what it needs.

use std::fs;
use std::fs::File;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use crate::content;
use crate::plan::Plan;
use crate::tally::Life;
use crate::tally::Needs;
use crate::tally::Tally;
use crate::trouble::free_port;
use crate::trouble::signal;
use crate::wire::Wire;

/// The program, whichever process it is at the moment.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    directory: PathBuf,
    servers: Vec<u16>,
    /// A second port, which some of the files listen on.
    other: u16,
    /// The first process; others are not our children.
    child: Child,
    /// The number of the file that is in force.
    generation: u64,
    life: Life,
}

impl Proxy {
    pub(crate) fn start(directory: &Path, servers: &[u16]) -> Self {
        let (port, other) = (free_port(), free_port());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let file = directory.join("why502.toml");
        fs::write(&file, configuration(0, port, other, servers)).expect("a file can be written");
        let errors = File::create(directory.join("errors.log")).expect("a file can be written");
        let child = Command::new(env!("CARGO_BIN_EXE_why502"))
            .args(["run", "--config"])
            .arg(&file)
            .arg("--pid-file")
            .arg(directory.join("why502.pid"))
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("the program can be started");
        let servers = servers.to_vec();
        let directory = directory.to_owned();
        let mut proxy = Self { address, directory, servers, other, child, generation: 0, life: Life::default() };
        assert!(proxy.serves_by(0), "it does not serve: {}", proxy.complaints());
        proxy.life.begin = proxy.needs();
        proxy
    }

    /// Has it read files and be taken over until the time is over.
    pub(crate) fn see_through(&mut self, plan: &Plan, end: Instant, tally: &Tally) {
        let mut rounds = 0_u64;
        let mut next_reload = Instant::now() + plan.reload_every;
        let mut next_take_over = Instant::now() + plan.take_over_every;
        content::rest(Duration::from_secs(2).min(plan.time / 4));
        self.life.warm = self.needs();
        while Instant::now() < end {
            content::rest(Duration::from_millis(200));
            let needs = self.needs();
            let peak = &mut self.life.peak;
            peak.resident_kib = peak.resident_kib.max(needs.resident_kib);
            peak.descriptors = peak.descriptors.max(needs.descriptors);
            let now = Instant::now();
            if now >= next_take_over {
                next_take_over += plan.take_over_every;
                self.take_over(tally);
            } else if now >= next_reload {
                next_reload += plan.reload_every;
                rounds += 1;
                // Every fourth file is wrong, and changes nothing.
                if rounds.is_multiple_of(4) {
                    self.reload_wrongly(tally);
                } else {
                    self.reload(self.generation + 1, tally);
                }
            }
        }
    }

    fn reload(&mut self, generation: u64, tally: &Tally) {
        self.generation = generation;
        self.write(&configuration(generation, self.address.port(), self.other, &self.servers));
        signal("HUP", self.process());
        if self.serves_by(generation) {
            tally.reloaded();
        } else {
            tally.mishap(format!("file {generation} has no effect: {}", self.complaints()));
        }
    }

    fn reload_wrongly(&self, tally: &Tally) {
        let generation = self.generation;
        let right = configuration(generation, self.address.port(), self.other, &self.servers);
        let wrong = configuration(generation + 1000, self.address.port(), self.other, &self.servers);
        let before = self.refusals();
        self.write(&format!("{wrong}\n[[route]]\nhost = \"a\"\nupstream = \"nobody\"\n"));
        signal("HUP", self.process());
        let begun = Instant::now();
        while self.refusals() == before && begun.elapsed() < PATIENCE {
            content::rest(Duration::from_millis(50));
        }
        if self.refusals() > before && self.serves_by(generation) {
            tally.refused_a_file();
        } else {
            tally.mishap(format!("a wrong file was not refused: {}", self.complaints()));
        }
        self.write(&right);
    }

    fn take_over(&self, tally: &Tally) {
        let before = self.process();
        signal("USR2", before);
        let begun = Instant::now();
        while self.process() == before && begun.elapsed() < PATIENCE {
            content::rest(Duration::from_millis(50));
        }
        if self.process() == before {
            tally.mishap(format!("nobody took over: {}", self.complaints()));
            return;
        }
        tally.taken_over();
        while is_there(before) && begun.elapsed() < SHUTDOWN + PATIENCE {
            content::rest(Duration::from_millis(50));
        }
        if is_there(before) {
            tally.mishap("the process that was taken over from does not end".to_owned());
        }
    }

    /// Ends it, when all clients have gone.
    pub(crate) fn stop(mut self, tally: &Tally) -> Life {
        // What is needed at the end is comparable with the beginning where the file is like the first one.
        self.reload(self.generation.next_multiple_of(LIKE_THE_FIRST), tally);
        // Connections of clients that have gone, and rounds of checks, have a moment to end.
        let begun = Instant::now();
        while self.needs().descriptors > self.life.begin.descriptors && begun.elapsed() < PATIENCE {
            content::rest(Duration::from_millis(100));
        }
        self.life.end = self.needs();
        let process = self.process();
        signal("TERM", process);
        let begun = Instant::now();
        while is_there(process) && begun.elapsed() < SHUTDOWN + PATIENCE {
            content::rest(Duration::from_millis(50));
        }
        self.life.exited_well = !is_there(process);
        let complaints = self.complaints();
        if !complaints.is_empty() {
            tally.mishap(format!("it complained: {complaints}"));
        }
        std::mem::take(&mut self.life)
    }

    fn process(&self) -> u32 {
        let text = fs::read_to_string(self.directory.join("why502.pid")).unwrap_or_default();
        text.trim().parse().unwrap_or_else(|_| self.child.id())
    }

    fn write(&self, text: &str) {
        fs::write(self.directory.join("why502.toml"), text).expect("a file can be written");
    }

    /// Whether an answer shows that this file is in force; waits for that.
    fn serves_by(&self, generation: u64) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.generation() == Some(generation) {
                return true;
            }
            content::rest(Duration::from_millis(50));
        }
        false
    }

    fn generation(&self) -> Option<u64> {
        let stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut wire = Wire::new(stream).ok()?;
        let request = "GET /1/1/l HTTP/1.1\r\nHost: chaos\r\nX-Chaos-Id: probe\r\nConnection: close\r\n\r\n";
        wire.send(request.as_bytes()).ok()?;
        wire.head().ok()??.field("x-generation")?.parse().ok()
    }

    fn refusals(&self) -> usize {
        let log = fs::read_to_string(self.directory.join("why502.log")).unwrap_or_default();
        log.matches("\"event\":\"reload_refused\"").count()
    }

    fn needs(&self) -> Needs {
        let process = self.process();
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let resident =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count);
        Needs { resident_kib: resident.unwrap_or(0), descriptors }
    }

    /// What it has written to standard error.
    fn complaints(&self) -> String {
        fs::read_to_string(self.directory.join("errors.log")).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let process = self.process();
        if process != self.child.id() && is_there(process) {
            signal("KILL", process);
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whether the process has not ended yet; one that has ended and was not waited for has.
fn is_there(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// A file like no other: other servers first, another way to balance, with checks and without, with another listener and without.
fn configuration(generation: u64, port: u16, other: u16, servers: &[u16]) -> String {
    let mut servers: Vec<_> = servers.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    // Two files in a row have the same upstream, which keeps its connections then.
    let turn = usize::try_from(generation / 2).unwrap_or(0);
    servers.rotate_left(turn % 3);
    let balance = ["least_requests", "round_robin", "random"][turn % 3];
    let listener =
        if generation % 4 == 1 { format!("[[listener]]\naddress = \"127.0.0.1:{other}\"\n") } else { String::new() };
    let health = if turn % 4 == 1 {
        "[upstream.health]\npath = \"/1/1/l\"\ninterval = \"1s\"\ntimeout = \"500ms\"\n"
    } else {
        ""
    };
    format!(
        r#"shutdown_timeout = "{shutdown}s"

[[listener]]
address = "127.0.0.1:{port}"

{listener}
[[route]]
upstream = "app"
response_headers = {{ X-Generation = "{generation}" }}

[[upstream]]
name = "app"
servers = {servers:?}
balance = "{balance}"

[upstream.timeouts]
connect = "1s"
send = "2s"
response = "2s"
body = "5s"

[upstream.retry]
attempts = 6
budget = 100.0

[upstream.pool]
idle_timeout = "5s"

{health}
[operators]
networks = ["127.0.0.1"]

[log]
output = "why502.log"
access = false
"#,
        shutdown = SHUTDOWN.as_secs(),
    )
}

/// Every so many files there is one that asks for the same as the first.
const LIKE_THE_FIRST: u64 = 24;
/// How long requests in flight may take when a process ends.
const SHUTDOWN: Duration = Duration::from_secs(20);
/// How long it may take to do as it is told.
const PATIENCE: Duration = Duration::from_secs(15);
