//! Owns the placeholders of texts and commands: their words, and what each stands for in one case.
//!
//! A value comes back as it is; making it harmless for a terminal and for a shell is `command`'s.

use std::net::IpAddr;
use std::net::SocketAddr;

use time::OffsetDateTime;

use super::Case;
use super::rules::probe::local;
use super::rules::probe::name;
use super::rules::probe::port;
use super::rules::probe::talk;
use super::wording::duration;
use super::wording::list;
use crate::fault::Spoken;
use crate::fault::failure::Peer;
use crate::fault::failure::Target;

/// What may stand between braces in a step of a runbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placeholder {
    /// The upstream's name in the configuration.
    Upstream,
    /// The server's URL, as the configuration has it.
    Server,
    /// The server's host, a name or an address without brackets.
    Host,
    /// The server's port.
    Port,
    /// The address that was tried, without brackets and port.
    Address,
    /// Address and port, or host and port where no address is known, as a URL has them.
    Endpoint,
    /// The path of the server's unix socket.
    Socket,
    /// The name that was looked up.
    Name,
    /// The name server that failed, or the first that is asked.
    Resolver,
    /// Its port, where it is not 53.
    ResolverPort,
    /// The name that is sent in the TLS handshake and verified.
    ServerName,
    /// What to ask the server for: its scheme, host and port, and the request's path where asking changes nothing.
    Url,
    /// Host, port and address as `curl --resolve` takes them, where the host is a name.
    Resolve,
    /// The host that the client asked for.
    Site,
    /// The request's path, without the query.
    Path,
    /// The request's method.
    Method,
    /// The limit that ran out.
    Limit,
    /// How long the stage that failed took.
    Elapsed,
    /// How long the connection had lain idle.
    Idle,
    /// How long idle connections are kept here.
    PoolIdle,
    /// How long the server says that it keeps idle connections.
    KeepAlive,
    /// The idle time after which the server was found to close connections.
    ClosesAfter,
    /// How many bytes the head of an answer may have.
    HeaderLimit,
    /// The protocol that answered.
    Spoken,
    /// The TLS alert that the server sent.
    Alert,
    /// Until when the server's certificate is valid.
    NotAfter,
    /// The names that the server's certificate is valid for.
    CertificateNames,
    /// Who issued the server's certificate.
    Issuer,
    /// What the answer's `Server` field says.
    Software,
    /// The operating system's error number.
    OsError,
    /// Another port of the host, which a check has found to answer HTTP.
    OtherPort,
    /// What to ask that other port for.
    OtherUrl,
    /// The address that the name led to when it last worked, where it still answers.
    FormerAddress,
    /// The addresses that the name servers give now.
    CurrentAddresses,
    /// The protocol in which a check found the port to answer.
    PortSpeaks,
    /// Another path, which was answered well meanwhile.
    OtherPath,
    /// The number of the process that holds the port and does not run.
    Process,
}

impl Placeholder {
    /// Every placeholder, in the order in which `config/checklist.toml` explains them.
    pub const ALL: [Self; 37] = [
        Self::Upstream,
        Self::Server,
        Self::Host,
        Self::Port,
        Self::Address,
        Self::Endpoint,
        Self::Socket,
        Self::Name,
        Self::Resolver,
        Self::ResolverPort,
        Self::ServerName,
        Self::Url,
        Self::Resolve,
        Self::Site,
        Self::Path,
        Self::Method,
        Self::Limit,
        Self::Elapsed,
        Self::Idle,
        Self::PoolIdle,
        Self::KeepAlive,
        Self::ClosesAfter,
        Self::HeaderLimit,
        Self::Spoken,
        Self::Alert,
        Self::NotAfter,
        Self::CertificateNames,
        Self::Issuer,
        Self::Software,
        Self::OsError,
        Self::OtherPort,
        Self::OtherUrl,
        Self::FormerAddress,
        Self::CurrentAddresses,
        Self::PortSpeaks,
        Self::OtherPath,
        Self::Process,
    ];

