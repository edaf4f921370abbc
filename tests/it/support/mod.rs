//! Owns what the integration tests stand on: the program, a client that sends any bytes, certificates.

pub(crate) mod certs;
pub(crate) mod client;
pub(crate) mod proxy;

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// How long a test waits for what should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Whether a test can be made here; where not, says why in a line.
pub(crate) fn can(test: &str, needs: Needs) -> bool {
    let missing = match needs {
        Needs::Program(name) => (!is_installed(name)).then(|| format!("{name} is not installed")),
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
    /// Not to be root.
    NoRoot,
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
