//! Owns the evidence record of one failed attempt: everything that the exchange itself could see, as values.
//!
//! It is filled where things happen (`dns`, `upstream`) and read by `diagnosis`. It holds facts only, no opinion, and no
//! sentence: those are made from it for the one who reads.

mod exchange;
mod look_up;
mod own;
mod response;
mod tls;

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use self::exchange::ByteCounts;
pub use self::exchange::ConnectionEvidence;
pub use self::exchange::H2Evidence;
pub use self::exchange::Icmp;
pub use self::exchange::IcmpEvidence;
pub use self::exchange::Malformed;
pub use self::exchange::TransportEvidence;
pub use self::look_up::DnsAnswer;
pub use self::look_up::DnsEvidence;
pub use self::look_up::SrvEvidence;
pub use self::own::CapacityEvidence;
pub use self::own::CheckEvidence;
pub use self::own::Limited;
pub use self::own::LocalEvidence;
pub use self::response::ResponseEvidence;
pub use self::tls::CertificateEvidence;
pub use self::tls::TlsEvidence;
use super::Fault;
use super::Spoken;

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
    /// The message that said so, where the connection was not opened for one.
    pub icmp: Option<IcmpEvidence>,
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
        self.socket.is_none() && self.host.parse::<IpAddr>().is_err()
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

impl Peer {
    /// Its address, one of IPv4 as such even where a socket of IPv6 has it; none for a unix socket.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip().to_canonical()),
            Self::Unix(_) => None,
        }
    }
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
            icmp: None,
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
        (self.fault, self.limit, self.os_error, self.icmp) == (other.fault, other.limit, other.os_error, other.icmp)
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