    /// The word between the braces.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Server => "server",
            Self::Host => "host",
            Self::Port => "port",
            Self::Address => "address",
            Self::Endpoint => "endpoint",
            Self::Socket => "socket",
            Self::Name => "name",
            Self::Resolver => "resolver",
            Self::ResolverPort => "resolver_port",
            Self::ServerName => "server_name",
            Self::Url => "url",
            Self::Resolve => "resolve",
            Self::Site => "site",
            Self::Path => "path",
            Self::Method => "method",
            Self::Limit => "limit",
            Self::Elapsed => "elapsed",
            Self::Idle => "idle",
            Self::PoolIdle => "pool_idle",
            Self::KeepAlive => "keep_alive",
            Self::ClosesAfter => "closes_after",
            Self::HeaderLimit => "header_limit",
            Self::Spoken => "spoken",
            Self::Alert => "alert",
            Self::NotAfter => "not_after",
            Self::CertificateNames => "certificate_names",
            Self::Issuer => "issuer",
            Self::Software => "software",
            Self::OsError => "os_error",
            Self::OtherPort => "other_port",
            Self::OtherUrl => "other_url",
            Self::FormerAddress => "former_address",
            Self::CurrentAddresses => "current_addresses",
            Self::PortSpeaks => "port_speaks",
            Self::OtherPath => "other_path",
            Self::Process => "process",
        }
    }

    /// The placeholder of that word, if there is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|placeholder| placeholder.word() == word)
    }

    /// Whether its value is nothing but digits, so that it may stand inside quotes.
    #[must_use]
    pub const fn is_number(self) -> bool {
        matches!(
            self,
            Self::Port | Self::ResolverPort | Self::HeaderLimit | Self::OsError | Self::OtherPort | Self::Process
        )
    }

    /// What it stands for in this case, as it is; none where the case does not know.
    #[must_use]
    pub fn value(self, case: &Case) -> Option<String> {
        let failure = case.failure();
        let target = failure.target.as_ref();
        let value = match self {
            Self::Upstream => Some(case.settings.upstream.clone()),
            Self::Server => target.map(|target| target.url.to_string()),
            Self::Host => target.map(|target| target.host.to_string()),
            Self::Port => port(case).map(|port| port.to_string()),
            Self::Address => address(case).map(|address| address.to_string()),
            Self::Endpoint => endpoint(case),
            Self::Socket => target.and_then(|target| target.socket.as_ref()).map(ToString::to_string),
            Self::Name => name(case),
            Self::Resolver => resolver(case).map(|resolver| resolver.ip().to_string()),
            Self::ResolverPort => {
                resolver(case).map(|it| it.port()).filter(|port| *port != 53).map(|it| it.to_string())
            }
            Self::ServerName => server_name(case).filter(|name| name.parse::<IpAddr>().is_err()),
            Self::Url => url(case),
            Self::Resolve => resolve(case),
            Self::Site => Some(case.request.host.clone()),
            Self::Path => Some(case.request.path.clone()),
            Self::Method => Some(case.request.method.clone()),
            Self::Limit => failure.limit.map(duration),
            Self::Elapsed => Some(duration(failure.stage_elapsed)),
            Self::Idle => failure.connection.idle.map(duration),
            Self::PoolIdle => Some(duration(case.settings.pool_idle)),
            Self::KeepAlive => failure.connection.keep_alive_hint.map(duration),
            Self::ClosesAfter => case.history.server.keep_alive.map(duration),
            Self::HeaderLimit => Some(case.settings.response_header_bytes.to_string()),
            Self::Spoken => failure.spoken.map(|spoken| spoken.name().to_owned()),
            Self::Alert => {
                failure.tls.as_ref().and_then(|tls| tls.alert.as_ref()).map(|it| format!("{} ({})", it.1, it.0))
            }
            Self::NotAfter => certificate(case).and_then(|it| day(it.not_after)),
            Self::CertificateNames => certificate(case).map(|it| it.names.join(", ")),
            Self::Issuer => certificate(case).map(|it| it.issuer.clone()),
            Self::Software => failure.response.as_ref().and_then(|response| response.server.clone()),
            Self::OsError => failure.os_error.map(|number| number.to_string()),
            Self::OtherPort => port::web_beside(case).map(|other| other.connected.address.port().to_string()),
            Self::OtherUrl => other_url(case),
            Self::FormerAddress => {
                name::former(case).filter(|it| it.fault.is_none()).map(|it| it.address.ip().to_string())
            }
            Self::CurrentAddresses => current_addresses(case),
            Self::PortSpeaks => talk::spoken_there(case).map(str::to_owned),
            Self::OtherPath => talk::working_path(case).map(str::to_owned),
            Self::Process => local::held_process(case).map(|id| id.to_string()),
        };
        value.filter(|value| !value.is_empty())
    }
}

fn target(case: &Case) -> Option<&Target> {
    case.failure().target.as_ref()
}

fn peer(case: &Case) -> Option<SocketAddr> {
    let failure = case.failure();
    match &failure.peer {
        Some(Peer::Tcp(peer)) => Some(*peer),
        Some(Peer::Unix(_)) => None,
        None => failure.addresses.last().map(|tried| tried.address),
    }
}

fn port(case: &Case) -> Option<u16> {
    let configured = target(case).map(|target| target.port).filter(|port| *port != 0);
    configured.or_else(|| peer(case).map(|peer| peer.port()))
}

fn address(case: &Case) -> Option<IpAddr> {
    let literal = || target(case).and_then(|target| target.host.parse().ok());
    peer(case).map(|peer| peer.ip()).or_else(literal)
}

