//! Owns the origins that fail in one known way each, and a few that work. The demo, the integration tests and the benches
//! use the same ones, so that none of them can rot.
//!
//! `broken` and `healthy` are the tables; `row` says what a row is; `way` turns a row into sockets. What an origin says once
//! it is connected to is in `script`, `service` and `websocket`; names and certificates are `name_server`'s and `certificates`'s.

pub mod broken;
pub mod certificates;
pub mod directory;
pub mod healthy;
pub mod name_server;
pub mod row;
pub mod script;
mod service;
mod socket;
mod way;
mod websocket;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use socket2::Socket;
use tokio::task::JoinSet;

pub use self::broken::BROKEN;
pub use self::broken::LEFT_OUT;
pub use self::certificates::Authority;
pub use self::certificates::Credentials;
pub use self::certificates::SERVER_NAME;
pub use self::directory::PrivateDirectory;
pub use self::healthy::HEALTHY;
pub use self::name_server::NameServer;
pub use self::row::Ask;
pub use self::row::Row;
pub use self::script::Act;
pub use self::way::Manner;
pub use self::way::Way;
pub use self::way::closed_port;
pub use self::way::full_port;
pub use self::way::hello;
pub use self::way::plays;
pub use self::way::silent;

/// An origin at work. It ends, with every connection and every file of it, when it is dropped.
#[derive(Debug)]
pub struct Origin {
    /// Its servers, as an upstream's `servers` has them; never empty.
    pub servers: Vec<String>,
    /// What the upstream needs to be told besides, as lines of TOML below its `[[upstream]]`.
    pub settings: Vec<String>,
    /// What listens and speaks.
    tasks: JoinSet<()>,
    /// Sockets that only have to be there.
    held: Vec<Socket>,
}

impl Origin {
    /// An origin at that URL, of which nothing has to be held.
    fn at(url: String) -> Self {
        Self { servers: vec![url], settings: Vec::new(), tasks: JoinSet::new(), held: Vec::new() }
    }

    /// Its first server, which is its only one in all rows but those about several.
    #[must_use]
    pub fn url(&self) -> &str {
        self.servers.first().map_or("", String::as_str)
    }
}

/// What origins share: a directory, an authority, a name server, and where the proxy is that they stand behind.
#[derive(Debug)]
pub struct Workshop {
    /// For sockets and files.
    pub directory: PrivateDirectory,
    /// Signs the certificates.
    pub authority: Authority,
    /// Answers for the names; the proxy's `[dns] servers`.
    pub name_server: NameServer,
    /// Where the proxy listens, for the origin that is the proxy itself.
    pub proxy: SocketAddr,
}

impl Workshop {
    /// Opens one, within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Where no directory can be made, or no port is free.
    pub fn open(proxy: SocketAddr) -> io::Result<Self> {
        let directory = PrivateDirectory::new()?;
        let authority = Authority::new(directory.path())?;
        Ok(Self { authority, directory, name_server: NameServer::start()?, proxy })
    }
}

/// Why an origin cannot be had on this machine, as a sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Unavailable {
    fn from(error: io::Error) -> Self {
        Self(format!("This machine does not let it be set up: {error}"))
    }
}
