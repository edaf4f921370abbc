//! Owns what this host can see by itself, without a packet: what listens where the origin is meant to be, where the origin is
//! on this host, and what this proxy has left, always.

use std::fs;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use tokio::task;

use super::board::Report;
use super::memory;
use super::ourselves::Ourselves;
use super::process;
use super::sockets;
use super::sockets::Listener;
use super::subject::Subject;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::Own;
use crate::diagnosis::observation::SocketFile;
use crate::diagnosis::observation::SocketFound;
use crate::fault::Failure;
use crate::fault::failure::Peer;
use crate::net::here;

/// Remembers what has to be compared later; to be called when the program starts and about once a second.
pub(super) fn remember() {
    memory::remember();
}

/// Looks at this host. It reads files and asks the kernel, on a thread that may wait, and ends within a fraction of a second.
pub(super) async fn check(subject: &Subject, failure: &Failure, report: &Report) {
    let (place, ourselves) = (Place::of(subject, failure), Arc::clone(&subject.ourselves));
    if let Ok(found) = task::spawn_blocking(move || place.look(&ourselves)).await {
        for observation in found {
            report.add(observation);
        }
    }
}

/// Where the origin is, as far as it matters here.
#[derive(Debug, Clone)]
enum Place {
    /// A unix socket at this path.
    Unix(String),
    /// These addresses, the one that the failure belongs to first. None where its name was never looked up.
    Tcp(Vec<SocketAddr>),
}

impl Place {
    fn of(subject: &Subject, failure: &Failure) -> Self {
        let target = &subject.server.target;
        if let Some(path) = &target.socket {
            return Self::Unix(path.to_string());
        }
        let literal = target.host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, target.port));
        let tried = failure.addresses.iter().map(|tried| tried.address);
        let mut addresses = Vec::new();
        for address in failure.address().into_iter().chain(tried).chain(literal) {
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            if !addresses.contains(&address) && addresses.len() < MOST_ADDRESSES {
                addresses.push(address);
            }
        }
        Self::Tcp(addresses)
    }

    fn look(&self, ourselves: &Ourselves) -> Vec<Observation> {
        match self {
            Self::Unix(path) => at_path(path, ourselves),
            Self::Tcp(addresses) => at_addresses(addresses, ourselves),
        }
    }
}

fn at_path(path: &str, ourselves: &Ourselves) -> Vec<Observation> {
    let listeners = sockets::listening_at(Path::new(path));
    let mut found =
        vec![own(None, ourselves.listen_at(&Peer::Unix(path.into()))), socket_file(path, listeners.as_deref())];
    found.extend(queue_and_holders(&listeners.unwrap_or_default()));
    found.extend(killed());
    found
}

fn at_addresses(addresses: &[SocketAddr], ourselves: &Ourselves) -> Vec<Observation> {
    let mine = own_ones(addresses);
    let Some(first) = mine.first() else { return vec![own(addresses.first().copied(), false)] };
    let on_port = sockets::listening(first.port());
    let takes = |listener: &Listener| mine.iter().any(|address| listener.takes(address.ip()));
    let closest = closest(on_port.iter().flatten().filter(|listener| takes(listener)), first.ip());
    let mut found = vec![own(Some(*first), ourselves.listen_at(&Peer::Tcp(*first)))];
    found.extend(on_port.map(|listeners| listening(first.ip(), first.port(), &listeners)));
    found.extend(queue_and_holders(&closest));
    found.extend(killed());
    found
}

/// Of those that would take the connection: those that name its address, or else those that take any.
fn closest<'a>(listeners: impl Iterator<Item = &'a Listener>, address: IpAddr) -> Vec<Listener> {
    let (named, any): (Vec<_>, Vec<_>) =
        listeners.cloned().partition(|listener| listener.address.is_some_and(|own| own.ip() == address));
    if named.is_empty() { any } else { named }
}

