//! Owns what a request must be to be forwarded at all; what it is not is the client's own fault, a `Refusal`.
//!
//! hyper has read the head before: it refuses what is no token, lengths that differ, a last transfer coding that is not
//! `chunked`, and any in HTTP/1.0. It drops a `Content-Length` beside `Transfer-Encoding` and closes afterwards. It does not
//! look at the host, and it lets through what is tested below.

pub mod host;
pub mod refusal;

pub use self::refusal::Ending;
pub use self::refusal::Refusal;

use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::Uri;
use http::Version;
use http::header;
use http::request::Parts;
use http::uri::PathAndQuery;

use super::fields::Field;
use super::fields::Fields;
use super::hop;
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

/// How a request's body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// There is none.
    None,
    /// As many bytes as declared; more than none.
    Length(u64),
    /// In chunks, until the last one.
    Chunked,
}

/// The protocols that a client would change to, in its order, as a value of `Upgrade`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade(HeaderValue);

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

impl Upgrade {
    /// The value to forward.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The protocols as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// Whether this protocol is among those asked for. Names are compared without case.
    #[must_use]
    pub fn asks_for(&self, protocol: &str) -> bool {
        self.as_str().split(", ").any(|asked| asked.eq_ignore_ascii_case(protocol))
    }
}

/// Reads a head as a proxy must.
///
/// # Errors
///
/// The first thing that keeps the request from being forwarded.
pub fn admit(parts: &Parts, fields: Fields, limits: &Limits) -> Result<Admitted, Refusal> {
    if parts.version != Version::HTTP_11 && parts.version != Version::HTTP_10 {
        return Err(Refusal::VersionUnknown);
    }
    if parts.method.as_str().len() > LONGEST_METHOD {
        return Err(Refusal::MethodTooLong);
    }
    let target = target(&parts.method, &parts.uri)?;
    let host = requested_host(parts)?;
    let content = content(&parts.headers, fields, limits)?;
    if parts.method == Method::TRACE && content != Content::None {
        return Err(Refusal::TraceWithContent);
    }
    let upgrade = upgrade(parts, fields, content)?;
    let expects_continue = expects_continue(parts, fields)? && content != Content::None;
    let forwards_left = forwards_left(parts, fields)?;
    Ok(Admitted { host, target, content, upgrade, expects_continue, forwards_left })
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
        path if path.starts_with('/') => Ok(target.clone()),
        // An absolute-form without a path: `http://shop.example?q`. An empty path is sent as `/` (RFC 9110, section 4.2.3).
        query if query.starts_with('?') => {
            PathAndQuery::try_from(format!("/{query}")).map_err(|_| Refusal::TargetInvalid)
        }
        _ => Err(Refusal::TargetInvalid),
    }
}

/// What the origin is to see as `Host`: the authority of an absolute target, else the field (RFC 9112, sections 3.2 and 3.2.2).
fn requested_host(parts: &Parts) -> Result<HeaderValue, Refusal> {
    let mut lines = parts.headers.get_all(header::HOST).iter();
    let field = match (lines.next(), lines.next()) {
        (Some(_), Some(_)) => return Err(Refusal::HostRepeated),
        (None, _) if parts.version == Version::HTTP_11 => return Err(Refusal::HostMissing),
        (field, _) => field,
    };
    if field.is_some_and(|field| !host::is_valid(field.as_bytes())) {
        return Err(Refusal::HostInvalid);
    }
    match (parts.uri.authority(), field) {
        (Some(authority), _) if host::is_valid(authority.as_str().as_bytes()) => {
            HeaderValue::from_str(authority.as_str()).map_err(|_| Refusal::HostInvalid)
        }
        (Some(_), _) => Err(Refusal::HostInvalid),
        (None, Some(field)) => Ok(field.clone()),
        (None, None) => Ok(HeaderValue::from_static("")),
    }
}

