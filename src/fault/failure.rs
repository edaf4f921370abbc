//! Owns the evidence record of one failed attempt: everything that the exchange itself could see, as values.
//!
//! It is filled where things happen (`dns`, `upstream`) and read by `diagnosis`. It holds facts only, no opinion, and no
//! sentence: those are made from it for the one who reads.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Fault;
use super::Spoken;
use super::gateway::Gateway;
use super::gateway::Hop;
use super::gateway::Inner;
use super::malformed::shown;
use super::own::CapacityEvidence;
use super::own::CheckEvidence;
pub use super::particular::H2Evidence;
pub use super::particular::SrvEvidence;

/// One failed attempt at an exchange with a server.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What was observed.
    pub fault: Fault,
    /// The server that was tried; none where the proxy never got as far as choosing one.
    pub target: Option<Target>,
    /// The address that the fault belongs to: the one connected to, or the last one tried.
    pub peer: Option<Peer>,
    /// From the beginning of the attempt to the failure.
    pub elapsed: Duration,
    /// How long the stage that failed had taken.
    pub stage_elapsed: Duration,
    /// The limit that ran out, where the fault is a time limit.
    pub limit: Option<Duration>,
    /// The operating system's error number, where there is one.
    pub os_error: Option<i32>,
    /// Each address that was tried, with its own error (RFC 8305).
    pub addresses: Vec<AddressFailure>,
    /// What the name servers said, where a name was looked up and failed.
    pub dns: Option<DnsEvidence>,
    /// What is known of the TLS handshake, where there was one.
    pub tls: Option<TlsEvidence>,
    /// The connection's past.
    pub connection: ConnectionEvidence,
    /// How much went each way.
    pub bytes: ByteCounts,
    /// What the first bytes received look like; none where nothing was received.
    pub spoken: Option<Spoken>,
    /// What was wrong with the answer's form.
    pub malformed: Option<Malformed>,
    /// What the kernel knows of the connection at the time of the failure.
    pub transport: Option<TransportEvidence>,
    /// The answer's own head, where one was read.
    pub response: Option<ResponseEvidence>,
    /// What HTTP/2 said of the end of the stream or of its connection.
    pub h2: Option<H2Evidence>,
    /// What this host had left, where it is this host's own failure.
    pub local: Option<LocalEvidence>,
    /// What was full, where there was no place for the request.
    pub capacity: Option<CapacityEvidence>,
    /// What an active check was answered that took the server out, where there was an answer.
    pub check: Option<CheckEvidence>,
    /// The foreign error that this was classified from, for the operator's log.
    pub source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The server of an attempt, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The upstream's name.
    pub upstream: Arc<str>,
    /// The server's URL, as the configuration has it: `http://app-1.internal:3000`, `unix:/run/app.sock`.
    pub url: Arc<str>,
    /// Host name or address literal without brackets; empty for a unix socket.
    pub host: Arc<str>,
    /// The port; 0 for a unix socket.
    pub port: u16,
    /// Whether TLS is spoken to it.
    pub tls: bool,
    /// The path of a unix socket.
    pub socket: Option<Arc<str>>,
}

impl Target {
    /// Whether the host is a name that has to be looked up, not an address literal or a unix socket.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.socket.is_none() && self.host.parse::<std::net::IpAddr>().is_err()
    }
}

/// The far end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Peer {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A unix socket's path.
    Unix(Arc<str>),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// One address that was tried and failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressFailure {
    /// The address.
    pub address: SocketAddr,
    /// Its own fault.
    pub fault: Fault,
    /// Its own error number.
    pub os_error: Option<i32>,
    /// How long that took.
    pub elapsed: Duration,
}

/// What name servers said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DnsEvidence {
    /// The name that was asked for, without a final dot.
    pub name: String,
    /// What each server that was asked said, in order.
    pub answers: Vec<DnsAnswer>,
    /// Names passed on the way by CNAME records, in order.
    pub aliases: Vec<String>,
    /// What was asked for, where it was no address.
    pub srv: Option<SrvEvidence>,
    /// Whether this is an earlier failure that is still remembered (RFC 9520), and for how long it still is.
    pub remembered: Option<Duration>,
}

/// What one name server said, or failed to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAnswer {
    /// The server.
    pub server: SocketAddr,
    /// The response code's mnemonic (`NXDOMAIN`, `SERVFAIL`, `NOERROR` …); none where nothing came back.
    pub rcode: Option<&'static str>,
    /// Extended DNS Errors (RFC 8914): info code and text, in order.
    pub extended: Vec<(u16, String)>,
    /// How long it took.
    pub elapsed: Duration,
    /// The operating system's error number, where the server could not be reached.
    pub os_error: Option<i32>,
}

