//! Owns what trusted proxies vouch for: the client before them, and how it reached the first of them.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;

use super::admission::host;
use super::arrival::Scheme;
use super::fields::Field;
use super::fields::Fields;
use super::fields::X_FORWARDED_HOST;
use super::fields::X_FORWARDED_PROTO;
use super::forwarded;
use super::forwarded::Hop;
use crate::config::Forwarding;
use crate::config::ForwardingHeaders;
use crate::config::Networks;

/// The client as trusted proxies tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vouched<'a> {
    /// The farthest hop that a trusted proxy vouches for.
    pub hop: Hop<'a>,
    /// Whether that hop is the client itself and not merely where the trace was lost.
    pub certain: bool,
}

impl<'a> Vouched<'a> {
    /// Walks the fields that are there. A trusted proxy may write one of them and pass the other on as a stranger sent it, so
    /// where both are there and differ, the one that this proxy writes itself is taken, and nothing is certain.
    #[must_use]
    pub fn by(headers: &'a HeaderMap, fields: Fields, forwarding: &Forwarding) -> Self {
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
    #[must_use]
    pub fn scheme(&self, headers: &HeaderMap, fields: Fields) -> Option<Scheme> {
        let nearest = fields.has(Field::XForwardedProto).then(|| last_member(headers, &X_FORWARDED_PROTO)).flatten();
        nearest.and_then(Scheme::of).or_else(|| self.hop.proto.and_then(Scheme::of))
    }

    /// `X-Forwarded-Host` as the nearest proxy has it, or what the client's own element says.
    #[must_use]
    pub fn host(&self, headers: &HeaderMap, fields: Fields) -> Option<HeaderValue> {
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

fn last_member<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let line = headers.get_all(name).iter().next_back()?;
    line.to_str().ok()?.rsplit(',').next().map(str::trim)
}

fn valid_host(text: &str) -> Option<HeaderValue> {
    let valid = !text.is_empty() && host::is_valid(text.as_bytes());
    valid.then(|| HeaderValue::from_str(text).ok()).flatten()
}
