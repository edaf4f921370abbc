//! Owns active checks: each server is asked again and again whether it is well, and gets no requests while it is not.
//!
//! A server is up until checks have shown otherwise. One task a server asks for the whole process, on connections that have
//! nothing to do with the pools or their limits, so that neither traffic nor its absence keeps a check from being made.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::HeaderValue;
use http::Request;
use http::Uri;
use http::header;
use http_body::Body;
use tokio::time::Instant;

use crate::config;
use crate::config::HealthCheck;
use crate::config::HostHeader;
use crate::config::Timeouts;
use crate::diagnosis::history;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::CheckEvidence;
use crate::net::deadline::within;
use crate::upstream::Change;
use crate::upstream::Lane;
use crate::upstream::Shared;
use crate::upstream::attempt;
use crate::upstream::attempt::Trouble;
use crate::upstream::body::RequestBody;
use crate::upstream::inflow::Inflow;
use crate::upstream::server::Server;

/// How the checks of an upstream have gone, as all cores see it.
#[derive(Debug)]
pub struct Health {
    settings: HealthCheck,
    /// Whether any server is held to be down: what a choice has to look at.
    any_down: AtomicBool,
    /// Which of them are, for a choice to see without the lock.
    down: Box<[AtomicBool]>,
    standings: Mutex<Vec<Standing>>,
    checks: Mutex<Vec<Checks>>,
}

/// How many checks of a server there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checks {
    /// That found it well.
    pub well: u64,
    /// That did not.
    pub ill: u64,
}

/// What came of one check.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// An answer with this status.
    Answered(u16),
    /// None.
    Failed(Arc<Failure>),
}

impl Outcome {
    /// Whether the server is well.
    #[must_use]
    pub const fn is_well(&self) -> bool {
        matches!(self, Self::Answered(200..=399))
    }

    /// How there came to be no answer.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Answered(_) => None,
            Self::Failed(failure) => Some(failure.fault),
        }
    }

    /// The answer's status.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(status) => Some(*status),
            Self::Failed(_) => None,
        }
    }
}

/// How many checks in a row change what is held of a server.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds {
    /// To be held to be up.
    pub healthy: u32,
    /// To be held to be down.
    pub unhealthy: u32,
}

/// What is held of one server: a state machine without a clock.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Since when it is held to be down; none while it is up.
    down: Option<Instant>,
    /// How many checks in a row spoke against what is held.
    against: u32,
    /// The first check that spoke against a server that was up, until it is up again.
    first: Option<Outcome>,
    last: Option<(Instant, Outcome)>,
}

/// A change of what is held of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// It is held to be down, after so many checks.
    Down(u32),
    /// It is held to be up again, after so long.
    Up(Duration),
}

impl Standing {
    /// A check has ended.
    pub fn after_check(&mut self, outcome: Outcome, now: Instant, thresholds: Thresholds) -> Option<Turned> {
        let well = outcome.is_well();
        self.last = Some((now, outcome.clone()));
        if well == self.down.is_none() {
            self.against = 0;
            if well {
                self.first = None;
            }
            return None;
        }
        self.against = self.against.saturating_add(1);
        match self.down {
            None => {
                self.first.get_or_insert(outcome);
                (self.against >= thresholds.unhealthy).then(|| {
                    self.down = Some(now);
                    Turned::Down(std::mem::take(&mut self.against))
                })
            }
            Some(since) => (self.against >= thresholds.healthy).then(|| {
                *self = Self { last: self.last.take(), ..Self::default() };
                Turned::Up(now.saturating_duration_since(since))
            }),
        }
    }
}

/// What keeps the servers out that are held to be down.
#[derive(Debug, Default)]
pub struct WhyDown {
    /// The first failure of each that gave no answer, by its place in the upstream's list.
    pub failures: Vec<(usize, Arc<Failure>)>,
    /// The first that answered, and the status of its answer.
    pub answered: Option<(usize, u16)>,
    /// When the first of them can be up again at the earliest.
    pub soonest: Option<Duration>,
}

impl Health {
    pub(super) fn new(settings: &HealthCheck, servers: usize) -> Self {
        Self {
            settings: settings.clone(),
            any_down: AtomicBool::new(false),
            down: std::iter::repeat_with(AtomicBool::default).take(servers).collect(),
            standings: Mutex::new(vec![Standing::default(); servers]),
            checks: Mutex::new(vec![Checks::default(); servers]),
        }
    }

