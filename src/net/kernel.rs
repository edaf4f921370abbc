//! Owns what is asked of the kernel by a descriptor's number, for which there are no safe calls: all the `unsafe` of this program, which
//! the lints forbid anywhere else.
//!
//! Each function is one system call, or two; what comes of it is read elsewhere, in safe code. Miri cannot run system calls: the
//! tests run these on a real kernel, and `.ci/run` has valgrind look at what the kernel is given and what it writes.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;

/// Takes what was open under this number before this program began, passed by whoever started it; no program that is started from
/// here inherits it any more. To be asked for once a number, and before this program opens anything of its own for good.
///
/// # Errors
///
/// Nothing is open under this number.
#[expect(unsafe_code, reason = "a descriptor is only known by its number, which no safe call takes")]
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: this changes a flag of a descriptor, or fails where there is none.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, as was just seen, and by the word of whoever started this program it is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
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

/// `TCP_INFO` of the connection behind an open descriptor; none where it is not TCP's.
#[must_use]
#[expect(unsafe_code, reason = "getsockopt(TCP_INFO) has no safe wrapper in a crate that we use")]
pub fn tcp_info(descriptor: RawFd) -> Option<libc::tcp_info> {
    // SAFETY: all zeros is a value of this struct, which consists of integers.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).ok()?;
    // SAFETY: the kernel writes at most `length` bytes to `info`; a descriptor that is none, or not TCP's, is an error it returns.
    let outcome = unsafe {
        libc::getsockopt(descriptor, libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &raw mut length)
    };
    (outcome == 0).then_some(info)
}

/// The first message in the error queue of the socket behind an open descriptor, where the kernel keeps what came by ICMP (ip(7),
/// `IP_RECVERR`): what its control message says, without the head; none where there is none.
#[must_use]
#[expect(unsafe_code, reason = "no crate that we use reads the messages of the error queue")]
pub fn queued_error(descriptor: RawFd) -> Option<Vec<u8>> {
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