/// Where something listens on the port. What takes IPv6 only is left out where IPv4 is asked for.
fn listening(address: IpAddr, port: u16, listeners: &[Listener]) -> Observation {
    let mut on_port: Vec<IpAddr> = Vec::new();
    for listener in listeners {
        let own = listener.address.map(|own| own.ip());
        let stands_for_all = own.is_some_and(|own| own.is_unspecified());
        if let Some(own) = own.filter(|own| !on_port.contains(own))
            && (!stands_for_all || listener.takes(address))
        {
            on_port.push(own);
        }
    }
    Observation::Listening { port, on_port }
}

fn queue_and_holders(listeners: &[Listener]) -> Vec<Observation> {
    // Several sockets may share a port, each with a queue of its own: the fullest is where it hurts.
    let fullest = listeners.iter().max_by(|one, other| one.fuller(other)).and_then(|listener| listener.queue);
    let queue = fullest.map(|(waiting, room)| Observation::AcceptQueue { waiting, room });
    let sockets = inodes(listeners);
    let holders = if sockets.is_empty() { Vec::new() } else { process::holders(&sockets) };
    queue.into_iter().chain(holders).collect()
}

fn inodes(listeners: &[Listener]) -> Vec<u32> {
    listeners.iter().map(|listener| listener.inode).collect()
}

fn socket_file(path: &str, listeners: Option<&[Listener]>) -> Observation {
    let found = match fs::metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            let (mode, owner, group) = process::rights(&metadata);
            SocketFound::Socket { mode, owner, group, listened_on: listeners.map(|them| !them.is_empty()) }
        }
        Ok(_) => SocketFound::NoSocket,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => SocketFound::Hidden,
        Err(_) => SocketFound::Nothing { nearest: nearest(Path::new(path)) },
    };
    Observation::SocketFile(SocketFile { path: path.to_owned(), found })
}

/// The nearest folder above that exists.
fn nearest(path: &Path) -> String {
    let nearest = path.ancestors().skip(1).find(|folder| folder.is_dir());
    nearest.map_or_else(String::new, |folder| folder.display().to_string())
}

fn killed() -> Option<Observation> {
    memory::killed().filter(|count| *count > 0).map(|count| Observation::KilledForMemory { count })
}

/// What this host and this process have left.
fn own(peer: Option<SocketAddr>, is_itself: bool) -> Observation {
    let left = here::local();
    let ports = left.port_range.map(|(first, last)| u64::from(last.saturating_sub(first)) + 1);
    Observation::Own(Own {
        descriptors: left.descriptors.zip(left.descriptor_limit),
        ports: peer.and_then(sockets::connections).zip(ports),
        is_itself,
        load: load(),
    })
}

/// `0.42 …` in hundredths, and how many processors there are.
fn load() -> Option<(u32, u32)> {
    let text = process::text(Path::new("/proc/loadavg")).ok()?;
    let hundredths = hundredths(text.split_whitespace().next()?)?;
    Some((hundredths, u32::try_from(thread::available_parallelism().ok()?.get()).ok()?))
}

/// The kernel always writes two digits behind the point.
fn hundredths(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.')?;
    let part = part.get(..2)?.parse::<u32>().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(part)
}

/// Those of the addresses that are this host's.
fn own_ones(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let (interfaces, _) = here::addresses();
    let is_own = |address: IpAddr| address.is_loopback() || address.is_unspecified() || interfaces.contains(&address);
    addresses.iter().copied().filter(|address| is_own(address.ip())).collect()
}

