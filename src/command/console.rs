//! Owns how a command speaks to whoever started it: results to standard output, complaints to standard error. Long lines are
//! broken for a person at a terminal, and left whole for a program.

use std::error::Error;
use std::fmt::Display;
use std::io;
use std::io::Write;
use std::iter;

use super::sheet::Look;
use super::sheet::Sheet;
use crate::diagnosis::command::printable;

/// The two outputs of a command.
pub(super) struct Console<'a> {
    out: Output<'a>,
    err: Output<'a>,
    look: Look,
}

struct Output<'a> {
    to: &'a mut dyn Write,
    is_terminal: bool,
}

impl<'a> Console<'a> {
    /// Two outputs that programs may read.
    pub(super) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        let look = Look::PLAIN;
        Self { out: Output { to: out, is_terminal: false }, err: Output { to: err, is_terminal: false }, look }
    }

    /// The same, where one or both are terminals.
    pub(super) fn on_terminals(mut self, out: bool, err: bool) -> Self {
        (self.out.is_terminal, self.err.is_terminal) = (out, err);
        self
    }

    /// The same, where standard output looks so.
    pub(super) const fn with_look(mut self, look: Look) -> Self {
        self.look = look;
        self
    }

    /// A text for standard output, to be filled.
    pub(super) const fn sheet(&self) -> Sheet {
        Sheet::new(self.look)
    }

    /// Writes what is on a sheet to standard output, as it is.
    ///
    /// # Errors
    ///
    /// As those of `say`.
    pub(super) fn show(&mut self, sheet: &mut Sheet) -> io::Result<()> {
        self.out.write_as_it_is(&sheet.take())
    }

    /// Says on standard error how far the command has come, where that is a terminal: in one line, in the place of what was said so
    /// before. None takes that away.
    pub(super) fn progress(&mut self, says: Option<&str>) {
        if self.err.is_terminal {
            let columns = self.look.columns.saturating_sub(1);
            let says: String = printable(says.unwrap_or_default()).chars().take(columns).collect();
            // Nothing is lost where it cannot be written.
            self.err.write_as_it_is(&format!("\r{says}\x1b[K")).ok();
        }
    }

    /// Whether `progress` is seen.
    pub(super) const fn shows_progress(&self) -> bool {
        self.err.is_terminal
    }

    /// Writes what the command was asked for to standard output.
    ///
    /// # Errors
    ///
    /// It cannot be written. A pipe whose reader has left is none: it has read enough.
    pub(super) fn say(&mut self, lines: impl IntoIterator<Item = impl Display>) -> io::Result<()> {
        self.out.write(lines)
    }

    /// Writes what is wrong to standard error.
    ///
    /// # Errors
    ///
    /// As those of `say`.
    pub(super) fn complain(&mut self, lines: impl IntoIterator<Item = impl Display>) -> io::Result<()> {
        self.err.write(lines)
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

impl Output<'_> {
    fn write(&mut self, lines: impl IntoIterator<Item = impl Display>) -> io::Result<()> {
        let shown = |line: String| if self.is_terminal { wrapped(&line) } else { line };
        let written = lines.into_iter().try_for_each(|line| writeln!(self.to, "{}", shown(line.to_string())));
        enough(written.and_then(|()| self.to.flush()))
    }

    fn write_as_it_is(&mut self, text: &str) -> io::Result<()> {
        enough(self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush()))
    }
}

/// A pipe whose reader has left is no failure.
fn enough(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A line in lines that fit a terminal, the following ones indented. A word that does not fit stays whole.
fn wrapped(line: &str) -> String {
    let indent = hanging(line);
    let (mut wrapped, mut column) = (String::new(), 0);
    for word in line.split_inclusive(' ') {
        let width = word.trim_end().chars().count();
        if column > indent && width > 0 && column + width > COLUMNS {
            wrapped.truncate(wrapped.trim_end().len());
            wrapped.push('\n');
            wrapped.extend(iter::repeat_n(' ', indent));
            column = indent;
        }
        wrapped.push_str(word);
        column += word.chars().count();
    }
    wrapped
}

/// How far the lines below a line are indented: to its second column where it has columns, else a little.
fn hanging(line: &str) -> usize {
    let text = line.trim_start();
    let margin = line.len() - text.len();
    let columns = text.split_once("  ").filter(|(first, _)| first.len() < WIDEST_FIRST_COLUMN && !first.contains(' '));
    columns.map_or(margin + 2, |(_, second)| line.len() - second.trim_start().len())
}

/// The width of a terminal that nobody has widened.
const COLUMNS: usize = 80;

const WIDEST_FIRST_COLUMN: usize = 16;

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
    fn a_long_line_is_broken_for_a_terminal_only() {
        let long = "  notice    upstream \"app\": [upstream.timeouts] connect = 180s is longer than response = 60s; are the units right?";
        let busy =
            "why502: 127.0.0.1:8080: another program listens there; end it, or listen on another address with --listen";
        let said = |terminal| {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut console = Console::new(&mut out, &mut err).on_terminals(terminal, terminal);
            console.say(["  route     every host / to app", long]).expect("a vector takes all");
            console.complain([busy]).expect("a vector takes all");
            (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
        };
        assert_eq!(said(false), (format!("  route     every host / to app\n{long}\n"), format!("{busy}\n")));
        let notice = "  route     every host / to app
  notice    upstream \"app\": [upstream.timeouts] connect = 180s is longer than
            response = 60s; are the units right?
";
        let complaint = "\
why502: 127.0.0.1:8080: another program listens there; end it, or listen on
  another address with --listen
";
        assert_eq!(said(true), (notice.to_owned(), complaint.to_owned()));
    }

    #[test]
    fn a_word_that_fits_no_line_stays_whole() {
        let path = format!("/{}", "a".repeat(100));
        assert_eq!(wrapped(&path), path);
        assert_eq!(wrapped(&format!("see {path} there")), format!("see\n  {path}\n  there"));
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
