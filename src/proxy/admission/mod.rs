//! Owns what a request must be to be forwarded at all; what it is not is the client's own fault, a `Refusal`.
//!
//! A head of HTTP/2 comes here as HTTP/1.1 would say it (`listener::http2`), with its version and its authority as they came.
//! hyper has read the head before: it refuses what is no token, lengths that differ, a last transfer coding that is not
//! `chunked`, and any in HTTP/1.0. It drops a `Content-Length` beside `Transfer-Encoding` and closes afterwards. It does not
//! look at the host, and it lets through what is tested below.

pub mod content;
pub mod host;
pub mod refusal;
pub mod upgrade;

pub use self::content::Content;
pub use self::refusal::Ending;
pub use self::refusal::Refusal;
pub use self::upgrade::Upgrade;

use http::HeaderValue;
use http::Method;
use http::Uri;
use http::Version;
use http::header;
use http::request::Parts;
use http::uri::PathAndQuery;

use super::fields;
use super::fields::Field;
use super::fields::Fields;
use crate::config::Limits;

/// A request that may be forwarded: what its head says, read once and for good.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The host that the client asked for, as a valid value of `Host`; empty where it named none.
    pub host: HeaderValue,
    /// The target in origin-form, byte for byte as it came; `*` where it was that.
    pub target: PathAndQuery,
    /// How the body is framed.
    pub content: Content,
    /// The upgrade that the client asks for.
    pub upgrade: Option<Upgrade>,
    /// Whether the client waits for a 100 before it sends its body.
    pub expects_continue: bool,
    /// How many more times it may be forwarded, where TRACE or OPTIONS say so.
    pub forwards_left: Option<u64>,
}

impl Admitted {
    /// The host as text, with its port where it has one.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.to_str().unwrap_or_default()
    }

    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.path()
    }
}

/// Reads a head as a proxy must.
///
/// # Errors
///
/// The first thing that keeps the request from being forwarded.
pub fn admit(parts: &Parts, fields: Fields, limits: &Limits) -> Result<Admitted, Refusal> {
    if !matches!(parts.version, Version::HTTP_10 | Version::HTTP_11 | Version::HTTP_2) {
        return Err(Refusal::VersionUnknown);
    }
    if parts.version == Version::HTTP_2 {
        hold(parts, limits)?;
    }
    if parts.method.as_str().len() > LONGEST_METHOD {
        return Err(Refusal::MethodTooLong);
    }
    // What stands for an upgrade in HTTP/2 (RFC 8441) has been made one already, where it can be.
    if parts.method == Method::CONNECT && parts.version == Version::HTTP_2 && parts.uri.scheme().is_some() {
        return Err(Refusal::ProtocolUnknown);
    }
    let target = target(&parts.method, &parts.uri)?;
    let host = requested_host(parts)?;
    let content = Content::declared(&parts.headers, fields, limits)?;
    if parts.method == Method::TRACE && content != Content::None {
        return Err(Refusal::TraceWithContent);
    }
    let upgrade = Upgrade::asked(parts, fields, content)?;
    let expects_continue = expects_continue(parts, fields)? && content != Content::None;
    let forwards_left = forwards_left(parts, fields)?;
    Ok(Admitted { host, target, content, upgrade, expects_continue, forwards_left })
}

/// Whether a head of HTTP/2 is as large as one of HTTP/1.1 may be, counted in the same way, and its fields can be said there; hyper
/// has seen to both in HTTP/1.1.
fn hold(parts: &Parts, limits: &Limits) -> Result<(), Refusal> {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len()) as u64;
    if target >= limits.request_header_bytes {
        return Err(Refusal::TargetTooLong);
    }
    let mut size = target;
    for (name, value) in &parts.headers {
        size += (name.as_str().len() + value.len() + 4) as u64;
        if !fields::is_line(name, value) {
            return Err(Refusal::HeadInvalid);
        }
    }
    let too_large = size > limits.request_header_bytes || parts.headers.len() > MOST_FIELDS;
    if too_large { Err(Refusal::HeadTooLarge) } else { Ok(()) }
}

