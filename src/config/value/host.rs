//! Owns host names: which names there can be, and which hosts a route is for.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::config::document::Written;
use crate::config::problem::Wrong;
use crate::config::problem::quoted;

/// Which hosts a route is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Every host.
    Any,
    /// This host only, in lower case and without a final dot; an IPv6 address in its brackets.
    Exact(Arc<str>),
    /// Every host with one label or more before this suffix, in lower case, which begins with a dot: `.example`.
    Suffix(Arc<str>),
}

impl Written for HostPattern {
    const NOUN: &'static str = "a host";

    fn cure() -> String {
        r#"write "shop.example", "*.example", or no `host` for every host"#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text == "*" {
            return Err(Wrong::new("\"*\" alone is not a host", "remove the line, and the route is for every host"));
        }
        if text.contains('/') {
            return Err(Wrong::new(format!("{} is more than a host", quoted(text)), Self::cure()));
        }
        let (wildcard, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if let Some((host, port)) = name.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'))
        {
            let what = format!("{} has the port {port}, and a route is for all of them", quoted(text));
            return Err(Wrong::new(what, format!("write \"{}{host}\"", if wildcard { "*." } else { "" })));
        }
        let host = Host::parse(name).map_err(|wrong| Wrong::new(wrong.what, Self::cure()))?;
        match (wildcard, host.address) {
            (true, None) => Ok(Self::Suffix(format!(".{}", host.text.trim_end_matches('.')).into())),
            (true, Some(_)) => Err(Self::refused(&quoted(text))),
            (false, Some(IpAddr::V6(address))) => Ok(Self::Exact(format!("[{address}]").into())),
            (false, _) => Ok(Self::Exact(host.text.trim_end_matches('.').into())),
        }
    }
}

/// The name that a server's certificate has to bear: a host name or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerName(pub Arc<str>);

impl Written for ServerName {
    const NOUN: &'static str = "a host name";

    fn cure() -> String {
        r#"write it as the certificate has it: "app.internal""#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        Host::parse(text).map(|host| Self(host.text)).map_err(|wrong| Wrong::new(wrong.what, Self::cure()))
    }
}

/// Whether a text can be a `Host` field: a name or an address, and a port or none.
#[must_use]
pub fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    Host::parse(host).is_ok() && port.is_none_or(|port| parse_port(port).is_some())
}

/// A port, from 1 to 65535.
pub(super) fn parse_port(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

/// A host name or an address literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// In lower case, an address without brackets.
    pub(super) text: Arc<str>,
    /// The address, where it is one.
    pub(super) address: Option<IpAddr>,
}

impl Host {
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        if let Some(bracketed) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            let address = bracketed.parse::<Ipv6Addr>().map_err(|_| {
                let instead = r#"write it as "[2001:db8::7]", without a zone"#;
                Wrong::new(format!("{} is not an IPv6 address", quoted(text)), instead)
            })?;
            return Ok(Self { text: address.to_string().into(), address: Some(address.into()) });
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self { text: text.into(), address: Some(address.into()) });
        }
        match why_no_name(text) {
            Some(wrong) => Err(wrong),
            None => Ok(Self { text: text.to_ascii_lowercase().into(), address: None }),
        }
    }
}

/// What keeps a text from being a host name (RFC 1123, section 2.1, and RFC 1035, section 2.3.4). Underscores pass, since
/// container networks use them.
fn why_no_name(text: &str) -> Option<Wrong> {
    let shown = quoted(text);
    let labels: Vec<&str> = text.strip_suffix('.').unwrap_or(text).split('.').collect();
    let last_is_number = labels.last().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    let (what, instead) = if text.is_empty() {
        ("the host is missing".to_owned(), "write its name or address")
    } else if !text.is_ascii() {
        (format!("{shown} has letters beyond ASCII"), "write the name in its ASCII form, which begins with xn--")
    } else if text.parse::<Ipv6Addr>().is_ok() {
        (format!("{shown} is an IPv6 address without brackets"), "write it in brackets")
    } else if text.len() > LONGEST_NAME || labels.iter().any(|label| label.len() > LONGEST_LABEL) {
        (format!("{shown} is too long for a host name"), "write at most 253 characters, and 63 between two dots")
    } else if labels.iter().any(|label| !is_label(label)) {
        (format!("{shown} is not a host name"), "write letters, digits and hyphens between the dots")
    } else if last_is_number {
        (format!("{shown} is neither an address nor a name"), "write four numbers from 0 to 255, or a name")
    } else {
        return None;
    };
    Some(Wrong::new(what, instead))
}

fn is_label(label: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !label.is_empty() && label.bytes().all(letters) && !label.starts_with('-') && !label.ends_with('-')
}

/// In characters, without a final dot.
const LONGEST_NAME: usize = 253;

/// In characters.
const LONGEST_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_for_one_host_or_for_all_below_a_name() {
        let exact = |host: &str| Ok(HostPattern::Exact(host.into()));
        let table = [
            ("Shop.Example", exact("shop.example")),
            ("shop.example.", exact("shop.example")),
            ("localhost", exact("localhost")),
            ("10.0.0.7", exact("10.0.0.7")),
            ("[2001:DB8::7]", exact("[2001:db8::7]")),
            ("*.Example", Ok(HostPattern::Suffix(".example".into()))),
            ("*.shop.example.", Ok(HostPattern::Suffix(".shop.example".into()))),
        ];
        for (text, expected) in table {
            assert_eq!(HostPattern::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_the_cure() {
        let cure = r#"write "shop.example", "*.example", or no `host` for every host"#;
        let table = [
            ("*", "\"*\" alone is not a host", "remove the line, and the route is for every host"),
            ("http://shop.example", "\"http://shop.example\" is more than a host", cure),
            ("shop.example/api", "\"shop.example/api\" is more than a host", cure),
            (
                "shop.example:443",
                "\"shop.example:443\" has the port 443, and a route is for all of them",
                "write \"shop.example\"",
            ),
            ("[::1]:443", "\"[::1]:443\" has the port 443, and a route is for all of them", "write \"[::1]\""),
            ("*.example:80", "\"*.example:80\" has the port 80, and a route is for all of them", "write \"*.example\""),
            ("a.*.example", "\"a.*.example\" is not a host name", cure),
            ("*.10.0.0.1", "\"*.10.0.0.1\" is not a host", cure),
            ("::1", "\"::1\" is an IPv6 address without brackets", cure),
            ("", "the host is missing", cure),
        ];
        for (text, what, instead) in table {
            assert_eq!(HostPattern::parse(text), Err(Wrong::new(what, instead)), "{text}");
        }
    }

    #[test]
    fn a_host_field_is_a_name_or_an_address_and_perhaps_a_port() {
        for text in ["app", "app:8080", "10.0.0.1", "10.0.0.1:80", "[::1]", "[::1]:80", "my_app.internal."] {
            assert!(is_authority(text), "{text}");
        }
        for text in ["", "app:", "app:0", "app:65536", "app:+1", "::1", "a b", "app/", "-a", "a..b", "ü"] {
            assert!(!is_authority(text), "{text}");
        }
    }
}
