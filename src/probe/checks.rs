//! Owns the choice of checks: which of them can separate the causes of a failure. What is plain from it needs none.

use crate::diagnosis::observation::Tongue;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Spoken;

/// One thing to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// What each name server says of the name, and what comes of connecting to addresses that were not known before.
    Name,
    /// Whether the hosts of name servers that say nothing are alive.
    NameServerHosts,
    /// A new connection to each of the addresses.
    Connect,
    /// Two more to the one that failed, so that a way which loses some packets shows, and a queue that is full now and then.
    ConnectMore,
    /// Ports that most hosts have, and those of the web.
    OtherPorts,
    /// Ports of the web.
    WebPorts,
    /// A few echo requests.
    Echo,
    /// The neighbour table.
    Neighbour,
    /// The certificate, and how a TLS hello is taken.
    Certificate,
    /// A small request. Where it was understood, what else might be spoken is not asked.
    Path,
    /// What is answered to this.
    Speak(Tongue),
}

/// The checks that a failure calls for.
pub(super) fn of(failure: &Failure) -> &'static [Check] {
    use Check::Certificate;
    use Check::Connect;
    use Check::ConnectMore;
    use Check::Echo;
    use Check::Name;
    use Check::NameServerHosts;
    use Check::Neighbour;
    use Check::OtherPorts;
    use Check::Path;
    use Check::Speak;
    use Check::WebPorts;
    match failure.fault {
        Fault::DnsNameNotFound | Fault::DnsNoRecords | Fault::DnsServerFailure | Fault::DnsRefused => &[Name],
        Fault::DnsResolverUnreachable | Fault::DnsTimeout => &[Name, NameServerHosts],
        Fault::ConnectionRefused => &[Connect, OtherPorts, Name],
        Fault::ConnectionTimedOut => &[Connect, ConnectMore, OtherPorts, Echo, Neighbour, Name],
        Fault::HostUnreachable => &[Connect, OtherPorts, Echo, Neighbour, Name],
        Fault::NetworkUnreachable => &[Connect, Name],
        Fault::ConnectionProhibited => &[Connect, OtherPorts],
        // What this host lacks is not to be used up by looking; and a socket's file is looked at without a connection.
        Fault::LocalPortsExhausted
        | Fault::FileDescriptorsExhausted
        | Fault::SocketMissing
        | Fault::SocketPermissionDenied
        | Fault::SocketBacklogFull => &[],
        Fault::TlsCertificateExpired
        | Fault::TlsCertificateNotYetValid
        | Fault::TlsCertificateWrongName
        | Fault::TlsCertificateUntrusted => &[Certificate, Name],
        Fault::TlsAlert => &[Certificate],
        Fault::TlsNotSpoken => &[Connect, Speak(Tongue::Silence), Speak(Tongue::Http1), WebPorts],
        Fault::TlsHandshakeClosed | Fault::TlsHandshakeTimedOut | Fault::TlsProtocolError => {
            &[Connect, Certificate, Speak(Tongue::Silence), Speak(Tongue::Http1), Speak(Tongue::ProxyHeader)]
        }
        Fault::RequestSendTimedOut => &[Connect, Path, Echo],
        Fault::ResponseTimedOut => &[Connect, Path, Speak(Tongue::Silence), Echo],
        Fault::ClosedBeforeResponse | Fault::ResetBeforeResponse | Fault::ResetWhileSending
            if failure.connection.reused =>
        {
            &[Connect, Path]
        }
        Fault::ClosedBeforeResponse | Fault::ResetBeforeResponse | Fault::ResetWhileSending => &[
            Connect,
            Path,
            Speak(Tongue::Silence),
            Certificate,
            Speak(Tongue::Http2),
            Speak(Tongue::ProxyHeader),
            Speak(Tongue::Redis),
            Speak(Tongue::FastCgi),
        ],
        Fault::ResponseNotHttp => of_strange_answer(failure.spoken),
        Fault::ResponseMalformed
        | Fault::ResponseHeaderTooLarge
        | Fault::H2StreamRefused
        | Fault::H2StreamReset
        | Fault::H2ConnectionError
        | Fault::UpgradeFailed => &[Path],
        Fault::ResponseTruncated | Fault::ResponseBodyTimedOut | Fault::ResponseChunkingInvalid => &[Connect, Path],
        Fault::NoHealthyServer => &[Connect, Path, Name],
        // These say all themselves.
        Fault::ServerAtCapacity | Fault::ProxyLoop => &[],
        Fault::UpstreamBadGateway | Fault::UpstreamUnavailable | Fault::UpstreamGatewayTimeout => &[Path],
    }
}

/// What answered is known; whether it means it is asked in its own words.
fn of_strange_answer(spoken: Option<Spoken>) -> &'static [Check] {
    match spoken {
        Some(Spoken::TlsAlert | Spoken::TlsHandshake) => &[Check::Certificate, Check::WebPorts],
        Some(Spoken::Http2) => &[Check::Speak(Tongue::Http2), Check::WebPorts],
        Some(Spoken::Redis) => &[Check::Speak(Tongue::Redis), Check::WebPorts],
        Some(Spoken::FastCgi) => &[Check::Speak(Tongue::FastCgi), Check::WebPorts],
        Some(Spoken::Http09 | Spoken::Cgi | Spoken::Text | Spoken::Binary) | None => {
            &[Check::Connect, Check::Path, Check::Speak(Tongue::Silence), Check::WebPorts]
        }
        Some(
            Spoken::Http1
            | Spoken::Ssh
            | Spoken::Smtp
            | Spoken::Ftp
            | Spoken::Pop3
            | Spoken::Imap
            | Spoken::Mysql
            | Spoken::Postgresql
            | Spoken::Mqtt
            | Spoken::Amqp
            | Spoken::Nats
            | Spoken::Telnet
            | Spoken::Vnc
            | Spoken::Memcached
            | Spoken::Rtsp,
        ) => &[Check::Connect, Check::Speak(Tongue::Silence), Check::WebPorts],
    }
}

#[cfg(test)]
mod tests {
    use super::Check;
    use super::of;
    use crate::diagnosis::observation::Tongue;
    use crate::fault::Failure;
    use crate::fault::Fault;
    use crate::fault::Stage;

    #[test]
    fn a_failure_that_says_all_calls_for_nothing() {
        for fault in [Fault::ProxyLoop, Fault::ServerAtCapacity, Fault::FileDescriptorsExhausted] {
            assert_eq!(of(&Failure::new(fault)), [], "{fault}");
        }
    }

    #[test]
    fn behind_a_head_that_came_only_the_connection_and_the_path_are_looked_at() {
        for fault in Fault::ALL.into_iter().filter(|fault| fault.stage() == Stage::Body) {
            assert_eq!(of(&Failure::new(fault)), [Check::Connect, Check::Path], "{fault}");
        }
    }

    #[test]
    fn every_look_is_made_once_at_most_and_silence_has_a_connection() {
        for fault in Fault::ALL {
            let checks = of(&Failure::new(fault));
            for check in checks {
                assert_eq!(checks.iter().filter(|other| *other == check).count(), 1, "{fault}: {check:?}");
            }
            let listens = checks.contains(&Check::Speak(Tongue::Silence));
            assert!(!listens || checks.contains(&Check::Connect), "{fault}");
        }
    }

    #[test]
    fn the_end_of_an_idle_connection_is_no_reason_to_ask_what_is_spoken() {
        let mut failure = Failure::new(Fault::ClosedBeforeResponse);
        failure.connection.reused = true;
        assert_eq!(of(&failure), [Check::Connect, Check::Path]);
    }
}
