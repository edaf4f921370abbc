//! Owns what the origin is told of the client and of the way to it: `X-Forwarded-*` and `Forwarded`, as `[forwarding] headers`
//! has it, and the certificate that the client has shown (`Client-Cert`, RFC 9440).

use std::net::IpAddr;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header;

use super::admission::Admitted;
use super::arrival::Arrival;
use super::client::Client;
use super::client::Standing;
use super::fields::CLIENT_CERT;
use super::fields::CLIENT_CERT_CHAIN;
use super::fields::Field;
use super::fields::Fields;
use super::fields::X_FORWARDED;
use super::fields::X_FORWARDED_FOR;
use super::fields::X_FORWARDED_HOST;
use super::fields::X_FORWARDED_PREFIX;
use super::fields::X_FORWARDED_PROTO;
use super::fields::is_disguised;
use super::forwarded;
use super::way::Way;
use crate::config::ForwardingHeaders;

/// Tells the origin of the client, in the fields that are configured. A stranger's word is replaced, a trusted proxy's gets
/// ours added; fields of the kind that is not configured are dropped, so that the two kinds cannot contradict each other.
/// With neither configured, a trusted proxy's own are passed on as they came.
pub fn introduce(
    headers: &mut HeaderMap,
    fields: Fields,
    admitted: &Admitted,
    arrival: &Arrival,
    client: &Client,
    (way, chosen): (&Way, ForwardingHeaders),
) {
    // A proxy that is trusted with the fields themselves may have passed these on as a stranger sent them.
    if fields.has(Field::Disguised) {
        remove(headers, is_disguised);
    }
    if client.standing == Standing::Stranger {
        forget(headers, fields);
    }
    if let Some(certificate) = arrival.certificate() {
        headers.remove(CLIENT_CERT_CHAIN);
        headers.insert(CLIENT_CERT, certificate.clone());
    }
    match chosen {
        ForwardingHeaders::None => {}
        ForwardingHeaders::XForwarded => {
            if fields.has(Field::Forwarded) {
                headers.remove(header::FORWARDED);
            }
            list(headers, admitted, arrival, client);
            tell_of_prefix(headers, way);
        }
        ForwardingHeaders::Forwarded => {
            for name in [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO] {
                headers.remove(name);
            }
            describe(headers, admitted, arrival, client);
        }
        ForwardingHeaders::Both => {
            list(headers, admitted, arrival, client);
            tell_of_prefix(headers, way);
            describe(headers, admitted, arrival, client);
        }
    }
}

/// Takes out everything that a stranger says of where the request came from (RFC 7239, section 8.1).
fn forget(headers: &mut HeaderMap, fields: Fields) {
    for (field, name) in &CLAIMS {
        if fields.has(*field) {
            headers.remove(name);
        }
    }
    if fields.has(Field::XForwardedOther) {
        remove(headers, |name| name.starts_with(X_FORWARDED));
    }
}

fn remove(headers: &mut HeaderMap, is_meant: impl Fn(&str) -> bool) {
    let meant: Vec<_> = headers.keys().filter(|name| is_meant(name.as_str())).cloned().collect();
    for name in meant {
        headers.remove(name);
    }
}

/// `X-Forwarded-For` with the peer added, `-Proto` and `-Host` as the client used them.
fn list(headers: &mut HeaderMap, admitted: &Admitted, arrival: &Arrival, client: &Client) {
    let chain = match client.standing {
        Standing::Stranger => arrival.told.clone(),
        Standing::TrustedProxy => {
            let before = unlisted(client, arrival).map(|address| address.to_string());
            chain(headers, &X_FORWARDED_FOR, before.as_deref(), arrival.told.as_bytes())
        }
    };
    headers.insert(X_FORWARDED_FOR, chain);
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(client.scheme.word()));
    match client.host.as_ref().unwrap_or(&admitted.host) {
        host if host.is_empty() => headers.remove(X_FORWARDED_HOST),
        host => headers.insert(X_FORWARDED_HOST, host.clone()),
    };
}

/// `X-Forwarded-Prefix`, where the origin does not see the whole path; behind what a trusted proxy has stripped before.
fn tell_of_prefix(headers: &mut HeaderMap, way: &Way) {
    if let Some(prefix) = &way.stripped {
        let chain = chain(headers, &X_FORWARDED_PREFIX, None, prefix.as_bytes());
        headers.insert(X_FORWARDED_PREFIX, chain);
    }
}

