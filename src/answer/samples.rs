//! Owns what the tests of this room share: the stories that are answered, and the looks at an answer.

use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;

use http::HeaderValue;
use http::StatusCode;

use super::Answer;
use super::Format;
use super::Language;
use super::Moment;
use super::Occurrence;
use super::OperatorReport;
use super::RefusalReport;
use super::Report;
use super::Site;
use super::Style;
use super::VisitorReport;
use crate::config::Platform;
use crate::config::Timeouts;
use crate::diagnosis::Audience;
use crate::diagnosis::Case;
use crate::diagnosis::Cause;
use crate::diagnosis::Diagnosis;
use crate::diagnosis::Evidence;
use crate::diagnosis::Step;
use crate::diagnosis::case::Here;
use crate::diagnosis::case::RequestFacts;
use crate::diagnosis::case::Settings;
use crate::diagnosis::history::History;
use crate::diagnosis::observation::Findings;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::AddressFailure;
use crate::fault::failure::CertificateEvidence;
use crate::fault::failure::DnsAnswer;
use crate::fault::failure::DnsEvidence;
use crate::fault::failure::Malformed;
use crate::fault::failure::Peer;
use crate::fault::failure::ResponseEvidence;
use crate::fault::failure::Target;
use crate::fault::failure::TlsEvidence;

/// A case and what was concluded from it.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) case: Case,
    pub(super) diagnosis: Diagnosis,
}

impl Story {
    /// A closed port on a host that is alive.
    pub(super) fn refused() -> Self {
        let mut failure = Failure::new(Fault::ConnectionRefused);
        failure.target = Some(target("http://app-1.internal:3000", "app-1.internal", 3000));
        failure.peer = Some(Peer::Tcp("10.0.0.5:3000".parse().unwrap()));
        failure.elapsed = Duration::from_micros(400);
        failure.stage_elapsed = Duration::from_micros(300);
        Self {
            case: case(vec![failure]),
            diagnosis: Diagnosis {
                fault: Fault::ConnectionRefused,
                cause: Cause::OriginDown,
                confidence: 0.86,
                causes: vec![(Cause::OriginDown, 0.86), (Cause::Firewall, 0.08)],
                evidence: vec![
                    evidence("port_closed_host_alive", "port 3000 is closed, but the host answers on port 22", Cause::OriginDown, 1.5),
                    evidence("refused_at_once", "the refusal came back within 0.4 ms, so nothing on the way held it up", Cause::OriginDown, 0.8),
                    evidence("worked_a_minute_ago", "the same server answered 51 seconds ago", Cause::Firewall, -0.6),
                ],
                summary: "The site's server is not accepting connections right now. It may be restarting, or it may have stopped.",
                detail: "app-1.internal (10.0.0.5) refused the connection on port 3000 after 0.4 ms: the host is alive and nothing listens there."
                    .to_owned(),
                steps: vec![
                    step(Audience::Visitor, "Try again in a minute or two. Most failures of this kind are short.", None),
                    step(Audience::Visitor, "See whether the site has a status page that says more.", None),
                    step(Audience::Visitor, "If it stays like this, tell the site's owner, with the request's id.", None),
                    step(Audience::Owner, "Check that the application runs, and read its log for why it stopped.", None),
                    step(Audience::Owner, "See which program listens on port 3000, and on which address.", Some("ss -ltnp 'sport = :3000'")),
                    step(Audience::Owner, "Ask the server directly, past this proxy.", Some("curl -v --max-time 5 --resolve app-1.internal:3000:10.0.0.5 http://app-1.internal:3000/")),
                ],
            },
        }
    }

    /// A server that is silent, then one that refuses at both of its addresses.
    pub(super) fn tried_twice() -> Self {
        let mut story = Self::of(Fault::ResponseTimedOut, Cause::Overload);
        let mut second = story.case.attempts[0].clone();
        story.case.attempts[0].elapsed = Duration::from_millis(60_012);
        story.case.attempts[0].stage_elapsed = Duration::from_secs(60);
        story.case.attempts[0].limit = Some(Duration::from_secs(60));
        story.case.attempts[0].bytes.request_sent = 320;
        second.fault = Fault::ConnectionRefused;
        second.target = Some(target("http://app-2.internal:3000", "app-2.internal", 3000));
        second.addresses = ["[2001:db8::6]:3000", "10.0.0.6:3000"]
            .map(|address| AddressFailure {
                address: address.parse().unwrap(),
                fault: Fault::ConnectionRefused,
                os_error: Some(111),
                elapsed: Duration::from_micros(800),
            })
            .to_vec();
        story.case.attempts.push(second);
        story
    }

