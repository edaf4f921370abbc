//! Owns what is said of a key that nobody asked for: where it belongs, or which one may have been meant.

use std::collections::BTreeMap;

use super::table::Known;
use crate::config::problem::Place;
use crate::config::problem::Wrong;

/// A key or a table that nobody asked for.
#[derive(Debug)]
pub(super) struct Unknown {
    /// The table that it stands in.
    pub(super) table: String,
    pub(super) key: String,
    pub(super) place: Place,
    /// Whether a table stands there rather than a value.
    pub(super) is_table: bool,
}

impl Unknown {
    /// What is said of it, when all that is known is known.
    pub(super) fn in_words(&self, known: &BTreeMap<String, Known>) -> Wrong {
        let key = self.key.escape_debug();
        let what = match (self.is_table, self.table.is_empty()) {
            (true, true) => format!("unknown table `{key}`"),
            (true, false) => format!("unknown table `{key}` {}", inside(&self.table)),
            (false, _) => format!("unknown key `{key}` {}", inside(&self.table)),
        };
        Wrong::new(what, self.cure(known))
    }

    fn cure(&self, known: &BTreeMap<String, Known>) -> String {
        let tables_with = |key: &str| -> Vec<String> {
            known.iter().filter(|(_, known)| known.keys.contains(key)).map(|(table, _)| inside(table)).collect()
        };
        let here: Vec<&str> = known.get(&self.table).into_iter().flat_map(Known::names).collect();
        let elsewhere = tables_with(&self.key);
        if !elsewhere.is_empty() {
            return format!("it belongs {}", elsewhere.join(" or "));
        }
        if let Some(key) = nearest(&self.key, here.iter().copied()) {
            return format!("did you mean `{key}`?");
        }
        match nearest(&self.key, known.values().flat_map(|known| known.keys.iter().copied())) {
            Some(key) => format!("did you mean `{key}` {}?", tables_with(key).join(" or ")),
            None => format!("known there: {}", here.join(", ")),
        }
    }
}

fn inside(table: &str) -> String {
    if table.is_empty() { "above the first table".to_owned() } else { format!("in {table}") }
}

/// The known word that is most like one that is not known; none where nothing is like it.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// The least Jaro-Winkler likeness at which a word may have been meant: `conect` and `timeout` pass for `connect` and
/// `timeouts`, `port` does not for `path`.
const LIKE: f64 = 0.82;
