//! Owns what is said of a text that is no TOML: the parser's findings in our words, with the cure.

use toml::de::Error;

use super::Document;
use super::Kind;
use super::Structure;
use crate::config::problem::Wrong;
use crate::config::problem::quoted;

impl Document<'_> {
    /// Notes what the parser found. A list or a table in braces that is never closed swallows what follows it, so
    /// nothing after its first odd place is told.
    pub(super) fn note_syntax(&mut self, errors: &[Error]) {
        let never_closed = errors.iter().any(|error| UNCLOSED.iter().any(|prefix| error.message().starts_with(prefix)));
        let places = errors.iter().filter(|error| !error.message().starts_with(UNQUOTED));
        let end = places.filter_map(Error::span).map(|span| span.start).min().filter(|_| never_closed);
        for error in errors {
            let span = error.span().unwrap_or_default();
            if end.is_some_and(|end| span.start > end) {
                continue;
            }
            let (structure, wrong) = self.in_our_words(error.message(), span.clone());
            if structure == Structure::Damaged {
                self.structure = Structure::Damaged;
            }
            self.push(Some(self.place(span.start)), Kind::Syntax, wrong);
        }
        self.readable_until = end.map(|end| self.place(end));
    }

    fn in_our_words(&self, message: &str, span: std::ops::Range<usize>) -> (Structure, Wrong) {
        let found = self.text.get(span.clone()).unwrap_or_default();
        if message.starts_with(UNQUOTED) {
            return (Structure::Sound, unquoted(found));
        }
        if message.starts_with("duplicate key") {
            return (Structure::Sound, self.twice(found, span.start));
        }
        match WORDS.iter().find(|(prefix, ..)| message.starts_with(prefix)) {
            Some((_, structure, what, instead)) => (*structure, Wrong::new(*what, *instead)),
            None => (Structure::Damaged, Wrong::new(format!("this is not TOML: {message}"), "see https://toml.io")),
        }
    }

    fn twice(&self, key: &str, at: usize) -> Wrong {
        let line = self.text.get(..at).and_then(|before| before.rsplit('\n').next()).unwrap_or_default().trim_start();
        if line.starts_with("[[") {
            let instead =
                format!("begin every `{key}` with [[{key}]], in two brackets, above the tables that belong to it");
            Wrong::new(format!("`{key}` was begun further up as one table"), instead)
        } else if line.starts_with('[') {
            Wrong::new(format!("the table `{key}` is here for the second time"), "join the two")
        } else {
            Wrong::new(format!("`{key}` is set for the second time"), "keep one of the two")
        }
    }
}

fn unquoted(found: &str) -> Wrong {
    let bare = found.trim_matches(ODD_QUOTES);
    match bare {
        "" => Wrong::new("the value is missing", "write it after the `=`, or remove the line for the default"),
        "True" | "TRUE" | "False" | "FALSE" => Wrong::new(format!("`{found}` is not a value"), "write true or false"),
        _ => Wrong::new(format!("{found} is text without quotes"), format!("write {}", quoted(bare))),
    }
}

/// What word processors make of quotes.
pub(super) const ODD_QUOTES: [char; 5] = ['“', '”', '„', '‘', '’'];

/// How the parser says that a text stands without quotes, or nothing at all.
const UNQUOTED: &str = "string values must be quoted";

/// What makes the parser read on to the end of the file.
const UNCLOSED: [&str; 2] = ["unclosed array,", "unclosed inline table"];

/// How the parser's message begins, what can still be read, what is wrong, what would be right.
const WORDS: [(&str, Structure, &str, &str); 20] = [
    (
        "invalid basic string",
        Structure::Sound,
        "this text is not closed, or holds a character that may not stand in it",
        "end it with \" on the same line, and write a backslash as \\\\",
    ),
    (
        "invalid literal string",
        Structure::Sound,
        "this text is not closed, or holds a character that may not stand in it",
        "end it with ' on the same line",
    ),
    (
        "invalid multi-line",
        Structure::Damaged,
        "this text of several lines is not closed",
        "end it with the three quotes that it began with",
    ),
    (
        "missing escaped value",
        Structure::Sound,
        "this \\ begins nothing that TOML knows",
        "write a backslash as \\\\, or the text in single quotes",
    ),
    ("invalid boolean", Structure::Sound, "this is neither true nor false", "write true or false, in lower case"),
    ("unexpected leading zero", Structure::Sound, "a number does not begin with 0", "write it without the 0"),
    (
        "missing comma between key-value pairs",
        Structure::Damaged,
        "a comma is missing here, or the closing } before it",
        "write , between the pairs and } at the end",
    ),
    (
        "missing key for inline table",
        Structure::Damaged,
        "a key is missing here, or the closing } before it",
        "write , between the pairs and } at the end",
    ),
    ("unclosed inline table", Structure::Damaged, "the table in braces is not closed", "end it with }"),
    (
        "missing comma between array elements",
        Structure::Damaged,
        "a comma is missing here, or the closing ] before it",
        "write , between the elements and ] at the end",
    ),
    ("unclosed array table", Structure::Damaged, "the name of the table is not closed", "end it with ]]"),
    ("unclosed array", Structure::Damaged, "the list is not closed", "end it with ]"),
    ("unclosed table", Structure::Damaged, "the name of the table is not closed", "end it with ]"),
    (
        "key with no value",
        Structure::Damaged,
        "a key stands here without `= value`",
        "write `key = value`, a [table] or, behind a #, a comment",
    ),
    (
        "invalid unquoted key",
        Structure::Damaged,
        "this cannot stand in a key",
        "write `key = value`, a [table] or, behind a #, a comment",
    ),
    ("unquoted keys cannot be empty", Structure::Damaged, "the key is missing", "write `key = value`"),
    (
        "unexpected key or value",
        Structure::Damaged,
        "something stands behind the value",
        "put it on a line of its own, or behind a # as a comment",
    ),
    ("cannot extend value", Structure::Damaged, "this key was given a plain value further up", "keep one of the two"),
    ("unexpected `=` in array", Structure::Damaged, "the list before this key is not closed", "end it with ]"),
    (
        "invalid comment character",
        Structure::Sound,
        "this comment holds a character that cannot be printed",
        "remove it",
    ),
];
