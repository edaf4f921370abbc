//! Owns how a command speaks to whoever started it: results to standard output, complaints to standard error.

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::io::Write;
use std::iter;

/// The two outputs of a command.
pub(super) struct Console<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl<'a> Console<'a> {
    pub(super) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { out, err }
    }

    /// Writes what the command was asked for to standard output.
    ///
    /// # Errors
    ///
    /// It cannot be written. A pipe whose reader has left is none: it has read enough.
    pub(super) fn say(&mut self, lines: impl IntoIterator<Item = impl Display>) -> io::Result<()> {
        write(self.out, lines)
    }

    /// Writes what is wrong to standard error.
    ///
    /// # Errors
    ///
    /// As those of `say`.
    pub(super) fn complain(&mut self, lines: impl IntoIterator<Item = impl Display>) -> io::Result<()> {
        write(self.err, lines)
    }

    /// Writes an error to standard error, and on a line below it each that led to it. No other place prints a chain.
    ///
    /// # Errors
    ///
    /// As those of `say`.
    pub(super) fn complain_of(&mut self, error: &dyn Error) -> io::Result<()> {
        let sources = iter::successors(error.source(), |error| (*error).source());
        let lines = sources.map(|source| format!("  because: {source}"));
        self.complain(iter::once(format!("why502: {error}")).chain(lines))
    }
}

fn write(output: &mut dyn Write, lines: impl IntoIterator<Item = impl Display>) -> io::Result<()> {
    let written = lines.into_iter().try_for_each(|line| writeln!(output, "{line}"));
    match written.and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot listen")]
    struct Outer(#[source] io::Error);

    /// Refuses every byte for the one reason.
    struct Refusing(io::ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_no_failure_and_a_full_disk_is() {
        let table =
            [(io::ErrorKind::BrokenPipe, Ok(())), (io::ErrorKind::StorageFull, Err(io::ErrorKind::StorageFull))];
        for (kind, expected) in table {
            let (mut out, mut err) = (Refusing(kind), Vec::new());
            let said = Console::new(&mut out, &mut err).say(["fine"]);
            assert_eq!(said.map_err(|error| error.kind()), expected);
        }
    }

    #[test]
    fn an_error_is_told_with_what_led_to_it() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let error = Outer(io::Error::other("address in use"));
        Console::new(&mut out, &mut err).complain_of(&error).expect("a vector takes all");
        assert_eq!(String::from_utf8_lossy(&err), "why502: cannot listen\n  because: address in use\n");
        assert_eq!(out, b"");
    }
}
