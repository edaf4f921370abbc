//! Owns who asks: the client's address behind trusted proxies, whether it is an operator, and the request's id.
//!
//! Nothing that a stranger says about itself is believed: only a peer in `[forwarding] trusted_proxies` may speak for another.

use std::net::IpAddr;
use std::time::SystemTime;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::request::Parts;
use subtle::ConstantTimeEq;

use super::admission::host;
use super::fields::Field;
use super::fields::Fields;
use super::fields::X_FORWARDED_HOST;
use super::fields::X_FORWARDED_PROTO;
use super::fields::X_WHY502_TOKEN;
use super::forwarded;
use super::forwarded::Hop;
use super::request_id::RequestId;
use crate::config::Forwarding;
use crate::config::ForwardingHeaders;
use crate::config::Networks;
use crate::config::Operators;
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

/// Who asks.
#[derive(Debug, Clone)]
pub struct Client {
    /// The client's own address, as far as it can be known; none behind a unix socket or a proxy that does not tell.
    pub address: Option<IpAddr>,
    /// Whether the peer may speak for others.
    pub standing: Standing,
    /// What the answer may show.
    pub role: Role,
    /// How the client reached the outermost proxy that is trusted.
    pub scheme: Scheme,
    /// The host that the client asked that proxy for, where a trusted proxy says so.
    pub host: Option<HeaderValue>,
    /// The request's id.
    pub request_id: RequestId,
}

/// Whether the peer may speak for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It speaks for itself only.
    Stranger,
    /// It is in `[forwarding] trusted_proxies`.
    TrustedProxy,
}

/// What the one who asks may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What everybody may.
    Visitor,
    /// Addresses, evidence and commands too.
    Operator,
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

    fn is_in(&self, networks: &Networks) -> bool {
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

    fn of(word: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|scheme| scheme.word().eq_ignore_ascii_case(word))
    }
}

impl Client {
    /// Finds out who asks.
    #[must_use]
    pub fn identify(
        parts: &Parts,
        fields: Fields,
        arrival: &Arrival,
        forwarding: &Forwarding,
        operators: &Operators,
        now: SystemTime,
    ) -> Self {
        let headers = &parts.headers;
        if !arrival.is_in(&forwarding.trusted_proxies) {
            let asks_itself = !was_relayed(fields) && arrival.is_in(&operators.networks);
            return Self {
                address: arrival.address(),
                standing: Standing::Stranger,
                role: role(asks_itself || has_token(headers, fields, operators)),
                scheme: arrival.scheme,
                host: None,
                request_id: RequestId::new(now),
            };
        }
        let origin = Origin::told(headers, fields, forwarding);
        let is_known = if was_relayed(fields) {
            origin.certain && origin.hop.address.is_some_and(|address| operators.networks.contain(address))
        } else {
            arrival.is_in(&operators.networks)
        };
        Self {
            address: origin.hop.address.or_else(|| arrival.address()),
            standing: Standing::TrustedProxy,
            role: role(is_known || has_token(headers, fields, operators)),
            scheme: origin.scheme(headers, fields).unwrap_or(arrival.scheme),
            host: origin.host(headers, fields),
            request_id: RequestId::given(headers).unwrap_or_else(|| RequestId::new(now)),
        }
    }
}

/// The client as trusted proxies tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin<'a> {
    /// The farthest hop that a trusted proxy vouches for.
    hop: Hop<'a>,
    /// Whether that hop is the client itself and not merely where the trace was lost.
    certain: bool,
}

impl<'a> Origin<'a> {
    /// Walks the fields that are there. A trusted proxy may write one of them and pass the other on as a stranger sent it, so
    /// where both are there and differ, the one that this proxy writes itself is taken, and nothing is certain.
    fn told(headers: &'a HeaderMap, fields: Fields, forwarding: &Forwarding) -> Self {
        let trusted = &forwarding.trusted_proxies;
        let listed = fields.has(Field::XForwardedFor).then(|| Self::walk(forwarded::addresses(headers), trusted));
        let element = fields.has(Field::Forwarded).then(|| Self::walk(forwarded::elements(headers), trusted));
        match (listed, element) {
            (None, None) => Self { hop: Hop::default(), certain: false },
            (Some(only), None) | (None, Some(only)) => only,
            (Some(listed), Some(element)) => {
                let taken = if forwarding.headers == ForwardingHeaders::Forwarded { element } else { listed };
                Self { certain: taken.certain && listed.hop.address == element.hop.address, ..taken }
            }
        }
    }

    /// `X-Forwarded-Proto` as the nearest proxy has it, or what the client's own element says.
    fn scheme(&self, headers: &HeaderMap, fields: Fields) -> Option<Scheme> {
        let nearest = fields.has(Field::XForwardedProto).then(|| last_member(headers, &X_FORWARDED_PROTO)).flatten();
        nearest.and_then(Scheme::of).or_else(|| self.hop.proto.and_then(Scheme::of))
    }

    /// `X-Forwarded-Host` as the nearest proxy has it, or what the client's own element says.
    fn host(&self, headers: &HeaderMap, fields: Fields) -> Option<HeaderValue> {
        let nearest = fields.has(Field::XForwardedHost).then(|| last_member(headers, &X_FORWARDED_HOST)).flatten();
        nearest.and_then(valid_host).or_else(|| self.hop.host.and_then(valid_host))
    }

    /// From the nearest hop outwards: each trusted proxy vouches for the one before it. What cannot be read ends the trace.
    fn walk(hops: impl Iterator<Item = Hop<'a>>, trusted: &Networks) -> Self {
        let mut farthest = Hop::default();
        for hop in hops {
            let Some(address) = hop.address else { return Self { hop: farthest, certain: false } };
            farthest = hop;
            if !trusted.contain(address) {
                break;
            }
        }
        Self { hop: farthest, certain: farthest.address.is_some() }
    }
}

fn address_of(peer: &Peer) -> Option<IpAddr> {
    match peer {
        Peer::Tcp(address) => Some(address.ip().to_canonical()),
        Peer::Unix(_) => None,
    }
}

/// Whether the request says that it came by another proxy, so that its peer is not the one who asks.
fn was_relayed(fields: Fields) -> bool {
    fields.has(Field::XForwardedFor) || fields.has(Field::Forwarded) || fields.has(Field::Via)
}

const fn role(is_operator: bool) -> Role {
    if is_operator { Role::Operator } else { Role::Visitor }
}

/// Whether the request carries the operator's token. How long the comparison takes says nothing about the token but its length.
fn has_token(headers: &HeaderMap, fields: Fields, operators: &Operators) -> bool {
    let Some(token) = operators.token.as_ref().filter(|token| !token.0.is_empty()) else { return false };
    fields.has(Field::Token)
        && headers.get_all(X_WHY502_TOKEN).iter().any(|value| value.as_bytes().ct_eq(token.0.as_bytes()).into())
}

fn last_member<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let line = headers.get_all(name).iter().next_back()?;
    line.to_str().ok()?.rsplit(',').next().map(str::trim)
}

fn valid_host(text: &str) -> Option<HeaderValue> {
    let valid = !text.is_empty() && host::is_valid(text.as_bytes());
    valid.then(|| HeaderValue::from_str(text).ok()).flatten()
}
