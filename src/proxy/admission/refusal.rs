//! Owns the reasons for which a request is answered by this proxy and not forwarded: one row each.
//!
//! These are the client's doing, so none of them is a `Fault`. No text here repeats a byte that the client sent.

use std::fmt;

use http::StatusCode;

/// Why a request is not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No `Host` in HTTP/1.1.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// A `Host` that is none.
    HostInvalid,
    /// A `Host` beside another `:authority` in HTTP/2.
    HostDiffers,
    /// A request target that is in none of the forms that its method allows.
    TargetInvalid,
    /// An absolute target of another scheme than http or https.
    SchemeUnknown,
    /// An absolute target with a user name or a password in it.
    TargetHasCredentials,
    /// A `Content-Length` that is no number, not one number, or beyond 2^63 - 1.
    LengthInvalid,
    /// Content on a TRACE request.
    TraceWithContent,
    /// Content on a request that asks for an upgrade.
    UpgradeWithContent,
    /// An upgrade to WebSocket with another method than GET.
    UpgradeMethod,
    /// A body that breaks off or breaks its framing on the way.
    BodyBroken,
    /// A head that hyper could not read.
    HeadInvalid,
    /// HTTP without TLS on a listener with TLS.
    TlsExpected,
    /// No route for this path.
    NoRoute,
    /// CONNECT, which only a forward proxy serves.
    ConnectRefused,
    /// TRACE that has come as far as its `Max-Forwards` lets it.
    TraceEndsHere,
    /// OPTIONS that has come as far as its `Max-Forwards` lets it. The one that is a success.
    OptionsEndsHere,
    /// The head or the body came too slowly.
    TooSlow,
    /// The body is larger than `[limits] request_body_bytes`.
    BodyTooLarge,
    /// The request target is too long.
    TargetTooLong,
    /// An expectation other than `100-continue`.
    ExpectationUnknown,
    /// No route for this host.
    HostNotServed,
    /// A host whose clients are asked for another certificate than this connection's was.
    Misdirected,
    /// The head is larger than `[limits] request_header_bytes`.
    HeadTooLarge,
    /// A transfer coding other than exactly one `chunked`.
    CodingUnknown,
    /// A method that is too long to be one.
    MethodTooLong,
    /// A WebSocket, where the origin is spoken to over HTTP/2, which has no such change of protocol.
    UpgradeNotServed,
    /// A CONNECT of HTTP/2 to another protocol than a WebSocket.
    ProtocolUnknown,
    /// A protocol version that is not spoken here.
    VersionUnknown,
}

/// Everything about a refusal on one line.
struct Row {
    word: &'static str,
    status: StatusCode,
    ending: Ending,
    title: &'static str,
    detail: &'static str,
}

/// What becomes of the client's connection after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It may serve another request.
    Keep,
    /// It must close: where the next request begins is in doubt, or a body that may follow is not read.
    Close,
}

impl Refusal {
    /// Every refusal, by status.
    pub const ALL: [Self; 30] = [
        Self::OptionsEndsHere,
        Self::HostMissing,
        Self::HostRepeated,
        Self::HostInvalid,
        Self::HostDiffers,
        Self::TargetInvalid,
        Self::SchemeUnknown,
        Self::TargetHasCredentials,
        Self::LengthInvalid,
        Self::TraceWithContent,
        Self::UpgradeWithContent,
        Self::UpgradeMethod,
        Self::BodyBroken,
        Self::HeadInvalid,
        Self::TlsExpected,
        Self::NoRoute,
        Self::ConnectRefused,
        Self::TraceEndsHere,
        Self::TooSlow,
        Self::BodyTooLarge,
        Self::TargetTooLong,
        Self::ExpectationUnknown,
        Self::HostNotServed,
        Self::Misdirected,
        Self::HeadTooLarge,
        Self::CodingUnknown,
        Self::MethodTooLong,
        Self::UpgradeNotServed,
        Self::ProtocolUnknown,
        Self::VersionUnknown,
    ];

