//! Owns the way from names to addresses: the hosts file, what is remembered, the name servers; and a `Failure` that says who
//! said what where there are none.
//!
//! Which response code or error means which fault is in `fault::classify::dns`; connecting to an address is `upstream`'s.

mod addresses;
mod answer;
mod cache;
mod lookup;
mod outcome;
mod query;
pub mod srv;
mod survey;
mod system;
#[cfg(test)]
pub(crate) mod tests;
mod turns;
mod watch;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;
use std::time::Duration;
use std::time::Instant;

use tokio::time::timeout_at;

pub use self::addresses::Addresses;
use self::cache::Asker;
use self::cache::Cache;
use self::cache::Memory;
use self::lookup::Finding;
use self::lookup::Kind;
use self::lookup::Plan;
use self::srv::Service;
use self::turns::Turns;
use self::watch::Change;
use self::watch::Files;
use self::watch::Watched;
use crate::config;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::DnsEvidence;
use crate::fault::failure::SrvEvidence;

/// Names to addresses, for the whole process: it is shared by all threads, and no lock is held while anybody waits.
#[derive(Debug)]
pub struct Resolver {
    system: Watched,
    cache: RwLock<Cache>,
    turns: Turns,
    patience: Duration,
}

impl Resolver {
    /// A resolver that asks the configured name servers, or the system's where none is configured.
    ///
    /// The system's files are read now, and again when they have changed.
    #[must_use]
    pub fn new(settings: &config::Dns) -> Self {
        Self::with(settings, Files::default(), PATIENCE)
    }

    fn with(settings: &config::Dns, files: Files, patience: Duration) -> Self {
        Self {
            system: Watched::new(&settings.servers, files, Instant::now()),
            cache: RwLock::new(Cache::new(settings)),
            turns: Turns::default(),
            patience,
        }
    }

    /// Goes on with other settings: what is remembered stays, but where others are to be asked it is worth another question.
    pub fn reconfigure(&self, settings: &config::Dns) {
        let change = self.system.configure(&settings.servers);
        let mut cache = self.cache_mut();
        cache.configure(settings);
        if change == Change::OtherServers {
            cache.forget_failures();
            cache.distrust_all();
        }
    }

    /// The addresses that are known without asking anybody.
    #[must_use]
    pub fn known(&self, name: &str) -> Option<Arc<Addresses>> {
        let now = Instant::now();
        match self.recall(&lower_case(name), Asker { since: now, limit: Duration::ZERO }, now) {
            Memory::Addresses(addresses) => Some(addresses),
            Memory::InNeed(_) | Memory::Failure(..) | Memory::Nothing => None,
        }
    }

    /// Turns a name (without brackets, in any case) into addresses within the limit, which covers everything.
    ///
    /// Those who want the same name at the same time share one look-up.
    ///
    /// # Errors
    ///
    /// A failure of the stage `resolve`, with what each name server said, and the limit if it ran out. It says so where it
    /// is an earlier one that is still remembered (RFC 9520): its limit is then the earlier one's. A host that has no
    /// descriptor or no port left to ask with fails with the fault that says that.
    pub async fn resolve(&self, name: &str, limit: Duration) -> Result<Arc<Addresses>, Failure> {
        let name = &*lower_case(name);
        self.find(name, &Sought { name, kind: Kind::Addresses }, limit).await
    }

    /// Finds out where a service (`_app._tcp.internal`) runs, in the same way: the targets are in `services`.
    ///
    /// # Errors
    ///
    /// As above. A service that is decidedly not there (RFC 2782: the target is the root) has no records.
    pub async fn services(&self, name: &str, limit: Duration) -> Result<Arc<Addresses>, Failure> {
        let name = &*lower_case(name);
        let found = self.find(&service_key(name), &Sought { name, kind: Kind::Services }, limit).await?;
        if found.services.iter().all(Service::is_none) {
            let mut failure = Failure::new(Fault::DnsNoRecords);
            let srv = Some(SrvEvidence::NotOffered);
            failure.dns = Some(DnsEvidence { name: without_dot(name), srv, ..DnsEvidence::default() });
            return Err(failure);
        }
        Ok(found)
    }

    /// None of a service's targets could be connected to.
    pub fn distrust_service(&self, name: &str) {
        self.cache_mut().distrust(&service_key(&lower_case(name)), Instant::now());
    }

