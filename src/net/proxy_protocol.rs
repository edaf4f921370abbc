//! Owns the PROXY header, versions 1 and 2, with which a proxy in front says who has connected to it
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>, sections 2.1 and 2.2). A function of bytes: who may
//! send one, and how long is waited for it, is for others to say.

use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// How many bytes it has.
    pub length: usize,
    /// Who has connected.
    pub source: Source,
    /// How.
    pub channel: Channel,
}

/// Who has connected to the proxy in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A client at this address.
    Client(SocketAddr),
    /// Somebody of whom nothing is told (`UNKNOWN`, `UNSPEC`, a unix socket).
    Unknown,
    /// Nobody: the proxy speaks for itself, to see whether we are alive (`LOCAL`).
    Itself,
}

/// How a client has connected to the proxy in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// With TLS, says the header.
    Tls,
    /// It does not say.
    Unsaid,
}

/// Why bytes are no header. One that is wrong in any way is refused whole: what follows it cannot be told from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Neither version begins so.
    #[error("it does not begin with one")]
    Absent,
    /// Version 1: the line does not end within 107 bytes.
    #[error("its line has no end")]
    Endless,
    /// Version 1: the line is not as the grammar has it.
    #[error("its line is malformed")]
    Line,
    /// Version 2: a version, command, family or transport that does not exist, or not over a stream.
    #[error("its version, command, family or transport is unknown")]
    Kind,
    /// Version 2: too short for the addresses of its family.
    #[error("it is too short for its addresses")]
    Short,
    /// Version 2: what follows the addresses is not as its own lengths say.
    #[error("what follows its addresses is malformed")]
    Extras,
    /// Version 2: its checksum is another.
    #[error("its checksum is wrong")]
    Checksum,
}

/// Reads a header from the bytes that a connection begins with; none where more of them have to come.
///
/// # Errors
///
/// Where they are none, whatever else may come.
pub fn read(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    if begins(bytes, SIGNATURE) {
        return if bytes.len() < FIXED { Ok(None) } else { second(bytes) };
    }
    if begins(bytes, FIRST) { first(bytes) } else { Err(Malformed::Absent) }
}

/// Whether the bytes begin with those, as far as they have come.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    let common = bytes.len().min(with.len());
    bytes.get(..common) == with.get(..common)
}

/// Version 1: `PROXY TCP4 192.0.2.1 192.0.2.9 56324 443` and CRLF.
fn first(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let head = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\n', head) else {
        return if head.len() < LONGEST_LINE { Ok(None) } else { Err(Malformed::Endless) };
    };
    let line = head.get(FIRST.len()..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Malformed::Line)?;
    let line = std::str::from_utf8(line).ok().filter(|line| !line.contains('\r')).ok_or(Malformed::Line)?;
    let mut words = line.split(' ');
    let source = match words.next() {
        // Whatever follows is to be ignored.
        Some("UNKNOWN") => Source::Unknown,
        Some("TCP4") => Source::Client(client::<Ipv4Addr>(words).ok_or(Malformed::Line)?),
        Some("TCP6") => Source::Client(client::<Ipv6Addr>(words).ok_or(Malformed::Line)?),
        Some(_) | None => return Err(Malformed::Line),
    };
    Ok(Some(Header { length: end + 1, source, channel: Channel::Unsaid }))
}

/// Source, destination, and their ports. The destination is not used, and has to be right all the same.
fn client<'a, Address>(mut words: impl Iterator<Item = &'a str>) -> Option<SocketAddr>
where
    Address: std::str::FromStr + Into<std::net::IpAddr>,
{
    let source: Address = words.next()?.parse().ok()?;
    words.next()?.parse::<Address>().ok()?;
    let source = SocketAddr::new(source.into(), port(words.next()?)?);
    port(words.next()?)?;
    words.next().is_none().then_some(source)
}

/// A number from 0 to 65535 without leading zeros.
fn port(word: &str) -> Option<u16> {
    let number = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| number)
}

