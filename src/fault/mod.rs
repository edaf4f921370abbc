//! Owns the words for what was observed: one row a fault, with its stage, its RFC 9209 type, its standard status and its title.
//!
//! A fault says what was seen, never why: causes are `diagnosis`'s. Which foreign error means which fault is in `classify`;
//! everything else that is known about one failure is in `failure`.

pub mod classify;
pub mod failure;
pub mod gateway;
pub mod malformed;
pub mod spoken;
pub mod stage;

use std::fmt;

pub use self::failure::Failure;
pub use self::spoken::Spoken;
pub use self::stage::Stage;

/// What was observed when an exchange with a server failed (contract, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The origin's name does not exist.
    DnsNameNotFound,
    /// The origin's name has no addresses.
    DnsNoRecords,
    /// The name server failed to answer for the origin's name.
    DnsServerFailure,
    /// The name server refused to answer for the origin's name.
    DnsRefused,
    /// No name server could be reached.
    DnsResolverUnreachable,
    /// The name server did not answer in time.
    DnsTimeout,
    /// The origin refused the connection.
    ConnectionRefused,
    /// The origin did not accept the connection in time.
    ConnectionTimedOut,
    /// The origin's host cannot be reached.
    HostUnreachable,
    /// There is no route to the origin's network.
    NetworkUnreachable,
    /// This host's own policy forbids the connection.
    ConnectionProhibited,
    /// This proxy has no local port left.
    LocalPortsExhausted,
    /// This proxy has no file descriptor left.
    FileDescriptorsExhausted,
    /// The origin's socket does not exist.
    SocketMissing,
    /// This proxy may not use the origin's socket.
    SocketPermissionDenied,
    /// The origin's socket has no room for another connection.
    SocketBacklogFull,
    /// The origin's certificate has expired.
    TlsCertificateExpired,
    /// The origin's certificate is not valid yet.
    TlsCertificateNotYetValid,
    /// The origin's certificate is for another name.
    TlsCertificateWrongName,
    /// The origin's certificate is not trusted.
    TlsCertificateUntrusted,
    /// The origin refused the TLS handshake.
    TlsAlert,
    /// The origin's port does not speak TLS.
    TlsNotSpoken,
    /// The origin closed the connection during the TLS handshake.
    TlsHandshakeClosed,
    /// The TLS handshake did not end in time.
    TlsHandshakeTimedOut,
    /// The TLS handshake failed.
    TlsProtocolError,
    /// The origin stopped taking the request.
    RequestSendTimedOut,
    /// The origin cut the connection while the request was sent.
    ResetWhileSending,
    /// The origin did not answer in time.
    ResponseTimedOut,
    /// The origin closed the connection without an answer.
    ClosedBeforeResponse,
    /// The origin reset the connection without an answer.
    ResetBeforeResponse,
    /// Something that is not HTTP answered.
    ResponseNotHttp,
    /// The origin's answer is not valid HTTP.
    ResponseMalformed,
    /// The head of the origin's answer is too large.
    ResponseHeaderTooLarge,
    /// The origin refused the HTTP/2 stream.
    H2StreamRefused,
    /// The origin reset the HTTP/2 stream.
    H2StreamReset,
    /// The HTTP/2 connection to the origin failed.
    H2ConnectionError,
    /// The origin switched to a protocol that was not asked for.
    UpgradeFailed,
    /// The origin's answer was cut short.
    ResponseTruncated,
    /// The origin's answer stopped in the middle.
    ResponseBodyTimedOut,
    /// The origin's answer is broken in the middle.
    ResponseChunkingInvalid,
    /// No healthy server is left.
    NoHealthyServer,
    /// The origin is at the limit set for it.
    ServerAtCapacity,
    /// The request came back to this proxy.
    ProxyLoop,
    /// The origin is a gateway itself and says 502.
    UpstreamBadGateway,
    /// The origin says that it is unavailable.
    UpstreamUnavailable,
    /// The origin is a gateway itself and says 504.
    UpstreamGatewayTimeout,
}

/// All that is fixed about a fault.
struct Row {
    word: &'static str,
    stage: Stage,
    proxy_error: Option<&'static str>,
    standard_status: u16,
    title: &'static str,
}

