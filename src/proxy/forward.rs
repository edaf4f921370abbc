//! Owns the head of a request as the origin gets it.
//!
//! It is the client's head, changed in place: what belonged to the client's connection goes, what this proxy has to say comes
//! in, and everything else stays as it came. What the origin is told of the client is left to `introduce`.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Uri;
use http::Version;
use http::header;
use http::request::Parts;

use super::admission::Admitted;
use super::admission::Content;
use super::admission::content;
use super::arrival::Arrival;
use super::client::Client;
use super::fields::Field;
use super::fields::Fields;
use super::fields::X_REQUEST_ID;
use super::hop;
use super::hop::Named;
use super::introduce;
use super::via::Pseudonym;
use super::way::Way;
use crate::config::ForwardingHeaders;
use crate::config::HostHeader;
use crate::config::Upstream;
use crate::fault::Fault;

/// How requests go on to one upstream; made once, when the configuration is read.
#[derive(Debug, Clone)]
pub struct Onward {
    host: Host,
    headers: ForwardingHeaders,
    pseudonym: Pseudonym,
}

/// What the origin sees as `Host`.
#[derive(Debug, Clone)]
enum Host {
    /// What the client asked for; this, where it named no host.
    Client(HeaderValue),
    /// This.
    Fixed(HeaderValue),
}

/// A head that is ready to be sent.
#[derive(Debug)]
pub struct Outbound {
    /// The head: origin-form, HTTP/1.1.
    pub parts: Parts,
    /// What the client's `Connection` named, for the trailers.
    pub named: Named,
}

impl Onward {
    /// How requests go on to this upstream.
    ///
    /// With `host_header = "upstream"` it is its first server's authority; where several servers differ in it, the one who
    /// picks a server writes that server's own (`ServerUrl::authority`).
    #[must_use]
    pub fn new(upstream: &Upstream, headers: ForwardingHeaders, pseudonym: &Pseudonym) -> Self {
        let authority = upstream.servers.first().map(|server| server.url.authority()).unwrap_or_default();
        Self::to(&upstream.host_header, &authority, headers, pseudonym)
    }

    fn to(host_header: &HostHeader, authority: &str, headers: ForwardingHeaders, pseudonym: &Pseudonym) -> Self {
        let host = match host_header {
            HostHeader::Client => Host::Client(value(authority)),
            HostHeader::Upstream => Host::Fixed(value(authority)),
            HostHeader::Literal(name) => Host::Fixed(value(name)),
        };
        Self { host, headers, pseudonym: pseudonym.clone() }
    }

    fn host(&self, admitted: &Admitted) -> HeaderValue {
        match &self.host {
            Host::Client(authority) if admitted.host.is_empty() => authority.clone(),
            Host::Client(_) => admitted.host.clone(),
            Host::Fixed(host) => host.clone(),
        }
    }
}

/// Makes of a client's head the head that the origin gets.
///
/// # Errors
///
/// `Fault::ProxyLoop` where the request has passed this installation before (RFC 9110, section 7.6.3).
pub fn request(
    mut parts: Parts,
    fields: Fields,
    admitted: &Admitted,
    arrival: &Arrival,
    client: &Client,
    (way, how): (&Way, &Onward),
) -> Result<Outbound, Fault> {
    if how.pseudonym.has_signed(&parts.headers, fields) {
        return Err(Fault::ProxyLoop);
    }
    let headers = &mut parts.headers;
    let takes_trailers = takes_trailers(headers, fields);
    let named = hop::strip(headers, fields);
    if let Some(upgrade) = &admitted.upgrade {
        ask(headers, header::UPGRADE, upgrade.value());
    } else if takes_trailers {
        ask(headers, header::TE, HeaderValue::from_static("trailers"));
    }
    frame(headers, fields, admitted);
    how.pseudonym.sign(headers, parts.version);
    headers.insert(header::HOST, how.host(admitted));
    if let Some(left) = admitted.forwards_left {
        headers.insert(header::MAX_FORWARDS, HeaderValue::from(left));
    }
    introduce::introduce(headers, fields, admitted, arrival, client, (way, how.headers));
    client.trace.pass_on(headers, fields);
    headers.insert(X_REQUEST_ID, client.request_id.value());
    way.request_headers.apply(headers);

    parts.uri = Uri::from(admitted.target.clone());
    parts.version = Version::HTTP_11;
    Ok(Outbound { parts, named })
}

/// Whether the origin may send trailers: the client has said so, of this connection (RFC 9110, section 10.1.4). A `TE` that
/// `Connection` does not name has strayed here from a hop further away.
fn takes_trailers(headers: &HeaderMap, fields: Fields) -> bool {
    fields.has(Field::Te)
        && hop::has_option(headers, fields, "te")
        && hop::members(headers, &header::TE).any(|coding| coding.eq_ignore_ascii_case("trailers"))
}

/// Writes a field that is for this proxy's own connection to the origin, and names it in `Connection`.
fn ask(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from(name.clone()));
    headers.insert(name, value);
}

