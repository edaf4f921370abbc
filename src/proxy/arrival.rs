//! Owns a client's connection as its requests see it: the far end, and what is spoken.

use std::net::IpAddr;

use http::HeaderValue;

use crate::config::Networks;
use crate::fault::failure::Peer;

/// What is known of a client's connection, for all of its requests.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The far end.
    pub peer: Peer,
    /// What it speaks.
    pub scheme: Scheme,
    /// The far end as a member of `X-Forwarded-For`.
    pub told: HeaderValue,
}

/// How a client reaches a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Arrival {
    /// A connection from this peer.
    #[must_use]
    pub fn new(peer: Peer, scheme: Scheme) -> Self {
        let told = address_of(&peer).and_then(|address| HeaderValue::try_from(address.to_string()).ok());
        Self { peer, scheme, told: told.unwrap_or(HeaderValue::from_static("unknown")) }
    }

    /// The peer's address; none where it came by a unix socket.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        address_of(&self.peer)
    }

    /// Whether the far end lies in one of these networks.
    #[must_use]
    pub fn is_in(&self, networks: &Networks) -> bool {
        self.address().map_or(networks.unix, |address| networks.contain(address))
    }
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The scheme of that word, in any case.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|scheme| scheme.word().eq_ignore_ascii_case(word))
    }
}

fn address_of(peer: &Peer) -> Option<IpAddr> {
    match peer {
        Peer::Tcp(address) => Some(address.ip().to_canonical()),
        Peer::Unix(_) => None,
    }
}
