//! Owns `why502 run`: from a file, or from two options, to a proxy that serves until it is told to stop.

use std::io;
use std::path::PathBuf;

use super::Exit;
use super::console::Console;
use super::sources::Sources;
use crate::config::Config;
use crate::diagnosis::Checklist;
use crate::server::Reread;
use crate::server::Server;

/// Runs by a configuration file: the named one, or the one that is found.
pub(super) fn by_file(named: Option<PathBuf>, console: &mut Console<'_>) -> io::Result<Exit> {
    match Sources::open(named) {
        Ok(Sources { file, config, checklist }) => {
            let reread: Reread =
                Box::new(move || Sources::read(file.clone()).map(|read| (read.config, read.checklist)));
            serve(config, checklist, Some(&reread), console)
        }
        Err(problems) => {
            console.complain(&problems)?;
            Ok(Exit::Wrong)
        }
    }
}

/// Runs without a file, in front of one origin.
pub(super) fn in_front_of(url: &str, listen: &str, console: &mut Console<'_>) -> io::Result<Exit> {
    match Config::for_origin(url, listen) {
        Ok(config) => serve(config, Checklist::built_in(), None, console),
        Err(problems) => {
            console.complain(&problems)?;
            Ok(Exit::Wrong)
        }
    }
}

fn serve(config: Config, checklist: Checklist, reread: Option<&Reread>, console: &mut Console<'_>) -> io::Result<Exit> {
    match Server::start(config, checklist).map(|server| server.until_stopped(reread)) {
        Ok(()) => Ok(Exit::Done),
        Err(error) => {
            console.complain_of(&error)?;
            Ok(Exit::Wrong)
        }
    }
}

pub(super) const USAGE: &str = "why502 run [--config <FILE> | --to <URL> [--listen <ADDR>]]";

pub(super) const HELP: &str = "\
Without --config and --to it looks for ./why502.toml, then for
/etc/why502/why502.toml. The log goes to standard output, one JSON object a
line, unless [log] says otherwise. SIGTERM and SIGINT end it once the requests
in flight are done, or when shutdown_timeout is over. SIGHUP has it read the
file again; a wrong one changes nothing.

Examples:
  why502 run --to http://127.0.0.1:3000
  why502 run --to https://app.internal --listen 0.0.0.0:8080
  why502 run --config /etc/why502/why502.toml";
