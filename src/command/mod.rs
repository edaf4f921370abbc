//! Owns the command line: its grammar, its help, and the exit status in which each command ends.
//!
//! What a command does is in the file of its name. `sources` is what several of them read, `console` where they speak, `sheet`
//! how that looks.

mod check;
mod console;
mod demo;
mod diagnose;
mod pid_file;
mod report;
mod run;
mod sheet;
mod sources;

use std::env;
use std::io;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use tracing_subscriber::EnvFilter;

use self::console::Console;
use self::sheet::Look;

/// A reverse proxy that tells people why they got a 502.
#[derive(Debug, Parser, PartialEq, Eq)]
#[command(name = "why502", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand, PartialEq, Eq)]
enum Command {
    /// Run the proxy
    #[command(override_usage = run::USAGE, after_help = run::HELP)]
    Run(RunArguments),
    /// Say all that is wrong in a configuration file, and start nothing
    #[command(after_help = check::HELP)]
    Check(CheckArguments),
    /// Send one request to an origin, and say why it fails
    #[command(after_help = diagnose::HELP)]
    Diagnose(DiagnoseArguments),
    /// Sum up a log: what failed, when, why, and what to do
    #[command(after_help = report::HELP)]
    Report(ReportArguments),
    /// Show every failure on this machine, with nothing installed
    #[command(after_help = demo::HELP)]
    Demo(DemoArguments),
}

#[derive(Debug, Args, PartialEq, Eq)]
struct RunArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    config: Option<PathBuf>,
    /// Run without a file, in front of this one origin
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Where to listen, with --to
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_ADDRESS, requires = "to", conflicts_with = "config")]
    listen: String,
    /// Write the number of the process that serves here
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
}

#[derive(Debug, Args, PartialEq, Eq)]
struct CheckArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args, PartialEq, Eq)]
struct DiagnoseArguments {
    /// Where the origin is, and the path that is asked for
    #[arg(value_name = "URL")]
    url: String,
    /// The host that is asked for, where it is not the URL's
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// The configuration that has this server or this host
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The operator's answer in JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args, PartialEq, Eq, Default)]
struct ReportArguments {
    /// Logs in JSON; standard input for - or where none is named
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only what happened from then on: 2h, 2026-11-26, …
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what happened before then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only what this upstream did
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// The whole story of one request instead
    #[arg(long, value_name = "ID", conflicts_with_all = ["since", "until", "upstream"])]
    request: Option<String>,
    /// In JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args, PartialEq, Eq)]
struct DemoArguments {
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_ADDRESS)]
    listen: String,
}

/// How a command ended (contract, section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// It did what it was asked for.
    Done,
    /// Something went wrong on the way.
    Failed,
    /// The command line or the configuration is wrong, or it could not be started as it stands; nothing runs.
    Wrong,
}

impl CommandLine {
    /// Runs the command until it has ended. It speaks to standard output and standard error.
    #[must_use]
    pub fn run(self) -> ExitCode {
        show_spans();
        // Neither is locked for long: the log and the developers' spans go there too, from threads of their own.
        let (mut out, mut err) = (io::stdout(), io::stderr());
        let (out_shown, err_shown) = (out.is_terminal(), err.is_terminal());
        let mut console =
            Console::new(&mut out, &mut err).on_terminals(out_shown, err_shown).with_look(Look::of_stdout());
        let exit = self.command.run(&mut console).unwrap_or_else(|error| {
            console.complain([format!("why502: cannot write its output: {error}")]).ok();
            Exit::Failed
        });
        exit.into()
    }
}

impl Command {
    fn run(self, console: &mut Console<'_>) -> io::Result<Exit> {
        match self {
            Self::Run(arguments) => run::run(arguments, console),
            Self::Check(CheckArguments { config }) => check::check(config, console),
            Self::Diagnose(arguments) => diagnose::diagnose(&arguments, console),
            Self::Report(arguments) => report::report(&arguments, console),
            Self::Demo(DemoArguments { listen }) => demo::demo(&listen, console),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::FAILURE,
            Exit::Wrong => Self::from(2),
        }
    }
}

/// Shows developers' spans on standard error where `RUST_LOG` asks for them.
fn show_spans() {
    if env::var_os(EnvFilter::DEFAULT_ENV).is_some() {
        let spans = tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env());
        spans.with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).init();
    }
}

const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";

const EXAMPLES: &str = "\
Examples:
  why502 demo                             a tour of all failures, in a browser
  why502 run --to http://127.0.0.1:3000   in front of one origin, without a file
  why502 check --config why502.toml       is this file right?
  why502 run --config why502.toml         run with it
  why502 diagnose http://127.0.0.1:3000   why does this origin not answer?
  why502 report why502.log                what failed, when and why?

Exit status: 0 done, 1 failed while running, 2 wrong usage or configuration.";

#[cfg(test)]
mod tests;
