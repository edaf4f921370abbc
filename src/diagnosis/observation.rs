//! Owns what probes measured, as values: facts about a server, its name, its host and this host, and no conclusion. What a
//! measurement means is for `rules` to say, and who measures is `crate::probe`.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::fault::Fault;
use crate::fault::Spoken;
use crate::fault::failure::CertificateEvidence;

/// What one round of checks of one server has found so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// What was measured, in the order in which it was known.
    pub observations: Arc<Vec<Observation>>,
    /// Whether there is more to come.
    pub under_way: bool,
    /// How long before the failure the round had begun.
    pub age: Duration,
    /// The round's number in this process, from 1; 0 where there was none.
    pub round: u64,
}

impl Findings {
    /// Whether nothing was found since.
    #[must_use]
    pub fn is_same(&self, later: &Self) -> bool {
        (self.round, self.observations.len(), self.under_way)
            == (later.round, later.observations.len(), later.under_way)
    }
}

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// What one name server says now.
    NameServer(NameServer),
    /// What the hosts file says, where it knows the name.
    HostsFile(Vec<IpAddr>),
    /// What the name leads to with a final dot, so that no search domain is tried, where that differs.
    AbsoluteName(Result<Vec<IpAddr>, Fault>),
    /// The address that answered well before, tried again though the name does not lead there any more.
    FormerAddress(Connected),
    /// A new connection to one of the server's addresses, on its own port.
    Connected(Connected),
    /// A connection to another port of the same host.
    OtherPort(OtherPort),
    /// Whether the host answered an echo request (ICMP), and after how long. Silence says little: many hosts do not answer.
    Echo {
        /// The host.
        address: IpAddr,
        /// How long it took; none where nothing came.
        after: Option<Duration>,
    },
    /// What the kernel's neighbour table (ARP, ND) says of a host on this host's own network.
    Neighbour {
        /// The host.
        address: IpAddr,
        /// Whether its hardware address is known.
        state: NeighbourState,
    },
    /// What the port does when it is spoken to in one way.
    Spoke(Spoke),
    /// The certificate that the server presents, whether or not it is good.
    Certificate(Box<Certificate>),
    /// A small request of the proxy's own on a fresh connection.
    Asked(Asked),
    /// What listens on this host, where the server is on it: the addresses that the port, or another port, is bound to.
    Listening {
        /// The port asked about.
        port: u16,
        /// Where something listens on that very port.
        on_port: Vec<IpAddr>,
    },
    /// The queue of connections that wait to be accepted by a server on this host.
    AcceptQueue {
        /// How many wait.
        waiting: u32,
        /// How many may wait.
        room: u32,
    },
    /// A unix socket's file.
    SocketFile(SocketFile),
    /// A process on this host that holds the server's listening socket, where it may be seen.
    Process {
        /// Its number.
        id: u32,
        /// Its name.
        name: String,
        /// What it is doing.
        state: ProcessState,
    },
    /// Processes on this host were killed for lack of memory: how many within the last ten minutes, where that can be read.
    KilledForMemory {
        /// How many.
        count: u64,
    },
    /// What this host has left.
    Own(Own),
}

/// What one name server says now of the server's name.
#[derive(Debug, Clone, PartialEq)]
pub struct NameServer {
    /// The name server.
    pub server: SocketAddr,
    /// The response code's mnemonic (`NXDOMAIN`, `NOERROR` …); none where nothing came back.
    pub rcode: Option<&'static str>,
    /// Extended DNS Errors (RFC 8914): info code and text.
    pub extended: Vec<(u16, String)>,
    /// The addresses that it gave.
    pub addresses: Vec<IpAddr>,
    /// Names passed on the way by CNAME records, in order.
    pub aliases: Vec<String>,
    /// How long it took, or was waited for.
    pub elapsed: Duration,
    /// The operating system's error number, where it could not be reached.
    pub os_error: Option<i32>,
}

