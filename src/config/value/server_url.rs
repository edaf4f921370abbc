//! Owns the URL of an origin's server: scheme, host and port, or a unix socket.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use super::address::unix_path;
use super::host::Host;
use super::host::parse_port;
use crate::config::document::Written;
use crate::config::problem::Wrong;
use crate::config::problem::quoted;

/// A server of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerUrl {
    /// As it was written, without a final slash.
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
    /// A service, in lower case, whose targets SRV records name (RFC 2782): `_app._tcp.internal`.
    Service(Arc<str>),
}

/// The domain of a service: its name without the labels that say which service it is.
#[must_use]
pub fn service_domain(service: &str) -> &str {
    let mut rest = service;
    while let Some((_, domain)) = rest.split_once('.').filter(|(label, _)| label.starts_with('_')) {
        rest = domain;
    }
    rest
}

impl ServerUrl {
    /// The host as it stands in a `Host` field: brackets around IPv6, the port where it is not the scheme's own.
    /// `localhost` for a unix socket, the domain of a service.
    #[must_use]
    pub fn authority(&self) -> String {
        match &self.location {
            Location::Unix(_) => "localhost".to_owned(),
            Location::Service(service) => service_domain(service).trim_end_matches('.').to_owned(),
            Location::Host { host, port, .. } => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
                let usual = if self.tls { 443 } else { 80 };
                if *port == usual { host } else { format!("{host}:{port}") }
            }
        }
    }

    /// The same server, a relative socket path of which is meant from a directory.
    #[must_use]
    pub fn resolved(self, resolve: impl FnOnce(&Path) -> std::path::PathBuf) -> Self {
        let location = match self.location {
            Location::Unix(path) => Location::Unix(resolve(Path::new(&*path)).to_string_lossy().into()),
            other @ (Location::Host { .. } | Location::Service(_)) => other,
        };
        Self { location, ..self }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Written for ServerUrl {
    const NOUN: &'static str = "a server";

    fn cure() -> String {
        r#"write "http://app.internal:3000", "https://app.internal" or "unix:/run/app.sock""#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = unix_path(text, path)?;
            return Ok(Self { text: text.into(), location: Location::Unix(path.into()), tls: false });
        }
        if text.contains('@') {
            // It is not quoted: what stands before the `@` is a secret.
            let instead = "write it without; credentials go into the request's Authorization field";
            return Err(Wrong::new("this URL holds a user name or a password", instead));
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Err(without_scheme(text)) };
        let tls = speaks_tls(scheme, rest)?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if let Some((authority, _)) = authority.split_once(['/', '?', '#']) {
            let what = format!("{} goes on behind the host and port", quoted(text));
            let instead = format!("write \"{scheme}://{authority}\"; the path is the request's own");
            return Err(Wrong::new(what, instead));
        }
        if scheme.to_ascii_lowercase().starts_with("srv+") {
            let service = service(text, scheme, authority)?;
            let text = text.strip_suffix('/').unwrap_or(text);
            return Ok(Self { text: text.into(), location: Location::Service(service), tls });
        }
        let (host, port) = host_and_port(text, scheme, authority)?;
        let host =
            Host::parse(host).map_err(|wrong| Wrong { what: format!("{}: {}", quoted(text), wrong.what), ..wrong })?;
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        let text = text.strip_suffix('/').unwrap_or(text);
        Ok(Self { text: text.into(), location: Location::Host { host: host.text, address: host.address, port }, tls })
    }
}

fn without_scheme(text: &str) -> Wrong {
    if text.is_empty() || text.contains(['/', ' ']) {
        return ServerUrl::refused(&quoted(text));
    }
    let scheme = if text.ends_with(":443") { "https" } else { "http" };
    Wrong::new(format!("{} does not begin with its scheme", quoted(text)), format!("write \"{scheme}://{text}\""))
}

/// Whether a scheme stands for TLS. Those that others use for the same thing are refused with their right name.
fn speaks_tls(scheme: &str, rest: &str) -> Result<bool, Wrong> {
    let instead = match scheme.to_ascii_lowercase().as_str() {
        "http" | "srv+http" => return Ok(false),
        "https" | "srv+https" => return Ok(true),
        "ws" | "tcp" => format!("write {}", quoted(&format!("http://{rest}"))),
        "wss" => format!("write {}", quoted(&format!("https://{rest}"))),
        _ => ServerUrl::cure(),
    };
    Err(Wrong::new(format!("{} is not spoken to servers", quoted(&format!("{scheme}://"))), instead))
}