/// How many addresses of a name are looked at.
const MOST_ADDRESSES: usize = 8;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::net::TcpStream;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::config::ListenAddress;

    fn own_of(found: &[Observation]) -> Own {
        let own = found.iter().find_map(|it| if let Observation::Own(own) = it { Some(*own) } else { None });
        own.expect("what this host has left is always looked at")
    }

    #[test]
    fn a_port_of_this_host_is_told_with_who_listens_and_who_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _clients = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
        let ourselves = Ourselves { listeners: vec![ListenAddress::Tcp(address)], ..Ourselves::default() };
        let found = Place::Tcp(vec![address]).look(&ourselves);
        assert!(found.contains(&Observation::Listening { port: address.port(), on_port: vec![address.ip()] }));
        assert!(found.iter().any(|it| matches!(it, Observation::AcceptQueue { waiting: 2, room } if *room >= 2)));
        let here = std::process::id();
        assert!(found.iter().any(|it| matches!(it, Observation::Process { id, .. } if *id == here)), "{found:?}");
        let own = own_of(&found);
        assert!(own.is_itself, "one of our own listeners is there");
        assert!(own.ports.is_some_and(|(used, all)| used >= 2 && used < all));
        assert!(own.descriptors.is_some_and(|(used, limit)| used > 3 && used < limit));
        assert!(own.load.is_some_and(|(_, processors)| processors > 0));
    }

    #[test]
    fn a_closed_port_of_this_host_has_nobody_on_it_or_somebody_elsewhere() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let other = SocketAddr::from(([127, 0, 0, 2], port));
        let found = Place::Tcp(vec![other]).look(&Ourselves::default());
        let elsewhere = Observation::Listening { port, on_port: vec!["127.0.0.1".parse().unwrap()] };
        assert!(found.contains(&elsewhere), "{found:?}");
        assert!(!own_of(&found).is_itself);
        assert!(!found.iter().any(|it| matches!(it, Observation::AcceptQueue { .. } | Observation::Process { .. })));
        drop(listener);
        let found = Place::Tcp(vec![other]).look(&Ourselves::default());
        assert!(found.contains(&Observation::Listening { port, on_port: Vec::new() }), "{found:?}");
    }

    #[test]
    fn of_another_host_only_our_own_state_is_looked_at() {
        for addresses in [vec!["192.0.2.1:80".parse().unwrap()], Vec::new()] {
            let found = Place::Tcp(addresses.clone()).look(&Ourselves::default());
            assert!(matches!(found[..], [Observation::Own(_)]), "{found:?}");
            assert_eq!(own_of(&found).ports.map(|(used, _)| used), addresses.first().map(|_| 0));
        }
    }

    #[test]
    fn what_is_at_a_socket_s_path_is_told() {
        let directory = std::env::temp_dir().join(format!("why502-local-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = |name: &str| directory.join(name).display().to_string();
        let file = |name: &str| {
            let found = Place::Unix(path(name)).look(&Ourselves::default());
            let file = found.iter().find_map(|it| if let Observation::SocketFile(it) = it { Some(it) } else { None });
            (file.unwrap().found.clone(), found)
        };
        let nothing = |nearest: &Path| SocketFound::Nothing { nearest: nearest.display().to_string() };
        assert_eq!(file("missing.sock").0, nothing(&directory));
        assert_eq!(file("no/such/folder.sock").0, nothing(&directory));
        fs::write(path("plain"), "x").unwrap();
        assert_eq!(file("plain").0, SocketFound::NoSocket);
        assert_eq!(file("plain/below").0, nothing(&directory));
        let listener = UnixListener::bind(path("app.sock")).unwrap();
        fs::set_permissions(path("app.sock"), fs::Permissions::from_mode(0o640)).unwrap();
        let (found, all) = file("app.sock");
        let is =
            |expected| matches!(found, SocketFound::Socket { mode: 0o640, listened_on, .. } if listened_on == expected);
        assert!(is(Some(true)), "{found:?}");
        assert!(all.iter().any(|it| matches!(it, Observation::AcceptQueue { waiting: 0, .. })), "{all:?}");
        assert!(all.iter().any(|it| matches!(it, Observation::Process { .. })), "{all:?}");
        drop(listener);
        // A child of another test has it, too, until it has become another program.
        let is_over = || matches!(file("app.sock").0, SocketFound::Socket { listened_on: Some(false), .. });
        let over = (0..2000).any(|_| is_over());
        assert!(over, "{:?}", file("app.sock").0);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_load_is_read_in_hundredths() {
        assert_eq!(["0.42", "12.07", "0.4", "x", ""].map(hundredths), [Some(42), Some(1207), None, None, None]);
    }
}
