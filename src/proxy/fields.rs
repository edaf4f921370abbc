//! Owns the names of the fields that this proxy acts on, and which of them a head carries, found in one pass.
//!
//! A head has a dozen fields, and two dozen names matter here. One look at each field is cheaper than a lookup of each name,
//! and what is absent, which is nearly everything, costs nothing afterwards.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use memchr::memchr;

/// `Keep-Alive`, for one connection only.
pub const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// `Proxy-Connection`, which was never standardised and is for one connection only.
pub const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
/// `Proxy-Authentication-Info` (RFC 9110, section 11.7.3).
pub const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");
/// `HTTP2-Settings`, the companion of an upgrade to h2c.
pub const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
/// `Client-Cert`: a client's certificate, as the proxy says that has verified it (RFC 9440).
pub const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
/// `Client-Cert-Chain`: what vouches for it (RFC 9440).
pub const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");
/// `X-Forwarded-For`: the client and the proxies that it came by.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `X-Forwarded-Host`: the host that the client asked for.
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// `X-Forwarded-Proto`: `http` or `https`, as the client spoke it.
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// `X-Forwarded-Prefix`: the beginning of the path that the origin does not see.
pub const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
/// `X-Request-Id`.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// `X-Why502-Token`: the operator's, never forwarded and never logged.
pub const X_WHY502_TOKEN: HeaderName = HeaderName::from_static("x-why502-token");
/// `traceparent` (W3C Trace Context).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// `tracestate` (W3C Trace Context).
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// `Proxy-Status` (RFC 9209).
pub const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// What every `X-Forwarded-…` field begins with.
pub const X_FORWARDED: &str = "x-forwarded-";

/// Whether an application that is told names as CGI tells them (RFC 3875, section 4.1.18), with `_` for `-`, would take this field
/// for one that says who asks, and that is not everybody's to set.
#[must_use]
pub fn is_disguised(name: &str) -> bool {
    memchr(b'_', name.as_bytes()).is_some() && {
        let plain = name.replace('_', "-");
        plain.starts_with(X_FORWARDED)
            || [CLIENT_CERT, CLIENT_CERT_CHAIN, X_REQUEST_ID].iter().any(|own| own.as_str() == plain)
    }
}

/// Whether this field can be a line of HTTP/1. What comes by HTTP/2 need not be one: there `http` takes a quotation mark for a part
/// of a name, which it is not (RFC 9110, section 5.1), and a value may begin or end with a blank, which it must not (RFC 9113,
/// section 8.2.1).
#[must_use]
pub fn is_line(name: &HeaderName, value: &HeaderValue) -> bool {
    let is_padded = matches!(value.as_bytes(), [b' ' | b'\t', ..] | [.., b' ' | b'\t']);
    !is_padded && memchr(b'"', name.as_str().as_bytes()).is_none()
}

/// A field that this proxy acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "each is the field of that name")]
pub enum Field {
    /// `Client-Cert` or `Client-Cert-Chain`.
    ClientCert,
    Connection,
    ContentLength,
    /// One that would be taken for another, such as `Client_Cert`.
    Disguised,
    Expect,
    Forwarded,
    Host,
    Http2Settings,
    KeepAlive,
    MaxForwards,
    ProxyAuthenticate,
    ProxyAuthenticationInfo,
    ProxyAuthorization,
    ProxyConnection,
    Te,
    Token,
    Traceparent,
    Tracestate,
    TransferEncoding,
    Upgrade,
    Via,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    /// Any other `X-Forwarded-…`.
    XForwardedOther,
    XRequestId,
}