impl Fault {
    /// Every fault, in the order of the contract.
    pub const ALL: [Self; 46] = [
        Self::DnsNameNotFound,
        Self::DnsNoRecords,
        Self::DnsServerFailure,
        Self::DnsRefused,
        Self::DnsResolverUnreachable,
        Self::DnsTimeout,
        Self::ConnectionRefused,
        Self::ConnectionTimedOut,
        Self::HostUnreachable,
        Self::NetworkUnreachable,
        Self::ConnectionProhibited,
        Self::LocalPortsExhausted,
        Self::FileDescriptorsExhausted,
        Self::SocketMissing,
        Self::SocketPermissionDenied,
        Self::SocketBacklogFull,
        Self::TlsCertificateExpired,
        Self::TlsCertificateNotYetValid,
        Self::TlsCertificateWrongName,
        Self::TlsCertificateUntrusted,
        Self::TlsAlert,
        Self::TlsNotSpoken,
        Self::TlsHandshakeClosed,
        Self::TlsHandshakeTimedOut,
        Self::TlsProtocolError,
        Self::RequestSendTimedOut,
        Self::ResetWhileSending,
        Self::ResponseTimedOut,
        Self::ClosedBeforeResponse,
        Self::ResetBeforeResponse,
        Self::ResponseNotHttp,
        Self::ResponseMalformed,
        Self::ResponseHeaderTooLarge,
        Self::H2StreamRefused,
        Self::H2StreamReset,
        Self::H2ConnectionError,
        Self::UpgradeFailed,
        Self::ResponseTruncated,
        Self::ResponseBodyTimedOut,
        Self::ResponseChunkingInvalid,
        Self::NoHealthyServer,
        Self::ServerAtCapacity,
        Self::ProxyLoop,
        Self::UpstreamBadGateway,
        Self::UpstreamUnavailable,
        Self::UpstreamGatewayTimeout,
    ];

    #[rustfmt::skip]
    const fn row(self) -> Row {
        use Stage::{Body, Connect, Gateway, Resolve, Response, Send, Tls, Upstream};
        match self {
            Self::DnsNameNotFound => row("dns_name_not_found", Resolve, Some("dns_error"), 502, "The origin's name does not exist"),
            Self::DnsNoRecords => row("dns_no_records", Resolve, Some("dns_error"), 502, "The origin's name has no addresses"),
            Self::DnsServerFailure => row("dns_server_failure", Resolve, Some("dns_error"), 502, "The name server failed to answer for the origin's name"),
            Self::DnsRefused => row("dns_refused", Resolve, Some("dns_error"), 502, "The name server refused to answer for the origin's name"),
            Self::DnsResolverUnreachable => row("dns_resolver_unreachable", Resolve, Some("dns_error"), 502, "No name server could be reached"),
            Self::DnsTimeout => row("dns_timeout", Resolve, Some("dns_timeout"), 504, "The name server did not answer in time"),
            Self::ConnectionRefused => row("connection_refused", Connect, Some("connection_refused"), 502, "The origin refused the connection"),
            Self::ConnectionTimedOut => row("connection_timed_out", Connect, Some("connection_timeout"), 504, "The origin did not accept the connection in time"),
            Self::HostUnreachable => row("host_unreachable", Connect, Some("destination_ip_unroutable"), 502, "The origin's host cannot be reached"),
            Self::NetworkUnreachable => row("network_unreachable", Connect, Some("destination_ip_unroutable"), 502, "There is no route to the origin's network"),
            Self::ConnectionProhibited => row("connection_prohibited", Connect, Some("destination_ip_prohibited"), 502, "This host's own policy forbids the connection"),
            Self::LocalPortsExhausted => row("local_ports_exhausted", Connect, Some("proxy_internal_error"), 500, "This proxy has no local port left"),
            Self::FileDescriptorsExhausted => row("file_descriptors_exhausted", Connect, Some("proxy_internal_error"), 500, "This proxy has no file descriptor left"),
            Self::SocketMissing => row("socket_missing", Connect, Some("destination_unavailable"), 503, "The origin's socket does not exist"),
            Self::SocketPermissionDenied => row("socket_permission_denied", Connect, Some("destination_unavailable"), 503, "This proxy may not use the origin's socket"),
            Self::SocketBacklogFull => row("socket_backlog_full", Connect, Some("destination_unavailable"), 503, "The origin's socket has no room for another connection"),
            Self::TlsCertificateExpired => row("tls_certificate_expired", Tls, Some("tls_certificate_error"), 502, "The origin's certificate has expired"),
            Self::TlsCertificateNotYetValid => row("tls_certificate_not_yet_valid", Tls, Some("tls_certificate_error"), 502, "The origin's certificate is not valid yet"),
            Self::TlsCertificateWrongName => row("tls_certificate_wrong_name", Tls, Some("tls_certificate_error"), 502, "The origin's certificate is for another name"),
            Self::TlsCertificateUntrusted => row("tls_certificate_untrusted", Tls, Some("tls_certificate_error"), 502, "The origin's certificate is not trusted"),
            Self::TlsAlert => row("tls_alert", Tls, Some("tls_alert_received"), 502, "The origin refused the TLS handshake"),
            Self::TlsNotSpoken => row("tls_not_spoken", Tls, Some("tls_protocol_error"), 502, "The origin's port does not speak TLS"),
            Self::TlsHandshakeClosed => row("tls_handshake_closed", Tls, Some("tls_protocol_error"), 502, "The origin closed the connection during the TLS handshake"),
            Self::TlsHandshakeTimedOut => row("tls_handshake_timed_out", Tls, Some("tls_protocol_error"), 504, "The TLS handshake did not end in time"),
            Self::TlsProtocolError => row("tls_protocol_error", Tls, Some("tls_protocol_error"), 502, "The TLS handshake failed"),
            Self::RequestSendTimedOut => row("request_send_timed_out", Send, Some("connection_write_timeout"), 504, "The origin stopped taking the request"),
            Self::ResetWhileSending => row("reset_while_sending", Send, Some("connection_terminated"), 502, "The origin cut the connection while the request was sent"),
            Self::ResponseTimedOut => row("response_timed_out", Response, Some("http_response_timeout"), 504, "The origin did not answer in time"),
            Self::ClosedBeforeResponse => row("closed_before_response", Response, Some("connection_terminated"), 502, "The origin closed the connection without an answer"),
            Self::ResetBeforeResponse => row("reset_before_response", Response, Some("connection_terminated"), 502, "The origin reset the connection without an answer"),
            Self::ResponseNotHttp => row("response_not_http", Response, Some("http_protocol_error"), 502, "Something that is not HTTP answered"),
            Self::ResponseMalformed => row("response_malformed", Response, Some("http_protocol_error"), 502, "The origin's answer is not valid HTTP"),
            Self::ResponseHeaderTooLarge => row("response_header_too_large", Response, Some("http_response_header_section_size"), 502, "The head of the origin's answer is too large"),
            Self::H2StreamRefused => row("h2_stream_refused", Response, Some("http_protocol_error"), 502, "The origin refused the HTTP/2 stream"),
            Self::H2StreamReset => row("h2_stream_reset", Response, Some("http_protocol_error"), 502, "The origin reset the HTTP/2 stream"),
            Self::H2ConnectionError => row("h2_connection_error", Response, Some("http_protocol_error"), 502, "The HTTP/2 connection to the origin failed"),
            Self::UpgradeFailed => row("upgrade_failed", Response, Some("http_upgrade_failed"), 502, "The origin switched to a protocol that was not asked for"),
            Self::ResponseTruncated => row("response_truncated", Body, Some("http_response_incomplete"), 502, "The origin's answer was cut short"),
            Self::ResponseBodyTimedOut => row("response_body_timed_out", Body, Some("connection_read_timeout"), 504, "The origin's answer stopped in the middle"),
            Self::ResponseChunkingInvalid => row("response_chunking_invalid", Body, Some("http_response_transfer_coding"), 502, "The origin's answer is broken in the middle"),
            Self::NoHealthyServer => row("no_healthy_server", Gateway, Some("destination_unavailable"), 503, "No healthy server is left"),
            Self::ServerAtCapacity => row("server_at_capacity", Gateway, Some("connection_limit_reached"), 503, "The origin is at the limit set for it"),
            Self::ProxyLoop => row("proxy_loop", Gateway, Some("proxy_loop_detected"), 502, "The request came back to this proxy"),
            Self::UpstreamBadGateway => row("upstream_bad_gateway", Upstream, None, 502, "The origin is a gateway itself and says 502"),
            Self::UpstreamUnavailable => row("upstream_unavailable", Upstream, None, 503, "The origin says that it is unavailable"),
            Self::UpstreamGatewayTimeout => row("upstream_gateway_timeout", Upstream, None, 504, "The origin is a gateway itself and says 504"),
        }
    }

