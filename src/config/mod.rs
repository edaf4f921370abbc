//! Owns the configuration: what may be set, what it means, and what is said when it is wrong.
//!
//! A `Config` is whole and right; there is no half-read one. Reading is done by `document` (TOML with places) and the
//! files named after the sections; `check` looks across sections. Defaults stand in the contract, section 2.

pub mod document;
pub mod problem;
pub mod value;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use self::value::HostPattern;
pub use self::value::ListenAddress;
pub use self::value::Location;
pub use self::value::Networks;
pub use self::value::ServerUrl;

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from; none with `--to`.
    pub file: Option<PathBuf>,
    /// How long requests in flight may take to end after SIGTERM.
    pub shutdown_timeout: Duration,
    /// Where clients are accepted; at least one.
    pub listeners: Vec<Listener>,
    /// Which request goes where.
    pub routes: Vec<Route>,
    /// The origins.
    pub upstreams: Vec<Arc<Upstream>>,
    /// How names are looked up.
    pub dns: Dns,
    /// How failures are answered.
    pub diagnosis: Diagnosis,
    /// Who may see addresses, evidence and commands.
    pub operators: Operators,
    /// What is told to the origin about the client.
    pub forwarding: Forwarding,
    /// What a client may ask of this proxy.
    pub limits: Limits,
    /// Where the log goes.
    pub log: Log,
    /// The threads.
    pub runtime: Runtime,
}

/// `[[listener]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens.
    pub address: ListenAddress,
}

/// `[[route]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The hosts it is for.
    pub host: HostPattern,
    /// The path prefix, on whole segments; begins with `/`, and ends with one only where it is `/` itself.
    pub path: Arc<str>,
    /// The upstream's name.
    pub upstream: Arc<str>,
}

/// `[[upstream]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name.
    pub name: Arc<str>,
    /// Its servers; at least one.
    pub servers: Vec<ServerUrl>,
    /// How one of them is chosen.
    pub balance: Balance,
    /// What the origin sees as `Host`.
    pub host_header: HostHeader,
    /// What runs there, for the checklists.
    pub platform: Platform,
    /// `[upstream.timeouts]`
    pub timeouts: Timeouts,
    /// `[upstream.tls]`
    pub tls: UpstreamTls,
    /// `[upstream.retry]`
    pub retry: Retry,
    /// `[upstream.ejection]`
    pub ejection: Ejection,
    /// `[upstream.pool]`
    pub pool: Pool,
    /// `[upstream.limits] response_header_bytes`: how many bytes the head of a response may have.
    pub response_header_bytes: u64,
}

/// How a server is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// The one with the fewest requests in flight.
    LeastRequests,
    /// One after the other.
    RoundRobin,
}

/// What the origin sees as `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostHeader {
    /// What the client sent.
    Client,
    /// The server's own host and port.
    Upstream,
    /// This name.
    Literal(Arc<str>),
}

/// What an upstream is made with; tunes the checklists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Platform {
    /// Nothing is known.
    Generic,
    /// PHP.
    Php,
    /// WordPress, which is PHP too.
    Wordpress,
    /// Magento, which is PHP too.
    Magento,
    /// Node.js.
    Node,
    /// Python.
    Python,
    /// Java.
    Java,
    /// Ruby.
    Ruby,
    /// Go.
    Go,
}

impl Platform {
    /// Every platform.
    pub const ALL: [Self; 9] = [
        Self::Generic,
        Self::Php,
        Self::Wordpress,
        Self::Magento,
        Self::Node,
        Self::Python,
        Self::Java,
        Self::Ruby,
        Self::Go,
    ];

    /// The word of the contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Php => "php",
            Self::Wordpress => "wordpress",
            Self::Magento => "magento",
            Self::Node => "node",
            Self::Python => "python",
            Self::Java => "java",
            Self::Ruby => "ruby",
            Self::Go => "go",
        }
    }
}

