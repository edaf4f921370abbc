//! Owns the colours of a terminal: when they are shown, and which. Commands that speak to a person at a shell have the same.

use std::io;
use std::io::IsTerminal as _;

use crate::config::LogOutput;

/// Whether lines are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// They are.
    Shown,
    /// They are not.
    Plain,
}

impl Colours {
    /// Colours are for terminals whose owner has not asked for none (<https://no-color.org>).
    pub(super) fn wanted(output: &LogOutput) -> Self {
        match output {
            LogOutput::Stdout => Self::on_stdout(),
            LogOutput::File(_) => Self::Plain,
        }
    }

    /// The same for standard output.
    #[must_use]
    pub fn on_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if io::stdout().is_terminal() && !refused { Self::Shown } else { Self::Plain }
    }
}

/// A colour, or the lack of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// None.
    Plain,
    /// For what is heading.
    Bold,
    /// For what is beside.
    Dim,
    /// For what is well.
    Green,
    /// For what is neither well nor ill.
    Cyan,
    /// For what somebody should look at.
    Yellow,
    /// For what has failed.
    Red,
}

impl Colour {
    /// The colour of an answer's class.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            0..300 => Self::Green,
            300..400 => Self::Cyan,
            400..500 => Self::Yellow,
            500.. => Self::Red,
        }
    }

    /// Select Graphic Rendition (ECMA-48, 8.3.117).
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Green => "\x1b[32m",
            Self::Cyan => "\x1b[36m",
            Self::Yellow => "\x1b[33m",
            Self::Red => "\x1b[1;31m",
        }
    }
}

/// Appends what `write` writes, in that colour where colours are shown.
pub(super) fn paint(out: &mut Vec<u8>, colours: Colours, colour: Colour, write: impl FnOnce(&mut Vec<u8>)) {
    match colours {
        Colours::Plain => write(out),
        Colours::Shown if colour == Colour::Plain => write(out),
        Colours::Shown => {
            out.extend_from_slice(colour.code().as_bytes());
            write(out);
            out.extend_from_slice(b"\x1b[0m");
        }
    }
}

/// A text in that colour, where colours are shown.
#[must_use]
pub fn painted(colours: Colours, colour: Colour, text: &str) -> String {
    match colours {
        Colours::Shown if colour != Colour::Plain && !text.is_empty() => format!("{}{text}\x1b[0m", colour.code()),
        Colours::Shown | Colours::Plain => text.to_owned(),
    }
}
