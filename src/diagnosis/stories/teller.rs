//! Owns how a story is told: a builder that makes a `Case` out of what is special about it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Expect;
use super::Row;
use super::settings;
use crate::config::Platform;
use crate::diagnosis::Case;
use crate::diagnosis::Cause;
use crate::diagnosis::case::Here;
use crate::diagnosis::case::RequestFacts;
use crate::diagnosis::case::Settings;
use crate::diagnosis::history::History;
use crate::diagnosis::observation::Findings;
use crate::diagnosis::observation::Observation;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Spoken;
use crate::fault::failure::AddressFailure;
use crate::fault::failure::CertificateEvidence;
use crate::fault::failure::DnsAnswer;
use crate::fault::failure::DnsEvidence;
use crate::fault::failure::Icmp;
use crate::fault::failure::IcmpEvidence;
use crate::fault::failure::Malformed;
use crate::fault::failure::Peer;
use crate::fault::failure::Target;
use crate::fault::failure::TlsEvidence;
use crate::fault::failure::TransportEvidence;

/// A case in the making. What is not said is as it usually is: `http://10.0.0.5:3000`, a fresh connection, this host at
/// 10.0.0.2 in 10.0.0.0/24 and in no container.
#[derive(Debug, Clone)]
pub(super) struct Story {
    earlier: Vec<Failure>,
    pub(super) last: Failure,
    pub(super) request: RequestFacts,
    pub(super) settings: Settings,
    here: Here,
    pub(super) history: History,
    pub(super) findings: Findings,
}

