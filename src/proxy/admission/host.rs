//! Owns the grammar of a `Host` field: `uri-host [ ":" port ]` (RFC 9110, section 7.2; RFC 3986, section 3.2.2).

use std::net::Ipv6Addr;

/// Whether this is a valid value of `Host`. The empty one is: it says that the target has no authority.
///
/// A port beyond 65535 and an IP literal that is not an IPv6 address are refused, although the grammar has room for them.
#[must_use]
pub fn is_valid(value: &[u8]) -> bool {
    let Some((host, port)) = split(value) else { return false };
    match host {
        [b'[', literal @ .., b']'] => is_ipv6(literal) && is_port(port),
        name => is_registered_name(name) && is_port(port) && (!name.is_empty() || value.is_empty()),
    }
}

/// The host, brackets included, and the port.
fn split(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = match value.first() {
        Some(b'[') => value.iter().position(|byte| *byte == b']')? + 1,
        _ => value.iter().position(|byte| *byte == b':').unwrap_or(value.len()),
    };
    let (host, rest) = value.split_at_checked(end)?;
    match rest {
        [] => Some((host, rest)),
        [b':', port @ ..] => Some((host, port)),
        _ => None,
    }
}

fn is_ipv6(literal: &[u8]) -> bool {
    std::str::from_utf8(literal).is_ok_and(|literal| literal.parse::<Ipv6Addr>().is_ok())
}

fn is_port(port: &[u8]) -> bool {
    let digits = port.iter().all(u8::is_ascii_digit);
    digits && (port.is_empty() || std::str::from_utf8(port).is_ok_and(|port| port.parse::<u16>().is_ok()))
}

/// An IPv4 address is a registered name too, as far as its characters go.
fn is_registered_name(mut name: &[u8]) -> bool {
    while let [byte, rest @ ..] = name {
        name = match (byte, rest) {
            (b'%', [high, low, rest @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            (byte, rest) if is_name_character(*byte) => rest,
            _ => return false,
        };
    }
    true
}

/// What a registered name may hold besides percent-encoded bytes: `unreserved` and `sub-delims`.
const fn is_name_character(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9')
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'('..=b',' | b';' | b'=')
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn hosts_are_held_to_the_grammar() {
        for (value, expected) in [
            ("", true),
            ("shop.example", true),
            ("shop.example.", true),
            ("SHOP_1.example:8080", true),
            ("shop.example:", true),
            ("10.0.0.5:65535", true),
            ("[::1]", true),
            ("[2001:db8::1]:8080", true),
            ("caf%C3%A9.example", true),
            ("a,b;c=d!$&'()*+~", true),
            (":80", false),
            ("shop.example:abc", false),
            ("shop.example:65536", false),
            ("shop.example:99999", false),
            ("shop.example:80:80", false),
            ("shop.example:-1", false),
            ("[::1", false),
            ("[::1]x", false),
            ("[::1]]", false),
            ("[v1.x]", false),
            ("[fe80::1%25eth0]", false),
            ("::1", false),
            ("caf%C3%.example", false),
            ("%", false),
            ("a b", false),
            ("a.example, b.example", false),
            ("u@shop.example", false),
            ("shop.example/x", false),
            ("shop.example?x", false),
            ("shop.example#x", false),
            ("shop\\example", false),
            ("\"shop\"", false),
            ("<shop>", false),
            ("caf\u{e9}.example", false),
            ("shop\u{0}.example", false),
        ] {
            assert_eq!(is_valid(value.as_bytes()), expected, "{value:?}");
        }
    }
}
