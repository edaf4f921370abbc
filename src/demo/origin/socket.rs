//! Owns the unix sockets of origins: one that speaks, and those that cannot be connected to.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use socket2::Domain;
use socket2::SockAddr;
use socket2::Socket;
use socket2::Type;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use super::Origin;
use super::Unavailable;
use super::way::MOST_QUEUED;
use super::way::Manner;
use super::way::bound;
use super::way::converse;

/// A socket at this path, of which nothing is there yet.
pub(super) fn at(path: &Path) -> Origin {
    Origin::at(format!("unix:{}", path.display()))
}

/// A socket on which this is spoken.
pub(super) fn speaks(path: &Path, manner: Manner) -> io::Result<Origin> {
    let listener = UnixListener::bind(path)?;
    let mut origin = at(path);
    origin.tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            if let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move { drop(converse(&mut stream, manner).await) });
            }
            while connections.try_join_next().is_some() {}
        }
    });
    Ok(origin)
}

/// A socket whose program is gone: the file outlives what listened there, as it does when a program is killed.
pub(super) fn abandoned(path: &Path) -> io::Result<Origin> {
    drop(bound(Domain::UNIX, &SockAddr::unix(path)?)?);
    Ok(at(path))
}

/// A socket that nobody may write to. Where this user may all the same, it cannot be shown.
pub(super) fn forbidden(path: &Path) -> Result<Origin, Unavailable> {
    let address = SockAddr::unix(path)?;
    let socket = bound(Domain::UNIX, &address)?;
    socket.listen(8)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o000))?;
    if Socket::new(Domain::UNIX, Type::STREAM, None)?.connect(&address).is_ok() {
        return Err(Unavailable("This user may open every file, as root may; run the demo as another user".to_owned()));
    }
    let mut origin = at(path);
    origin.held.push(socket);
    Ok(origin)
}

/// A socket whose queue of new connections is full and never emptied.
pub(super) fn full(path: &Path) -> io::Result<Origin> {
    let address = SockAddr::unix(path)?;
    let socket = bound(Domain::UNIX, &address)?;
    socket.listen(0)?;
    let mut origin = at(path);
    origin.held.push(socket);
    for _ in 0..MOST_QUEUED {
        let place = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        place.set_nonblocking(true)?;
        match place.connect(&address) {
            Ok(()) => origin.held.push(place),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(origin),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("the queue of a socket has no end here"))
}
