//! Owns one look-up: which names are asked for, which servers in which order, and when it is given up.
//!
//! One question to one server is `query`'s, which answer counts `outcome`'s, what is remembered `cache`'s.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Query;
use hickory_proto::rr::Name;
use hickory_proto::rr::RecordType;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio::time::sleep_until;
use tokio::time::timeout;

use crate::dns::addresses::Addresses;
use crate::dns::outcome::Asked;
use crate::dns::outcome::Found;
use crate::dns::outcome::Miss;
use crate::dns::outcome::Verdict;
use crate::dns::query;
use crate::dns::system::Candidates;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::SrvEvidence;

/// All that is decided before the first question goes out.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// The name as configured.
    pub(super) name: &'a str,
    /// What is asked for.
    pub(super) kind: Kind,
    /// The names that it may stand for.
    pub(super) candidates: Candidates,
    /// Who is asked, in order.
    pub(super) servers: &'a [SocketAddr],
    /// How long a server may be silent before the next one is asked; doubled with each round.
    pub(super) patience: Duration,
    /// When to give up.
    pub(super) deadline: Instant,
}

/// What a name is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Addresses of both families.
    Addresses,
    /// The targets of a service.
    Services,
}

impl Kind {
    /// As evidence says it.
    pub(super) fn evidence(self) -> Option<SrvEvidence> {
        (self == Self::Services).then_some(SrvEvidence::Asked)
    }
}

/// How a look-up ended.
#[derive(Debug)]
pub(super) enum Finding {
    /// The name has addresses, which may be believed for that long.
    Addresses(Addresses, Duration),
    /// It has none, or nobody could tell; with the time for which a definite answer may be remembered (RFC 2308).
    Failure(Box<Failure>, Option<Duration>),
}

/// Looks the name up, until the plan's deadline at the latest.
///
/// The names of a search list are tried as glibc does it: one that does not exist, has no records or meets a failing
/// server makes way for the next; where no server can be asked, the rest is not tried.
pub(super) async fn look_up(plan: &Plan<'_>) -> Finding {
    let mut missed: Option<Miss> = None;
    for name in &plan.candidates.names {
        let found = match plan.kind {
            Kind::Addresses => both_families(plan, name).await,
            Kind::Services => ask_in_turn(plan, Query::query(name.clone(), RecordType::SRV)).await,
        };
        let miss = match found {
            Ok(Found { services, aliases, ttl, .. }) if !services.is_empty() => {
                return Finding::Addresses(Addresses::of_services(services, aliases), ttl);
            }
            Ok(Found { list, aliases, ttl, .. }) => match Addresses::in_order(list, aliases) {
                Some(addresses) => return Finding::Addresses(addresses, ttl),
                None => Miss::of(Fault::DnsNoRecords),
            },
            Err(miss) => miss,
        };
        let goes_on = miss.lets_the_search_go_on();
        missed = Some(match missed {
            Some(earlier) => earlier.searched_on(miss, plan.candidates.as_written_first),
            None => miss,
        });
        if !goes_on {
            break;
        }
    }
    // A name that fits into no message (a label of 64 octets, say) exists nowhere, and no server is needed to say so.
    let miss = missed.unwrap_or_else(|| Miss::of(Fault::DnsNameNotFound));
    let (mut failure, ttl) = miss.into_failure(plan.name);
    if let Some(dns) = &mut failure.dns {
        dns.srv = plan.kind.evidence();
    }
    Finding::Failure(Box::new(failure), ttl)
}

/// Asks for both families at once. When one has been found, the other has 50 ms left (RFC 8305, section 3).
async fn both_families(plan: &Plan<'_>, name: &Name) -> Result<Found, Miss> {
    let mut v6 = pin!(ask_in_turn(plan, Query::query(name.clone(), RecordType::AAAA)));
    let mut v4 = pin!(ask_in_turn(plan, Query::query(name.clone(), RecordType::A)));
    let (first, second) = tokio::select! {
        first = &mut v6 => { let second = beside(&first, v4).await; (first, second) }
        first = &mut v4 => { let second = beside(&first, v6).await; (first, second) }
    };
    match (first, second) {
        (Ok(one), Some(Ok(other))) => Ok(one.joined_with(other)),
        (Ok(one), Some(Err(miss))) | (Err(miss), Some(Ok(one))) if miss.is_definite() => Ok(one),
        // The family that is missing is soon asked for again: it may be the one that works.
        (Ok(one), Some(Err(_)) | None) | (Err(_), Some(Ok(one))) => Ok(one.for_at_most(ONE_FAMILY_TTL)),
        (Err(one), Some(Err(other))) => Err(one.beside(other)),
        (Err(one), None) => Err(one),
    }
}

async fn beside<T>(first: &Result<Found, Miss>, second: impl Future<Output = T>) -> Option<T> {
    if first.is_ok() { timeout(RESOLUTION_DELAY, second).await.ok() } else { Some(second.await) }
}

/// Asks one server after the other. One that says nothing is not given up: its answer still counts while the next ones are
/// asked, and it is asked again when they have had their turn. One that fails is not asked again.
async fn ask_in_turn(plan: &Plan<'_>, question: Query) -> Result<Found, Miss> {
    let question = Arc::new(question);
    let mut rota: VecDeque<SocketAddr> = plan.servers.iter().copied().collect();
    let mut tries = JoinSet::new();
    let mut asked = Asked::default();
    let mut patience = Patience::new(plan);
    loop {
        tokio::select! {
            biased;
            Some(Ok((server, outcome))) = tries.join_next() => {
                match asked.note(server, outcome, Instant::now()) {
                    Verdict::Found(found) => return Ok(found),
                    Verdict::Nothing(miss) => return Err(miss),
                    Verdict::AskTheNext => rota.retain(|other| *other != server),
                }
                if rota.is_empty() {
                    return Err(asked.into_miss(Instant::now()));
                }
                patience.ends_now();
            }
            () = sleep_until(plan.deadline) => return Err(asked.into_miss(Instant::now())),
            () = sleep_until(patience.until), if patience.lasts() => {
                let Some(server) = rota.pop_front() else { return Err(asked.into_miss(Instant::now())) };
                rota.push_back(server);
                asked.begin(server, Instant::now());
                let question = Arc::clone(&question);
                tries.spawn(async move { (server, query::ask(server, &question).await) });
                patience.begins();
            }
        }
    }
}

/// When the next question goes out.
struct Patience {
    until: Instant,
    length: Duration,
    sent: usize,
    servers: usize,
}

impl Patience {
    fn new(plan: &Plan<'_>) -> Self {
        Self { until: Instant::now(), length: plan.patience, sent: 0, servers: plan.servers.len() }
    }

    /// Whether questions may still go out; the last ones are waited for.
    fn lasts(&self) -> bool {
        self.sent < MOST_ROUNDS * self.servers.max(1)
    }

    fn begins(&mut self) {
        self.sent += 1;
        self.until = Instant::now() + self.length;
        if self.sent.is_multiple_of(self.servers.max(1)) {
            self.length *= 2;
        }
    }

    fn ends_now(&mut self) {
        self.until = Instant::now();
    }
}

/// RFC 8305, section 3.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// How long addresses of one family are believed whose other family could not be found out.
const ONE_FAMILY_TTL: Duration = Duration::from_secs(5);

/// How often a silent server is asked: after 0, 1, 3, 7 and 15 s where there is one.
const MOST_ROUNDS: usize = 5;
