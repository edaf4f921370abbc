//! Owns what the kernel knows of a connection that is only known by its descriptor: how TCP fares (`TCP_INFO`, for which no safe
//! crate exists), and whether something has come that nobody has read.

use std::os::fd::BorrowedFd;
use std::os::fd::RawFd;
use std::time::Duration;

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
