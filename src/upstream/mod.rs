//! Owns an upstream: which server a request goes to, whether it goes out again, and what is known when none answers.
//!
//! `Upstream::call` is the one way in: a request's head and body go in, a response's head and body come out, or everything
//! that was seen of the failure. It knows nothing of who speaks HTTP on either side.

mod attempt;
pub mod balance;
pub mod body;
mod connect;
mod connection;
pub mod ejection;
mod lease;
mod line;
mod multiplex;
pub mod pool;
mod record;
pub mod retry;
pub mod server;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
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
pub use self::lease::Switched;
pub use self::server::Server;
use crate::config;
use crate::diagnosis::history::History;
use crate::dns::Resolver;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Stage;
use crate::net::tls::TlsSetupError;
use crate::upstream::attempt::Freshness;
use crate::upstream::attempt::Trouble;
use crate::upstream::balance::Candidate;
use crate::upstream::connect::Tls;
use crate::upstream::ejection::Ejection;
use crate::upstream::multiplex::Multiplex;
use crate::upstream::pool::Pool;
use crate::upstream::retry::Budget;

/// What all cores share of an upstream.
#[derive(Debug)]
pub struct Shared {
    /// Its settings.
    pub settings: Arc<config::Upstream>,
    /// Its servers.
    pub servers: Vec<Arc<Server>>,
    /// Which of them are out.
    pub ejection: Ejection,
    budget: Budget,
    turn: AtomicUsize,
    resolver: Arc<Resolver>,
    tls: Vec<Option<Tls>>,
    changes: mpsc::UnboundedSender<(Arc<str>, Change)>,
    client_body_timeout: Duration,
}

impl Shared {
    /// An upstream of the configuration. What changes about its servers goes to `changes`, with the upstream's name.
    ///
    /// # Errors
    ///
    /// Where TLS cannot be set up with the files that are configured.
    pub fn new(
        settings: &Arc<config::Upstream>,
        resolver: &Arc<Resolver>,
        client_body_timeout: Duration,
        changes: mpsc::UnboundedSender<(Arc<str>, Change)>,
    ) -> Result<Self, TlsSetupError> {
        let servers =
            settings.servers.iter().enumerate().map(|(index, url)| Arc::new(Server::new(settings, index, url)));
        Ok(Self {
            settings: Arc::clone(settings),
            servers: servers.collect(),
            ejection: Ejection::new(&settings.ejection, settings.servers.len()),
            budget: Budget::new(settings.retry.budget),
            turn: AtomicUsize::new(0),
            resolver: Arc::clone(resolver),
            tls: connect::tls_of(settings)?,
            changes,
            client_body_timeout,
        })
    }

