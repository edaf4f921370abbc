//! The program: parses the command line, runs the command, returns its exit code.

fn main() {}
