//! Owns what this program was given when it was started: listening sockets, by systemd (`LISTEN_FDS`) or by the process whose place
//! it takes, and the way to tell that process.

use std::env;
use std::fmt::Display;
use std::io;
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use socket2::Socket;

use crate::config::ListenAddress;
use crate::config::document::Written;
use crate::net::kernel;
use crate::net::listening::Bound;
use crate::server::StartError;
use crate::server::listening::Listening;

/// What this program was given.
#[derive(Debug, Default)]
pub struct Inheritance {
    pub(super) given: Vec<Given>,
    herald: Herald,
}

/// Tells the process whose place this one is to take how that goes; nobody, where there is none.
#[derive(Debug, Clone, Default)]
pub struct Herald(Option<Arc<UnixStream>>);

/// The sockets of one listener.
#[derive(Debug)]
pub(super) struct Given {
    by: Giver,
    address: ListenAddress,
    sockets: Vec<Bound>,
}

/// Whose they were.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Giver {
    /// systemd, which keeps them too, with the name that they have there.
    Systemd(String),
    /// The process whose place this one takes.
    Predecessor {
        /// What it calls the listener.
        number: u64,
        /// As its configuration has it.
        configured: ListenAddress,
        /// Whether systemd keeps them too.
        by_systemd: bool,
    },
}

impl Inheritance {
    /// Takes what is there. To be called once, first of all.
    ///
    /// # Errors
    ///
    /// What was passed are no sockets that can be listened on.
    pub fn take() -> Result<Self, StartError> {
        match env::var(TAKE_OVER) {
            Ok(words) => {
                let mut lines = words.lines();
                let channel = lines.next().and_then(|channel| channel.parse().ok()).ok_or(StartError::NotPassed)?;
                let channel = kernel::inherited(channel).map_err(|_| StartError::NotPassed)?;
                let herald = Herald(Some(Arc::new(UnixStream::from(channel))));
                let given = of_predecessor(lines).inspect_err(|error| herald.decline([error]))?;
                Ok(Self { given, herald })
            }
            Err(_) => Ok(Self { given: of_systemd()?, herald: Herald::default() }),
        }
    }

    /// Who tells the process whose place this one is to take.
    #[must_use]
    pub fn herald(&self) -> Herald {
        self.herald.clone()
    }
}

impl Herald {
    /// Whether there is such a process. It serves on until it is told.
    pub(super) const fn has_somebody_to_tell(&self) -> bool {
        self.0.is_some()
    }

    /// Tells it why this one does not take its place.
    pub fn decline(&self, reasons: impl IntoIterator<Item = impl Display>) {
        for reason in reasons {
            self.tell(&format!("{FAILED}{reason}"));
        }
    }

    /// Tells it that this one serves, and which of its listeners this one goes on with.
    pub(super) fn accept(&self, kept: &[u64]) {
        let numbers = kept.iter().map(|number| format!(" {number}"));
        self.tell(&std::iter::once(SERVES.to_owned()).chain(numbers).collect::<String>());
    }

    fn tell(&self, words: &str) {
        if let Some(channel) = &self.0 {
            // Where it has ended meanwhile, there is nobody to tell.
            (&**channel).write_all(format!("{words}\n").as_bytes()).ok();
        }
    }
}

impl Given {
    /// Whether they are those of a listener that is configured so.
    pub(super) fn is_of(&self, configured: &ListenAddress) -> bool {
        match &self.by {
            Giver::Systemd(_) => self.address == *configured,
            Giver::Predecessor { configured: before, .. } => before == configured,
        }
    }

    /// What the process calls it that has passed it on.
    pub(super) const fn number(&self) -> Option<u64> {
        match self.by {
            Giver::Systemd(_) => None,
            Giver::Predecessor { number, .. } => Some(number),
        }
    }

    pub(super) fn for_listener(self, number: u64, configured: &ListenAddress) -> Listening {
        let kept_by_systemd = match self.by {
            Giver::Systemd(_) => true,
            Giver::Predecessor { by_systemd, .. } => by_systemd,
        };
        Listening::inherit(number, configured, self.address, self.sockets, kept_by_systemd)
    }

    /// No listener is configured so. Where it comes from systemd, clients would wait in its queue for good; another process closes
    /// it itself, at that address.
    pub(super) fn unwanted(self) -> Result<ListenAddress, StartError> {
        match self.by {
            Giver::Systemd(name) => Err(StartError::Unwanted { address: self.address, name }),
            Giver::Predecessor { .. } => Ok(self.address),
        }
    }
}

