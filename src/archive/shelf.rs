//! Owns the incidents that are over: so many, so many bytes and so old at most, and the oldest go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Record;

/// Records in the order in which their incidents began.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    records: BTreeMap<String, Arc<Record>>,
    bytes: usize,
}

impl Shelf {
    /// Puts it there, in the place of an older one of the same incident.
    pub(super) fn put(&mut self, record: Arc<Record>) {
        self.bytes += record.size();
        if let Some(before) = self.records.insert(record.id.clone(), record) {
            self.bytes = self.bytes.saturating_sub(before.size());
        }
    }

    /// Takes it off.
    pub(super) fn take(&mut self, id: &str) -> Option<Arc<Record>> {
        let record = self.records.remove(id)?;
        self.bytes = self.bytes.saturating_sub(record.size());
        Some(record)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Arc<Record>> {
        self.records.get(id)
    }

    pub(super) fn latest_first(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.records.values().rev()
    }

    /// Takes off what is too old or too much; the ids of those.
    pub(super) fn tidy(&mut self, now: Duration, keep: Duration) -> Vec<String> {
        let oldest = now.saturating_sub(keep);
        let is_old = |record: &Record| record.closed.unwrap_or(record.last) < oldest;
        let mut gone: Vec<String> =
            self.records.values().filter(|record| is_old(record)).map(|record| record.id.clone()).collect();
        for id in &gone {
            self.take(id);
        }
        while self.records.len() > MOST_RECORDS || self.bytes > MOST_BYTES {
            let Some(first) = self.records.keys().next().cloned() else { break };
            self.take(&first);
            gone.push(first);
        }
        gone
    }
}

/// How many there may be at once, and how many bytes of them.
pub(super) const MOST_RECORDS: usize = 10_000;
const MOST_BYTES: usize = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::record;

    fn ids(shelf: &Shelf) -> Vec<&str> {
        shelf.latest_first().map(|record| &*record.id).collect()
    }

    #[test]
    fn the_old_go_when_their_time_is_over() {
        let mut shelf = Shelf::default();
        for (id, closed) in [("a", 100), ("c", 50), ("b", 300)] {
            shelf.put(Arc::new(Record { closed: Some(Duration::from_secs(closed)), ..record(id) }));
        }
        assert_eq!(ids(&shelf), ["c", "b", "a"]);
        let tidied = shelf.tidy(Duration::from_secs(200), Duration::from_secs(100));
        assert_eq!((tidied, ids(&shelf)), (vec!["c".to_owned()], vec!["b", "a"]));
        assert!(shelf.get("a").is_some() && shelf.take("a").is_some() && shelf.take("a").is_none());
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many_or_they_are_too_large() {
        let (now, keep) = (Duration::from_secs(10), Duration::from_secs(100));
        let mut shelf = Shelf::default();
        (0..=MOST_RECORDS).for_each(|number| shelf.put(Arc::new(record(&format!("{number:05}")))));
        assert_eq!(shelf.tidy(now, keep), ["00000"]);

        let mut shelf = Shelf::default();
        for id in ["a", "b", "b", "c"] {
            shelf.put(Arc::new(Record { detail: "x".repeat(MOST_BYTES / 3), ..record(id) }));
        }
        assert_eq!(shelf.tidy(now, keep), ["a"], "what was put there again counts once");
        shelf.take("b");
        shelf.take("c");
        assert_eq!(shelf.bytes, 0);
    }
}
