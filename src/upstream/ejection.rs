//! Owns passive ejection: failures in a row take a server out, longer each time, and never more than a share of them.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::config;
use crate::fault::Failure;
use crate::upstream::health::Outcome;

/// Whether each server of an upstream may be used, as all cores see it.
#[derive(Debug)]
pub struct Ejection {
    settings: config::Ejection,
    /// Whether any server is out or has failed since it last answered: what a success has to look at.
    touched: AtomicBool,
    /// Until when each is out, in milliseconds since the beginning, for a choice to see without the lock; 0 where it is in.
    until: Box<[AtomicU64]>,
    begin: Instant,
    standings: Mutex<Vec<Standing>>,
}

/// A change that the log tells.
#[derive(Debug, Clone)]
pub enum Change {
    /// A server was taken out.
    Ejected {
        /// Its place in the upstream's list.
        server: usize,
        /// For how long.
        lasts: Duration,
        /// How many failures in a row it took.
        failures: u32,
        /// The last of them.
        last: Arc<Failure>,
    },
    /// A name was not answered for, and addresses whose time is over are used instead.
    Stale {
        /// The server's place in the upstream's list.
        server: usize,
    },
    /// A server is found to close idle connections earlier than they would be given up, so that they are given up before that.
    ClosesIdle {
        /// Its place in the upstream's list.
        server: usize,
        /// The age at which it closes them.
        after: Duration,
        /// How long they are kept from now on.
        kept: Duration,
        /// How long they would be kept by the settings.
        configured: Duration,
    },
    /// A server that was out has answered.
    Returned {
        /// Its place in the upstream's list.
        server: usize,
        /// For how long it was out.
        out_for: Duration,
    },
    /// Checks hold a server to be down.
    Down {
        /// Its place in the upstream's list.
        server: usize,
        /// How many checks in a row it took.
        checks: u32,
        /// What came of the last of them.
        last: Outcome,
    },
    /// Checks hold a server to be up again.
    Up {
        /// Its place in the upstream's list.
        server: usize,
        /// For how long it was held to be down.
        out_for: Duration,
    },
}

/// How one server stands: a state machine without a clock.
#[derive(Debug, Clone, Default)]
struct Standing {
    failures: u32,
    times_out: u32,
    out: Option<Out>,
    first: Option<Arc<Failure>>,
}

#[derive(Debug, Clone, Copy)]
struct Out {
    /// When it was taken out first.
    since: Instant,
    /// When it was taken out last.
    again: Instant,
    until: Instant,
}

impl Standing {
    fn is_out(&self, now: Instant) -> bool {
        self.out.is_some_and(|out| now < out.until)
    }

    fn is_untouched(&self) -> bool {
        self.failures == 0 && self.out.is_none()
    }
}

/// Why servers are out.
#[derive(Debug)]
pub struct WhyOut {
    /// When the first of them comes back.
    pub soonest: Option<Duration>,
    /// The first failure of each, with its place in the upstream's list.
    pub first: Vec<(usize, Arc<Failure>)>,
}

impl Ejection {
    pub(super) fn new(settings: &config::Ejection, servers: usize) -> Self {
        Self {
            settings: settings.clone(),
            touched: AtomicBool::new(false),
            until: std::iter::repeat_with(AtomicU64::default).take(servers).collect(),
            begin: Instant::now(),
            standings: Mutex::new(vec![Standing::default(); servers]),
        }
    }

    /// Whether no server is out: the usual case, answered without a lock.
    #[must_use]
    pub fn all_in(&self) -> bool {
        !self.touched.load(Ordering::Relaxed)
    }

    /// Whether a server is in.
    #[must_use]
    pub fn is_in(&self, server: usize, now: Instant) -> bool {
        self.until.get(server).is_none_or(|until| self.millis(now) >= until.load(Ordering::Relaxed))
    }

    /// Rounded up, so that what is over is over by the clock too.
    fn millis(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.begin).as_nanos().div_ceil(1_000_000);
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    /// Since when a server is out, where it is.
    #[must_use]
    pub fn out_for(&self, server: usize, now: Instant) -> Option<Duration> {
        let standings = self.lock();
        let out = standings.get(server).filter(|standing| standing.is_out(now))?.out?;
        Some(now.saturating_duration_since(out.since))
    }

    /// When the first of the servers that are out comes back, and why each of them was taken out in the first place.
    #[must_use]
    pub fn why_out(&self, now: Instant) -> WhyOut {
        let standings = self.lock();
        let out = || standings.iter().enumerate().filter(|(_, standing)| standing.is_out(now));
        let first = |(server, standing): (usize, &Standing)| Some((server, standing.first.clone()?));
        WhyOut {
            soonest: out().filter_map(|(_, standing)| standing.out).map(|out| out.until - now).min(),
            first: out().filter_map(first).collect(),
        }
    }

