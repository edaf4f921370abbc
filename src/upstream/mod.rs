//! Owns an upstream: which server a request goes to, whether it goes out again, and what is known when none answers.
//!
//! `Upstream::call` is the one way in: a request's head and body go in, a response's head and body come out, or everything
//! that was seen of the failure. It knows nothing of who speaks HTTP on either side.

mod attempt;
pub mod balance;
pub mod body;
mod choice;
mod connect;
mod connection;
pub mod ejection;
pub mod gate;
pub mod health;
mod history;
pub mod inbound;
pub mod inflow;
mod intercept;
mod lane;
mod lease;
pub mod limit;
mod line;
mod multiplex;
pub mod pool;
mod queue;
mod record;
pub mod retry;
mod secure;
pub mod server;
mod tries;
pub mod view;
pub mod watcher;
pub mod whereabouts;

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Request;
use http::Response;
use tokio::sync::mpsc;
use tokio::time::Instant;

pub use self::body::ClientFault;
pub use self::body::Cut;
pub use self::body::OnInterim;
pub use self::body::RequestBody;
pub use self::body::ResponseBody;
pub use self::connection::Upgraded;
pub use self::ejection::Change;
pub use self::inbound::Inbound;
pub use self::inflow::Inflow;
pub use self::lease::Switched;
pub use self::server::Server;
use crate::config;
use crate::dns::Resolver;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::net::tls::TlsSetupError;
use crate::upstream::attempt::Freshness;
use crate::upstream::attempt::Trouble;
use crate::upstream::balance::Balancer;
use crate::upstream::ejection::Ejection;
use crate::upstream::health::Health;
use crate::upstream::history::Diary;
use crate::upstream::history::Memory;
use crate::upstream::history::Path;
use crate::upstream::limit::Capacity;
use crate::upstream::limit::Place;
use crate::upstream::multiplex::Multiplex;
use crate::upstream::pool::Pool;
use crate::upstream::retry::Budget;
use crate::upstream::secure::Tls;
use crate::upstream::tries::Again;
use crate::upstream::tries::Tries;
use crate::upstream::tries::Try;
use crate::upstream::watcher::Watcher;

/// Where what changes about servers is told, each with the settings of its upstream.
pub type Changes = mpsc::UnboundedSender<(Arc<config::Upstream>, Change)>;

/// What all cores share of an upstream.
#[derive(Debug)]
pub struct Shared {
    /// Its settings.
    pub settings: Arc<config::Upstream>,
    /// Its servers.
    pub servers: Vec<Arc<Server>>,
    /// Which of them are out, for they have failed.
    pub ejection: Ejection,
    /// Which of them checks hold to be down; none where they are not checked.
    pub health: Option<Health>,
    /// How much each of them is given at once.
    pub capacity: Arc<Capacity>,
    budget: Budget,
    balancer: Balancer,
    resolver: Arc<Resolver>,
    tls: Vec<Option<Tls>>,
    changes: Changes,
    /// In milliseconds; it is the client's limit, and may change while everything else stays.
    client_body_timeout: AtomicU64,
    memory: Memory,
    /// Requests that went out once more.
    retries: AtomicU64,
    /// What the files held that the settings name, as a digest.
    files: u64,
}

impl Shared {
    /// An upstream of the configuration. What changes about its servers goes to `changes`, with the upstream's settings.
    ///
    /// # Errors
    ///
    /// Where TLS cannot be set up with the files that are configured.
    pub fn new(
        settings: &Arc<config::Upstream>,
        resolver: &Arc<Resolver>,
        client_body_timeout: Duration,
        changes: Changes,
    ) -> Result<Self, TlsSetupError> {
        let servers = settings
            .servers
            .iter()
            .enumerate()
            .map(|(index, server)| Arc::new(Server::new(settings, index, &server.url)));
        let shared = Self {
            settings: Arc::clone(settings),
            servers: servers.collect(),
            ejection: Ejection::new(&settings.ejection, settings.servers.len()),
            health: settings.health.as_ref().map(|health| Health::new(health, settings.servers.len())),
            capacity: Capacity::new(&settings.limits, settings.servers.len()),
            budget: Budget::new(settings.retry.budget),
            balancer: Balancer::new(settings),
            resolver: Arc::clone(resolver),
            tls: secure::tls_of(settings)?,
            changes,
            client_body_timeout: AtomicU64::new(0),
            memory: Memory::new(settings.servers.len()),
            retries: AtomicU64::new(0),
            files: secure::files_of(settings),
        };
        shared.set_client_body_timeout(client_body_timeout);
        Ok(shared)
    }

