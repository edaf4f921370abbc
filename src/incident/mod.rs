//! Owns incidents: runs of failures of one upstream with one cause, opened by the first that reaches a client and closed when
//! the upstream has answered well for a while. Pure: times and ids are given from outside.
//!
//! - A failure with the cause of an open incident belongs to it.
//! - While an incident is young, its cause is a guess that checks may still correct: a failure with another cause belongs to it
//!   too, and the surest diagnosis names it, its evidence with it. Later, another cause is an incident of its own.
//! - It closes after a calm time without a failure in which the upstream has answered a few requests. Where nobody asks, nobody
//!   knows; such an incident closes too, after a much longer time, for one that stays open for ever helps nobody.
//! - One that comes back soon after it was closed is the same incident, and takes twice the calm to close again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::diagnosis::Cause;
use crate::diagnosis::Diagnosis;
use crate::diagnosis::Evidence;
use crate::fault::Fault;

/// One run of failures. Times are since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Its id, a ULID.
    pub id: Arc<str>,
    /// The upstream that failed.
    pub upstream: Arc<str>,
    /// The likeliest cause.
    pub cause: Cause,
    /// How sure that is, from 0.0 to 1.0.
    pub confidence: f64,
    /// What was observed first.
    pub fault: Fault,
    /// One sentence for the operator, of the failure that its cause is from.
    pub detail: String,
    /// What spoke for the cause then.
    pub evidence: Vec<Evidence>,
    /// When it began.
    pub opened: Duration,
    /// When the last failure came.
    pub last: Duration,
    /// When it was over; none while it is not.
    pub closed: Option<Duration>,
    /// Failures that reached clients.
    pub count: u64,
    /// The same by fault, in the order in which each was first met.
    pub faults: Vec<(Fault, u64)>,
    /// How often it came back after it had been closed.
    pub returns: u32,
    /// Causes that it was held to have, the present one among them.
    causes: Vec<Cause>,
    /// How long it has to be calm.
    calm: Duration,
    /// What the upstream had answered in all when it last failed; none until that is known.
    answered: Option<u64>,
}

/// How patient incidents are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long after its beginning an incident's cause may still be corrected.
    pub young: Duration,
    /// How long an upstream has to answer without a failure.
    pub calm: Duration,
    /// The longest that this grows to where an incident keeps coming back.
    pub longest_calm: Duration,
    /// How long nothing may be heard of an upstream at all.
    pub silence: Duration,
    /// How soon after its end an incident may come back.
    pub back: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Self {
            young: Duration::from_secs(15),
            calm: Duration::from_secs(30),
            longest_calm: minutes(10),
            silence: minutes(15),
            back: minutes(5),
        }
    }
}

/// What has become of incidents with a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It opened one, or one that was closed is open again.
    Opened,
    /// It belongs to one that is open.
    Joined,
    /// The same, and it is so much clearer than what was known that the incident goes by its diagnosis from now on.
    Clarified,
}

/// Those that are open, and the last of those that were.
#[derive(Debug, Default)]
pub struct Incidents {
    patience: Patience,
    open: Vec<Incident>,
    over: VecDeque<Incident>,
}