/// How the body is framed (RFC 9112, section 6.3), and whether it may be that large.
fn content(headers: &HeaderMap, fields: Fields, limits: &Limits) -> Result<Content, Refusal> {
    if fields.has(Field::TransferEncoding) {
        return if is_chunked_once(headers) { Ok(Content::Chunked) } else { Err(Refusal::CodingUnknown) };
    }
    if !fields.has(Field::ContentLength) {
        return Ok(Content::None);
    }
    let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Err(Refusal::LengthInvalid) };
    match length(line).ok_or(Refusal::LengthInvalid)? {
        0 => Ok(Content::None),
        length if limits.request_body_bytes != 0 && length > limits.request_body_bytes => Err(Refusal::BodyTooLarge),
        length => Ok(Content::Length(length)),
    }
}

/// Whether `Transfer-Encoding` is `chunked` and nothing else, over all of its lines.
#[must_use]
pub fn is_chunked_once(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => line.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        _ => false,
    }
}

/// The number in a value of `Content-Length`: digits only (RFC 9110, section 8.6), and none that a signed reader downstream
/// would take for a negative one.
#[must_use]
pub fn length(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|length| digits && *length <= LARGEST_LENGTH)
}

/// The upgrade that counts: asked for in HTTP/1.1, named in `Connection`, and to something else than HTTP itself (RFC 9110,
/// section 7.8). An upgrade to h2c would carry requests past this proxy unseen, so it is ignored, as a server may.
fn upgrade(parts: &Parts, fields: Fields, content: Content) -> Result<Option<Upgrade>, Refusal> {
    let asked = fields.has(Field::Upgrade) && parts.version == Version::HTTP_11;
    if !asked || !hop::has_option(&parts.headers, fields, "upgrade") {
        return Ok(None);
    }
    let protocols: Vec<&str> =
        hop::members(&parts.headers, &header::UPGRADE).filter(|name| is_passed_on(name)).collect();
    if protocols.is_empty() {
        return Ok(None);
    }
    if content != Content::None {
        return Err(Refusal::UpgradeWithContent);
    }
    if parts.method != Method::GET && protocols.iter().any(|name| name.eq_ignore_ascii_case("websocket")) {
        return Err(Refusal::UpgradeMethod);
    }
    Ok(HeaderValue::try_from(protocols.join(", ")).ok().map(Upgrade))
}

/// Whether an upgrade to this protocol is passed on: a name with or without a version, and not HTTP or TLS below it.
fn is_passed_on(protocol: &str) -> bool {
    let (name, version) = protocol.split_once('/').unwrap_or((protocol, "1"));
    let is_token = |text: &str| !text.is_empty() && text.bytes().all(is_token_byte);
    let own = ["h2c", "h2", "http", "tls"].iter().any(|own| name.eq_ignore_ascii_case(own));
    is_token(name) && is_token(version) && !own
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
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

/// What `Max-Forwards` leaves (RFC 9110, section 7.6.2). It means something to TRACE and OPTIONS only, and nothing where it
/// is no number.
fn forwards_left(parts: &Parts, fields: Fields) -> Result<Option<u64>, Refusal> {
    let counts = parts.method == Method::TRACE || parts.method == Method::OPTIONS;
    if !counts || !fields.has(Field::MaxForwards) {
        return Ok(None);
    }
    let mut lines = parts.headers.get_all(header::MAX_FORWARDS).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Ok(None) };
    match length(line) {
        Some(0) if parts.method == Method::TRACE => Err(Refusal::TraceEndsHere),
        Some(0) => Err(Refusal::OptionsEndsHere),
        left => Ok(left.map(|left| left - 1)),
    }
}

/// Bytes of a method; the longest one registered has 17.
const LONGEST_METHOD: usize = 128;

/// The largest `Content-Length` that a signed reader holds: 2^63 - 1.
const LARGEST_LENGTH: u64 = i64::MAX as u64;