    /// How many checks of a server there were.
    #[must_use]
    pub fn checks(&self, server: usize) -> Checks {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).get(server).copied().unwrap_or_default()
    }

    /// Whether no server is held to be down: the usual case, answered without a lock.
    #[must_use]
    pub fn all_up(&self) -> bool {
        !self.any_down.load(Ordering::Relaxed)
    }

    /// Whether a server is held to be up.
    #[must_use]
    pub fn is_up(&self, server: usize) -> bool {
        self.down.get(server).is_none_or(|down| !down.load(Ordering::Relaxed))
    }

    /// What keeps those out that are held to be down.
    #[must_use]
    pub fn why_down(&self) -> WhyDown {
        let mut why = WhyDown::default();
        for (server, standing) in self.lock().iter().enumerate().filter(|(_, standing)| standing.down.is_some()) {
            match &standing.first {
                Some(Outcome::Failed(failure)) => why.failures.push((server, Arc::clone(failure))),
                Some(Outcome::Answered(status)) => {
                    why.answered.get_or_insert((server, *status));
                }
                None => {}
            }
            let missing = self.settings.healthy_after.saturating_sub(standing.against);
            let wait = self.settings.interval.saturating_mul(missing);
            why.soonest = Some(why.soonest.map_or(wait, |known: Duration| known.min(wait)));
        }
        why
    }

    /// The answer of a check that took a server out, as evidence.
    pub(super) fn evidence(&self, server: &Server, status: u16) -> CheckEvidence {
        CheckEvidence { server: Arc::clone(&server.target.url), path: Arc::clone(&self.settings.path), status }
    }

    /// How things stand with a server, for a diagnosis; none where it was never checked.
    #[must_use]
    pub fn of(&self, server: usize, now: Instant) -> Option<history::Health> {
        let standings = self.lock();
        let standing = standings.get(server)?;
        let (at, outcome) = standing.last.as_ref()?;
        Some(history::Health {
            up: standing.down.is_none(),
            checked: now.saturating_duration_since(*at),
            fault: outcome.fault(),
            status: outcome.status(),
            path: self.settings.path.to_string(),
        })
    }

    fn checked(&self, server: usize, outcome: &Outcome, now: Instant) -> Option<Change> {
        if let Some(checks) = self.checks.lock().unwrap_or_else(PoisonError::into_inner).get_mut(server) {
            let count = if outcome.is_well() { &mut checks.well } else { &mut checks.ill };
            *count += 1;
        }
        let thresholds = Thresholds { healthy: self.settings.healthy_after, unhealthy: self.settings.unhealthy_after };
        let mut standings = self.lock();
        let turned = standings.get_mut(server)?.after_check(outcome.clone(), now, thresholds)?;
        if let Some(down) = self.down.get(server) {
            down.store(matches!(turned, Turned::Down(_)), Ordering::Relaxed);
        }
        self.any_down.store(standings.iter().any(|standing| standing.down.is_some()), Ordering::Relaxed);
        Some(match turned {
            Turned::Down(checks) => Change::Down { server, checks, last: outcome.clone() },
            Turned::Up(out_for) => Change::Up { server, out_for },
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Standing>> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The checks of an upstream's servers, each a task that never ends, for one core to run.
pub fn watches(shared: &Arc<Shared>) -> impl Iterator<Item = impl Future<Output = ()> + use<>> + use<> {
    let servers = if shared.health.is_some() { shared.servers.len() } else { 0 };
    let shared = Arc::clone(shared);
    (0..servers).map(move |server| watch(Arc::clone(&shared), server))
}

async fn watch(shared: Arc<Shared>, server: usize) {
    let Some(health) = &shared.health else { return };
    let Some(lane) = lane(&shared, server, &health.settings) else { return };
    let interval = health.settings.interval;
    // Not all of them in the same moment.
    tokio::time::sleep((interval / 10).min(FIRST).mul_f64(fastrand::f64())).await;
    loop {
        let begin = Instant::now();
        let outcome = check(&lane, &health.settings).await;
        shared.tell(health.checked(server, &outcome, Instant::now()));
        tokio::time::sleep_until(begin + interval.mul_f64(0.9 + fastrand::f64() / 5.0)).await;
    }
}

/// The server as checks use it: no wait is longer than a check may take.
fn lane(shared: &Arc<Shared>, server: usize, settings: &HealthCheck) -> Option<Rc<Lane>> {
    let cut = |limit: Duration| limit.min(settings.timeout);
    let Timeouts { resolve, connect, tls, send, response, body, tunnel } = shared.settings.timeouts;
    let timeouts = Timeouts {
        resolve: cut(resolve),
        connect: cut(connect),
        tls: cut(tls),
        send: cut(send),
        response: cut(response),
        body: cut(body),
        tunnel,
    };
    let settings = Arc::new(config::Upstream { timeouts, ..(*shared.settings).clone() });
    let diary = shared.memory.diaries().nth(server)?;
    Lane::of(shared, server, &settings, diary).map(Rc::new)
}

async fn check(lane: &Rc<Lane>, settings: &HealthCheck) -> Outcome {
    let begin = Instant::now();
    let opened = Cell::new(false);
    let answer = within(settings.timeout, attempt::ask(lane, request(lane, settings), &opened)).await;
    let mut failure = match answer {
        Ok(Ok((exchange, response))) => {
            let status = response.status().as_u16();
            within(LAST_WORDS.min(settings.timeout), read(response.into_body())).await.ok();
            drop(exchange);
            return Outcome::Answered(status);
        }
        Ok(Err(Trouble::Failed { failure, .. })) => return Outcome::Failed(Arc::from(failure)),
        // There is no client; whatever that was, there is no answer.
        Ok(Err(Trouble::Client(_))) => Failure::new(Fault::ClosedBeforeResponse),
        Err(late) => {
            let fault = if opened.get() { Fault::ResponseTimedOut } else { Fault::ConnectionTimedOut };
            Failure::new(fault).after(settings.timeout).because(late)
        }
    };
    attempt::finish(&mut failure, lane, begin);
    Outcome::Failed(Arc::new(failure))
}

fn request(lane: &Lane, settings: &HealthCheck) -> Request<RequestBody> {
    let mut request = Request::new(RequestBody::empty());
    // The configuration lets nothing else through than what is one.
    *request.uri_mut() = Uri::try_from(&*settings.path).unwrap_or_default();
    let authority = lane.server.url.authority();
    let host = match &lane.settings.host_header {
        HostHeader::Client | HostHeader::Upstream => authority.as_str(),
        HostHeader::Literal(name) => name,
    };
    let headers = request.headers_mut();
    headers.extend(HeaderValue::try_from(host).ok().map(|host| (header::HOST, host)));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(NAME));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    request
}

/// Reads a little of what follows a head, for a server whose answer is not listened to may take that for an error.
async fn read(mut body: Inflow) {
    let mut count = 0;
    while count < MOST_READ {
        match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            Some(Ok(frame)) => count += frame.data_ref().map_or(0, bytes::Bytes::len),
            Some(Err(_)) | None => return,
        }
    }
}

/// The longest wait before the first check.
const FIRST: Duration = Duration::from_millis(500);
/// How long the body of a check's answer is read, and how many bytes of it.
const LAST_WORDS: Duration = Duration::from_secs(1);
const MOST_READ: usize = 64 << 10;
/// Who asks.
const NAME: &str = concat!("why502/", env!("CARGO_PKG_VERSION"), " (health check)");

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Health;
    use super::Outcome;
    use super::Standing;
    use super::Thresholds;
    use super::Turned;
    use crate::config::HealthCheck;
    use crate::fault::Failure;
    use crate::fault::Fault;
    use crate::upstream::Change;

    const THRESHOLDS: Thresholds = Thresholds { healthy: 2, unhealthy: 3 };

    fn refused() -> Outcome {
        Outcome::Failed(Arc::new(Failure::new(Fault::ConnectionRefused)))
    }

    fn health() -> Health {
        let settings = HealthCheck {
            path: "/healthz".into(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            healthy_after: 2,
            unhealthy_after: 2,
        };
        Health::new(&settings, 2)
    }

    #[test]
    fn checks_in_a_row_change_what_is_held_of_a_server() {
        let (up, down) = (Some(Turned::Up(Duration::ZERO)), Some(Turned::Down(3)));
        // Each check, and what it changes.
        let table: &[&[(u16, Option<Turned>)]] = &[
            &[(200, None), (200, None), (200, None)],
            &[(500, None), (500, None), (500, down), (500, None), (200, None), (200, up)],
            &[(500, None), (500, None), (399, None), (500, None), (500, None), (404, down)],
            &[(500, None), (500, None), (500, down), (200, None), (500, None), (200, None), (204, up), (500, None)],
            &[(199, None), (400, None), (0, down)],
        ];
        for row in table {
            let (mut standing, now) = (Standing::default(), Instant::now());
            for (at, (status, wanted)) in row.iter().enumerate() {
                let outcome = if *status == 0 { refused() } else { Outcome::Answered(*status) };
                assert_eq!(standing.after_check(outcome, now, THRESHOLDS), *wanted, "{row:?} {at}");
            }
        }
    }

    #[test]
    fn what_took_a_server_out_is_remembered_until_it_is_up() {
        let (health, now) = (health(), Instant::now());
        assert!(health.checked(0, &refused(), now).is_none());
        assert!(health.all_up());
        let change = health.checked(0, &Outcome::Answered(500), now);
        assert!(matches!(change, Some(Change::Down { server: 0, checks: 2, .. })), "{change:?}");
        assert_eq!((health.all_up(), [0, 1].map(|server| health.is_up(server))), (false, [false, true]));
        health.checked(0, &Outcome::Answered(503), now);
        let why = health.why_down();
        assert_eq!(why.failures.iter().map(|(_, it)| it.fault).collect::<Vec<_>>(), [Fault::ConnectionRefused]);
        assert_eq!((why.answered, why.soonest), (None, Some(Duration::from_secs(10))));
        health.checked(0, &Outcome::Answered(200), now);
        assert_eq!(health.why_down().soonest, Some(Duration::from_secs(5)));
        let change = health.checked(0, &Outcome::Answered(200), now + Duration::from_secs(7));
        let Some(Change::Up { server: 0, out_for }) = change else { panic!("{change:?}") };
        assert_eq!((out_for, health.all_up()), (Duration::from_secs(7), true));
        assert!(health.why_down().failures.is_empty());
    }

    #[test]
    fn a_diagnosis_is_told_how_the_last_check_went() {
        let (health, now) = (health(), Instant::now());
        assert_eq!(health.of(0, now), None);
        health.checked(1, &Outcome::Answered(404), now);
        let told = health.of(1, now + Duration::from_secs(3)).unwrap();
        assert_eq!((told.up, told.checked, told.fault), (true, Duration::from_secs(3), None));
        assert_eq!((told.status, &*told.path), (Some(404), "/healthz"));
    }

    /// Whatever checks say in whatever order: a server turns exactly when the last so many in a row, since it turned before, speak
    /// against what is held of it.
    #[test]
    fn a_server_turns_after_so_many_checks_in_a_row_and_never_otherwise() {
        let mut chance = fastrand::Rng::with_seed(502);
        for _ in 0..300 {
            let thresholds = Thresholds { healthy: chance.u32(1..5), unhealthy: chance.u32(1..5) };
            let (mut standing, now) = (Standing::default(), Instant::now());
            let (mut is_up, mut checks) = (true, Vec::new());
            for second in 0..100 {
                let well = chance.u8(0..3) > 0;
                checks.push(well);
                let outcome = if well { Outcome::Answered(204) } else { refused() };
                let turned = standing.after_check(outcome, now + Duration::from_secs(second), thresholds);
                let needed = if is_up { thresholds.unhealthy } else { thresholds.healthy };
                let in_a_row = checks.iter().rev().take_while(|well| **well != is_up).count();
                assert_eq!(turned.is_some(), in_a_row == needed as usize, "{thresholds:?} {checks:?}");
                match turned {
                    Some(Turned::Down(count)) => assert!(is_up && count == needed),
                    Some(Turned::Up(_)) => assert!(!is_up),
                    None => continue,
                }
                is_up = !is_up;
                checks.clear();
            }
        }
    }
}