    #[rustfmt::skip]
    const fn row(self) -> Row {
        use Ending::{Close, Keep};
        match self {
            Self::OptionsEndsHere => row("options_ends_here", StatusCode::OK, Keep, "This proxy answers for itself",
                "Max-Forwards asked that the request go no further than this proxy."),
            Self::HostMissing => row("host_missing", StatusCode::BAD_REQUEST, Close, "The request names no host",
                "An HTTP/1.1 request needs a Host field, and this one has none."),
            Self::HostRepeated => row("host_repeated", StatusCode::BAD_REQUEST, Close, "The request names more than one host",
                "A request may have only one Host field."),
            Self::HostInvalid => row("host_invalid", StatusCode::BAD_REQUEST, Close, "The request's host is not valid",
                "The Host field must be a host name or an address, with or without a port."),
            Self::HostDiffers => row("host_differs", StatusCode::BAD_REQUEST, Close, "The request names two different hosts",
                "In HTTP/2 a Host field may only repeat what :authority says."),
            Self::TargetInvalid => row("target_invalid", StatusCode::BAD_REQUEST, Close, "The request's target is not valid",
                "The target must be a path that begins with a slash, or a whole http or https URL."),
            Self::SchemeUnknown => row("scheme_unknown", StatusCode::BAD_REQUEST, Close, "The request's scheme is not served here",
                "Only http and https URLs are served here."),
            Self::TargetHasCredentials => row("target_has_credentials", StatusCode::BAD_REQUEST, Close, "The request's target holds credentials",
                "A user name or a password in the URL of a request is not allowed."),
            Self::LengthInvalid => row("length_invalid", StatusCode::BAD_REQUEST, Close, "The request's length is not valid",
                "Content-Length must be one number below 2 to the power of 63."),
            Self::TraceWithContent => row("trace_with_content", StatusCode::BAD_REQUEST, Close, "A TRACE request cannot have content",
                "Send the TRACE request without a body."),
            Self::UpgradeWithContent => row("upgrade_with_content", StatusCode::BAD_REQUEST, Close, "An upgrade cannot have content",
                "Send the request that asks for another protocol without a body."),
            Self::UpgradeMethod => row("upgrade_method", StatusCode::BAD_REQUEST, Close, "A WebSocket begins with GET",
                "A request that asks for a WebSocket must use the GET method."),
            Self::BodyBroken => row("body_broken", StatusCode::BAD_REQUEST, Close, "The request's body broke off",
                "The body ended early or broke the rules of its framing."),
            Self::HeadInvalid => row("head_invalid", StatusCode::BAD_REQUEST, Close, "The request could not be read",
                "The request line or one of the fields breaks the rules of HTTP."),
            Self::TlsExpected => row("tls_expected", StatusCode::BAD_REQUEST, Close, "This port speaks HTTPS",
                "This port speaks TLS, so the address must begin with https:// here."),
            Self::NoRoute => row("no_route", StatusCode::NOT_FOUND, Keep, "Nothing is served at this address",
                "This host is served here, but nothing is set up for this path."),
            Self::ConnectRefused => row("connect_refused", StatusCode::METHOD_NOT_ALLOWED, Close, "CONNECT is not served here",
                "This is a reverse proxy; it opens no tunnels to other hosts."),
            Self::TraceEndsHere => row("trace_ends_here", StatusCode::METHOD_NOT_ALLOWED, Keep, "This proxy does not answer TRACE",
                "Max-Forwards asked that the request go no further than this proxy, which does not send requests back."),
            Self::TooSlow => row("too_slow", StatusCode::REQUEST_TIMEOUT, Close, "The request took too long to arrive",
                "The request did not arrive in the time that this server allows. Please try again."),
            Self::BodyTooLarge => row("body_too_large", StatusCode::PAYLOAD_TOO_LARGE, Close, "The request's body is too large",
                "The body is larger than this server allows."),
            Self::TargetTooLong => row("target_too_long", StatusCode::URI_TOO_LONG, Close, "The request's target is too long",
                "The path and the query together are longer than this server allows."),
            Self::ExpectationUnknown => row("expectation_unknown", StatusCode::EXPECTATION_FAILED, Close, "The expectation cannot be met",
                "The only expectation that is understood here is 100-continue."),
            Self::HostNotServed => row("host_not_served", StatusCode::MISDIRECTED_REQUEST, Keep, "This host is not served here",
                "The request came to a server that does not serve the host it names."),
            Self::Misdirected => row("misdirected", StatusCode::MISDIRECTED_REQUEST, Keep, "This connection is for another host",
                "The host that the request names asks for a client certificate, so it needs a connection of its own."),
            Self::HeadTooLarge => row("head_too_large", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, Close, "The request's head is too large",
                "The fields of the request, often its cookies, are larger than this server allows."),
            Self::CodingUnknown => row("coding_unknown", StatusCode::NOT_IMPLEMENTED, Close, "The transfer coding is not known here",
                "The only transfer coding that is understood here is chunked, once."),
            Self::MethodTooLong => row("method_too_long", StatusCode::NOT_IMPLEMENTED, Close, "The method is not known here",
                "The method of the request is longer than any that is in use."),
            Self::UpgradeNotServed => row("upgrade_not_served", StatusCode::NOT_IMPLEMENTED, Keep, "WebSockets are not served here",
                "The service behind this address is reached over HTTP/2, which cannot change to a WebSocket."),
            Self::ProtocolUnknown => row("protocol_unknown", StatusCode::NOT_IMPLEMENTED, Keep, "The protocol is not known here",
                "The only protocol that CONNECT leads to here is websocket."),
            Self::VersionUnknown => row("version_unknown", StatusCode::HTTP_VERSION_NOT_SUPPORTED, Close, "The version of HTTP is not spoken here",
                "HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here."),
        }
    }

