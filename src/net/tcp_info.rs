//! Owns what the kernel knows of a connection that is only known by its descriptor: how TCP fares (`TCP_INFO`, for which no safe
//! crate exists), whether something has come that nobody has read, and by which message a connection was refused.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::os::fd::RawFd;
use std::time::Duration;

use crate::fault::failure::Icmp;
use crate::fault::failure::IcmpEvidence;
use crate::fault::failure::TransportEvidence;

/// What the kernel knows of the connection behind an open descriptor; none where it will not say.
#[must_use]
pub fn read(descriptor: RawFd) -> Option<TransportEvidence> {
    ask(descriptor).map(|info| TransportEvidence {
        retransmits: u32::from(info.tcpi_retransmits),
        total_retransmits: info.tcpi_total_retrans,
        unacknowledged: info.tcpi_unacked,
        round_trip: Duration::from_micros(u64::from(info.tcpi_rtt)),
        segment_size: info.tcpi_snd_mss,
        out_of_order: info.tcpi_rcv_ooopack,
    })
}

/// Whether the far end has closed or reset the connection behind an open descriptor, whatever is still unread.
#[must_use]
pub fn is_ended(descriptor: RawFd) -> bool {
    ask(descriptor).is_some_and(|info| matches!(info.tcpi_state, CLOSED | CLOSE_WAIT | LAST_ACK | CLOSING))
}

/// Whether bytes have come on the connection behind an open descriptor, of TCP or of a unix socket, that nobody has read. The
/// runtime hears of them later than the kernel.
#[must_use]
#[expect(unsafe_code, reason = "a descriptor is only known by its number here, which no safe call takes")]
pub fn has_unread(descriptor: RawFd) -> bool {
    // SAFETY: it is open for as long as this call takes, by the word of whoever asks.
    let connection = unsafe { BorrowedFd::borrow_raw(descriptor) };
    rustix::io::ioctl_fionread(connection).is_ok_and(|count| count > 0)
}

/// The ICMP message for which a connection was not opened, where it was one; a refusal by TCP itself leaves none (ip(7),
/// `IP_RECVERR`: while a connection is being opened, the kernel keeps the message without being asked to).
#[must_use]
#[expect(unsafe_code, reason = "no crate that we use reads the messages of the error queue")]
pub fn icmp(descriptor: RawFd) -> Option<IcmpEvidence> {
    let mut control = [0_u64; CONTROL];
    // SAFETY: all zeros is a value of this struct: no name, no buffer for data.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_control = control.as_mut_ptr().cast();
    // The field is wider with some C libraries than with others.
    message.msg_controllen = u16::try_from(size_of_val(&control)).ok()?.into();
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: the kernel writes at most `msg_controllen` bytes to `control`, which outlives the call.
    let outcome = unsafe { libc::recvmsg(descriptor, &raw mut message, flags) };
    let bytes: Vec<u8> = control.iter().flat_map(|word| word.to_ne_bytes()).collect();
    (outcome >= 0).then(|| extended_error(bytes.get(size_of::<libc::cmsghdr>()..)?)).flatten()
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

#[expect(unsafe_code, reason = "getsockopt(TCP_INFO) has no safe wrapper in a crate that we use")]
fn ask(descriptor: RawFd) -> Option<libc::tcp_info> {
    // SAFETY: all zeros is a value of this struct, which consists of integers.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).ok()?;
    // SAFETY: the kernel writes at most `length` bytes to `info`; a descriptor that is none, or not TCP's, is an error it returns.
    let outcome = unsafe {
        libc::getsockopt(descriptor, libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &raw mut length)
    };
    (outcome == 0).then_some(info)
}

/// States of a connection whose far end has ended it (`linux/tcp_states.h`).
const CLOSED: u8 = 7;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;

/// Room for one control message, in words: its head, the error, and an address of IPv6.
const CONTROL: usize = 12;

#[cfg(test)]
mod tests {
    use super::extended_error;
    use super::icmp;
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
        assert_eq!((icmp(socket.as_raw_fd()), icmp(-1)), (None, None));
    }
}
