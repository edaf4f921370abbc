//! Owns the incidents of this program, open and over, each with the operator's answer to its first failure. All cores share
//! them; the lock is taken where something has failed, and once a second. `incident` decides what opens and closes one.

mod record;
mod shelf;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use tokio::time::Instant;

pub use self::record::Answer;
pub use self::record::Found;
pub use self::record::Record;
use self::shelf::Shelf;
use crate::diagnosis::Diagnosis;
use crate::incident::Effect;
use crate::incident::Incident;
use crate::incident::Incidents;
use crate::incident::Patience;

/// Every incident that is known.
#[derive(Debug)]
pub struct Archive {
    held: Mutex<Held>,
    /// The same moment by two clocks: a wall clock that is set must neither open nor close anything.
    begin: (Instant, SystemTime),
}

#[derive(Debug)]
struct Held {
    incidents: Incidents,
    /// The first answers of those that are open.
    answers: HashMap<Arc<str>, Answer>,
    shelf: Shelf,
}

/// What has become of incidents with a failure.
#[derive(Debug)]
pub struct Noted {
    /// The incident that it belongs to.
    pub id: Arc<str>,
    /// That incident, where the failure has opened it.
    pub opened: Option<Box<Incident>>,
}

impl Archive {
    /// Without an incident yet.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        let held = Held { incidents: Incidents::new(patience), answers: HashMap::new(), shelf: Shelf::default() };
        Self { held: Mutex::new(held), begin: (Instant::now(), SystemTime::now()) }
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
        let held = self.lock();
        let open = held.incidents.open().find(|incident| *incident.id == *id);
        open.map(|incident| held.record(incident)).or_else(|| held.shelf.get(id).cloned())
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
        let opened = (effect == Effect::Opened).then(|| Box::new(incident.clone()));
        if opened.is_some()
            && let Some(answer) = held.shelf.take(&id).and_then(|before| before.answer.clone())
        {
            held.answers.insert(Arc::clone(&id), answer);
        }
        Some(Noted { id, opened })
    }

    /// Keeps the operator's answer to the failure that has opened an incident, as the members of a line. One that has come back
    /// keeps the answer that it has.
    pub fn keep_answer(&self, id: &Arc<str>, members: &str) {
        let Some(answer) = Answer::of_line(members) else { return };
        let mut held = self.lock();
        if held.incidents.open().any(|incident| incident.id == *id) {
            held.answers.entry(Arc::clone(id)).or_insert(answer);
        }
    }

    /// Closes what is over by now. `answered` tells how many requests an upstream has answered in all. To be called about once a
    /// second.
    pub fn review(&self, answered: impl FnMut(&str) -> Option<u64>) -> Vec<Incident> {
        let now = since_1970(self.now());
        let mut held = self.lock();
        if held.incidents.is_calm() {
            return Vec::new();
        }
        let closed = held.incidents.review(now, answered);
        for incident in &closed {
            let answer = held.answers.remove(&incident.id);
            held.shelf.put(Arc::new(Record::of(incident, answer)));
        }
        if !closed.is_empty() {
            held.shelf.tidy(now, KEEP);
        }
        closed
    }

    fn now(&self) -> SystemTime {
        self.begin.1 + self.begin.0.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn record(&self, incident: &Incident) -> Arc<Record> {
        Arc::new(Record::of(incident, self.answers.get(&incident.id).cloned()))
    }
}

fn since_1970(now: SystemTime) -> Duration {
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// How long one that is over is known.
const KEEP: Duration = Duration::from_secs(90 * 24 * 60 * 60);

#[cfg(test)]
mod tests;
