//! Owns what all cores know of the rounds: which is under way, what each has found, when the next may begin.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::local;
use super::subject::Key;
use super::subject::Subject;
use crate::config;
use crate::diagnosis::observation::Findings;
use crate::diagnosis::observation::Observation;
use crate::fault::Failure;

/// The rounds of this process.
#[derive(Debug)]
pub struct Board {
    settings: Settings,
    rounds: Mutex<HashMap<Key, Round>>,
    numbers: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    probes: bool,
    interval: Duration,
    wait: Duration,
}

/// The last round of one server.
#[derive(Debug)]
struct Round {
    number: u64,
    begun: Instant,
    found: watch::Receiver<Found>,
}

#[derive(Debug, Default)]
struct Found {
    observations: Arc<Vec<Observation>>,
    ended: bool,
}

impl Board {
    /// A board on which nothing stands yet.
    #[must_use]
    pub fn new(settings: &config::Diagnosis) -> Arc<Self> {
        local::remember();
        let settings = Settings { probes: settings.probes, interval: settings.probe_interval, wait: settings.wait };
        Arc::new(Self { settings, rounds: Mutex::default(), numbers: AtomicU64::new(1) })
    }

    /// Where a round is due, it begins with this call, and whoever called has to run it: what it finds goes to the report.
    pub(super) fn begin(&self, subject: &Subject, failure: &Failure, now: Instant) -> Option<Report> {
        if !self.settings.probes || !is_worth_a_round(failure) {
            return None;
        }
        let mut rounds = self.lock();
        let due = rounds.get(subject.key()).is_none_or(|last| now >= last.begun + self.settings.interval);
        if !due {
            return None;
        }
        let (report, found) = watch::channel(Found::default());
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        rounds.insert(subject.key().clone(), Round { number, begun: now, found });
        Some(Report(report))
    }

    /// What the last round of this server has found, if that is not too long ago to hold.
    pub(super) fn findings(&self, subject: &Subject, now: Instant) -> Findings {
        let rounds = self.lock();
        let Some(round) = rounds.get(subject.key()) else { return Findings::default() };
        let age = now.duration_since(round.begun);
        if age > (self.settings.interval * HOLDS_FOR).max(LEAST_HELD) {
            return Findings::default();
        }
        let found = round.found.borrow();
        Findings { observations: Arc::clone(&found.observations), under_way: !found.ended, age, round: round.number }
    }

    /// How long a failing answer may wait.
    pub(super) const fn patience(&self) -> Duration {
        self.settings.wait
    }

    /// Ends when no round of this server is under way.
    pub(super) async fn ended(&self, subject: &Subject) {
        let found = self.lock().get(subject.key()).map(|round| round.found.clone());
        if let Some(mut found) = found {
            // An error means that whoever ran the round is gone, which ends it too.
            found.wait_for(|found| found.ended).await.ok();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Round>> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a round puts what it finds. The round has ended when this is dropped.
#[derive(Debug)]
pub(super) struct Report(watch::Sender<Found>);

impl Report {
    /// Something was measured.
    pub(super) fn add(&self, observation: Observation) {
        self.0.send_modify(|found| Arc::make_mut(&mut found.observations).push(observation));
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.0.send_modify(|found| found.ended = true);
    }
}

/// What is plain from the failure alone needs no round.
fn is_worth_a_round(failure: &Failure) -> bool {
    failure.fault != crate::fault::Fault::ProxyLoop && failure.fault != crate::fault::Fault::ServerAtCapacity
}

/// For how many intervals a round's findings hold.
const HOLDS_FOR: u32 = 3;
/// And for how long at least.
const LEAST_HELD: Duration = Duration::from_secs(10);
