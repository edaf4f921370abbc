//! Owns the one way to descriptors that were open before this program began: whoever started it has passed them, by their number.

use std::io;
use std::os::fd::FromRawFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;

/// Takes what was passed under this number, which no program that is started from here inherits any more. To be asked for once a
/// number, and before this program opens anything of its own for good.
///
/// # Errors
///
/// Nothing is open under this number.
#[expect(unsafe_code, reason = "a descriptor is only known by its number, which no safe call takes")]
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: this changes a flag of a descriptor, or fails where there is none.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, as was just seen, and by the word of whoever started this program it is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
