//! Owns the meaning of the operating system's errors when a connection is opened.

use std::io;

use crate::fault::Fault;

impl Fault {
    /// Why an address could not be connected to over TCP.
    #[must_use]
    pub fn of_connect(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ECONNREFUSED) => Self::ConnectionRefused,
            Some(libc::EHOSTUNREACH | libc::EHOSTDOWN) => Self::HostUnreachable,
            Some(libc::ENETUNREACH | libc::ENETDOWN) => Self::NetworkUnreachable,
            Some(libc::EACCES | libc::EPERM) => Self::ConnectionProhibited,
            // Without a free port, connect says EADDRNOTAVAIL; EAGAIN is its older word for it (connect(2)).
            Some(libc::EADDRNOTAVAIL | libc::EAGAIN) => Self::LocalPortsExhausted,
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Self::FileDescriptorsExhausted,
            Some(libc::ETIMEDOUT) => Self::ConnectionTimedOut,
            // A reset that comes in place of the handshake's last step is a refusal.
            Some(libc::ECONNRESET | libc::ECONNABORTED) => Self::ConnectionRefused,
            // An address that cannot be connected to from here: no route that leads there has a fitting source.
            _ => Self::NetworkUnreachable,
        }
    }

    /// Why a unix socket could not be connected to.
    #[must_use]
    pub fn of_unix_connect(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => Self::SocketMissing,
            Some(libc::EACCES | libc::EPERM) => Self::SocketPermissionDenied,
            Some(libc::EAGAIN) => Self::SocketBacklogFull,
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Self::FileDescriptorsExhausted,
            // ECONNREFUSED: the file is there, but nobody listens on it, or it is no socket.
            _ => Self::ConnectionRefused,
        }
    }

    /// Whether an address's own error says more than another's (RFC 8305 leaves it open; `rules.md`, R-135): what was said by
    /// somebody over what was concluded from silence.
    #[must_use]
    pub fn tells_more_than(self, other: Self) -> bool {
        let rank = |fault: Self| CONNECT_RANK.iter().position(|ranked| *ranked == fault).unwrap_or(CONNECT_RANK.len());
        rank(self) < rank(other)
    }
}

/// Faults of connecting, the most telling first.
const CONNECT_RANK: &[Fault] = &[
    Fault::FileDescriptorsExhausted,
    Fault::LocalPortsExhausted,
    Fault::ConnectionProhibited,
    Fault::ConnectionRefused,
    Fault::HostUnreachable,
    Fault::ConnectionTimedOut,
    Fault::NetworkUnreachable,
];

#[cfg(test)]
mod tests {
    use std::io;

    use crate::fault::Fault;

    #[test]
    fn each_error_number_has_its_fault() {
        let tcp = [
            (111, Fault::ConnectionRefused),
            (113, Fault::HostUnreachable),
            (101, Fault::NetworkUnreachable),
            (13, Fault::ConnectionProhibited),
            (1, Fault::ConnectionProhibited),
            (99, Fault::LocalPortsExhausted),
            (24, Fault::FileDescriptorsExhausted),
            (23, Fault::FileDescriptorsExhausted),
            (110, Fault::ConnectionTimedOut),
        ];
        for (number, fault) in tcp {
            assert_eq!(Fault::of_connect(&io::Error::from_raw_os_error(number)), fault, "{number}");
        }
        let unix = [
            (2, Fault::SocketMissing),
            (13, Fault::SocketPermissionDenied),
            (11, Fault::SocketBacklogFull),
            (111, Fault::ConnectionRefused),
            (24, Fault::FileDescriptorsExhausted),
        ];
        for (number, fault) in unix {
            assert_eq!(Fault::of_unix_connect(&io::Error::from_raw_os_error(number)), fault, "unix {number}");
        }
    }

    #[test]
    fn a_refusal_tells_more_than_silence() {
        assert!(Fault::ConnectionRefused.tells_more_than(Fault::ConnectionTimedOut));
        assert!(!Fault::NetworkUnreachable.tells_more_than(Fault::ConnectionTimedOut));
    }
}
