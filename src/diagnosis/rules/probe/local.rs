//! Owns the rules over what can be seen on this host: sockets' files, queues, processes, and what this proxy has left.

use super::answered_since;
use super::earlier;
use super::measured;
use crate::diagnosis::Case;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::Own;
use crate::diagnosis::observation::ProcessState;
use crate::diagnosis::observation::SocketFound;
use crate::diagnosis::wording::counted;
use crate::diagnosis::wording::place;
use crate::fault::Fault;
use crate::fault::Stage;

/// The folder is there: whoever makes the socket was to make it in it.
pub(in crate::diagnosis::rules) fn socket_folder_empty(case: &Case) -> Option<String> {
    let (path, nearest) = nothing(case)?;
    (folder(path) == nearest).then(|| format!("the folder {nearest} exists, and {path} is not in it: nobody made it"))
}

pub(in crate::diagnosis::rules) fn socket_folder_missing(case: &Case) -> Option<String> {
    let (path, nearest) = nothing(case)?;
    let missing = folder(path) != nearest;
    missing.then(|| {
        format!("not even the folder of {path} exists, only {nearest}: the path is wrong, or the folder is not shared")
    })
}

pub(in crate::diagnosis::rules) fn socket_is_another_file(case: &Case) -> Option<String> {
    on_sockets(case)?;
    let (path, found) = socket_file(case)?;
    (*found == SocketFound::NoSocket).then(|| format!("{path} is there, but it is no socket"))
}

/// Connecting wants permission to write (unix(7)).
pub(in crate::diagnosis::rules) fn socket_mode_forbids(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::SocketPermissionDenied])?;
    let (path, found) = socket_file(case)?;
    let SocketFound::Socket { mode, owner, group, listened_on: _ } = found else { return None };
    let whose = format!("{path} has mode {mode:04o}, owner {owner} and group {group}");
    Some(if mode & EVERYBODY_WRITES == 0 {
        format!("{whose}: this proxy's user is neither and may not write to it")
    } else {
        format!("{whose}, so that everybody may write to it: it is a folder above that keeps this proxy out")
    })
}

pub(in crate::diagnosis::rules) fn socket_hidden(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::SocketPermissionDenied, Fault::SocketMissing])?;
    let (path, found) = socket_file(case)?;
    (*found == SocketFound::Hidden).then(|| format!("a folder above {path} may not be entered by this proxy's user"))
}

pub(in crate::diagnosis::rules) fn socket_nobody_listens(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::ConnectionRefused])?;
    let (path, found) = socket_file(case)?;
    (matches!(found, SocketFound::Socket { listened_on: Some(false), .. }) && !answered_since(case))
        .then(|| format!("{path} is left behind: no program on this host listens on it"))
}

/// Whether a check has found something else than a socket that nobody listens on.
pub(in crate::diagnosis::rules) fn is_in_use(case: &Case) -> bool {
    socket_file(case).is_some_and(|(_, found)| match found {
        SocketFound::NoSocket => true,
        SocketFound::Socket { listened_on, .. } => *listened_on == Some(true),
        SocketFound::Nothing { .. } | SocketFound::Hidden => false,
    })
}

pub(in crate::diagnosis::rules) fn socket_back(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::ConnectionRefused, Fault::SocketMissing])?;
    let (path, found) = socket_file(case)?;
    matches!(found, SocketFound::Socket { listened_on: Some(true), .. }).then(|| match earlier(case) {
        None => format!("a program listens on {path} again: it was restarting"),
        Some(ago) => format!("a program listened on {path} {ago} ago: it has ended since, or ends again and again"),
    })
}

pub(in crate::diagnosis::rules) fn accept_queue_full(case: &Case) -> Option<String> {
    case.failed_with(SLOW)?;
    let (waiting, room) = full_queue(case)?;
    Some(format!(
        "the queue of connections of {} is full: {waiting} wait to be accepted, and {room} may",
        place(case.failure())
    ))
}

pub(in crate::diagnosis::rules) fn accept_queue_fills(case: &Case) -> Option<String> {
    case.failed_with(SLOW)?;
    let (waiting, room) = queue(case).filter(|(waiting, room)| *waiting > 0 && waiting < room)?;
    Some(format!(
        "{} wait to be accepted by {} (up to {room} may): its program takes no new ones",
        counted(waiting as usize, "connection"),
        place(case.failure())
    ))
}

pub(in crate::diagnosis::rules) fn process_stopped(case: &Case) -> Option<String> {
    let (id, name) = process(case, ProcessState::Stopped)?;
    Some(format!(
        "the process {name} ({id}) that listens there is stopped, by a signal (SIGSTOP) or a debugger: its port accepts \
         and nobody answers"
    ))
}

pub(in crate::diagnosis::rules) fn process_blocked(case: &Case) -> Option<String> {
    let (id, name) = process(case, ProcessState::Blocked)?;
    Some(format!("the process {name} ({id}) that listens there waits for a disk or a network file system"))
}

pub(in crate::diagnosis::rules) fn process_ended(case: &Case) -> Option<String> {
    let (id, name) = process(case, ProcessState::Zombie)?;
    Some(format!("the process {name} ({id}) that listened there has ended, and its parent has not taken note"))
}

pub(in crate::diagnosis::rules) fn killed_for_memory(case: &Case) -> Option<String> {
    let stage = case.failure().fault.stage();
    matches!(stage, Stage::Send | Stage::Response | Stage::Body).then(|| killed(case))?
}