/// What is known of a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsEvidence {
    /// The name that was sent as SNI and verified.
    pub server_name: String,
    /// The alert that the server sent: its number and its RFC 8446 name (`handshake_failure`).
    pub alert: Option<(u8, String)>,
    /// The certificate that the server presented, where one was.
    pub certificate: Option<CertificateEvidence>,
    /// Whether a client certificate was configured.
    pub client_certificate: bool,
    /// Whether HTTP/2 is required and the server agreed to no protocol at all (ALPN, RFC 7301).
    pub without_alpn: bool,
}

/// A certificate as the server presented it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificateEvidence {
    /// Its subject, as a distinguished name.
    pub subject: String,
    /// Its issuer, as a distinguished name.
    pub issuer: String,
    /// The names that it is valid for.
    pub names: Vec<String>,
    /// Seconds since 1970 from which it is valid.
    pub not_before: i64,
    /// Seconds since 1970 until which it is valid.
    pub not_after: i64,
    /// Whether it is signed by itself.
    pub self_signed: bool,
    /// How many certificates were presented, this one included.
    pub chain_length: usize,
    /// This host's time when it was verified, in seconds since 1970.
    pub verified_at: i64,
}

/// The past of the connection that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectionEvidence {
    /// Whether the connection had been used before.
    pub reused: bool,
    /// How long it had lain idle before this request.
    pub idle: Option<Duration>,
    /// How long it had been open.
    pub age: Option<Duration>,
    /// How many requests it had answered before this one.
    pub requests_served: u32,
    /// What the server had announced in `Keep-Alive: timeout=…`.
    pub keep_alive_hint: Option<Duration>,
}

/// How many bytes went each way in one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByteCounts {
    /// Bytes of the request handed to the kernel, head and body.
    pub request_sent: u64,
    /// Whether the whole request was handed to the kernel.
    pub request_complete: bool,
    /// Bytes of the request's body that its head declared.
    pub request_declared: Option<u64>,
    /// Bytes received for this exchange, head and body, framing included.
    pub received: u64,
    /// Bytes of the response's body passed on.
    pub response_body: u64,
    /// Bytes of the body that the response's head declared.
    pub response_declared: Option<u64>,
    /// The limit on the response's head, where it was reached.
    pub header_limit: Option<u64>,
}

/// What was wrong with an answer that began like HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    /// The status line.
    StatusLine,
    /// The status is outside 100 to 599.
    Status(u16),
    /// A protocol version that was not asked for.
    Version,
    /// Lengths that contradict each other or are no numbers; the values as sent, cleaned for display.
    ContentLength(Vec<String>),
    /// `Content-Length` beside `Transfer-Encoding`.
    LengthAndCoding,
    /// A transfer coding that is not `chunked`, or not once and last.
    TransferCoding(String),
    /// A field line that is not one: its number after the status line, from 1.
    FieldLine(usize),
    /// More field lines than are allowed.
    TooManyFields,
    /// A body where none is allowed, or bytes behind the end of the answer.
    Excess,
    /// 101 that was not asked for, or to a protocol that was not asked for: what it said.
    Upgrade(Option<String>),
    /// The answer's head holds fields that repeat so often that they fill it: name and count.
    Bloated(String, usize),
    /// A chunk size that is none.
    ChunkSize,
    /// Something that could not be named more closely.
    Other,
}

/// What the kernel knows of a TCP connection (`TCP_INFO`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransportEvidence {
    /// Segments sent again since the last progress.
    pub retransmits: u32,
    /// Segments sent again in all.
    pub total_retransmits: u32,
    /// Segments that the far end has not acknowledged.
    pub unacknowledged: u32,
    /// Smoothed round-trip time.
    pub round_trip: Duration,
    /// The largest segment that is sent, in bytes.
    pub segment_size: u32,
}

/// The head of an answer that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseEvidence {
    /// Its status.
    pub status: u16,
    /// Its `Server` field, cleaned for display.
    pub server: Option<String>,
    /// Its `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// Its `Via`, cleaned for display.
    pub via: Option<String>,
    /// Who made it in the origin's place, where it was intercepted and that can be told.
    pub gateway: Option<Gateway>,
    /// What that one says of the hop behind it.
    pub inner: Option<Inner>,
    /// The words that say so, cleaned for display.
    pub said: Option<String>,
    /// The gateways that it passed, by their `Proxy-Status`, nearest the origin first.
    pub hops: Vec<Hop>,
}

