//! Owns the question whether the host is there at all, whatever its ports say: an echo request, the neighbour table.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::Domain;
use socket2::Protocol;
use socket2::Socket;
use socket2::Type;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::board::Report;
use super::netlink;
use super::netlink::About;
use crate::diagnosis::observation::NeighbourState;
use crate::diagnosis::observation::Observation;
use crate::net::deadline::within;

/// Sends a few echo requests, so that a way which loses some shows. Where this user may send none
/// (`net.ipv4.ping_group_range`), nothing is told.
pub(super) async fn echo(address: IpAddr, report: &Report) {
    let Ok(socket) = echo_socket(address) else { return };
    let mut came = [None; ECHOES];
    // That nobody can be reached is no answer either; it may come back as an error.
    within(ECHO, exchange(&socket, address, &mut came)).await.ok();
    for after in came {
        report.add(Observation::Echo { address, after });
    }
}

/// A socket for echo requests that needs no right to send anything else.
fn echo_socket(address: IpAddr) -> io::Result<UdpSocket> {
    let (domain, protocol) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    socket.set_nonblocking(true)?;
    socket.connect(&SocketAddr::new(address, 0).into())?;
    UdpSocket::from_std(socket.into())
}

/// The kernel fills in the identifier and the checksum, and gives this socket only the answers to its own requests.
async fn exchange(socket: &UdpSocket, address: IpAddr, came: &mut [Option<Duration>; ECHOES]) -> io::Result<()> {
    let (request, reply) = match address {
        IpAddr::V4(_) => (8, 0),
        IpAddr::V6(_) => (128, 129),
    };
    let begin = Instant::now();
    for number in (0..).take(ECHOES) {
        // Type, code, checksum, identifier, sequence number, and a little data (RFC 792; RFC 4443, section 4.1).
        socket.send(&[request, 0, 0, 0, 0, 0, 0, number, b'w', b'h', b'y', b'5', b'0', b'2', 0, 0]).await?;
    }
    let mut buffer = [0; 64];
    while came.iter().any(Option::is_none) {
        let length = socket.recv(&mut buffer).await?;
        let [kind, _, _, _, _, _, _, number, ..] = buffer.get(..length).unwrap_or_default() else { continue };
        if let Some(echo) = came.get_mut(usize::from(*number)).filter(|_| *kind == reply) {
            echo.get_or_insert_with(|| begin.elapsed());
        }
    }
    Ok(())
}

/// What this host's neighbour table says of an address on its own network; none where that is not in it.
pub(super) fn neighbour(address: IpAddr) -> Option<NeighbourState> {
    match address {
        IpAddr::V4(address) => state_in(&fs::read_to_string("/proc/net/arp").ok()?, address),
        IpAddr::V6(address) => state_by_netlink(address),
    }
}

/// IPv6 has no such file, so the kernel is asked (RFC 4861, section 7.3.2, has the states).
fn state_by_netlink(address: Ipv6Addr) -> Option<NeighbourState> {
    let family = u8::try_from(libc::AF_INET6).ok()?;
    let request = [&[family][..], &[0; NEIGHBOUR - 1]].concat();
    let mut found = None;
    let each = |message: &[u8]| {
        let of = message.get(NEIGHBOUR..).and_then(|rest| netlink::attribute(rest, libc::NDA_DST));
        if of == Some(&address.octets()[..]) {
            found = found.or_else(|| state_of(message));
        }
    };
    netlink::dump(About::Neighbours, &request, each).ok()?;
    found
}

/// The state of an entry, as `struct ndmsg` has it.
fn state_of(message: &[u8]) -> Option<NeighbourState> {
    let state = u16::from_ne_bytes(message.get(8..10)?.try_into().ok()?);
    if state & (libc::NUD_INCOMPLETE | libc::NUD_FAILED) != 0 {
        return Some(NeighbourState::Unanswered);
    }
    let known = libc::NUD_REACHABLE | libc::NUD_STALE | libc::NUD_DELAY | libc::NUD_PROBE | libc::NUD_PERMANENT;
    (state & known != 0).then_some(NeighbourState::Known)
}

/// `10.0.0.5  0x1  0x2  02:42:0a:00:00:05  *  eth0`: address, hardware type, flags. The flag 2 says that its owner has answered.
fn state_in(table: &str, address: Ipv4Addr) -> Option<NeighbourState> {
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_whitespace();
        if words.next()?.parse() != Ok(address) {
            return None;
        }
        let flags = u32::from_str_radix(words.nth(1)?.strip_prefix("0x")?, 16).ok()?;
        Some(if flags & 2 == 0 { NeighbourState::Unanswered } else { NeighbourState::Known })
    })
}

/// The length of `struct ndmsg`, behind which the attributes stand.
const NEIGHBOUR: usize = 12;
/// How many echo requests are sent.
const ECHOES: usize = 3;
/// How long they are waited for.
const ECHO: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::ECHOES;
    use super::NeighbourState;
    use super::echo;
    use super::echo_socket;
    use super::state_in;
    use crate::diagnosis::observation::Observation;
    use crate::probe::board::Report;

    #[test]
    fn the_neighbour_table_is_read() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     10.0.0.5         0x1         0x2         02:42:0a:00:00:05     *        eth0\n\
                     10.0.0.6         0x1         0x0         00:00:00:00:00:00     *        eth0\n\
                     10.0.0.7         0x1         0x6         02:42:0a:00:00:07     *        eth0\n\
                     10.0.0.8         0x1\n";
        for (address, state) in [
            ("10.0.0.5", Some(NeighbourState::Known)),
            ("10.0.0.6", Some(NeighbourState::Unanswered)),
            ("10.0.0.7", Some(NeighbourState::Known)),
            ("10.0.0.8", None),
            ("10.0.0.9", None),
        ] {
            assert_eq!(state_in(table, address.parse().unwrap()), state, "{address}");
        }
        assert_eq!(state_in("", "10.0.0.5".parse().unwrap()), None);
    }

    #[tokio::test]
    async fn this_host_answers_its_own_echo_where_it_may_be_asked() {
        for address in ["127.0.0.1", "::1"] {
            let address = address.parse().unwrap();
            let report = Report::alone();
            echo(address, &report).await;
            match echo_socket(address) {
                Ok(_) => {
                    let found = report.found();
                    let came = |one: &Observation| matches!(one, Observation::Echo { after: Some(_), .. });
                    assert!(found.len() == ECHOES && found.iter().all(came), "{found:?}");
                }
                Err(error) => {
                    eprintln!("skipped: an echo of {address}: {error}");
                    assert_eq!(report.found().len(), 0);
                }
            }
        }
    }
}
