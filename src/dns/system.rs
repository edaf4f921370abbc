//! Owns what this host knows of names: whom to ask, under which full names, and what the hosts file says without asking.
//!
//! It reads texts; the files and their changes are `watch`'s, the asking is `lookup`'s.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::net::SocketAddrV6;
use std::path::Path;
use std::sync::Arc;

use hickory_proto::rr::Name;
use resolv_conf::ScopedIp;

use crate::dns::addresses::Addresses;

/// The host's settings for names at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct System {
    /// The name servers, in the order in which they are asked; at least one.
    pub(super) servers: Vec<SocketAddr>,
    search: Search,
    hosts: HashMap<Box<str>, Arc<Addresses>>,
}

/// How names with few dots are completed (resolv.conf(5)).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Search {
    domains: Vec<String>,
    /// A name with at least so many dots is asked for as it is written first.
    ndots: usize,
}

/// The full names that a configured name may stand for, in the order in which they are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidates {
    pub(super) names: Vec<Name>,
    /// Whether the first one is the name as written.
    pub(super) as_written_first: bool,
}

impl System {
    /// Servers that were configured are asked for names as they are written; the search list belongs to the host's own.
    pub(super) fn read(configured: &[SocketAddr], resolv_conf: &[u8], hosts: &[u8]) -> Self {
        let hosts = read_hosts(&String::from_utf8_lossy(hosts));
        if !configured.is_empty() {
            return Self { servers: configured.to_vec(), search: Search::default(), hosts };
        }
        // Without the file, or without a server in it, glibc asks this host.
        let (settings, _) = resolv_conf::Config::parse_with_errors(resolv_conf);
        let mut servers: Vec<SocketAddr> =
            settings.nameservers.iter().filter_map(name_server).take(MOST_SERVERS).collect();
        if servers.is_empty() {
            servers.push((Ipv4Addr::LOCALHOST, DNS_PORT).into());
        }
        Self { servers, search: Search::read(&settings), hosts }
    }

    /// Whether the same servers are asked for the same names.
    pub(super) fn asks_like(&self, other: &Self) -> bool {
        (&self.servers, &self.search) == (&other.servers, &other.search)
    }

    /// The addresses that need no name server: the hosts file's, this host's own for `localhost` (RFC 6761, section 6.3), and
    /// that of a literal.
    pub(super) fn without_asking(&self, name: &str) -> Option<Arc<Addresses>> {
        if let Some(addresses) = self.in_hosts_file(name) {
            return Some(Arc::clone(addresses));
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let list = if name.rsplit('.').next() == Some("localhost") {
            vec![IpAddr::from(Ipv6Addr::LOCALHOST), IpAddr::from(Ipv4Addr::LOCALHOST)]
        } else {
            vec![name.parse().ok()?]
        };
        Addresses::in_order(list, Vec::new()).map(Arc::new)
    }

    /// The addresses that the hosts file gives, where it knows the name.
    pub(super) fn in_hosts_file(&self, name: &str) -> Option<&Arc<Addresses>> {
        self.hosts.get(name.strip_suffix('.').unwrap_or(name))
    }

    /// The full names that a name may stand for; none where it fits into no message.
    pub(super) fn candidates(&self, name: &str) -> Candidates {
        self.search.candidates(name)
    }
}

impl Search {
    fn read(settings: &resolv_conf::Config) -> Self {
        let mut domains: Vec<String> = settings.get_last_search_or_domain().cloned().collect();
        if domains.is_empty() {
            domains.extend(settings.get_system_domain());
        }
        domains.retain(|domain| domain != ".");
        let ndots = usize::try_from(settings.ndots).unwrap_or(MOST_NDOTS).min(MOST_NDOTS);
        Self { domains, ndots }
    }

    fn candidates(&self, name: &str) -> Candidates {
        let as_written = absolute(name);
        if name.ends_with('.') || self.domains.is_empty() {
            return Candidates { names: as_written.into_iter().collect(), as_written_first: true };
        }
        let searched = self.domains.iter().filter_map(|domain| absolute(&format!("{name}.{domain}")));
        if name.matches('.').count() >= self.ndots {
            Candidates { names: as_written.into_iter().chain(searched).collect(), as_written_first: true }
        } else {
            Candidates { names: searched.chain(as_written).collect(), as_written_first: false }
        }
    }
}

/// hosts(5): an address and its names on each line; a name on several lines has all of their addresses.
fn read_hosts(text: &str) -> HashMap<Box<str>, Arc<Addresses>> {
    let mut found: HashMap<Box<str>, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
        for name in words {
            let name = name.to_ascii_lowercase();
            found.entry(name.strip_suffix('.').unwrap_or(&name).into()).or_default().push(address);
        }
    }
    let in_order =
        |(name, list): (Box<str>, Vec<IpAddr>)| Some((name, Arc::new(Addresses::in_order(list, Vec::new())?)));
    found.into_iter().filter_map(in_order).collect()
}

