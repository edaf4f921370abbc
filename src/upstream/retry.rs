//! Owns the question whether a request may go out again.
//!
//! Repeating what a server has perhaps done already is worse than an error page, so the rule is RFC 9110, section 9.2.2: again
//! only if nothing was sent, or if the method is idempotent and not one byte of an answer came. A server of HTTP/2 can also say
//! that it has not begun (RFC 9113, section 8.7: `REFUSED_STREAM`, or a GOAWAY that does not count the stream): then the request
//! comes back from the exchange itself, whatever its method, as if it had never been sent. And a budget keeps retries from
//! doubling the load of an upstream that fails because it is overloaded.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Method;
use tokio::time::Instant;

use crate::fault::Failure;

/// Whether a request may go out again after this failure, as far as the exchange goes.
#[must_use]
pub fn is_safe(failure: &Failure, method: &Method, body_is_whole: bool) -> bool {
    body_is_whole && (failure.nothing_sent() || (is_idempotent(method) && failure.nothing_received()))
}

/// RFC 9110, section 9.2.2.
#[must_use]
pub fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}

/// Retries per request over a sliding window, shared by all cores.
#[derive(Debug)]
pub struct Budget {
    share: f64,
    requests: AtomicU64,
    window: Mutex<Window>,
}

/// What has happened lately. Requests are counted outside, without a lock; here are samples of that count.
#[derive(Debug, Default)]
struct Window {
    samples: VecDeque<(Instant, u64)>,
    retries: VecDeque<Instant>,
}

impl Budget {
    pub(super) fn new(share: f64) -> Self {
        Self { share, requests: AtomicU64::new(0), window: Mutex::default() }
    }

    /// A request begins.
    pub fn gain(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes how many requests there have been; to be called about once a second. Without it, all the requests of a day without
    /// trouble would count as those of the window in which the first retry is made.
    pub fn note(&self, now: Instant) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.note(now, self.requests.load(Ordering::Relaxed));
    }

    /// Takes one retry out of the budget, if it is there.
    #[must_use]
    pub fn spend(&self, now: Instant) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.spend(now, self.requests.load(Ordering::Relaxed), self.share)
    }
}

impl Window {
    fn note(&mut self, now: Instant, requests: u64) {
        // The newest sample that lies outside the window is where the window's count begins.
        while self.samples.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.samples.pop_front();
        }
        if self.samples.back().is_none_or(|(at, _)| now.duration_since(*at) >= SAMPLE) {
            self.samples.push_back((now, requests));
        }
    }

    fn spend(&mut self, now: Instant, requests: u64, share: f64) -> bool {
        while self.retries.front().is_some_and(|at| now.duration_since(*at) > WINDOW) {
            self.retries.pop_front();
        }
        self.note(now, requests);
        let before =
            self.samples.front().filter(|(at, _)| now.duration_since(*at) >= WINDOW).map_or(0, |(_, count)| *count);
        #[expect(clippy::cast_precision_loss, reason = "a count of requests in ten seconds")]
        let allowed = ((requests - before) as f64 * share).max(LEAST);
        #[expect(clippy::cast_precision_loss, reason = "a count of retries in ten seconds")]
        let granted = (self.retries.len() as f64) < allowed;
        if granted {
            self.retries.push_back(now);
        }
        granted
    }
}

