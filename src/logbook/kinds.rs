//! Owns the sums by upstream, and within each by fault and cause.

use std::collections::HashMap;

use super::at::At;
use super::entry::Details;

/// Answers by the first digit of their status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answers {
    /// 1xx.
    pub informational: u64,
    /// 2xx.
    pub success: u64,
    /// 3xx.
    pub redirect: u64,
    /// 4xx.
    pub client_error: u64,
    /// 5xx.
    pub server_error: u64,
}

/// One upstream.
#[derive(Debug, Clone, Default)]
pub struct Upstream {
    /// Its name.
    pub name: Box<str>,
    /// How its requests were answered.
    pub answers: Answers,
    /// Its failures, a row for each fault and cause.
    pub kinds: Vec<Kind>,
}

/// Failures of one upstream with one fault and one cause.
#[derive(Debug, Clone)]
pub struct Kind {
    /// What was observed.
    pub fault: Box<str>,
    /// Why that likely was.
    pub cause: Box<str>,
    /// How many reached clients.
    pub seen: u64,
    /// How many a retry hid.
    pub hidden: u64,
    /// The first one.
    pub first: At,
    /// The last one.
    pub last: At,
    /// What the first one said.
    pub details: Details,
}

/// All upstreams, in the order in which they were met.
#[derive(Debug, Clone, Default)]
pub(super) struct Upstreams {
    rows: Vec<Upstream>,
    index: HashMap<Box<str>, usize>,
    /// The one that was asked for before: most likely the one that is asked for next.
    last: usize,
    /// How many rows of faults and causes there are, of all upstreams together.
    kinds: usize,
}

impl Answers {
    /// One more.
    pub fn note(&mut self, status: u16) {
        match status {
            0..200 => self.informational += 1,
            200..300 => self.success += 1,
            300..400 => self.redirect += 1,
            400..500 => self.client_error += 1,
            500.. => self.server_error += 1,
        }
    }

    /// Those of another too.
    pub fn merge(&mut self, other: Self) {
        self.informational += other.informational;
        self.success += other.success;
        self.redirect += other.redirect;
        self.client_error += other.client_error;
        self.server_error += other.server_error;
    }

    /// All of them.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.informational + self.success + self.redirect + self.client_error + self.server_error
    }
}

impl Upstream {
    /// Failures that reached clients.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.seen).sum()
    }

    /// Failures that a retry hid.
    #[must_use]
    pub fn hidden(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.hidden).sum()
    }
}

impl Kind {
    /// One more.
    pub(super) fn note(&mut self, at: At, retried: bool) {
        *(if retried { &mut self.hidden } else { &mut self.seen }) += 1;
        self.last = self.last.max(at);
        self.first = self.first.min(at);
    }

    fn merge(&mut self, other: Self) {
        self.seen += other.seen;
        self.hidden += other.hidden;
        self.last = self.last.max(other.last);
        if other.first < self.first {
            (self.first, self.details) = (other.first, other.details);
        }
    }
}

impl Upstreams {
    /// The upstream of this name; none where there is no room for another.
    pub(super) fn named(&mut self, name: &str) -> Option<&mut Upstream> {
        if self.rows.get(self.last).is_none_or(|row| *row.name != *name) {
            self.last = match self.index.get(name) {
                Some(known) => *known,
                None if self.rows.len() == MOST_UPSTREAMS || name.len() > LONGEST_NAME => return None,
                None => {
                    self.rows.push(Upstream { name: name.into(), ..Upstream::default() });
                    let index = self.rows.len() - 1;
                    self.index.insert(name.into(), index);
                    index
                }
            };
        }
        self.rows.get_mut(self.last)
    }

    /// The row of this upstream, fault and cause; none where there is no room for another.
    pub(super) fn kind(
        &mut self,
        (upstream, fault, cause): (&str, &str, &str),
        new: impl FnOnce() -> Kind,
    ) -> Option<&mut Kind> {
        let has_room = self.kinds < MOST_KINDS && fault.len().max(cause.len()) <= LONGEST_NAME;
        let rows = &mut self.named(upstream)?.kinds;
        let known = rows.iter().position(|kind| *kind.fault == *fault && *kind.cause == *cause);
        let index = known.unwrap_or(rows.len());
        if known.is_none() {
            if !has_room {
                return None;
            }
            rows.push(new());
            self.kinds += 1;
        }
        self.rows.get_mut(self.last)?.kinds.get_mut(index)
    }

    /// Adds what another has; how many requests and failures found no room.
    pub(super) fn merge(&mut self, other: Self) -> u64 {
        let mut beyond = 0;
        for theirs in other.rows {
            let all = theirs.answers.all() + theirs.seen() + theirs.hidden();
            let Some(ours) = self.named(&theirs.name) else {
                beyond += all;
                continue;
            };
            ours.answers.merge(theirs.answers);
            for kind in theirs.kinds {
                let count = kind.seen + kind.hidden;
                let empty = Kind { seen: 0, hidden: 0, ..kind.clone() };
                match self.kind((&theirs.name, &kind.fault, &kind.cause), || empty) {
                    Some(known) => known.merge(kind),
                    None => beyond += count,
                }
            }
        }
        beyond
    }

    pub(super) fn rows(&self) -> &[Upstream] {
        &self.rows
    }
}

/// How many upstreams have rows of their own.
const MOST_UPSTREAMS: usize = 1024;

/// How many rows there are of upstreams with their faults and causes.
const MOST_KINDS: usize = 4096;

/// How many bytes a name may have.
const LONGEST_NAME: usize = 256;

#[cfg(test)]
mod tests {
    use super::Upstreams;

    #[test]
    fn names_beyond_a_number_have_no_rows() {
        let mut upstreams = Upstreams::default();
        for number in 0..2000 {
            if let Some(upstream) = upstreams.named(&format!("u{number}")) {
                upstream.answers.note(200);
            }
        }
        assert_eq!(upstreams.rows().len(), super::MOST_UPSTREAMS);
        assert!(upstreams.named("u1999").is_none() && upstreams.named("u7").is_some());
        let mut other = Upstreams::default();
        other.named("another").unwrap().answers.note(500);
        other.named("u7").unwrap().answers.note(500);
        assert_eq!(upstreams.merge(other), 1);
        assert_eq!(upstreams.named("u7").unwrap().answers.server_error, 1);
    }
}
