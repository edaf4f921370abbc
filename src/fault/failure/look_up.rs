//! Owns what is known of a name's look-up.

use std::net::SocketAddr;
use std::time::Duration;

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

/// A look-up of SRV records (RFC 2782).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SrvEvidence {
    /// They were asked for.
    Asked,
    /// They say that the service is decidedly not there: the target is the root.
    NotOffered,
}
