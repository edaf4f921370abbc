//! Owns how TCP fares on a connection that is only known by its descriptor, as the kernel knows it.

use std::os::fd::RawFd;
use std::time::Duration;

use crate::fault::failure::TransportEvidence;
use crate::net::kernel;

/// What the kernel knows of the connection behind an open descriptor; none where it will not say.
#[must_use]
pub fn read(descriptor: RawFd) -> Option<TransportEvidence> {
    kernel::tcp_info(descriptor).map(|info| TransportEvidence {
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
    kernel::tcp_info(descriptor).is_some_and(|info| matches!(info.tcpi_state, CLOSED | CLOSE_WAIT | LAST_ACK | CLOSING))
}

/// States of a connection whose far end has ended it (`linux/tcp_states.h`).
const CLOSED: u8 = 7;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;
