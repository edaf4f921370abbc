//! Owns `why502 run`: from a file, or from two options, to a proxy that serves until it is told to stop.

use std::io;
use std::path::PathBuf;

use super::Exit;
use super::RunArguments;
use super::console::Console;
use super::pid_file::PidFile;
use super::sources::Sources;
use crate::config::Config;
use crate::config::problem::Problem;
use crate::diagnosis::Checklist;
use crate::server::Inheritance;
use crate::server::Reread;
use crate::server::Server;
use crate::server::StartError;
use crate::server::in_one_line;

/// What it runs with, and how that is read again.
struct Read {
    config: Config,
    checklist: Checklist,
    again: Option<Reread>,
}

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
enum NotRunning {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{} cannot be written; name another file with --pid-file", path.display())]
    PidFile { path: PathBuf, source: io::Error },
}

/// Runs until it is told to stop. Where it was to take the place of another process and does not, that one hears why.
pub(super) fn run(arguments: RunArguments, console: &mut Console<'_>) -> io::Result<Exit> {
    let inheritance = match Inheritance::take() {
        Ok(inheritance) => inheritance,
        Err(error) => {
            console.complain_of(&error)?;
            return Ok(Exit::Wrong);
        }
    };
    let herald = inheritance.herald();
    let RunArguments { config, to, listen, pid_file } = arguments;
    let read = match (config, to) {
        (None, Some(url)) => in_front_of(&url, &listen),
        (named, _) => by_file(named),
    };
    match read.map(|read| serve(read, inheritance, pid_file)) {
        Ok(Ok(())) => Ok(Exit::Done),
        Ok(Err(error)) => {
            herald.decline([in_one_line(&error)]);
            console.complain_of(&error)?;
            Ok(Exit::Wrong)
        }
        Err(problems) => {
            herald.decline(&problems);
            console.complain(&problems)?;
            Ok(Exit::Wrong)
        }
    }
}

/// A configuration file: the named one, or the one that is found.
fn by_file(named: Option<PathBuf>) -> Result<Read, Vec<Problem>> {
    let Sources { file, config, checklist } = Sources::open(named)?;
    let again: Reread = Box::new(move || Sources::read(file.clone()).map(|read| (read.config, read.checklist)));
    Ok(Read { config, checklist, again: Some(again) })
}

/// No file, but one origin.
fn in_front_of(url: &str, listen: &str) -> Result<Read, Vec<Problem>> {
    let config = Config::for_origin(url, listen).map_err(|problems| problems.iter().cloned().collect::<Vec<_>>())?;
    Ok(Read { config, checklist: Checklist::built_in(), again: None })
}

fn serve(read: Read, inheritance: Inheritance, pid_file: Option<PathBuf>) -> Result<(), NotRunning> {
    let Read { config, checklist, again } = read;
    let server = Server::inherit(config, checklist, inheritance)?;
    let pid_file = pid_file.map(|path| PidFile::write(&path).map_err(|source| (path, source))).transpose();
    match pid_file {
        Ok(written) => {
            server.until_stopped(again.as_ref());
            drop(written);
            Ok(())
        }
        Err((path, source)) => {
            server.stop();
            Err(NotRunning::PidFile { path, source })
        }
    }
}

pub(super) const USAGE: &str = "why502 run [--config <FILE>] [--pid-file <FILE>]
       why502 run --to <URL> [--listen <ADDR>] [--pid-file <FILE>]";

pub(super) const HELP: &str = "\
Without --config and --to it looks for ./why502.toml, then for
/etc/why502/why502.toml. The log goes to standard output, one JSON object a
line, unless [log] says otherwise. SIGTERM and SIGINT end it once the requests
in flight are done, or when shutdown_timeout is over. SIGHUP has it read the
file again; a wrong one changes nothing. SIGUSR2 starts the program anew, which
takes over every listening socket; this one ends when the new one serves.

Examples:
  why502 run --to http://127.0.0.1:3000
  why502 run --to https://app.internal --listen 0.0.0.0:8080
  why502 run --config /etc/why502/why502.toml";
