//! Owns the addresses that this host is told to use: where a listener listens, and where a name server is asked.

use std::fmt;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::document::Written;
use crate::config::problem::Wrong;
use crate::config::problem::quoted;

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// An address and a port; with port 0 the system chooses one.
    Tcp(SocketAddr),
    /// The path of a unix socket: `unix:/run/why502.sock`.
    Unix(PathBuf),
}

impl ListenAddress {
    /// Whether nobody on another host can reach it.
    #[must_use]
    pub fn is_of_this_host(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Written for ListenAddress {
    const NOUN: &'static str = "an address to listen on";

    fn cure() -> String {
        r#"write "0.0.0.0:8080", "[::]:8080" or "unix:/run/why502.sock""#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix_path(text, path).map(|path| Self::Unix(path.into()));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let Ok(port) = port.parse::<u16>() else { return Err(Self::refused(&quoted(text))) };
        match host {
            "" | "*" => {
                let what = format!("{} does not say on which address", quoted(text));
                Err(Wrong::new(what, format!("write \"127.0.0.1:{port}\", or \"0.0.0.0:{port}\" for all of them")))
            }
            "localhost" => {
                let what = format!("{} is a name, and a listener needs an address", quoted(text));
                Err(Wrong::new(what, format!("write \"127.0.0.1:{port}\"")))
            }
            _ => Err(Self::refused(&quoted(text))),
        }
    }
}

/// A name server: an address, and port 53 where none is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

impl Written for NameServer {
    const NOUN: &'static str = "the address of a name server";

    fn cure() -> String {
        r#"write "10.0.0.53:53" or "[2001:db8::53]:53""#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let with_port = text.parse::<SocketAddr>();
        let address = with_port.or_else(|_| text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53)));
        match address {
            Ok(address) if address.port() > 0 => Ok(Self(address)),
            _ => Err(Self::refused(&quoted(text))),
        }
    }
}

/// The path of a unix socket, which the kernel limits in length.
pub(super) fn unix_path<'t>(text: &str, path: &'t str) -> Result<&'t str, Wrong> {
    if path.is_empty() {
        return Err(Wrong::new(format!("{} has no path", quoted(text)), r#"write "unix:/run/app.sock""#));
    }
    if path.starts_with("//") {
        let instead = format!("write \"unix:/{}\"", path.trim_start_matches('/'));
        return Err(Wrong::new(format!("{} has more slashes than a path", quoted(text)), instead));
    }
    if path.len() > LONGEST_SOCKET_PATH || path.contains('\0') {
        let what = format!("{} cannot be the path of a unix socket", quoted(text));
        return Err(Wrong::new(what, format!("write one of at most {LONGEST_SOCKET_PATH} bytes")));
    }
    Ok(path)
}

/// In bytes; `sun_path` holds 108 with the final NUL (unix(7)).
const LONGEST_SOCKET_PATH: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_listens_on_an_address_or_a_socket() {
        let tcp = |text: &str| Ok(ListenAddress::Tcp(text.parse().unwrap()));
        let table = [
            ("127.0.0.1:0", tcp("127.0.0.1:0")),
            ("[::]:443", tcp("[::]:443")),
            ("unix:/run/why502.sock", Ok(ListenAddress::Unix("/run/why502.sock".into()))),
            ("unix:why502.sock", Ok(ListenAddress::Unix("why502.sock".into()))),
        ];
        for (text, expected) in table {
            assert_eq!(ListenAddress::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_cure() {
        let cure = r#"write "0.0.0.0:8080", "[::]:8080" or "unix:/run/why502.sock""#;
        let anywhere = r#"write "127.0.0.1:8080", or "0.0.0.0:8080" for all of them"#;
        let table = [
            ("8080", "\"8080\" does not say on which address", anywhere),
            (":8080", "\":8080\" does not say on which address", anywhere),
            ("*:8080", "\"*:8080\" does not say on which address", anywhere),
            (
                "localhost:8080",
                "\"localhost:8080\" is a name, and a listener needs an address",
                "write \"127.0.0.1:8080\"",
            ),
            ("127.0.0.1", "\"127.0.0.1\" is not an address to listen on", cure),
            ("127.0.0.1:99999", "\"127.0.0.1:99999\" is not an address to listen on", cure),
            ("http://127.0.0.1:80", "\"http://127.0.0.1:80\" is not an address to listen on", cure),
            ("unix:", "\"unix:\" has no path", "write \"unix:/run/app.sock\""),
            ("unix:///run/a", "\"unix:///run/a\" has more slashes than a path", "write \"unix:/run/a\""),
        ];
        for (text, what, instead) in table {
            assert_eq!(ListenAddress::parse(text), Err(Wrong::new(what, instead)), "{text}");
        }
    }

    #[test]
    fn a_name_server_is_asked_on_port_53_where_none_is_written() {
        for (text, expected) in
            [("10.0.0.53", "10.0.0.53:53"), ("10.0.0.53:5353", "10.0.0.53:5353"), ("::1", "[::1]:53")]
        {
            assert_eq!(NameServer::parse(text), Ok(NameServer(expected.parse().unwrap())), "{text}");
        }
        for text in ["dns.example", "10.0.0.53:0", ""] {
            assert_eq!(NameServer::parse(text), Err(NameServer::refused(&quoted(text))), "{text}");
        }
    }
}
