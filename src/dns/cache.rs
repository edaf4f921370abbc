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
        let mut cache = Self { names: HashMap::new(), max_ttl: FOR_EVER, serve_stale: FOR_EVER };
        cache.configure(settings);
        cache
    }

    /// Goes on with other settings, which hold for what is learnt from now on.
    pub(super) fn configure(&mut self, settings: &config::Dns) {
        self.max_ttl = settings.max_ttl.min(FOR_EVER);
        self.serve_stale = settings.serve_stale.min(FOR_EVER);
    }

    /// Every address is worth another question, for others are asked from now on.
    pub(super) fn distrust_all(&mut self) {
        self.names.values_mut().filter_map(|entry| entry.good.as_mut()).for_each(|good| good.distrusted = true);
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
            Finding::Failure(failure, ttl) => (Arc::<Failure>::from(failure), ttl),
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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::Duration;
    use std::time::Instant;

    use super::Asker;
    use super::Cache;
    use super::MOST_NAMES;
    use super::Memory;
    use crate::config;
    use crate::dns::addresses::Addresses;
    use crate::dns::lookup::Finding;
    use crate::fault::Failure;
    use crate::fault::Fault;

    #[test]
    fn addresses_are_believed_for_their_ttl_within_a_floor_and_the_cap() {
        for (ttl, believed) in [(0, 1000), (500, 1000), (20_000, 20_000), (1_000_000, 300_000)] {
            let mut past = Past::new(&DEFAULTS);
            past.learn(found(ttl));
            assert_eq!(past.after(believed - 1).recall(), "addresses", "TTL of {ttl} ms");
            assert_eq!(past.after(1).recall(), "nothing", "TTL of {ttl} ms");
        }
    }

    #[test]
    fn definite_answers_are_remembered_as_long_as_their_zone_says() {
        for (ttl, left) in [(Some(60_000), 60_000), (Some(3_600_000), 300_000), (None, 0)] {
            let mut past = Past::new(&DEFAULTS);
            past.learn(found(20_000));
            past.learn(failed(Fault::DnsNameNotFound, ttl));
            let expected =
                if left == 0 { "nothing".to_owned() } else { format!("dns_name_not_found for {}", left - 1) };
            assert_eq!(past.after(1).recall(), expected, "{ttl:?}");
            assert_eq!(past.after(left).recall(), "nothing", "{ttl:?}");
        }
    }

    #[test]
    fn failures_are_remembered_for_one_two_four_and_then_five_seconds() {
        let mut past = Past::new(&config::Dns { serve_stale: Duration::ZERO, ..DEFAULTS });
        for pause in [1000, 2000, 4000, 5000, 5000] {
            past.learn(failed(Fault::DnsServerFailure, None));
            assert_eq!(past.after(pause - 1).recall(), "dns_server_failure for 1");
            assert_eq!(past.after(1).recall(), "nothing");
        }
        past.learn(found(1000));
        past.after(5000).learn(failed(Fault::DnsServerFailure, None));
        assert_eq!(past.after(1).recall(), "dns_server_failure for 999", "a success ends the row");
    }

    #[test]
    fn what_this_host_ran_out_of_is_not_the_names_failure() {
        let mut past = Past::new(&DEFAULTS);
        past.learn(failed(Fault::FileDescriptorsExhausted, None));
        assert_eq!(past.after(1).recall(), "nothing");
    }

    #[test]
    fn a_look_up_that_ran_out_of_time_speaks_for_the_less_patient_only() {
        let mut past = Past::new(&DEFAULTS);
        let mut failure = Failure::new(Fault::DnsTimeout);
        failure.limit = Some(Duration::from_secs(1));
        past.learn(Finding::Failure(Box::new(failure), None));
        past.after(1);
        assert_eq!(past.recall_with(Asker { since: past.now, limit: Duration::from_secs(1) }), "dns_timeout for 999");
        assert_eq!(past.recall_with(Asker { since: past.now, limit: Duration::from_secs(2) }), "nothing");
    }

    #[test]
    fn an_answer_that_came_while_waiting_counts_even_if_it_is_not_kept() {
        let mut past = Past::new(&config::Dns { max_ttl: Duration::ZERO, ..DEFAULTS });
        let asker = Asker { since: past.now, limit: Duration::from_secs(2) };
        past.after(5).learn(failed(Fault::DnsNoRecords, None));
        assert_eq!(past.after(1).recall_with(asker), "dns_no_records");
        past.learn(found(60_000));
        assert_eq!(past.after(1).recall_with(asker), "addresses");
        assert_eq!(past.recall(), "nothing", "whoever asks later asks anew");
    }

    #[test]
    fn addresses_past_their_time_serve_while_the_name_servers_fail() {
        let mut past = Past::new(&DEFAULTS);
        past.learn(found(20_000));
        past.after(30_000);
        assert_eq!(past.recall(), "nothing", "nobody has failed yet");
        assert_eq!(past.learn(failed(Fault::DnsTimeout, None)), "stale addresses");
        assert_eq!(past.after(999).recall(), "stale addresses");
        assert_eq!(past.after(1).recall(), "stale addresses unless you ask");
        past.after(20_000 + 3_600_000 - 31_000 - 1);
        assert_eq!(past.recall(), "stale addresses unless you ask");
        assert_eq!(past.after(1).recall(), "nothing", "an hour after the TTL it is over");
    }

    #[test]
    fn addresses_past_their_time_do_not_serve_where_that_is_off_or_the_name_is_gone() {
        let mut past = Past::new(&config::Dns { serve_stale: Duration::ZERO, ..DEFAULTS });
        past.learn(found(20_000));
        assert_eq!(past.after(20_000).learn(failed(Fault::DnsTimeout, None)), "dns_timeout");
        let mut past = Past::new(&DEFAULTS);
        past.learn(found(20_000));
        assert_eq!(past.after(20_000).learn(failed(Fault::DnsNameNotFound, None)), "dns_name_not_found");
        assert_eq!(past.learn(failed(Fault::DnsTimeout, None)), "dns_timeout");
    }

    #[test]
    fn distrusted_addresses_are_asked_for_again_at_most_once_a_second() {
        let mut past = Past::new(&DEFAULTS);
        past.learn(found(60_000));
        past.after(999).distrust();
        assert_eq!(past.recall(), "addresses");
        past.after(1).distrust();
        assert_eq!(past.recall(), "nothing");
        past.learn(found(60_000));
        past.after(999).distrust();
        assert_eq!(past.recall(), "addresses");
    }

    #[test]
    fn distrusted_addresses_serve_on_while_the_name_servers_fail() {
        let mut past = Past::new(&DEFAULTS);
        past.learn(found(60_000));
        past.after(1000).distrust();
        assert_eq!(past.learn(failed(Fault::DnsTimeout, None)), "addresses");
        assert_eq!(past.recall(), "addresses");
        past.after(1000).distrust();
        assert_eq!(past.recall(), "addresses unless you ask");
    }

    #[test]
    fn other_servers_are_not_blamed_for_what_the_old_ones_failed_to_say() {
        let mut past = Past::new(&DEFAULTS);
        past.learn(failed(Fault::DnsNameNotFound, Some(60_000)));
        past.cache.forget_failures();
        assert_eq!(past.after(1).recall(), "nothing");
    }

    #[test]
    fn the_oldest_name_makes_room() {
        let mut past = Past::new(&DEFAULTS);
        for number in 0..=MOST_NAMES {
            past.after(1);
            let learnt = past.cache.learn(&number.to_string(), found(60_000), past.now);
            assert!(learnt.is_ok());
        }
        let known = |name: &str| past.cache.names.contains_key(name);
        assert_eq!((past.cache.names.len(), known("0"), known("1")), (MOST_NAMES, false, true));
    }

    const DEFAULTS: config::Dns =
        config::Dns { servers: Vec::new(), max_ttl: Duration::from_secs(300), serve_stale: Duration::from_secs(3600) };

    /// One name's past, told in milliseconds.
    struct Past {
        cache: Cache,
        now: Instant,
    }

    impl Past {
        fn new(settings: &config::Dns) -> Self {
            Self { cache: Cache::new(settings), now: Instant::now() }
        }

        fn after(&mut self, milliseconds: u64) -> &mut Self {
            self.now += Duration::from_millis(milliseconds);
            self
        }

        fn learn(&mut self, finding: Finding) -> String {
            match self.cache.learn("app.example", finding, self.now) {
                Ok(addresses) => words(&addresses).to_owned(),
                Err(failure) => failure.fault.to_string(),
            }
        }

        fn distrust(&mut self) {
            self.cache.distrust("app.example", self.now);
        }

        /// What somebody hears who asks now and has no time.
        fn recall(&self) -> String {
            self.recall_with(Asker { since: self.now, limit: Duration::ZERO })
        }

        fn recall_with(&self, asker: Asker) -> String {
            match self.cache.recall("app.example", asker, self.now) {
                Memory::Addresses(addresses) => words(&addresses).to_owned(),
                Memory::InNeed(addresses) => format!("{} unless you ask", words(&addresses)),
                Memory::Failure(failure, None) => failure.fault.to_string(),
                Memory::Failure(failure, Some(left)) => format!("{} for {}", failure.fault, left.as_millis()),
                Memory::Nothing => "nothing".to_owned(),
            }
        }
    }

    fn words(addresses: &Arc<Addresses>) -> &'static str {
        if addresses.stale { "stale addresses" } else { "addresses" }
    }

    fn found(ttl: u64) -> Finding {
        let addresses = Addresses::in_order(vec![IpAddr::from([10, 0, 0, 1])], Vec::new());
        Finding::Addresses(addresses.unwrap(), Duration::from_millis(ttl))
    }

    fn failed(fault: Fault, ttl: Option<u64>) -> Finding {
        Finding::Failure(Box::new(Failure::new(fault)), ttl.map(Duration::from_millis))
    }
}
