//! A case in which every text that comes from outside is one of the fuzzer's.

use std::sync::Arc;
use std::time::Duration;

use why502::config::Upstream;
use why502::diagnosis::Case;
use why502::diagnosis::case::Here;
use why502::diagnosis::case::RequestFacts;
use why502::diagnosis::case::Settings;
use why502::diagnosis::history::History;
use why502::diagnosis::observation::Asked;
use why502::diagnosis::observation::Findings;
use why502::diagnosis::observation::NameServer;
use why502::diagnosis::observation::Observation;
use why502::diagnosis::observation::ProcessState;
use why502::diagnosis::observation::SocketFile;
use why502::diagnosis::observation::SocketFound;
use why502::fault::Failure;
use why502::fault::Fault;
use why502::fault::Spoken;
use why502::fault::failure::CertificateEvidence;
use why502::fault::failure::ConnectionEvidence;
use why502::fault::failure::DnsAnswer;
use why502::fault::failure::DnsEvidence;
use why502::fault::failure::H2Evidence;
use why502::fault::failure::Malformed;
use why502::fault::failure::Peer;
use why502::fault::failure::ResponseEvidence;
use why502::fault::failure::Target;
use why502::fault::failure::TlsEvidence;

use super::request::configuration;

/// A case of this fault in which clients, servers, certificates, name servers and the configuration say nothing but this.
/// Its length decides on the kind of server.
pub(super) fn case(fault: Fault, says: &str, response: Option<ResponseEvidence>) -> Case {
    let config = configuration();
    let upstream: &Upstream = &config.upstreams[0];
    let text = || says.to_owned();
    // What the configuration says is checked when it is read, and is the operator's own.
    let own: String = says.chars().map(|c| if c.escape_debug().len() > 1 { '\'' } else { c }).collect();
    let certificate = CertificateEvidence {
        subject: text(),
        issuer: text(),
        names: vec![text(), text()],
        not_after: 1_773_014_400,
        ..CertificateEvidence::default()
    };
    let said =
        Some(ResponseEvidence { status: 502, server: Some(text()), via: Some(text()), ..ResponseEvidence::default() });
    let name_server = "10.77.0.53:53".parse().expect("an address");
    let failure = Failure {
        target: Some(Target {
            upstream: own.as_str().into(),
            url: own.as_str().into(),
            host: says.into(),
            port: 3000,
            tls: says.len() % 2 == 1,
            socket: (says.len().is_multiple_of(3)).then(|| says.into()),
        }),
        peer: Some(Peer::Tcp(([10, 77, 0, 5], 3000).into())),
        limit: Some(Duration::from_secs(3)),
        stage_elapsed: Duration::from_secs(3),
        os_error: Some(111),
        dns: Some(DnsEvidence {
            name: text(),
            answers: vec![DnsAnswer {
                server: name_server,
                rcode: Some("SERVFAIL"),
                extended: vec![(22, text())],
                elapsed: Duration::from_millis(3),
                os_error: None,
            }],
            aliases: vec![text()],
            srv: None,
            remembered: None,
        }),
        tls: Some(TlsEvidence {
            server_name: text(),
            alert: Some((40, text())),
            certificate: Some(certificate),
            client_certificate: false,
            without_alpn: false,
        }),
        connection: ConnectionEvidence { idle: Some(Duration::from_secs(5)), ..ConnectionEvidence::default() },
        spoken: Some(Spoken::Ssh),
        malformed: Some(Malformed::TransferCoding(text())),
        response: response.or(said),
        h2: Some(H2Evidence { goaway_code: Some(2), debug_data: Some(text()), ..H2Evidence::default() }),
        ..Failure::new(fault)
    };
    let observations = vec![
        Observation::NameServer(NameServer {
            server: name_server,
            rcode: Some("NOERROR"),
            extended: vec![(3, text())],
            addresses: Vec::new(),
            aliases: vec![text()],
            elapsed: Duration::from_millis(1),
            os_error: None,
        }),
        Observation::Asked(Asked { path: text(), status: Some(200), fault: None, elapsed: Duration::from_millis(2) }),
        Observation::SocketFile(SocketFile { path: text(), found: SocketFound::Nothing { nearest: text() } }),
        Observation::Process { id: 4711, name: text(), state: ProcessState::Stopped },
    ];
    Case {
        attempts: vec![failure],
        telling: 0,
        request: RequestFacts {
            method: text(),
            host: text(),
            path: text(),
            upgrade: Some(text()),
            ..RequestFacts::default()
        },
        settings: Settings { upstream: own, ..Settings::of(upstream, vec!["10.77.0.53:53".to_owned()]) },
        here: Here::default(),
        history: History { others: vec![(text(), why502::diagnosis::history::Past::default())], ..History::default() },
        findings: Findings { observations: Arc::new(observations), ..Findings::default() },
    }
}
