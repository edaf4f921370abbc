//! Owns where it broke along *you, this proxy, origin*, and how the three are called.

use crate::diagnosis::Cause;
use crate::fault::Fault;

/// Which part of the way a diagnosis puts in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// This proxy itself.
    Gateway,
    /// Between this proxy and the origin: the origin was never talked to, or not safely.
    Way,
    /// Between this proxy and the origin, which had begun to talk.
    Talk,
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
    /// Where the fault and its likeliest cause put the break.
    pub(super) const fn of(fault: Fault, cause: Cause) -> Self {
        match fault {
            Fault::ConnectionProhibited
            | Fault::LocalPortsExhausted
            | Fault::FileDescriptorsExhausted
            | Fault::ProxyLoop => Self::Gateway,
            // Nobody but this proxy counts what its servers may get at once.
            Fault::ServerAtCapacity => match Side::of(cause) {
                Side::Way => Self::Gateway,
                Side::Server | Side::Open => Self::Origin,
            },
            Fault::DnsNameNotFound
            | Fault::DnsNoRecords
            | Fault::DnsServerFailure
            | Fault::DnsRefused
            | Fault::DnsResolverUnreachable
            | Fault::DnsTimeout
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
            // Silence alone says nothing of the server.
            Fault::ConnectionTimedOut | Fault::HostUnreachable | Fault::NetworkUnreachable => match Side::of(cause) {
                Side::Server => Self::Origin,
                Side::Way | Side::Open => Self::Way,
            },
            Fault::ConnectionRefused | Fault::SocketMissing | Fault::SocketBacklogFull | Fault::NoHealthyServer => {
                match Side::of(cause) {
                    Side::Way => Self::Way,
                    Side::Server | Side::Open => Self::Origin,
                }
            }
            Fault::RequestSendTimedOut
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
            | Fault::ResponseChunkingInvalid => match Side::of(cause) {
                Side::Way => Self::Talk,
                Side::Server | Side::Open => Self::Origin,
            },
            // The origin itself says that something behind it fails, whatever that is.
            Fault::UpstreamBadGateway | Fault::UpstreamUnavailable | Fault::UpstreamGatewayTimeout => Self::Origin,
        }
    }

    /// The three stations in order, with the broken one marked.
    pub(super) const fn stations(self) -> [Station; 3] {
        let (proxy, origin) = match self {
            Self::Gateway => (BROKEN, UNREACHED),
            Self::Way => (CUT, UNREACHED),
            Self::Talk => (CUT, CUT_OFF),
            Self::Origin => (FINE, BROKEN),
        };
        [
            station("You", "your browser", FINE),
            station("This proxy", "the site's gateway", proxy),
            station("Origin", "the site's server", origin),
        ]
    }

    /// The same in one sentence, which is also what a screen reader and a terminal get.
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Gateway => "It broke at this proxy, the site's gateway. The way from you to here works.",
            Self::Way | Self::Talk => {
                "It broke between this proxy, the site's gateway, and the site's server. The way from you to here works."
            }
            Self::Origin => "It broke at the origin, the site's server. The way from you to here works.",
        }
    }
}

/// Whom a cause blames.
enum Side {
    /// The server, which is off, busy or wrong.
    Server,
    /// What leads to the server: a name, a rule, a line, a setting.
    Way,
    /// Neither.
    Open,
}

impl Side {
    const fn of(cause: Cause) -> Self {
        match cause {
            Cause::Overload | Cause::OriginDown | Cause::Application => Self::Server,
            Cause::Dns | Cause::Firewall | Cause::FaultyProxy | Cause::Network | Cause::Tls => Self::Way,
            Cause::Unknown => Self::Open,
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
const CUT_OFF: (&str, &str) = ("unreached", "cut off");

#[cfg(test)]
mod tests {
    use super::Place;
    use crate::diagnosis::Cause;
    use crate::diagnosis::summary::summary;
    use crate::fault::Fault;
    use crate::fault::Stage;

    /// Every fault with every cause, and where it broke then.
    fn places() -> impl Iterator<Item = (Fault, Cause, Place)> {
        let every = Fault::ALL.into_iter().flat_map(|fault| Cause::ALL.map(|cause| (fault, cause)));
        every.map(|(fault, cause)| (fault, cause, Place::of(fault, cause)))
    }

    #[test]
    fn a_cause_that_clears_the_server_takes_the_break_off_it() {
        for (fault, cause, place) in [
            (Fault::ConnectionRefused, Cause::OriginDown, Place::Origin),
            (Fault::ConnectionRefused, Cause::Unknown, Place::Origin),
            (Fault::ConnectionRefused, Cause::FaultyProxy, Place::Way),
            (Fault::ConnectionRefused, Cause::Dns, Place::Way),
            (Fault::NoHealthyServer, Cause::Network, Place::Way),
            (Fault::ConnectionTimedOut, Cause::Firewall, Place::Way),
            (Fault::ConnectionTimedOut, Cause::Overload, Place::Origin),
            (Fault::ResetBeforeResponse, Cause::Firewall, Place::Talk),
            (Fault::ResponseNotHttp, Cause::FaultyProxy, Place::Talk),
            (Fault::ResponseTimedOut, Cause::Application, Place::Origin),
            (Fault::ServerAtCapacity, Cause::FaultyProxy, Place::Gateway),
            (Fault::UpstreamBadGateway, Cause::FaultyProxy, Place::Origin),
        ] {
            assert_eq!(Place::of(fault, cause), place, "{fault}, {cause}");
        }
    }

    #[test]
    fn the_drawing_agrees_with_the_summary() {
        let of_the_server = ["The site's server ", "None of the site's servers ", "All of the site's servers "];
        for (fault, cause, place) in places().filter(|(fault, ..)| fault.stage() != Stage::Tls) {
            let says = summary(fault, cause);
            if ["between", "in the wrong place", "security rule", "wrong address"].iter().any(|way| says.contains(way))
            {
                assert_ne!(place, Place::Origin, "{fault}, {cause}: {says}");
            }
            let blamed = matches!(cause, Cause::Overload | Cause::OriginDown | Cause::Application);
            if blamed && of_the_server.iter().any(|server| says.starts_with(server)) {
                assert_eq!(place, Place::Origin, "{fault}, {cause}: {says}");
            }
        }
    }

    #[test]
    fn what_is_this_proxys_own_is_never_put_on_the_origin() {
        let own = [
            Fault::LocalPortsExhausted,
            Fault::FileDescriptorsExhausted,
            Fault::ConnectionProhibited,
            Fault::ProxyLoop,
        ];
        for (fault, cause, place) in places().filter(|(fault, ..)| own.contains(fault)) {
            assert_eq!(place, Place::Gateway, "{fault}, {cause}");
        }
    }

    #[test]
    fn an_origin_that_was_never_found_or_never_trusted_is_not_called_broken() {
        for (fault, cause, place) in places().filter(|(fault, ..)| matches!(fault.stage(), Stage::Resolve | Stage::Tls))
        {
            assert_eq!(place, Place::Way, "{fault}, {cause}");
        }
    }

    #[test]
    fn an_origin_that_spoke_is_never_called_not_reached() {
        let spoke = |fault: &Fault| matches!(fault.stage(), Stage::Response | Stage::Body);
        for (fault, cause, place) in places().filter(|(fault, ..)| spoke(fault)) {
            assert!(matches!(place, Place::Origin | Place::Talk), "{fault}, {cause}");
        }
    }
}