impl Field {
    fn of(name: &HeaderName) -> Option<Self> {
        Some(match name.as_str() {
            "client-cert" | "client-cert-chain" => Self::ClientCert,
            "connection" => Self::Connection,
            "content-length" => Self::ContentLength,
            "expect" => Self::Expect,
            "forwarded" => Self::Forwarded,
            "host" => Self::Host,
            "http2-settings" => Self::Http2Settings,
            "keep-alive" => Self::KeepAlive,
            "max-forwards" => Self::MaxForwards,
            "proxy-authenticate" => Self::ProxyAuthenticate,
            "proxy-authentication-info" => Self::ProxyAuthenticationInfo,
            "proxy-authorization" => Self::ProxyAuthorization,
            "proxy-connection" => Self::ProxyConnection,
            "te" => Self::Te,
            "traceparent" => Self::Traceparent,
            "tracestate" => Self::Tracestate,
            "transfer-encoding" => Self::TransferEncoding,
            "upgrade" => Self::Upgrade,
            "via" => Self::Via,
            "x-forwarded-for" => Self::XForwardedFor,
            "x-forwarded-host" => Self::XForwardedHost,
            "x-forwarded-proto" => Self::XForwardedProto,
            "x-request-id" => Self::XRequestId,
            "x-why502-token" => Self::Token,
            other if other.starts_with(X_FORWARDED) && !is_disguised(other) => Self::XForwardedOther,
            other if is_disguised(other) => Self::Disguised,
            _ => return None,
        })
    }
}

/// Which of them a head carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fields(u32);

impl Fields {
    /// Looks at each field of a head once.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        Self(headers.keys().filter_map(Field::of).fold(0, |seen, field| seen | bit(field)))
    }

    /// Whether the field is there.
    #[must_use]
    pub const fn has(self, field: Field) -> bool {
        self.0 & bit(field) != 0
    }
}

const fn bit(field: Field) -> u32 {
    1 << field as u8
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::HeaderName;
    use http::HeaderValue;

    use super::Field;
    use super::Fields;

    fn fields(names: &[&'static str]) -> Fields {
        let names = names.iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("1")));
        Fields::of(&names.collect::<HeaderMap>())
    }

    #[test]
    fn a_head_tells_what_it_carries_and_nothing_else() {
        let seen = fields(&["host", "accept", "x-forwarded-for", "x-forwarded-port", "x-forwarded", "x-why502-token"]);
        let found: Vec<_> = ALL.into_iter().filter(|field| seen.has(*field)).collect();
        assert_eq!(found, [Field::Host, Field::Token, Field::XForwardedFor, Field::XForwardedOther]);
        assert_eq!(fields(&["accept", "user-agent", "cookie"]), Fields::default());
    }

    #[test]
    fn every_field_has_a_bit_of_its_own() {
        let names = [
            "client-cert-chain",
            "connection",
            "content-length",
            "x_forwarded-for",
            "expect",
            "forwarded",
            "host",
            "http2-settings",
            "keep-alive",
            "max-forwards",
            "proxy-authenticate",
            "proxy-authentication-info",
            "proxy-authorization",
            "proxy-connection",
            "te",
            "x-why502-token",
            "traceparent",
            "tracestate",
            "transfer-encoding",
            "upgrade",
            "via",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded-server",
            "x-request-id",
        ];
        for (name, field) in names.into_iter().zip(ALL) {
            let seen = fields(&[name]);
            assert!(seen.has(field), "{name}");
            assert_eq!(ALL.into_iter().filter(|other| seen.has(*other)).count(), 1, "{name}");
        }
    }

    const ALL: [Field; 26] = [
        Field::ClientCert,
        Field::Connection,
        Field::ContentLength,
        Field::Disguised,
        Field::Expect,
        Field::Forwarded,
        Field::Host,
        Field::Http2Settings,
        Field::KeepAlive,
        Field::MaxForwards,
        Field::ProxyAuthenticate,
        Field::ProxyAuthenticationInfo,
        Field::ProxyAuthorization,
        Field::ProxyConnection,
        Field::Te,
        Field::Token,
        Field::Traceparent,
        Field::Tracestate,
        Field::TransferEncoding,
        Field::Upgrade,
        Field::Via,
        Field::XForwardedFor,
        Field::XForwardedHost,
        Field::XForwardedProto,
        Field::XForwardedOther,
        Field::XRequestId,
    ];
}
