//! Owns who asks: the client's address behind trusted proxies, whether it is an operator, the request's id and its trace.
//!
//! Nothing that a stranger says about itself is believed: only a peer in `[forwarding] trusted_proxies` may speak for another.

use std::net::IpAddr;
use std::time::SystemTime;

use http::HeaderMap;
use http::HeaderValue;
use http::request::Parts;

use super::arrival::Arrival;
use super::arrival::Scheme;
use super::fields::Field;
use super::fields::Fields;
use super::fields::X_WHY502_TOKEN;
use super::request_id::RequestId;
use super::trace::Trace;
use super::vouched::Vouched;
use crate::config::Forwarding;
use crate::config::Operators;

/// Who asks.
#[derive(Debug, Clone)]
pub struct Client {
    /// The client's own address, as far as it can be known; none behind a unix socket or a proxy that does not tell.
    pub address: Option<IpAddr>,
    /// Whether the peer may speak for others.
    pub standing: Standing,
    /// What the answer may show.
    pub role: Role,
    /// The token that it came with.
    pub key: Key,
    /// How the client reached the outermost proxy that is trusted.
    pub scheme: Scheme,
    /// The host that the client asked that proxy for, where a trusted proxy says so.
    pub host: Option<HeaderValue>,
    /// The request's id.
    pub request_id: RequestId,
    /// The trace that the request belongs to.
    pub trace: Trace,
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

/// A token that a client came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// None, or one that it does not need: its address says that it is an operator, or there is no token to be had.
    Unneeded,
    /// One that is the operator's, or is not.
    Shown(bool),
}

impl Client {
    /// Finds out who asks. Whether a token counts that is one of many guesses is for others to say.
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
            let key = if asks_itself { Key::Unneeded } else { key(headers, fields, operators) };
            return Self {
                address: arrival.address(),
                standing: Standing::Stranger,
                role: role(asks_itself || key == Key::Shown(true)),
                key,
                scheme: arrival.scheme,
                host: None,
                request_id: RequestId::new(now),
                trace: Trace::begin(),
            };
        }
        let vouched = Vouched::by(headers, fields, forwarding);
        let is_known = if was_relayed(fields) {
            vouched.certain && vouched.hop.address.is_some_and(|address| operators.networks.contain(address))
        } else {
            arrival.is_in(&operators.networks)
        };
        let key = if is_known { Key::Unneeded } else { key(headers, fields, operators) };
        Self {
            address: vouched.hop.address.or_else(|| arrival.address()),
            standing: Standing::TrustedProxy,
            role: role(is_known || key == Key::Shown(true)),
            key,
            scheme: vouched.scheme(headers, fields).unwrap_or(arrival.scheme),
            host: vouched.host(headers, fields),
            request_id: RequestId::given(headers).unwrap_or_else(|| RequestId::new(now)),
            trace: Trace::given(headers, fields).unwrap_or_else(Trace::begin),
        }
    }
}

/// Whether the request says that it came by another proxy, so that its peer is not the one who asks.
fn was_relayed(fields: Fields) -> bool {
    fields.has(Field::XForwardedFor) || fields.has(Field::Forwarded) || fields.has(Field::Via)
}

const fn role(is_operator: bool) -> Role {
    if is_operator { Role::Operator } else { Role::Visitor }
}