    /// What is remembered under this key, or else what the name servers say.
    async fn find(&self, key: &str, sought: &Sought<'_>, limit: Duration) -> Result<Arc<Addresses>, Failure> {
        let limit = limit.min(LONGEST_LIMIT);
        let asker = Asker { since: Instant::now(), limit };
        let deadline = (asker.since + limit).into();
        let turn = match self.recall(key, asker, asker.since) {
            Memory::Addresses(addresses) => return Ok(addresses),
            Memory::Failure(failure, left) => return Err(told_again(&failure, left, asker)),
            Memory::InNeed(addresses) => match self.turns.take_if_free(key) {
                Some(turn) => turn,
                None => return Ok(addresses),
            },
            Memory::Nothing => match timeout_at(deadline, self.turns.take(key)).await {
                Ok(turn) => turn,
                Err(_) => return self.conclude(key, late(sought), asker).map_err(Arc::unwrap_or_clone),
            },
        };
        // Whoever had the turn before may have found the answer.
        match self.recall(key, asker, Instant::now()) {
            Memory::Addresses(addresses) => return Ok(addresses),
            Memory::Failure(failure, left) => return Err(told_again(&failure, left, asker)),
            Memory::InNeed(_) | Memory::Nothing => {}
        }
        let system = self.system.current();
        let Sought { name, kind } = *sought;
        let candidates = system.candidates(name);
        let plan = Plan { name, kind, candidates, servers: &system.servers, patience: self.patience, deadline };
        let finding = lookup::look_up(&plan).await;
        let answer = self.conclude(key, finding, asker);
        drop(turn);
        answer.map_err(Arc::unwrap_or_clone)
    }

    /// The servers that the system's settings name, in order.
    #[must_use]
    pub fn system_servers(&self) -> Vec<SocketAddr> {
        self.system.servers_of_the_system()
    }

    /// The servers that are asked, in order.
    #[must_use]
    pub fn name_servers(&self) -> Vec<SocketAddr> {
        self.system.current().servers.clone()
    }

    /// None of the name's addresses could be connected to: they may be old, so the next one who wants them asks anew, before
    /// their time is over but at most once a second.
    pub fn distrust(&self, name: &str) {
        self.cache_mut().distrust(&lower_case(name), Instant::now());
    }

    fn recall(&self, name: &str, asker: Asker, now: Instant) -> Memory {
        if self.system.refresh(now) == Change::OtherServers {
            self.cache_mut().forget_failures();
        }
        if let Some(addresses) = self.system.without_asking(name) {
            return Memory::Addresses(addresses);
        }
        self.cache().recall(name, asker, now)
    }

    /// Remembers how a look-up ended, and answers whoever made it.
    fn conclude(&self, name: &str, finding: Finding, asker: Asker) -> Result<Arc<Addresses>, Arc<Failure>> {
        let now = Instant::now();
        let finding = match finding {
            Finding::Addresses(..) => finding,
            Finding::Failure(mut failure, ttl) => {
                failure.limit = (failure.fault == Fault::DnsTimeout).then_some(asker.limit);
                note_elapsed(&mut failure, asker, now);
                Finding::Failure(failure, ttl)
            }
        };
        self.cache_mut().learn(name, finding, now)
    }

    fn cache(&self) -> RwLockReadGuard<'_, Cache> {
        self.cache.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache_mut(&self) -> RwLockWriteGuard<'_, Cache> {
        self.cache.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limit ran out in the queue: somebody with a longer one is still asking.
fn late(sought: &Sought<'_>) -> Finding {
    let mut failure = Failure::new(Fault::DnsTimeout);
    let (name, srv) = (without_dot(sought.name), sought.kind.evidence());
    failure.dns = Some(DnsEvidence { name, srv, ..DnsEvidence::default() });
    Finding::Failure(Box::new(failure), None)
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
struct Sought<'a> {
    name: &'a str,
    kind: Kind,
}

/// Under what the targets of a service are remembered: no name of a host has a colon.
fn service_key(name: &str) -> String {
    format!("srv:{name}")
}

fn without_dot(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_owned()
}

/// A failure that another look-up met, for one more who wants the same name.
fn told_again(failure: &Failure, left: Option<Duration>, asker: Asker) -> Failure {
    let mut failure = failure.clone();
    if let Some(evidence) = &mut failure.dns {
        evidence.remembered = left;
    }
    note_elapsed(&mut failure, asker, Instant::now());
    failure
}

fn note_elapsed(failure: &mut Failure, asker: Asker, now: Instant) {
    failure.stage_elapsed = now.saturating_duration_since(asker.since);
    failure.elapsed = failure.stage_elapsed;
}

/// DNS knows no case (RFC 4343), and neither does the hosts file.
fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// How long a name server may be silent before the next one is asked. glibc's five seconds are longer than a request waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// Longer than anybody waits, and short enough to be added to any moment.
const LONGEST_LIMIT: Duration = Duration::from_secs(3600);