    /// Whether it is the upstream of these settings, and the files that they name are as they were.
    #[must_use]
    pub fn is_of(&self, settings: &config::Upstream) -> bool {
        *self.settings == *settings && self.files == secure::files_of(settings)
    }

    /// Sets for how long a client's body may make no progress.
    pub fn set_client_body_timeout(&self, limit: Duration) {
        self.client_body_timeout.store(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn client_body_timeout(&self) -> Duration {
        Duration::from_millis(self.client_body_timeout.load(Ordering::Relaxed))
    }

    /// What active checks say of a server; none where there are none, or none yet.
    #[must_use]
    pub fn health(&self, server: usize, now: Instant) -> Option<crate::diagnosis::history::Health> {
        self.health.as_ref().and_then(|health| health.of(server, now))
    }

    fn tell(&self, change: Option<Change>) {
        if let Some(change) = change {
            match change {
                Change::Ejected { server, lasts, .. } => self.balancer.returns(server, Instant::now() + lasts),
                Change::Up { server, .. } => self.balancer.returns(server, Instant::now()),
                Change::Stale { .. } | Change::ClosesIdle { .. } | Change::Returned { .. } | Change::Down { .. } => {}
            }
            // Nobody listens any more when the program ends.
            self.changes.send((Arc::clone(&self.settings), change)).ok();
        }
    }
}

/// An upstream as one core uses it.
#[derive(Debug)]
pub struct Upstream {
    shared: Arc<Shared>,
    lanes: Vec<Rc<Lane>>,
}

/// One server as one core uses it: its connections.
#[derive(Debug)]
struct Lane {
    server: Arc<Server>,
    settings: Arc<config::Upstream>,
    pool: Pool,
    multiplex: Multiplex,
    resolver: Arc<Resolver>,
    tls: Option<Tls>,
    shared: Arc<Shared>,
    diary: Diary,
    watcher: Watcher,
}

/// A response, and what it took to get it.
#[derive(Debug)]
pub struct Answered {
    /// The response.
    pub response: Response<ResponseBody>,
    /// The server that gave it.
    pub server: Arc<Server>,
    /// Failures that a retry has hidden from the client.
    pub hidden: Vec<Failure>,
}

/// Why there is no response.
#[derive(Debug)]
pub enum Unanswered {
    /// The client's body was at fault, no server.
    Client(ClientFault),
    /// No server answered.
    Exhausted(Exhausted),
}

/// Every attempt failed.
#[derive(Debug)]
pub struct Exhausted {
    /// Each of them; never empty.
    pub attempts: Vec<Failure>,
    /// The place of the most telling one.
    pub telling: usize,
    /// When it may be worth another try, where that is known.
    pub retry_after: Option<Duration>,
}

impl Exhausted {
    /// The server that the most telling attempt was made at.
    #[must_use]
    pub fn server(&self) -> Option<Arc<str>> {
        let target = self.attempts.get(self.telling).and_then(|failure| failure.target.as_ref());
        target.map(|target| Arc::clone(&target.url))
    }
}

impl Upstream {
    /// One core's part of an upstream.
    #[must_use]
    pub fn new(shared: &Arc<Shared>) -> Self {
        let lanes = shared.memory.diaries().enumerate();
        let lanes = lanes.filter_map(|(server, diary)| Lane::of(shared, server, &shared.settings, diary).map(Rc::new));
        Self { shared: Arc::clone(shared), lanes: lanes.collect() }
    }

    /// The same, each step of whose exchanges is told.
    #[must_use]
    pub fn watched(shared: &Arc<Shared>, tell: &Rc<watcher::Tell>) -> Self {
        let lanes = shared.memory.diaries().enumerate();
        let lanes = lanes.filter_map(|(server, diary)| Lane::of(shared, server, &shared.settings, diary));
        let watched = |lane| Rc::new(Lane { watcher: Watcher::new(tell), ..lane });
        Self { shared: Arc::clone(shared), lanes: lanes.map(watched).collect() }
    }

    /// What all cores share of it.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &Arc<config::Upstream> {
        &self.shared.settings
    }

    /// Closes connections that have been idle for too long, and keeps the retries' count; to be called about once a second.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.shared.budget.note(now);
        for lane in &self.lanes {
            lane.pool.sweep(now);
            lane.multiplex.sweep(now);
            lane.leave_old_addresses();
            lane.review_idle_connections(now);
            lane.note_idle_connections();
        }
    }

    /// Closes idle connections where requests wait for one on any core; to be called a few times a second.
    pub fn make_room(&self) {
        self.lanes.iter().for_each(|lane| lane.make_room());
    }

