//! Owns the files behind the host's settings: where they are, and that a change is noticed.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use arc_swap::ArcSwap;

use crate::dns::addresses::Addresses;
use crate::dns::system::System;

/// The host's settings, kept up to date.
#[derive(Debug)]
pub(super) struct Watched {
    files: Files,
    current: ArcSwap<System>,
    began: Instant,
    /// When the files are looked at next, in milliseconds after the beginning.
    due: AtomicU64,
    /// What was read last; held while it is read again, never across an await.
    seen: Mutex<Seen>,
}

/// Where the settings are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) resolv_conf: PathBuf,
    pub(super) hosts: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        Self { resolv_conf: PathBuf::from("/etc/resolv.conf"), hosts: PathBuf::from("/etc/hosts") }
    }
}

/// Whether the servers that are asked have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// They have, so that what the old ones failed to say is worth nothing.
    OtherServers,
    /// They have not.
    None,
}

impl Watched {
    pub(super) fn new(configured: &[SocketAddr], files: Files, now: Instant) -> Self {
        let seen = Mutex::new(Seen { configured: configured.to_vec(), files: Traces::of(&files) });
        let current = ArcSwap::from_pointee(read(configured, &files));
        let due = AtomicU64::new(milliseconds(LOOK_EVERY));
        Self { files, current, began: now, due, seen }
    }

    /// The settings as last read.
    pub(super) fn current(&self) -> Arc<System> {
        self.current.load_full()
    }

    /// The servers that the files name.
    pub(super) fn servers_of_the_system(&self) -> Vec<SocketAddr> {
        read(&[], &self.files).servers
    }

    /// The addresses that need no name server.
    pub(super) fn without_asking(&self, name: &str) -> Option<Arc<Addresses>> {
        self.current.load().without_asking(name)
    }

    /// Reads the files again where they have changed, and looks at them only every few seconds.
    pub(super) fn refresh(&self, now: Instant) -> Change {
        let elapsed = milliseconds(now.saturating_duration_since(self.began));
        let due = self.due.load(Ordering::Relaxed);
        let next = elapsed.saturating_add(milliseconds(LOOK_EVERY));
        let turn = elapsed >= due && self.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if turn { self.read_what_changed() } else { Change::None }
    }

    fn read_what_changed(&self) -> Change {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let files = Traces::of(&self.files);
        if seen.files == files { Change::None } else { self.read_again(&mut seen, files) }
    }

    /// Asks these servers from now on, or the system's where there are none.
    pub(super) fn configure(&self, configured: &[SocketAddr]) -> Change {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.configured = configured.to_vec();
        self.read_again(&mut seen, Traces::of(&self.files))
    }

    fn read_again(&self, seen: &mut Seen, files: Traces) -> Change {
        let system = read(&seen.configured, &self.files);
        let change = if system.asks_like(&self.current.load()) { Change::None } else { Change::OtherServers };
        self.current.store(Arc::new(system));
        seen.files = files;
        change
    }
}

/// What was read last.
#[derive(Debug)]
struct Seen {
    configured: Vec<SocketAddr>,
    files: Traces,
}

/// What the files look like from outside. An editor that replaces a file changes its inode, even within one tick of the clock.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    resolv_conf: Option<Trace>,
    hosts: Option<Trace>,
}

#[derive(Debug, PartialEq, Eq)]
struct Trace {
    modified: (i64, i64),
    length: u64,
    inode: u64,
}

impl Traces {
    fn of(files: &Files) -> Self {
        Self { resolv_conf: Trace::of(&files.resolv_conf), hosts: Trace::of(&files.hosts) }
    }
}

impl Trace {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Some(Self { modified, length: metadata.len(), inode: metadata.ino() })
    }
}

/// A file that is missing or cannot be read counts as empty.
fn read(configured: &[SocketAddr], files: &Files) -> System {
    let text = |path: &Path| fs::read(path).unwrap_or_default();
    System::read(configured, &text(&files.resolv_conf), &text(&files.hosts))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const LOOK_EVERY: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::SocketAddr;
    use std::path::PathBuf;
    use std::time::Duration;
    use std::time::Instant;

    use super::Change;
    use super::Files;
    use super::LOOK_EVERY;
    use super::Watched;

    #[test]
    fn files_are_read_again_when_they_have_changed_and_looked_at_every_few_seconds() {
        let directory = Directory::new("nameserver 10.0.0.1", "10.0.0.1 app");
        let began = Instant::now();
        let watched = Watched::new(&[], directory.files(), began);
        let look = |after: Duration| (watched.refresh(began + after), watched.without_asking("app").is_some());
        directory.write("nameserver 10.0.0.1\n", "");
        assert_eq!(
            look(LOOK_EVERY.saturating_sub(Duration::from_millis(1))),
            (Change::None, true),
            "not yet looked at"
        );
        assert_eq!(look(LOOK_EVERY), (Change::None, false), "the same servers are asked as before");
        directory.write("nameserver 10.0.0.22", "");
        assert_eq!(look(LOOK_EVERY * 2).0, Change::OtherServers);
        assert_eq!(watched.current().servers, vec![SocketAddr::from(([10, 0, 0, 22], 53))]);
        assert_eq!(watched.configure(&[SocketAddr::from(([10, 0, 0, 5], 53))]), Change::OtherServers);
        assert_eq!(watched.configure(&[SocketAddr::from(([10, 0, 0, 5], 53))]), Change::None);
        assert_eq!(watched.current().servers, vec![SocketAddr::from(([10, 0, 0, 5], 53))]);
        assert_eq!(watched.configure(&[]), Change::OtherServers);
        fs::remove_file(directory.files().resolv_conf).unwrap();
        assert_eq!(look(LOOK_EVERY * 3).0, Change::OtherServers);
        assert_eq!(look(LOOK_EVERY * 4).0, Change::None);
    }

    /// Both files in a directory of their own, removed at the end.
    struct Directory(PathBuf);

    impl Directory {
        fn new(resolv_conf: &str, hosts: &str) -> Self {
            let path = std::env::temp_dir().join(format!("why502-dns-watch-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            let directory = Self(path);
            directory.write(resolv_conf, hosts);
            directory
        }

        fn write(&self, resolv_conf: &str, hosts: &str) {
            fs::write(self.files().resolv_conf, resolv_conf).unwrap();
            fs::write(self.files().hosts, hosts).unwrap();
        }

        fn files(&self) -> Files {
            Files { resolv_conf: self.0.join("resolv.conf"), hosts: self.0.join("hosts") }
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            // What is left behind in the directory for temporary files must not fail a test.
            drop(fs::remove_dir_all(&self.0));
        }
    }
}
