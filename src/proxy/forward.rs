//! Owns the head of a request as the origin gets it.
//!
//! It is the client's head, changed in place: what belonged to the client's connection goes, what this proxy has to say comes
//! in. Only `Expect` and `Trailer` need the body's framing to be known; everything else is a field for itself.

use std::net::IpAddr;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Uri;
use http::Version;
use http::header;
use http::request::Parts;

use super::admission::Admitted;
use super::admission::Content;
use super::client::Arrival;
use super::client::Client;
use super::client::Standing;
use super::fields::Field;
use super::fields::Fields;
use super::fields::TRACEPARENT;
use super::fields::TRACESTATE;
use super::fields::X_FORWARDED;
use super::fields::X_FORWARDED_FOR;
use super::fields::X_FORWARDED_HOST;
use super::fields::X_FORWARDED_PROTO;
use super::fields::X_REQUEST_ID;
use super::forwarded;
use super::hop;
use super::hop::Named;
use super::via::Pseudonym;
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
pub struct Forwarded {
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
        let authority = upstream.servers.first().map_or(EMPTY, |server| value(&server.authority()));
        let host = match &upstream.host_header {
            HostHeader::Client => Host::Client(authority),
            HostHeader::Upstream => Host::Fixed(authority),
            HostHeader::Literal(name) => Host::Fixed(value(name)),
        };
        Self { host, headers, pseudonym: pseudonym.clone() }
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
    how: &Onward,
) -> Result<Forwarded, Fault> {
    if how.pseudonym.has_signed(&parts.headers, fields) {
        return Err(Fault::ProxyLoop);
    }
    let headers = &mut parts.headers;
    let takes_trailers = takes_trailers(headers, fields);
    let named = hop::strip(headers, fields);
    connect(headers, admitted, takes_trailers);
    frame(headers, fields, admitted);
    how.pseudonym.sign(headers, parts.version);
    headers.insert(header::HOST, how.host(admitted));
    if let Some(left) = admitted.forwards_left {
        headers.insert(header::MAX_FORWARDS, HeaderValue::from(left));
    }
    introduce(headers, fields, admitted, arrival, client, how.headers);
    trace(headers, fields);
    headers.insert(X_REQUEST_ID, client.request_id.value());

    parts.uri = Uri::from(admitted.target.clone());
    parts.version = Version::HTTP_11;
    Ok(Forwarded { parts, named })
}

impl Onward {
    fn host(&self, admitted: &Admitted) -> HeaderValue {
        match &self.host {
            Host::Client(authority) if admitted.host.is_empty() => authority.clone(),
            Host::Client(_) => admitted.host.clone(),
            Host::Fixed(host) => host.clone(),
        }
    }
}

/// Whether the origin may send trailers: the client has said so, of this connection (RFC 9110, section 10.1.4). A `TE` that
/// `Connection` does not name has strayed here from a hop further away.
fn takes_trailers(headers: &HeaderMap, fields: Fields) -> bool {
    fields.has(Field::Te)
        && hop::has_option(headers, fields, "te")
        && hop::members(headers, &header::TE).any(|coding| coding.eq_ignore_ascii_case("trailers"))
}

/// What this proxy asks of its own connection to the origin.
fn connect(headers: &mut HeaderMap, admitted: &Admitted, takes_trailers: bool) {
    if takes_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.append(header::CONNECTION, HeaderValue::from_static("te"));
    }
    if let Some(upgrade) = &admitted.upgrade {
        headers.insert(header::UPGRADE, upgrade.value());
        headers.append(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// The framing of the body, in this proxy's own words. Without them hyper would send a GET that has chunks without its body.
fn frame(headers: &mut HeaderMap, fields: Fields, admitted: &Admitted) {
    if admitted.content == Content::Chunked {
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if fields.has(Field::Expect) && !admitted.expects_continue {
        headers.remove(header::EXPECT);
    }
}

/// Tells the origin of the client, in the fields that are configured. A stranger's word is replaced, a trusted proxy's gets
/// ours added; fields of the kind that is not configured are dropped, so that the two kinds cannot contradict each other.
/// With neither configured, a trusted proxy's own are passed on as they came.
fn introduce(
    headers: &mut HeaderMap,
    fields: Fields,
    admitted: &Admitted,
    arrival: &Arrival,
    client: &Client,
    chosen: ForwardingHeaders,
) {
    if client.standing == Standing::Stranger {
        forget(headers, fields);
    }
    match chosen {
        ForwardingHeaders::None => {}
        ForwardingHeaders::XForwarded => {
            headers.remove(header::FORWARDED);
            list(headers, admitted, arrival, client);
        }
        ForwardingHeaders::Forwarded => {
            for name in [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO] {
                headers.remove(name);
            }
            describe(headers, admitted, arrival, client);
        }
        ForwardingHeaders::Both => {
            list(headers, admitted, arrival, client);
            describe(headers, admitted, arrival, client);
        }
    }
}

/// Takes out everything that a stranger says of where the request came from (RFC 7239, section 8.1).
fn forget(headers: &mut HeaderMap, fields: Fields) {
    for (field, name) in CLAIMS {
        if fields.has(field) {
            headers.remove(name);
        }
    }
    if fields.has(Field::XForwardedOther) {
        let others: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with(X_FORWARDED)).cloned().collect();
        for name in others {
            headers.remove(name);
        }
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
    let mut lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        lines.extend(before.map(str::as_bytes));
    }
    lines.push(own);
    HeaderValue::try_from(lines.join(&b", "[..])).unwrap_or(EMPTY)
}

/// A `traceparent` that is valid goes on unchanged with its `tracestate`; one that is not takes it along, and a `tracestate`
/// by itself means nothing (W3C Trace Context, section 3.3.1.2).
fn trace(headers: &mut HeaderMap, fields: Fields) {
    if !fields.has(Field::Traceparent) && !fields.has(Field::Tracestate) {
        return;
    }
    let mut lines = headers.get_all(TRACEPARENT).iter();
    let is_valid = matches!((lines.next(), lines.next()), (Some(line), None) if is_traceparent(line.as_bytes()));
    if !is_valid {
        headers.remove(TRACEPARENT);
        headers.remove(TRACESTATE);
    }
}

/// `version-traceid-parentid-flags` in lower-case hexadecimal digits, neither id all zeros. A later version may go on after a
/// further dash.
fn is_traceparent(value: &[u8]) -> bool {
    let is_hex = |digits: &[u8]| digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |id: &[u8], length| id.len() == length && is_hex(id) && id.iter().any(|byte| *byte != b'0');
    let mut parts = value.splitn(5, |byte| *byte == b'-');
    let (Some(version), Some(trace), Some(parent), Some(flags)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let known = version.len() == 2 && is_hex(version) && version != b"ff";
    let ends = version != b"00" || parts.next().is_none();
    known && is_id(trace, 32) && is_id(parent, 16) && flags.len() == 2 && is_hex(flags) && ends
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(EMPTY)
}

/// What a client may say of where its request came from.
const CLAIMS: [(Field, HeaderName); 4] = [
    (Field::Forwarded, header::FORWARDED),
    (Field::XForwardedFor, X_FORWARDED_FOR),
    (Field::XForwardedHost, X_FORWARDED_HOST),
    (Field::XForwardedProto, X_FORWARDED_PROTO),
];

const EMPTY: HeaderValue = HeaderValue::from_static("");