/// The target in origin-form (RFC 9112, section 3.2). A fragment has been cut off by `http` before anybody could see it.
fn target(method: &Method, uri: &Uri) -> Result<PathAndQuery, Refusal> {
    if *method == Method::CONNECT {
        let is_authority = uri.scheme().is_none() && uri.port_u16().is_some();
        return Err(if is_authority { Refusal::ConnectRefused } else { Refusal::TargetInvalid });
    }
    match (uri.scheme_str(), uri.authority()) {
        (None, Some(_)) => return Err(Refusal::TargetInvalid),
        (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => {
            return Err(Refusal::TargetHasCredentials);
        }
        (None, None) | (Some("http" | "https"), _) => {}
        (Some(_), _) => return Err(Refusal::SchemeUnknown),
    }
    let Some(target) = uri.path_and_query() else { return Err(Refusal::TargetInvalid) };
    match target.as_str() {
        "*" if *method == Method::OPTIONS => Ok(target.clone()),
        // `http` calls it so where there was but a fragment, and would have nothing sent.
        "/" => Ok(PathAndQuery::from_static("/")),
        path if path.starts_with('/') => Ok(target.clone()),
        // An absolute-form without a path: `http://shop.example?q`. An empty path is sent as `/` (RFC 9110, section 4.2.3).
        query if query.starts_with('?') => {
            PathAndQuery::try_from(format!("/{query}")).map_err(|_| Refusal::TargetInvalid)
        }
        _ => Err(Refusal::TargetInvalid),
    }
}

/// What the origin is to see as `Host`: the authority of an absolute target, else the field (RFC 9112, sections 3.2 and 3.2.2).
/// In HTTP/2 the two must not differ (RFC 9113, section 8.3.1), and a request to a gateway has one of them.
fn requested_host(parts: &Parts) -> Result<HeaderValue, Refusal> {
    let mut lines = parts.headers.get_all(header::HOST).iter();
    let field = match (lines.next(), lines.next()) {
        (Some(_), Some(_)) => return Err(Refusal::HostRepeated),
        (None, _) if parts.version == Version::HTTP_11 => return Err(Refusal::HostMissing),
        (None, _) if parts.version == Version::HTTP_2 && parts.uri.authority().is_none() => {
            return Err(Refusal::HostMissing);
        }
        (field, _) => field,
    };
    if field.is_some_and(|field| !host::is_valid(field.as_bytes())) {
        return Err(Refusal::HostInvalid);
    }
    match (parts.uri.authority(), field) {
        (Some(authority), Some(field))
            if parts.version == Version::HTTP_2
                && !field.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            Err(Refusal::HostDiffers)
        }
        (Some(authority), _) if host::is_valid(authority.as_str().as_bytes()) => {
            HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::HostInvalid)
        }
        (Some(_), _) => Err(Refusal::HostInvalid),
        (None, Some(field)) => Ok(field.clone()),
        (None, None) => Ok(HeaderValue::from_static("")),
    }
}

