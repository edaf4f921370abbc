//! Owns what is said of a text that is no TOML: the parser's findings in our words, with the cure.

use std::ops::Range;

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
        let inside = |error: &&Error| INSIDE_BRACKETS.iter().any(|begins| error.message().starts_with(begins));
        let odd = errors.iter().filter(inside).filter_map(Error::span).map(|span| span.start).min();
        let never_closed = errors.iter().any(|error| UNCLOSED.iter().any(|begins| error.message().starts_with(begins)));
        let end = odd.filter(|_| never_closed);
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

    fn in_our_words(&self, message: &str, span: Range<usize>) -> (Structure, Wrong) {
        let found = self.source(span.clone());
        if message.starts_with(UNQUOTED) {
            return (Structure::Sound, unquoted(found));
        }
        if message.starts_with("duplicate key") {
            return (Structure::Sound, self.twice(found, span.start));
        }
        let row = |rows: &[(&str, &str, &str)]| {
            let row = rows.iter().find(|(begins, ..)| message.starts_with(begins));
            row.map(|(_, what, instead)| Wrong::new(*what, *instead))
        };
        match (row(&HARMLESS), row(&HARMFUL)) {
            (Some(wrong), _) => (Structure::Sound, wrong),
            (None, Some(wrong)) => (Structure::Damaged, wrong),
            (None, None) => {
                let what = format!("this is not TOML: {message}");
                (Structure::Damaged, Wrong::new(what, "https://toml.io says how it is written"))
            }
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
        _ if bare.contains('@') => Wrong::new("this is text without quotes", "write it in quotes"),
        _ => Wrong::new(format!("{found} is text without quotes"), format!("write {}", quoted(bare))),
    }
}

/// What word processors make of quotes.
pub(super) const ODD_QUOTES: [char; 5] = ['“', '”', '„', '‘', '’'];

/// How the parser says that a text stands without quotes, or nothing at all.
const UNQUOTED: &str = "string values must be quoted";

/// What makes the parser read on to the end of the file.
const UNCLOSED: [&str; 2] = ["unclosed array,", "unclosed inline table"];

/// What it finds inside of them, the end of the file included.
const INSIDE_BRACKETS: [&str; 8] = [
    "missing comma",
    "missing key for inline table",
    "missing assignment between key-value pairs",
    "unexpected `=` in array",
    "extra comma in",
    "invalid inline table element",
    "unclosed array,",
    "unclosed inline table",
];

/// How the parser's message begins, what is wrong, what would be right: where keys and tables are still what they seem.
const HARMLESS: [(&str, &str, &str); 7] = [
    ("invalid basic string", UNENDED_TEXT, "end it with \" on the same line, and write a backslash as \\\\"),
    ("invalid literal string", UNENDED_TEXT, "end it with ' on the same line"),
    ("missing escaped value", "this backslash begins nothing", "write it as \\\\, or the text in single quotes"),
    ("invalid boolean", "this is neither true nor false", "write true or false, in lower case"),
    ("unexpected leading zero", "a number does not begin with 0", "write it without the 0"),
    (
        "unexpected key or value",
        "something stands behind the value",
        "put it on its own line, or behind a # as a comment",
    ),
    ("invalid comment character", "this comment has a character that cannot be printed", "remove it"),
];

/// The same, where keys may have been lost or have gone to another table.
const HARMFUL: [(&str, &str, &str); 13] = [
    ("missing comma between key-value pairs", UNENDED_BRACES, "write , between the pairs and } at the end"),
    ("missing key for inline table", UNENDED_BRACES, "write , between the pairs and } at the end"),
    ("unclosed inline table", "the table in braces is not closed", "end it with }"),
    ("missing comma between array elements", UNENDED_LIST, "write , between the elements and ] at the end"),
    ("unexpected `=` in array", "the list before this key is not closed", "end it with ]"),
    ("unclosed array table", "the name of the table is not closed", "end it with ]]"),
    ("unclosed array", "the list is not closed", "end it with ]"),
    ("unclosed table", "the name of the table is not closed", "end it with ]"),
    ("key with no value", "a key stands here without a value", "write KEY = VALUE, [TABLE] or, behind a #, a comment"),
    ("invalid key-value pair", "no key stands here", "write KEY = VALUE, [TABLE] or, behind a #, a comment"),
    ("invalid unquoted key", "this cannot stand in a key", "write KEY = VALUE, [TABLE] or, behind a #, a comment"),
    ("unquoted keys cannot be empty", "the key is missing", "write KEY = VALUE"),
    ("cannot extend value", "this key was given a plain value further up", "keep one of the two"),
];

const UNENDED_TEXT: &str = "this text is not closed, or has a character that cannot stand in it";
const UNENDED_BRACES: &str = "a comma is missing here, or the closing } before it";
const UNENDED_LIST: &str = "a comma is missing here, or the closing ] before it";
