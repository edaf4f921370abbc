//! Owns the tables of a document: going from one to those below it, and refusing the keys that nobody asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use super::Document;
use super::unknown::Unknown;
use crate::config::problem::Place;
use crate::config::problem::Wrong;

/// A table of a document that is being read. One that is not there reads as an empty one.
#[derive(Debug)]
pub struct Table<'d> {
    document: &'d Document<'d>,
    /// `[upstream.tls]`, `[[route]]`; empty for the root.
    name: String,
    entries: Option<&'d DeTable<'d>>,
    place: Place,
    known: RefCell<Known>,
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
        Self { document, name, entries: found, place, known: RefCell::default() }
    }

    /// Where the table begins; for one that is not there, where the table around it does.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// Where the value of a key begins; for one that was not written, where the table does.
    #[must_use]
    pub fn place_of_value(&self, key: &str) -> Place {
        self.entry(key).map_or(self.place, |found| self.place_of(found))
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

    /// Whether it is there at all.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.entries.is_some()
    }

    /// Whether something of that name was written in it, right or wrong.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Notes that a value of this document is wrong.
    pub fn note(&self, place: Place, wrong: Wrong) {
        self.document.note(place, wrong);
    }

    /// The table of that name below this one. One that is not there reads as an empty one.
    #[must_use]
    pub fn table(&self, key: &'static str) -> Self {
        self.known.borrow_mut().tables.insert(key);
        let name = format!("[{}]", self.name_below(key));
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
        let Some(elements) = found.get_ref().as_array() else {
            let what = format!("`{key}` is a list of tables");
            let instead = format!("begin each with {name}, in two brackets, above the tables that belong to it");
            self.wrong(found, Wrong::new(what, instead));
            return Vec::new();
        };
        elements.iter().filter_map(table).collect()
    }

    /// A table in a list of this one's.
    pub(super) fn item(&self, key: &str, found: &Spanned<DeValue<'_>>, entries: &'d DeTable<'d>) -> Self {
        let name = format!("[[{}]]", self.name_below(key));
        Self::new(self.document, name, Some(entries), self.document.place(found.span().start))
    }

    /// The table of that name below this one, or each of a list of such tables; an empty one where there is none.
    #[must_use]
    pub fn one_or_more(&self, key: &'static str) -> Vec<Self> {
        let Some(elements) = self.entry(key).and_then(|found| found.get_ref().as_array()) else {
            return vec![self.table(key)];
        };
        self.known.borrow_mut().tables.insert(key);
        let name = format!("[{}]", self.name_below(key));
        let table = |element: &'d Spanned<DeValue<'d>>| {
            let entries = element.get_ref().as_table();
            if entries.is_none() {
                let what = format!("`{key}` is a table or a list of tables");
                self.wrong(element, Wrong::new(what, format!("write {key} = [{{ … }}, {{ … }}]")));
            }
            Self::new(self.document, name.clone(), entries, self.place_of(element))
        };
        if elements.is_empty() {
            self.entry(key).into_iter().for_each(|found| {
                self.wrong(found, Wrong::new(format!("`{key}` is empty"), "write a table in it, or remove it"));
            });
        }
        elements.iter().map(table).collect()
    }

    /// Refuses every key that no getter asked for.
    pub fn close(self) {
        let known = self.known.borrow();
        for (key, found) in self.entries.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if !known.keys.contains(name) && !known.tables.contains(name) {
                let is_table = is_table(found.get_ref());
                let (table, place) = (self.name.clone(), self.place_of(key));
                let unknown = Unknown { table, key: name.to_owned(), place, is_table };
                self.document.unknown.borrow_mut().push(unknown);
            }
        }
        self.document.known.borrow_mut().insert(self.name.clone(), known.clone());
    }

    pub(super) fn know(&self, key: &'static str) {
        self.known.borrow_mut().keys.insert(key);
    }

    pub(super) fn entry(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.entries?.get(key)
    }

    fn place_of<T>(&self, found: &Spanned<T>) -> Place {
        self.document.place(found.span().start)
    }

    fn name_below(&self, key: &str) -> String {
        let own = self.name.trim_matches(['[', ']']);
        if own.is_empty() { key.to_owned() } else { format!("{own}.{key}") }
    }
}

/// Whether it is a table or a list of them.
fn is_table(value: &DeValue<'_>) -> bool {
    value.is_table() || value.as_array().is_some_and(|list| list.iter().any(|element| element.get_ref().is_table()))
}