/// Whether the client waits for a 100 (RFC 9110, section 10.1.1). HTTP/1.0 knows no expectations.
fn expects_continue(parts: &Parts, fields: Fields) -> Result<bool, Refusal> {
    if !fields.has(Field::Expect) || parts.version == Version::HTTP_10 {
        return Ok(false);
    }
    let mut lines = parts.headers.get_all(header::EXPECT).iter();
    let known = lines.all(|line| line.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if known { Ok(true) } else { Err(Refusal::ExpectationUnknown) }
}

/// What `Max-Forwards` leaves (RFC 9110, section 7.6.2), which is the most that this proxy counts to where it is more. It means
/// something to TRACE and OPTIONS only, and nothing where it is no number.
fn forwards_left(parts: &Parts, fields: Fields) -> Result<Option<u64>, Refusal> {
    let counts = parts.method == Method::TRACE || parts.method == Method::OPTIONS;
    if !counts || !fields.has(Field::MaxForwards) {
        return Ok(None);
    }
    let mut lines = parts.headers.get_all(header::MAX_FORWARDS).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Ok(None) };
    let is_number = !line.is_empty() && line.as_bytes().iter().all(u8::is_ascii_digit);
    match content::length(line).or_else(|| is_number.then_some(content::LARGEST_LENGTH)) {
        Some(0) if parts.method == Method::TRACE => Err(Refusal::TraceEndsHere),
        Some(0) => Err(Refusal::OptionsEndsHere),
        left => Ok(left.map(|left| left - 1)),
    }
}

/// Fields of a head; as many as hyper takes in HTTP/1.1.
const MOST_FIELDS: usize = 100;
/// Bytes of a method; the longest one registered has 17.
const LONGEST_METHOD: usize = 128;

#[cfg(test)]
mod tests {
    use super::Content;
    use super::Refusal;
    use super::admit;
    use crate::config::Limits;
    use crate::proxy::fields::Fields;
    use crate::proxy::heads;

    fn admitted(head: &str) -> Result<super::Admitted, Refusal> {
        let parts = heads::request(head);
        admit(&parts, Fields::of(&parts.headers), &heads::LIMITS)
    }

    /// Host, target, framing, upgrade, expectation and what is left of Max-Forwards, on one line.
    fn said(head: &str) -> String {
        match admitted(head) {
            Err(refusal) => refusal.word().to_owned(),
            Ok(request) => {
                let upgrade = request.upgrade.as_ref().map_or("-", |upgrade| upgrade.as_str());
                let (waits, left) = (if request.expects_continue { "waits" } else { "-" }, request.forwards_left);
                let left = left.map_or_else(|| "-".to_owned(), |left| left.to_string());
                format!("{} {} {:?} {upgrade} {waits} {left}", request.host(), request.target, request.content)
            }
        }
    }

    fn check(rows: &[(&str, &str)]) {
        for (head, expected) in rows {
            assert_eq!(said(head), *expected, "{head:?}");
        }
    }

    #[test]
    fn a_plain_request_is_admitted_as_it_is() {
        check(&[
            ("GET / HTTP/1.1\nHost: a", "a / None - - -"),
            ("GET / HTTP/1.0", " / None - - -"),
            ("FROB /x?y=%zz&%3C HTTP/1.1\nHost: A:80", "A:80 /x?y=%zz&%3C None - - -"),
            ("GET //b/../c%2F;d HTTP/1.1\nHost: a", "a //b/../c%2F;d None - - -"),
        ]);
    }

    #[test]
    fn a_host_is_needed_once_and_valid() {
        check(&[
            ("GET / HTTP/1.1", "host_missing"),
            ("GET http://a/ HTTP/1.1", "host_missing"),
            ("GET / HTTP/1.1\nHost: a\nHost: a", "host_repeated"),
            ("GET / HTTP/1.0\nHost: a\nHost: b", "host_repeated"),
            ("GET / HTTP/1.1\nHost: a b", "host_invalid"),
            ("GET / HTTP/1.1\nHost: u@a", "host_invalid"),
            ("GET http://a/ HTTP/1.1\nHost: a/b", "host_invalid"),
            ("GET / HTTP/1.1\nHost:", " / None - - -"),
        ]);
    }

    #[test]
    fn an_absolute_target_replaces_the_host() {
        check(&[
            ("GET http://shop.example:81/x?y HTTP/1.1\nHost: evil", "shop.example:81 /x?y None - - -"),
            ("GET HTTPS://a HTTP/1.1\nHost: evil", "a / None - - -"),
            ("GET http://a?q HTTP/1.1\nHost: a", "a /?q None - - -"),
            ("GET http://u:p@a/ HTTP/1.1\nHost: a", "target_has_credentials"),
            ("GET ftp://a/ HTTP/1.1\nHost: a", "scheme_unknown"),
            ("GET http://a:99999/ HTTP/1.1\nHost: a", "host_invalid"),
        ]);
    }