/// How a connection went.
#[derive(Debug, Clone, PartialEq)]
pub struct Connected {
    /// Where to.
    pub address: SocketAddr,
    /// None where it was opened; otherwise why not.
    pub fault: Option<Fault>,
    /// The operating system's error number.
    pub os_error: Option<i32>,
    /// How long it took.
    pub elapsed: Duration,
}

/// A connection to another port of the server's host.
#[derive(Debug, Clone, PartialEq)]
pub struct OtherPort {
    /// How it went.
    pub connected: Connected,
    /// What was spoken there, where it was opened and asked for `/` in HTTP: what came first.
    pub spoken: Option<Spoken>,
    /// The status of the answer, where it was HTTP.
    pub status: Option<u16>,
}

/// The state of an entry of the neighbour table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeighbourState {
    /// The host answered for its address.
    Known,
    /// It was asked for, and nobody has answered.
    Unanswered,
}

/// How the port was spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tongue {
    /// Not at all: only listened to.
    Silence,
    /// A TLS hello.
    Tls,
    /// A plain HTTP/1.1 request.
    Http1,
    /// The preface of HTTP/2.
    Http2,
    /// A PROXY protocol header before a plain HTTP/1.1 request.
    ProxyHeader,
    /// A command of Redis.
    Redis,
    /// A record of FastCGI.
    FastCgi,
}

/// What the port did when it was spoken to.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoke {
    /// How.
    pub tongue: Tongue,
    /// What it answered, by the first bytes; none where no byte came.
    pub heard: Option<Spoken>,
    /// The status, where it answered in HTTP.
    pub status: Option<u16>,
    /// How the connection stood in the end.
    pub end: SpokeEnd,
    /// How long it took.
    pub elapsed: Duration,
}

/// How a connection that was spoken on stood in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpokeEnd {
    /// Open: the probe had heard enough, or its time was up.
    Open,
    /// The far end had closed it.
    Closed,
    /// The far end had reset it.
    Reset,
    /// It could not be opened.
    NotOpened,
}

/// A certificate as presented to a probe that verifies nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// The name that was sent as SNI; none where none was.
    pub server_name: Option<String>,
    /// What it says.
    pub evidence: CertificateEvidence,
}

/// A request of the proxy's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The path: the health check's, or `/`.
    pub path: String,
    /// The status of the answer, where one came.
    pub status: Option<u16>,
    /// Why none came.
    pub fault: Option<Fault>,
    /// From the request until the answer's head, or until it was given up.
    pub elapsed: Duration,
}

/// The file of a unix socket.
#[derive(Debug, Clone, PartialEq)]
pub struct SocketFile {
    /// Its path.
    pub path: String,
    /// What is there.
    pub found: SocketFound,
}

/// What is at the path of a unix socket.
#[derive(Debug, Clone, PartialEq)]
pub enum SocketFound {
    /// Nothing; the nearest folder above that exists.
    Nothing {
        /// That folder.
        nearest: String,
    },
    /// A file that is no socket.
    NoSocket,
    /// A socket, with its permission bits and its owner's and group's numbers.
    Socket {
        /// The permission bits.
        mode: u32,
        /// The owner.
        owner: u32,
        /// The group.
        group: u32,
        /// Whether something listens on it, where that can be seen.
        listened_on: Option<bool>,
    },
    /// It may not be looked at.
    Hidden,
}

/// What a process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessState {
    /// It runs or waits.
    Alive,
    /// It was stopped by a signal or a debugger.
    Stopped,
    /// It waits for a disk.
    Blocked,
    /// It has ended, and nobody has taken note.
    Zombie,
}

/// What this host has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Own {
    /// File descriptors open in this process, and how many it may have.
    pub descriptors: Option<(u64, u64)>,
    /// Connections of this host to the server's address and port, and how many local ports there are.
    pub ports: Option<(u64, u64)>,
    /// Whether the server's address is one that this process itself listens on.
    pub is_itself: bool,
    /// Processors' load over the last minute in hundredths, and how many processors there are.
    pub load: Option<(u32, u32)>,
}
