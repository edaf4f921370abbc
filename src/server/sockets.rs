//! Owns the sockets of all listeners: bound before anything else, handed to the cores, and opened and closed when the
//! configuration is read again.

use std::io;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;

use crate::config::ListenAddress;
use crate::config::Listener;
use crate::listener;
use crate::net::socket;
use crate::server::StartError;

/// The sockets of the program. The cores have copies, which are closed when these are and the cores are done with them.
#[derive(Debug)]
pub(super) struct Sockets {
    open: Vec<Listening>,
    /// Where cores may still have sockets of listeners that were closed.
    closing: Vec<(ListenAddress, Weak<AtomicBool>)>,
    /// How many listeners there have been.
    count: u64,
    /// Threads that serve.
    workers: usize,
}

/// A listener that is open.
#[derive(Debug)]
struct Listening {
    /// Tells it from every other that there has been.
    number: u64,
    configured: ListenAddress,
    /// With the port that was chosen where the configuration says 0.
    address: ListenAddress,
    /// One for each core, or one for all.
    sockets: Vec<Bound>,
    /// Whether another process accepts clients on the same sockets.
    elsewhere: Arc<AtomicBool>,
    file: Option<SocketFile>,
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A listener's socket on one core.
#[derive(Debug)]
pub(super) struct Doorway {
    /// The listener's.
    pub(super) number: u64,
    bound: Bound,
    elsewhere: Arc<AtomicBool>,
}

/// What there is to be done for other listeners. The new ones are bound already.
#[derive(Debug)]
pub(super) struct Plan {
    open: Vec<Listening>,
    close: Vec<u64>,
    /// Where it listens then, in the order of the configuration.
    pub(super) addresses: Vec<ListenAddress>,
}

impl Bound {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(bound) => Self::Tcp(bound.try_clone()?),
            Self::Unix(bound) => Self::Unix(bound.try_clone()?),
        })
    }
}

impl Doorway {
    /// The socket, in the runtime of the core that asks for it.
    pub(super) fn into_socket(self) -> io::Result<listener::Socket> {
        let listening = match self.bound {
            Bound::Tcp(bound) => listener::Listening::Tcp(tokio::net::TcpListener::from_std(bound)?),
            Bound::Unix(bound) => listener::Listening::Unix(tokio::net::UnixListener::from_std(bound)?),
        };
        Ok(listener::Socket { listening, elsewhere: self.elsewhere })
    }
}

impl Sockets {
    /// Binds all of them.
    pub(super) fn bind(listeners: &[Listener], workers: usize) -> Result<(Self, Vec<ListenAddress>), StartError> {
        let mut sockets = Self { open: Vec::new(), closing: Vec::new(), count: 0, workers };
        let plan = sockets.plan(listeners)?;
        let addresses = plan.addresses.clone();
        sockets.open.extend(plan.open);
        Ok((sockets, addresses))
    }

    /// Binds what these listeners have and the present ones have not. Until the plan is carried out, nothing else changes.
    pub(super) fn plan(&mut self, listeners: &[Listener]) -> Result<Plan, StartError> {
        let mut plan = Plan { open: Vec::new(), close: Vec::new(), addresses: Vec::new() };
        let mut kept = Vec::new();
        let mut missing = Vec::new();
        for (index, Listener { address, .. }) in listeners.iter().enumerate() {
            let known = self.open.iter().find(|known| known.configured == *address && !kept.contains(&known.number));
            if let Some(known) = known {
                kept.push(known.number);
                plan.addresses.push(known.address.clone());
            } else {
                missing.push((index, address));
                plan.addresses.push(address.clone());
            }
        }
        plan.close = self.open.iter().map(|open| open.number).filter(|number| !kept.contains(number)).collect();
        for (index, configured) in missing {
            self.count += 1;
            let opened = self.listen(configured, &plan.close);
            let opened = opened.map_err(|source| StartError::Listen { address: configured.clone(), source })?;
            if let Some(address) = plan.addresses.get_mut(index) {
                address.clone_from(&opened.address);
            }
            plan.open.push(opened);
        }
        Ok(plan)
    }

