//! Owns what is said when a file is wrong: where, what, and what would be right.
//!
//! Every message names its cure. A value is quoted as it was written, cut where it is long, and never where it may hold
//! a secret: that is for the one who notes the problem to see to.

use std::error::Error;
use std::fmt;

/// A place in a text file, both counted from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in that line.
    pub column: usize,
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}

/// Why a value is refused, before it is known where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong.
    pub what: String,
    /// What would be right, as an instruction.
    pub instead: String,
}

impl Wrong {
    /// A refusal and its cure. Both may repeat what was written.
    pub fn new(what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { what: visible(what.into()), instead: visible(instead.into()) }
    }
}

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as the user named it, or the option of the command line.
    pub file: String,
    /// Where in it; none where the file as a whole is the problem.
    pub place: Option<Place>,
    /// What is wrong and what would be right.
    pub wrong: Wrong,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}; {}", self.wrong.what, self.wrong.instead)
    }
}

/// Everything that is wrong in a file, in the order of its lines; at least one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Nothing, where there is no problem; all of them otherwise.
    ///
    /// # Errors
    ///
    /// The problems, where there are any.
    pub fn unless_none(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }

    /// The problems, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One problem a line, without a newline at the end.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl Error for Problems {}

/// A text as it is quoted in a message: in quotes, on one line, without control characters, cut where it is long.
#[must_use]
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{:?}", format!("{}…", text.get(..end).unwrap_or_default())),
        None => format!("{text:?}"),
    }
}

/// The text with what a terminal would obey or hide written as it is in TOML and Rust: `\u{1b}`, `\n`.
fn visible(text: String) -> String {
    let is_hidden = |c: char| !matches!(c, '"' | '\'' | '\\') && c.escape_debug().len() > 1;
    if !text.contains(is_hidden) {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            shown.extend(c.escape_debug());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Words as a message offers them: `"a", "b" or "c"`.
#[must_use]
pub fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.into_iter().map(quoted).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// In characters.
const LONGEST_QUOTE: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_with_its_place_and_its_cure() {
        let wrong = Wrong::new("\"3 secs\" is not a duration", "write \"3s\"");
        let problem = Problem { file: "why502.toml".into(), place: Some(Place { line: 31, column: 11 }), wrong };
        assert_eq!(problem.to_string(), r#"why502.toml:31:11: "3 secs" is not a duration; write "3s""#);
        let whole = Problem { place: None, ..problem.clone() };
        assert_eq!(whole.to_string(), r#"why502.toml: "3 secs" is not a duration; write "3s""#);
        let both = Problems(vec![problem.clone(), whole.clone()]);
        assert_eq!(both.to_string(), format!("{problem}\n{whole}"));
    }

    #[test]
    fn a_quoted_value_stays_on_one_line_and_is_cut_where_it_is_long() {
        assert_eq!(quoted("a\n\u{1b}\"b"), r#""a\n\u{1b}\"b""#);
        assert_eq!(quoted(&"ä".repeat(81)), format!("\"{}…\"", "ä".repeat(80)));
        assert_eq!(quoted(&"ä".repeat(80)), format!("\"{}\"", "ä".repeat(80)));
    }

    #[test]
    fn what_was_written_is_repeated_so_that_it_can_be_seen() {
        let wrong = Wrong::new("\u{1b}[2J\n\u{202e}", "write \"a\u{e}\\ it's \u{e4}\"");
        assert_eq!((&*wrong.what, &*wrong.instead), (r"\u{1b}[2J\n\u{202e}", "write \"a\\u{e}\\ it's \u{e4}\""));
    }

    #[test]
    fn words_are_offered_as_a_sentence_does() {
        assert_eq!(one_of(["a"]), r#""a""#);
        assert_eq!(one_of(["a", "b"]), r#""a" or "b""#);
        assert_eq!(one_of(["a", "b", "c"]), r#""a", "b" or "c""#);
    }
}
