//! Owns what is remembered of names: addresses within their TTL and past it, definite answers, failures.
//!
//! It is a state machine of values; the time is an argument. Asking is `lookup`'s, waiting for each other is `turns`'s.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::config;
use crate::dns::addresses::Addresses;
use crate::dns::lookup::Finding;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Stage;

/// What is remembered of all names.
#[derive(Debug)]
pub(super) struct Cache {
    names: HashMap<Box<str>, Entry>,
    max_ttl: Duration,
    serve_stale: Duration,
}

/// What is remembered of one name.
#[derive(Debug)]
struct Entry {
    /// When the last look-up ended.
    learnt: Instant,
    good: Option<Good>,
    bad: Option<Bad>,
}

/// Addresses that were found.
#[derive(Debug)]
struct Good {
    addresses: Arc<Addresses>,
    until: Instant,
    /// Whether all of them have failed since, so that they are worth another question before their time is over.
    distrusted: bool,
}

/// An answer without addresses, or none at all.
#[derive(Debug)]
struct Bad {
    failure: Arc<Failure>,
    until: Instant,
    /// How many look-ups in a row have failed.
    in_a_row: u32,
}

/// Who asks the cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    /// The moment from which on an answer is an answer to this question, even if it may be remembered for no time at all.
    pub(super) since: Instant,
    /// How long the asker would wait for the name servers.
    pub(super) limit: Duration,
}

/// What the cache says of a name.
#[derive(Debug, Clone)]
pub(super) enum Memory {
    /// Use these.
    Addresses(Arc<Addresses>),
    /// Use these if somebody else is asking just now: the name servers have failed, and it is time to try them again.
    InNeed(Arc<Addresses>),
    /// It failed, and need not be tried again for this long; none where it failed after the asker had begun to wait.
    Failure(Arc<Failure>, Option<Duration>),
    /// Ask the name servers.
    Nothing,
}

impl Cache {
    pub(super) fn new(settings: &config::Dns) -> Self {
        let (max_ttl, serve_stale) = (settings.max_ttl.min(FOR_EVER), settings.serve_stale.min(FOR_EVER));
        Self { names: HashMap::new(), max_ttl, serve_stale }
    }

    /// What is remembered of the name.
    pub(super) fn recall(&self, name: &str, asker: Asker, now: Instant) -> Memory {
        let Some(entry) = self.names.get(name) else { return Memory::Nothing };
        let answered = entry.learnt >= asker.since;
        let bad = entry.bad.as_ref().filter(|bad| bad.speaks_for(asker) && (now < bad.until || answered));
        if let Some(good) = &entry.good {
            let in_time = now < good.until || (answered && entry.bad.is_none());
            if in_time && !good.distrusted {
                return Memory::Addresses(Arc::clone(&good.addresses));
            }
            let in_need = entry.bad.as_ref().and_then(|_| good.in_need(self.serve_stale, now));
            match in_need {
                Some(addresses) if bad.is_some() => return Memory::Addresses(addresses),
                Some(addresses) => return Memory::InNeed(addresses),
                None => {}
            }
        }
        let Some(bad) = bad else { return Memory::Nothing };
        let shared = answered && bad.failure.fault != Fault::DnsTimeout;
        let left = bad.until.saturating_duration_since(now);
        Memory::Failure(Arc::clone(&bad.failure), if shared { None } else { Some(left) })
    }

    /// Remembers how a look-up ended, and says what that means for whoever made it: addresses from before serve still.
    pub(super) fn learn(&mut self, name: &str, finding: Finding, now: Instant) -> Result<Arc<Addresses>, Arc<Failure>> {
        self.make_room(name, now);
        let entry = self.names.entry(name.into()).or_insert(Entry { learnt: now, good: None, bad: None });
        entry.learnt = now;
        let (failure, ttl) = match finding {
            Finding::Addresses(addresses, ttl) => {
                let addresses = Arc::new(addresses);
                let until = now + ttl.max(SHORTEST_TTL).min(self.max_ttl);
                entry.good = Some(Good { addresses: Arc::clone(&addresses), until, distrusted: false });
                entry.bad = None;
                return Ok(addresses);
            }
            Finding::Failure(failure, ttl) => (Arc::new(failure), ttl),
        };
        if is_definite(failure.fault) {
            let until = now + ttl.unwrap_or_default().min(LONGEST_NEGATIVE_TTL).min(self.max_ttl);
            entry.good = None;
            entry.bad = Some(Bad { failure: Arc::clone(&failure), until, in_a_row: 0 });
            return Err(failure);
        }
        entry.fail(Arc::clone(&failure), now);
        let good = entry.good.as_ref();
        good.and_then(|good| good.in_need(self.serve_stale, now)).ok_or(failure)
    }

