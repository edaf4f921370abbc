//! Owns the addresses that a server's name leads to just now, as all cores see them: which of them a request goes to, and
//! whether a connection still leads there.
//!
//! Only names have whereabouts that change. A name that leads to several addresses is served by all of them, like servers of
//! their own: each request goes to one by chance, in proportion to the weights of SRV records where it is a service. What is in
//! flight at an address that the name has no more ends in peace, and nothing more is sent there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use crate::config::Location;
use crate::config::ServerUrl;
use crate::dns::Resolver;
use crate::dns::srv::Service;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::Peer;
use crate::upstream::Server;
use crate::upstream::Shared;

/// Where a server is that has a name.
#[derive(Debug)]
pub struct Whereabouts {
    current: ArcSwapOption<Vec<Spot>>,
    /// Whether there are several; what most servers do not have is not looked up.
    several: AtomicBool,
    slow_start: u64,
    begin: Instant,
}

/// One address.
#[derive(Debug)]
struct Spot {
    address: SocketAddr,
    /// Lower ones first, as SRV records have it.
    priority: u16,
    weight: u32,
    /// Whether its host has addresses of another family that are tried first (RFC 8305, section 4).
    second_choice: bool,
    /// When the name led here first, in milliseconds; 0 where it always has.
    since: u64,
    /// Until when it is left out, for it could not be connected to.
    shunned: AtomicU64,
}

/// A host of a name, with its addresses in the order in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) priority: u16,
    pub(super) weight: u16,
}

impl Host {
    /// One that is not a target among others.
    pub(super) const fn alone(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses, priority: 0, weight: 0 }
    }
}

impl Whereabouts {
    pub(super) fn new(slow_start: Duration) -> Self {
        Self {
            current: ArcSwapOption::empty(),
            several: AtomicBool::new(false),
            slow_start: u64::try_from(slow_start.as_millis()).unwrap_or(u64::MAX),
            begin: Instant::now(),
        }
    }

    /// The name leads to these hosts now.
    pub(super) fn learn(&self, hosts: &[Host], now: Instant) {
        let known = self.current.load_full();
        let old = known.as_deref().map_or(&[][..], Vec::as_slice);
        let spots = spots(hosts);
        let same = |(spot, old): (&Spot, &Spot)| {
            (spot.address, spot.priority, spot.weight, spot.second_choice)
                == (old.address, old.priority, old.weight, old.second_choice)
        };
        if spots.is_empty() || (spots.len() == old.len() && spots.iter().zip(old).all(same)) {
            return;
        }
        let at = self.millis(now);
        let with_past = |spot: Spot| match old.iter().find(|old| old.address == spot.address) {
            Some(old) => {
                let shunned = AtomicU64::new(old.shunned.load(Ordering::Relaxed));
                Spot { since: old.since, shunned, ..spot }
            }
            None => Spot { since: if old.is_empty() { 0 } else { at }, ..spot },
        };
        let spots: Vec<Spot> = spots.into_iter().map(with_past).collect();
        self.several.store(spots.len() > 1, Ordering::Relaxed);
        self.current.store(Some(Arc::new(spots)));
    }

    /// Whether the name still leads there, as far as is known.
    pub(super) fn lead_to(&self, peer: &Peer) -> bool {
        let Peer::Tcp(peer) = peer else { return true };
        let current = self.current.load();
        current.as_ref().is_none_or(|spots| spots.iter().any(|spot| spot.address == *peer))
    }

    /// The address that a request goes to, where there are several to choose from.
    pub(super) fn choose(&self, now: Instant) -> Option<SocketAddr> {
        if !self.several.load(Ordering::Relaxed) {
            return None;
        }
        let current = self.current.load();
        let (spots, at) = (current.as_ref()?, self.millis(now));
        let open = || spots.iter().filter(|spot| spot.shunned.load(Ordering::Relaxed) <= at);
        let first = open().map(|spot| (spot.second_choice, spot.priority)).min()?;
        let peers = || open().filter(|spot| (spot.second_choice, spot.priority) == first);
        let total: u64 = peers().map(|spot| self.share(spot, at)).sum();
        let mut left = fastrand::u64(0..total.max(1));
        let drawn = peers().find(|spot| {
            let share = self.share(spot, at);
            let found = left < share;
            left = left.saturating_sub(share);
            found
        });
        drawn.map(|spot| spot.address)
    }

    /// These addresses could not be connected to, though others could: they are left out for a while.
    pub(super) fn shun(&self, lost: &[SocketAddr], now: Instant) {
        let until = self.millis(now + SHUNNED);
        for spot in self.current.load().iter().flat_map(|spots| spots.iter()) {
            if lost.contains(&spot.address) {
                spot.shunned.store(until, Ordering::Relaxed);
            }
        }
    }

