//! Owns what SRV records say (RFC 2782): where a service runs, and in which order its targets are tried.

use hickory_proto::rr::RData;
use hickory_proto::rr::Record;

use crate::dns::answer::without_final_dot;

/// One target of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Lower ones are tried first.
    pub priority: u16,
    /// How large its share is among those of its priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host's name, absolute, in lower case and without its final dot; empty where it is the root.
    pub target: String,
}

impl Service {
    /// What an SRV record says.
    pub(super) fn of(record: &Record) -> Option<Self> {
        let RData::SRV(srv) = &record.data else { return None };
        let target = without_final_dot(&srv.target);
        Some(Self { priority: srv.priority, weight: srv.weight, port: srv.port, target })
    }

    /// The target with its final dot: the record says the whole name, and no search domain is to be tried behind it, neither
    /// before it (`ndots` in Kubernetes) nor after it.
    #[must_use]
    pub fn absolute(&self) -> String {
        format!("{}.", self.target)
    }

    /// The root as target says that the service is decidedly not there.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.target.is_empty()
    }
}

/// The targets in the order in which they are tried: by priority, and within one by chance in proportion to their weights.
/// `random` gives a number from 0 to the one that it is given, that one included.
#[must_use]
pub fn in_order(services: &[Service], mut random: impl FnMut(u32) -> u32) -> Vec<&Service> {
    let mut left: Vec<&Service> = services.iter().filter(|service| !service.is_none()).collect();
    // Those of weight 0 come first, so that they have a small chance where there are others.
    left.sort_by_key(|service| (service.priority, service.weight != 0));
    let mut order = Vec::with_capacity(left.len());
    while let Some(priority) = left.first().map(|first| first.priority) {
        let peers = || left.iter().take_while(|service| service.priority == priority);
        let sum: u32 = peers().map(|service| u32::from(service.weight)).sum();
        if sum == 0 {
            // Where no weight says anything, all are alike, and not all requests the first one's.
            let last = peers().count().saturating_sub(1);
            let drawn = random(u32::try_from(last).unwrap_or(u32::MAX));
            order.push(left.remove(usize::try_from(drawn).map_or(last, |drawn| drawn.min(last))));
            continue;
        }
        let drawn = random(sum);
        let mut running = 0;
        let picked = peers().position(|service| {
            running += u32::from(service.weight);
            running >= drawn
        });
        order.push(left.remove(picked.unwrap_or(0)));
    }
    order
}

/// More targets than this are not kept.
pub(super) const MOST_TARGETS: usize = 64;

#[cfg(test)]
mod tests {
    use super::Service;
    use super::in_order;

    fn service(priority: u16, weight: u16, target: &str) -> Service {
        Service { priority, weight, port: 80, target: target.to_owned() }
    }

    fn order(services: &[Service], random: impl FnMut(u32) -> u32) -> String {
        in_order(services, random).iter().map(|service| service.target.as_str()).collect()
    }

    #[test]
    fn lower_priorities_come_first_and_the_draw_decides_among_equals() {
        let services = [service(20, 1, "z"), service(10, 30, "b"), service(10, 0, "a"), service(10, 70, "c")];
        // What is drawn at first, of 100; afterwards always the highest number.
        for (drawn, expected) in [(0, "acbz"), (1, "bcaz"), (30, "bcaz"), (31, "cbaz"), (100, "cbaz")] {
            let mut first = Some(drawn);
            assert_eq!(order(&services, |most| first.take().unwrap_or(most)), expected, "{drawn}");
        }
        assert_eq!(order(&[], |most| most), "");
        assert_eq!(order(&[service(0, 0, "")], |most| most), "", "the root is no target");
    }

    #[test]
    fn shares_are_as_the_weights_are() {
        let services = [service(1, 1, "a"), service(1, 3, "b")];
        let mut numbers = fastrand::Rng::with_seed(502);
        let mut draw = || order(&services, |most| numbers.u32(0..=most));
        let share = (0..4000).filter(|_| draw().starts_with('b')).count();
        // RFC 2782 draws from 0 to the sum, both included, so that the first in the list has a little more than its share.
        assert!((2200..3300).contains(&share), "{share} of 4000");
    }

    #[test]
    fn without_weights_all_are_alike() {
        let services = [service(1, 0, "a"), service(1, 0, "b"), service(1, 0, "c"), service(2, 0, "z")];
        for (drawn, expected) in [(0, "acbz"), (1, "bcaz"), (2, "cbaz")] {
            let mut first = Some(drawn);
            assert_eq!(order(&services, |most| first.take().unwrap_or(most)), expected, "{drawn}");
        }
    }

    #[test]
    fn a_target_is_a_whole_name() {
        assert_eq!(service(1, 1, "a").absolute(), "a.");
    }
}