    /// A stable word for it, in snake case.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.row().word
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.row().status
    }

    /// What becomes of the connection after the answer.
    #[must_use]
    pub const fn ending(self) -> Ending {
        self.row().ending
    }

    /// One short sentence without a full stop, for a heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().title
    }

    /// One sentence for the client.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        self.row().detail
    }

    /// The value of `Allow`, where the answer must have one (RFC 9110, section 15.5.6).
    #[must_use]
    pub fn allow(self) -> Option<&'static str> {
        let owed = matches!(self, Self::OptionsEndsHere | Self::TraceEndsHere | Self::ConnectRefused);
        owed.then_some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

const fn row(word: &'static str, status: StatusCode, ending: Ending, title: &'static str, detail: &'static str) -> Row {
    Row { word, status, ending, title, detail }
}

#[cfg(test)]
mod tests {
    use super::Ending;
    use super::Refusal;

    #[test]
    fn words_are_unique_and_texts_are_sentences() {
        let words: std::collections::BTreeSet<_> = Refusal::ALL.iter().map(|refusal| refusal.word()).collect();
        assert_eq!(words.len(), Refusal::ALL.len());
        for refusal in Refusal::ALL {
            assert!(!refusal.title().ends_with('.') && refusal.detail().ends_with('.'), "{refusal}");
        }
    }

    #[test]
    fn refusals_are_never_blamed_on_the_origin() {
        for refusal in Refusal::ALL {
            let status = refusal.status().as_u16();
            assert!(matches!(status, 200 | 400..=499 | 501 | 505), "{refusal} {status}");
        }
    }

    #[test]
    fn only_a_whole_and_certain_request_leaves_the_connection_open() {
        let open: Vec<_> = Refusal::ALL.into_iter().filter(|refusal| refusal.ending() == Ending::Keep).collect();
        let expected = [
            Refusal::OptionsEndsHere,
            Refusal::NoRoute,
            Refusal::TraceEndsHere,
            Refusal::HostNotServed,
            Refusal::Misdirected,
            Refusal::UpgradeNotServed,
            Refusal::ProtocolUnknown,
        ];
        assert_eq!(open, expected);
    }

    #[test]
    fn a_method_that_is_not_allowed_comes_with_those_that_are() {
        for refusal in Refusal::ALL {
            let owed = matches!(refusal.status().as_u16(), 200 | 405);
            assert_eq!(refusal.allow().is_some(), owed, "{refusal}");
        }
    }
}