    /// The word of the contract, as logs, metrics and JSON have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.row().word
    }

    /// The fault of that word, if there is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.word() == word)
    }

    /// Where it happened.
    #[must_use]
    pub const fn stage(self) -> Stage {
        self.row().stage
    }

    /// The error type of `Proxy-Status` (RFC 9209, section 2.3); none where the upstream itself said it.
    #[must_use]
    pub const fn proxy_error(self) -> Option<&'static str> {
        self.row().proxy_error
    }

    /// The status that RFC 9209 recommends for it, for `[diagnosis] status = "standard"`.
    #[must_use]
    pub const fn standard_status(self) -> u16 {
        self.row().standard_status
    }

    /// One short sentence without a full stop, fit for a visitor.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().title
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

const fn row(
    word: &'static str,
    stage: Stage,
    proxy_error: Option<&'static str>,
    standard_status: u16,
    title: &'static str,
) -> Row {
    Row { word, stage, proxy_error, standard_status, title }
}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn a_word_leads_back_to_its_fault() {
        for fault in Fault::ALL {
            assert_eq!(Fault::from_word(fault.word()), Some(fault));
        }
    }

    #[test]
    fn words_and_titles_are_unique() {
        let words: std::collections::BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.word()).collect();
        let titles: std::collections::BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.title()).collect();
        assert_eq!((words.len(), titles.len()), (Fault::ALL.len(), Fault::ALL.len()));
    }
}