    #[test]
    fn a_target_has_the_form_of_its_method() {
        check(&[
            ("OPTIONS * HTTP/1.1\nHost: a", "a * None - - -"),
            ("GET * HTTP/1.1\nHost: a", "target_invalid"),
            ("GET a HTTP/1.1\nHost: a", "target_invalid"),
            ("GET victim.example:80 HTTP/1.1\nHost: a", "target_invalid"),
            ("CONNECT a:443 HTTP/1.1\nHost: a", "connect_refused"),
            ("CONNECT a HTTP/1.1\nHost: a", "target_invalid"),
            ("CONNECT a: HTTP/1.1\nHost: a", "target_invalid"),
            ("CONNECT / HTTP/1.1\nHost: a", "target_invalid"),
        ]);
    }

    #[test]
    fn a_method_of_any_name_but_not_of_any_length_is_admitted() {
        let of = |length| format!("{} / HTTP/1.1\nHost: a", "A".repeat(length));
        check(&[(&of(128), "a / None - - -"), (&of(129), "method_too_long")]);
    }

    #[test]
    fn a_version_that_is_not_spoken_is_refused() {
        check(&[("GET / HTTP/3.0\nHost: a", "version_unknown")]);
    }

    #[test]
    fn in_http_2_the_authority_is_the_host_and_nothing_else_may_be() {
        check(&[
            ("GET http://a/x?y HTTP/2.0", "a /x?y None - - -"),
            ("GET https://a:81/ HTTP/2.0\nHost: A:81", "a:81 / None - - -"),
            ("GET /x HTTP/2.0\nHost: a", "a /x None - - -"),
            ("GET /x HTTP/2.0", "host_missing"),
            ("GET http://a/ HTTP/2.0\nHost: b", "host_differs"),
            ("GET http://a/ HTTP/2.0\nHost: a\nHost: a", "host_repeated"),
            ("GET http://u:p@a/ HTTP/2.0", "target_has_credentials"),
            ("GET ftp://a/ HTTP/2.0", "scheme_unknown"),
            ("CONNECT a:443 HTTP/2.0", "connect_refused"),
            ("CONNECT http://a/x HTTP/2.0", "protocol_unknown"),
            ("GET http://a/ HTTP/2.0\nX: y\t", "head_invalid"),
            ("GET http://a/ HTTP/2.0\nX: \ty", "head_invalid"),
        ]);
    }

    #[test]
    fn a_head_of_http_2_is_held_to_the_same_size() {
        let said = |target: usize, value: usize| {
            let head = format!("GET http://a/{} HTTP/2.0\nX: {}", "t".repeat(target), "v".repeat(value));
            let parts = heads::request(&head);
            let limits = Limits { request_header_bytes: 1000, ..heads::LIMITS };
            admit(&parts, Fields::of(&parts.headers), &limits).map(|_| ())
        };
        assert_eq!(said(1000, 1), Err(Refusal::TargetTooLong));
        assert_eq!(said(1, 1000), Err(Refusal::HeadTooLarge));
        assert_eq!(said(500, 500 - 6), Ok(()));
        assert_eq!(said(500, 500), Err(Refusal::HeadTooLarge));
        let of = |fields: usize| format!("GET http://a/ HTTP/2.0\n{}", "X: y\n".repeat(fields));
        check(&[(&of(101), "head_too_large"), (&of(100), "a / None - - -")]);
    }

