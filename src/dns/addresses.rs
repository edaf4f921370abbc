//! Owns the addresses of one name, in the order in which they are tried.

use std::net::IpAddr;

use crate::dns::srv::Service;

/// The addresses of one name, or the targets of a service; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The families take turns, IPv6 first (RFC 8305, section 4), each in the order in which the server gave them.
    pub list: Vec<IpAddr>,
    /// Whether their time has run out and they are used because the name servers fail (RFC 8767).
    pub stale: bool,
    /// The names that the name leads to by CNAME records, in order, without their final dots.
    pub aliases: Vec<String>,
    /// Where the service of this name runs; empty where addresses were asked for.
    pub services: Vec<Service>,
}

impl Addresses {
    /// Puts the addresses in order and drops repeated ones; none where there are none.
    #[must_use]
    pub(super) fn in_order(found: Vec<IpAddr>, aliases: Vec<String>) -> Option<Self> {
        let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = found.into_iter().partition(IpAddr::is_ipv6);
        let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
        let mut list = Vec::with_capacity(v6.len() + v4.len());
        loop {
            let turn = [v6.next(), v4.next()];
            if turn == [None, None] {
                break;
            }
            for address in turn.into_iter().flatten() {
                if !list.contains(&address) {
                    list.push(address);
                }
            }
        }
        if list.is_empty() { None } else { Some(Self { list, stale: false, aliases, services: Vec::new() }) }
    }

    /// The targets of a service.
    #[must_use]
    pub(super) const fn of_services(services: Vec<Service>, aliases: Vec<String>) -> Self {
        Self { list: Vec::new(), stale: false, aliases, services }
    }

    /// The same addresses, marked as past their time.
    #[must_use]
    pub(super) fn gone_stale(&self) -> Self {
        Self { stale: true, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::Addresses;

    #[test]
    fn families_take_turns_and_keep_the_servers_order() {
        let rows = [
            ("10.0.0.2 10.0.0.1", Some("10.0.0.2 10.0.0.1")),
            ("10.0.0.2 10.0.0.1 fd00::9 fd00::1 fd00::5", Some("fd00::9 10.0.0.2 fd00::1 10.0.0.1 fd00::5")),
            ("10.0.0.2 fd00::9 10.0.0.2 fd00::9", Some("fd00::9 10.0.0.2")),
            ("", None),
        ];
        for (found, list) in rows {
            let expected = list.map(|list| Addresses {
                list: addresses(list),
                stale: false,
                aliases: Vec::new(),
                services: Vec::new(),
            });
            assert_eq!(Addresses::in_order(addresses(found), Vec::new()), expected, "{found}");
        }
    }

    fn addresses(text: &str) -> Vec<IpAddr> {
        text.split_whitespace().map(|word| word.parse().unwrap()).collect()
    }
}