fn endpoint(case: &Case) -> Option<String> {
    let port = port(case)?;
    match address(case) {
        Some(address) => Some(SocketAddr::new(address, port).to_string()),
        None => target(case).filter(|target| !target.host.is_empty()).map(|target| format!("{}:{port}", target.host)),
    }
}

fn name(case: &Case) -> Option<String> {
    let asked = case.failure().dns.as_ref().map(|dns| dns.name.clone()).filter(|name| !name.is_empty());
    asked.or_else(|| target(case).filter(|target| target.is_named()).map(|target| target.host.to_string()))
}

fn resolver(case: &Case) -> Option<SocketAddr> {
    let asked = case.failure().dns.as_ref().and_then(|dns| dns.answers.last()).map(|answer| answer.server);
    let configured = || {
        let server = case.settings.name_servers.first()?;
        server.parse().ok().or_else(|| Some(SocketAddr::new(server.parse().ok()?, 53)))
    };
    asked.or_else(configured)
}

/// The name that TLS was spoken with, or would have been.
fn server_name(case: &Case) -> Option<String> {
    let spoken = case.failure().tls.as_ref().map(|tls| tls.server_name.clone()).filter(|name| !name.is_empty());
    spoken.or_else(|| target(case).filter(|target| target.tls).map(|target| target.host.to_string()))
}

/// The host that a URL for this server has: for TLS the name that is verified, so that the same certificate is asked for.
fn asked_host(case: &Case) -> Option<String> {
    let target = target(case)?;
    if target.socket.is_some() {
        return Some("localhost".to_owned());
    }
    let name = if target.tls { server_name(case) } else { None };
    Some(name.unwrap_or_else(|| target.host.to_string())).filter(|host| !host.is_empty())
}

fn url(case: &Case) -> Option<String> {
    let target = target(case)?;
    let host = asked_host(case)?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let scheme = if target.tls { "https" } else { "http" };
    let usual = if target.tls { 443 } else { 80 };
    let port = port(case).filter(|port| *port != usual).map(|port| format!(":{port}")).unwrap_or_default();
    // Only what is safe (RFC 9110, section 9.2.1) is asked for again by the path that failed.
    let safe = matches!(case.request.method.as_str(), "GET" | "HEAD" | "OPTIONS") && case.request.path.starts_with('/');
    let path = if safe { case.request.path.as_str() } else { "/" };
    Some(format!("{scheme}://{host}{port}{path}"))
}

fn resolve(case: &Case) -> Option<String> {
    let host = asked_host(case).filter(|host| host.parse::<IpAddr>().is_err())?;
    let peer = peer(case)?;
    let address = if peer.is_ipv6() { format!("[{}]", peer.ip()) } else { peer.ip().to_string() };
    Some(format!("{host}:{}:{address}", port(case)?))
}

/// The scheme is the one that the other port was heard to speak.
fn other_url(case: &Case) -> Option<String> {
    let other = port::web_beside(case)?;
    let tls = matches!(other.spoken, Some(Spoken::TlsAlert | Spoken::TlsHandshake));
    let scheme = if tls { "https" } else { "http" };
    Some(format!("{scheme}://{}/", other.connected.address))
}

/// Only where they are others than the one that was tried.
fn current_addresses(case: &Case) -> Option<String> {
    let served = name::served(case);
    let tried = address(case)?;
    let served: Vec<String> = served.iter().filter(|_| !served.contains(&tried)).map(ToString::to_string).collect();
    (!served.is_empty()).then(|| list(&served))
}

fn certificate(case: &Case) -> Option<&crate::fault::failure::CertificateEvidence> {
    case.failure().tls.as_ref()?.certificate.as_ref()
}

