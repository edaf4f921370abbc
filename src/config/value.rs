//! Owns the values that a configuration is made of, as types that cannot be wrong.

use std::fmt;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::document::Written;
use super::problem::Wrong;
use super::problem::quoted;

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

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = SIZE_UNITS.iter().rev().find(|(_, bytes)| self.0 > 0 && self.0.is_multiple_of(*bytes));
        match unit {
            Some((name, bytes)) => write!(f, "\"{}{name}\"", self.0 / bytes),
            None => self.0.fmt(f),
        }
    }
}

impl Written for Size {
    const NOUN: &'static str = "a size";

    fn cure() -> String {
        r#"write "64KiB", "10MiB" or a number of bytes"#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let (number, unit) = number_and_unit(text);
        let bytes = match SIZE_UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, bytes)) => *bytes,
            None if unit.is_empty() => 1,
            None => return Err(Self::refused(&quoted(text))),
        };
        let bytes = number.and_then(|number| number.checked_mul(bytes));
        bytes.map(Self).ok_or_else(|| Self::refused(&quoted(text)))
    }
}

impl Written for Duration {
    const NOUN: &'static str = "a duration";

    fn cure() -> String {
        r#"write "3s", "250ms" or "2m""#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let (Some(number), unit) = number_and_unit(text) else { return Err(Self::refused(&quoted(text))) };
        let Some((_, milliseconds)) = DURATION_UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(Self::refused(&quoted(text)));
        };
        let duration = number.checked_mul(*milliseconds).map(Self::from_millis).filter(|it| *it <= LONGEST_DURATION);
        duration.ok_or_else(|| Wrong::new(format!("{} is longer than ten years", quoted(text)), "write a shorter time"))
    }
}

fn number_and_unit(text: &str) -> (Option<u64>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number.parse().ok(), unit)
}

/// What a duration may be counted in, and how many milliseconds that is.
const DURATION_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// What a size may be counted in, and how many bytes that is.
const SIZE_UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Clocks can add this without an overflow.
const LONGEST_DURATION: Duration = Duration::from_secs(3650 * 86_400);