    /// A case in which everything that no visitor may see holds the word `secret`, or is one of `SECRET_PLACES`.
    pub(super) fn full_of_secrets(fault: Fault) -> Self {
        let mut story = Self::of(fault, Cause::OriginDown);
        story.case.attempts = vec![secret_failure(fault), secret_failure(fault)];
        story.case.request = RequestFacts {
            method: "SECRET-METHOD".to_owned(),
            host: "secret-host".to_owned(),
            path: "/secret-path".to_owned(),
            upgrade: Some("secret-upgrade".to_owned()),
            has_body: true,
            personal: true,
        };
        story.case.settings.upstream = "secret-upstream".to_owned();
        story.case.settings.name_servers = vec!["203.0.113.53:53".to_owned()];
        story.case.here.own_addresses = vec!["203.0.113.1".parse().unwrap()];
        story.diagnosis.detail = "secret detail".to_owned();
        story.diagnosis.evidence = vec![evidence("secret_evidence", "secret finding", Cause::Firewall, 1.0)];
        let private = Step { private: true, ..step(Audience::Owner, "secret step", None) };
        let careless = Step { private: false, ..step(Audience::Owner, "secret text", Some("secret command")) };
        story.diagnosis.steps = vec![step(Audience::Visitor, "a public step", None), private, careless];
        story
    }

    /// The same words for any fault and cause.
    pub(super) fn of(fault: Fault, cause: Cause) -> Self {
        let mut story = Self::refused();
        story.case.attempts[0].fault = fault;
        story.diagnosis.fault = fault;
        story.diagnosis.cause = cause;
        story.diagnosis.causes = vec![(cause, 0.86), (Cause::Unknown, 0.08)];
        story
    }

    pub(super) fn for_visitor<'a>(&'a self, occurrence: Occurrence<'a>) -> Report<'a> {
        Report::Visitor(VisitorReport::new(&self.case, &self.diagnosis, occurrence))
    }

    pub(super) fn for_operator<'a>(&'a self, occurrence: Occurrence<'a>) -> Report<'a> {
        Report::Operator(OperatorReport::new(&self.case, &self.diagnosis, occurrence))
    }
}

/// Addresses and a port that stand in a case full of secrets.
pub(super) const SECRET_PLACES: [&str; 5] = ["203.0.113", "2001:db8", "47113", "/run/", ".lan"];

fn secret_failure(fault: Fault) -> Failure {
    let mut failure = Failure::new(fault).because(std::io::Error::other("secret source"));
    failure.target = Some(Target {
        upstream: Arc::from("secret-upstream"),
        url: Arc::from("http://secret.lan:47113"),
        host: Arc::from("secret.lan"),
        port: 47113,
        tls: true,
        socket: Some(Arc::from("/run/secret.sock")),
    });
    failure.peer = Some(Peer::Tcp("203.0.113.77:47113".parse().unwrap()));
    failure.addresses = ["[2001:db8::77]:47113", "203.0.113.77:47113"]
        .map(|address| AddressFailure {
            address: address.parse().unwrap(),
            fault,
            os_error: Some(111),
            elapsed: Duration::from_millis(1),
        })
        .to_vec();
    failure.dns = Some(DnsEvidence {
        name: "secret.lan".to_owned(),
        answers: vec![DnsAnswer {
            server: "203.0.113.53:53".parse().unwrap(),
            rcode: Some("SERVFAIL"),
            extended: vec![(22, "secret: no authority".to_owned())],
            elapsed: Duration::from_millis(1),
            os_error: None,
        }],
        srv: None,
        aliases: vec!["secret-alias.lan".to_owned()],
        remembered: None,
    });
    failure.tls = Some(TlsEvidence {
        server_name: "secret.lan".to_owned(),
        alert: Some((40, "secret_alert".to_owned())),
        certificate: Some(CertificateEvidence {
            subject: "CN=secret".to_owned(),
            issuer: "CN=secret authority".to_owned(),
            names: vec!["secret.lan".to_owned()],
            ..CertificateEvidence::default()
        }),
        client_certificate: true,
        without_alpn: false,
    });
    failure.malformed = Some(Malformed::TransferCoding("secret-coding".to_owned()));
    failure.response = Some(ResponseEvidence {
        status: 503,
        server: Some("secret/1.0".to_owned()),
        retry_after: None,
        via: Some("1.1 secret-proxy".to_owned()),
        ..ResponseEvidence::default()
    });
    failure.bytes.header_limit = Some(65_536);
    failure
}

