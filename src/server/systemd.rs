//! Owns what a service manager is told (`sd_notify`), where there is one that wants to know.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::time::ClockId;
use rustix::time::clock_gettime;

/// The service manager's ear.
#[derive(Debug, Default)]
pub(super) struct Systemd(Option<(UnixDatagram, SocketAddr)>);

impl Systemd {
    /// The one that is named in the environment.
    pub(super) fn from_environment() -> Self {
        let address = env::var_os("NOTIFY_SOCKET").and_then(|name| match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
            _ => SocketAddr::from_pathname(name).ok(),
        });
        Self(address.and_then(|address| Some((UnixDatagram::unbound().ok()?, address))))
    }

    /// It serves, by what its configuration says now.
    pub(super) fn ready(&self) {
        self.tell("READY=1\nSTATUS=serves");
    }

    /// It reads its configuration again. The moment lets the manager tell this answer from an earlier one.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let (seconds, rest) = (u64::try_from(now.tv_sec), u32::try_from(now.tv_nsec));
        let since = Duration::new(seconds.unwrap_or_default(), rest.unwrap_or_default());
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", since.as_micros()));
    }

    /// It ends as soon as the requests in flight have.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=waits for requests in flight");
    }

    /// Another process is the service from now on.
    pub(super) fn succeeded_by(&self, process: u32) {
        self.tell(&format!("MAINPID={process}"));
    }

    /// Nobody waits for an answer, and where it does not arrive nothing else can be done.
    fn tell(&self, words: &str) {
        if let Some((socket, address)) = &self.0 {
            socket.send_to_addr(words.as_bytes(), address).ok();
        }
    }
}
