//! Owns what is yet to be written to the history, and what is told when it is.

use std::collections::BTreeSet;
use std::mem;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::news::News;
use super::news::What;

/// What has changed since the file was written. It names incidents and does not hold them, so that it cannot grow beyond what
/// the archive holds.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Where the history is kept; none where it is not.
    pub(super) place: Option<PathBuf>,
    /// Whether the file is to be opened anew, whatever was found before.
    pub(super) anew: bool,
    /// Whether this is the end.
    pub(super) stop: bool,
    /// Whether the file cannot be written for now, so that nobody waits for it.
    pub(super) hopeless: bool,
    changed: BTreeSet<String>,
    gone: BTreeSet<String>,
    untold: Vec<Untold>,
    count: u64,
}

#[derive(Debug)]
struct Untold {
    number: u64,
    since: Instant,
    what: What,
}

impl Pending {
    /// Nothing yet, for a history that is kept there, if one is.
    pub(super) fn of(place: Option<PathBuf>) -> Self {
        Self { place, ..Self::default() }
    }

    /// Something has become of that incident. What is to be told at once: nothing, where it can be told in a moment when it is on
    /// the disk.
    pub(super) fn note(&mut self, id: &str, what: What, now: Instant) -> Option<News> {
        if self.place.is_none() {
            return Some(News { what, stored: None });
        }
        self.change(id);
        if self.hopeless {
            return Some(News { what, stored: Some(false) });
        }
        self.untold.push(Untold { number: self.count, since: now, what });
        self.count += 1;
        None
    }

    /// That incident is to be written, where a history is kept.
    pub(super) fn change(&mut self, id: &str) {
        if self.place.is_some() {
            self.gone.remove(id);
            self.changed.insert(id.to_owned());
        }
    }

    /// Those incidents are to be removed. While the file cannot be written that is not remembered, for it could go on without end:
    /// what is too much or too old is found in the file again when it is opened.
    pub(super) fn remove(&mut self, ids: Vec<String>) {
        for id in ids {
            self.changed.remove(&id);
            if self.place.is_some() && !self.hopeless {
                self.gone.insert(id);
            }
        }
    }

    /// Whether there is something to be written.
    pub(super) fn has_work(&self) -> bool {
        !self.changed.is_empty() || !self.gone.is_empty()
    }

    /// What is to be written and to be removed, and how much has been noted so far.
    pub(super) fn take(&mut self) -> (BTreeSet<String>, BTreeSet<String>, u64) {
        (mem::take(&mut self.changed), mem::take(&mut self.gone), self.count)
    }

    /// What was noted up to there is on the disk.
    pub(super) fn stored(&mut self, up_to: u64) -> Vec<News> {
        let stored = self.untold.partition_point(|untold| untold.number < up_to);
        self.tell(stored, Some(true))
    }

    /// It cannot be written for now, and nobody is to wait for it.
    pub(super) fn despair(&mut self) -> Vec<News> {
        self.hopeless = true;
        self.gone.clear();
        self.tell(self.untold.len(), Some(false))
    }

    /// No history is kept any more.
    pub(super) fn forget(&mut self) -> Vec<News> {
        self.hopeless = false;
        self.changed.clear();
        self.gone.clear();
        self.tell(self.untold.len(), None)
    }

    /// What has waited for too long: an alarm is worth more than its copy on the disk.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<News> {
        let late = self.untold.partition_point(|untold| now.duration_since(untold.since) >= PATIENCE);
        self.tell(late, Some(false))
    }

    fn tell(&mut self, count: usize, stored: Option<bool>) -> Vec<News> {
        self.untold.drain(..count).map(|untold| News { what: untold.what, stored }).collect()
    }
}

/// How long a line waits for the disk.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::Pending;

    #[test]
    fn a_file_that_cannot_be_written_makes_nothing_grow() {
        let mut pending = Pending::of(Some("/nowhere".into()));
        pending.change("a");
        pending.remove(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!((pending.changed.len(), pending.gone.len()), (0, 2));
        pending.despair();
        pending.change("c");
        pending.remove(vec!["c".to_owned(), "d".to_owned()]);
        assert!(!pending.has_work());
    }
}
