//! Owns the typed getters of a table. Each notes what is wrong with its value and answers the default or nothing, so that
//! reading goes on; each makes its key known, and `close` refuses the keys that nobody made known.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use super::Document;
use super::Unknown;
use super::syntax::ODD_QUOTES;
use crate::config::problem::Place;
use crate::config::problem::Placed;
use crate::config::problem::Wrong;
use crate::config::problem::one_of;
use crate::config::problem::quoted;
use crate::config::value::Size;

/// A value that is written as text.
pub trait Written: Sized {
    /// What it is called in a message, with its article: `a duration`.
    const NOUN: &'static str;

    /// What would be right, as an instruction: `write "3s" or "2m"`.
    fn cure() -> String;

    /// Reads it.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, and the cure.
    fn parse(text: &str) -> Result<Self, Wrong>;

    /// The plain refusal of what was written, which is quoted already where it is text.
    #[must_use]
    fn refused(written: &str) -> Wrong {
        Wrong::new(format!("{written} is not {}", Self::NOUN), Self::cure())
    }
}

/// A value that is one of a few words.
pub trait Word: Copy + 'static {
    /// What it is called in a message, with its article: `a way to balance`.
    const NOUN: &'static str;

    /// The words and what they stand for.
    const WORDS: &'static [(&'static str, Self)];

    /// Words of the contract that do not work in this version.
    const LATER: &'static [&'static str] = &[];
}

impl<T: Word> Written for T {
    const NOUN: &'static str = <T as Word>::NOUN;

    fn cure() -> String {
        format!("write {}", one_of(T::WORDS.iter().map(|(word, _)| *word)))
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        match T::WORDS.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(*value),
            None if T::LATER.contains(&text) => Err(not_yet(&quoted(text), Self::cure())),
            None => Err(Self::refused(&quoted(text))),
        }
    }
}

/// Any text.
impl Written for String {
    const NOUN: &'static str = "text";

    fn cure() -> String {
        "write it in quotes".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        Ok(text.to_owned())
    }
}

/// A table of a document that is being read. One that is not there reads as an empty one.
#[derive(Debug)]
pub struct Table<'d> {
    document: &'d Document<'d>,
    /// `[upstream.tls]`, `[[route]]`; empty for the root.
    name: String,
    entries: Option<&'d DeTable<'d>>,
    place: Place,
    known: RefCell<Known>,
    later: RefCell<Vec<&'static str>>,
}

/// What readers have asked a table for.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Its keys that hold values.
    pub(super) keys: BTreeSet<&'static str>,
    /// The tables below it.
    pub(super) tables: BTreeSet<&'static str>,
}

impl Known {
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().chain(&self.tables).copied()
    }
}

impl<'d> Table<'d> {
    pub(super) fn new(document: &'d Document<'d>, name: String, found: Option<&'d DeTable<'d>>, place: Place) -> Self {
        Self { document, name, entries: found, place, known: RefCell::default(), later: RefCell::default() }
    }