/// `[upstream.timeouts]`: one limit for each wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// Looking up the name.
    pub resolve: Duration,
    /// Opening the connection, all addresses together.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// No progress while sending the request.
    pub send: Duration,
    /// From the request's last byte until the response's head is complete.
    pub response: Duration,
    /// No progress while reading the body.
    pub body: Duration,
    /// No byte either way on an upgraded connection.
    pub tunnel: Duration,
}

/// `[upstream.tls]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Whether the server's certificate is verified.
    pub verify: bool,
    /// A file of certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// The name to send and to verify instead of the server's host.
    pub server_name: Option<Arc<str>>,
    /// The client certificate and its key, PEM files; both or none.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// `[upstream.retry]`
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// How often a request may go out in all; 1 means never twice.
    pub attempts: u32,
    /// Retries per request, over a sliding window.
    pub budget: f64,
}

/// `Retry` compares as a whole; its budget is never NaN, which the reader refuses.
impl Eq for Retry {}

/// `[upstream.ejection]`
#[derive(Debug, Clone, PartialEq)]
pub struct Ejection {
    /// How many failures in a row take a server out.
    pub after: u32,
    /// For how long, the first time.
    pub base_time: Duration,
    /// The largest share of the servers that may be out, from 0.0 to 1.0; the count is rounded down.
    pub max_share: f64,
}

/// `Ejection` compares as a whole; its share is never NaN, which the reader refuses.
impl Eq for Ejection {}

/// `[upstream.pool]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// How many idle connections are kept per server.
    pub max_idle: usize,
}

/// `[dns]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// The name servers; empty: the system's.
    pub servers: Vec<std::net::SocketAddr>,
    /// The longest time for which an answer is believed.
    pub max_ttl: Duration,
    /// How long after its TTL an address that worked is used while DNS fails.
    pub serve_stale: Duration,
}

/// `[diagnosis]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Which status a failure is answered with.
    pub status: StatusPolicy,
    /// Whether a failing server is examined in the background. Accepted; there are no probes yet, see `Config::notices`.
    pub probes: bool,
    /// At most one round of probes per server in this time.
    pub probe_interval: Duration,
    /// How long a failing answer may wait for a round under way.
    pub wait: Duration,
    /// The operator's own steps.
    pub checklists: Option<PathBuf>,
}

/// Which status a failure of an upstream is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPolicy {
    /// 502 for all.
    BadGateway,
    /// 500, 502, 503 or 504, as RFC 9209 recommends.
    Standard,
    /// 503 for all, for CDNs that replace the bodies of 502 and 504.
    Unavailable,
}

/// `[operators]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operators {
    /// Client addresses that are operators'.
    pub networks: Networks,
    /// The token that makes a request an operator's, read from `token_file`.
    pub token: Option<Token>,
}

/// A secret that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub Arc<str>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// `[forwarding]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarding {
    /// Whose forwarding fields are believed.
    pub trusted_proxies: Networks,
    /// Which fields tell the origin of the client.
    pub headers: ForwardingHeaders,
}

/// Which fields tell the origin of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardingHeaders {
    /// `X-Forwarded-For`, `-Proto`, `-Host`.
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// Both.
    Both,
    /// Neither.
    None,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Client connections in all.
    pub connections: usize,
    /// Bytes of a request's head.
    pub request_header_bytes: u64,
    /// Bytes of a request's body; 0: no limit.
    pub request_body_bytes: u64,
    /// How long a client may take to send its head.
    pub header_timeout: Duration,
    /// No progress of a client's body, or of a client that reads.
    pub body_timeout: Duration,
    /// How long a client's connection may lie idle.
    pub idle_timeout: Duration,
    /// Connections of one client address; 0: no limit.
    pub connections_per_client: usize,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// Where lines go.
    pub output: LogOutput,
    /// Whether every request gets a line.
    pub access: bool,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a person.
    Pretty,
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// `[runtime]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// Threads that serve; 0: one per core.
    pub workers: usize,
}
