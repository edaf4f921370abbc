//! Owns what is asked for on the command line.

use std::path::PathBuf;
use std::time::Duration;

/// How it is to be done.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) time: Duration,
    pub(crate) clients: u64,
    pub(crate) reload_every: Duration,
    pub(crate) take_over_every: Duration,
    pub(crate) seed: u64,
}

/// What this process is.
pub(crate) enum Task {
    /// The one who makes the chaos.
    Chaos(Plan),
    /// One of the origins.
    Origin { port: u16, ledger: PathBuf },
    /// Not meant: `cargo test NAME` is for other tests.
    Nothing,
}

impl Plan {
    /// Options that are not known are `cargo test`'s, for other tests.
    pub(crate) fn read(arguments: &[String]) -> Task {
        if let [word, port, ledger] = arguments
            && word == "origin"
        {
            return Task::Origin { port: port.parse().expect("a port is a number"), ledger: ledger.into() };
        }
        let names = arguments.iter().enumerate().filter(|(at, word)| {
            let is_value = *at > 0 && arguments[at - 1].starts_with("--") && !arguments[at - 1].contains('=');
            !word.starts_with('-') && !is_value
        });
        if names.clone().next().is_some() && !names.clone().any(|(_, name)| "chaos".contains(name.as_str()))
            || arguments.iter().any(|word| word == "--list")
        {
            return Task::Nothing;
        }
        let number = |name: &str, usual: u64| {
            let at = arguments.iter().position(|word| word == name);
            at.and_then(|at| arguments.get(at + 1)).map_or(usual, |value| value.parse().expect("a number"))
        };
        Task::Chaos(Self {
            time: Duration::from_secs(number("--seconds", 20)),
            clients: number("--clients", 40),
            reload_every: Duration::from_secs(number("--reload-every", 2)),
            take_over_every: Duration::from_secs(number("--take-over-every", 8)),
            seed: number("--seed", 502),
        })
    }
}