pub(in crate::diagnosis::rules) fn killed_and_gone(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::ConnectionRefused, Fault::SocketMissing])?;
    killed(case)
}

pub(in crate::diagnosis::rules) fn own_listener(case: &Case) -> Option<String> {
    own(case)?.is_itself.then(|| {
        format!("{} is an address that this proxy itself listens on: it would ask itself", place(case.failure()))
    })
}

pub(in crate::diagnosis::rules) fn own_descriptors_short(case: &Case) -> Option<String> {
    let (open, limit) = own(case)?.descriptors.filter(nearly_all)?;
    Some(format!("this proxy has {open} of {limit} file descriptors open: there is hardly room for a connection"))
}

pub(in crate::diagnosis::rules) fn own_ports_short(case: &Case) -> Option<String> {
    let (used, room) = own(case)?.ports.filter(nearly_all)?;
    Some(format!("{used} of this host's {room} local ports are taken by connections to {}", place(case.failure())))
}

/// The server has the same processors.
pub(in crate::diagnosis::rules) fn shared_host_overloaded(case: &Case) -> Option<String> {
    let here = case.failure().address().is_none_or(|address| case.here.owns(address.ip()));
    overloaded(case).filter(|_| here).map(|load| format!("{load}, and the server runs on this host too"))
}

pub(in crate::diagnosis::rules) fn own_host_overloaded(case: &Case) -> Option<String> {
    let elsewhere = case.failure().address().is_some_and(|address| !case.here.owns(address.ip()));
    overloaded(case).filter(|_| elsewhere).map(|load| format!("{load}: it may be this proxy that is too slow"))
}

fn nothing(case: &Case) -> Option<(&str, &str)> {
    case.failed_with(&[Fault::SocketMissing])?;
    let (path, found) = socket_file(case)?;
    if let SocketFound::Nothing { nearest } = found { Some((path, nearest)) } else { None }
}

fn on_sockets(case: &Case) -> Option<()> {
    case.failure().target.as_ref()?.socket.as_ref().map(|_| ())
}

fn socket_file(case: &Case) -> Option<(&str, &SocketFound)> {
    measured(case, |seen| if let Observation::SocketFile(file) = seen { Some(file) } else { None })
        .last()
        .map(|file| (file.path.as_str(), &file.found))
}

/// The folder that a path stands in.
fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| if folder.is_empty() { "/" } else { folder })
}

/// How many connections wait to be accepted, and how many may, where they were most.
fn queue(case: &Case) -> Option<(u32, u32)> {
    let queue = |seen: &Observation| {
        if let Observation::AcceptQueue { waiting, room } = seen { Some((*waiting, *room)) } else { None }
    };
    measured(case, queue).max()
}

/// The same, where no further one has room: the kernel then drops what knocks, as a firewall would.
pub(super) fn full_queue(case: &Case) -> Option<(u32, u32)> {
    queue(case).filter(|(waiting, room)| *room > 0 && waiting >= room)
}

fn process(case: &Case, wanted: ProcessState) -> Option<(u32, &str)> {
    // One of several workers that is stopped does not stop the rest.
    let all = processes(case).all(|(_, _, state)| state == wanted);
    processes(case).find(|_| all).map(|(id, name, _)| (id, name))
}

/// The number of the process that holds the server's socket and does not run.
pub(in crate::diagnosis) fn held_process(case: &Case) -> Option<u32> {
    let held = [ProcessState::Stopped, ProcessState::Blocked];
    held.into_iter().find_map(|state| process(case, state)).map(|(id, _)| id)
}

fn processes(case: &Case) -> impl Iterator<Item = (u32, &str, ProcessState)> {
    measured(case, |seen| {
        if let Observation::Process { id, name, state } = seen { Some((*id, name.as_str(), *state)) } else { None }
    })
    .filter(|_| !answered_since(case))
}

fn killed(case: &Case) -> Option<String> {
    let count =
        |seen: &Observation| if let Observation::KilledForMemory { count } = seen { Some(*count) } else { None };
    let count = measured(case, count).last().filter(|count| *count > 0)?;
    let times = counted(usize::try_from(count).unwrap_or(usize::MAX), "time");
    Some(format!("this host's kernel ended a program for lack of memory, {times} within the last ten minutes"))
}

fn own(case: &Case) -> Option<Own> {
    measured(case, |seen| if let Observation::Own(own) = seen { Some(*own) } else { None }).last()
}

fn overloaded(case: &Case) -> Option<String> {
    case.failed_with(SLOW)?;
    let (load, processors) = own(case)?.load?;
    (load / 100 >= processors.saturating_mul(OVERLOADED)).then(|| {
        let processors = counted(processors as usize, "processor");
        format!("this host has {} programs waiting for its {processors}", load / 100)
    })
}

const fn nearly_all((used, room): &(u64, u64)) -> bool {
    *room > 0 && *used >= *room / 10 * 9
}

/// From here on, the load is more than a burst.
const OVERLOADED: u32 = 4;

/// The permission bit by which everybody may write.
const EVERYBODY_WRITES: u32 = 0o002;

const SLOW: &[Fault] = &[
    Fault::ConnectionTimedOut,
    Fault::SocketBacklogFull,
    Fault::TlsHandshakeTimedOut,
    Fault::RequestSendTimedOut,
    Fault::ResponseTimedOut,
    Fault::ResponseBodyTimedOut,
];
