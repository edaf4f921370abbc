//! Owns what the keeper and the archive have to do with each other: what is to be written next, what has been, and what the file
//! held before.

use std::collections::BTreeSet;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::Archive;
use super::Held;
use super::Record;
use super::file::Contents;
use super::keeper::Order;
use super::news::News;
use super::news::What;
use super::since_1970;

/// What goes into the file in one step.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) records: Vec<Arc<Record>>,
    pub(super) gone: BTreeSet<String>,
    /// How much had been noted when it was put together.
    up_to: u64,
}

impl Archive {
    /// Waits until there is something to do: something to write where that is possible, another file, the end; or until that time,
    /// and about every five seconds while something is open.
    pub(super) fn wait(&self, until: Option<Instant>, can_write: bool) -> Order {
        let mut held = self.lock();
        let rounds = if held.incidents.is_calm() { SELDOM } else { OFTEN };
        let end = Instant::now() + rounds;
        let end = until.map_or(end, |until| until.min(end));
        loop {
            let due = held.pending.anew || held.pending.stop || (can_write && held.pending.has_work());
            let left = end.saturating_duration_since(Instant::now());
            if due || left.is_zero() {
                break;
            }
            let woken = self.stirred.wait_timeout(held, left);
            held = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        if held.pending.stop || end <= Instant::now() {
            held.note_growth();
            let (now, keep) = (since_1970(self.now()), held.keep);
            held.tidy(now, keep);
        }
        let anew = std::mem::take(&mut held.pending.anew);
        Order { place: held.pending.place.clone(), anew, stop: held.pending.stop }
    }

    /// What is to be written now.
    pub(super) fn batch(&self) -> Option<Batch> {
        let mut held = self.lock();
        if !held.pending.has_work() {
            return None;
        }
        let (changed, gone, up_to) = held.pending.take();
        let records = changed.iter().filter_map(|id| held.find(id)).collect();
        Some(Batch { records, gone, up_to })
    }

    /// That is on the disk; what can be told now.
    pub(super) fn written(&self, batch: &Batch) -> Vec<News> {
        self.lock().pending.stored(batch.up_to)
    }

    /// That is not on the disk, and has to be tried again.
    pub(super) fn put_back(&self, batch: Batch) {
        let mut held = self.lock();
        batch.records.iter().for_each(|record| held.pending.change(&record.id));
        held.pending.remove(batch.gone.into_iter().collect());
    }

    /// The file cannot be written for now; what is told without it.
    pub(super) fn despair(&self) -> Vec<News> {
        self.lock().pending.despair()
    }

    /// There is no file any more; what is told without one.
    pub(super) fn forget(&self) -> Vec<News> {
        self.lock().pending.forget()
    }

    pub(super) fn stop(&self) {
        self.lock().pending.stop = true;
        self.stirred.notify_one();
    }

    /// Takes over what the file holds, and has it get what it does not. What is open in it was seen by a process that has ended, and
    /// is over as of its last failure: nobody has looked since.
    pub(super) fn take_in(&self, contents: Contents) {
        let now = Instant::now();
        let today = since_1970(self.now());
        let mut held = self.lock();
        held.pending.hopeless = false;
        let there: HashSet<String> = contents.records.iter().map(|record| record.id.clone()).collect();
        for mut record in contents.records {
            if held.find(&record.id).is_some() {
                // This process knows better.
                held.pending.change(&record.id);
            } else if record.closed.is_none() {
                record.closed = Some(record.last);
                record.cut_short = true;
                let record = Arc::new(record);
                held.shelf.put(Arc::clone(&record));
                let id = record.id.clone();
                // It waits to be told until it is stored, for there is a history.
                held.pending.note(&id, What::CutShort(record), now);
            } else {
                held.shelf.put(Arc::new(record));
            }
        }
        held.pending.remove(contents.surplus);
        let missing: Vec<String> = held.ids().filter(|id| !there.contains(*id)).map(str::to_owned).collect();
        for id in missing {
            held.pending.change(&id);
        }
        let keep = held.keep;
        held.tidy(today, keep);
    }
}

impl Held {
    /// Every incident that is known.
    fn ids(&self) -> impl Iterator<Item = &str> {
        self.incidents.open().map(|incident| &*incident.id).chain(self.shelf.latest_first().map(|record| &*record.id))
    }

    /// Has what is open written as it is now, where it has grown.
    fn note_growth(&mut self) {
        if std::mem::take(&mut self.grown) {
            let open: Vec<Arc<str>> = self.incidents.open().map(|incident| Arc::clone(&incident.id)).collect();
            for id in open {
                self.pending.change(&id);
            }
        }
    }
}

/// How often the count of an open incident is written, and how often old ones are looked for.
const OFTEN: Duration = Duration::from_secs(5);
const SELDOM: Duration = Duration::from_secs(60 * 60);
