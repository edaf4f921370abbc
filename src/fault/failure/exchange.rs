//! Owns what is known of an exchange: its connection, what went each way, and what was wrong with the form of it.

use std::net::IpAddr;
use std::time::Duration;

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
    /// Segments received on this connection while an earlier one was missing.
    pub out_of_order: u32,
}

/// The ICMP message that kept a connection from being opened (RFC 792; RFC 4443, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpEvidence {
    /// Who sent it: the host itself, a router, a firewall, or this host's own rules.
    pub from: Option<IpAddr>,
    /// What it says.
    pub says: Icmp,
}

/// What an ICMP message says of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icmp {
    /// There is no way to its network.
    NetworkUnreachable,
    /// The host does not answer for its address.
    HostUnreachable,
    /// Its port is not to be reached. Of TCP no host says so by itself (RFC 9293, section 3.5.2): it resets.
    PortUnreachable,
    /// A filter forbids it.
    Prohibited,
    /// Something else.
    Other,
}

impl Icmp {
    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NetworkUnreachable => "network unreachable",
            Self::HostUnreachable => "host unreachable",
            Self::PortUnreachable => "port unreachable",
            Self::Prohibited => "administratively prohibited",
            Self::Other => "unreachable",
        }
    }
}

/// What HTTP/2 said of the end of a stream or of its connection (RFC 9113, sections 5.4 and 7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct H2Evidence {
    /// The number of the request's stream, where it had got one.
    pub stream: Option<u32>,
    /// The code with which the server reset the stream.
    pub reset_code: Option<u32>,
    /// The code with which the server ended the connection (GOAWAY).
    pub goaway_code: Option<u32>,
    /// The last stream that the server may have processed, as its GOAWAY has it.
    pub last_stream: Option<u32>,
    /// What the server wrote into its GOAWAY for people, cleaned for display.
    pub debug_data: Option<String>,
    /// The code of the error that this proxy found in what the server sent.
    pub found_code: Option<u32>,
    /// Whether the server has said that it did not begin to process the request (RFC 9113, section 8.7).
    pub unprocessed: bool,
}
