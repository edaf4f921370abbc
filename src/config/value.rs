//! Owns the values that a configuration is made of, as types that cannot be wrong.

use std::fmt;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// An address and a port.
    Tcp(SocketAddr),
    /// The path of a unix socket: `unix:/run/why502.sock`.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A server of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerUrl {
    /// As it was written.
    pub text: Arc<str>,
    /// Where it leads.
    pub location: Location,
    /// Whether TLS is spoken to it.
    pub tls: bool,
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Location {
    /// A host name or an address literal (without brackets), and a port.
    Host {
        /// The name in lower case without a final dot unless one was written, or the literal.
        host: Arc<str>,
        /// The literal's address, where it is one.
        address: Option<IpAddr>,
        /// The port, 80 or 443 where none was written.
        port: u16,
    },
    /// The path of a unix socket.
    Unix(Arc<str>),
}

impl ServerUrl {
    /// The host as it stands in a `Host` field: brackets around IPv6, the port where it is not the scheme's own.
    /// `localhost` for a unix socket.
    #[must_use]
    pub fn authority(&self) -> String {
        match &self.location {
            Location::Unix(_) => "localhost".to_owned(),
            Location::Host { host, port, .. } => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
                let usual = if self.tls { 443 } else { 80 };
                if *port == usual { host } else { format!("{host}:{port}") }
            }
        }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Which hosts a route is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Every host.
    Any,
    /// This host only, in lower case.
    Exact(Arc<str>),
    /// Every host with one label or more before this suffix, in lower case, which begins with a dot: `.example`.
    Suffix(Arc<str>),
}

/// A set of networks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Networks {
    /// The networks, as addresses with a prefix length.
    pub networks: Vec<ipnet::IpNet>,
    /// Whether `"unix"` was listed: peers of unix-socket listeners.
    pub unix: bool,
}

impl Networks {
    /// Whether the address lies in one of them. An IPv4 address in IPv6 form counts as IPv4.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }
}