    fn tell(&self, change: Option<Change>) {
        if let Some(change) = change {
            // Nobody listens any more when the program ends.
            self.changes.send((Arc::clone(&self.settings.name), change)).ok();
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
    client_body_timeout: Duration,
    shared: Arc<Shared>,
}

impl Lane {
    fn succeeded(&self) {
        if !self.shared.ejection.all_in() {
            self.shared.tell(self.shared.ejection.succeeded(self.server.index, Instant::now()));
        }
    }

    /// A failure counts against the server unless it is this host's own, or only the end of an idle connection.
    fn failed(&self, failure: &Failure) {
        let own = matches!(
            failure.fault,
            Fault::LocalPortsExhausted | Fault::FileDescriptorsExhausted | Fault::ConnectionProhibited
        );
        if !own && !died_idle(failure) && !failure.was_closing() {
            self.shared.tell(self.shared.ejection.failed(self.server.index, failure, Instant::now()));
        }
    }
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
        let lanes = shared.servers.iter().zip(&shared.tls).map(|(server, tls)| {
            Rc::new(Lane {
                server: Arc::clone(server),
                settings: Arc::clone(&shared.settings),
                pool: Pool::new(shared.settings.pool.clone()),
                multiplex: Multiplex::new(shared.settings.pool.idle_timeout),
                resolver: Arc::clone(&shared.resolver),
                tls: tls.clone(),
                client_body_timeout: shared.client_body_timeout,
                shared: Arc::clone(shared),
            })
        });
        Self { shared: Arc::clone(shared), lanes: lanes.collect() }
    }

    /// What all cores share of it.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What was known of its past when a request for this path failed.
    #[must_use]
    pub fn history(&self, _failure: &Failure, _path: &str) -> History {
        History::default()
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &Arc<config::Upstream> {
        &self.shared.settings
    }

    /// Closes connections that have been idle for too long; to be called about once a second.
    pub fn sweep(&self) {
        let now = Instant::now();
        for lane in &self.lanes {
            lane.pool.sweep(now);
            lane.multiplex.sweep(now);
        }
    }

    /// Sends the request to a server, and to another where that is safe and the first one fails. It goes out with the `Host`
    /// that it has, or with the server's own where the settings say so.
    ///
    /// # Errors
    ///
    /// The client's fault, or every attempt's failure.
    pub async fn call(&self, request: Request<RequestBody>) -> Result<Answered, Unanswered> {
        self.shared.budget.gain();
        let mut tries = Tries::default();
        let Some(lane) = self.pick(&tries) else { return Err(Unanswered::Exhausted(self.nobody_left())) };
        let mut next = Some(Try { request, lane, freshness: Freshness::Any });
        while let Some(Try { mut request, lane, freshness }) = next.take() {
            tries.servers.push(lane.server.index);
            self.address(&mut request, &lane.server);
            let again = self.may_follow(&tries).then(|| Again::of(&request)).flatten();
            match attempt::run(&lane, request, freshness).await {
                Ok(response) => {
                    let server = Arc::clone(&lane.server);
                    return Ok(Answered { response, server, hidden: tries.failures });
                }
                Err(Trouble::Client(fault)) => return Err(Unanswered::Client(fault)),
                Err(Trouble::Failed { failure, unsent }) => {
                    lane.failed(&failure);
                    next = self.next(lane, &failure, unsent, again, &tries);
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
        lane: Rc<Lane>,
        failure: &Failure,
        unsent: Option<Box<Request<RequestBody>>>,
        again: Option<Again>,
        tries: &Tries,
    ) -> Option<Try> {
        if !self.may_follow(tries) {
            return None;
        }
        let request = match (unsent, again) {
            (Some(unsent), _) => *unsent,
            (None, Some(again)) if retry::is_safe(failure, &again.0.method, true) => again.request(),
            (None, _) => return None,
        };
        if died_idle(failure) {
            // The end of an idle connection is no sign of trouble that a budget would have to hold down.
            return Some(Try { request, lane, freshness: Freshness::Fresh });
        }
        // What a server says that it has not begun, it may have again where there is no other.
        let same = failure.was_not_processed().then_some(lane);
        let lane = self.pick(tries).or(same)?;
        self.shared.budget.spend(Instant::now()).then_some(Try { request, lane, freshness: Freshness::Any })
    }

    fn may_follow(&self, tries: &Tries) -> bool {
        u32::try_from(tries.servers.len()).unwrap_or(u32::MAX) < self.shared.settings.retry.attempts
    }

    fn pick(&self, tries: &Tries) -> Option<Rc<Lane>> {
        if let [only] = self.lanes.as_slice() {
            let free = tries.servers.is_empty() && (self.shared.ejection.all_in() || self.is_in(0));
            return free.then(|| Rc::clone(only));
        }
        let servers_in = (!self.shared.ejection.all_in()).then(|| self.shared.ejection.servers_in(Instant::now()));
        let is_in = |index: usize| servers_in.as_ref().is_none_or(|list| list.get(index).copied().unwrap_or(true));
        let candidate = |(index, lane): (usize, &Rc<Lane>)| Candidate {
            eligible: !tries.has_tried(index) && is_in(index),
            in_flight: lane.server.in_flight(),
        };
        let candidates: Vec<Candidate> = self.lanes.iter().enumerate().map(candidate).collect();
        let turn = self.shared.turn.fetch_add(1, Ordering::Relaxed);
        let picked = balance::pick(self.shared.settings.balance, &candidates, turn)?;
        self.lanes.get(picked).cloned()
    }

    fn is_in(&self, server: usize) -> bool {
        self.shared.ejection.servers_in(Instant::now()).get(server).copied().unwrap_or(true)
    }

    /// Where the origin sees the server's own name, it is only known now.
    fn address(&self, request: &mut Request<RequestBody>, server: &Server) {
        if self.shared.settings.host_header == config::HostHeader::Upstream
            && let Ok(host) = http::HeaderValue::try_from(server.url.authority())
        {
            request.headers_mut().insert(http::header::HOST, host);
        }
    }

    /// No server may be used: what took them out in the first place stands beside it.
    fn nobody_left(&self) -> Exhausted {
        let (soonest, first) = self.shared.ejection.why_out(Instant::now());
        let mut attempts: Vec<Failure> = first.iter().map(|failure| (**failure).clone()).collect();
        let mut failure = Failure::new(Fault::NoHealthyServer);
        failure.target = self.lanes.first().map(|lane| (*lane.server.target).clone());
        attempts.push(failure);
        Exhausted { telling: attempts.len() - 1, attempts, retry_after: soonest }
    }
}

/// A head that can go out once more: that of a request without a body.
struct Again(http::request::Parts);

impl Again {
    fn of(request: &Request<RequestBody>) -> Option<Self> {
        let repeatable = request.body().is_empty() && retry::is_idempotent(request.method());
        repeatable.then(|| {
            let mut copy = Request::new(());
            request.method().clone_into(copy.method_mut());
            request.uri().clone_into(copy.uri_mut());
            request.headers().clone_into(copy.headers_mut());
            request.extensions().clone_into(copy.extensions_mut());
            Self(copy.into_parts().0)
        })
    }

    fn request(self) -> Request<RequestBody> {
        Request::from_parts(self.0, RequestBody::empty())
    }
}

/// One attempt that is to be made.
struct Try {
    request: Request<RequestBody>,
    lane: Rc<Lane>,
    freshness: Freshness,
}

/// What has been tried for one request.
#[derive(Default)]
struct Tries {
    /// The server of each attempt.
    servers: Vec<usize>,
    failures: Vec<Failure>,
}

impl Tries {
    fn has_tried(&self, server: usize) -> bool {
        self.servers.contains(&server)
    }

    fn exhausted(self) -> Exhausted {
        let telling = most_telling(&self.failures);
        Exhausted { attempts: self.failures, telling, retry_after: None }
    }
}

/// The end of an idle connection, which says nothing of a fresh one (RFC 9112, section 9.3.1).
fn died_idle(failure: &Failure) -> bool {
    let ended =
        matches!(failure.fault, Fault::ClosedBeforeResponse | Fault::ResetBeforeResponse | Fault::ResetWhileSending);
    let idle = failure.connection.reused && failure.connection.idle.is_some();
    ended && idle && failure.nothing_received()
}

/// The attempt that came furthest says most; an idle connection that died says least.
fn most_telling(failures: &[Failure]) -> usize {
    let depth = |failure: &Failure| if died_idle(failure) { None } else { Some(stage_depth(failure.fault.stage())) };
    let mut best = 0;
    for (index, failure) in failures.iter().enumerate() {
        if failures.get(best).is_some_and(|known| depth(failure) > depth(known)) {
            best = index;
        }
    }
    best
}

fn stage_depth(stage: Stage) -> usize {
    Stage::ALL.iter().position(|known| *known == stage).unwrap_or(0)
}