/// A day as the log writes it: `2026-03-09`.
fn day(seconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(seconds).ok().map(|time| time.date().to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::diagnosis::samples;
    use crate::fault::Fault;

    #[test]
    fn a_word_leads_back_to_its_placeholder() {
        for placeholder in Placeholder::ALL {
            assert_eq!(Placeholder::from_word(placeholder.word()), Some(placeholder));
        }
        let words: BTreeSet<_> = Placeholder::ALL.iter().map(|placeholder| placeholder.word()).collect();
        assert_eq!(words.len(), Placeholder::ALL.len());
    }

    #[test]
    fn the_runbook_explains_every_placeholder() {
        let runbook = include_str!("../../config/checklist.toml");
        let comments: String = runbook.lines().filter(|line| line.starts_with('#')).collect();
        for placeholder in Placeholder::ALL {
            assert!(comments.contains(&format!("{{{}}} ", placeholder.word())), "{{{}}}", placeholder.word());
        }
    }

    #[test]
    fn each_placeholder_stands_for_what_the_case_knows() {
        let mut case = samples::full(Fault::ConnectionRefused);
        let expected = [
            ("upstream", "walrus"),
            ("server", "https://badger.internal:3456"),
            ("host", "badger.internal"),
            ("port", "3456"),
            ("address", "10.77.0.5"),
            ("endpoint", "10.77.0.5:3456"),
            ("socket", "/run/marmot.sock"),
            ("name", "badger.internal"),
            ("resolver", "10.77.0.54"),
            ("server_name", "lemur.internal"),
            ("site", "quail.example"),
            ("path", "/otter/list"),
            ("method", "GET"),
            ("limit", "54.3 s"),
            ("elapsed", "43.2 s"),
            ("idle", "4.9 s"),
            ("pool_idle", "55 s"),
            ("keep_alive", "5 s"),
            ("closes_after", "6.1 s"),
            ("header_limit", "65536"),
            ("spoken", "SSH"),
            ("alert", "handshake_failure (40)"),
            ("not_after", "2026-03-09"),
            ("certificate_names", "gecko.internal, gecko.example"),
            ("issuer", "CN=heron"),
            ("software", "narwhal/1.2"),
            ("os_error", "111"),
            ("other_port", "8181"),
            ("other_url", "https://10.77.0.5:8181/"),
            ("former_address", "10.77.0.66"),
            ("current_addresses", "10.77.0.67"),
            ("process", "47110"),
        ];
        for (word, value) in expected {
            assert_eq!(value_of(word, &case).as_deref(), Some(value), "{{{word}}}");
        }
        let closed = samples::full(Fault::ClosedBeforeResponse);
        for (word, value) in [("port_speaks", "Redis"), ("other_path", "/dugong")] {
            assert_eq!(value_of(word, &closed).as_deref(), Some(value), "{{{word}}}");
        }
        case.settings.name_servers = vec!["10.77.0.9:5353".into()];
        case.attempts[0].dns = None;
        assert_eq!(value_of("resolver", &case).as_deref(), Some("10.77.0.9"));
        assert_eq!(value_of("resolver_port", &case).as_deref(), Some("5353"));
    }

    #[test]
    fn what_a_case_does_not_know_has_no_value() {
        let mut case = samples::case(Fault::DnsNameNotFound);
        case.attempts[0].target = None;
        case.settings.name_servers.clear();
        case.request.host.clear();
        for placeholder in Placeholder::ALL {
            let known =
                ["upstream", "path", "method", "elapsed", "pool_idle", "header_limit"].contains(&placeholder.word());
            assert_eq!(placeholder.value(&case).is_some(), known, "{{{}}}", placeholder.word());
        }
    }

    #[test]
    fn a_url_asks_the_server_as_the_proxy_does() {
        // The server, the peer, the request, and the URL with what `curl --resolve` needs.
        let table = [
            (
                "http://app.internal:3000",
                Some("10.77.0.5:3000"),
                "GET /a",
                "http://app.internal:3000/a app.internal:3000:10.77.0.5",
            ),
            (
                "http://app.internal:80",
                Some("[2001:db8::5]:80"),
                "GET /a",
                "http://app.internal/a app.internal:80:[2001:db8::5]",
            ),
            ("https://app.internal:443", None, "HEAD /a", "https://app.internal/a -"),
            ("https://10.77.0.5:443", Some("10.77.0.5:443"), "GET /a", "https://10.77.0.5/a -"),
            ("http://2001:db8::5:3000", Some("[2001:db8::5]:3000"), "GET /a", "http://[2001:db8::5]:3000/a -"),
            ("http://app.internal:3000", None, "POST /pay", "http://app.internal:3000/ -"),
            ("http://app.internal:3000", None, "OPTIONS *", "http://app.internal:3000/ -"),
        ];
        for (server, peer, request, expected) in table {
            let mut case = samples::case(Fault::ClosedBeforeResponse);
            let (scheme, authority) = server.split_once("://").unwrap();
            let (host, port) = authority.rsplit_once(':').unwrap();
            let (tls, port) = (scheme == "https", port.parse().unwrap());
            case.attempts[0].target = Some(Target { host: host.into(), port, tls, ..samples::target() });
            case.attempts[0].peer = peer.map(|peer| Peer::Tcp(peer.parse().unwrap()));
            let (method, path) = request.split_once(' ').unwrap();
            (case.request.method, case.request.path) = (method.into(), path.into());
            let told = |word| value_of(word, &case).unwrap_or_else(|| "-".into());
            assert_eq!(format!("{} {}", told("url"), told("resolve")), expected, "{server} {request}");
        }
    }

    fn value_of(word: &str, case: &Case) -> Option<String> {
        Placeholder::from_word(word).unwrap().value(case)
    }
}
