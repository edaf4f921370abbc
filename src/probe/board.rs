//! Owns what all cores know of the rounds: which is under way, what each has found, when the next may begin.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;

use super::local;
use super::ourselves::Ourselves;
use super::subject::Key;
use super::subject::Subject;
use crate::config;
use crate::diagnosis::observation::Findings;
use crate::diagnosis::observation::Observation;
use crate::fault::Failure;
use crate::fault::Fault;

/// The rounds of this process.
#[derive(Debug)]
pub struct Board {
    settings: ArcSwap<Settings>,
    ourselves: ArcSwap<Ourselves>,
    rounds: Mutex<HashMap<Key, Round>>,
    numbers: AtomicU64,
    /// Rounds that have ended and that nobody has told of yet.
    ended: Mutex<VecDeque<Ended>>,
}

/// A round that has ended, for whoever tells of it.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its number in this process, from 1.
    pub number: u64,
    /// The upstream that it was begun for.
    pub upstream: Arc<str>,
    /// The server's URL, as configured.
    pub server: Arc<str>,
    /// The fault that it was begun for.
    pub fault: Fault,
    /// How long it took.
    pub elapsed: Duration,
    /// What it found.
    pub observations: Arc<Vec<Observation>>,
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    probes: bool,
    interval: Duration,
    wait: Duration,
}

impl From<&config::Diagnosis> for Settings {
    fn from(settings: &config::Diagnosis) -> Self {
        Self { probes: settings.probes, interval: settings.probe_interval, wait: settings.wait }
    }
}

/// The last round of one server.
#[derive(Debug)]
struct Round {
    number: u64,
    begun: Instant,
    found: watch::Receiver<Found>,
    /// What the one before it had found: that holds until this one has ended, so that nobody knows less in the meantime.
    before: Option<(Instant, u64, Arc<Vec<Observation>>)>,
}

#[derive(Debug, Default)]
struct Found {
    observations: Arc<Vec<Observation>>,
    ended: bool,
}

impl Board {
    /// A board on which nothing stands yet.
    #[must_use]
    pub fn new(settings: &config::Diagnosis, ourselves: Ourselves) -> Arc<Self> {
        local::remember();
        Arc::new(Self {
            settings: ArcSwap::from_pointee(settings.into()),
            ourselves: ArcSwap::from_pointee(ourselves),
            rounds: Mutex::default(),
            numbers: AtomicU64::new(1),
            ended: Mutex::default(),
        })
    }

    /// Goes on with other settings, in another place, and with servers of which some may be gone.
    pub fn renew(&self, settings: &config::Diagnosis, ourselves: Ourselves, remains: impl Fn(&str) -> bool) {
        self.settings.store(Arc::new(settings.into()));
        self.ourselves.store(Arc::new(ourselves));
        self.lock().retain(|Key(server), _| remains(server));
    }

    /// The rounds that have ended since the last call, on whichever core, in the order in which they did.
    #[must_use]
    pub fn take_ended(&self) -> Vec<Ended> {
        self.lock_ended().drain(..).collect()
    }

    /// Remembers what a later round compares with.
    pub(super) fn remember(&self) {
        if self.settings.load().probes {
            local::remember();
        }
    }

    /// This process, as its probes have to know it.
    pub(super) fn ourselves(&self) -> Arc<Ourselves> {
        self.ourselves.load_full()
    }

    /// Where a round is due, it begins with this call, and whoever called has to run it: what it finds goes to the report.
    pub(super) fn begin(self: &Arc<Self>, subject: &Subject, failure: &Failure, now: Instant) -> Option<Report> {
        let settings = self.settings.load();
        if !settings.probes || !is_worth_a_round(failure) {
            return None;
        }
        let mut rounds = self.lock();
        let due = rounds.get(subject.key()).is_none_or(|last| now >= last.begun + settings.interval);
        if !due {
            return None;
        }
        let (report, found) = watch::channel(Found::default());
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let before = rounds.remove(subject.key()).map(|last| {
            let observations = Arc::clone(&last.found.borrow().observations);
            (last.begun, last.number, observations)
        });
        rounds.insert(subject.key().clone(), Round { number, begun: now, found, before });
        let Key(server) = subject.key().clone();
        let story = Ended {
            number,
            upstream: Arc::clone(&subject.upstream.settings.name),
            server,
            fault: failure.fault,
            elapsed: Duration::ZERO,
            observations: Arc::default(),
        };
        Some(Report { found: report, begun: now, story, board: Some(Arc::clone(self)) })
    }

