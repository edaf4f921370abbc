//! Owns what processes of this host do: who holds a listening socket, and whether it runs at all. Read from `/proc`, as far as
//! this process may look, and never for long.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::ProcessState;

/// The processes that hold these sockets, those first that do not run.
pub(super) fn holders(sockets: &[u32]) -> Vec<Observation> {
    let mut found: Vec<(ProcessState, Observation)> = Vec::new();
    let end = Instant::now() + LONGEST;
    for process in processes() {
        if found.len() >= MOST_FOUND || Instant::now() > end {
            break;
        }
        if holds(process, sockets, end)
            && let Some((name, state)) = look(process)
        {
            found.push((state, Observation::Process { id: process, name, state }));
        }
    }
    found.sort_by_key(|(state, _)| *state == ProcessState::Alive);
    found.into_iter().map(|(_, observation)| observation).take(MOST_TOLD).collect()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether one of its descriptors is one of these sockets. Of another user's process that cannot be seen.
fn holds(process: u32, sockets: &[u32], end: Instant) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    descriptors.take_while(|_| Instant::now() < end).any(|descriptor| {
        let link = fs::read_link(descriptor.path()).unwrap_or_default();
        link.to_str().and_then(socket).is_some_and(|inode| sockets.contains(&inode))
    })
}

/// `socket:[4711]`
fn socket(link: &str) -> Option<u32> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn look(process: u32) -> Option<(String, ProcessState)> {
    let (name, state) = stat(&text(Path::new(&format!("/proc/{process}/stat"))).ok()?)?;
    let asleep = state == ProcessState::Alive && is_frozen(process);
    Some((name, if asleep { ProcessState::Stopped } else { state }))
}

/// `4711 (my (odd) name) S …`: a name may hold brackets, so it ends with the last one.
fn stat(line: &str) -> Option<(String, ProcessState)> {
    let (before, after) = line.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let state = match after.trim_start().chars().next()? {
        'T' | 't' => ProcessState::Stopped,
        'D' => ProcessState::Blocked,
        'Z' | 'X' => ProcessState::Zombie,
        _ => ProcessState::Alive,
    };
    let shown = |letter: char| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
    Some((name.chars().take(LONGEST_NAME).map(shown).collect(), state))
}

/// Whether its group is frozen, as a paused container is: its processes look as if they slept.
fn is_frozen(process: u32) -> bool {
    let groups = text(Path::new(&format!("/proc/{process}/cgroup"))).unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let path = group.map(|group| format!("/sys/fs/cgroup{}/cgroup.events", group.trim_end_matches('/')));
    path.and_then(|path| text(Path::new(&path)).ok())
        .is_some_and(|events| events.lines().any(|line| line == "frozen 1"))
}

/// A small file of the kernel's.
pub(super) fn text(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// A file's permission bits, owner and group.
pub(super) fn rights(metadata: &fs::Metadata) -> (u32, u32, u32) {
    (metadata.mode() & 0o7777, metadata.uid(), metadata.gid())
}

/// How long is looked for processes. It is a thread of its own that looks, and no core that serves.
const LONGEST: Duration = Duration::from_millis(100);
/// How many are looked at, and how many are told of.
const MOST_FOUND: usize = 64;
const MOST_TOLD: usize = 4;
const LONGEST_NAME: usize = 64;
const MOST_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;
    use std::process::Command;
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_state_is_read_whatever_the_name() {
        for (line, name, state) in [
            ("1 (init) S 0 1", "init", ProcessState::Alive),
            ("2 (a) T b) (c) T 0", "a) T b) (c", ProcessState::Stopped),
            ("3 (x\ny) D 0", "x\u{fffd}y", ProcessState::Blocked),
            ("4 (gone) Z 0", "gone", ProcessState::Zombie),
        ] {
            assert_eq!(stat(line), Some((name.to_owned(), state)));
        }
        for broken in ["", "1", "1 (a", "1 a) S", "1 (a)"] {
            assert_eq!(stat(broken), None, "{broken}");
        }
        assert_eq!((socket("socket:[12]"), socket("socket:[]"), socket("pipe:[12]")), (Some(12), None, None));
    }

    #[test]
    fn who_holds_a_socket_is_found_and_so_is_that_it_was_stopped() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
        let inode = socket(link.to_str().unwrap()).unwrap();
        assert_eq!(holders(&[inode + 1_000_000]), []);
        let stdin = Stdio::from(std::os::fd::OwnedFd::from(listener.try_clone().unwrap()));
        let mut child = Command::new("sleep").arg("60").stdin(stdin).spawn().unwrap();
        let state = |holders: &[Observation]| {
            let mut states = holders.iter().filter_map(|holder| {
                let Observation::Process { id, state, .. } = holder else { return None };
                (*id == child.id()).then_some(*state)
            });
            states.next()
        };
        assert_eq!(state(&holders(&[inode])), Some(ProcessState::Alive));
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-STOP", &id]).status().unwrap().success());
        while stat(&fs::read_to_string(format!("/proc/{id}/stat")).unwrap()).unwrap().1 != ProcessState::Stopped {
            std::thread::yield_now();
        }
        let found = holders(&[inode]);
        assert_eq!(state(&found), Some(ProcessState::Stopped));
        assert!(matches!(found[0], Observation::Process { state: ProcessState::Stopped, .. }), "it comes first");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