/// 1 March 2026, half past nine.
pub(super) const OCCURRENCE: Occurrence<'static> = Occurrence {
    request_id: "01JNWZ8Q4T5K3V9XH2M7RDCAEB",
    at: Moment(1_772_357_400_000),
    incident: Some("01JNWZ7F0G1Y6S8PBN4QWKCT3D"),
    retry_after: None,
    repeatable: true,
};

pub(super) fn case(attempts: Vec<Failure>) -> Case {
    Case {
        attempts,
        telling: 0,
        request: RequestFacts::default(),
        settings: Settings {
            upstream: "app".to_owned(),
            servers: 2,
            platform: Platform::Generic,
            timeouts: Timeouts::USUAL,
            pool_idle: Duration::from_secs(55),
            response_header_bytes: 65_536,
            retry_attempts: 2,
            client_certificate: false,
            name_servers: Vec::new(),
        },
        here: Here::default(),
        history: History::default(),
        findings: Findings::default(),
    }
}

pub(super) fn target(url: &str, host: &str, port: u16) -> Target {
    Target { upstream: Arc::from("app"), url: Arc::from(url), host: Arc::from(host), port, tls: false, socket: None }
}

pub(super) fn evidence(id: &'static str, says: &str, points_to: Cause, weight: f64) -> Evidence {
    Evidence { id, says: says.to_owned(), points_to, weight }
}

pub(super) fn step(audience: Audience, text: &str, command: Option<&str>) -> Step {
    Step { audience, text: text.to_owned(), command: command.map(str::to_owned), private: command.is_some() }
}

pub(super) const NOT_FOUND: RefusalReport<'static> = RefusalReport {
    status: StatusCode::NOT_FOUND,
    detail: "Nothing is set up for this address.",
    hint: Some("Check the address for a typing error."),
    occurrence: Occurrence { repeatable: false, incident: None, ..OCCURRENCE },
};

/// A request that is not repeated by a link and belongs to no incident.
pub(super) const BARE: Occurrence<'static> =
    Occurrence { request_id: "another-id", at: Moment(0), incident: None, retry_after: None, repeatable: false };

/// An answer in English for a site that says nothing of itself.
pub(super) fn style(format: Format) -> Style<'static> {
    static SITE: LazyLock<Site> = LazyLock::new(Site::default);
    Style { format, language: Language::ENGLISH, site: &SITE }
}

pub(super) fn text(answer: &Answer) -> &str {
    str::from_utf8(&answer.body).unwrap()
}

/// One member of a list of Structured Fields: a token, then parameters with tokens, integers or strings.
pub(super) fn assert_valid_list(field: &HeaderValue) {
    let field = field.to_str().unwrap();
    let mut rest = field.strip_prefix("why502").unwrap();
    while !rest.is_empty() {
        let (key, value) = rest.strip_prefix("; ").unwrap().split_once('=').unwrap();
        assert!(key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{field}");
        rest = match value.strip_prefix('"') {
            Some(string) => after_string(string),
            None => value.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_'),
        };
    }
}

/// What follows the closing quote of a string whose opening quote has been read.
fn after_string(string: &str) -> &str {
    let mut escaped = false;
    let end = string.find(|character: char| {
        let was_escaped = std::mem::take(&mut escaped);
        escaped = character == '\\' && !was_escaped;
        character == '"' && !was_escaped
    });
    string.get(end.unwrap() + 1..).unwrap()
}
