//! Owns which ICMP message a connection was not opened for.

use std::net::IpAddr;
use std::os::fd::RawFd;

use crate::fault::failure::Icmp;
use crate::fault::failure::IcmpEvidence;
use crate::net::kernel;

/// The message for which the connection behind an open descriptor was not opened, where it was one; a refusal by TCP itself leaves
/// none. While a connection is being opened, the kernel keeps the message without being asked to.
#[must_use]
pub fn of(descriptor: RawFd) -> Option<IcmpEvidence> {
    extended_error(&kernel::queued_error(descriptor)?)
}

/// `struct sock_extended_err`, and behind it the address of who sent the message.
fn extended_error(bytes: &[u8]) -> Option<IcmpEvidence> {
    let [_, _, _, _, origin, kind, code, ..] = *bytes else { return None };
    let family =
        |number: i32| bytes.get(16..18) == u16::try_from(number).ok().map(u16::to_ne_bytes).as_ref().map(|it| &it[..]);
    let from = if family(libc::AF_INET) {
        bytes.get(20..24).and_then(|octets| Some(IpAddr::from(<[u8; 4]>::try_from(octets).ok()?)))
    } else if family(libc::AF_INET6) {
        bytes.get(24..40).and_then(|octets| Some(IpAddr::from(<[u8; 16]>::try_from(octets).ok()?)))
    } else {
        None
    };
    // RFC 792, RFC 1812 (section 5.2.7.1) and RFC 4443 (section 3.1) have the codes.
    let says = match (origin, kind, code) {
        (libc::SO_EE_ORIGIN_ICMP, 3, 0 | 6 | 11) | (libc::SO_EE_ORIGIN_ICMP6, 1, 0 | 6) => Icmp::NetworkUnreachable,
        (libc::SO_EE_ORIGIN_ICMP, 3, 1 | 7 | 12) | (libc::SO_EE_ORIGIN_ICMP6, 1, 3) => Icmp::HostUnreachable,
        (libc::SO_EE_ORIGIN_ICMP, 3, 3) | (libc::SO_EE_ORIGIN_ICMP6, 1, 4) => Icmp::PortUnreachable,
        (libc::SO_EE_ORIGIN_ICMP, 3, 9 | 10 | 13) | (libc::SO_EE_ORIGIN_ICMP6, 1, 1 | 5) => Icmp::Prohibited,
        (libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6, _, _) => Icmp::Other,
        _ => return None,
    };
    Some(IcmpEvidence { from, says })
}

#[cfg(test)]
mod tests {
    use super::extended_error;
    use super::of;
    use crate::fault::failure::Icmp;

    /// What Linux 6.18 wrote for a rule of nftables that rejects, without the control message's head.
    #[test]
    fn a_message_of_the_error_queue_is_read() {
        let of_port = b"o\0\0\0\x02\x03\x03\0\0\0\0\0\0\0\0\0\x02\0\0\0\x0aM\0\x02\0\0\0\0\0\0\0\0";
        let by_filter = b"q\0\0\0\x02\x03\x0d\0\0\0\0\0\0\0\0\0\x02\0\0\0\x0aM\0\x01\0\0\0\0\0\0\0\0";
        let read = |bytes| extended_error(bytes).map(|found| (found.says, found.from.map(|from| from.to_string())));
        assert_eq!(read(of_port), Some((Icmp::PortUnreachable, Some("10.77.0.2".to_owned()))));
        assert_eq!(read(by_filter), Some((Icmp::Prohibited, Some("10.77.0.1".to_owned()))));
        let mut v6 = [0; 44];
        v6[4..7].copy_from_slice(&[3, 1, 4]);
        v6[16..18].copy_from_slice(&10_u16.to_ne_bytes());
        v6[24] = 0xfd;
        v6[39] = 5;
        assert_eq!(read(&v6), Some((Icmp::PortUnreachable, Some("fd00::5".to_owned()))));
        // Without an address, of another origin, and cut short.
        assert_eq!(read(&of_port[..16]), Some((Icmp::PortUnreachable, None)));
        assert_eq!((read(&[0; 44]), read(&of_port[..6])), (None, None));
    }

    #[test]
    fn a_reset_leaves_no_message() {
        use std::os::fd::AsRawFd;
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        assert_eq!(socket.connect(&free.into()).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!((of(socket.as_raw_fd()), of(-1)), (None, None));
    }
}
