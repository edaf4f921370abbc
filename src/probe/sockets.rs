//! Owns what sockets this host has: what listens on a port or on a path, how full its queue is, how many connections lead to
//! an address. Asked of the kernel by netlink, or read from `/proc/net` where that is not allowed.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::io::Read;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::netlink;
use super::netlink::About;
use super::netlink::attribute;
use super::netlink::u32_at;

/// A socket that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listener {
    /// Where; none for a unix socket.
    pub(super) address: Option<SocketAddr>,
    /// The number by which `/proc/PID/fd` knows it.
    pub(super) inode: u32,
    /// How many connections wait to be accepted, and how many may.
    pub(super) queue: Option<(u32, u32)>,
    /// Whether it takes IPv6 only, though its address would stand for both.
    only_v6: bool,
}

impl Listener {
    /// Whether a connection to that address is this one's, where nobody else listens more closely.
    pub(super) fn takes(&self, address: IpAddr) -> bool {
        match self.address.map(|own| own.ip()) {
            Some(own) if own == address => true,
            Some(IpAddr::V4(own)) => own.is_unspecified() && address.is_ipv4(),
            Some(IpAddr::V6(own)) => own.is_unspecified() && (address.is_ipv6() || !self.only_v6),
            None => false,
        }
    }

    /// Whether its queue is fuller than the other's.
    pub(super) fn fuller(&self, other: &Self) -> std::cmp::Ordering {
        let waiting = |listener: &Self| listener.queue.map(|(waiting, room)| (waiting > room, waiting));
        waiting(self).cmp(&waiting(other))
    }
}

/// Everything that listens on this TCP port; none where that cannot be seen.
pub(super) fn listening(port: u16) -> Option<Vec<Listener>> {
    let ask = |family| {
        let mut found = Vec::new();
        let each = |message: &[u8]| found.extend(tcp_listener(message).filter(|_| found.len() < MOST));
        let request = inet_request(family, 1 << LISTEN, port, 0);
        netlink::dump(About::Sockets, &request, each).map(|()| found)
    };
    let by_netlink = || -> io::Result<Vec<Listener>> { Ok([ask(AF_INET)?, ask(AF_INET6)?].concat()) };
    let mut found = by_netlink().ok().or_else(|| in_table(LISTEN, |own, _| own.port() == port))?;
    // The kernel may know no filter by port; the answer is looked at again.
    found.retain(|listener| listener.address.is_some_and(|own| own.port() == port));
    Some(found)
}

/// How many connections lead from this host to that address, those included that still wait to be forgotten.
pub(super) fn connections(to: SocketAddr) -> Option<u64> {
    // The kernel may tell of one socket twice where others come and go meanwhile; by its own address it is the same.
    let mut own = HashSet::new();
    let each = |message: &[u8]| own.extend(addresses(message).filter(|(_, remote)| *remote == to).map(|(own, _)| own));
    let family = if to.is_ipv4() { AF_INET } else { AF_INET6 };
    let request = inet_request(family, ALL_STATES & !(1 << LISTEN), 0, to.port());
    netlink::dump(About::Sockets, &request, each).ok().map(|()| own.len() as u64)
}

/// The socket that listens on that path, if any does; none where that cannot be seen.
pub(super) fn listening_at(path: &Path) -> Option<Vec<Listener>> {
    let file = path.metadata().ok()?;
    // A path may lead to the file by another name than it was bound by, so that the file itself is compared too.
    #[expect(clippy::cast_possible_truncation, reason = "the kernel gives the lower half of the number")]
    let number = file.ino() as u32;
    let device = libc::major(file.dev()) << 20 | libc::minor(file.dev());
    let mut found = Vec::new();
    let each = |message: &[u8]| {
        let attributes = message.get(UNIX_MESSAGE..).unwrap_or_default();
        let same_file = attribute(attributes, UDIAG_VFS)
            .is_some_and(|vfs| (u32_at(vfs, 0), u32_at(vfs, 4)) == (Some(number), Some(device)));
        let same_path =
            attribute(attributes, UDIAG_NAME).is_some_and(|name| name == path.as_os_str().as_encoded_bytes());
        if found.is_empty() && (same_file || same_path) {
            let queue =
                attribute(attributes, UDIAG_RQLEN).and_then(|queue| Some((u32_at(queue, 0)?, u32_at(queue, 4)?)));
            found.extend(u32_at(message, 4).map(|inode| Listener { address: None, inode, queue, only_v6: false }));
        }
    };
    if netlink::dump(About::Sockets, &unix_request(), each).is_ok() {
        return Some(found);
    }
    let lines = table("/proc/net/unix").ok()?;
    Some(lines.lines().find_map(|line| unix_line(line, &path.to_string_lossy())).into_iter().collect())
}

