//! Owns the choice of a server among those that may be chosen: in turn, by chance, by load or by a key, each in proportion to
//! the servers' weights. `rotation` keeps the turns, `load` what each server has to do and how it fares, `key` what is hashed,
//! `slow_start` how a server that comes back gets its share.
//!
//! Nothing here takes a lock or allocates, and all cores share one count.

mod key;
mod load;
mod rotation;
mod slow_start;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

pub use self::key::Key;
use self::load::Load;
pub use self::load::Outcome;
use self::load::Pace;
use self::rotation::Rotation;
use self::slow_start::SlowStart;
use crate::config;
use crate::config::Balance;

/// How the servers of an upstream share its requests, as all cores see it.
#[derive(Debug)]
pub struct Balancer {
    way: Balance,
    weights: Box<[u32]>,
    /// What makes each server another one for a key.
    seeds: Box<[u64]>,
    rotation: Rotation,
    paces: Box<[Pace]>,
    slow_start: SlowStart,
    begin: Instant,
}

/// What is asked of each server when one is chosen.
pub trait Candidates {
    /// How large its share is, in thousandths of a weight of 1; 0 where it may not be chosen.
    fn share(&self, server: usize) -> u32;

    /// How many requests are in flight to it.
    fn in_flight(&self, server: usize) -> u32;
}

impl Balancer {
    pub(super) fn new(settings: &config::Upstream) -> Self {
        let servers = settings.servers.len();
        let urls: Vec<&str> = settings.servers.iter().map(|server| &*server.url.text).collect();
        let weights: Box<[u32]> = settings.servers.iter().map(|server| server.weight * SHARE).collect();
        Self {
            way: settings.balance.clone(),
            rotation: Rotation::new(&weights),
            weights,
            seeds: key::seeds(&urls),
            paces: std::iter::repeat_with(Pace::default).take(servers).collect(),
            slow_start: SlowStart::new(servers, settings.slow_start),
            begin: Instant::now(),
        }
    }

    /// What a request is told from others by; none where nothing is hashed, or nothing is known of it.
    #[must_use]
    pub fn key(&self, headers: &HeaderMap, client: Option<IpAddr>) -> Option<Key> {
        match &self.way {
            Balance::Hash(on) => Key::of(on, headers, client),
            Balance::LeastRequests | Balance::RoundRobin | Balance::Random => None,
        }
    }

    /// One of the candidates; none where none has a share. Without a key, what is to be hashed goes to who has least to do.
    pub fn pick(&self, candidates: &impl Candidates, key: Option<Key>, now: Instant) -> Option<usize> {
        let servers = self.weights.len();
        match (&self.way, key) {
            (Balance::RoundRobin, _) => self.rotation.next(|server| candidates.share(server)),
            (Balance::Random, _) => draw(servers, |server| candidates.share(server)),
            (Balance::Hash(_), Some(key)) => key.choose(&self.seeds, |server| candidates.share(server)),
            (Balance::Hash(_), None) | (Balance::LeastRequests, _) => self.lightest(candidates, now),
        }
    }

    /// Of two that are drawn, the one that has less to do: nearly as even as the best of all, and no herd runs to whoever was
    /// the best a moment ago. Where both are alike it is the one drawn first, so that the shares are those of the weights.
    fn lightest(&self, candidates: &impl Candidates, now: Instant) -> Option<usize> {
        let servers = self.weights.len();
        let first = draw(servers, |server| candidates.share(server))?;
        let other = |server: usize| if server == first { 0 } else { candidates.share(server) };
        let Some(second) = draw(servers, other) else { return Some(first) };
        let at = self.millis(now);
        let load = |server: usize| Load {
            share: candidates.share(server),
            in_flight: candidates.in_flight(server),
            fares: self.paces.get(server).map(|pace| pace.at(at)).unwrap_or_default(),
        };
        Some(if load(second).is_less_than(&load(first)) { second } else { first })
    }

    /// Whether it matters how servers fare.
    #[must_use]
    pub const fn watches(&self) -> bool {
        self.weights.len() > 1 && matches!(self.way, Balance::LeastRequests | Balance::Hash(_))
    }

    /// Something has come of a request to this server.
    pub fn note(&self, server: usize, outcome: Outcome, now: Instant) {
        if self.watches()
            && let Some(pace) = self.paces.get(server)
        {
            pace.note(outcome, self.millis(now));
        }
    }

    /// A server may be chosen again from then on, and gets its share little by little.
    pub fn returns(&self, server: usize, at: Instant) {
        self.slow_start.returns(server, self.millis(at));
    }

    /// Whether a server is on its way to its whole share.
    #[must_use]
    pub fn is_rising(&self) -> bool {
        self.slow_start.is_under_way()
    }

    /// The share of a server that may be chosen, in thousandths of a weight of 1.
    #[must_use]
    pub fn share(&self, server: usize, now: Option<Instant>) -> u32 {
        let weight = self.weights.get(server).copied().unwrap_or_default();
        now.map_or(weight, |now| self.slow_start.share(server, weight, self.millis(now)))
    }

    /// A moment as it is noted: milliseconds since the beginning, from a second on, so that 0 is never.
    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.begin) + Duration::from_secs(1);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// One by chance, in proportion to the shares; none where there are none.
fn draw(servers: usize, share: impl Fn(usize) -> u32) -> Option<usize> {
    let total: u64 = (0..servers).map(|server| u64::from(share(server))).sum();
    if total == 0 {
        return None;
    }
    let mut left = fastrand::u64(0..total);
    let mut last = None;
    for server in 0..servers {
        let share = u64::from(share(server));
        if share > 0 {
            last = Some(server);
        }
        match left.checked_sub(share) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    // Where shares have shrunk in between, the last that has one.
    last
}

/// What a weight of 1 is.
const SHARE: u32 = 1000;
