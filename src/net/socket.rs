//! Owns the options of listening and connecting sockets.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::Path;

use socket2::Domain;
use socket2::Protocol;
use socket2::SockAddr;
use socket2::SockFilter;
use socket2::Socket;
use socket2::Type;
use tokio::net::TcpStream;

use crate::fault::failure::IcmpEvidence;
use crate::net::icmp;

/// Binds and listens once, without sharing the port, and lets go again.
///
/// With `SO_REUSEPORT` a port that another program of the same user holds would be taken silently, so a plain bind comes first.
///
/// # Errors
///
/// What the kernel says: the port is busy, the address is not this host's, the port is privileged.
pub fn try_listen(address: SocketAddr) -> io::Result<SocketAddr> {
    let socket = tcp(address)?;
    socket.bind(&address.into())?;
    socket.listen(1)?;
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// Listens on a port that is shared by all cores.
///
/// # Errors
///
/// What the kernel says.
pub fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = tcp(address)?;
    socket.set_reuse_port(true)?;
    // Inherited by what is accepted, so that it need not be set for each.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A connection that could not be opened.
#[derive(Debug)]
pub struct Unopened {
    /// What the kernel says.
    pub error: io::Error,
    /// The message for which it says so, where it is one.
    pub icmp: Option<IcmpEvidence>,
}

impl From<io::Error> for Unopened {
    fn from(error: io::Error) -> Self {
        Self { error, icmp: None }
    }
}

/// Connects to a server.
///
/// # Errors
///
/// What the kernel says.
pub async fn connect(address: SocketAddr) -> Result<TcpStream, Unopened> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    // A port of this host's own has answered by now, and a refusal need not wait for the runtime to be told of it.
    let refused = if address.ip().is_loopback() { socket.take_error()? } else { None };
    if let Some(error) = refused {
        return Err(Unopened { error, icmp: icmp::of(socket.as_raw_fd()) });
    }
    let stream = TcpStream::from_std(socket.into())?;
    stream.writable().await?;
    match stream.take_error()? {
        None => Ok(stream),
        Some(error) => Err(Unopened { error, icmp: icmp::of(stream.as_raw_fd()) }),
    }
}

/// Listens on a unix socket. A socket file that nobody listens on any more is replaced; one that answers is not.
///
/// # Errors
///
/// `AddrInUse` where another program listens on it or the path is no socket, and what the kernel says.
pub fn listen_unix(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = SockAddr::unix(path)?;
    if let Err(error) = socket.bind(&address) {
        if error.kind() != io::ErrorKind::AddrInUse || !is_stale(path) {
            return Err(error);
        }
        std::fs::remove_file(path)?;
        socket.bind(&address)?;
    }
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Lets no new connection begin on a listening TCP socket, while those whose handshake is under way still arrive. Without it
/// there is always one more that comes between the last accept and the close, and is reset.
///
/// # Errors
///
/// What the kernel says; the socket listens as before then.
pub fn close_to_newcomers(socket: &tokio::net::TcpListener) -> io::Result<()> {
    let step = SockFilter::new;
    // A classic packet filter sees a TCP segment from its header on. One with SYN and without ACK is passed over in silence, so
    // that the client's system asks again, and is refused then.
    let filter = [
        step(LOAD_BYTE, 0, 0, FLAGS_AT),
        step(AND, 0, 0, SYN | ACK),
        step(JUMP_IF_EQUAL, 0, 1, SYN),
        step(RETURN, 0, 0, 0),
        step(RETURN, 0, 0, u32::MAX),
    ];
    socket2::SockRef::from(socket).attach_filter(&filter)
}

/// Whether the path is a socket that refuses connections: its program has ended.
fn is_stale(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && std::os::unix::net::UnixStream::connect(path).err().is_some_and(refused)
}

fn tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` is IPv6 alone, so that `0.0.0.0` on the same port can stand beside it on every system.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Connections that wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// The classic packet filter's instructions: `BPF_LD|BPF_B|BPF_ABS`, `BPF_ALU|BPF_AND`, `BPF_JMP|BPF_JEQ` and `BPF_RET`, each with a
/// constant.
const LOAD_BYTE: u16 = 0x30;
const AND: u16 = 0x54;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// Where a TCP header has its flags, and two of them (RFC 9293, section 3.1).
const FLAGS_AT: u32 = 13;
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;
