//! Owns the origins' troubles: which of them is killed, stopped, slowed or started again, and when. One is well at any time.

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use crate::content;

/// The three of them.
pub(crate) struct Origins(Vec<Mutex<Origin>>);

struct Origin {
    port: u16,
    ledger: PathBuf,
    process: Child,
}

/// What befalls an origin, and for how long.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// It is gone at once, with all that it was doing.
    Killed,
    /// It does nothing, and its connections stay.
    Stopped,
    /// Each answer takes so many milliseconds.
    Slowed(u64),
    /// It is gone and there again.
    Restarted,
}

impl Origins {
    pub(crate) fn start(directory: &Path) -> Self {
        let start = |number| {
            let (port, ledger) = (free_port(), directory.join(format!("origin-{number}.ids")));
            let process = Origin::spawn(port, &ledger);
            Mutex::new(Origin { port, ledger, process })
        };
        Self((0..3).map(start).collect())
    }

    pub(crate) fn ports(&self) -> Vec<u16> {
        self.0.iter().map(|origin| origin.lock().expect("nobody panics with it").port).collect()
    }

    /// The ids of the POSTs that each has had.
    pub(crate) fn ledgers(&self) -> Vec<Vec<String>> {
        let read = |origin: &Mutex<Origin>| {
            let text = fs::read_to_string(&origin.lock().expect("nobody panics with it").ledger);
            text.unwrap_or_default().lines().map(str::to_owned).collect()
        };
        self.0.iter().map(read).collect()
    }

    /// Makes trouble until the time is over, and leaves all of them well.
    pub(crate) fn trouble(&self, seed: u64, end: Instant) {
        let mut random = fastrand::Rng::with_seed(seed);
        while Instant::now() < end {
            content::rest(Duration::from_millis(random.u64(200..1_500)));
            let first = random.usize(..3);
            let (trouble, time) = Trouble::any(&mut random);
            self.befalls(first, trouble);
            // Sometimes another has a trouble of its own meanwhile; the third is well.
            if random.u8(..) < 80 {
                content::rest(time / 3);
                let second = (first + random.usize(1..3)) % 3;
                let (other, _) = Trouble::any(&mut random);
                self.befalls(second, other);
                content::rest(time / 3);
                self.ends(second, other);
                content::rest(time / 3);
            } else {
                content::rest(time);
            }
            self.ends(first, trouble);
        }
    }

    fn befalls(&self, number: usize, trouble: Trouble) {
        let mut origin = self.0[number].lock().expect("nobody panics with it");
        match trouble {
            Trouble::Killed => origin.kill(),
            Trouble::Stopped => signal("STOP", origin.process.id()),
            Trouble::Slowed(milliseconds) => origin.tell(milliseconds),
            Trouble::Restarted => {
                origin.kill();
                origin.start();
            }
        }
    }

    fn ends(&self, number: usize, trouble: Trouble) {
        let mut origin = self.0[number].lock().expect("nobody panics with it");
        match trouble {
            Trouble::Killed => origin.start(),
            Trouble::Stopped => signal("CONT", origin.process.id()),
            Trouble::Slowed(_) => origin.tell(0),
            Trouble::Restarted => {}
        }
    }
}

impl Trouble {
    fn any(random: &mut fastrand::Rng) -> (Self, Duration) {
        let trouble = match random.u8(..4) {
            0 => Self::Killed,
            1 => Self::Stopped,
            2 => Self::Slowed(random.u64(10..500)),
            _ => Self::Restarted,
        };
        (trouble, Duration::from_millis(random.u64(300..4_000)))
    }
}

impl Origin {
    fn spawn(port: u16, ledger: &Path) -> Child {
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        command.arg("origin").arg(port.to_string()).arg(ledger).stdin(Stdio::piped());
        let process = command.spawn().expect("this program can be started");
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the origin does not listen on port {port}");
            content::rest(Duration::from_millis(10));
        }
        process
    }

    fn start(&mut self) {
        self.process = Self::spawn(self.port, &self.ledger);
    }

    fn kill(&mut self) {
        self.process.kill().expect("it has not been waited for");
        self.process.wait().expect("it has not been waited for");
    }

    fn tell(&mut self, milliseconds: u64) {
        let input = self.process.stdin.as_mut().expect("it was piped");
        input.write_all(format!("{milliseconds}\n").as_bytes()).expect("it reads");
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A port that no outgoing connection is given, so that it is still free when an origin is started again.
pub(crate) fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| fastrand::u16(15_000..30_000));
    ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).expect("there are always more")
}

pub(crate) fn signal(name: &str, process: u32) {
    let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &process.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "SIG{name} could not be sent");
}