/// The framing of the body, in this proxy's own words: without them hyper would send a GET that has chunks without its body.
/// An expectation is kept only where it holds, which it does not in HTTP/1.0 or without a body.
fn frame(headers: &mut HeaderMap, fields: Fields, admitted: &Admitted) {
    if admitted.content == Content::Chunked {
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if fields.has(Field::ContentLength)
        && let Some(line) = headers.get(header::CONTENT_LENGTH).filter(|line| !content::is_plain(line))
        && let Some(length) = content::length(line)
    {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if fields.has(Field::Expect) && !admitted.expects_continue {
        headers.remove(header::EXPECT);
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::Onward;
    use super::request;
    use crate::config::Forwarding;
    use crate::config::ForwardingHeaders;
    use crate::config::HostHeader;
    use crate::config::Networks;
    use crate::config::Operators;
    use crate::fault::Fault;
    use crate::fault::failure::Peer;
    use crate::proxy::admission::admit;
    use crate::proxy::arrival::Arrival;
    use crate::proxy::arrival::Scheme;
    use crate::proxy::client::Client;
    use crate::proxy::fields::Fields;
    use crate::proxy::heads;
    use crate::proxy::via::Pseudonym;
    use crate::proxy::way::Way;

    fn onward(host_header: &HostHeader) -> Onward {
        Onward::to(host_header, "app.internal:3000", ForwardingHeaders::None, &Pseudonym::of("a1"))
    }

    fn forwarded(head: &str, how: &Onward) -> Result<super::Outbound, Fault> {
        let parts = heads::request(head);
        let fields = Fields::of(&parts.headers);
        let admitted = admit(&parts, fields, &heads::LIMITS).unwrap();
        let arrival = Arrival::new(Peer::Tcp(([192, 0, 2, 9], 4711).into()), Scheme::Http);
        let forwarding = Forwarding { trusted_proxies: Networks::default(), headers: ForwardingHeaders::None };
        let client = Client::identify(&parts, fields, &arrival, &forwarding, &Operators::default(), UNIX_EPOCH);
        request(parts, fields, &admitted, &arrival, &client, (&Way::default(), how))
    }

    /// The fields as the origin gets them, without those that every request gets: Host, Via, X-Request-Id and traceparent.
    fn sent(head: &str) -> Vec<String> {
        let mut parts = forwarded(head, &onward(&HostHeader::Client)).unwrap().parts;
        for always in ["host", "via", "x-request-id", "traceparent"] {
            assert_eq!(parts.headers.get_all(always).iter().count(), 1, "{always} of {head:?}");
            parts.headers.remove(always);
        }
        heads::lines(&parts.headers)
    }

    fn check(rows: &[(&str, &[&str])]) {
        for (fields, expected) in rows {
            assert_eq!(sent(&format!("POST / HTTP/1.1\nHost: a\n{fields}")), *expected, "{fields:?}");
        }
    }

    #[test]
    fn the_target_goes_on_byte_for_byte_in_origin_form() {
        for (line, expected) in [
            ("GET /a%2Fb/./c//d;v=1/%7Euser?x=%00&z=%zz&{} HTTP/1.1", "/a%2Fb/./c//d;v=1/%7Euser?x=%00&z=%zz&{}"),
            ("GET //evil.example/a HTTP/1.1", "//evil.example/a"),
            ("GET http://b/x?y HTTP/1.1", "/x?y"),
            ("GET http://b HTTP/1.1", "/"),
            ("GET http://b?y HTTP/1.1", "/?y"),
            ("OPTIONS * HTTP/1.1", "*"),
        ] {
            let parts = forwarded(&format!("{line}\nHost: a"), &onward(&HostHeader::Client)).unwrap().parts;
            assert_eq!(parts.uri.to_string(), expected, "{line}");
            assert_eq!((parts.uri.authority(), parts.version), (None, http::Version::HTTP_11), "{line}");
        }
    }

    #[test]
    fn host_is_the_clients_the_upstreams_or_the_configured_one() {
        let fixed = HostHeader::Literal("shop.example".into());
        for (head, how, expected) in [
            ("GET / HTTP/1.1\nHost: a:80", HostHeader::Client, "a:80"),
            ("GET http://b/ HTTP/1.1\nHost: a", HostHeader::Client, "b"),
            ("GET / HTTP/1.0", HostHeader::Client, "app.internal:3000"),
            ("GET / HTTP/1.1\nHost: a", HostHeader::Upstream, "app.internal:3000"),
            ("GET / HTTP/1.1\nHost: a", fixed, "shop.example"),
        ] {
            let parts = forwarded(head, &onward(&how)).unwrap().parts;
            let hosts: Vec<_> = parts.headers.get_all("host").iter().collect();
            assert_eq!(hosts, [expected], "{head:?} {how:?}");
        }
    }

    #[test]
    fn via_tells_the_version_that_was_received_and_a_loop_is_refused() {
        let via = |head| {
            let forwarded = forwarded(head, &onward(&HostHeader::Client))?;
            Ok(heads::lines(&forwarded.parts.headers)
                .into_iter()
                .filter(|line| line.starts_with("via"))
                .collect::<Vec<_>>())
        };
        assert_eq!(via("GET / HTTP/1.1\nHost: a\nVia: 1.0 fred").unwrap(), ["via: 1.0 fred", "via: 1.1 why502-a1"]);
        assert_eq!(via("GET / HTTP/1.0").unwrap(), ["via: 1.0 why502-a1"]);
        assert_eq!(via("GET / HTTP/1.1\nHost: a\nVia: 1.1 why502-b2").unwrap().len(), 2);
        assert_eq!(via("GET / HTTP/1.1\nHost: a\nVia: 1.0 fred, 1.1 why502-a1"), Err(Fault::ProxyLoop));
    }

    #[test]
    fn what_belongs_to_the_clients_connection_stays_here() {
        check(&[
            ("Connection: X-Hop, keep-alive\nX-Hop: 1\nX-Keep: 2", &["x-keep: 2"]),
            ("Keep-Alive: timeout=5\nProxy-Connection: keep-alive\nProxy-Authorization: Basic eA==", &[]),
            ("X-Why502-Token: secret", &[]),
            ("Connection: Host, Via, X-Request-Id\nX-D: 2\nX-D: 1", &["x-d: 2", "x-d: 1"]),
        ]);
    }

    #[test]
    fn what_connection_named_is_no_trailer_either() {
        let head = "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nConnection: X-Hop";
        let named = forwarded(head, &onward(&HostHeader::Client)).unwrap().named;
        assert_eq!(heads::lines(&named.trailers(heads::fields("x-hop: 1\nx-end: 2"))), ["x-end: 2"]);
    }

    #[test]
    fn framing_is_kept_whatever_connection_says() {
        check(&[
            ("Connection: Content-Length\nContent-Length: 3", &["content-length: 3"]),
            ("Connection: Transfer-Encoding\nTransfer-Encoding: Chunked", &["transfer-encoding: chunked"]),
            ("Transfer-Encoding: chunked\nTrailer: X-T", &["trailer: X-T", "transfer-encoding: chunked"]),
            ("Content-Length: 0", &["content-length: 0"]),
            ("Content-Length: 00000000000000000010", &["content-length: 10"]),
            ("Content-Length: 000", &["content-length: 0"]),
        ]);
    }

    #[test]
    fn trailers_are_asked_for_only_where_the_client_takes_them() {
        check(&[
            ("Connection: TE\nTE: gzip, Trailers", &["connection: te", "te: trailers"]),
            ("Connection: TE\nTE: gzip", &[]),
            ("TE: trailers", &[]),
        ]);
    }

    #[test]
    fn an_upgrade_is_asked_for_anew_and_never_to_h2c() {
        check(&[
            ("Connection: Upgrade, X\nUpgrade: tcp\nX: 1", &["connection: upgrade", "upgrade: tcp"]),
            ("Connection: TE, Upgrade\nUpgrade: tcp\nTE: trailers", &["connection: upgrade", "upgrade: tcp"]),
            ("Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk", &[]),
            ("Connection: Upgrade\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk", &[]),
            ("Upgrade: tcp", &[]),
        ]);
        let websocket = "GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Key: k==";
        assert_eq!(sent(websocket), ["connection: upgrade", "sec-websocket-key: k==", "upgrade: websocket"]);
    }

    #[test]
    fn an_expectation_goes_on_where_a_body_follows() {
        check(&[
            ("Expect: 100-continue\nContent-Length: 5", &["content-length: 5", "expect: 100-continue"]),
            ("Expect: 100-continue", &[]),
        ]);
        assert_eq!(sent("POST / HTTP/1.0\nExpect: x\nContent-Length: 5"), ["content-length: 5"]);
    }

    #[test]
    fn max_forwards_is_one_less() {
        assert_eq!(sent("OPTIONS / HTTP/1.1\nHost: a\nMax-Forwards: 5"), ["max-forwards: 4"]);
        assert_eq!(sent("TRACE / HTTP/1.1\nHost: a\nMax-Forwards: x"), ["max-forwards: x"]);
        check(&[("Max-Forwards: 5", &["max-forwards: 5"])]);
    }

    #[test]
    fn a_strangers_trace_ends_here() {
        let theirs = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        check(&[(&format!("{theirs}\ntracestate: a=1"), &[]), ("tracestate: a=1", &[])]);
    }

    #[test]
    fn a_strangers_request_id_is_replaced() {
        let head = "GET / HTTP/1.1\nHost: a\nX-Request-Id: <script>\nX-Request-Id: b";
        let parts = forwarded(head, &onward(&HostHeader::Client)).unwrap().parts;
        let ids: Vec<_> = parts.headers.get_all("x-request-id").iter().map(|id| id.to_str().unwrap().len()).collect();
        assert_eq!(ids, [26]);
    }
}
