//! A PROXY header, against a second reader of both versions, and against what comes before and behind it.

use std::net::IpAddr;
use std::net::SocketAddr;

use why502::net::proxy_protocol::Header;
use why502::net::proxy_protocol::Source;
use why502::net::proxy_protocol::read;

pub(crate) fn check(input: &[u8]) {
    let outcome = read(input);
    if let Ok(Some(header)) = outcome {
        assert!(header.length <= input.len(), "{header:?}");
        let own = &input[..header.length];
        assert_eq!(read(own), outcome, "what follows a header changes nothing");
        assert_eq!(read(&input[..header.length - 1]), Ok(None), "it is whole only when it is");
        assert_second_opinion(own, &header);
    }
    // What is no header does not become one, and what is one stays the same, whatever else comes.
    for end in [input.len() / 2, input.len().saturating_sub(1)] {
        match read(&input[..end]) {
            Ok(None) => {}
            early => assert_eq!(early, outcome, "{end}"),
        }
    }
}

fn assert_second_opinion(own: &[u8], header: &Header) {
    let source = if own.starts_with(b"PROXY ") { of_line(own) } else { of_bytes(own) };
    assert_eq!(source, Some(header.source), "{}", own.escape_ascii());
}

/// Version 1.
fn of_line(own: &[u8]) -> Option<Source> {
    let text = std::str::from_utf8(own).ok()?.strip_suffix("\r\n")?;
    if text.len() > 105 || text.contains(['\r', '\n']) {
        return None;
    }
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Some(Source::Unknown),
        ["PROXY", family @ ("TCP4" | "TCP6"), source, destination, port, other] => {
            let fits = |address: &str| {
                let address: IpAddr = address.parse().ok()?;
                (address.is_ipv4() == (family == "TCP4")).then_some(address)
            };
            let number = |port: &str| port.parse::<u16>().ok().filter(|number| number.to_string() == port);
            fits(destination)?;
            number(other)?;
            Some(Source::Client(SocketAddr::new(fits(source)?, number(port)?)))
        }
        _ => None,
    }
}

/// Version 2. What follows the addresses is not looked at here.
fn of_bytes(own: &[u8]) -> Option<Source> {
    let number = |at: usize| own.get(at..at + 2).map(|two| u16::from(two[0]) << 8 | u16::from(two[1]));
    if !own.starts_with(b"\r\n\r\n\0\r\nQUIT\n") || usize::from(number(14)?) + 16 != own.len() {
        return None;
    }
    match (own[12], own[13]) {
        (0x20, _) => Some(Source::Itself),
        (0x21, 0x00) => Some(Source::Unknown),
        (0x21, 0x31) if own.len() >= 16 + 216 => Some(Source::Unknown),
        (0x21, 0x11) => {
            let address: [u8; 4] = own.get(16..20)?.try_into().ok()?;
            Some(Source::Client((address, number(24)?).into()))
        }
        (0x21, 0x21) => {
            let address: [u8; 16] = own.get(16..32)?.try_into().ok()?;
            Some(Source::Client((address, number(48)?).into()))
        }
        _ => None,
    }
}