/// What this host had left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LocalEvidence {
    /// File descriptors open in this process.
    pub descriptors: Option<u64>,
    /// How many it may have.
    pub descriptor_limit: Option<u64>,
    /// The range of ports for outgoing connections.
    pub port_range: Option<(u16, u16)>,
}

impl ResponseEvidence {
    /// What the head of an answer says of itself.
    #[must_use]
    pub fn of(parts: &http::response::Parts) -> Self {
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            status: parts.status.as_u16(),
            server: text(http::header::SERVER).map(|server| shown(server, LONGEST_FIELD)),
            retry_after: text(http::header::RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok()),
            via: text(http::header::VIA).map(|via| shown(via, LONGEST_FIELD)),
            ..Self::default()
        }
    }
}

impl Failure {
    /// A failure of which nothing else is known yet.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            target: None,
            peer: None,
            elapsed: Duration::ZERO,
            stage_elapsed: Duration::ZERO,
            limit: None,
            os_error: None,
            addresses: Vec::new(),
            dns: None,
            tls: None,
            connection: ConnectionEvidence::default(),
            bytes: ByteCounts::default(),
            spoken: None,
            malformed: None,
            transport: None,
            response: None,
            h2: None,
            local: None,
            capacity: None,
            check: None,
            source: None,
        }
    }

    /// The same failure with the foreign error that it was classified from.
    #[must_use]
    pub fn because(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// The same failure with the limit that ran out.
    #[must_use]
    pub fn after(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Whether the server has said that it did not begin to process the request, so that it may go out again whatever its
    /// method (RFC 9113, section 8.7).
    #[must_use]
    pub fn was_not_processed(&self) -> bool {
        self.h2.as_ref().is_some_and(|h2| h2.unprocessed)
    }

    /// Whether it came too late for a connection that the server closes in order.
    #[must_use]
    pub fn was_closing(&self) -> bool {
        let in_order = self.h2.as_ref().is_some_and(|h2| h2.reset_code.is_none() && h2.goaway_code == Some(0));
        in_order && self.was_not_processed()
    }

    /// How long the stage that failed had taken, or the whole attempt where nobody measured the stage.
    #[must_use]
    pub fn waited(&self) -> Duration {
        if self.stage_elapsed.is_zero() { self.elapsed } else { self.stage_elapsed }
    }

    /// The address that the fault belongs to; none for a unix socket and where there was none yet.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self.peer {
            Some(Peer::Tcp(address)) => Some(address),
            Some(Peer::Unix(_)) | None => None,
        }
    }

    /// Whether this is the same failure again, at another moment: all that can be told of it is equal, and its times are alike
    /// to within a factor of two. Of a connection that was used before no two stories are alike.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let alike = |a: Duration, b: Duration| a.as_micros().max(1).ilog2() == b.as_micros().max(1).ilog2();
        // How many wait changes with every request, and is told of the first of those that are alike.
        let full = |failure: &Self| failure.capacity.map(|known| CapacityEvidence { waiting: 0, ..known });
        let same_addresses = self.addresses.len() == other.addresses.len()
            && self.addresses.iter().zip(&other.addresses).all(|(a, b)| {
                (a.address, a.fault, a.os_error) == (b.address, b.fault, b.os_error) && alike(a.elapsed, b.elapsed)
            });
        (self.fault, self.limit, self.os_error) == (other.fault, other.limit, other.os_error)
            && alike(self.elapsed, other.elapsed)
            && alike(self.stage_elapsed, other.stage_elapsed)
            && !self.connection.reused
            && !other.connection.reused
            && (&self.target, &self.peer) == (&other.target, &other.peer)
            && self.bytes == other.bytes
            && same_addresses
            && (full(self), &self.check) == (full(other), &other.check)
            && (&self.dns, &self.tls) == (&other.dns, &other.tls)
            && (&self.spoken, &self.malformed) == (&other.spoken, &other.malformed)
            && (&self.transport, &self.response, &self.local) == (&other.transport, &other.response, &other.local)
    }

    /// Whether no byte of the request reached the kernel, so that sending it again cannot do anything twice.
    #[must_use]
    pub fn nothing_sent(&self) -> bool {
        self.bytes.request_sent == 0
    }

    /// Whether not one byte of an answer was received.
    #[must_use]
    pub fn nothing_received(&self) -> bool {
        self.bytes.received == 0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl Error for Failure {}

/// Characters of a field of an answer that are kept.
const LONGEST_FIELD: usize = 120;
