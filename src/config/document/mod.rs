//! Owns the reading of TOML documents with places: every problem is noted with its line and column, and reading goes on.
//!
//! It knows TOML and no key of ours: a reader asks a `Table` for the keys that it knows, and what nobody asked for is
//! unknown. `syntax` says what is no TOML at all, `written` what a value may be, `getter` reads one. The runbooks use it too.
//!
//! ```
//! # use std::path::Path;
//! # use why502::config::document::Document;
//! let document = Document::parse("[log]\nacess = true\n", Path::new("why502.toml"));
//! let root = document.root();
//! let log = root.table("log");
//! let access = log.flag("access", true);
//! log.close();
//! root.close();
//! let problems = document.finish(access).unwrap_err();
//! assert_eq!(problems.to_string(), "why502.toml:2:1: unknown key `acess` in [log]; did you mean `access`?");
//! ```

mod getter;
mod syntax;
mod table;
mod unknown;
mod written;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;

use toml::de::DeTable;

use super::problem::Place;
use super::problem::Problem;
use super::problem::Problems;
use super::problem::Wrong;

use self::table::Known;
pub use self::table::Table;
use self::unknown::Unknown;
pub use self::unknown::nearest;
pub use self::written::Word;
pub use self::written::Written;

/// A TOML document that is being read, with all that was found wrong in it so far.
#[derive(Debug)]
pub struct Document<'t> {
    file: PathBuf,
    text: &'t str,
    /// The byte at which each line begins.
    lines: Vec<usize>,
    entries: DeTable<'t>,
    structure: Structure,
    /// Where the rest of the file was swallowed by something that is never closed.
    readable_until: Option<Place>,
    noted: RefCell<Vec<Note>>,
    /// What is known in each table, by the table's name.
    known: RefCell<BTreeMap<String, Known>>,
    unknown: RefCell<Vec<Unknown>>,
}

/// Whether tables and keys could be told apart, in spite of what is no TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Structure {
    /// Values at most are wrong.
    Sound,
    /// Keys may have been lost or have gone to another table, so nothing can be said about those.
    Damaged,
}

/// A problem and how far it can be believed where the syntax is wrong too.
#[derive(Debug, Clone)]
struct Note {
    /// None where the file as a whole is meant.
    place: Option<Place>,
    kind: Kind,
    wrong: Wrong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A value that is TOML and still wrong.
    Value,
    /// Something that is missing or unknown, which may be the doing of wrong syntax elsewhere.
    Key,
    /// What is no TOML.
    Syntax,
}

impl<'t> Document<'t> {
    /// Reads a text. What is no TOML is noted; the rest can be read all the same. Relative paths in it are meant from
    /// the directory of `file`, which also begins every message.
    #[must_use]
    pub fn parse(text: &'t str, file: &Path) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let (entries, errors) = DeTable::parse_recoverable(text);
        let mut document = Self {
            file: file.to_owned(),
            text,
            lines,
            entries: entries.into_inner(),
            structure: Structure::Sound,
            readable_until: None,
            noted: RefCell::default(),
            known: RefCell::default(),
            unknown: RefCell::default(),
        };
        document.note_syntax(&errors);
        document
    }

    /// The table outside of all tables.
    #[must_use]
    pub fn root(&self) -> Table<'_> {
        Table::new(self, String::new(), Some(&self.entries), Place { line: 1, column: 1 })
    }

    /// Notes that the value at a place is wrong.
    pub fn note(&self, place: Place, wrong: Wrong) {
        self.push(Some(place), Kind::Value, wrong);
    }

    /// Notes that something is missing, at a place or in the file as a whole; not told where the syntax is so wrong that
    /// it may only have been lost.
    pub fn note_missing(&self, place: Option<Place>, wrong: Wrong) {
        self.push(place, Kind::Key, wrong);
    }

    /// A path, meant from the directory of the file where it is relative.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.file.parent().map_or_else(|| path.to_owned(), |directory| directory.join(path))
    }

    /// The path of every key that was asked for so far: `[[upstream]] name`, `[upstream.tls] ca`, `shutdown_timeout`.
    #[must_use]
    pub fn known_keys(&self) -> Vec<String> {
        let known = self.known.borrow();
        let path = |table: &str, key: &str| if table.is_empty() { key.to_owned() } else { format!("{table} {key}") };
        known.iter().flat_map(|(table, known)| known.keys.iter().map(|key| path(table, key))).collect()
    }

    /// The value that was read, if nothing was wrong. All tables have to be closed by then.
    ///
    /// # Errors
    ///
    /// Every problem that was noted, in the order of the file.
    pub fn finish<T>(self, value: T) -> Result<T, Problems> {
        for unknown in self.unknown.borrow().iter() {
            self.push(Some(unknown.place), Kind::Key, unknown.in_words(&self.known.borrow()));
        }
        let file = self.file.display().to_string();
        let problems =
            self.believable().into_iter().map(|Note { place, wrong, .. }| Problem { file: file.clone(), place, wrong });
        Problems::unless_none(problems.collect()).map(|()| value)
    }

    fn push(&self, place: Option<Place>, kind: Kind, wrong: Wrong) {
        self.noted.borrow_mut().push(Note { place, kind, wrong });
    }

    /// A part of the text, as it was written.
    fn source(&self, span: Range<usize>) -> &str {
        self.text.get(span).unwrap_or_default()
    }

    /// The line and column of a byte.
    fn place(&self, byte: usize) -> Place {
        let line = self.lines.partition_point(|begin| *begin <= byte).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or_default();
        let column = self.text.get(begin..byte).map_or(0, |before| before.chars().count()) + 1;
        Place { line, column }
    }

    /// The problems in order, without those that only follow from wrong syntax: a line whose syntax is wrong is told
    /// once, in the words of the value's reader where that could still make something of it.
    fn believable(&self) -> Vec<Note> {
        let mut noted = self.noted.borrow().clone();
        if self.structure == Structure::Damaged {
            noted.retain(|note| note.kind != Kind::Key);
        }
        if let Some(end) = self.readable_until {
            noted.retain(|note| note.place <= Some(end));
        }
        noted.sort_by_key(|note| (note.place, note.kind));
        let mut told: Vec<Note> = Vec::new();
        for line in noted.chunk_by(|one, other| one.place.map(|it| it.line) == other.place.map(|it| it.line)) {
            match line.iter().find(|note| note.kind == Kind::Syntax) {
                Some(syntax) => told.extend(line.iter().find(|note| note.place == syntax.place).cloned()),
                None => told.extend(line.iter().cloned()),
            }
        }
        told
    }
}

#[cfg(test)]
mod tests;
