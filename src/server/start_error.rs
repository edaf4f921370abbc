//! Owns why the program cannot start, each with what is to be done about it.

use std::io;

use crate::config::ListenAddress;
use crate::net::tls::TlsSetupError;

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address cannot be listened on.
    #[error("{address}: {}", listen_cure(.address, .source))]
    Listen {
        /// The address.
        address: ListenAddress,
        /// What the kernel says.
        source: io::Error,
    },
    /// The log cannot be written to.
    #[error(
        "the log {output} cannot be opened; name a file in `[log] output` that this user may write to, or \"stdout\""
    )]
    Log {
        /// Where it was to go.
        output: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// A socket that systemd passes is no listener's.
    #[error(
        "no [[listener]] is for the socket {address} that systemd passes ({name}), and clients would wait there for good; write a \
         [[listener]] with address = \"{address}\", or take its ListenStream= out of the socket unit"
    )]
    Unwanted {
        /// Where it listens.
        address: ListenAddress,
        /// What systemd calls it.
        name: String,
    },
    /// What was passed is no listening socket.
    #[error(
        "what was passed to this program for {name} is no socket that can be listened on; a socket unit needs ListenStream= and \
         Accept=no"
    )]
    Passed {
        /// What it was said to be for.
        name: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// The words of the process that is to be taken over are not as they should be.
    #[error("the variable WHY502_TAKE_OVER is only for why502 itself to set; start this program without it")]
    NotPassed,
    /// TLS towards an upstream cannot be set up.
    #[error("upstream \"{upstream}\": TLS cannot be set up")]
    Tls {
        /// The upstream.
        upstream: String,
        /// Why.
        source: TlsSetupError,
    },
    /// TLS towards clients cannot be set up.
    #[error("listener {address}: TLS cannot be set up")]
    Certificates {
        /// The listener.
        address: ListenAddress,
        /// Why.
        source: TlsSetupError,
    },
    /// A core cannot wait for its sockets.
    #[error(
        "this host has too few file descriptors left for a core; raise the limit (`ulimit -n`, LimitNOFILE in systemd)"
    )]
    Runtime(#[source] io::Error),
    /// A thread cannot be started.
    #[error("a thread cannot be started; `[runtime] workers` may ask for too many")]
    Thread(#[source] io::Error),
}

/// What is to be done about an address that cannot be listened on.
fn listen_cure(address: &ListenAddress, error: &io::Error) -> String {
    if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
        return TOO_FEW_DESCRIPTORS.to_owned();
    }
    match (address, error.kind()) {
        (ListenAddress::Tcp(address), io::ErrorKind::AddrInUse) => format!(
            "another program listens there already; see which with `ss -ltnp 'sport = :{}'`, and stop it or listen elsewhere",
            address.port()
        ),
        (ListenAddress::Tcp(_), io::ErrorKind::PermissionDenied) => {
            "this user may not listen on a port below 1024; use a higher one, or grant it with `setcap cap_net_bind_service=+ep`".to_owned()
        }
        (ListenAddress::Tcp(_), io::ErrorKind::AddrNotAvailable) => {
            "this host has no such address; see its own with `ip address`, or listen on 0.0.0.0".to_owned()
        }
        (ListenAddress::Unix(_), io::ErrorKind::AddrInUse) => {
            "another program listens on this socket, or the path is a file of another kind; stop it or use another path".to_owned()
        }
        (ListenAddress::Unix(_), io::ErrorKind::NotFound) => "the directory does not exist; make it, or use another path".to_owned(),
        (ListenAddress::Unix(_), io::ErrorKind::PermissionDenied) => {
            "this user may not make a socket in that directory; change its owner, or use another path".to_owned()
        }
        _ => "it cannot be listened on".to_owned(),
    }
}

/// What is to be done where there are too few of them.
const TOO_FEW_DESCRIPTORS: &str =
    "there are too few file descriptors left; raise the limit (`ulimit -n`, LimitNOFILE in systemd)";
