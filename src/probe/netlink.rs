//! Owns the kernel's own account of this host's sockets and neighbours (`sock_diag(7)`, `rtnetlink(7)`): the question, and the
//! messages that answer it.
//!
//! It needs no privilege, and says what `/proc/net` does not: how many connections a listening socket has waiting, and for
//! how many it has room. Where it is not allowed, as under a strict seccomp filter, the caller reads `/proc/net` instead.

use std::io;
use std::io::Read;
use std::time::Duration;
use std::time::Instant;

use socket2::Domain;
use socket2::Protocol;
use socket2::Socket;
use socket2::Type;

/// What the kernel is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum About {
    /// Sockets.
    Sockets,
    /// The neighbour table.
    Neighbours,
}

impl About {
    /// The protocol that the question is asked in, and its number there.
    const fn question(self) -> (i32, u16) {
        match self {
            Self::Sockets => (libc::NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY),
            Self::Neighbours => (libc::NETLINK_ROUTE, libc::RTM_GETNEIGH),
        }
    }
}

/// Asks for everything that the request describes, and hands each one's message over. Ends early, with what there was
/// until then, where there are more than anybody can look at in a moment.
///
/// # Errors
///
/// Those of the system: it is not allowed here, or the kernel does not know the question.
pub(super) fn dump(about: About, request: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let (protocol, question) = about.question();
    let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::DGRAM, Some(Protocol::from(protocol)))?;
    socket.set_read_timeout(Some(LONGEST))?;
    socket.send(&message(question, request))?;
    let end = Instant::now() + LONGEST;
    let mut buffer = vec![0; LARGEST];
    let mut reader = &socket;
    while Instant::now() < end {
        let length = reader.read(&mut buffer)?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let Some((kind, payload, behind)) = first(rest) {
            rest = behind;
            match kind {
                DONE => return Ok(()),
                ERROR => {
                    let number = i32::from_ne_bytes(payload.first_chunk().copied().unwrap_or_default());
                    return if number == 0 {
                        Ok(())
                    } else {
                        Err(io::Error::from_raw_os_error(number.saturating_neg()))
                    };
                }
                _ => each(payload),
            }
        }
    }
    Ok(())
}

/// The request behind its header: a dump, asked of the kernel.
fn message(question: u16, request: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + request.len()).unwrap_or_default();
    let mut message = Vec::with_capacity(HEADER + request.len());
    message.extend(length.to_ne_bytes());
    message.extend(question.to_ne_bytes());
    message.extend(REQUEST_AND_DUMP.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(request);
    message
}

/// The first message: its kind, what it holds, and what is behind it. Messages begin at multiples of four bytes.
fn first(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let payload = bytes.get(HEADER..length)?;
    Some((kind, payload, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// The attribute of that kind in what stands behind the fixed part of a message.
pub(super) fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        let value = rest.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

/// The number that stands there, in this machine's byte order.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// A dump ends by then.
const LONGEST: Duration = Duration::from_millis(200);

/// The kernel fills no more than this at once.
const LARGEST: usize = 32 * 1024;

const HEADER: usize = 16;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const REQUEST_AND_DUMP: u16 = 0x301;
const ERROR: u16 = 2;
const DONE: u16 = 3;

#[cfg(test)]
mod tests {
    use super::attribute;
    use super::first;

    #[test]
    fn what_is_cut_off_or_lies_about_its_length_ends_the_reading() {
        let message = [20_u32.to_ne_bytes().as_slice(), &[20, 0, 0, 0], &[0; 8], b"abcd", b"rest"].concat();
        assert_eq!(first(&message), Some((u16::from_ne_bytes([20, 0]), &b"abcd"[..], &b"rest"[..])));
        for broken in [&message[..12], &message[..19], &[0xff; 24], &[0; 24], &[]] {
            assert_eq!(first(broken), None, "{broken:?}");
        }
        let attributes = [
            5_u16.to_ne_bytes(),
            1_u16.to_ne_bytes(),
            [7, 0],
            [0, 0],
            6_u16.to_ne_bytes(),
            2_u16.to_ne_bytes(),
            [8, 9],
        ]
        .concat();
        assert_eq!((attribute(&attributes, 1), attribute(&attributes, 2)), (Some(&[7][..]), Some(&[8, 9][..])));
        for broken in [&attributes[..3], &[0, 0, 9, 9, 1], &[0xff; 8], &[]] {
            assert_eq!(attribute(broken, 2), None);
        }
    }
}