impl Incidents {
    /// None yet.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        Self { patience, ..Self::default() }
    }

    /// A failure of this upstream has reached a client. `id` names the incident where this opens one. None where there are too
    /// many to keep one more.
    pub fn failed(
        &mut self,
        upstream: &Arc<str>,
        diagnosis: &Diagnosis,
        now: Duration,
        id: impl FnOnce() -> Arc<str>,
    ) -> Option<(Effect, &Incident)> {
        if let Some(at) = self.find(upstream, diagnosis, now) {
            let young = self.patience.young;
            let incident = self.open.get_mut(at)?;
            let effect = incident.extend(diagnosis, now, young);
            return Some((effect, incident));
        }
        if self.open.len() >= MOST_OPEN {
            return None;
        }
        let incident = match self.back(upstream, diagnosis.cause, now) {
            Some(mut incident) => {
                incident.extend(diagnosis, now, Duration::ZERO);
                incident
            }
            None => Incident::open(id(), upstream, diagnosis, now, self.patience.calm),
        };
        self.open.push(incident);
        self.open.last().map(|incident| (Effect::Opened, incident))
    }

    /// Closes what is over. `answered` tells how many requests an upstream has answered in all. To be called about once a second.
    pub fn review(&mut self, now: Duration, mut answered: impl FnMut(&str) -> Option<u64>) -> Vec<Incident> {
        let mut closed = Vec::new();
        let silence = self.patience.silence;
        for incident in &mut self.open {
            let quiet = now.saturating_sub(incident.last);
            let well = answered(&incident.upstream).is_none_or(|sum| {
                // A sum that has gone back is that of another upstream of the same name, which begins anew.
                let before = incident.answered.get_or_insert(sum);
                *before = if sum < *before { 0 } else { *before };
                quiet >= incident.calm && sum - *before >= ANSWERS
            });
            if well || quiet >= silence.max(incident.calm) {
                incident.closed = Some(now);
                closed.push(incident.clone());
            }
        }
        self.open.retain(|incident| incident.closed.is_none());
        self.over.extend(closed.iter().cloned());
        let spare = self.over.len().saturating_sub(MOST_KEPT);
        self.over.drain(..spare);
        closed
    }

    /// Whether none is open, so that there is nothing to review.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.open.is_empty()
    }

    /// Those that are open, the oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Incident> {
        self.open.iter()
    }

    /// The open incident that a failure belongs to: the one that has or had its cause; or else one that is young; or one that
    /// goes on with the same fault, of which more is known by now.
    fn find(&self, upstream: &str, diagnosis: &Diagnosis, now: Duration) -> Option<usize> {
        let (cause, young) = (diagnosis.cause, self.patience.young);
        let of_upstream = || self.open.iter().enumerate().filter(|(_, incident)| *incident.upstream == *upstream);
        let same = of_upstream().find(|(_, incident)| incident.cause == cause);
        let same = same.or_else(|| of_upstream().find(|(_, incident)| incident.causes.contains(&cause)));
        let goes_on =
            |incident: &Incident| incident.is_young(now, young) || incident.goes_on(diagnosis.fault, now, young);
        same.or_else(|| of_upstream().rfind(|(_, incident)| goes_on(incident))).map(|(at, _)| at)
    }

    /// The incident of this cause that was closed a short while ago, no longer closed. One that goes by the name of another that is
    /// open does not come back: two of one cause would be one too many.
    fn back(&mut self, upstream: &str, cause: Cause, now: Duration) -> Option<Incident> {
        let Patience { back, longest_calm, .. } = self.patience;
        let lately = |incident: &Incident| incident.closed.is_some_and(|closed| now <= closed + back);
        let of_upstream = |incident: &Incident| *incident.upstream == *upstream;
        let is_open = |cause: Cause| self.open.iter().any(|open| of_upstream(open) && open.cause == cause);
        let is_back = |incident: &Incident| {
            of_upstream(incident) && incident.causes.contains(&cause) && lately(incident) && !is_open(incident.cause)
        };
        let at = self.over.iter().rposition(is_back)?;
        let mut incident = self.over.remove(at)?;
        incident.closed = None;
        incident.returns = incident.returns.saturating_add(1);
        incident.calm = (incident.calm * 2).min(longest_calm).max(incident.calm);
        Some(incident)
    }
}

impl Incident {
    fn open(id: Arc<str>, upstream: &Arc<str>, diagnosis: &Diagnosis, now: Duration, calm: Duration) -> Self {
        Self {
            id,
            upstream: Arc::clone(upstream),
            cause: diagnosis.cause,
            confidence: diagnosis.confidence,
            fault: diagnosis.fault,
            detail: diagnosis.detail.clone(),
            evidence: diagnosis.evidence.clone(),
            opened: now,
            last: now,
            closed: None,
            count: 1,
            faults: vec![(diagnosis.fault, 1)],
            returns: 0,
            causes: vec![diagnosis.cause],
            calm,
            answered: None,
        }
    }

    fn extend(&mut self, diagnosis: &Diagnosis, now: Duration, young: Duration) -> Effect {
        let goes_on = self.is_young(now, young) || self.goes_on(diagnosis.fault, now, young);
        self.last = self.last.max(now);
        self.answered = None;
        self.count += 1;
        match self.faults.iter_mut().find(|(fault, _)| *fault == diagnosis.fault) {
            Some((_, count)) => *count += 1,
            None => self.faults.push((diagnosis.fault, 1)),
        }
        if !self.causes.contains(&diagnosis.cause) {
            self.causes.push(diagnosis.cause);
        }
        let margin = if diagnosis.cause == self.cause { CLEARLY } else { 0.0 };
        if !goes_on || diagnosis.confidence <= self.confidence + margin {
            return Effect::Joined;
        }
        self.cause = diagnosis.cause;
        self.confidence = diagnosis.confidence;
        self.detail.clone_from(&diagnosis.detail);
        self.evidence.clone_from(&diagnosis.evidence);
        Effect::Clarified
    }

    /// Whether it has hardly paused, and has met this fault before.
    fn goes_on(&self, fault: Fault, now: Duration, pause: Duration) -> bool {
        now < self.last + pause && self.faults.iter().any(|(known, _)| *known == fault)
    }

    fn is_young(&self, now: Duration, young: Duration) -> bool {
        self.returns == 0 && now < self.opened + young
    }
}

/// How many answers make a recovery, and not an accident.
const ANSWERS: u64 = 3;
/// By how much a diagnosis with the same cause has to be surer to be told in the place of the first: no failure in a long row
/// should rewrite what all the others say as well.
const CLEARLY: f64 = 0.05;
/// How many can be open at once, and how many are kept when they are over.
const MOST_OPEN: usize = 256;
const MOST_KEPT: usize = 256;

#[cfg(test)]
mod tests;