/// `struct inet_diag_req_v2`
fn inet_request(family: u8, states: u32, own_port: u16, remote_port: u16) -> Vec<u8> {
    let mut request = vec![family, IPPROTO_TCP, 0, 0];
    request.extend(states.to_ne_bytes());
    request.extend(own_port.to_be_bytes());
    request.extend(remote_port.to_be_bytes());
    // Two addresses and the interface, which are all the same to us.
    request.extend([0; 36]);
    request.extend([0xff; 8]);
    request
}

/// `struct unix_diag_req`
fn unix_request() -> Vec<u8> {
    let mut request = vec![AF_UNIX, 0, 0, 0];
    request.extend((1_u32 << LISTEN).to_ne_bytes());
    request.extend([0; 4]);
    request.extend((SHOW_NAME | SHOW_VFS | SHOW_QUEUE).to_ne_bytes());
    request.extend([0xff; 8]);
    request
}

/// `struct inet_diag_msg`, of a socket that listens.
fn tcp_listener(message: &[u8]) -> Option<Listener> {
    let (own, _) = addresses(message)?;
    let only_v6 = attribute(message.get(INET_MESSAGE..)?, SKV6ONLY).is_some_and(|value| value.first() == Some(&1));
    let queue = Some((u32_at(message, 56)?, u32_at(message, 60)?));
    Some(Listener { address: Some(own), inode: u32_at(message, 68)?, queue, only_v6 })
}

fn addresses(message: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let family = *message.first()?;
    let at = |port: usize, address: usize| {
        let port = u16::from_be_bytes(message.get(port..port + 2)?.try_into().ok()?);
        let bytes: [u8; 16] = message.get(address..address + 16)?.try_into().ok()?;
        let ip = if family == AF_INET {
            IpAddr::V4(Ipv4Addr::from(*bytes.first_chunk::<4>()?))
        } else {
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        };
        Some(SocketAddr::new(ip, port))
    };
    Some((at(4, 8)?, at(6, 24)?))
}

/// The sockets in this state of `/proc/net/tcp` and `tcp6`, which do not tell how much room a queue has.
fn in_table(state: u8, wanted: impl Fn(SocketAddr, SocketAddr) -> bool) -> Option<Vec<Listener>> {
    let (v4, v6) = (table("/proc/net/tcp"), table("/proc/net/tcp6"));
    if v4.is_err() && v6.is_err() {
        return None;
    }
    let texts = [v4.unwrap_or_default(), v6.unwrap_or_default()];
    let lines = texts.iter().flat_map(|text| text.lines().skip(1));
    let found = lines.filter_map(|line| tcp_line(line, state)).filter(|(own, remote, _)| wanted(*own, *remote));
    let listener = |(own, _, inode)| Listener { address: Some(own), inode, queue: None, only_v6: false };
    Some(found.map(listener).take(MOST).collect())
}

/// `0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000 0 4711 …`
fn tcp_line(line: &str, state: u8) -> Option<(SocketAddr, SocketAddr, u32)> {
    let mut fields = line.split_whitespace();
    let (own, remote) = (fields.nth(1)?, fields.next()?);
    if u8::from_str_radix(fields.next()?, 16).ok()? != state {
        return None;
    }
    Some((hexadecimal(own)?, hexadecimal(remote)?, fields.nth(5)?.parse().ok()?))
}

