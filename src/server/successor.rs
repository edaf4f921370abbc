//! Owns the process that is to take this one's place: started as this one was, with its listening sockets, and heard until it
//! serves or has failed.

use std::env;
use std::fmt::Write as _;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::process::Command;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use socket2::SockRef;
use tokio::net::UnixStream;
use tokio::time::Instant;
use tokio::time::sleep;
use tokio::time::sleep_until;

use crate::server::inheritance::FAILED;
use crate::server::inheritance::Passed;
use crate::server::inheritance::SERVES;
use crate::server::inheritance::TAKE_OVER;
use crate::server::listening::Listening;

/// A process that is being started.
#[derive(Debug)]
pub(super) struct Successor {
    child: Child,
    channel: UnixStream,
    heard: String,
    deadline: Instant,
}

/// What becomes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It serves, and goes on with the listeners of these numbers.
    Serves(Vec<u64>),
    /// It does not, and why.
    Failed(String),
}

impl Successor {
    /// Starts it: the same program, by the name under which it was started, so that another that was put in its place is the one that
    /// runs now. To be called inside the runtime in which it is listened to.
    pub(super) fn start<'a>(open: impl Iterator<Item = &'a Listening>) -> io::Result<Self> {
        let (own, channel) = std::os::unix::net::UnixStream::pair()?;
        let mut words = channel.as_raw_fd().to_string();
        let mut passed = vec![OwnedFd::from(channel)];
        for listening in open {
            for socket in listening.sockets() {
                let copy = socket.as_fd().try_clone_to_owned()?;
                let line = Passed {
                    descriptor: copy.as_raw_fd(),
                    number: listening.number,
                    by_systemd: listening.is_elsewhere(),
                    configured: listening.configured.clone(),
                };
                write!(words, "\n{line}").map_err(io::Error::other)?;
                passed.push(copy);
            }
        }
        for descriptor in &passed {
            SockRef::from(descriptor).set_cloexec(false)?;
        }
        let mut arguments = env::args_os();
        let program = arguments.next().ok_or(io::ErrorKind::NotFound)?;
        let mut command = Command::new(program);
        command.args(arguments).env(TAKE_OVER, words);
        for old in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            command.env_remove(old);
        }
        let child = command.spawn()?;
        drop(passed);
        own.set_nonblocking(true)?;
        let channel = UnixStream::from_std(own)?;
        Ok(Self { child, channel, heard: String::new(), deadline: Instant::now() + PATIENCE })
    }

    /// The number of its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for what becomes of it. Nothing is lost where the wait is broken off and begun anew.
    pub(super) async fn word(&mut self) -> Word {
        loop {
            if let Some(numbers) = serves(&self.heard) {
                return Word::Serves(numbers);
            }
            let mut buffer = [0; 1024];
            let read = tokio::select! {
                ready = self.channel.readable() => ready.and_then(|()| self.channel.try_read(&mut buffer)),
                () = sleep_until(self.deadline) => {
                    self.end().await;
                    return Word::Failed(format!("it did not serve within {} s", PATIENCE.as_secs()));
                }
            };
            match read {
                Ok(length @ 1..) => {
                    self.heard.push_str(&String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return Word::Failed(self.why().await),
            }
        }
    }

    /// It has closed its end without serving.
    async fn why(&mut self) -> String {
        let status = self.end().await;
        let reasons: Vec<&str> = self.heard.lines().filter_map(|line| line.strip_prefix(FAILED)).collect();
        match status {
            _ if !reasons.is_empty() => reasons.join("; "),
            Some(status) => format!("it ended with {status}"),
            None => "it ended".to_owned(),
        }
    }

    /// Waits for its end, and sees to it where it does not come.
    async fn end(&mut self) -> Option<std::process::ExitStatus> {
        for _ in 0..LOOKS {
            match self.child.try_wait() {
                Ok(None) => sleep(LOOK).await,
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
        self.child.kill().ok();
        self.child.wait().ok()
    }

    /// It is not to take over after all, for this program is to end.
    pub(super) fn call_off(self) {
        self.signal(Signal::TERM);
    }

    /// Has it read its files again.
    pub(super) fn reload(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(id, signal).ok();
        }
    }
}

/// The numbers in `serves 1 2 3`, where the line is whole.
fn serves(heard: &str) -> Option<Vec<u64>> {
    let line = heard.split_inclusive('\n').find(|line| line.ends_with('\n') && line.starts_with(SERVES))?;
    Some(line.split_whitespace().skip(1).filter_map(|number| number.parse().ok()).collect())
}

/// How long it may take to start: it reads files, looks names up and binds.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often, and how many times, its end is looked for.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: u32 = 50;

#[cfg(test)]
mod tests {
    use super::serves;

    #[test]
    fn only_a_whole_line_says_that_it_serves() {
        assert_eq!(serves("serves 1 22"), None);
        assert_eq!(serves("serves 1 22\n"), Some(vec![1, 22]));
        assert_eq!(serves("serves\n"), Some(vec![]));
        assert_eq!(serves("failed: no\n"), None);
    }
}
