//! Owns the head of an answer: its status, and every field but those that are filled in for each request.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::header;

use super::format::Format;
use super::html;
use super::style::Style;
use crate::config::StatusPolicy;
use crate::fault::Fault;

/// The status that a failure is answered with.
#[must_use]
pub fn status(fault: Fault, policy: StatusPolicy) -> StatusCode {
    match policy {
        StatusPolicy::BadGateway => StatusCode::BAD_GATEWAY,
        StatusPolicy::Standard => StatusCode::from_u16(fault.standard_status()).unwrap_or(StatusCode::BAD_GATEWAY),
        StatusPolicy::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The fields that every answer in that style has.
pub(super) fn fields(style: Style<'_>, proxy_status: HeaderValue) -> HeaderMap {
    let Style { format, language, .. } = style;
    let mut headers = HeaderMap::with_capacity(16);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(HeaderName::from_static("proxy-status"), proxy_status);
    headers.extend(EVERYWHERE.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    // What a gRPC client gets depends on neither: its request is known by its own content type, and it reads English.
    let varies = if format == Format::Grpc { "Accept" } else { "Accept, Accept-Language" };
    headers.insert(header::VARY, HeaderValue::from_static(varies));
    if format == Format::Html {
        headers.insert(header::CONTENT_SECURITY_POLICY, html::security_policy());
    }
    headers
}

/// A page of the operator's own may style itself and draw what it brings along; it loads nothing, runs nothing and is framed
/// by nobody.
pub(super) const fn own_page_policy() -> HeaderValue {
    HeaderValue::from_static(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    )
}

/// After how many seconds another try is usually worth it; none where it takes somebody to change something first.
pub(super) const fn usual_wait(fault: Fault) -> Option<u64> {
    match fault {
        Fault::H2StreamRefused | Fault::SocketBacklogFull | Fault::ServerAtCapacity => Some(5),
        Fault::ConnectionRefused
        | Fault::SocketMissing
        | Fault::LocalPortsExhausted
        | Fault::FileDescriptorsExhausted
        | Fault::ResetWhileSending
        | Fault::ClosedBeforeResponse
        | Fault::ResetBeforeResponse
        | Fault::H2StreamReset
        | Fault::H2ConnectionError
        | Fault::ResponseTruncated
        | Fault::NoHealthyServer
        | Fault::UpstreamBadGateway => Some(15),
        Fault::DnsServerFailure
        | Fault::DnsRefused
        | Fault::DnsResolverUnreachable
        | Fault::DnsTimeout
        | Fault::ConnectionTimedOut
        | Fault::TlsHandshakeClosed
        | Fault::TlsHandshakeTimedOut
        | Fault::RequestSendTimedOut
        | Fault::ResponseTimedOut
        | Fault::ResponseBodyTimedOut
        | Fault::UpstreamUnavailable
        | Fault::UpstreamGatewayTimeout => Some(30),
        Fault::HostUnreachable | Fault::NetworkUnreachable => Some(60),
        Fault::DnsNameNotFound
        | Fault::DnsNoRecords
        | Fault::ConnectionProhibited
        | Fault::SocketPermissionDenied
        | Fault::TlsCertificateExpired
        | Fault::TlsCertificateNotYetValid
        | Fault::TlsCertificateWrongName
        | Fault::TlsCertificateUntrusted
        | Fault::TlsAlert
        | Fault::TlsNotSpoken
        | Fault::TlsProtocolError
        | Fault::ResponseNotHttp
        | Fault::ResponseMalformed
        | Fault::ResponseHeaderTooLarge
        | Fault::UpgradeFailed
        | Fault::ResponseChunkingInvalid
        | Fault::ProxyLoop => None,
    }
}

/// A failing answer is of this moment and this reader only, and nothing in it may be guessed, framed, indexed or passed on.
const EVERYWHERE: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::status;
    use super::usual_wait;
    use crate::config::StatusPolicy;
    use crate::fault::Fault;

    #[test]
    fn the_policy_decides_on_the_status() {
        for (fault, policy, expected) in [
            (Fault::ResponseTimedOut, StatusPolicy::BadGateway, 502),
            (Fault::ResponseTimedOut, StatusPolicy::Standard, 504),
            (Fault::LocalPortsExhausted, StatusPolicy::Standard, 500),
            (Fault::UpstreamUnavailable, StatusPolicy::Standard, 503),
            (Fault::ConnectionRefused, StatusPolicy::Unavailable, 503),
        ] {
            assert_eq!(status(fault, policy), StatusCode::from_u16(expected).unwrap(), "{fault} under {policy:?}");
        }
    }

    #[test]
    fn nobody_is_told_to_wait_for_a_certificate() {
        for fault in Fault::ALL.into_iter().filter(|fault| fault.word().starts_with("tls_certificate")) {
            assert_eq!(usual_wait(fault), None, "{fault}");
        }
    }

    #[test]
    fn whatever_took_too_long_is_worth_another_try() {
        for fault in Fault::ALL.into_iter().filter(|fault| fault.word().ends_with("_timed_out")) {
            assert!(usual_wait(fault).is_some(), "{fault}");
        }
    }
}
