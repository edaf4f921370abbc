//! The program: parses the command line, runs the command, returns its exit code.

use std::process::ExitCode;

use clap::Parser;

use why502::command::CommandLine;

fn main() -> ExitCode {
    CommandLine::parse().run()
}
