//! Owns a small network of hosts, each a network namespace on one switch, for stories that loopback cannot tell: a firewall, a
//! host that is off, a path that loses packets. Needs root, `ip` and `nft`.

use std::fs;
use std::fs::File;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use rustix::thread::LinkNameSpaceType;
use rustix::thread::move_into_link_name_space;

use why502::demo::origin::PrivateDirectory;

use super::Needs;
use super::can;
use super::is_root;
use super::names::Names;
use super::origin::Conversation;
use super::origin::Origin;
use super::origin::Reserved;
use super::proxy::Proxy;

/// A switch and the hosts on it; all of it is gone with this value.
#[derive(Debug)]
pub(crate) struct World {
    name: String,
    pub(crate) proxy: Host,
}

/// A host: a name of the world's, and one leg on its switch.
#[derive(Debug)]
pub(crate) struct Host {
    name: String,
    port: String,
    switch: String,
}

impl World {
    /// A world with the proxy's host at 10.9.0.2; none where this machine cannot have one, which is said in a line.
    pub(crate) fn new(story: &str) -> Option<Self> {
        let make = &["unshare", "-n", "ip", "link", "add", "br0", "type", "bridge"];
        if !is_root() {
            eprintln!("skipped: {story}: only root may make hosts of network namespaces");
            return None;
        }
        if !can(story, Needs::Command(make)) || !can(story, Needs::Program("nft")) {
            return None;
        }
        let name = format!("w{:x}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        sh(&format!("ip netns add {name}; ip -n {name} link add br0 type bridge; ip -n {name} link set br0 up"));
        let proxy = Host::on(&name, "p", "10.9.0.2");
        Some(Self { name, proxy })
    }

    /// One more host: at this address, and at one of `fd09::/64` with the same last number.
    pub(crate) fn host(&self, name: &str, address: &str) -> Host {
        Host::on(&self.name, name, address)
    }

    /// Runs the proxy on its host; clients come by the unix socket `proxy.sock` of its directory.
    pub(crate) fn run(&self, directory: PrivateDirectory, configuration: &str) -> Proxy {
        Proxy::run_under(&["ip", "netns", "exec", &self.proxy.name], directory, configuration)
    }
}

impl Host {
    fn on(switch: &str, name: &str, address: &str) -> Self {
        let host = format!("{switch}-{name}");
        let port = format!("{name}0");
        let last = address.rsplit('.').next().expect("an address has a last number");
        sh(&format!(
            "ip netns add {host}; ip -n {host} link set lo up; \
             ip link add {port} netns {switch} type veth peer name eth0 netns {host}; \
             ip -n {switch} link set {port} master br0 up; \
             ip -n {host} addr add {address}/24 dev eth0; ip -n {host} addr add fd09::{last}/64 dev eth0 nodad; \
             ip -n {host} link set eth0 up"
        ));
        // As systemd sets it: who is not root may send an echo request.
        sh(&format!("ip netns exec {host} sh -c 'echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range'"));
        Self { name: host, port, switch: switch.to_owned() }
    }

    /// Listens there, and answers every connection in this way until the test ends.
    pub(crate) fn serve(&self, address: &str, way: impl Fn(&mut Conversation) + Send + Sync + Clone + 'static) {
        let origin = self.listen(address);
        thread::spawn(move || {
            while let Some(mut conversation) = origin.wait() {
                let way = way.clone();
                thread::spawn(move || way(&mut conversation));
            }
        });
    }

    /// Listens there.
    pub(crate) fn listen(&self, address: &str) -> Origin {
        self.reserve(address).listen()
    }

    /// A port there that is bound, and on which nothing listens yet.
    pub(crate) fn reserve(&self, address: &str) -> Reserved {
        let address: SocketAddr = address.parse().expect("an address and a port");
        self.inside(move || Reserved::at(address).expect("the address is the host's"))
    }

    /// A name server there.
    pub(crate) fn names(&self, address: &'static str) -> Names {
        Names::serve_on(self.inside(move || UdpSocket::bind(address).expect("the address is the host's")))
    }

    /// Opens a connection from that host and leaves it at that.
    pub(crate) fn knock(&self, address: SocketAddr) -> Option<TcpStream> {
        self.inside(move || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok())
    }

    /// Does something on that host: sockets made in it belong there.
    fn inside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.name)).expect("the host is there");
        let entered = move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may go there");
            work()
        };
        thread::spawn(entered).join().expect("it was done")
    }

    /// Packets that come in and match this are dropped, reset, rejected …: `tcp dport 3000 drop`.
    pub(crate) fn block(&self, rule: &str) {
        let file = PrivateDirectory::new().expect("a directory can be made");
        let path = file.file("rules");
        let table = format!("table inet t {{ chain c {{ type filter hook input priority 0;\n{rule}\n}}\n}}\n");
        fs::write(&path, table).expect("a file can be written");
        sh(&format!("ip netns exec {} nft -f {}", self.name, path.display()));
    }

    /// Pulls the plug: nobody answers for its address any more.
    pub(crate) fn off(&self) {
        sh(&format!("ip -n {} link set {} down", self.switch, self.port));
    }

    /// Forgets who lives at an address, as a host does after a while.
    pub(crate) fn forget(&self, address: IpAddr) {
        sh(&format!("ip -n {} neigh flush to {address} dev eth0", self.name));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        Command::new("ip").args(["netns", "del", &self.name]).status().ok();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        Command::new("ip").args(["netns", "del", &self.name]).status().ok();
    }
}

fn sh(command: &str) {
    let done = Command::new("sh").args(["-ec", command]).output().expect("a shell is there");
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Tests run beside each other.
static NUMBER: AtomicUsize = AtomicUsize::new(0);