    /// An address that is new gets its share little by little: a tenth at first.
    fn share(&self, spot: &Spot, at: u64) -> u64 {
        let whole = u64::from(spot.weight);
        let passed = at.saturating_sub(spot.since);
        if spot.since == 0 || passed >= self.slow_start {
            return whole * 10;
        }
        whole + whole * 9 * passed / self.slow_start
    }

    /// From a second on, so that 0 is never.
    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.begin) + Duration::from_secs(1);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

fn spots(hosts: &[Host]) -> Vec<Spot> {
    let weighed = hosts.iter().any(|host| host.weight > 0);
    let mut spots: Vec<Spot> = Vec::new();
    for host in hosts {
        let v6 = host.addresses.first().is_some_and(SocketAddr::is_ipv6);
        let first_choices = host.addresses.iter().filter(|address| address.is_ipv6() == v6).count();
        // RFC 2782: one of weight 0 gets little where others have some. All addresses of a host share its weight.
        let whole = if weighed { u32::from(host.weight) * FINE } else { FINE };
        let weight = (whole / u32::try_from(first_choices.max(1)).unwrap_or(u32::MAX)).max(1);
        for address in &host.addresses {
            if spots.iter().all(|spot| spot.address != *address) {
                spots.push(Spot {
                    address: *address,
                    priority: host.priority,
                    weight,
                    second_choice: address.is_ipv6() != v6,
                    since: 0,
                    shunned: AtomicU64::new(0),
                });
            }
        }
    }
    spots
}

/// Everything that a server's name leads to; none where that is not known for sure just now: the name servers fail, or the server
/// has no name. A definite answer that there is nothing leaves connections alone, too: they work.
async fn look_up(resolver: &Resolver, url: &ServerUrl, limit: Duration) -> Option<Vec<Host>> {
    let at =
        |list: &[std::net::IpAddr], port: u16| list.iter().map(|address| SocketAddr::new(*address, port)).collect();
    match &url.location {
        Location::Host { host, address: None, port } => {
            let found = resolver.resolve(host, limit).await.ok().filter(|found| !found.stale)?;
            Some(vec![Host::alone(at(&found.list, *port))])
        }
        Location::Service(service) => {
            let found = resolver.services(service, limit).await.ok().filter(|found| !found.stale)?;
            let mut hosts = Vec::new();
            for target in found.services.iter().filter(|target| !target.is_none()) {
                let Service { priority, weight, port, .. } = *target;
                match resolver.resolve(&target.absolute(), limit).await {
                    Ok(found) if found.stale => return None,
                    Ok(found) => hosts.push(Host { addresses: at(&found.list, port), priority, weight }),
                    Err(failure) if is_definite(&failure) => {}
                    Err(_) => return None,
                }
            }
            Some(hosts)
        }
        Location::Host { .. } | Location::Unix(_) => None,
    }
}

/// Follows the names of an upstream's servers, each in a task that never ends, for one core to run. Whoever opens a connection
/// asks where a name leads; traffic that keeps its connections would never ask again.
pub fn watches(shared: &Arc<Shared>) -> impl Iterator<Item = impl Future<Output = ()> + use<>> + use<> {
    let shared = Arc::clone(shared);
    let named = |server: &Arc<Server>| match &server.url.location {
        Location::Host { address, .. } => address.is_none(),
        Location::Service(_) => true,
        Location::Unix(_) => false,
    };
    let servers: Vec<_> = shared.servers.iter().filter(|server| named(server)).map(Arc::clone).collect();
    servers.into_iter().map(move |server| watch(Arc::clone(&shared), server))
}

async fn watch(shared: Arc<Shared>, server: Arc<Server>) {
    loop {
        tokio::time::sleep(EVERY.mul_f64(0.9 + fastrand::f64() / 5.0)).await;
        // What is remembered is not asked for again before its time.
        if shared.capacity.has_connections(server.index)
            && let Some(hosts) = look_up(&shared.resolver, &server.url, shared.settings.timeouts.resolve).await
        {
            server.whereabouts.learn(&hosts, Instant::now());
        }
    }
}

fn is_definite(failure: &Failure) -> bool {
    matches!(failure.fault, Fault::DnsNameNotFound | Fault::DnsNoRecords)
}