/// An address as groups of four bytes, each in this machine's byte order, and a port.
fn hexadecimal(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let group = |at: usize| Some(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(group(0)?)),
        32 => {
            let groups = [group(0)?, group(8)?, group(16)?, group(24)?].concat();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(groups).ok()?)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// `0000…: 00000002 00000000 00010000 0001 01 4711 /run/app.sock`: the fourth says that it listens.
fn unix_line(line: &str, path: &str) -> Option<Listener> {
    let mut fields = line.split_whitespace();
    let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
    let inode = fields.nth(2)?.parse().ok()?;
    let listens = flags & 0x1_0000 != 0 && line.ends_with(path) && fields.next() == path.split_whitespace().next();
    listens.then_some(Listener { address: None, inode, queue: None, only_v6: false })
}

/// A table of the kernel's, as far as it is worth reading.
fn table(file: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// More sockets than these on one port tell nothing more.
const MOST: usize = 256;
const MOST_BYTES: u64 = 4 * 1024 * 1024;

const AF_UNIX: u8 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// The state of a socket that listens, for TCP and unix sockets alike.
const LISTEN: u8 = 10;
const ALL_STATES: u32 = 0xfff;

/// The length of `struct inet_diag_msg` and of `struct unix_diag_msg`, behind which attributes stand.
const INET_MESSAGE: usize = 72;
const UNIX_MESSAGE: usize = 16;
const SKV6ONLY: u16 = 11;
const UDIAG_NAME: u16 = 0;
const UDIAG_VFS: u16 = 1;
const UDIAG_RQLEN: u16 = 4;
const SHOW_NAME: u32 = 1;
const SHOW_VFS: u32 = 2;
const SHOW_QUEUE: u32 = 0x10;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::net::TcpStream;
    use std::os::unix::net::UnixListener;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_listener_is_seen_with_its_queue_by_the_kernel_and_without_in_its_table() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let clients = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
        let found = listening(address.port()).unwrap();
        let [seen] = &found[..] else { panic!("{found:?}") };
        assert_eq!((seen.address, seen.queue.map(|(waiting, _)| waiting)), (Some(address), Some(2)));
        let (_, room) = seen.queue.unwrap();
        assert!(room >= 2);
        let read = in_table(LISTEN, |own, _| own == address).unwrap();
        assert_eq!(read, [Listener { queue: None, ..seen.clone() }]);
        assert!(connections(address).is_some_and(|count| count >= 2));
        drop((clients, listener));
        assert_eq!(listening(address.port()), Some(Vec::new()));
    }

    #[test]
    fn a_wildcard_takes_what_nobody_else_does() {
        let table = [
            ("127.0.0.1:80", false, "127.0.0.1", true),
            ("127.0.0.1:80", false, "127.0.0.2", false),
            ("0.0.0.0:80", false, "127.0.0.1", true),
            ("0.0.0.0:80", false, "::1", false),
            ("[::]:80", false, "127.0.0.1", true),
            ("[::]:80", true, "127.0.0.1", false),
            ("[::]:80", true, "::1", true),
        ];
        for (own, only_v6, address, takes) in table {
            let listener = Listener { address: Some(own.parse().unwrap()), inode: 1, queue: None, only_v6 };
            assert_eq!(listener.takes(address.parse().unwrap()), takes, "{own} {address}");
        }
    }

    #[test]
    fn a_socket_that_takes_ipv6_only_is_told_from_one_for_both() {
        for only_v6 in [true, false] {
            let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
            socket.set_only_v6(only_v6).unwrap();
            socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into()).unwrap();
            socket.listen(1).unwrap();
            let port = socket.local_addr().unwrap().as_socket().unwrap().port();
            let found = listening(port).unwrap();
            assert_eq!(found.iter().map(|it| it.only_v6).collect::<Vec<_>>(), [only_v6]);
        }
    }

    #[test]
    fn a_unix_socket_is_found_by_its_file_whatever_its_name() {
        let directory = std::env::temp_dir().join(format!("why502-sockets-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (path, link) = (directory.join("app.sock"), directory.join("link.sock"));
        let listener = UnixListener::bind(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for name in [&path, &link] {
            let found = listening_at(name).unwrap().remove(0);
            assert_eq!(found.queue.map(|(waiting, _)| waiting), Some(1), "{}", name.display());
        }
        let inode = listening_at(&path).unwrap()[0].inode;
        let table = table("/proc/net/unix").unwrap();
        let read = table.lines().find_map(|line| unix_line(line, path.to_str().unwrap())).unwrap();
        assert_eq!(read.inode, inode);
        drop(listener);
        assert_eq!(listening_at(&path), Some(Vec::new()));
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(listening_at(&path), None);
    }

    #[test]
    fn lines_of_the_tables_are_read_and_broken_ones_are_not() {
        let v4 = "   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0";
        let (own, _, inode) = tcp_line(v4, LISTEN).unwrap();
        assert_eq!((own.to_string(), inode), ("127.0.0.1:3000".to_owned(), 4711));
        let v6 =
            "   1: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 12 1";
        assert_eq!(tcp_line(v6, LISTEN).unwrap().0.to_string(), "[::1]:8080");
        for broken in [
            "",
            "0:",
            "0: 0100007F 0:0 0A",
            "0: 0100007FFF:0BB8 00000000:0000 0A 0 0 0 0 0 1",
            "0: é:1 é:2 0A 1 2 3 4 5 6 7",
        ] {
            assert_eq!(tcp_line(broken, LISTEN), None, "{broken}");
        }
        for broken in ["", "0: 2 0 10000", "0: 2 0 00010000 0001 01 x /a", "0: 2 0 00000000 0001 01 1 /a"] {
            assert_eq!(unix_line(broken, "/a"), None, "{broken}");
        }
    }
}
