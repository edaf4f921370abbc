//! Owns the incidents that a log tells of: by their lines, and by the failures that carry their ids where a line is missing.

use std::collections::HashMap;

use super::at::At;
use super::entry::Details;
use super::entry::Failure;
use super::entry::Incident as Told;

/// One incident, as far as the log tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Its id.
    pub id: Box<str>,
    /// The upstream.
    pub upstream: Box<str>,
    /// The likeliest cause: the last that it was closed with, or else the first that was told.
    pub cause: Box<str>,
    /// When it began; none where that line is missing.
    pub opened: Option<At>,
    /// How many failures reached clients, by its closing line.
    pub told: Option<u64>,
    /// How many of those lines were read.
    pub seen: u64,
    /// The first and the last that was read of it, of whatever kind.
    pub span: (At, At),
    /// What it was known by first.
    pub details: Details,
    details_at: At,
    /// Whether the line that names the cause closes it, and how late or, where it does not, how early it is.
    cause_by: (bool, i64),
    /// When the last line was told that opens or closes it, and when it was over by that.
    turned: Option<(At, Option<At>)>,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Incidents {
    all: HashMap<Box<str>, Incident>,
    /// How many lines told of one for which there was no room.
    pub(super) beyond: u64,
}

impl Incident {
    /// When it began, as far as is known.
    #[must_use]
    pub fn begin(&self) -> At {
        self.opened.unwrap_or(self.span.0)
    }

    /// When it was over; none where that line is missing, or where it has come back and goes on.
    #[must_use]
    pub fn closed(&self) -> Option<At> {
        self.turned.and_then(|(_, closed)| closed)
    }

    /// How many failures reached clients, as far as is known.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.told.unwrap_or_default().max(self.seen)
    }

    fn note(&mut self, at: At) {
        self.span = (self.span.0.min(at), self.span.1.max(at));
    }

    fn learn(&mut self, at: At, details: Details) {
        let tells_more = self.details.evidence.is_empty() && self.details.detail.is_empty();
        let is_earlier = at < self.details_at && !(details.evidence.is_empty() && details.detail.is_empty());
        if tells_more || is_earlier {
            (self.details, self.details_at) = (details, at);
        }
    }

    fn name(&mut self, cause: &str, by: (bool, i64)) {
        if (by, cause) > (self.cause_by, &*self.cause) {
            (self.cause, self.cause_by) = (cause.into(), by);
        }
    }

    fn merge(&mut self, other: Self) {
        self.name(&other.cause, other.cause_by);
        self.opened = earlier(self.opened, other.opened);
        self.turned = self.turned.max(other.turned);
        self.told = self.told.max(other.told);
        self.seen += other.seen;
        self.note(other.span.0);
        self.note(other.span.1);
        self.learn(other.details_at, other.details);
    }
}

impl Incidents {
    /// A failure that belongs to one.
    pub(super) fn failed(&mut self, at: At, failure: &Failure<'_>, details: impl FnOnce() -> Details) {
        let Some(id) = failure.incident.as_deref() else { return };
        let is_new = !self.all.contains_key(id);
        if let Some(incident) = self.named(id, &failure.upstream, &failure.cause, at) {
            incident.seen += u64::from(!failure.retried);
            incident.name(&failure.cause, said(at));
            incident.note(at);
            if is_new {
                incident.learn(at, details());
            }
        }
    }

    /// The line that opens or closes one.
    pub(super) fn told(&mut self, at: At, told: &Told<'_>, details: Details) {
        if let Some(incident) = self.named(&told.id, &told.upstream, &told.cause, at) {
            incident.opened = earlier(incident.opened, told.opened);
            incident.turned = incident.turned.max(Some((at, told.closed)));
            incident.told = incident.told.max(told.count);
            // What is known at the end is the best cause there is.
            incident.name(&told.cause, if told.closed.is_some() { (true, at.0) } else { said(at) });
            incident.note(at);
            incident.learn(at, details);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.beyond += other.beyond;
        for (id, theirs) in other.all {
            if let Some(ours) = self.all.get_mut(&id) {
                ours.merge(theirs);
            } else if self.all.len() < MOST_INCIDENTS {
                self.all.insert(id, theirs);
            } else {
                self.beyond += theirs.seen.max(1);
            }
        }
    }

    /// Those that were going on at some time within these limits, in the order in which they began.
    pub(super) fn within(&self, since: Option<At>, until: Option<At>) -> Vec<&Incident> {
        let ended = |incident: &Incident| incident.closed().unwrap_or(incident.span.1);
        let goes_on = |incident: &&Incident| {
            since.is_none_or(|since| ended(incident) >= since) && until.is_none_or(|until| incident.begin() < until)
        };
        let mut all: Vec<&Incident> = self.all.values().filter(goes_on).collect();
        all.sort_by_key(|incident| (incident.begin(), &incident.id));
        all
    }

    pub(super) fn get(&self, id: &str) -> Option<&Incident> {
        self.all.get(id)
    }

    fn named(&mut self, id: &str, upstream: &str, cause: &str, at: At) -> Option<&mut Incident> {
        let is_new = !self.all.contains_key(id);
        let is_long = id.len().max(upstream.len()).max(cause.len()) > LONGEST_NAME;
        if is_long || is_new && self.all.len() == MOST_INCIDENTS {
            self.beyond += 1;
            return None;
        }
        if is_new {
            let new = Incident {
                id: id.into(),
                upstream: upstream.into(),
                cause: cause.into(),
                opened: None,
                told: None,
                seen: 0,
                span: (at, at),
                details: Details::default(),
                details_at: at,
                cause_by: said(at),
                turned: None,
            };
            self.all.insert(id.into(), new);
        }
        self.all.get_mut(id)
    }
}

/// How well a line names the cause that does not close the incident.
const fn said(at: At) -> (bool, i64) {
    (false, -at.0)
}

fn earlier(one: Option<At>, other: Option<At>) -> Option<At> {
    one.into_iter().chain(other).min()
}

/// How many incidents are kept apart.
const MOST_INCIDENTS: usize = 4096;

/// How many bytes a name or an id may have.
const LONGEST_NAME: usize = 256;