/// How often it is looked whether the time of a name's addresses is over.
const EVERY: Duration = Duration::from_secs(1);
/// How long an address is left out that could not be connected to.
const SHUNNED: Duration = Duration::from_secs(10);
/// What a weight of 1 is, so that it can be shared by several addresses.
const FINE: u32 = 240;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Host;
    use super::Whereabouts;
    use crate::fault::failure::Peer;

    const SLOW_START: Duration = Duration::from_secs(10);

    fn addresses(text: &str) -> Vec<SocketAddr> {
        text.split_whitespace().map(|address| address.parse().unwrap()).collect()
    }

    fn led_to(lists: &[&str], now: Instant) -> Whereabouts {
        let whereabouts = Whereabouts::new(SLOW_START);
        for list in lists {
            whereabouts.learn(&[Host::alone(addresses(list))], now);
        }
        fastrand::seed(502);
        whereabouts
    }

    /// How many of a thousand requests each address gets, as text.
    fn shares(whereabouts: &Whereabouts, now: Instant) -> BTreeMap<String, usize> {
        let mut shares = BTreeMap::new();
        for _ in 0..1000 {
            *shares.entry(whereabouts.choose(now).unwrap().to_string()).or_default() += 1;
        }
        shares
    }

    #[test]
    fn one_address_is_no_choice_and_several_share() {
        let now = Instant::now();
        assert_eq!(led_to(&[], now).choose(now), None);
        assert_eq!(led_to(&["10.0.0.1:80"], now).choose(now), None);
        let shares = shares(&led_to(&["10.0.0.1:80 10.0.0.2:80 10.0.0.3:80"], now), now);
        assert!(shares.len() == 3 && shares.values().all(|share| share.abs_diff(333) < 50), "{shares:?}");
    }

    #[test]
    fn the_second_family_serves_where_the_first_cannot_be_reached() {
        let now = Instant::now();
        let whereabouts = led_to(&["[fd00::1]:80 10.0.0.1:80 [fd00::2]:80"], now);
        assert_eq!(shares(&whereabouts, now).len(), 2);
        whereabouts.shun(&addresses("[fd00::1]:80"), now);
        assert_eq!(shares(&whereabouts, now).into_keys().collect::<Vec<_>>(), ["[fd00::2]:80"]);
        whereabouts.shun(&addresses("[fd00::2]:80"), now);
        assert_eq!(shares(&whereabouts, now).into_keys().collect::<Vec<_>>(), ["10.0.0.1:80"]);
        whereabouts.shun(&addresses("10.0.0.1:80"), now);
        assert_eq!(whereabouts.choose(now), None, "then all are tried in order");
        assert_eq!(shares(&whereabouts, now + Duration::from_secs(11)).len(), 2, "not for ever");
    }

    #[test]
    fn a_service_shares_by_weight_and_waits_with_its_second_priority() {
        let now = Instant::now();
        let host = |list: &str, priority, weight| Host { addresses: addresses(list), priority, weight };
        let whereabouts = Whereabouts::new(SLOW_START);
        fastrand::seed(502);
        let hosts = [host("10.0.0.1:80 10.0.0.2:80", 1, 3), host("10.0.0.3:81", 1, 1), host("10.0.0.4:80", 2, 9)];
        whereabouts.learn(&hosts, now);
        let found = shares(&whereabouts, now);
        let expected = [("10.0.0.1:80", 375_usize), ("10.0.0.2:80", 375), ("10.0.0.3:81", 250)];
        assert!(
            found.len() == 3 && expected.iter().all(|(name, share)| found[*name].abs_diff(*share) < 50),
            "{found:?}"
        );
        whereabouts.learn(&hosts.map(|host| Host { weight: 0, priority: 0, ..host }), now);
        assert!(shares(&whereabouts, now)["10.0.0.4:80"].abs_diff(333) < 50, "without weights all hosts are alike");
    }

    #[test]
    fn an_address_that_is_new_gets_its_share_little_by_little() {
        let now = Instant::now();
        let whereabouts = led_to(&["10.0.0.1:80", "10.0.0.1:80 10.0.0.2:80"], now);
        let at = |seconds| shares(&whereabouts, now + Duration::from_secs(seconds))["10.0.0.2:80"];
        let found = [0, 5, 10].map(at);
        assert!(found.iter().zip([91_usize, 355, 500]).all(|(share, wanted)| share.abs_diff(wanted) < 50), "{found:?}");
    }

    #[test]
    fn an_address_that_the_name_has_no_more_is_led_to_no_more() {
        let now = Instant::now();
        let peer = |text: &str| Peer::Tcp(text.parse().unwrap());
        let whereabouts = led_to(&[], now);
        assert!(whereabouts.lead_to(&peer("10.0.0.1:80")), "nothing is known");
        whereabouts.learn(&[Host::alone(addresses("10.0.0.1:80 10.0.0.2:80"))], now);
        whereabouts.learn(&[Host::alone(addresses("10.0.0.2:80 10.0.0.3:80"))], now);
        whereabouts.learn(&[], now);
        let led =
            ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.2:81"].map(|text| whereabouts.lead_to(&peer(text)));
        assert_eq!(led, [false, true, true, false]);
        assert!(whereabouts.lead_to(&Peer::Unix("/run/app.sock".into())));
    }
}
