//! Owns what the integration tests stand on: the program, a client that sends any bytes, an origin that is played by hand,
//! the demo's origins, a name server, certificates.

pub(crate) mod certs;
pub(crate) mod client;
pub(crate) mod crowd;
pub(crate) mod h2;
pub(crate) mod http2;
pub(crate) mod museum;
pub(crate) mod names;
pub(crate) mod origin;
pub(crate) mod proxy;
pub(crate) mod schema;
pub(crate) mod tls;
pub(crate) mod wire;
pub(crate) mod world;

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// How long a test waits for what should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Whether a test can be made here; where not, says why in a line.
pub(crate) fn can(test: &str, needs: Needs) -> bool {
    let missing = match needs {
        Needs::Program(name) => (!is_installed(name)).then(|| format!("{name} is not installed")),
        Needs::Command(words) => (!succeeds(words)).then(|| format!("`{}` does not work here", words.join(" "))),
        Needs::NoRoot => is_root().then(|| "root may do what it is about".to_owned()),
    };
    if let Some(missing) = &missing {
        eprintln!("skipped: {test}: {missing}");
    }
    missing.is_none()
}

/// What not every machine gives a test.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Needs {
    /// This program, in the path.
    Program(&'static str),
    /// This command, to succeed.
    Command(&'static [&'static str]),
    /// Not to be root.
    NoRoot,
}

/// What comes of looking again and again, for what nothing tells of.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begin.elapsed() < PATIENCE, "{what} has not come in {PATIENCE:?}");
        thread::park_timeout(Duration::from_millis(10));
    }
}

fn succeeds(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    let command = command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
