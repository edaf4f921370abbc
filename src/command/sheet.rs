//! Owns a text for a person at a shell: as wide as the terminal, coloured where that shows colours, plain in a pipe.
//!
//! Whatever a log or a server said is written without the characters that a terminal would obey.

use crate::diagnosis::command::printable;
use crate::telemetry::colour::Colour;
use crate::telemetry::colour::Colours;
use crate::telemetry::colour::painted;

/// How a text looks to whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) colours: Colours,
    pub(super) columns: usize,
}

/// A text that grows downwards.
#[derive(Debug)]
pub(super) struct Sheet {
    look: Look,
    text: String,
}

impl Look {
    /// For a program.
    pub(super) const PLAIN: Self = Self { colours: Colours::Plain, columns: COLUMNS };

    /// For whoever reads standard output.
    pub(super) fn of_stdout() -> Self {
        let size = rustix::termios::tcgetwinsize(std::io::stdout());
        let columns = size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
        Self { colours: Colours::on_stdout(), columns: columns.unwrap_or(COLUMNS).clamp(NARROWEST, WIDEST) }
    }
}

impl Sheet {
    pub(super) const fn new(look: Look) -> Self {
        Self { look, text: String::new() }
    }

    pub(super) const fn columns(&self) -> usize {
        self.look.columns
    }

    /// What was written since the last call.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    pub(super) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A line that begins a part, behind a blank one.
    pub(super) fn heading(&mut self, heading: &str) {
        if !self.text.is_empty() {
            self.blank();
        }
        self.line(Colour::Bold, heading);
    }

    /// A line that is not broken: a row of a table, or a command that is to be copied.
    pub(super) fn line(&mut self, colour: Colour, line: &str) {
        self.text.push_str(&painted(self.look.colours, colour, printable(line).trim_end()));
        self.blank();
    }

    /// A row of which each piece has a colour of its own; it is not broken.
    pub(super) fn row(&mut self, pieces: &[(Colour, &str)]) {
        let last = pieces.iter().rposition(|(_, piece)| !piece.trim_end().is_empty());
        for (index, (colour, piece)) in pieces.iter().enumerate().take_while(|(index, _)| Some(*index) <= last) {
            let piece = printable(piece);
            let piece = if Some(index) == last { piece.trim_end() } else { &piece };
            self.text.push_str(&painted(self.look.colours, *colour, piece));
        }
        self.blank();
    }

    /// A text behind a lead; further lines are indented as far as the lead is wide.
    pub(super) fn paragraph(&mut self, (colour, lead): (Colour, &str), text: &str) {
        let text = printable(text);
        let indent = lead.chars().count();
        let room = self.look.columns.saturating_sub(indent).max(LEAST_ROOM);
        let mut lead = painted(self.look.colours, colour, lead);
        for line in broken(&text, room) {
            self.text.push_str(&lead);
            self.text.push_str(&line);
            self.text.truncate(self.text.trim_end_matches(' ').len());
            self.blank();
            lead = " ".repeat(indent);
        }
    }
}

/// A text in lines of at most so many characters. A word that is longer stays whole.
fn broken(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut column = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > room {
            lines.push(String::new());
            column = 0;
        }
        if let Some(line) = lines.last_mut() {
            if column > 0 {
                line.push(' ');
                column += 1;
            }
            line.push_str(word);
            column += width;
        }
    }
    lines
}

/// A number with its thousands apart: `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun, in the plural where it is not one.
pub(super) fn counted(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", grouped(number))
}

/// The width of a terminal that nobody has widened.
const COLUMNS: usize = 80;
/// Narrower ones break the tables themselves, in wider ones lines are too long to be read.
const NARROWEST: usize = 60;
const WIDEST: usize = 160;
const LEAST_ROOM: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_as_wide_as_the_terminal_and_hangs_below_its_lead() {
        let mut sheet = Sheet::new(Look { colours: Colours::Plain, columns: 30 });
        sheet.paragraph((Colour::Red, "  1. "), "the host answers on port 22, so it is alive\x1b[2J");
        assert_eq!(sheet.take(), "  1. the host answers on port\n     22, so it is alive\u{fffd}[2J\n");
    }

    #[test]
    fn colours_are_only_where_they_are_shown() {
        let written = |colours| {
            let mut sheet = Sheet::new(Look { colours, columns: 80 });
            sheet.row(&[(Colour::Green, "ok "), (Colour::Plain, "fine "), (Colour::Dim, " ")]);
            sheet.heading("What");
            sheet.take()
        };
        assert_eq!(written(Colours::Plain), "ok fine\n\nWhat\n");
        assert_eq!(written(Colours::Shown), "\x1b[32mok \x1b[0mfine\n\n\x1b[1mWhat\x1b[0m\n");
    }

    #[test]
    fn numbers_are_read_by_their_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!((counted(1, "line"), counted(2_000, "line")), ("1 line".to_owned(), "2,000 lines".to_owned()));
    }
}
