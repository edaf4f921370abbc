//! Owns the incidents of this program, open and over, each with the operator's answer to the failure that shows it best. All cores
//! share them; the lock is taken where something has failed, and once a second. `incident` decides what opens and closes one.
//!
//! Where a history is configured, one thread (`keeper`) writes them to a file, and the lines that tell of an incident's beginning
//! and end wait until it is on the disk, for a second at most; each says which it was.

mod file;
mod keeper;
mod news;
mod pending;
mod record;
mod shelf;
mod upkeep;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use tokio::time::Instant;

pub use self::keeper::Keeper;
pub use self::news::News;
use self::news::What;
use self::pending::Pending;
pub use self::record::Answer;
pub use self::record::Found;
pub use self::record::Record;
use self::shelf::Shelf;
use crate::config;
use crate::diagnosis::Diagnosis;
use crate::incident::Effect;
use crate::incident::Incident;
use crate::incident::Incidents;
use crate::incident::Patience;

/// Every incident that is known.
#[derive(Debug)]
pub struct Archive {
    held: Mutex<Held>,
    /// Wakes the keeper.
    stirred: Condvar,
    /// The same moment by two clocks: a wall clock that is set must neither open nor close anything.
    begin: (Instant, SystemTime),
}

#[derive(Debug)]
struct Held {
    incidents: Incidents,
    /// The answers to the failures that those that are open go by.
    answers: HashMap<Arc<str>, Answer>,
    shelf: Shelf,
    /// How long those are kept that are over.
    keep: Duration,
    /// Whether one that is open has had more failures since it was written.
    grown: bool,
    pending: Pending,
}

/// What has become of incidents with a failure.
#[derive(Debug)]
pub struct Noted {
    /// The incident that it belongs to.
    pub id: Arc<str>,
    /// Whether the incident goes by this failure: it has opened it, or shows more clearly what it is.
    pub goes_by_it: bool,
    /// What is to be told of that at once.
    pub news: Option<News>,
}

impl Archive {
    /// Without an incident yet. Where there is a history, a keeper has to be started.
    #[must_use]
    pub fn new(settings: &config::Incidents, patience: Patience) -> Self {
        let held = Held {
            incidents: Incidents::new(patience),
            answers: HashMap::new(),
            shelf: Shelf::default(),
            keep: settings.keep,
            grown: false,
            pending: Pending::of(settings.history.clone()),
        };
        Self { held: Mutex::new(held), stirred: Condvar::new(), begin: (Instant::now(), SystemTime::now()) }
    }

    /// Goes by other settings. Another file gets all that is known; one that could not be used is tried again.
    pub fn configure(&self, settings: &config::Incidents) {
        let mut held = self.lock();
        held.keep = settings.keep;
        if held.pending.place != settings.history || held.pending.hopeless {
            held.pending.place.clone_from(&settings.history);
            held.pending.anew = true;
        }
        let now = since_1970(self.now());
        held.tidy(now, settings.keep);
        drop(held);
        self.stirred.notify_one();
    }

    /// Those of that upstream, or of all: the open ones and then those that are over, the latest first, so many at most.
    #[must_use]
    pub fn list(&self, upstream: Option<&str>, limit: usize) -> Vec<Arc<Record>> {
        let held = self.lock();
        let wanted = |name: &str| upstream.is_none_or(|upstream| upstream == name);
        let open = held.incidents.open().filter(|incident| wanted(&incident.upstream));
        let mut open: Vec<_> = open.map(|incident| held.record(incident)).collect();
        open.sort_by_key(|record| Reverse(record.opened));
        let over = held.shelf.latest_first().filter(|record| wanted(&record.upstream));
        open.into_iter().chain(over.cloned()).take(limit).collect()
    }

    /// The incident of that id, where it is still known.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<Record>> {
        self.lock().find(id)
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.lock().incidents.open().count()
    }

    /// A failure has reached a client. `id` names the incident where this opens one. None where there are too many to keep one
    /// more.
    pub fn failed(
        &self,
        upstream: &Arc<str>,
        diagnosis: &Diagnosis,
        id: impl FnOnce(SystemTime) -> Arc<str>,
    ) -> Option<Noted> {
        let now = self.now();
        let mut held = self.lock();
        let (effect, incident) = held.incidents.failed(upstream, diagnosis, since_1970(now), || id(now))?;
        let id = Arc::clone(&incident.id);
        if effect != Effect::Opened {
            held.grown = true;
            return Some(Noted { id, goes_by_it: effect == Effect::Clarified, news: None });
        }
        let opened = What::Opened(Box::new(incident.clone()));
        // One that has come back goes by what it went by before.
        let before = held.shelf.take(&id).and_then(|before| before.answer.clone());
        let goes_by_it = before.is_none();
        if let Some(answer) = before {
            held.answers.insert(Arc::clone(&id), answer);
        }
        let news = held.pending.note(&id, opened, Instant::now());
        drop(held);
        self.stirred.notify_one();
        Some(Noted { id, goes_by_it, news })
    }

    /// Keeps the operator's answer to the failure that an incident goes by, as the members of a line.
    pub fn keep_answer(&self, id: &Arc<str>, members: &str) {
        let Some(answer) = Answer::of_line(members) else { return };
        let mut held = self.lock();
        if held.incidents.open().any(|incident| incident.id == *id) {
            held.answers.insert(Arc::clone(id), answer);
            held.pending.change(id);
            drop(held);
            self.stirred.notify_one();
        }
    }

    /// Closes what is over by now; what is to be told at once, of that and of what has waited for the disk for too long. `answered`
    /// tells how many requests an upstream has answered in all. To be called about once a second.
    pub fn review(&self, answered: impl FnMut(&str) -> Option<u64>) -> Vec<News> {
        let now = since_1970(self.now());
        let mut held = self.lock();
        let mut news = held.pending.overdue(Instant::now());
        let closed = if held.incidents.is_calm() { Vec::new() } else { held.incidents.review(now, answered) };
        if closed.is_empty() {
            return news;
        }
        for incident in closed {
            let answer = held.answers.remove(&incident.id);
            held.shelf.put(Arc::new(Record::of(&incident, answer)));
            let id = Arc::clone(&incident.id);
            news.extend(held.pending.note(&id, What::Closed(Box::new(incident)), Instant::now()));
        }
        let keep = held.keep;
        held.tidy(now, keep);
        drop(held);
        self.stirred.notify_one();
        news
    }

    fn now(&self) -> SystemTime {
        self.begin.1 + self.begin.0.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn find(&self, id: &str) -> Option<Arc<Record>> {
        let open = self.incidents.open().find(|incident| *incident.id == *id);
        open.map(|incident| self.record(incident)).or_else(|| self.shelf.get(id).cloned())
    }

    /// Lets go of those that are too old or too many.
    fn tidy(&mut self, now: Duration, keep: Duration) {
        let gone = self.shelf.tidy(now, keep);
        self.pending.remove(gone);
    }

    fn record(&self, incident: &Incident) -> Arc<Record> {
        Arc::new(Record::of(incident, self.answers.get(&incident.id).cloned()))
    }
}

fn since_1970(now: SystemTime) -> Duration {
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests;