const WINDOW: Duration = Duration::from_secs(10);
const SAMPLE: Duration = Duration::from_secs(1);
/// So many retries are always allowed in a window, for upstreams with little traffic.
const LEAST: f64 = 3.0;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Method;
    use tokio::time::Instant;

    use super::Budget;
    use super::Window;
    use super::is_safe;
    use crate::fault::Failure;
    use crate::fault::Fault;

    #[test]
    fn a_request_goes_out_again_only_where_nothing_can_happen_twice() {
        // method, bytes sent, bytes received, body whole: may it be repeated?
        let rows = [
            (Method::GET, 120, 0, true, true),
            (Method::PUT, 120, 0, true, true),
            (Method::POST, 120, 0, true, false),
            (Method::POST, 0, 0, true, true),
            (Method::GET, 120, 5, true, false),
            (Method::PUT, 120, 0, false, false),
            (Method::from_bytes(b"FROBNICATE").unwrap(), 120, 0, true, false),
        ];
        for (method, sent, received, whole, wanted) in rows {
            let mut failure = Failure::new(Fault::ClosedBeforeResponse);
            failure.bytes.request_sent = sent;
            failure.bytes.received = received;
            assert_eq!(is_safe(&failure, &method, whole), wanted, "{method} {sent} {received} {whole}");
        }
    }

    #[test]
    fn nothing_that_may_have_been_done_or_answered_is_ever_repeated() {
        let methods = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "POST", "PATCH", "CONNECT", "get", "LOCK"];
        for (method, fault) in methods.iter().flat_map(|method| Fault::ALL.iter().map(move |fault| (method, fault))) {
            for (sent, received, whole, reused) in [0, 1, 90]
                .into_iter()
                .flat_map(|sent| [0, 1].map(|received| (sent, received)))
                .flat_map(|(sent, received)| {
                    [(true, true), (true, false), (false, true)].map(|(a, b)| (sent, received, a, b))
                })
            {
                let mut failure = Failure::new(*fault);
                (failure.bytes.request_sent, failure.bytes.received) = (sent, received);
                failure.connection.reused = reused;
                let harmless = sent == 0
                    || (received == 0 && ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"].contains(method));
                let found = is_safe(&failure, &method.parse().unwrap(), whole);
                assert_eq!(found, harmless && whole, "{method} {fault:?} {sent} {received} {whole} {reused}");
            }
        }
    }

    #[test]
    fn a_budget_is_a_share_of_the_requests_and_at_least_three_in_a_window() {
        let now = Instant::now();
        let mut window = Window::default();
        let granted = (0..10).filter(|_| window.spend(now, 5, 0.2)).count();
        assert_eq!(granted, 3);
        let mut window = Window::default();
        let granted = (0..100).filter(|_| window.spend(now, 200, 0.2)).count();
        assert_eq!(granted, 40);
    }

    #[test]
    fn a_budget_comes_back_when_its_window_has_passed() {
        let now = Instant::now();
        let mut window = Window::default();
        while window.spend(now, 1000, 0.01) {}
        assert!(!window.spend(now + Duration::from_secs(9), 1000, 0.01));
        assert!(window.spend(now + Duration::from_secs(11), 1000, 0.01));
    }

    #[test]
    fn a_quiet_day_leaves_nothing_to_spend() {
        let begin = Instant::now();
        let mut window = Window::default();
        (0..100).for_each(|second| window.note(begin + Duration::from_secs(second), second * 10));
        let now = begin + Duration::from_secs(100);
        let granted = (0..1000).filter(|_| window.spend(now, 1000, 0.2)).count();
        assert_eq!(granted, 20, "a share of the last ten seconds' hundred");
    }

    /// Whatever the traffic is: of retries in ten seconds there are no more than the share of the requests that came meanwhile, as
    /// they are sampled, or three; and none is refused that even those of exactly ten seconds would allow.
    #[test]
    fn no_order_of_requests_and_retries_gets_around_the_budget() {
        let mut chance = fastrand::Rng::with_seed(502);
        for _ in 0..20 {
            let share = [0.0, 0.01, 0.2, 1.0][chance.usize(0..4)];
            let (budget, mut now) = (Budget::new(share), Instant::now());
            let (mut came, mut granted): (Vec<Instant>, Vec<Instant>) = (Vec::new(), Vec::new());
            for _ in 0..600 {
                now += Duration::from_millis(chance.u64(0..1000));
                budget.note(now);
                for _ in 0..[0, 0, 5, 60][chance.usize(0..4)] {
                    budget.gain();
                    came.push(now);
                }
                for _ in 0..[0, 1, 20][chance.usize(0..3)] {
                    let lately = |all: &[Instant], seconds: u64| {
                        let since = Duration::from_secs(seconds);
                        let count = all.iter().rev().take_while(|at| now - **at <= since).count();
                        f64::from(u32::try_from(count).unwrap())
                    };
                    let most = |seconds: u64| (lately(&came, seconds) * share).max(3.0);
                    let spent = lately(&granted, 10);
                    if budget.spend(now) {
                        granted.push(now);
                        // Samples are a second apart and at most two, and one of them has to lie outside of the window.
                        assert!(spent < most(12), "{spent} of {} at {share}", most(12));
                    } else {
                        assert!(spent >= most(9), "{spent} of {} at {share}", most(9));
                    }
                }
            }
        }
    }
}
