//! Owns the sample case of this room's tests: one that knows everything, each private value unmistakable.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Case;
use super::case::Here;
use super::case::RequestFacts;
use super::case::Settings;
use super::history::History;
use super::observation::Asked;
use super::observation::Connected;
use super::observation::Findings;
use super::observation::NameServer;
use super::observation::Observation;
use super::observation::OtherPort;
use super::observation::ProcessState;
use super::observation::Spoke;
use super::observation::SpokeEnd;
use super::observation::Tongue;
use crate::config::Platform;
use crate::config::Timeouts;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Spoken;
use crate::fault::failure::CertificateEvidence;
use crate::fault::failure::ConnectionEvidence;
use crate::fault::failure::DnsAnswer;
use crate::fault::failure::DnsEvidence;
use crate::fault::failure::Peer;
use crate::fault::failure::ResponseEvidence;
use crate::fault::failure::Target;
use crate::fault::failure::TlsEvidence;

/// A case of that fault of which only the configuration and the request are known.
pub(super) fn case(fault: Fault) -> Case {
    Case {
        attempts: vec![Failure { target: Some(target()), ..Failure::new(fault) }],
        telling: 0,
        request: RequestFacts {
            method: "GET".into(),
            host: "quail.example".into(),
            path: "/otter/list".into(),
            ..RequestFacts::default()
        },
        settings: Settings {
            upstream: "walrus".into(),
            servers: 2,
            platform: Platform::Generic,
            timeouts: timeouts(),
            pool_idle: Duration::from_secs(55),
            response_header_bytes: 65_536,
            retry_attempts: 2,
            client_certificate: false,
            name_servers: vec!["10.77.0.53:53".into()],
        },
        here: Here::default(),
        history: History::default(),
        findings: Findings::default(),
    }
}

/// A case of that fault of which everything is known that a placeholder can name, though never all at once in life.
pub(super) fn full(fault: Fault) -> Case {
    let mut case = case(fault);
    let peer: SocketAddr = "10.77.0.5:3456".parse().unwrap();
    let server = "10.77.0.54:53".parse().unwrap();
    case.attempts = vec![Failure {
        target: Some(Target { socket: Some("/run/marmot.sock".into()), ..target() }),
        peer: Some(Peer::Tcp(peer)),
        limit: Some(Duration::from_millis(54_321)),
        stage_elapsed: Duration::from_millis(43_210),
        os_error: Some(111),
        dns: Some(DnsEvidence {
            name: "badger.internal".into(),
            answers: vec![DnsAnswer {
                server,
                rcode: None,
                extended: Vec::new(),
                elapsed: Duration::ZERO,
                os_error: None,
            }],
            ..DnsEvidence::default()
        }),
        tls: Some(TlsEvidence {
            server_name: "lemur.internal".into(),
            alert: Some((40, "handshake_failure".into())),
            certificate: Some(CertificateEvidence {
                subject: "CN=ferret".into(),
                issuer: "CN=heron".into(),
                names: vec!["gecko.internal".into(), "gecko.example".into()],
                not_after: 1_773_014_400,
                ..CertificateEvidence::default()
            }),
            client_certificate: false,
            without_alpn: false,
        }),
        connection: ConnectionEvidence {
            idle: Some(Duration::from_millis(4_900)),
            keep_alive_hint: Some(Duration::from_secs(5)),
            ..ConnectionEvidence::default()
        },
        spoken: Some(Spoken::Ssh),
        response: Some(ResponseEvidence {
            status: 502,
            server: Some("narwhal/1.2".into()),
            ..ResponseEvidence::default()
        }),
        ..Failure::new(fault)
    }];
    case.findings.observations = Arc::new(observations(peer));
    case.history.server.keep_alive = Some(Duration::from_millis(6_100));
    case
}

/// One of each kind that a step can name.
fn observations(peer: SocketAddr) -> Vec<Observation> {
    let connected = |address| Connected { address, fault: None, os_error: None, elapsed: Duration::from_millis(1) };
    let beside = connected(SocketAddr::new(peer.ip(), 8181));
    vec![
        Observation::OtherPort(OtherPort { connected: beside, spoken: Some(Spoken::TlsAlert), status: None }),
        Observation::FormerAddress(connected("10.77.0.66:3456".parse().unwrap())),
        Observation::NameServer(NameServer {
            server: "10.77.0.54:53".parse().unwrap(),
            rcode: Some("NOERROR"),
            extended: Vec::new(),
            addresses: vec!["10.77.0.67".parse().unwrap()],
            aliases: Vec::new(),
            elapsed: Duration::from_millis(1),
            os_error: None,
        }),
        Observation::Spoke(Spoke {
            tongue: Tongue::Redis,
            heard: Some(Spoken::Redis),
            status: None,
            end: SpokeEnd::Open,
            elapsed: Duration::from_millis(1),
        }),
        Observation::Asked(Asked {
            path: "/dugong".into(),
            status: Some(200),
            fault: None,
            elapsed: Duration::from_millis(2),
        }),
        Observation::Process { id: 47_110, name: "tapir".into(), state: ProcessState::Stopped },
    ]
}

/// A server with a name and a port, over TLS.
pub(super) fn target() -> Target {
    Target {
        upstream: "walrus".into(),
        url: "https://badger.internal:3456".into(),
        host: "badger.internal".into(),
        port: 3456,
        tls: true,
        socket: None,
    }
}

fn timeouts() -> Timeouts {
    let second = Duration::from_secs(1);
    Timeouts {
        resolve: second,
        connect: second,
        tls: second,
        send: second,
        response: second,
        body: second,
        tunnel: second,
    }
}