    /// What the last round of this server has found, if that is not too long ago to hold.
    pub(super) fn findings(&self, subject: &Subject, now: Instant) -> Findings {
        let rounds = self.lock();
        let Some(round) = rounds.get(subject.key()) else { return Findings::default() };
        let found = round.found.borrow();
        let now_known = (round.begun, round.number, Arc::clone(&found.observations));
        let before = round.before.clone().filter(|(begun, ..)| !found.ended && self.holds(*begun, now));
        let (begun, round, observations) = before.unwrap_or(now_known);
        if !self.holds(begun, now) {
            return Findings::default();
        }
        Findings { observations, under_way: !found.ended, age: now.duration_since(begun), round }
    }

    /// Whether what was found in a round that began then still holds.
    fn holds(&self, begun: Instant, now: Instant) -> bool {
        now.duration_since(begun) <= (self.settings.load().interval * HOLDS_FOR).max(LEAST_HELD)
    }

    /// How long a failing answer may wait.
    pub(super) fn patience(&self) -> Duration {
        self.settings.load().wait
    }

    /// Ends when no round of this server is under way; at once, where what the one before it has found still holds.
    pub(super) async fn ended(&self, subject: &Subject, now: Instant) {
        let found = self.lock().get(subject.key()).and_then(|round| {
            let known = round.before.as_ref().is_some_and(|(begun, ..)| self.holds(*begun, now));
            (!known).then(|| round.found.clone())
        });
        if let Some(mut found) = found {
            // An error means that whoever ran the round is gone, which ends it too.
            found.wait_for(|found| found.ended).await.ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Round>> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_ended(&self) -> MutexGuard<'_, VecDeque<Ended>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a round puts what it finds. The round has ended when this is dropped.
#[derive(Debug)]
pub(super) struct Report {
    found: watch::Sender<Found>,
    begun: Instant,
    story: Ended,
    board: Option<Arc<Board>>,
}

impl Report {
    /// Something was measured.
    pub(super) fn add(&self, observation: Observation) {
        self.found.send_modify(|found| {
            if found.observations.len() < MOST_OBSERVATIONS {
                Arc::make_mut(&mut found.observations).push(observation);
            }
        });
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.found.send_modify(|found| found.ended = true);
        let Some(board) = self.board.take() else { return };
        let observations = Arc::clone(&self.found.borrow().observations);
        let mut ended = board.lock_ended();
        if ended.len() == MOST_UNTOLD {
            ended.pop_front();
        }
        ended.push_back(Ended { elapsed: self.begun.elapsed(), observations, ..self.story.clone() });
    }
}

/// What is plain from the failure alone needs no round.
fn is_worth_a_round(failure: &Failure) -> bool {
    failure.fault != Fault::ProxyLoop && failure.fault != Fault::ServerAtCapacity
}

/// For how many intervals a round's findings hold.
const HOLDS_FOR: u32 = 3;
/// And for how long at least.
const LEAST_HELD: Duration = Duration::from_secs(10);
/// More than the checks of one round can find.
const MOST_OBSERVATIONS: usize = 128;
/// How many rounds wait to be told of, where nobody does.
const MOST_UNTOLD: usize = 64;

#[cfg(test)]
impl Report {
    /// A report that belongs to no board.
    pub(super) fn alone() -> Self {
        let story = Ended {
            number: 1,
            upstream: "app".into(),
            server: "http://app".into(),
            fault: Fault::ConnectionRefused,
            elapsed: Duration::ZERO,
            observations: Arc::default(),
        };
        Self { found: watch::Sender::new(Found::default()), begun: Instant::now(), story, board: None }
    }

    /// What was put into it so far.
    pub(super) fn found(&self) -> Vec<Observation> {
        self.found.borrow().observations.to_vec()
    }
}