/// A socket as one process passes it on to the next: a line of the environment.
pub(super) struct Passed {
    pub(super) descriptor: RawFd,
    pub(super) number: u64,
    pub(super) by_systemd: bool,
    pub(super) configured: ListenAddress,
}

impl Passed {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(4, ' ');
        Some(Self {
            descriptor: words.next()?.parse().ok()?,
            number: words.next()?.parse().ok()?,
            by_systemd: words.next()? == "systemd",
            configured: ListenAddress::parse(words.next()?).ok()?,
        })
    }

    fn giver(self) -> Giver {
        Giver::Predecessor { number: self.number, configured: self.configured, by_systemd: self.by_systemd }
    }
}

impl Display for Passed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keeper = if self.by_systemd { "systemd" } else { "nobody" };
        write!(f, "{} {} {keeper} {}", self.descriptor, self.number, self.configured)
    }
}

/// The sockets that another process passes on, those of a listener together.
fn of_predecessor<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Given>, StartError> {
    let mut given: Vec<Given> = Vec::new();
    for line in lines {
        let passed = Passed::parse(line).ok_or(StartError::NotPassed)?;
        let (bound, address) = bound(passed.descriptor, || passed.configured.to_string())?;
        let by = passed.giver();
        match given.iter_mut().find(|given| given.by == by) {
            Some(given) => given.sockets.push(bound),
            None => given.push(Given { by, address, sockets: vec![bound] }),
        }
    }
    Ok(given)
}

/// The sockets that systemd passes, those of one address together.
fn of_systemd() -> Result<Vec<Given>, StartError> {
    let number = |name| env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    if number("LISTEN_PID") != Some(std::process::id()) {
        return Ok(Vec::new());
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut given: Vec<Given> = Vec::new();
    for descriptor in (FIRST_DESCRIPTOR..).take(number("LISTEN_FDS").unwrap_or_default() as usize) {
        let name = names.next().filter(|name| !name.is_empty()).unwrap_or("a socket unit").to_owned();
        let (bound, address) = bound(descriptor, || name.clone())?;
        match given.iter_mut().find(|given| given.address == address) {
            Some(given) => given.sockets.push(bound),
            None => given.push(Given { by: Giver::Systemd(name), address, sockets: vec![bound] }),
        }
    }
    Ok(given)
}

/// The listening socket under this number, and where it listens.
fn bound(number: RawFd, name: impl Fn() -> String) -> Result<(Bound, ListenAddress), StartError> {
    let wrong = |source| StartError::Passed { name: name(), source };
    let socket = Socket::from(kernel::inherited(number).map_err(wrong)?);
    let listens = socket.r#type().map_err(wrong)? == socket2::Type::STREAM && socket.is_listener().map_err(wrong)?;
    if !listens {
        return Err(wrong(io::ErrorKind::InvalidInput.into()));
    }
    socket.set_nonblocking(true).map_err(wrong)?;
    let own = socket.local_addr().map_err(wrong)?;
    if let Some(address) = own.as_socket() {
        socket.set_tcp_nodelay(true).map_err(wrong)?;
        return Ok((Bound::Tcp(TcpListener::from(socket)), ListenAddress::Tcp(address)));
    }
    let path = own.as_pathname().ok_or_else(|| wrong(io::ErrorKind::AddrNotAvailable.into()))?.to_owned();
    Ok((Bound::Unix(UnixListener::from(OwnedFd::from(socket))), ListenAddress::Unix(path)))
}

/// The variable in which a process tells the next one what it passes: the number of the descriptor on which it listens for how that
/// goes, and a line for each socket.
pub(super) const TAKE_OVER: &str = "WHY502_TAKE_OVER";
/// What the next one says: that it serves, and the numbers of the listeners that it goes on with; or why it does not.
pub(super) const SERVES: &str = "serves";
pub(super) const FAILED: &str = "failed: ";
/// `SD_LISTEN_FDS_START`
const FIRST_DESCRIPTOR: RawFd = 3;

#[cfg(test)]
mod tests {
    use super::Passed;

    #[test]
    fn a_socket_is_passed_on_in_a_line() {
        for line in ["7 1 nobody 127.0.0.1:0", "12 30 systemd unix:/run/a socket", "9 2 nobody [::]:443"] {
            assert_eq!(Passed::parse(line).map(|passed| passed.to_string()).as_deref(), Some(line));
        }
        for line in ["", "7", "x 1 nobody 127.0.0.1:0", "7 1 nobody", "7 1 nobody localhost:80"] {
            assert!(Passed::parse(line).is_none(), "{line}");
        }
    }
}
