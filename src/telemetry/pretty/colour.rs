//! Owns the colours of a terminal: when they are shown, and which.

use std::io;
use std::io::IsTerminal as _;

use crate::config::LogOutput;

/// Whether lines are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::telemetry) enum Colours {
    Shown,
    Plain,
}

impl Colours {
    /// Colours are for terminals whose owner has not asked for none (<https://no-color.org>).
    pub(in crate::telemetry) fn wanted(output: &LogOutput) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match output {
            LogOutput::Stdout if io::stdout().is_terminal() && !refused => Self::Shown,
            LogOutput::Stdout | LogOutput::File(_) => Self::Plain,
        }
    }
}

/// A colour, or the lack of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Dim,
    Green,
    Cyan,
    Yellow,
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
        Colours::Shown => {
            out.extend_from_slice(colour.code().as_bytes());
            write(out);
            out.extend_from_slice(b"\x1b[0m");
        }
    }
}