/// `Forwarded` with an element for the peer added.
fn describe(headers: &mut HeaderMap, admitted: &Admitted, arrival: &Arrival, client: &Client) {
    let own = forwarded::own_element(arrival.address(), admitted.host(), arrival.scheme.word());
    let host = client.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
    let before =
        unlisted(client, arrival).map(|address| forwarded::own_element(Some(address), host, client.scheme.word()));
    let chain = chain(headers, &header::FORWARDED, before.as_deref(), own.as_bytes());
    headers.insert(header::FORWARDED, chain);
}

/// The client, where somebody else than the peer: the chain begins with it if the trusted proxy told of it in another field.
fn unlisted(client: &Client, arrival: &Arrival) -> Option<IpAddr> {
    client.address.filter(|address| Some(*address) != arrival.address())
}

/// The lines of a list as one, with a member added. `before` stands in where there is no line yet.
fn chain(headers: &HeaderMap, name: &HeaderName, before: Option<&str>, own: &[u8]) -> HeaderValue {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let mut lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        lines.extend(before.map(str::as_bytes));
    }
    lines.push(own);
    HeaderValue::try_from(lines.join(&b", "[..])).unwrap_or(HeaderValue::from_static(""))
}

/// What a client may say of where its request came from.
static CLAIMS: [(Field, HeaderName); 6] = [
    (Field::ClientCert, CLIENT_CERT),
    (Field::ClientCert, CLIENT_CERT_CHAIN),
    (Field::Forwarded, header::FORWARDED),
    (Field::XForwardedFor, X_FORWARDED_FOR),
    (Field::XForwardedHost, X_FORWARDED_HOST),
    (Field::XForwardedProto, X_FORWARDED_PROTO),
];

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::UNIX_EPOCH;

    use super::introduce;
    use crate::config::Forwarding;
    use crate::config::ForwardingHeaders;
    use crate::config::Networks;
    use crate::config::Operators;
    use crate::fault::failure::Peer;
    use crate::proxy::admission::admit;
    use crate::proxy::arrival::Arrival;
    use crate::proxy::arrival::Scheme;
    use crate::proxy::client::Client;
    use crate::proxy::fields::Fields;
    use crate::proxy::heads;
    use crate::proxy::way::Way;

    /// What the origin is told besides Host, on a route that strips `/api`. Trusted is 10/8.
    fn told(from: Peer, scheme: Scheme, fields: &str, headers: ForwardingHeaders) -> Vec<String> {
        let mut parts = heads::request(&format!("GET / HTTP/1.1\nHost: shop.example:80\n{fields}"));
        let seen = Fields::of(&parts.headers);
        let admitted = admit(&parts, seen, &heads::LIMITS).unwrap();
        let arrival = Arrival::new(from, scheme);
        let trusted = Networks { networks: vec!["10.0.0.0/8".parse().unwrap()], unix: false };
        let forwarding = Forwarding { trusted_proxies: trusted, headers };
        let client = Client::identify(&parts, seen, &arrival, &forwarding, &Operators::default(), UNIX_EPOCH);
        let way = Way { stripped: Some(http::HeaderValue::from_static("/api")), ..Way::default() };
        introduce(&mut parts.headers, seen, &admitted, &arrival, &client, (&way, headers));
        parts.headers.remove("host");
        heads::lines(&parts.headers)
    }

    fn tcp(address: &str) -> Peer {
        Peer::Tcp((address.parse::<std::net::IpAddr>().unwrap(), 4711).into())
    }

    const SPOOFED: &str = "X-Forwarded-For: 6.6.6.6\nX-Forwarded-For: 7.7.7.7\nX-Forwarded-Host: evil\n\
        X-Forwarded-Proto: https\nX-Forwarded-Port: 443\nX-Forwarded-Prefix: /evil\nForwarded: for=6.6.6.6";

    #[test]
    fn a_strangers_word_is_replaced_by_what_was_seen() {
        let stranger = |headers| told(tcp("192.0.2.9"), Scheme::Http, SPOOFED, headers);
        let listed = [
            "x-forwarded-for: 192.0.2.9",
            "x-forwarded-host: shop.example:80",
            "x-forwarded-prefix: /api",
            "x-forwarded-proto: http",
        ];
        let described = "forwarded: for=192.0.2.9;host=\"shop.example:80\";proto=http";
        assert_eq!(stranger(ForwardingHeaders::XForwarded), listed);
        assert_eq!(stranger(ForwardingHeaders::Forwarded), [described]);
        assert_eq!(stranger(ForwardingHeaders::Both), [&[described], &listed[..]].concat());
        assert_eq!(stranger(ForwardingHeaders::None), [] as [&str; 0]);
    }

    #[test]
    fn addresses_of_every_kind_are_written_as_the_field_wants() {
        let unix = Peer::Unix(Arc::from("/run/why502.sock"));
        for (from, listed, described) in [
            (tcp("2001:db8::1"), "2001:db8::1", "\"[2001:db8::1]\""),
            (tcp("::ffff:192.0.2.9"), "192.0.2.9", "192.0.2.9"),
            (unix, "unknown", "unknown"),
        ] {
            let expected = [
                format!("forwarded: for={described};host=\"shop.example:80\";proto=https"),
                format!("x-forwarded-for: {listed}"),
                "x-forwarded-host: shop.example:80".to_owned(),
                "x-forwarded-prefix: /api".to_owned(),
                "x-forwarded-proto: https".to_owned(),
            ];
            assert_eq!(told(from, Scheme::Https, "", ForwardingHeaders::Both), expected);
        }
    }

    #[test]
    fn a_trusted_proxys_word_gets_ours_added() {
        let fields = "X-Forwarded-For: 6.6.6.6, 192.0.2.9\nX-Forwarded-For: 10.1.1.1\nX-Forwarded-Host: shop\n\
                      X-Forwarded-Proto: https\nX-Forwarded-Port: 443\nX-Forwarded-Prefix: /shop";
        assert_eq!(
            told(tcp("10.0.0.1"), Scheme::Http, fields, ForwardingHeaders::XForwarded),
            [
                "x-forwarded-for: 6.6.6.6, 192.0.2.9, 10.1.1.1, 10.0.0.1",
                "x-forwarded-host: shop",
                "x-forwarded-port: 443",
                "x-forwarded-prefix: /shop, /api",
                "x-forwarded-proto: https",
            ]
        );
        let fields = "Forwarded: for=192.0.2.9;proto=https\nForwarded: for=10.1.1.1";
        assert_eq!(
            told(tcp("10.0.0.1"), Scheme::Http, fields, ForwardingHeaders::Forwarded),
            ["forwarded: for=192.0.2.9;proto=https, for=10.1.1.1, for=10.0.0.1;host=\"shop.example:80\";proto=http",]
        );
    }

    #[test]
    fn a_name_that_an_application_would_take_for_ours_is_dropped_whoever_sends_it() {
        let fields = "X_Forwarded_For: 6.6.6.6\nX-Forwarded_Host: evil\nx_forwarded-port: 1\nClient_Cert: :AA:\n\
                      Client_Cert-Chain: :AA:\nX_Request_Id: 1\nX_Real_Ip: 6.6.6.6\nContent_Length: 5\nClient_Certificate: x";
        for from in ["192.0.2.9", "10.0.0.1"] {
            let told = told(tcp(from), Scheme::Http, fields, ForwardingHeaders::None);
            assert_eq!(told, ["client_certificate: x", "content_length: 5", "x_real_ip: 6.6.6.6"], "{from}");
        }
    }

    #[test]
    fn an_empty_list_is_begun_anew() {
        let told = told(tcp("10.0.0.1"), Scheme::Http, "X-Forwarded-For:", ForwardingHeaders::XForwarded);
        assert_eq!(told[0], "x-forwarded-for: 10.0.0.1");
    }

    #[test]
    fn a_chain_told_in_the_other_kind_of_field_is_not_lost() {
        let fields = "X-Forwarded-For: 192.0.2.9\nX-Forwarded-Proto: https\nX-Forwarded-Host: shop";
        assert_eq!(
            told(tcp("10.0.0.1"), Scheme::Http, fields, ForwardingHeaders::Forwarded),
            ["forwarded: for=192.0.2.9;host=shop;proto=https, for=10.0.0.1;host=\"shop.example:80\";proto=http",]
        );
        let fields = "Forwarded: for=192.0.2.9;proto=https;host=shop";
        assert_eq!(
            told(tcp("10.0.0.1"), Scheme::Http, fields, ForwardingHeaders::XForwarded),
            [
                "x-forwarded-for: 192.0.2.9, 10.0.0.1",
                "x-forwarded-host: shop",
                "x-forwarded-prefix: /api",
                "x-forwarded-proto: https",
            ]
        );
    }

    #[test]
    fn with_nothing_configured_a_trusted_proxys_fields_pass_as_they_came() {
        let fields = "X-Forwarded-For: 192.0.2.9\nForwarded: for=192.0.2.9";
        let expected = ["forwarded: for=192.0.2.9", "x-forwarded-for: 192.0.2.9"];
        assert_eq!(told(tcp("10.0.0.1"), Scheme::Http, fields, ForwardingHeaders::None), expected);
    }
}
