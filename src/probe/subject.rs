//! Owns what a round is about: one configured server, how it is spoken to, and where it may be looked for.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::HostHeader;
use crate::config::Location;
use crate::fault::Failure;
use crate::fault::failure::Peer;
use crate::probe::ourselves::Ourselves;
use crate::upstream;

/// A server under examination.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    key: Key,
    pub(super) upstream: Arc<upstream::Shared>,
    pub(super) server: Arc<upstream::Server>,
    /// The path that is asked for: that of the health check, for it is meant to be asked for often.
    pub(super) path: Arc<str>,
    /// Addresses at which it has answered before.
    pub(super) former: Vec<IpAddr>,
    pub(super) ourselves: Arc<Ourselves>,
}

/// A server among all of this process: its URL. Where several upstreams have it, it is one server all the same, which is not to
/// be asked once for each of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key(pub(super) Arc<str>);

impl Subject {
    /// The server that failed; none where the failure was met before one was chosen.
    pub(super) fn of(upstream: &Arc<upstream::Shared>, failure: &Failure, ourselves: &Arc<Ourselves>) -> Option<Self> {
        let target = failure.target.as_ref()?;
        let server = upstream.servers.iter().find(|server| server.target.url == target.url)?;
        Some(Self {
            key: Key(Arc::clone(&target.url)),
            upstream: Arc::clone(upstream),
            server: Arc::clone(server),
            path: upstream.settings.health.as_ref().map_or_else(|| Arc::from("/"), |check| Arc::clone(&check.path)),
            former: Vec::new(),
            ourselves: Arc::clone(ourselves),
        })
    }

    pub(super) const fn key(&self) -> &Key {
        &self.key
    }

    /// The port; none for a unix socket, and for a service, whose records tell it.
    pub(super) fn port(&self) -> Option<u16> {
        match &self.server.url.location {
            Location::Host { port, .. } => Some(*port),
            Location::Service(_) | Location::Unix(_) => None,
        }
    }

    /// The name that is looked up; none for a literal, for a unix socket, and for `localhost`, which no name server is asked
    /// for (RFC 6761, section 6.3).
    pub(super) fn name(&self) -> Option<&str> {
        match &self.server.url.location {
            Location::Host { host, address: None, .. } => {
                let is_local = host.trim_end_matches('.').rsplit('.').next() == Some("localhost");
                (!is_local).then_some(host)
            }
            Location::Host { .. } | Location::Service(_) | Location::Unix(_) => None,
        }
    }

    /// Where the server is, as far as is known without asking anybody: where the failure was met, then the other addresses
    /// that were tried, then those that its name is known to have.
    pub(super) fn places(&self, failure: &Failure) -> Vec<Peer> {
        let known: Vec<SocketAddr> = match &self.server.url.location {
            Location::Unix(path) => return vec![Peer::Unix(Arc::clone(path))],
            // Only its records tell where a service is.
            Location::Service(_) => Vec::new(),
            Location::Host { address: Some(address), port, .. } => vec![SocketAddr::new(*address, *port)],
            Location::Host { host, address: None, port } => {
                let known = self.upstream.resolver().known(host);
                known.iter().flat_map(|known| &known.list).map(|ip| SocketAddr::new(*ip, *port)).collect()
            }
        };
        let mut places: Vec<Peer> = Vec::new();
        let tried = failure.addresses.iter().map(|tried| tried.address);
        let all = failure.address().into_iter().chain(tried).chain(known);
        for place in all.map(Peer::Tcp) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }

    /// A small request in plain HTTP/1.1, for a connection of its own. It carries this proxy's name, so that it is refused
    /// where it comes back.
    pub(super) fn request(&self, method: &str, path: &str) -> Vec<u8> {
        let host = match &self.upstream.settings.host_header {
            HostHeader::Literal(name) => name.to_string(),
            HostHeader::Client | HostHeader::Upstream => self.server.url.authority(),
        };
        let name = &self.ourselves.name;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\nVia: 1.1 {name}\r\nAccept: */*\r\n\
             Connection: close\r\n\r\n"
        );
        head.into_bytes()
    }
}

/// By this name an origin's log tells probes from visitors, and another why502 on the way that nobody waits for the answer.
pub const USER_AGENT: &str = "why502-probe";
