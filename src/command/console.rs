//! Owns how a command speaks to whoever started it: results to standard output, complaints to standard error.

use std::error::Error;
use std::io;
use std::io::Write;

use crate::config::problem::Problem;

/// The two outputs of a command.
pub(super) struct Console<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl<'a> Console<'a> {
    pub(super) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { out, err }
    }

    /// Writes to standard output what the command was asked for.
    ///
    /// # Errors
    ///
    /// It cannot be written. A pipe whose reader has left is none: it has read enough.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        whole(self.out, text)
    }

    /// Writes to standard error what is wrong.
    ///
    /// # Errors
    ///
    /// As those of `say`.
    pub(super) fn complain(&mut self, text: &str) -> io::Result<()> {
        whole(self.err, text)
    }

    /// Complains of every problem on a line of its own.
    pub(super) fn complain_of<'p>(&mut self, problems: impl IntoIterator<Item = &'p Problem>) -> io::Result<()> {
        let lines: String = problems.into_iter().map(|problem| format!("{problem}\n")).collect();
        self.complain(&lines)
    }

    /// Complains of an error, and of each that led to it on a line below. No other place prints a chain of errors.
    pub(super) fn complain_of_chain(&mut self, error: &dyn Error) -> io::Result<()> {
        let mut text = format!("why502: {error}\n");
        let mut next = error.source();
        while let Some(source) = next {
            text.push_str(&format!("  because: {source}\n"));
            next = source.source();
        }
        self.complain(&text)
    }
}

fn whole(output: &mut dyn Write, text: &str) -> io::Result<()> {
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
