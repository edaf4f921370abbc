//! Owns one listener that is open: its sockets, and what becomes of them when it is closed.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crate::config::ListenAddress;
use crate::listener;
use crate::listener::entrance::Entrance;
use crate::net::listening::Bound;
use crate::net::socket;

/// A listener that is open.
#[derive(Debug)]
pub(super) struct Listening {
    /// Tells it from every other that there has been.
    pub(super) number: u64,
    /// As it is written in the configuration.
    pub(super) configured: ListenAddress,
    /// With the port that was chosen where the configuration says 0.
    pub(super) address: ListenAddress,
    /// One for each core, or some for all.
    sockets: Vec<Bound>,
    /// Whether another process accepts clients on the same sockets, or will.
    elsewhere: Arc<AtomicBool>,
    /// What clients go through.
    pub(super) entrance: Arc<Entrance>,
    /// The name of a unix socket that is ours to remove.
    file: Option<SocketFile>,
}

/// A listener's socket on one core.
#[derive(Debug)]
pub(super) struct Doorway {
    /// The listener's.
    pub(super) number: u64,
    bound: Bound,
    elsewhere: Arc<AtomicBool>,
    entrance: Arc<Entrance>,
}

impl Doorway {
    /// The socket, in the runtime of the core that asks for it.
    pub(super) fn into_socket(self) -> io::Result<listener::Socket> {
        let listening = self.bound.listen()?;
        Ok(listener::Socket { listening, elsewhere: self.elsewhere, entrance: self.entrance })
    }
}

impl Listening {
    /// Binds what a listener needs. `beside_own`: a socket of this program's own is on the same port, and about to be closed.
    pub(super) fn bind(number: u64, configured: &ListenAddress, workers: usize, beside_own: bool) -> io::Result<Self> {
        let (address, sockets, file) = match configured {
            ListenAddress::Tcp(address) => {
                let (address, sockets) = bind_tcp(*address, workers, beside_own)?;
                (ListenAddress::Tcp(address), sockets, None)
            }
            ListenAddress::Unix(path) => {
                let sockets = vec![Bound::Unix(socket::listen_unix(path)?)];
                (configured.clone(), sockets, SocketFile::at(path, Whose::Ours))
            }
        };
        let entrance = Entrance::new(address.clone());
        Ok(Self { number, configured: configured.clone(), address, sockets, elsewhere: Arc::default(), entrance, file })
    }

    /// The same with sockets that somebody else has bound, and that `elsewhere` are accepted on for good, or not.
    pub(super) fn inherit(
        number: u64,
        configured: &ListenAddress,
        address: ListenAddress,
        sockets: Vec<Bound>,
        elsewhere: bool,
    ) -> Self {
        let file = match configured {
            ListenAddress::Unix(path) if !elsewhere => SocketFile::at(path, Whose::Shared),
            ListenAddress::Unix(_) | ListenAddress::Tcp(_) => None,
        };
        let elsewhere = Arc::new(AtomicBool::new(elsewhere));
        let entrance = Entrance::new(address.clone());
        Self { number, configured: configured.clone(), address, sockets, elsewhere, entrance, file }
    }

    /// Adds sockets until each core has its own, where the port may be shared.
    pub(super) fn grow(&mut self, workers: usize) {
        let ListenAddress::Tcp(address) = self.address else { return };
        while !self.is_elsewhere() && self.sockets.len() < workers {
            let Ok(bound) = socket::listen(address) else { return };
            self.sockets.push(Bound::Tcp(bound));
        }
    }

    /// The doorways of one core. Where there are not enough sockets for each to have its own, they share.
    pub(super) fn doorways(&self, core: usize, workers: usize) -> impl Iterator<Item = io::Result<Doorway>> {
        let count = self.sockets.len();
        let own = move |index: usize| if count < workers { index == core % count } else { index % workers == core };
        let sockets = self.sockets.iter().enumerate().filter(move |(index, _)| own(*index));
        sockets.map(|(_, bound)| {
            let (elsewhere, entrance) = (Arc::clone(&self.elsewhere), Arc::clone(&self.entrance));
            Ok(Doorway { number: self.number, bound: bound.try_clone()?, elsewhere, entrance })
        })
    }

    /// Its sockets, for another process.
    pub(super) fn sockets(&self) -> &[Bound] {
        &self.sockets
    }

    /// Whether somebody else accepts clients on its sockets.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.elsewhere.load(Ordering::Relaxed)
    }

    /// Leaves its sockets to another process, which goes on with their queues.
    pub(super) fn hand_over(mut self) {
        self.elsewhere.store(true, Ordering::Relaxed);
        self.file.iter_mut().for_each(|file| file.whose = Whose::Shared);
    }

    /// Nobody finds it any more. The cores let in whoever has: until they are done with that, what is answered has not ended.
    pub(super) fn close(self) -> (ListenAddress, Weak<AtomicBool>) {
        self.file.iter().for_each(SocketFile::remove);
        (self.address, Arc::downgrade(&self.elsewhere))
    }
}

/// The name of a unix socket in the file system. One of ours is removed when this is dropped, as where another listener of the same
/// configuration cannot be listened on.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Its device and inode: under the same name there may be another's by now.
    identity: (u64, u64),
    whose: Whose,
}

/// Who needs the name of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Nobody else.
    Ours,
    /// Another process too, which may listen on when this one ends.
    Shared,
}

impl SocketFile {
    fn at(path: &Path, whose: Whose) -> Option<Self> {
        Some(Self { path: path.to_owned(), identity: identity(path)?, whose })
    }

    fn remove(&self) {
        if identity(&self.path) == Some(self.identity) {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.whose == Whose::Ours {
            self.remove();
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// A socket for each core, among which the kernel shares clients out.
fn bind_tcp(mut address: SocketAddr, workers: usize, beside_own: bool) -> io::Result<(SocketAddr, Vec<Bound>)> {
    match socket::try_listen(address) {
        Ok(found) => address = found,
        Err(error) if beside_own && error.kind() == io::ErrorKind::AddrInUse => {}
        Err(error) => return Err(error),
    }
    let mut sockets = Vec::new();
    for _ in 0..workers {
        let bound = socket::listen(address)?;
        address = bound.local_addr()?;
        sockets.push(Bound::Tcp(bound));
    }
    Ok((address, sockets))
}