    /// Sends the request to a server, and to another where that is safe and the first one fails. It goes out with the `Host`
    /// that it has, or with the server's own where the settings say so. The client's address may tell which server it is for.
    ///
    /// # Errors
    ///
    /// The client's fault, or every attempt's failure.
    pub async fn call(
        &self,
        request: Box<Request<RequestBody>>,
        client: Option<IpAddr>,
    ) -> Result<Answered, Unanswered> {
        self.shared.budget.gain();
        let mut tries = Tries::of(self.shared.balancer.key(request.headers(), client));
        let (lane, place) = self.enter(tries.key).await.map_err(Unanswered::Exhausted)?;
        let mut next = Some(Try { request, lane, place, freshness: Freshness::Any });
        while let Some(Try { mut request, lane, mut place, freshness }) = next.take() {
            self.address(&mut request, &lane.server);
            let path = Path::of(request.uri().path());
            let again = if self.is_last(&tries) { None } else { Again::of(&request) };
            match attempt::run(&lane, request, freshness, &mut place).await {
                Ok(response) => {
                    let server = Arc::clone(&lane.server);
                    return Ok(Answered { response, server, hidden: tries.failures });
                }
                Err(Trouble::Client(fault)) => return Err(Unanswered::Client(fault)),
                Err(Trouble::Failed { failure, unsent }) => {
                    lane.failed(&failure, path);
                    tries.servers.push(lane.server.index);
                    next = self.next((lane, place), &failure, unsent, again, &tries);
                    if next.is_some() {
                        self.shared.retries.fetch_add(1, Ordering::Relaxed);
                    }
                    tries.failures.push(*failure);
                }
            }
        }
        Err(Unanswered::Exhausted(tries.exhausted()))
    }

    /// The next attempt, where there may be one: at the same server on a fresh connection where an idle one has died,
    /// otherwise at another.
    fn next(
        &self,
        (lane, place): (Rc<Lane>, Option<Place>),
        failure: &Failure,
        unsent: Option<Box<Request<RequestBody>>>,
        again: Option<Again>,
        tries: &Tries,
    ) -> Option<Try> {
        if !self.may_follow(tries) {
            return None;
        }
        let request = match (unsent, again) {
            (Some(unsent), _) => unsent,
            (None, Some(again)) if retry::is_safe(failure, again.method(), true) => Box::new(again.request()),
            (None, _) => return None,
        };
        if died_idle(failure) {
            // The end of an idle connection is no sign of trouble that a budget would have to hold down. Its server may be gone all
            // the same, so that a last attempt is better made at another.
            let other = self.is_last(tries).then(|| self.other(&tries.servers, tries.key)).flatten();
            let (lane, place) = other.unwrap_or((lane, place));
            return Some(Try { request, lane, place, freshness: Freshness::Fresh });
        }
        // Whoever waits for a place at the server that has failed need not wait for the other one's answer; but what a server
        // says that it has not begun, it may have again where there is no other.
        let same = failure.was_not_processed();
        let kept = if same { Some((lane, place)) } else { None };
        let (lane, place) = self.other(&tries.servers, tries.key).or(kept)?;
        let spent = self.shared.budget.spend(Instant::now());
        // The last attempt must not be lost for an idle connection that ends just now.
        let freshness = if self.is_last(tries) { Freshness::Fresh } else { Freshness::Any };
        spent.then_some(Try { request, lane, place, freshness })
    }

    fn may_follow(&self, tries: &Tries) -> bool {
        u32::try_from(tries.servers.len()).unwrap_or(u32::MAX) < self.shared.settings.retry.attempts
    }

    /// Whether no attempt may follow the next one.
    fn is_last(&self, tries: &Tries) -> bool {
        u32::try_from(tries.servers.len()).unwrap_or(u32::MAX).saturating_add(1) >= self.shared.settings.retry.attempts
    }

    /// Where the origin sees the server's own name, it is only known now.
    fn address(&self, request: &mut Request<RequestBody>, server: &Server) {
        if self.shared.settings.host_header == config::HostHeader::Upstream
            && let Ok(host) = http::HeaderValue::try_from(server.url.authority())
        {
            request.headers_mut().insert(http::header::HOST, host);
        }
    }
}

/// The end of an idle connection, which says nothing of a fresh one (RFC 9112, section 9.3.1).
fn died_idle(failure: &Failure) -> bool {
    let ended =
        matches!(failure.fault, Fault::ClosedBeforeResponse | Fault::ResetBeforeResponse | Fault::ResetWhileSending);
    let idle = failure.connection.reused && failure.connection.idle.is_some();
    ended && idle && failure.nothing_received()
}
