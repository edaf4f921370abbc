//! Owns an upstream's memory: every core notes what it sees of each server, and whoever explains a failure sums the notes up.
//!
//! What goes well is noted without a lock, an allocation or a look at the clock that was not made anyway; what fails may take
//! a lock. Nothing grows with traffic.

mod keep_alive;
mod notes;
mod paths;
mod troubles;

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use self::keep_alive::below;
use self::notes::Known;
use self::notes::whole_millis;
use self::paths::Paths;
use self::troubles::Troubles;
use crate::diagnosis::history::History;
use crate::diagnosis::history::Past;
use crate::diagnosis::history::Windows;
use crate::fault::Failure;
use crate::fault::failure::Peer;
use crate::per_core::PerCore;
use crate::upstream::Change;
use crate::upstream::Lane;
use crate::upstream::Server;
use crate::upstream::Shared;
use crate::upstream::Upstream;
use crate::upstream::died_idle;

pub(super) use self::keep_alive::KeepAlive;
pub(super) use self::notes::Notes;
pub(super) use self::paths::Answered;
pub(super) use self::paths::Path;

/// What all cores remember of an upstream.
#[derive(Debug)]
pub(super) struct Memory {
    begin: Instant,
    servers: Vec<ServerMemory>,
    paths: Paths,
}

/// What all cores remember of a server.
#[derive(Debug, Default)]
struct ServerMemory {
    notes: PerCore<Notes>,
    troubles: Mutex<Troubles>,
    keep_alive: Arc<KeepAlive>,
    /// The latest last, each with when it was last connected to.
    addresses: Mutex<Vec<(IpAddr, u64)>>,
}

/// What one core remembers of a server.
#[derive(Debug)]
pub(super) struct Diary {
    notes: Arc<Notes>,
    answered: Arc<Answered>,
    keep_alive: Arc<KeepAlive>,
    /// The address that was noted last, and in which second.
    address: Cell<Option<(IpAddr, u64)>>,
}

impl Memory {
    pub(super) fn new(servers: usize) -> Self {
        let servers = (0..servers).map(|_| ServerMemory::default()).collect();
        Self { begin: Instant::now(), servers, paths: Paths::default() }
    }

    /// One core's diary of a server. All those of a core share what they know of paths.
    pub(super) fn diaries(&self) -> impl Iterator<Item = Diary> {
        let answered = self.paths.take();
        self.servers.iter().map(move |server| Diary {
            notes: server.notes.take(),
            answered: Arc::clone(&answered),
            keep_alive: Arc::clone(&server.keep_alive),
            address: Cell::default(),
        })
    }

    /// A moment as it is noted: milliseconds since the beginning, from a second on, so that 0 is never.
    fn at(&self, now: Instant) -> u64 {
        whole_millis(now.saturating_duration_since(self.begin)) + 1000
    }

    /// How many connections to a server lie idle, and how many answers came on one that had.
    pub(super) fn connections(&self, server: usize) -> (u64, u64) {
        let sum = |read: fn(&Notes) -> u64| {
            self.servers.get(server).map_or(0, |server| server.notes.read(read).into_iter().sum())
        };
        (sum(|notes| notes.idle.get()), sum(|notes| notes.reused.get()))
    }

    /// How often any server has answered so far.
    pub(super) fn successes(&self) -> u64 {
        let of = |server: &ServerMemory| server.successes(0).ever;
        self.servers.iter().map(of).sum()
    }
}

impl ServerMemory {
    fn last_success(&self) -> u64 {
        self.notes.read(|notes| notes.last_success.get()).into_iter().max().unwrap_or_default()
    }

    fn longest_idle(&self, second: u64) -> u64 {
        self.notes.read(|notes| notes.longest_idle.highest(second)).into_iter().max().unwrap_or_default()
    }

    fn successes(&self, second: u64) -> Windows {
        let add = |sum: Windows, one: Windows| Windows {
            seconds: sum.seconds + one.seconds,
            minute: sum.minute + one.minute,
            hour: sum.hour + one.hour,
            ever: sum.ever + one.ever,
        };
        self.notes.read(|notes| notes.successes.windows(second)).into_iter().fold(Windows::default(), add)
    }

    fn past(&self, at: u64) -> Past {
        let second = at / 1000;
        let some = |value: u64| Some(value).filter(|value| *value > 0);
        let last_success = self.last_success();
        let usual = self.notes.read(|notes| notes.busiest.highest(second)).into_iter().max().and_then(some);
        let troubles = lock(&self.troubles);
        let (failures_since_success, failing_for) = troubles.since_success(at, last_success);
        let ago = |moment: u64| Duration::from_millis(at.saturating_sub(moment));
        Past {
            last_success: some(last_success).map(ago),
            successes: self.successes(second),
            failures: troubles.windows(at),
            faults: troubles.faults(at),
            failures_since_success,
            hung_at_once: troubles.hung_at_once(at),
            failing_for,
            connecting: Known::together(&self.notes.read(|notes| Known::of(&notes.connecting))),
            answering: Known::together(&self.notes.read(|notes| Known::of(&notes.answering))),
            in_flight: 0,
            in_flight_usual: usual.map(|usual| u32::try_from(usual).unwrap_or(u32::MAX)),
            idle_closes: self.keep_alive.idle_closes(),
            keep_alive: self.keep_alive.age(),
            longest_idle: some(self.longest_idle(second)).map(Duration::from_millis),
            cluster: None,
            addresses: lock(&self.addresses).iter().rev().map(|(address, moment)| (*address, ago(*moment))).collect(),
            health: None,
            ejected_for: None,
        }
    }