/// A server's address; one that is link-local needs its interface, by number or by name.
fn name_server(address: &ScopedIp) -> Option<SocketAddr> {
    match address {
        ScopedIp::V4(address) => Some((*address, DNS_PORT).into()),
        ScopedIp::V6(address, scope) => {
            let scope = scope.as_deref().map_or(Some(0), interface)?;
            Some(SocketAddrV6::new(*address, DNS_PORT, 0, scope).into())
        }
    }
}

fn interface(scope: &str) -> Option<u32> {
    let index =
        || fs::read_to_string(Path::new("/sys/class/net").join(scope).join("ifindex")).ok()?.trim().parse().ok();
    scope.parse().ok().or_else(index)
}

/// The name from the root of the tree, in the form in which it goes over the wire (RFC 5891 where it is not ASCII).
fn absolute(name: &str) -> Option<Name> {
    let parsed = if name.is_ascii() { Name::from_ascii(name) } else { Name::from_utf8(name) };
    let mut name = parsed.ok()?;
    name.set_fqdn(true);
    Some(name)
}

const DNS_PORT: u16 = 53;

/// glibc's `MAXNS` and `RES_MAXNDOTS`.
const MOST_SERVERS: usize = 3;
const MOST_NDOTS: usize = 15;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::System;

    #[test]
    fn names_are_searched_as_glibc_searches_them() {
        let rows = [
            ("search a.example b.example", "app", "app.a.example. app.b.example. app."),
            (
                "search a.example b.example",
                "app.internal",
                "app.internal. app.internal.a.example. app.internal.b.example.",
            ),
            ("search a.example\noptions ndots:2", "app.internal", "app.internal.a.example. app.internal."),
            ("search a.example\noptions ndots:2", "app.internal.", "app.internal."),
            ("domain a.example", "app", "app.a.example. app."),
            ("search a.example\nsearch b.example", "app", "app.b.example. app."),
            ("search .", "app", "app."),
        ];
        for (resolv_conf, name, candidates) in rows {
            let texts = (resolv_conf, "");
            let found = System::read(&[], texts.0.as_bytes(), texts.1.as_bytes()).candidates(name);
            let names: Vec<String> = found.names.iter().map(ToString::to_string).collect();
            let as_written_first =
                names.first().is_some_and(|first| first.trim_end_matches('.') == name.trim_end_matches('.'));
            assert_eq!(
                (names.join(" ").as_str(), found.as_written_first),
                (candidates, as_written_first),
                "{name} with {resolv_conf}"
            );
        }
    }

    #[test]
    fn configured_servers_are_asked_for_names_as_they_are_written() {
        let server: SocketAddr = ([10, 0, 0, 53], 5353).into();
        let texts = ("nameserver 10.9.9.9\nsearch a.example", "");
        let system = System::read(&[server], texts.0.as_bytes(), texts.1.as_bytes());
        let names: Vec<String> = system.candidates("app").names.iter().map(ToString::to_string).collect();
        assert_eq!((system.servers, names), (vec![server], vec!["app.".to_owned()]));
    }

    #[test]
    fn a_name_that_fits_into_no_message_has_no_candidates() {
        let texts = ("", "");
        let system = System::read(&[([10, 0, 0, 53], 53).into()], texts.0.as_bytes(), texts.1.as_bytes());
        for name in [format!("{}.example", "a".repeat(64)), "a.".repeat(128), "app..example".to_owned()] {
            assert!(system.candidates(&name).names.is_empty(), "{name}");
        }
    }

    #[test]
    fn the_first_three_servers_are_asked_and_this_host_where_there_is_none() {
        let rows = [
            ("nameserver 10.0.0.1\nnameserver fd00::53", "10.0.0.1:53 [fd00::53]:53"),
            ("nameserver fe80::1%2\nnameserver fe80::1%no-such-interface", "[fe80::1%2]:53"),
            (
                "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4",
                "10.0.0.1:53 10.0.0.2:53 10.0.0.3:53",
            ),
            ("nonsense\nnameserver here\n", "127.0.0.1:53"),
        ];
        for (resolv_conf, servers) in rows {
            let texts = (resolv_conf, "");
            let found = System::read(&[], texts.0.as_bytes(), texts.1.as_bytes()).servers;
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), servers, "{resolv_conf}");
        }
    }

    #[test]
    fn the_hosts_file_localhost_and_literals_need_no_server() {
        let hosts = "10.0.0.1 app App.Example. # the application\nfd00::1\tapp\nnonsense app\n10.0.0.2 app\n";
        let texts = ("", hosts);
        let system = System::read(&[], texts.0.as_bytes(), texts.1.as_bytes());
        let rows = [
            ("app", "fd00::1 10.0.0.1 10.0.0.2"),
            ("app.example", "10.0.0.1"),
            ("app.example.", "10.0.0.1"),
            ("localhost", "::1 127.0.0.1"),
            ("db.localhost.", "::1 127.0.0.1"),
            ("10.0.0.9", "10.0.0.9"),
            ("fd00::9", "fd00::9"),
            ("notlocalhost", ""),
            ("application", ""),
        ];
        for (name, list) in rows {
            let found = system.without_asking(name).map_or_else(Vec::new, |addresses| addresses.list.clone());
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), list, "{name}");
        }
    }
}