    /// The server that comes back first, of those that are out and may be asked; none where the settings let failures take out
    /// every server.
    #[must_use]
    pub fn nearest_return(&self, now: Instant, may_be_asked: impl Fn(usize) -> bool) -> Option<usize> {
        if self.settings.max_share >= 1.0 {
            return None;
        }
        let standings = self.lock();
        let out = standings.iter().enumerate().filter(|(server, _)| may_be_asked(*server));
        let out = out.filter(|(_, standing)| standing.is_out(now));
        let back = out.filter_map(|(server, standing)| Some((standing.out?.until, server)));
        back.min().map(|(_, server)| server)
    }

    /// A server answered a request that it was given at the moment `asked`.
    pub fn succeeded(&self, server: usize, asked: Instant, now: Instant) -> Option<Change> {
        if self.all_in() {
            return None;
        }
        let mut standings = self.lock();
        let standing = standings.get_mut(server)?;
        // An answer to what it was asked before it went out does not bring it back. It is asked while it is out where no other
        // server is left.
        let change = standing
            .out
            .filter(|out| now >= out.until || asked > out.again)
            .map(|out| Change::Returned { server, out_for: now - out.since });
        if change.is_some() || standing.out.is_none() {
            *standing = Standing { times_out: standing.times_out.saturating_sub(1), ..Standing::default() };
            self.note_until(server, 0);
        }
        self.touched.store(!standings.iter().all(Standing::is_untouched), Ordering::Relaxed);
        change
    }

    /// A server failed.
    pub fn failed(&self, server: usize, failure: &Failure, now: Instant) -> Option<Change> {
        let mut standings = self.lock();
        self.touched.store(true, Ordering::Relaxed);
        let out = standings.iter().filter(|standing| standing.is_out(now)).count();
        let may_eject = out < self.most_out(standings.len());
        let standing = standings.get_mut(server)?;
        standing.failures = standing.failures.saturating_add(1);
        if standing.first.is_none() {
            standing.first = Some(Arc::new(failure.clone()));
        }
        if standing.failures < self.settings.after || standing.is_out(now) || !may_eject {
            return None;
        }
        standing.times_out = standing.times_out.saturating_add(1);
        let lasts =
            self.settings.base_time.saturating_mul(standing.times_out).min(LONGEST.max(self.settings.base_time));
        let since = standing.out.map_or(now, |out| out.since);
        standing.out = Some(Out { since, again: now, until: now + lasts });
        self.note_until(server, self.millis(now + lasts));
        Some(Change::Ejected { server, lasts, failures: standing.failures, last: Arc::new(failure.clone()) })
    }

    fn note_until(&self, server: usize, moment: u64) {
        if let Some(until) = self.until.get(server) {
            until.store(moment, Ordering::Relaxed);
        }
    }