    /// Where the table begins; for one that is not there, where the table around it does.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// The table's name as it is written, brackets included; empty for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The document that it stands in.
    #[must_use]
    pub fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// Whether the document has it.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.entries.is_some()
    }

    /// Notes that a value of this document is wrong.
    pub fn note(&self, place: Place, wrong: Wrong) {
        self.document.note(place, wrong);
    }

    /// Text that has a form, where it was written.
    #[must_use]
    pub fn value<T: Written>(&self, key: &'static str) -> Option<Placed<T>> {
        self.read(key, |found| self.written(found))
    }

    /// Text that has a form and must be there; the example is a line that would be right.
    #[must_use]
    pub fn required<T: Written>(&self, key: &'static str, example: &str) -> Option<Placed<T>> {
        self.must_have(key, example);
        self.value(key)
    }

    /// A list of texts that have a form; those that are wrong are noted and left out. Empty where it was not written.
    #[must_use]
    pub fn values<T: Written>(&self, key: &'static str) -> Vec<Placed<T>> {
        self.know_key(key);
        let Some(found) = self.entry(key) else { return Vec::new() };
        let DeValue::Array(elements) = found.get_ref() else {
            self.wrong(found, Wrong::new(format!("`{key}` is a list"), "write it in brackets: [ … ]"));
            return Vec::new();
        };
        elements.iter().filter_map(|element| self.noted(element, self.written(element))).collect()
    }

    /// A list of texts that have a form, and at least one; the example is a line that would be right.
    #[must_use]
    pub fn required_values<T: Written>(&self, key: &'static str, example: &str) -> Vec<Placed<T>> {
        self.must_have(key, example);
        if let Some(found) = self.entry(key).filter(|found| found.get_ref().as_array().is_some_and(|it| it.is_empty()))
        {
            self.wrong(found, Wrong::new(format!("`{key}` is empty"), format!("write {example}")));
        }
        self.values(key)
    }

    /// A list that has to be empty in this version, because what it holds is not supported yet.
    pub fn empty_list(&self, key: &'static str) {
        let empty = |found: &Spanned<DeValue<'_>>| match found.get_ref() {
            DeValue::Array(elements) if elements.is_empty() => Ok(()),
            _ => Err(not_yet(&format!("`{key}`"), format!("write {key} = [], or remove the line"))),
        };
        self.read(key, empty);
    }

    /// Text that has a form, or the default.
    #[must_use]
    pub fn value_or<T: Written>(&self, key: &'static str, default: T) -> T {
        self.value(key).map_or(default, |found| found.value)
    }

    /// A time for which something is waited: not zero, which would end every wait before it began.
    #[must_use]
    pub fn time_limit(&self, key: &'static str, default: Duration) -> Duration {
        let nonzero = |found: &Spanned<DeValue<'_>>| match self.written::<Duration>(found)? {
            Duration::ZERO => {
                let what = format!("{} leaves no time at all", self.literal(found));
                Err(Wrong::new(what, "write a duration above zero, or remove the line for the default"))
            }
            duration => Ok(duration),
        };
        self.read(key, nonzero).map_or(default, |found| found.value)
    }

    /// A number of bytes, at least so many.
    #[must_use]
    pub fn size(&self, key: &'static str, at_least: Size, default: Size) -> u64 {
        let size = |found: &Spanned<DeValue<'_>>| {
            let size = match found.get_ref() {
                DeValue::Integer(_) => {
                    whole(found.get_ref()).map(Size).ok_or_else(|| Size::refused(&self.literal(found)))?
                }
                _ => self.written(found)?,
            };
            if size < at_least {
                let what = format!("{} is too small", self.literal(found));
                return Err(Wrong::new(what, format!("write at least {at_least}")));
            }
            Ok(size)
        };
        self.read(key, size).map_or(default, |found| found.value).0
    }

    /// A whole number.
    #[must_use]
    pub fn integer<T>(&self, key: &'static str, allowed: RangeInclusive<T>, default: T) -> T
    where
        T: TryFrom<u64> + PartialOrd + Display,
    {
        let number = |found: &Spanned<DeValue<'_>>| {
            let number = whole(found.get_ref()).and_then(|number| T::try_from(number).ok());
            number.filter(|number| allowed.contains(number)).ok_or_else(|| {
                let what = format!("{} is not a whole number that can stand here", self.literal(found));
                Wrong::new(what, format!("write one from {} to {}", allowed.start(), allowed.end()))
            })
        };
        self.read(key, number).map_or(default, |found| found.value)
    }

    /// A number with a fraction; a whole one will do.
    #[must_use]
    pub fn number(&self, key: &'static str, allowed: RangeInclusive<f64>, default: f64) -> f64 {
        let number = |found: &Spanned<DeValue<'_>>| {
            let number = match found.get_ref() {
                DeValue::Float(float) => float.as_str().parse().ok(),
                DeValue::Integer(whole) if whole.radix() == 10 => whole.as_str().parse().ok(),
                _ => None,
            };
            number.filter(|number| allowed.contains(number)).ok_or_else(|| {
                let what = format!("{} is not a number that can stand here", self.literal(found));
                Wrong::new(what, format!("write one from {:?} to {:?}", allowed.start(), allowed.end()))
            })
        };
        self.read(key, number).map_or(default, |found| found.value)
    }

    /// True or false.
    #[must_use]
    pub fn flag(&self, key: &'static str, default: bool) -> bool {
        let flag = |found: &Spanned<DeValue<'_>>| {
            found.get_ref().as_bool().ok_or_else(|| {
                let what = format!("{} is neither true nor false", self.literal(found));
                Wrong::new(what, "write true or false, without quotes")
            })
        };
        self.read(key, flag).map_or(default, |found| found.value)
    }

    /// The path of a file, meant from the directory of the document where it is relative.
    #[must_use]
    pub fn path(&self, key: &'static str) -> Option<Placed<PathBuf>> {
        let written = self.value::<String>(key)?;
        if written.value.is_empty() {
            self.note(written.place, Wrong::new("the path is empty", "write the path of a file, or remove the line"));
            return None;
        }
        Some(Placed { value: self.document.resolve(Path::new(&written.value)), place: written.place })
    }

    /// The table of that name below this one. One that is not there reads as an empty one.
    #[must_use]
    pub fn table(&self, key: &'static str) -> Self {
        self.known.borrow_mut().tables.insert(key);
        let name = self.name_below(key);
        let name = format!("[{name}]");
        let Some(found) = self.entry(key) else { return Self::new(self.document, name, None, self.place) };
        let place = self.document.place(found.span().start);
        let entries = found.get_ref().as_table();
        if entries.is_none() {
            let what = format!("`{key}` is a single table");
            self.wrong(found, Wrong::new(what, format!("write {name} on a line, once, and its keys below it")));
        }
        Self::new(self.document, name, entries, place)
    }

    /// The list of tables of that name below this one.
    #[must_use]
    pub fn tables(&self, key: &'static str) -> Vec<Self> {
        self.known.borrow_mut().tables.insert(key);
        let name = format!("[[{}]]", self.name_below(key));
        let Some(found) = self.entry(key) else { return Vec::new() };
        let table = |element: &'d Spanned<DeValue<'d>>| {
            let entries = element.get_ref().as_table();
            if entries.is_none() {
                let what = format!("`{key}` is a list of tables");
                self.wrong(element, Wrong::new(what, format!("write {name} on a line and its keys below it")));
            }
            let place = self.document.place(element.span().start);
            entries.map(|entries| Self::new(self.document, name.clone(), Some(entries), place))
        };
        match found.get_ref() {
            DeValue::Array(elements) => elements.iter().filter_map(table).collect(),
            _ => {
                let what = format!("`{key}` is a list of tables");
                let instead = format!("begin each with {name}, in two brackets, above the tables that belong to it");
                self.wrong(found, Wrong::new(what, instead));
                Vec::new()
            }
        }
    }

    /// Refuses keys that are meant to work one day and do not work in this version.
    pub fn not_yet(&self, keys: &[&'static str]) {
        self.later.borrow_mut().extend(keys);
        for (key, _) in self.entries.into_iter().flatten().filter(|(key, _)| keys.contains(&key.get_ref().as_ref())) {
            self.note(self.place_of(key), not_yet(&format!("`{}`", key.get_ref()), "remove it"));
        }
    }

    /// Refuses every key that no getter asked for.
    pub fn close(self) {
        let known = self.known.borrow();
        let later = self.later.borrow();
        for (key, _) in self.entries.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if !known.keys.contains(name) && !known.tables.contains(name) && !later.contains(&name) {
                let unknown = Unknown { table: self.name.clone(), key: name.to_owned(), place: self.place_of(key) };
                self.document.unknown.borrow_mut().push(unknown);
            }
        }
        self.document.known.borrow_mut().insert(self.name.clone(), known.clone());
    }

    fn read<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Spanned<DeValue<'_>>) -> Result<T, Wrong>,
    ) -> Option<Placed<T>> {
        self.know_key(key);
        let found = self.entry(key)?;
        self.noted(found, read(found))
    }

    fn must_have(&self, key: &str, example: &str) {
        if self.entry(key).is_none() {
            let what = format!("{} has no `{key}`", self.name);
            self.document.note_missing(Some(self.place), Wrong::new(what, format!("add {example}")));
        }
    }

    fn know_key(&self, key: &'static str) {
        self.known.borrow_mut().keys.insert(key);
    }

    fn entry(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.entries?.get(key)
    }

    fn written<T: Written>(&self, found: &Spanned<DeValue<'_>>) -> Result<T, Wrong> {
        match found.get_ref() {
            DeValue::String(text) => T::parse(text),
            _ => Err(T::refused(&self.literal(found))),
        }
    }

    fn noted<T>(&self, found: &Spanned<DeValue<'_>>, read: Result<T, Wrong>) -> Option<Placed<T>> {
        match read {
            Ok(value) => Some(Placed { value, place: self.place_of(found) }),
            Err(wrong) => {
                self.wrong(found, wrong);
                None
            }
        }
    }

    /// Notes that a value is wrong, unless there is none or its quotes are, which the syntax's words say better.
    fn wrong(&self, found: &Spanned<DeValue<'_>>, wrong: Wrong) {
        let written = self.document.text.get(found.span()).unwrap_or_default();
        if !written.is_empty() && !written.starts_with(ODD_QUOTES) {
            self.note(self.place_of(found), wrong);
        }
    }

    /// The value as it was written, where that is short and on one line.
    fn literal(&self, found: &Spanned<DeValue<'_>>) -> String {
        let written = self.document.text.get(found.span()).unwrap_or_default();
        let short = written.len() <= LONGEST_LITERAL && !written.contains('\n');
        if short { written.to_owned() } else { "this value".to_owned() }
    }

    fn place_of<T>(&self, found: &Spanned<T>) -> Place {
        self.document.place(found.span().start)
    }

    fn name_below(&self, key: &str) -> String {
        let own = self.name.trim_matches(['[', ']']);
        if own.is_empty() { key.to_owned() } else { format!("{own}.{key}") }
    }
}

/// Says that something is meant to work one day.
fn not_yet(what: &str, instead: impl Into<String>) -> Wrong {
    Wrong::new(format!("{what} is not supported yet by this version"), instead)
}

fn whole(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// In bytes.
const LONGEST_LITERAL: usize = 60;