    /// Goes by the plan: what each core is to open, and what all are to close.
    pub(super) fn carry_out(&mut self, plan: Plan) -> io::Result<(Vec<Vec<Doorway>>, Vec<u64>)> {
        let Plan { open, close, .. } = plan;
        self.closing.retain(|(_, held)| held.strong_count() > 0);
        let doorways = self.doorways_of(&open)?;
        let closed = self.open.extract_if(.., |open| close.contains(&open.number));
        self.closing.extend(closed.map(Listening::close));
        self.open.extend(open);
        Ok((doorways, close))
    }

    /// The doorways of each core.
    pub(super) fn doorways(&self) -> io::Result<Vec<Vec<Doorway>>> {
        self.doorways_of(&self.open)
    }

    fn doorways_of(&self, listening: &[Listening]) -> io::Result<Vec<Vec<Doorway>>> {
        let of_core = |core| listening.iter().flat_map(move |open| open.doorways(core, self.workers)).collect();
        (0..self.workers).map(of_core).collect()
    }

    /// Closes all of them: whoever is in the queue is still let in by the cores.
    pub(super) fn close(&mut self) {
        self.open.drain(..).for_each(|open| drop(open.close()));
    }

    /// Whether a listener that will be closed, or just was, holds this port, on another address perhaps.
    fn has_held(&self, port: u16, closing: &[u64]) -> bool {
        let to_close = self.open.iter().filter(|open| closing.contains(&open.number)).map(|open| &open.address);
        let closed = self.closing.iter().filter(|(_, held)| held.strong_count() > 0).map(|(address, _)| address);
        to_close.chain(closed).any(|address| matches!(address, ListenAddress::Tcp(own) if own.port() == port))
    }

    fn listen(&self, configured: &ListenAddress, closing: &[u64]) -> io::Result<Listening> {
        let (number, elsewhere) = (self.count, Arc::default());
        Ok(match configured {
            ListenAddress::Tcp(address) => {
                let beside_own = self.has_held(address.port(), closing);
                let (address, sockets) = bind_tcp(*address, self.workers, beside_own)?;
                let (configured, address) = (configured.clone(), ListenAddress::Tcp(address));
                Listening { number, configured, address, sockets, elsewhere, file: None }
            }
            ListenAddress::Unix(path) => {
                let sockets = vec![Bound::Unix(socket::listen_unix(path)?)];
                let (configured, address) = (configured.clone(), configured.clone());
                Listening { number, configured, address, sockets, elsewhere, file: SocketFile::at(path) }
            }
        })
    }
}

impl Listening {
    /// The doorways of one core. Where there are sockets for all, each has its own; otherwise they share.
    fn doorways(&self, core: usize, workers: usize) -> impl Iterator<Item = io::Result<Doorway>> {
        let count = self.sockets.len();
        let own = move |index: usize| if count < workers { index == core % count } else { index % workers == core };
        let sockets = self.sockets.iter().enumerate().filter(move |(index, _)| own(*index));
        sockets.map(|(_, bound)| {
            Ok(Doorway { number: self.number, bound: bound.try_clone()?, elsewhere: Arc::clone(&self.elsewhere) })
        })
    }

    /// Nobody finds it any more. The cores let in whoever has: until they are done with that, what is answered has not ended.
    fn close(self) -> (ListenAddress, Weak<AtomicBool>) {
        if let Some(file) = self.file {
            file.remove();
        }
        (self.address, Arc::downgrade(&self.elsewhere))
    }
}

/// The name of a unix socket in the file system.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Its device and inode: under the same name there may be another's by now.
    identity: (u64, u64),
}

impl SocketFile {
    fn at(path: &PathBuf) -> Option<Self> {
        Some(Self { path: path.clone(), identity: identity(path)? })
    }

    fn remove(self) {
        if identity(&self.path) == Some(self.identity) {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

fn identity(path: &PathBuf) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// A socket for each core. The kernel shares clients out among them, and with a socket of this program's own on the same port
/// that is about to be closed.
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