/// The name of a service: its labels, which begin with `_service._protocol` by custom. Its records say the port.
fn service(text: &str, scheme: &str, name: &str) -> Result<Arc<str>, Wrong> {
    if let Some((name, _)) = name.split_once(':') {
        let what = format!("{} has a port, which SRV records say themselves", quoted(text));
        return Err(Wrong::new(what, format!("write \"{scheme}://{name}\"")));
    }
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(letter);
    let relative = name.strip_suffix('.').unwrap_or(name);
    if relative.len() > 253 || !relative.split('.').all(label) {
        let what = format!("{} does not name a service", quoted(text));
        return Err(Wrong::new(what, r#"write "srv+http://_app._tcp.internal""#));
    }
    Ok(name.to_ascii_lowercase().into())
}

fn host_and_port<'t>(text: &str, scheme: &str, authority: &'t str) -> Result<(&'t str, Option<u16>), Wrong> {
    let Some((host, port)) = authority.rsplit_once(':').filter(|_| !authority.ends_with(']')) else {
        return Ok((authority, None));
    };
    if host.contains(':') && !host.starts_with('[') {
        let what = format!("{} has an IPv6 address without brackets", quoted(text));
        return Err(Wrong::new(what, format!("write \"{scheme}://[{authority}]\", and behind it the port")));
    }
    let Some(port) = parse_port(port) else {
        let what = format!("{} is not a port, in {}", quoted(port), quoted(text));
        return Err(Wrong::new(what, "write a number from 1 to 65535"));
    };
    Ok((host, Some(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, host: &str, port: u16, tls: bool) -> ServerUrl {
        let location = Location::Host { host: host.into(), address: host.parse().ok(), port };
        ServerUrl { text: text.into(), location, tls }
    }

    #[test]
    fn a_server_is_a_scheme_a_host_and_a_port_or_a_socket() {
        let table = [
            ("http://app:3000", at("http://app:3000", "app", 3000, false), "app:3000"),
            ("http://App.Internal./", at("http://App.Internal.", "app.internal.", 80, false), "app.internal."),
            ("HTTPS://10.0.0.6", at("HTTPS://10.0.0.6", "10.0.0.6", 443, true), "10.0.0.6"),
            (
                "https://[2001:DB8::6]:8443",
                at("https://[2001:DB8::6]:8443", "2001:db8::6", 8443, true),
                "[2001:db8::6]:8443",
            ),
            ("http://[::1]", at("http://[::1]", "::1", 80, false), "[::1]"),
        ];
        for (text, expected, authority) in table {
            assert_eq!(expected.authority(), authority);
            assert_eq!(ServerUrl::parse(text), Ok(expected), "{text}");
        }
        let service = ServerUrl {
            text: "srv+http://_App._tcp.internal".into(),
            location: Location::Service("_app._tcp.internal".into()),
            tls: false,
        };
        assert_eq!(service.authority(), "internal");
        assert_eq!(ServerUrl::parse("srv+http://_App._tcp.internal/"), Ok(service));
        assert!(ServerUrl::parse("srv+https://_app._tcp.internal").unwrap().tls);
        let socket = ServerUrl { text: "unix:a.sock".into(), location: Location::Unix("a.sock".into()), tls: false };
        assert_eq!(ServerUrl::parse("unix:a.sock"), Ok(socket.clone()));
        assert_eq!(socket.resolved(|path| Path::new("/etc").join(path)).location, Location::Unix("/etc/a.sock".into()));
    }

    #[test]
    fn what_is_no_server_is_refused_with_the_cure() {
        let cure = r#"write "http://app.internal:3000", "https://app.internal" or "unix:/run/app.sock""#;
        let table = [
            ("", r#""" is not a server"#, cure),
            ("app:3000", r#""app:3000" does not begin with its scheme"#, r#"write "http://app:3000""#),
            ("app:443", r#""app:443" does not begin with its scheme"#, r#"write "https://app:443""#),
            ("/run/app.sock", r#""/run/app.sock" is not a server"#, cure),
            ("ws://app", r#""ws://" is not spoken to servers"#, r#"write "http://app""#),
            ("fcgi://app:9000", r#""fcgi://" is not spoken to servers"#, cure),
            (
                "srv+http://_app._tcp.internal:80",
                r#""srv+http://_app._tcp.internal:80" has a port, which SRV records say themselves"#,
                r#"write "srv+http://_app._tcp.internal""#,
            ),
            (
                "srv+http://_app..internal",
                r#""srv+http://_app..internal" does not name a service"#,
                r#"write "srv+http://_app._tcp.internal""#,
            ),
            (
                "http://joe:secret@app",
                "this URL holds a user name or a password",
                "write it without; credentials go into the request's Authorization field",
            ),
            (
                "http://app:3000/api",
                r#""http://app:3000/api" goes on behind the host and port"#,
                r#"write "http://app:3000"; the path is the request's own"#,
            ),
            (
                "http://app?x",
                r#""http://app?x" goes on behind the host and port"#,
                r#"write "http://app"; the path is the request's own"#,
            ),
            ("http://app:", r#""" is not a port, in "http://app:""#, "write a number from 1 to 65535"),
            ("http://app:99999", r#""99999" is not a port, in "http://app:99999""#, "write a number from 1 to 65535"),
            ("http://app:0", r#""0" is not a port, in "http://app:0""#, "write a number from 1 to 65535"),
            (
                "http://::1",
                r#""http://::1" has an IPv6 address without brackets"#,
                r#"write "http://[::1]", and behind it the port"#,
            ),
            ("http://", r#""http://": the host is missing"#, "write its name or address"),
            (
                "http://10.0.0.256",
                r#""http://10.0.0.256": "10.0.0.256" is neither an address nor a name"#,
                "write four numbers from 0 to 255, or a name",
            ),
            (
                "http://a b",
                r#""http://a b": "a b" is not a host name"#,
                "write letters, digits and hyphens between the dots",
            ),
            (
                "http://bücher.example",
                r#""http://bücher.example": "bücher.example" has letters beyond ASCII"#,
                "write the name in its ASCII form, which begins with xn--",
            ),
        ];
        for (text, what, instead) in table {
            assert_eq!(ServerUrl::parse(text), Err(Wrong::new(what, instead)), "{text}");
        }
    }
}
