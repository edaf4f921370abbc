//! Owns the error queue of a socket, where the kernel keeps what came in an ICMP message (ip(7), `IP_RECVERR`). No crate that we use
//! reads it.

use std::os::fd::RawFd;

/// What the control message of the first error says, without its head; none where there is none.
#[must_use]
#[expect(unsafe_code, reason = "no crate that we use reads the messages of the error queue")]
pub fn first(descriptor: RawFd) -> Option<Vec<u8>> {
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
    (outcome >= 0).then(|| bytes.get(size_of::<libc::cmsghdr>()..).map(<[u8]>::to_vec)).flatten()
}

/// Room for one control message, in words: its head, the error, and an address of IPv6.
const CONTROL: usize = 12;