/// Version 2: a signature, command, family, length, addresses, and more that each says what it is.
fn second(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some(&[command, family, high, low]) = bytes.get(SIGNATURE.len()..FIXED) else { return Ok(None) };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    let addresses = match family {
        UNSPEC => 0,
        TCP_OVER_IPV4 => 12,
        TCP_OVER_IPV6 => 36,
        UNIX_STREAM => 216,
        _ if command == LOCAL => 0,
        _ => return Err(Malformed::Kind),
    };
    if command != LOCAL && command != PROXY {
        return Err(Malformed::Kind);
    }
    if command == PROXY && length < FIXED + addresses {
        return Err(Malformed::Short);
    }
    let Some(header) = bytes.get(..length) else { return Ok(None) };
    if command == LOCAL {
        return Ok(Some(Header { length, source: Source::Itself, channel: Channel::Unsaid }));
    }
    let (addresses, extras) =
        header.get(FIXED..).unwrap_or_default().split_at_checked(addresses).ok_or(Malformed::Short)?;
    // What follows an address of no family cannot be told from it.
    let channel = if family == UNSPEC { Channel::Unsaid } else { channel(header, extras)? };
    let source = source(family, addresses).map_or(Source::Unknown, Source::Client);
    Ok(Some(Header { length, source, channel }))
}

/// The source's address, which comes first, and its port, which follows both addresses.
fn source(family: u8, addresses: &[u8]) -> Option<SocketAddr> {
    if family == TCP_OVER_IPV4 {
        let (address, rest) = addresses.split_first_chunk::<4>()?;
        let port = rest.get(4..6)?.try_into().ok()?;
        return Some(SocketAddr::new(Ipv4Addr::from(*address).into(), u16::from_be_bytes(port)));
    }
    let (address, rest) = addresses.split_first_chunk::<16>().filter(|_| family == TCP_OVER_IPV6)?;
    let port = rest.get(16..18)?.try_into().ok()?;
    Some(SocketAddr::new(Ipv6Addr::from(*address).into(), u16::from_be_bytes(port)))
}

/// What the extras say of the channel. A checksum among them is verified; others are passed over.
fn channel(header: &[u8], extras: &[u8]) -> Result<Channel, Malformed> {
    let mut channel = Channel::Unsaid;
    let mut rest = extras;
    while let Some((&kind, behind)) = rest.split_first() {
        let (length, behind) = behind.split_first_chunk::<2>().ok_or(Malformed::Extras)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (value, behind) = behind.split_at_checked(length).ok_or(Malformed::Extras)?;
        match kind {
            CRC32C => {
                let said = value.try_into().map_err(|_| Malformed::Extras)?;
                // The checksum is made with zeros in its own place.
                let before = header.len() - behind.len() - length;
                let parts = [header.get(..before), Some(&[0; 4][..]), header.get(before + length..)];
                if crc32c(parts.into_iter().flatten().flatten()) != u32::from_be_bytes(said) {
                    return Err(Malformed::Checksum);
                }
            }
            // One byte of flags and four of a verdict on the client's certificate come first.
            SSL => match value.first().filter(|_| value.len() >= 5) {
                Some(flags) if flags & OVER_TLS != 0 => channel = Channel::Tls,
                Some(_) => {}
                None => return Err(Malformed::Extras),
            },
            _ => {}
        }
        rest = behind;
    }
    Ok(channel)
}

/// CRC-32C (RFC 9260, appendix A), bit by bit: a header is short.
fn crc32c<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ CASTAGNOLI } else { crc >> 1 };
    !bytes.fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// What version 1 begins with.