    fn connected(&self, address: IpAddr, at: u64) {
        let mut addresses = lock(&self.addresses);
        addresses.retain(|(known, _)| *known != address);
        if addresses.len() >= MOST_ADDRESSES {
            addresses.remove(0);
        }
        addresses.push((address, at));
    }
}

impl Diary {
    /// How long a connection to the server may lie idle.
    pub(super) fn keep_alive(&self) -> &Arc<KeepAlive> {
        &self.keep_alive
    }
}

impl Lane {
    /// The server has answered a request for this path.
    pub(super) fn note_success(&self, path: Path, idle: Option<Duration>, now: Instant) {
        let at = self.shared.memory.at(now);
        self.diary.notes.succeeded(at, idle, self.server.in_flight());
        self.diary.answered.note(path, at / 1000);
    }

    /// The head of an answer has come for what was sent last at that time.
    pub(super) fn note_head(&self, sent: Instant) {
        if self.diary.notes.is_measured() {
            let now = Instant::now();
            let second = self.shared.memory.at(now) / 1000;
            self.diary.notes.answering.add(now.saturating_duration_since(sent), second);
        }
    }

    /// A connection was opened.
    pub(super) fn note_connection(&self, peer: &Peer, begin: Instant, now: Instant) {
        let at = self.shared.memory.at(now);
        let second = at / 1000;
        self.diary.notes.connecting.add(now.saturating_duration_since(begin), second);
        let Peer::Tcp(peer) = peer else { return };
        // A lock that all cores share, so once a second at most.
        let noted = Some((peer.ip(), second));
        if self.diary.address.replace(noted) != noted
            && let Some(server) = self.memory()
        {
            server.connected(peer.ip(), at);
        }
    }

    /// The server failed at a request for this path.
    pub(super) fn note_failure(&self, failure: &Failure, path: Path, now: Instant) {
        let at = self.shared.memory.at(now);
        let Some(server) = self.memory() else { return };
        if died_idle(failure) {
            // The end of an idle connection is no failure of the server's.
            self.note_idle_close(failure.connection.idle.unwrap_or_default(), now);
            return;
        }
        let last_success = server.last_success();
        let in_flight = self.server.in_flight().saturating_add(1);
        lock(&server.troubles).note(failure, at, last_success, in_flight);
        self.shared.memory.paths.failed(path, at / 1000);
    }

    /// Passes on what was found out about idle connections; to be called about once a second.
    pub(super) fn review_idle_connections(&self, now: Instant) {
        self.pool.take_closed(|idle| self.note_idle_close(idle, now));
        self.diary.keep_alive.refresh(self.shared.memory.at(now));
        let configured = self.settings.pool.idle_timeout;
        if let Some(age) = self.diary.keep_alive.news().filter(|age| below(*age) < configured) {
            let server = self.server.index;
            self.shared.tell(Some(Change::ClosesIdle { server, after: age, kept: below(age), configured }));
        }
    }

    /// Lets others see how many connections lie idle; to be called about once a second.
    pub(super) fn note_idle_connections(&self) {
        self.diary.notes.idle.set(self.pool.len() as u64);
    }

    fn note_idle_close(&self, idle: Duration, now: Instant) {
        let at = self.shared.memory.at(now);
        if let Some(server) = self.memory() {
            server.keep_alive.closed(idle, at, server.longest_idle(at / 1000));
        }
    }

    fn memory(&self) -> Option<&ServerMemory> {
        self.shared.memory.servers.get(self.server.index)
    }
}

impl Shared {
    /// The addresses that the server of this failure was connected to before, the latest first.
    #[must_use]
    pub fn former_addresses(&self, failure: &Failure) -> Vec<IpAddr> {
        let server = self.index_of(failure).and_then(|index| self.memory.servers.get(index));
        server.map_or_else(Vec::new, |server| lock(&server.addresses).iter().rev().map(|(known, _)| *known).collect())
    }

    fn index_of(&self, failure: &Failure) -> Option<usize> {
        let url = &failure.target.as_ref()?.url;
        self.servers.iter().position(|server| server.url.text == *url)
    }

    /// What is known of a server's past, and what keeps it out now.
    #[must_use]
    pub fn past(&self, server: &Server, now: Instant) -> Past {
        let at = self.memory.at(now);
        Past {
            in_flight: server.in_flight(),
            health: self.health(server.index, now),
            ejected_for: self.ejection.out_for(server.index, now),
            ..self.memory.servers.get(server.index).map(|known| known.past(at)).unwrap_or_default()
        }
    }

    /// How many requests its servers have answered.
    #[must_use]
    pub fn successes(&self) -> u64 {
        self.memory.successes()
    }
}

impl Upstream {
    /// What was known of its past when a request for this path failed.
    #[must_use]
    pub fn history(&self, failure: &Failure, path: &str) -> History {
        let (shared, now) = (&self.shared, Instant::now());
        let memory = &shared.memory;
        let at = memory.at(now);
        let failed = shared.index_of(failure);
        let mut history = History {
            watched: now.saturating_duration_since(memory.begin),
            path: memory.paths.past(Path::of(path), at / 1000),
            ..History::default()
        };
        for (known, server) in memory.servers.iter().zip(&shared.servers) {
            let mut past = shared.past(server, now);
            if Some(server.index) == failed {
                past.in_flight = past.in_flight.saturating_add(1);
                past.cluster = lock(&known.troubles).cluster(failure, at);
                history.server = past;
            } else {
                history.others.push((server.url.text.to_string(), past));
            }
        }
        history
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many addresses of a name are remembered.
const MOST_ADDRESSES: usize = 8;

#[cfg(test)]
mod tests;
