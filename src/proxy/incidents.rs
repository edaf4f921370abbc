//! Owns the incidents of the running program: all cores share them, and the clock that they go by.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use tokio::time::Instant;

use crate::diagnosis::Diagnosis;
use crate::incident::Effect;
use crate::incident::Incident;
use crate::incident::Incidents;
use crate::incident::Patience;
use crate::proxy::Proxy;
use crate::proxy::request_id::RequestId;
use crate::proxy::state::State;
use crate::telemetry::Event;
use crate::upstream;

/// The incidents of this process. The lock is taken where something has failed, and once a second.
#[derive(Debug)]
pub struct Ledger {
    incidents: Mutex<Incidents>,
    /// The same moment by two clocks: a wall clock that is set must neither open nor close anything.
    begin: (Instant, SystemTime),
}

impl Ledger {
    /// Without an incident yet.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        Self { incidents: Mutex::new(Incidents::new(patience)), begin: (Instant::now(), SystemTime::now()) }
    }

    /// Those that are open, the oldest first, and then those that are over, the latest first.
    #[must_use]
    pub fn all(&self) -> Vec<Incident> {
        self.lock().all().cloned().collect()
    }

    /// The incident of that id, where it is still known.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Incident> {
        self.lock().find_id(id).cloned()
    }

    fn now(&self) -> SystemTime {
        self.begin.1 + self.begin.0.elapsed()
    }

    /// A failure has reached a client: the id of the incident that it belongs to, and the incident where it opened one.
    fn failed(&self, upstream: &Arc<str>, diagnosis: &Diagnosis) -> Option<(Arc<str>, Option<Box<Incident>>)> {
        let now = self.now();
        let mut incidents = self.lock();
        let (effect, incident) =
            incidents.failed(upstream, diagnosis, since_1970(now), || RequestId::new(now).as_str().into())?;
        let opened = (effect == Effect::Opened).then(|| Box::new(incident.clone()));
        Some((Arc::clone(&incident.id), opened))
    }

    /// What is over by now.
    fn review(&self, upstreams: &[Arc<upstream::Shared>]) -> Vec<Incident> {
        let mut incidents = self.lock();
        if incidents.is_calm() {
            return Vec::new();
        }
        let of = |name: &str| upstreams.iter().find(|upstream| *upstream.settings.name == *name);
        incidents.review(since_1970(self.now()), |name| of(name).map(|upstream| upstream.successes()))
    }

    fn lock(&self) -> MutexGuard<'_, Incidents> {
        self.incidents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// The incident that a failure belongs to which a client has seen. Where it is the first, the log says so.
    pub(super) fn incident(&self, state: &State, upstream: &Arc<str>, diagnosis: &Diagnosis) -> Option<Arc<str>> {
        let (id, opened) = state.shared.incidents.failed(upstream, diagnosis)?;
        if let Some(incident) = opened {
            self.telemetry.record(Event::IncidentOpened((&*incident).into()));
        }
        Some(id)
    }

    /// Closes incidents that are over, and tells so; to be called about once a second.
    pub fn review_incidents(&self) {
        let state = self.state();
        for incident in state.shared.incidents.review(&state.shared.upstreams) {
            self.telemetry.record(Event::IncidentClosed((&incident).into()));
        }
    }
}

fn since_1970(now: SystemTime) -> Duration {
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}