    /// The share of the servers that may be out, rounded down: an upstream's only server is never ejected, but at 1.0.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a count of servers, from 0.0 to 1.0"
    )]
    fn most_out(&self, servers: usize) -> usize {
        // A share of a third or a tenth is not quite that in binary, and is meant to be.
        (servers as f64).mul_add(self.settings.max_share, 1e-9).floor() as usize
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Standing>> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The longest time that a server is out, unless its first is longer.
const LONGEST: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Change;
    use super::Ejection;
    use crate::config;
    use crate::fault::Failure;
    use crate::fault::Fault;

    fn ejection(after: u32, max_share: f64, servers: usize) -> Ejection {
        Ejection::new(&config::Ejection { after, base_time: Duration::from_secs(10), max_share }, servers)
    }

    fn refused() -> Failure {
        Failure::new(Fault::ConnectionRefused)
    }

    #[test]
    fn failures_in_a_row_take_a_server_out_and_a_success_between_them_does_not() {
        let now = Instant::now();
        let ejection = ejection(2, 0.5, 2);
        assert!(ejection.failed(0, &refused(), now).is_none());
        assert!(ejection.succeeded(0, now, now).is_none());
        assert!(ejection.failed(0, &refused(), now).is_none());
        assert!(matches!(ejection.failed(0, &refused(), now), Some(Change::Ejected { server: 0, failures: 2, .. })));
        let servers_in = |now| [0, 1].map(|server| ejection.is_in(server, now));
        assert_eq!(servers_in(now), [false, true]);
        assert_eq!(servers_in(now + Duration::from_secs(10)), [true, true]);
    }

    #[test]
    fn a_share_is_rounded_down_so_that_an_only_server_stays() {
        let now = Instant::now();
        for (servers, share, out) in
            [(1, 0.5, 0), (2, 0.5, 1), (3, 0.5, 1), (4, 0.5, 2), (1, 1.0, 1), (3, 0.99, 2), (100, 0.29, 29)]
        {
            let ejection = ejection(1, share, servers);
            let ejected = (0..servers).filter(|server| ejection.failed(*server, &refused(), now).is_some()).count();
            assert_eq!(ejected, out, "{servers} servers, {share}");
        }
    }

    /// Whatever fails and answers in whatever order, the share holds, and some server can always be asked.
    #[test]
    fn ejection_alone_never_empties_a_pool() {
        let mut chance = fastrand::Rng::with_seed(502);
        for _ in 0..300 {
            let servers = chance.usize(1..8);
            let share = [0.0, 0.3, 0.5, 0.9, 0.99][chance.usize(0..5)];
            let ejection = ejection(chance.u32(1..4), share, servers);
            let mut now = Instant::now();
            for _ in 0..300 {
                now += Duration::from_millis(chance.u64(0..3000));
                let server = chance.usize(0..servers);
                match chance.u8(0..4) {
                    0 => drop(ejection.succeeded(server, now - Duration::from_millis(chance.u64(0..3000)), now)),
                    _ => drop(ejection.failed(server, &refused(), now)),
                }
                let out = (0..servers).filter(|server| !ejection.is_in(*server, now)).count();
                assert!(out <= ejection.most_out(servers) && out < servers, "{out} of {servers} are out, at {share}");
                let nearest = ejection.nearest_return(now, |_| true);
                assert_eq!(nearest.is_some(), out > 0);
                assert!(
                    nearest.is_none_or(|nearest| !ejection.is_in(nearest, now)),
                    "what the lock guards says the same"
                );
                // Where checks hold the others to be down, one that is out is asked all the same.
                let only = (0..servers).find(|server| !ejection.is_in(*server, now));
                assert_eq!(ejection.nearest_return(now, |server| Some(server) == only), only);
            }
        }
    }

    #[test]
    fn a_server_that_fails_again_is_out_for_longer_and_returns_when_it_answers() {
        let begin = Instant::now();
        let ejection = ejection(1, 1.0, 1);
        let mut now = begin;
        for times in 1..=3 {
            let Some(Change::Ejected { lasts, .. }) = ejection.failed(0, &refused(), now) else {
                panic!("not ejected")
            };
            assert_eq!(lasts, Duration::from_secs(10 * times));
            now += lasts;
        }
        let Some(Change::Returned { out_for, .. }) = ejection.succeeded(0, begin, now) else { panic!("not returned") };
        assert_eq!(out_for, now - begin);
        assert!(ejection.all_in());
    }

    #[test]
    fn only_what_was_asked_of_a_server_while_it_was_out_brings_it_back_early() {
        let now = Instant::now();
        let moments = [1, 2, 3].map(|second| now + Duration::from_secs(second));
        let ejection = ejection(1, 0.5, 2);
        ejection.failed(0, &refused(), moments[0]);
        for asked in [now, moments[0]] {
            assert!(ejection.succeeded(0, asked, moments[2]).is_none());
            assert!(!ejection.is_in(0, moments[2]));
        }
        let Some(Change::Returned { server: 0, out_for }) = ejection.succeeded(0, moments[1], moments[2]) else {
            panic!("not returned")
        };
        assert_eq!(out_for, moments[2] - moments[0]);
        assert!(ejection.is_in(0, moments[2]) && ejection.all_in());
    }

    #[test]
    fn the_first_failure_is_remembered_while_a_server_is_out() {
        let now = Instant::now();
        let ejection = ejection(2, 1.0, 1);
        ejection.failed(0, &Failure::new(Fault::TlsAlert), now);
        ejection.failed(0, &refused(), now);
        let why = ejection.why_out(now);
        assert_eq!(why.soonest, Some(Duration::from_secs(10)));
        assert_eq!(why.first.iter().map(|(_, failure)| failure.fault).collect::<Vec<_>>(), [Fault::TlsAlert]);
    }

    #[test]
    fn the_server_nearest_its_return_is_known_unless_all_may_be_out() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let ejection = ejection(1, 0.99, 3);
        assert_eq!(ejection.nearest_return(now, |_| true), None);
        ejection.failed(2, &refused(), now);
        ejection.failed(1, &refused(), later);
        assert_eq!(ejection.nearest_return(later, |_| true), Some(2));
        assert_eq!(ejection.nearest_return(later, |server| server < 2), Some(1));
        assert_eq!(ejection.nearest_return(later, |server| server < 1), None);
        assert_eq!(ejection.nearest_return(now + Duration::from_secs(10), |_| true), Some(1));
        let ejection = self::ejection(1, 1.0, 1);
        ejection.failed(0, &refused(), now);
        assert_eq!(ejection.nearest_return(now, |_| true), None);
    }
}