const FIRST: &[u8] = b"PROXY ";
/// How long a line of version 1 is at most, its end included.
const LONGEST_LINE: usize = 107;
/// What version 2 begins with: the end of a line, and what no protocol says.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// What comes before the addresses in version 2, in bytes.
const FIXED: usize = 16;
/// Version and command, in one byte.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
/// Family and transport, in one byte.
const UNSPEC: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;
/// The kinds of extras that are read.
const CRC32C: u8 = 0x03;
const SSL: u8 = 0x20;
/// The flag of `SSL` that says that the client has connected with TLS.
const OVER_TLS: u8 = 1;
/// The polynomial, reversed.
const CASTAGNOLI: u32 = 0x82f6_3b78;

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of a line, `client` and `length` where it is a header; cut anywhere, more has to come.
    fn check(bytes: &[u8], expected: Result<Source, Malformed>) {
        let with_more = [bytes, b"GET / HTTP/1.1\r\n"].concat();
        let read_whole = read(&with_more);
        let wanted = expected.map(|source| Some(Header { length: bytes.len(), source, channel: Channel::Unsaid }));
        assert_eq!(read_whole, wanted, "{:?}", String::from_utf8_lossy(bytes));
        if wanted.is_ok() {
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end]), Ok(None), "{:?}", String::from_utf8_lossy(&bytes[..end]));
            }
        }
    }

    fn client(address: &str) -> Source {
        Source::Client(address.parse().unwrap())
    }

    #[test]
    fn a_line_of_version_1_is_read_to_the_letter() {
        let line = Err(Malformed::Line);
        let endless = format!("PROXY UNKNOWN {}", "x".repeat(200));
        for (text, expected) in [
            ("PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\r\n", Ok(client("192.0.2.1:56324"))),
            ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n", Ok(client("255.255.255.255:65535"))),
            ("PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", Ok(client("[2001:db8::1]:1"))),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", Ok(client("[::ffff:192.0.2.1]:1"))),
            ("PROXY UNKNOWN\r\n", Ok(Source::Unknown)),
            (
                "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
                Ok(Source::Unknown),
            ),
            ("PROXY UNKNOWN whatever it is\r\n", Ok(Source::Unknown)),
            ("PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\n", line),
            ("PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\r\r\n", line),
            ("PROXY TCP4 192.0.2.1 192.0.2.9 56324 443 \r\n", line),
            ("PROXY TCP4 192.0.2.1 192.0.2.9 56324 443 x\r\n", line),
            ("PROXY TCP4  192.0.2.1 192.0.2.9 56324 443\r\n", line),
            ("PROXY TCP4 192.0.2.1 192.0.2.9 56324\r\n", line),
            ("PROXY TCP4 192.0.2.1 192.0.2.9 65536 443\r\n", line),
            ("PROXY TCP4 192.0.2.1 192.0.2.9 +1 443\r\n", line),
            ("PROXY TCP4 192.0.2.1 192.0.2.9 01 443\r\n", line),
            ("PROXY TCP4 192.0.2.1 192.0.2.9 1 -\r\n", line),
            ("PROXY TCP4 192.0.2.01 192.0.2.9 1 2\r\n", line),
            ("PROXY TCP4 192.0.2 192.0.2.9 1 2\r\n", line),
            ("PROXY TCP4 ::1 ::1 1 2\r\n", line),
            ("PROXY TCP6 192.0.2.1 192.0.2.9 1 2\r\n", line),
            ("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", line),
            ("PROXY UDP4 192.0.2.1 192.0.2.9 1 2\r\n", line),
            ("PROXY unknown\r\n", line),
            ("PROXY UNKNOWNX\r\n", line),
            ("PROXY  UNKNOWN\r\n", line),
            ("PROXY \r\n", line),
            ("PROXY TCP4 \u{e9} 192.0.2.9 1 2\r\n", line),
            (&endless, Err(Malformed::Endless)),
            ("PROXY\r\n", Err(Malformed::Absent)),
            ("proxy UNKNOWN\r\n", Err(Malformed::Absent)),
            ("GET / HTTP/1.1\r\n", Err(Malformed::Absent)),
            ("\x16\x03\x01\x02\0", Err(Malformed::Absent)),
            ("\r\n\r\n\0\r\nQUIT\r", Err(Malformed::Absent)),
        ] {
            check(text.as_bytes(), expected);
        }
    }

    #[test]
    fn a_line_of_version_1_has_107_bytes_at_most() {
        for (length, expected) in
            [(106, Ok(Source::Unknown)), (107, Ok(Source::Unknown)), (108, Err(Malformed::Endless))]
        {
            let filler = "x".repeat(length - "PROXY UNKNOWN \r\n".len());
            check(format!("PROXY UNKNOWN {filler}\r\n").as_bytes(), expected);
        }
    }

    /// A header of version 2, with its length made right.
    fn second(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 192, 0, 2, 9, 0xdc, 4, 1, 0xbb];

    fn v6() -> Vec<u8> {
        let (one, other): (Ipv6Addr, Ipv6Addr) = ("2001:db8::1".parse().unwrap(), "::1".parse().unwrap());
        [&one.octets()[..], &other.octets(), &[0xdc, 4, 1, 0xbb]].concat()
    }

    #[test]
    fn a_header_of_version_2_is_read_by_its_lengths() {
        let with = |extras: &[u8]| second(PROXY, TCP_OVER_IPV4, &[&V4[..], extras].concat());
        let long = [&[0xee, 0xff, 0][..], &vec![7; 0xff00]].concat();
        for (header, expected) in [
            (second(PROXY, TCP_OVER_IPV4, &V4), Ok(client("192.0.2.1:56324"))),
            (second(PROXY, TCP_OVER_IPV6, &v6()), Ok(client("[2001:db8::1]:56324"))),
            (second(PROXY, UNIX_STREAM, &[0; 216]), Ok(Source::Unknown)),
            (second(PROXY, UNSPEC, &[]), Ok(Source::Unknown)),
            (second(PROXY, UNSPEC, &[1, 2, 3]), Ok(Source::Unknown)),
            (second(LOCAL, UNSPEC, &[]), Ok(Source::Itself)),
            (second(LOCAL, TCP_OVER_IPV4, &V4), Ok(Source::Itself)),
            (second(LOCAL, 0x77, &[9; 40]), Ok(Source::Itself)),
            // An ALPN and a NOOP without a value.
            (with(&[1, 0, 2, b'h', b'2', 4, 0, 0]), Ok(client("192.0.2.1:56324"))),
            (with(&long), Ok(client("192.0.2.1:56324"))),
            (with(&[1]), Err(Malformed::Extras)),
            (with(&[1, 0]), Err(Malformed::Extras)),
            (with(&[1, 0, 3, b'h', b'2']), Err(Malformed::Extras)),
            (with(&[SSL, 0, 4, 1, 0, 0, 0]), Err(Malformed::Extras)),
            (with(&[CRC32C, 0, 3, 1, 2, 3]), Err(Malformed::Extras)),
            (with(&[CRC32C, 0, 4, 1, 2, 3, 4]), Err(Malformed::Checksum)),
            (second(PROXY, TCP_OVER_IPV4, &V4[..11]), Err(Malformed::Short)),
            (second(PROXY, TCP_OVER_IPV6, &V4), Err(Malformed::Short)),
            (second(PROXY, UNIX_STREAM, &[0; 215]), Err(Malformed::Short)),
            (second(PROXY, 0x12, &V4), Err(Malformed::Kind)),
            (second(PROXY, 0x10, &V4), Err(Malformed::Kind)),
            (second(PROXY, 0x41, &V4), Err(Malformed::Kind)),
            (second(0x22, TCP_OVER_IPV4, &V4), Err(Malformed::Kind)),
            (second(0x11, TCP_OVER_IPV4, &V4), Err(Malformed::Kind)),
        ] {
            check(&header, expected);
        }
    }

    #[test]
    fn a_header_may_say_that_the_client_came_with_tls() {
        for (flags, expected) in [(1, Channel::Tls), (7, Channel::Tls), (0, Channel::Unsaid), (2, Channel::Unsaid)] {
            let extras = [SSL, 0, 8, flags, 0, 0, 0, 0, 0x21, 0, 0];
            let header = second(PROXY, TCP_OVER_IPV4, &[&V4[..], &extras].concat());
            assert_eq!(read(&header).unwrap().unwrap().channel, expected, "{flags}");
        }
    }

    #[test]
    fn a_checksum_covers_the_whole_header() {
        // The check value of CRC-32C.
        assert_eq!(crc32c(b"123456789".iter()), 0xe306_9283);
        let rest = [&V4[..], &[4, 0, 1, 9, CRC32C, 0, 4, 0, 0, 0, 0, 4, 0, 0]].concat();
        let mut header = second(PROXY, TCP_OVER_IPV4, &rest);
        let at = header.len() - 7;
        let sum = crc32c(header.iter()).to_be_bytes();
        header[at..at + 4].copy_from_slice(&sum);
        check(&header, Ok(client("192.0.2.1:56324")));
        header[20] ^= 1;
        check(&header, Err(Malformed::Checksum));
    }
}