    #[test]
    fn a_body_has_one_length_or_one_coding() {
        check(&[
            ("POST / HTTP/1.1\nHost: a\nContent-Length: 0", "a / None - - -"),
            ("POST / HTTP/1.1\nHost: a\nContent-Length: 1000", "a / Length(1000) - - -"),
            ("POST / HTTP/1.1\nHost: a\nContent-Length: 1001", "body_too_large"),
            ("POST / HTTP/1.1\nHost: a\nContent-Length: 9223372036854775808", "length_invalid"),
            ("POST / HTTP/1.1\nHost: a\nContent-Length: 18446744073709551621", "length_invalid"),
            ("POST / HTTP/1.1\nHost: a\nContent-Length: +5", "length_invalid"),
            ("POST / HTTP/1.1\nHost: a\nContent-Length: 5, 5", "length_invalid"),
            ("POST / HTTP/1.1\nHost: a\nContent-Length:", "length_invalid"),
            ("POST / HTTP/1.1\nHost: a\nContent-Length: 5\nContent-Length: 5", "length_invalid"),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: ChunkeD", "a / Chunked - - -"),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked, chunked", "coding_unknown"),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip, chunked", "coding_unknown"),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: ,chunked", "coding_unknown"),
            ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: x\nTransfer-Encoding: chunked", "coding_unknown"),
            ("TRACE / HTTP/1.1\nHost: a\nContent-Length: 1", "trace_with_content"),
            ("TRACE / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked", "trace_with_content"),
        ]);
    }

    #[test]
    fn no_limit_on_the_body_is_written_as_zero() {
        let parts = heads::request("POST / HTTP/1.1\nHost: a\nContent-Length: 9223372036854775807");
        let limits = Limits { request_body_bytes: 0, ..heads::LIMITS };
        let content = admit(&parts, Fields::of(&parts.headers), &limits).map(|request| request.content);
        assert_eq!(content, Ok(Content::Length(9_223_372_036_854_775_807)));
    }

    #[test]
    fn an_expectation_is_100_continue_or_refused() {
        check(&[
            ("PUT / HTTP/1.1\nHost: a\nContent-Length: 5\nExpect: 100-Continue", "a / Length(5) - waits -"),
            ("PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nExpect: 100-continue", "a / Chunked - waits -"),
            ("PUT / HTTP/1.1\nHost: a\nExpect: 100-continue", "a / None - - -"),
            ("PUT / HTTP/1.0\nHost: a\nContent-Length: 5\nExpect: 100-continue", "a / Length(5) - - -"),
            ("PUT / HTTP/1.0\nHost: a\nContent-Length: 5\nExpect: 200-ok", "a / Length(5) - - -"),
            ("PUT / HTTP/1.1\nHost: a\nContent-Length: 5\nExpect: 200-ok", "expectation_unknown"),
            ("PUT / HTTP/1.1\nHost: a\nContent-Length: 5\nExpect: y 100-continue", "expectation_unknown"),
        ]);
    }

    #[test]
    fn max_forwards_counts_for_trace_and_options_only() {
        check(&[
            ("TRACE / HTTP/1.1\nHost: a\nMax-Forwards: 0", "trace_ends_here"),
            ("OPTIONS * HTTP/1.1\nHost: a\nMax-Forwards: 0", "options_ends_here"),
            ("OPTIONS / HTTP/1.1\nHost: a\nMax-Forwards: 5", "a / None - - 4"),
            ("TRACE / HTTP/1.1\nHost: a\nMax-Forwards: 1", "a / None - - 0"),
            ("TRACE / HTTP/1.1\nHost: a", "a / None - - -"),
            ("TRACE / HTTP/1.1\nHost: a\nMax-Forwards: -1", "a / None - - -"),
            ("TRACE / HTTP/1.1\nHost: a\nMax-Forwards: 0\nMax-Forwards: 1", "a / None - - -"),
            ("GET / HTTP/1.1\nHost: a\nMax-Forwards: 0", "a / None - - -"),
        ]);
    }
}
