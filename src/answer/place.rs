//! Owns where it broke along *you, this proxy, origin*, and how the three are called.

use crate::fault::Fault;

/// Which part of the way a fault puts in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// This proxy itself.
    Gateway,
    /// Between this proxy and the origin: the origin was never talked to, or not safely.
    Way,
    /// The origin.
    Origin,
}

/// One of the three stations, as shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Station {
    /// What it is called.
    pub(super) name: &'static str,
    /// What that means to somebody who has never heard of it.
    pub(super) role: &'static str,
    /// How it is, as the page's style sheet names it.
    pub(super) state: &'static str,
    /// How it is, in words.
    pub(super) says: &'static str,
}

impl Place {
    /// Where that fault puts the break.
    pub(super) const fn of(fault: Fault) -> Self {
        match fault {
            Fault::ConnectionProhibited
            | Fault::LocalPortsExhausted
            | Fault::FileDescriptorsExhausted
            | Fault::ProxyLoop => Self::Gateway,
            Fault::DnsNameNotFound
            | Fault::DnsNoRecords
            | Fault::DnsServerFailure
            | Fault::DnsRefused
            | Fault::DnsResolverUnreachable
            | Fault::DnsTimeout
            | Fault::ConnectionTimedOut
            | Fault::HostUnreachable
            | Fault::NetworkUnreachable
            | Fault::SocketPermissionDenied
            | Fault::TlsCertificateExpired
            | Fault::TlsCertificateNotYetValid
            | Fault::TlsCertificateWrongName
            | Fault::TlsCertificateUntrusted
            | Fault::TlsAlert
            | Fault::TlsNotSpoken
            | Fault::TlsHandshakeClosed
            | Fault::TlsHandshakeTimedOut
            | Fault::TlsProtocolError => Self::Way,
            Fault::ConnectionRefused
            | Fault::SocketMissing
            | Fault::SocketBacklogFull
            | Fault::RequestSendTimedOut
            | Fault::ResetWhileSending
            | Fault::ResponseTimedOut
            | Fault::ClosedBeforeResponse
            | Fault::ResetBeforeResponse
            | Fault::ResponseNotHttp
            | Fault::ResponseMalformed
            | Fault::ResponseHeaderTooLarge
            | Fault::H2StreamRefused
            | Fault::H2StreamReset
            | Fault::H2ConnectionError
            | Fault::UpgradeFailed
            | Fault::ResponseTruncated
            | Fault::ResponseBodyTimedOut
            | Fault::ResponseChunkingInvalid
            | Fault::NoHealthyServer
            | Fault::ServerAtCapacity
            | Fault::UpstreamBadGateway
            | Fault::UpstreamUnavailable
            | Fault::UpstreamGatewayTimeout => Self::Origin,
        }
    }

    /// The three stations in order, with the broken one marked.
    pub(super) const fn stations(self) -> [Station; 3] {
        let (proxy, origin) = match self {
            Self::Gateway => (BROKEN, UNREACHED),
            Self::Way => (CUT, UNREACHED),
            Self::Origin => (FINE, BROKEN),
        };
        [
            station("You", "your browser or app", FINE),
            station("This proxy", "the site's gateway", proxy),
            station("Origin", "the site's server", origin),
        ]
    }

    /// The same in one sentence, which is also what a screen reader and a terminal get.
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Gateway => "It broke at this proxy, the site's gateway. The way from you to here works.",
            Self::Way => {
                "It broke between this proxy, the site's gateway, and the site's server. The way from you to here works."
            }
            Self::Origin => "It broke at the origin, the site's server. The way from you to here works.",
        }
    }
}

const fn station(name: &'static str, role: &'static str, (state, says): (&'static str, &'static str)) -> Station {
    Station { name, role, state, says }
}

const FINE: (&str, &str) = ("fine", "works");
const CUT: (&str, &str) = ("fine cut", "works");
const BROKEN: (&str, &str) = ("broken", "it broke here");
const UNREACHED: (&str, &str) = ("unreached", "not reached");

#[cfg(test)]
mod tests {
    use super::Place;
    use crate::fault::Fault;
    use crate::fault::Stage;

    #[test]
    fn what_is_this_proxys_own_is_never_put_on_the_origin() {
        for fault in
            [Fault::LocalPortsExhausted, Fault::FileDescriptorsExhausted, Fault::ConnectionProhibited, Fault::ProxyLoop]
        {
            assert_eq!(Place::of(fault), Place::Gateway, "{fault}");
        }
    }

    #[test]
    fn an_origin_that_was_never_found_or_never_trusted_is_not_called_broken() {
        for fault in Fault::ALL.into_iter().filter(|fault| matches!(fault.stage(), Stage::Resolve | Stage::Tls)) {
            assert_eq!(Place::of(fault), Place::Way, "{fault}");
        }
    }

    #[test]
    fn an_origin_that_spoke_is_where_it_broke() {
        for fault in Fault::ALL.into_iter().filter(|fault| matches!(fault.stage(), Stage::Response | Stage::Body)) {
            assert_eq!(Place::of(fault), Place::Origin, "{fault}");
        }
    }
}
