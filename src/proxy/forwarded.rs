//! Owns `Forwarded` (RFC 7239) and `X-Forwarded-For`: reading the hops that they name, and writing ours.
//!
//! Whether anything that is read here may be believed is decided in `client`.

use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use http::HeaderMap;
use http::header::FORWARDED;

use super::fields::X_FORWARDED_FOR;

/// What one proxy said about the one before it. Empty where it said nothing that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hop<'a> {
    /// The address that it was connected from.
    pub address: Option<IpAddr>,
    /// The host that it was asked for.
    pub host: Option<&'a str>,
    /// The protocol that it was spoken to in.
    pub proto: Option<&'a str>,
}

/// The hops of `X-Forwarded-For`, nearest first.
pub fn addresses(headers: &HeaderMap) -> impl Iterator<Item = Hop<'_>> {
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    let members = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let members = members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty());
    members.map(|member| Hop { address: std::str::from_utf8(member).ok().and_then(address), ..Hop::default() })
}

/// The hops of `Forwarded`, nearest first. Read from the right, so that nothing that a stranger has put in front, an open quote
/// for example, can swallow what a proxy has added behind it.
pub fn elements(headers: &HeaderMap) -> impl Iterator<Item = Hop<'_>> {
    let elements = headers.get_all(FORWARDED).iter().rev().flat_map(|line| {
        let mut quoted = false;
        line.as_bytes().rsplit(move |byte| {
            quoted ^= *byte == b'"';
            *byte == b',' && !quoted
        })
    });
    let elements = elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty());
    elements.map(|text| std::str::from_utf8(text).ok().and_then(element).unwrap_or_default())
}

/// The element that this proxy adds: who connected, the host that was asked for and the protocol that was spoken.
#[must_use]
pub fn own_element(from: Option<IpAddr>, host: &str, proto: &str) -> String {
    let mut element = node(from);
    if !host.is_empty() {
        element.push_str(";host=");
        let token = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        let quote = if token { "" } else { "\"" };
        element.extend([quote, host, quote]);
    }
    element.push_str(";proto=");
    element.push_str(proto);
    element
}

/// `for=` and the address: IPv6 in brackets and quotes, `unknown` where there is none (RFC 7239, section 6).
#[must_use]
pub fn node(from: Option<IpAddr>) -> String {
    match from {
        Some(IpAddr::V4(address)) => format!("for={address}"),
        Some(IpAddr::V6(address)) => format!("for=\"[{address}]\""),
        None => "for=unknown".to_owned(),
    }
}

/// One element. One that names a parameter twice or holds what is no pair says nothing (RFC 7239, section 4), and no escape is
/// needed in an address, a host or a protocol.
fn element(text: &str) -> Option<Hop<'_>> {
    if text.contains('\\') || !text.matches('"').count().is_multiple_of(2) {
        return None;
    }
    let mut quoted = false;
    let pairs = text.split(move |c| {
        quoted ^= c == '"';
        c == ';' && !quoted
    });
    let (mut from, mut host, mut proto) = (None, None, None);
    for pair in pairs.map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        let place = match name.to_ascii_lowercase().as_str() {
            "for" => &mut from,
            "host" => &mut host,
            "proto" => &mut proto,
            _ => continue,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    Some(Hop { address: from.and_then(address), host, proto })
}

/// An address with or without a port and brackets, as proxies write it. An IPv4 address in IPv6 form is an IPv4 address.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let found = text.parse().ok().or_else(bracketed).or_else(with_port)?;
    Some(IpAddr::to_canonical(&found))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::HeaderName;
    use http::HeaderValue;
    use http::header::FORWARDED;

    use super::addresses;
    use super::elements;
    use super::own_element;
    use crate::proxy::fields::X_FORWARDED_FOR;

    fn head(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_bytes(line.as_bytes()).unwrap())).collect()
    }

    fn for_hops(lines: &[&str]) -> Vec<String> {
        let headers = head(&X_FORWARDED_FOR, lines);
        addresses(&headers)
            .map(|hop| hop.address.map_or_else(|| "?".to_owned(), |address| address.to_string()))
            .collect()
    }

    fn element_hops(lines: &[&str]) -> Vec<String> {
        let headers = head(&FORWARDED, lines);
        let said = |hop: super::Hop<'_>| {
            let address = hop.address.map_or_else(|| "?".to_owned(), |address| address.to_string());
            format!("{address} {} {}", hop.host.unwrap_or("-"), hop.proto.unwrap_or("-"))
        };
        elements(&headers).map(said).collect()
    }

    #[test]
    fn x_forwarded_for_is_read_from_the_nearest_hop() {
        for (lines, expected) in [
            (&["1.1.1.1, 2.2.2.2", "3.3.3.3"][..], &["3.3.3.3", "2.2.2.2", "1.1.1.1"][..]),
            (&["1.1.1.1:4711"], &["1.1.1.1"]),
            (&["2001:db8::1"], &["2001:db8::1"]),
            (&["[2001:db8::1]"], &["2001:db8::1"]),
            (&["[2001:db8::1]:443"], &["2001:db8::1"]),
            (&["::ffff:10.0.0.1"], &["10.0.0.1"]),
            (&["1.1.1.1,, ,"], &["1.1.1.1"]),
            (&["unknown, caf\u{e9}, 1.1.1.1.1, 01.1.1.1, 1.1.1.1 x"], &["?", "?", "?", "?", "?"]),
            (&[""], &[]),
        ] {
            assert_eq!(for_hops(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_from_the_nearest_hop() {
        for (lines, expected) in [
            (
                &["for=1.1.1.1;proto=https;host=a.example, for=2.2.2.2"][..],
                &["2.2.2.2 - -", "1.1.1.1 a.example https"][..],
            ),
            (&["for=1.1.1.1", "FOR=\"[2001:db8::1]:4711\";By=\"_x,y;z\""], &["2001:db8::1 - -", "1.1.1.1 - -"]),
            (&["for=\"1.1.1.1:80\" ; host=\"a:80\";"], &["1.1.1.1 a:80 -"]),
            (&["for=unknown, for=_hidden, for="], &["? - -", "? - -", "? - -"]),
            (&["for=1.1.1.1;for=2.2.2.2"], &["? - -"]),
            (&["1.1.1.1"], &["? - -"]),
            (&["for=\"1.1.1.1"], &["? - -"]),
            (&["for=\"1.1\\.1.1\", for=2.2.2.2"], &["2.2.2.2 - -", "? - -"]),
            (&["for=\"6.6.6.6, for=\"[2001:db8::1]\""], &["2001:db8::1 - -", "? - -"]),
            (&["caf\u{e9}, for=1.1.1.1"], &["1.1.1.1 - -", "? - -"]),
        ] {
            assert_eq!(element_hops(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn our_element_quotes_what_is_no_token() {
        for (from, host, expected) in [
            (Some("10.0.0.1"), "a.example", "for=10.0.0.1;host=a.example;proto=http"),
            (Some("2001:db8::1"), "a.example:8080", "for=\"[2001:db8::1]\";host=\"a.example:8080\";proto=http"),
            (None, "", "for=unknown;proto=http"),
        ] {
            assert_eq!(own_element(from.map(|from| from.parse().unwrap()), host, "http"), expected);
        }
    }
}