/// The token that the request carries. The first one is looked at: who sends several guesses.
fn key(headers: &HeaderMap, fields: Fields, operators: &Operators) -> Key {
    let Some(token) = operators.token.as_ref().filter(|_| fields.has(Field::Token)) else { return Key::Unneeded };
    headers.get(X_WHY502_TOKEN).map_or(Key::Unneeded, |value| Key::Shown(token.is(value.as_bytes())))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::UNIX_EPOCH;

    use super::Client;
    use super::Role;
    use super::Standing;
    use crate::config::Forwarding;
    use crate::config::ForwardingHeaders;
    use crate::config::Networks;
    use crate::config::Operators;
    use crate::config::Token;
    use crate::fault::failure::Peer;
    use crate::proxy::arrival::Arrival;
    use crate::proxy::arrival::Scheme;
    use crate::proxy::fields::Fields;
    use crate::proxy::heads;

    const PROXY: &str = "10.0.0.1";
    const STRANGER: &str = "192.0.2.9";
    const OPERATOR: &str = "172.16.0.5";

    fn networks(words: &[&str]) -> Networks {
        let unix = words.contains(&"unix");
        Networks { networks: words.iter().filter_map(|word| word.parse().ok()).collect(), unix }
    }

    fn peer(address: &str) -> Peer {
        address
            .parse::<std::net::IpAddr>()
            .map_or_else(|_| Peer::Unix(Arc::from(address)), |ip| Peer::Tcp((ip, 4711).into()))
    }

    /// Trusted: 10/8, `2001:db8::/32` and unix peers. Operators: 172.16/12 and 10.0.0.0/24, where a proxy lives too.
    fn identify(from: &str, fields: &str, headers: ForwardingHeaders) -> Client {
        let parts = heads::request(&format!("GET / HTTP/1.1\n{fields}"));
        let forwarding = Forwarding { trusted_proxies: networks(&["10.0.0.0/8", "2001:db8::/32", "unix"]), headers };
        let operators = Operators {
            networks: networks(&["172.16.0.0/12", "10.0.0.0/24"]),
            token: Some(Token(Arc::from("open sesame"))),
        };
        let arrival = Arrival::new(peer(from), Scheme::Http);
        Client::identify(&parts, Fields::of(&parts.headers), &arrival, &forwarding, &operators, UNIX_EPOCH)
    }

    fn check(rows: &[(&str, &str, &str, Role)]) {
        for (from, fields, address, role) in rows {
            let client = identify(from, fields, ForwardingHeaders::XForwarded);
            let found = client.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
            assert_eq!((&*found, client.role), (*address, *role), "{from} {fields:?}");
        }
    }

    #[test]
    fn a_stranger_is_who_it_is_whatever_it_says() {
        check(&[
            (STRANGER, "", STRANGER, Role::Visitor),
            ("::ffff:192.0.2.9", "", STRANGER, Role::Visitor),
            (STRANGER, "X-Forwarded-For: 172.16.0.5", STRANGER, Role::Visitor),
            (STRANGER, "Forwarded: for=172.16.0.5", STRANGER, Role::Visitor),
        ]);
        let client = identify(
            STRANGER,
            "X-Forwarded-Proto: https\nX-Forwarded-Host: evil\nX-Request-Id: mine",
            ForwardingHeaders::Both,
        );
        assert_eq!((client.standing, client.scheme, client.host), (Standing::Stranger, Scheme::Http, None));
        assert_eq!(client.request_id.as_str().len(), 26);
    }

    #[test]
    fn an_operator_by_address_has_come_by_no_stranger() {
        check(&[
            (OPERATOR, "", OPERATOR, Role::Operator),
            ("::ffff:172.16.0.5", "", OPERATOR, Role::Operator),
            (OPERATOR, "X-Forwarded-For: 1.1.1.1", OPERATOR, Role::Visitor),
            (OPERATOR, "X-Forwarded-For:", OPERATOR, Role::Visitor),
            (OPERATOR, "Forwarded: for=1.1.1.1", OPERATOR, Role::Visitor),
            (OPERATOR, "Via: 1.1 other", OPERATOR, Role::Visitor),
        ]);
    }

    #[test]
    fn a_trusted_proxy_speaks_for_the_one_before_it() {
        check(&[
            (PROXY, "X-Forwarded-For: 192.0.2.9", STRANGER, Role::Visitor),
            (PROXY, "X-Forwarded-For: 172.16.0.5\nVia: 1.1 edge", OPERATOR, Role::Operator),
            (PROXY, "X-Forwarded-For: 172.16.0.5, 192.0.2.9", STRANGER, Role::Visitor),
            (PROXY, "X-Forwarded-For: 6.6.6.6, 172.16.0.5, 10.9.9.9", OPERATOR, Role::Operator),
            (PROXY, "X-Forwarded-For: 172.16.0.5\nX-Forwarded-For: 10.0.0.7, 10.0.0.8", OPERATOR, Role::Operator),
            (PROXY, "Forwarded: for=6.6.6.6, for=172.16.0.5, for=\"[2001:db8::1]:80\"", OPERATOR, Role::Operator),
            ("2001:db8::7", "X-Forwarded-For: 2001:db9::1", "2001:db9::1", Role::Visitor),
            ("/run/a.sock", "X-Forwarded-For: 172.16.0.5", OPERATOR, Role::Operator),
            ("/run/a.sock", "", "-", Role::Visitor),
        ]);
    }

    #[test]
    fn a_client_inside_the_trusted_networks_is_found_at_the_far_end() {
        check(&[
            (PROXY, "X-Forwarded-For: 10.0.0.9", "10.0.0.9", Role::Operator),
            (PROXY, "X-Forwarded-For: 10.9.9.9, 10.0.0.9", "10.9.9.9", Role::Visitor),
            (PROXY, "", PROXY, Role::Operator),
        ]);
    }

    #[test]
    fn a_trace_that_is_lost_makes_nobody_an_operator() {
        check(&[
            (PROXY, "X-Forwarded-For: unknown", PROXY, Role::Visitor),
            (PROXY, "X-Forwarded-For:", PROXY, Role::Visitor),
            (PROXY, "Via: 1.1 edge", PROXY, Role::Visitor),
            (PROXY, "X-Forwarded-For: 172.16.0.5, garbage, 10.0.0.9", "10.0.0.9", Role::Visitor),
            (PROXY, "Forwarded: for=_hidden, for=10.0.0.9", "10.0.0.9", Role::Visitor),
            (PROXY, "Forwarded: for=172.16.0.5;for=6.6.6.6", PROXY, Role::Visitor),
        ]);
    }

    #[test]
    fn two_fields_that_differ_make_nobody_an_operator() {
        let fields = "X-Forwarded-For: 172.16.0.5\nForwarded: for=192.0.2.9";
        for (headers, address) in [
            (ForwardingHeaders::XForwarded, OPERATOR),
            (ForwardingHeaders::Both, OPERATOR),
            (ForwardingHeaders::Forwarded, STRANGER),
        ] {
            let client = identify(PROXY, fields, headers);
            assert_eq!((client.address, client.role), (Some(address.parse().unwrap()), Role::Visitor), "{headers:?}");
        }
        check(&[(PROXY, "X-Forwarded-For: 172.16.0.5\nForwarded: for=172.16.0.5", OPERATOR, Role::Operator)]);
    }

    #[test]
    fn the_token_makes_an_operator_of_anybody_who_has_it() {
        check(&[
            (STRANGER, "X-Why502-Token: open sesame", STRANGER, Role::Operator),
            (STRANGER, "X-Why502-Token: open sesame\nX-Forwarded-For: 1.1.1.1", STRANGER, Role::Operator),
            (PROXY, "X-Why502-Token: open sesame\nX-Forwarded-For: 192.0.2.9", STRANGER, Role::Operator),
            (STRANGER, "X-Why502-Token: Open sesame", STRANGER, Role::Visitor),
            (STRANGER, "X-Why502-Token: open sesam", STRANGER, Role::Visitor),
            (STRANGER, "X-Why502-Token:", STRANGER, Role::Visitor),
        ]);
    }

    #[test]
    fn an_empty_token_opens_nothing() {
        let parts = heads::request("GET / HTTP/1.1\nX-Why502-Token:");
        let forwarding = Forwarding { trusted_proxies: networks(&[]), headers: ForwardingHeaders::None };
        let operators = Operators { networks: networks(&[]), token: Some(Token(Arc::from(""))) };
        let arrival = Arrival::new(peer(STRANGER), Scheme::Https);
        let client =
            Client::identify(&parts, Fields::of(&parts.headers), &arrival, &forwarding, &operators, UNIX_EPOCH);
        assert_eq!((client.role, client.scheme), (Role::Visitor, Scheme::Https));
    }

    #[test]
    fn unix_peers_are_operators_where_they_are_listed() {
        let parts = heads::request("GET / HTTP/1.1");
        let forwarding = Forwarding { trusted_proxies: networks(&[]), headers: ForwardingHeaders::None };
        let operators = Operators { networks: networks(&["unix"]), token: None };
        let role = |from| {
            let arrival = Arrival::new(peer(from), Scheme::Http);
            Client::identify(&parts, Fields::of(&parts.headers), &arrival, &forwarding, &operators, UNIX_EPOCH).role
        };
        assert_eq!((role("/run/a.sock"), role(STRANGER)), (Role::Operator, Role::Visitor));
    }

    #[test]
    fn a_trusted_proxy_tells_scheme_host_and_id() {
        for (fields, scheme, host, id) in [
            (
                "X-Forwarded-Proto: HTTPS\nX-Forwarded-Host: a:8443\nX-Request-Id: abc",
                Scheme::Https,
                Some("a:8443"),
                "abc",
            ),
            ("X-Forwarded-Proto: http, https\nX-Forwarded-Host: evil, b", Scheme::Https, Some("b"), ""),
            ("X-Forwarded-Proto: gopher\nX-Forwarded-Host: a b\nX-Request-Id: <a>", Scheme::Http, None, ""),
            (
                "Forwarded: for=1.1.1.1;proto=https;host=\"a:80\", for=10.0.0.7;proto=http",
                Scheme::Https,
                Some("a:80"),
                "",
            ),
            ("X-Forwarded-For: 1.1.1.1", Scheme::Http, None, ""),
        ] {
            let client = identify(PROXY, fields, ForwardingHeaders::XForwarded);
            let told = client.host.as_ref().map(|host| host.to_str().unwrap());
            assert_eq!((client.scheme, told), (scheme, host), "{fields:?}");
            let own = client.request_id.as_str().len() == 26;
            assert!(own == id.is_empty() && (own || client.request_id.as_str() == id), "{fields:?}");
        }
    }

    #[test]
    fn the_farther_end_is_told_by_its_address_or_not_at_all() {
        let told = |from| Arrival::new(peer(from), Scheme::Http).told.to_str().unwrap().to_owned();
        assert_eq!(
            [told("::ffff:10.0.0.1"), told("2001:db8::1"), told("/run/a.sock")],
            [PROXY, "2001:db8::1", "unknown"]
        );
    }
}