    /// Asks again before the time of the name's addresses is over, but for at most once a second.
    pub(super) fn distrust(&mut self, name: &str, now: Instant) {
        let Some(entry) = self.names.get_mut(name) else { return };
        let recent = now.saturating_duration_since(entry.learnt) < SHORTEST_TTL;
        if let Some(good) = entry.good.as_mut().filter(|_| !recent) {
            good.distrusted = true;
        }
    }

    /// Forgets what other name servers have failed to say.
    pub(super) fn forget_failures(&mut self) {
        for entry in self.names.values_mut() {
            entry.bad = None;
        }
        self.names.retain(|_, entry| entry.good.is_some());
    }

    /// Names come from the configuration, so that there are few; this is for the day when they do not.
    fn make_room(&mut self, name: &str, now: Instant) {
        if self.names.len() < MOST_NAMES || self.names.contains_key(name) {
            return;
        }
        let serve_stale = self.serve_stale;
        self.names.retain(|_, entry| entry.is_of_use(serve_stale, now));
        if self.names.len() < MOST_NAMES {
            return;
        }
        let oldest = self.names.iter().min_by_key(|(_, entry)| entry.learnt).map(|(name, _)| name.clone());
        if let Some(oldest) = oldest {
            self.names.remove(&oldest);
        }
    }
}

impl Entry {
    /// RFC 9520, section 3.2: a failure is remembered for a second at least, and for longer the more there are. Its upper
    /// limit is five minutes; ours is five seconds, because whoever has just mended the name servers must not wait.
    fn fail(&mut self, failure: Arc<Failure>, now: Instant) {
        if let Some(good) = &mut self.good {
            good.distrusted = false;
        }
        let before = self.bad.as_ref().map_or(0, |bad| bad.in_a_row);
        let pause = FIRST_PAUSE.saturating_mul(1 << before.min(MOST_DOUBLINGS)).min(LONGEST_PAUSE);
        // What this host itself had run out of says nothing about the name.
        let pause = if failure.fault.stage() == Stage::Resolve { pause } else { Duration::ZERO };
        self.bad = Some(Bad { failure, until: now + pause, in_a_row: before.saturating_add(1) });
    }

    fn is_of_use(&self, serve_stale: Duration, now: Instant) -> bool {
        let good = self.good.as_ref().is_some_and(|good| now < good.until + serve_stale);
        good || self.bad.as_ref().is_some_and(|bad| now < bad.until)
    }
}

impl Good {
    /// The addresses while the name servers fail: as they are within their time, as stale ones for a while after it.
    fn in_need(&self, serve_stale: Duration, now: Instant) -> Option<Arc<Addresses>> {
        if now < self.until {
            Some(Arc::clone(&self.addresses))
        } else if now < self.until + serve_stale {
            Some(Arc::new(self.addresses.gone_stale()))
        } else {
            None
        }
    }
}

impl Bad {
    /// A look-up that ran out of time says nothing to those who would have waited longer.
    fn speaks_for(&self, asker: Asker) -> bool {
        self.failure.limit.is_none_or(|limit| asker.limit <= limit)
    }
}

/// Answers that say for sure that there are no addresses. They end what was known before (RFC 8767, section 4).
fn is_definite(fault: Fault) -> bool {
    [Fault::DnsNameNotFound, Fault::DnsNoRecords].contains(&fault)
}

/// A TTL of zero is believed for as long as this: a request a millisecond must not be a question a millisecond.
const SHORTEST_TTL: Duration = Duration::from_secs(1);

/// How long a definite answer without addresses is remembered at most.
const LONGEST_NEGATIVE_TTL: Duration = Duration::from_secs(300);

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const MOST_DOUBLINGS: u32 = 8;
const MOST_NAMES: usize = 4096;

/// Longer than any process runs, and short enough to be added to any moment.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);