impl Story {
    pub(super) fn of(fault: Fault) -> Self {
        let story = Self {
            earlier: Vec::new(),
            last: Failure::new(fault),
            request: RequestFacts {
                method: "GET".to_owned(),
                host: "shop.example".to_owned(),
                path: "/".to_owned(),
                ..RequestFacts::default()
            },
            settings: settings::usual(),
            here: Here {
                in_container: false,
                own_addresses: vec!["127.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()],
                own_networks: vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/24".parse().unwrap()],
            },
            history: History::default(),
            findings: Findings::default(),
        };
        story.at("http://10.0.0.5:3000")
    }

    pub(super) fn ends(self, name: &'static str, cause: Cause, above: f64, evidence: &'static [&'static str]) -> Row {
        Row { name, story: self, expect: Expect { cause, above, evidence, says: &[] } }
    }

    /// What is known of the past.
    pub(super) fn past(mut self, tell: impl FnOnce(&mut History)) -> Self {
        tell(&mut self.history);
        self
    }

    /// A check has found this.
    pub(super) fn found(mut self, observation: Observation) -> Self {
        Arc::make_mut(&mut self.findings.observations).push(observation);
        self.findings.round = 1;
        self
    }

    /// The checks were made so long before, for an earlier failure.
    pub(super) fn found_earlier(mut self, seconds: u64) -> Self {
        self.findings.age = Duration::from_secs(seconds);
        self
    }

    /// The request was for this path.
    pub(super) fn asking(mut self, path: &str) -> Self {
        path.clone_into(&mut self.request.path);
        self
    }

    /// The server is this one: `http://10.0.0.5:3000`, `https://[fd00::5]:443`, `http://app.internal:3000`.
    pub(super) fn at(mut self, url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (host, port) = rest.rsplit_once(':').unwrap();
        self.last.peer = rest.parse::<SocketAddr>().ok().map(Peer::Tcp);
        self.last.target = Some(Target {
            upstream: "app".into(),
            url: url.into(),
            host: host.trim_matches(['[', ']']).into(),
            port: port.parse().unwrap(),
            tls: scheme == "https",
            socket: None,
        });
        self
    }

    /// The server is this unix socket.
    pub(super) fn at_socket(mut self, path: &str) -> Self {
        self.last.peer = Some(Peer::Unix(path.into()));
        self.last.target = Some(Target {
            upstream: "app".into(),
            url: format!("unix:{path}").into(),
            host: "".into(),
            port: 0,
            tls: false,
            socket: Some(path.into()),
        });
        self
    }

    /// The name led to this address.
    pub(super) fn peer(mut self, address: &str) -> Self {
        self.last.peer = Some(Peer::Tcp(address.parse().unwrap()));
        self
    }

    /// The stage that failed took so many milliseconds.
    pub(super) fn took(mut self, millis: f64) -> Self {
        self.last.stage_elapsed = Duration::from_secs_f64(millis / 1000.0);
        self.last.elapsed = self.last.elapsed.max(self.last.stage_elapsed);
        self
    }

    /// What came before the stage that failed took so many milliseconds.
    pub(super) fn before(mut self, millis: f64) -> Self {
        self.last.elapsed = self.last.stage_elapsed + Duration::from_secs_f64(millis / 1000.0);
        self
    }

    /// A limit of so many milliseconds ran out.
    pub(super) fn limit(mut self, millis: u64) -> Self {
        self.last.limit = Some(Duration::from_millis(millis));
        #[expect(clippy::cast_precision_loss, reason = "a limit of a test is small")]
        self.took(millis as f64)
    }

    pub(super) fn errno(mut self, number: i32) -> Self {
        self.last.os_error = Some(number);
        self
    }

    /// It was told by this ICMP message.
    pub(super) fn icmp(mut self, from: &str, says: Icmp) -> Self {
        self.last.icmp = Some(IcmpEvidence { from: from.parse().ok(), says });
        self
    }

    /// One of the addresses tried, with how it failed after so many milliseconds.
    pub(super) fn tried(mut self, address: &str, fault: Fault, millis: u64) -> Self {
        let (address, elapsed) = (address.parse().unwrap(), Duration::from_millis(millis));
        self.last.addresses.push(AddressFailure { address, fault, os_error: None, elapsed });
        self
    }

    /// The connection had served so many requests and was idle for so many milliseconds.
    pub(super) fn reused(mut self, requests_served: u32, idle: u64) -> Self {
        self.last.connection.reused = true;
        self.last.connection.requests_served = requests_served;
        self.last.connection.idle = Some(Duration::from_millis(idle));
        self
    }

    /// The server had announced to keep the connection for so many seconds.
    pub(super) fn announced(mut self, seconds: u64) -> Self {
        self.last.connection.keep_alive_hint = Some(Duration::from_secs(seconds));
        self
    }

    /// So many bytes of the request were sent, which was all of it.
    pub(super) fn sent(mut self, count: u64) -> Self {
        self.last.bytes.request_sent = count;
        self.last.bytes.request_complete = true;
        self
    }

    /// So many bytes of a body of so many were sent.
    pub(super) fn sent_of(mut self, count: u64, declared: u64) -> Self {
        self.last.bytes.request_sent = count;
        self.last.bytes.request_declared = Some(declared);
        self.request.has_body = true;
        self
    }

    /// So many bytes of an answer came.
    pub(super) fn received(mut self, count: u64) -> Self {
        self.last.bytes.received = count;
        self
    }

    /// So many bytes of the body came; and how many had been declared.
    pub(super) fn body(mut self, count: u64, declared: Option<u64>) -> Self {
        self.last.bytes.received = count + 120;
        self.last.bytes.response_body = count;
        self.last.bytes.response_declared = declared;
        self
    }

    pub(super) fn spoken(mut self, first_bytes: &[u8]) -> Self {
        self.last.spoken = Spoken::recognise(first_bytes);
        self.last.bytes.received = first_bytes.len() as u64;
        self
    }

    pub(super) fn malformed(mut self, malformed: Malformed) -> Self {
        self.last.malformed = Some(malformed);
        self.last.bytes.received = 200;
        self
    }

    /// So many packets are not acknowledged, so many were sent again.
    pub(super) fn packets(mut self, unacknowledged: u32, retransmits: u32) -> Self {
        self.last.transport = Some(TransportEvidence {
            retransmits,
            total_retransmits: retransmits,
            unacknowledged,
            round_trip: Duration::from_micros(400),
            segment_size: 1448,
            out_of_order: 0,
        });
        self
    }

    /// So many packets came while one before was missing.
    pub(super) fn out_of_order(mut self, count: u32) -> Self {
        self.last.transport = self.last.transport.map(|known| TransportEvidence { out_of_order: count, ..known });
        self
    }

    /// A round trip takes so many milliseconds.
    pub(super) fn round_trip(self, millis: u64) -> Self {
        let mut story = self.packets(0, 0);
        story.last.transport =
            story.last.transport.map(|known| TransportEvidence { round_trip: Duration::from_millis(millis), ..known });
        story
    }

    /// The name that was looked up.
    pub(super) fn name(mut self, name: &str) -> Self {
        self = self.at(&format!("http://{name}:3000"));
        self.last.dns = Some(DnsEvidence { name: name.to_owned(), ..DnsEvidence::default() });
        self
    }

    /// This name server said that, after so many milliseconds.
    pub(super) fn server(mut self, server: &str, rcode: Option<&'static str>, millis: u64) -> Self {
        let (server, elapsed) = (server.parse().unwrap(), Duration::from_millis(millis));
        self.dns().answers.push(DnsAnswer { server, rcode, extended: Vec::new(), elapsed, os_error: None });
        self
    }

    /// The last name server added this extended error.
    pub(super) fn extended(mut self, code: u16, text: &str) -> Self {
        self.dns().answers.last_mut().unwrap().extended.push((code, text.to_owned()));
        self
    }

    /// The last name server could not be reached, with this error number.
    pub(super) fn unreached(mut self, number: i32) -> Self {
        self.dns().answers.last_mut().unwrap().os_error = Some(number);
        self
    }

    pub(super) fn alias(mut self, name: &str) -> Self {
        self.dns().aliases.push(name.to_owned());
        self
    }

    /// The server was asked for this name in a TLS handshake.
    pub(super) fn asked_for(mut self, server_name: &str) -> Self {
        self.tls().server_name = server_name.to_owned();
        self
    }

    pub(super) fn alert(mut self, number: u8, name: &str) -> Self {
        self.tls().alert = Some((number, name.to_owned()));
        self
    }

    /// It showed this certificate.
    pub(super) fn shows(mut self, certificate: CertificateEvidence) -> Self {
        self.tls().certificate = Some(certificate);
        self
    }

    /// A client certificate is configured.
    pub(super) fn with_client_certificate(mut self) -> Self {
        self.tls().client_certificate = true;
        self
    }

    /// This is known of the failure, too.
    pub(super) fn knows(mut self, tell: impl FnOnce(&mut Failure)) -> Self {
        tell(&mut self.last);
        self
    }

    pub(super) fn in_container(mut self) -> Self {
        self.here.in_container = true;
        self
    }

    /// This host has these networks and no other.
    pub(super) fn own_networks(mut self, networks: &[&str]) -> Self {
        self.here.own_networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        self
    }

    pub(super) fn upgrade(mut self, protocol: &str) -> Self {
        self.request.upgrade = Some(protocol.to_owned());
        self
    }

    pub(super) fn personal(mut self) -> Self {
        self.request.personal = true;
        self
    }

    pub(super) fn platform(mut self, platform: Platform) -> Self {
        self.settings.platform = platform;
        self
    }

    /// A head may have so many bytes.
    pub(super) fn header_limit(mut self, count: u64) -> Self {
        self.settings.response_header_bytes = count;
        self.last.bytes.header_limit = Some(count);
        self
    }

    /// The same request had failed before in this way.
    pub(super) fn after(mut self, earlier: Self) -> Self {
        self.earlier.push(earlier.last);
        self
    }

    pub(super) fn case(&self) -> Case {
        let mut attempts = self.earlier.clone();
        attempts.push(self.last.clone());
        Case {
            telling: attempts.len() - 1,
            attempts,
            request: self.request.clone(),
            settings: self.settings.clone(),
            here: self.here.clone(),
            history: self.history.clone(),
            findings: self.findings.clone(),
        }
    }

    fn dns(&mut self) -> &mut DnsEvidence {
        self.last.dns.get_or_insert_default()
    }

    fn tls(&mut self) -> &mut TlsEvidence {
        self.last.tls.get_or_insert_default()
    }
}

impl Row {
    /// The operator reads these texts.
    pub(super) fn says(mut self, texts: &'static [&'static str]) -> Self {
        self.expect.says = texts;
        self
    }
}
