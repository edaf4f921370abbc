//! Owns the rules over opening a connection: addresses, ports, hosts, routes, unix sockets, this host's own limits.

use std::net::IpAddr;
use std::time::Duration;

use super::probe::local::is_in_use;
use super::probe::name_server_gave;
use super::probe::neighbour;
use super::probe::port::listens_there;
use super::targets;
use crate::diagnosis::Case;
use crate::diagnosis::observation::NeighbourState;
use crate::diagnosis::wording::counted;
use crate::diagnosis::wording::duration;
use crate::diagnosis::wording::errno;
use crate::diagnosis::wording::list;
use crate::diagnosis::wording::place;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::AddressFailure;
use crate::fault::failure::Icmp;
use crate::fault::failure::IcmpEvidence;
use crate::fault::failure::Target;

pub(super) fn port_closed_host_alive(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ConnectionRefused])?;
    let (address, waited) = (failure.address().filter(|_| !is_misled(case))?, duration(failure.waited()));
    let (ip, port) = (address.ip(), address.port());
    let refused = format!("connecting to {address} was refused after {waited}");
    if !case.here.owns(ip) {
        return Some(format!("{refused}: the host is up, since it answered, but nothing listens on port {port}"));
    }
    let foreign = case.here.in_container && is_here(ip);
    (!foreign).then(|| format!("{refused}: nothing listens on port {port} of this host itself"))
}

/// A host resets what nobody listens for (RFC 9293, section 3.5.2). A message in place of the reset is a filter's, and the usual
/// one of iptables and nftables.
pub(super) fn refused_by_filter(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ConnectionRefused])?;
    let (icmp, there) = (failure.icmp?, place(failure));
    let rule = match sender(case, icmp) {
        Some(Sender::Ourselves) => "a rule of this host's own firewall rejects what goes there".to_owned(),
        Some(Sender::Target) => "a rule of its own firewall rejects what comes to it".to_owned(),
        Some(Sender::Between(address)) => format!("a firewall at {address}, on the way, rejects it"),
        None => "a firewall's rule rejects it".to_owned(),
    };
    Some(format!(
        "{there} was refused after {} by an ICMP message ({}), and not by a reset, as a port is on which nothing listens: {rule}",
        duration(failure.waited()),
        icmp.says.name()
    ))
}

/// A name of another host that leads to this one: a filter answers so in place of a name server, or the record was never right.
pub(super) fn name_leads_here(case: &Case) -> Option<String> {
    let (name, address) = led_here(case)?;
    Some(format!(
        "the name {name} leads to {address}, which is this host itself: its record is wrong, or a filter of names answers so in \
         its place"
    ))
}

pub(super) fn socket_left_behind(case: &Case) -> Option<String> {
    let path = socket(case, Fault::ConnectionRefused)?;
    (!is_in_use(case))
        .then(|| format!("the socket {path} is there, but nothing listens on it: the program that made it has ended"))
}

/// In a container, loopback is the container's own.
pub(super) fn localhost_in_container(case: &Case) -> Option<String> {
    let address = case.failed_with(&[Fault::ConnectionRefused])?.address()?;
    (case.here.in_container && is_here(address.ip()) && !listens_there(case) && !is_misled(case)).then(|| {
        format!("{address} is this container itself, not the host or another container, and nothing listens there")
    })
}

/// Names such as localhost stand for both families, and many programs listen on one of them only.
pub(super) fn one_loopback_family(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ConnectionRefused])?;
    let address = failure.address()?;
    let tried = |wanted: fn(&IpAddr) -> bool| failure.addresses.iter().any(|tried| wanted(&tried.address.ip()));
    let both = tried(IpAddr::is_ipv4) && tried(IpAddr::is_ipv6);
    (address.is_ipv6() && address.ip().is_loopback() && !both).then(|| {
        format!("only IPv6 was tried ({address}); many programs listen on 127.0.0.1 alone, which is another address")
    })
}

pub(super) fn own_address_refused(case: &Case) -> Option<String> {
    let address = case.failed_with(&[Fault::ConnectionRefused])?.address()?;
    (case.here.owns(address.ip()) && !is_here(address.ip())).then(|| {
        let (ip, port) = (address.ip(), address.port());
        format!(
            "{ip} is this host's own address: a program that listens on 127.0.0.1:{port} (loopback) only \
             is refused there"
        )
    })
}

pub(super) fn all_addresses_refused(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ConnectionRefused])?;
    all_alike(failure, Fault::ConnectionRefused)
        .map(|tried| format!("{} refused the connection alike, so it is not one host alone", list(&tried)))
}

pub(super) fn every_server_refused(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::ConnectionRefused])?;
    let refused = |failure: &&Failure| failure.fault == Fault::ConnectionRefused;
    let servers = targets(case.attempts.iter().filter(refused));
    (servers.len() > 1 && case.attempts.iter().all(|failure| refused(&failure)))
        .then(|| format!("{} refused alike, one after the other", list(&servers)))
}

/// A name with a live and a dead address behind it leads to one that is gone, or to one that is not there yet.
pub(super) fn addresses_differ(case: &Case) -> Option<String> {
    let failure = case.failed_with(CONNECT)?;
    let named = failure.target.as_ref().is_some_and(Target::is_named);
    let same_family = |other: &&AddressFailure| {
        failure.addresses.iter().any(|one| {
            one.address.is_ipv4() == other.address.is_ipv4() && is_refusal(one.fault) != is_refusal(other.fault)
        })
    };
    let differs = failure.addresses.iter().any(|tried| same_family(&tried));
    let tried = failure.addresses.iter().map(|tried| format!("{} ({})", tried.address, tried.fault));
    (named && differs).then(|| {
        let tried: Vec<String> = tried.collect();
        format!("the name leads to addresses that fail differently, {}: some of them may be old", list(&tried))
    })
}

/// A host that is absent is reported only when nobody answered for its address, which takes a second or more. What
/// comes back at once was sent by a firewall.
pub(super) fn rejected_at_once(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::HostUnreachable])?;
    let (there, waited) = (place(failure), duration(failure.waited()));
    if let Some(icmp) = failure.icmp.filter(|icmp| icmp.says == Icmp::Prohibited) {
        let from = icmp.from.map(|from| format!(" from {from}")).unwrap_or_default();
        return Some(format!(
            "connecting to {there} was rejected after {waited} by an ICMP message{from} ({}): a firewall's filter says so",
            icmp.says.name()
        ));
    }
    (failure.waited() < REJECTED && !is_known_absent(case)).then(|| {
        let number = errno(failure.os_error.unwrap_or(libc::EHOSTUNREACH));
        format!(
            "connecting to {there} was rejected after {waited} ({number}): a firewall's filter answers so \
             fast (administratively prohibited), an absent host takes a second or more"
        )
    })
}

/// Linux asks three times, a second apart, who has an address on its network before it gives up.
pub(super) fn host_silent_on_its_network(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::HostUnreachable])?;
    (failure.waited() >= ASKED_FOR).then(|| {
        let waited = duration(failure.waited());
        format!(
            "for {waited} nobody on its network answered for the address of {}: the host is off or has another address",
            place(failure)
        )
    })
}

pub(super) fn host_present_port_silent(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ConnectionTimedOut])?;
    let address = failure.address()?;
    (case.here.is_near(address.ip()) && failure.waited() > GIVEN_UP && !is_known_absent(case)).then(|| {
        let waited = duration(failure.waited());
        format!(
            "{address} is on this host's own network, where an absent host is reported after 3 s, yet \
             nothing came in {waited}: the host is there and its port is silent"
        )
    })
}

pub(super) fn all_addresses_silent(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ConnectionTimedOut])?;
    let tried = all_alike(failure, Fault::ConnectionTimedOut)?;
    Some(format!(
        "{} are silent alike, which one rule explains better than {} that are off",
        list(&tried),
        counted(tried.len(), "host")
    ))
}

pub(super) fn container_network_foreign(case: &Case) -> Option<String> {
    let address = foreign_private_address(case)?;
    // What has answered is on a network that can be reached from here.
    let never_reached = case.history.server.successes.ever == 0;
    (case.here.in_container && never_reached).then(|| {
        let own = case.here.own_networks.iter().filter(|network| !network.addr().is_loopback());
        let own: Vec<String> = own.map(ToString::to_string).collect();
        format!(
            "{address} is on no network of this container, which has {}: the two are probably on \
             different container networks",
            list(&own)
        )
    })
}

pub(super) fn private_network_foreign(case: &Case) -> Option<String> {
    let address = foreign_private_address(case)?;
    (!case.here.in_container).then(|| {
        format!(
            "{address} is a private address outside this host's own networks, so that it depends on a \
             route, a tunnel or a security group"
        )
    })
}

/// A packet that opens a connection and is lost goes out again after a second (RFC 6298, section 2).
pub(super) fn connect_limit_below_repeat(case: &Case) -> Option<String> {
    let limit = case.failed_with(&[Fault::ConnectionTimedOut])?.limit?;
    (limit < SYN_REPEAT).then(|| {
        format!(
            "the limit of {} for connecting is below the 1 s after which a lost packet is sent again, so \
             that one lost packet is enough to fail",
            duration(limit)
        )
    })
}

pub(super) fn no_route_here(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::NetworkUnreachable])?;
    let (there, waited) = (place(failure), duration(failure.waited()));
    let who = match failure.icmp.and_then(|icmp| sender(case, icmp)) {
        Some(Sender::Between(router)) => format!("the router {router}"),
        None if failure.waited() >= Duration::from_millis(1) => "this host or a router on the way".to_owned(),
        _ => "this host".to_owned(),
    };
    Some(format!("{who} has no route to {there} (said after {waited})"))
}

pub(super) fn no_ipv6_here(case: &Case) -> Option<String> {
    let address = case.failed_with(&[Fault::NetworkUnreachable])?.address()?;
    let usable = |own: &IpAddr| matches!(own, IpAddr::V6(v6) if !v6.is_loopback() && !v6.is_unicast_link_local());
    let known = !case.here.own_addresses.is_empty();
    (address.is_ipv6() && known && !case.here.own_addresses.iter().any(usable))
        .then(|| format!("{address} is an IPv6 address, and this host has none of its own"))
}

pub(super) fn own_firewall_forbids(case: &Case) -> Option<String> {
    let failure = forbidden(case, libc::EPERM)?;
    Some(format!(
        "connecting to {} failed here with EPERM 1: this host's own outgoing firewall rules forbid it",
        place(failure)
    ))
}

pub(super) fn own_policy_forbids(case: &Case) -> Option<String> {
    let failure = forbidden(case, libc::EACCES)?;
    Some(format!(
        "connecting to {} failed here with EACCES 13, which never comes from the network: SELinux, \
         AppArmor or a 'prohibit' route on this host forbids it",
        place(failure)
    ))
}

pub(super) fn local_ports_used_up(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::LocalPortsExhausted])?;
    let range = failure.local.and_then(|local| local.port_range).map(|(first, last)| format!(" ({first} to {last})"));
    Some(format!(
        "every local port{} is in use for connections to {}, open or only just closed",
        range.unwrap_or_default(),
        place(failure)
    ))
}

pub(super) fn descriptors_used_up(case: &Case) -> Option<String> {
    let local = case.failed_with(&[Fault::FileDescriptorsExhausted])?.local.unwrap_or_default();
    let open = local.descriptors.map(|open| format!("{open} file descriptors are open here"));
    let limit = local.descriptor_limit.map(|limit| format!(", and the limit is {limit}"));
    Some(format!(
        "{}{}: this proxy can open no further connection",
        open.unwrap_or_else(|| "all file descriptors are in use".to_owned()),
        limit.unwrap_or_default()
    ))
}

pub(super) fn socket_not_created(case: &Case) -> Option<String> {
    let path = socket(case, Fault::SocketMissing)?;
    Some(format!("there is no socket at {path}: the program that should make it does not run, or makes it elsewhere"))
}

pub(super) fn socket_not_mounted(case: &Case) -> Option<String> {
    let path = socket(case, Fault::SocketMissing)?;
    case.here
        .in_container
        .then(|| format!("this proxy runs in a container, where {path} exists only if its folder is mounted into it"))
}

pub(super) fn socket_not_permitted(case: &Case) -> Option<String> {
    let path = socket(case, Fault::SocketPermissionDenied)?;
    Some(format!(
        "the owner or mode of {path}, or of a folder above it, gives this proxy's user no permission to write to it"
    ))
}

/// A unix socket whose queue is full says so at once, where TCP would keep silent.
pub(super) fn backlog_full(case: &Case) -> Option<String> {
    let path = socket(case, Fault::SocketBacklogFull)?;
    Some(format!(
        "the queue of {path} is full (EAGAIN 11): the program runs, but does not take its connections fast enough"
    ))
}

/// Who sent a message.
enum Sender {
    Ourselves,
    Target,
    Between(IpAddr),
}

fn sender(case: &Case, icmp: IcmpEvidence) -> Option<Sender> {
    let target = case.failure().address()?.ip();
    Some(match icmp.from? {
        from if case.here.owns(from) => Sender::Ourselves,
        from if from == target => Sender::Target,
        from => Sender::Between(from),
    })
}

/// The name, and the address of this host that it leads to, where neither is as usual and nothing has ever worked there.
fn led_here(case: &Case) -> Option<(&str, IpAddr)> {
    let failure = case.failed_with(&[Fault::ConnectionRefused])?;
    let name = &*failure.target.as_ref().filter(|target| target.is_named())?.host;
    let address = failure.address()?.ip();
    let worked = case.history.server.addresses.iter().any(|(known, _)| *known == address);
    let of_this_host = name.split('.').any(|label| label.to_ascii_lowercase().contains("localhost"));
    // A hosts file leads names here on purpose.
    let wrongly = address.is_unspecified() || (address.is_loopback() && name_server_gave(case, address));
    (wrongly && !of_this_host && !worked).then_some((name, address))
}

/// Whether a refusal says nothing of the server: a filter made it, or it was another host's.
pub(super) fn is_misled(case: &Case) -> bool {
    case.failed_with(&[Fault::ConnectionRefused]).is_some_and(|failure| failure.icmp.is_some())
        || led_here(case).is_some()
}

/// The path of the unix socket that this fault is about.
fn socket(case: &Case, fault: Fault) -> Option<&str> {
    case.failed_with(&[fault])?.target.as_ref()?.socket.as_deref()
}

/// The addresses tried, where several of one family were and all met this fault. One of each may be the same host.
fn all_alike(failure: &Failure, fault: Fault) -> Option<Vec<String>> {
    let of_v4 = failure.addresses.iter().filter(|tried| tried.address.is_ipv4()).count();
    let several = of_v4 > 1 || failure.addresses.len() - of_v4 > 1;
    (several && failure.addresses.iter().all(|tried| tried.fault == fault))
        .then(|| failure.addresses.iter().map(|tried| tried.address.to_string()).collect())
}

/// Whether a check has found that nobody on this host's network has the address. While the kernel still asks for it, it
/// fails whoever else wants to connect without waiting.
fn is_known_absent(case: &Case) -> bool {
    neighbour(case) == Some(NeighbourState::Unanswered)
}

fn forbidden(case: &Case, number: i32) -> Option<&Failure> {
    case.failed_with(&[Fault::ConnectionProhibited]).filter(|failure| failure.os_error == Some(number))
}

/// A private address that did not answer and is on no network of this host's own.
fn foreign_private_address(case: &Case) -> Option<std::net::SocketAddr> {
    let address = case.failed_with(&[Fault::ConnectionTimedOut])?.address()?;
    let private = match address.ip() {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    };
    let known = !case.here.own_networks.is_empty();
    (private && known && !case.here.is_near(address.ip())).then_some(address)
}

/// Whether an address means the machine that asks; `0.0.0.0` does on Linux.
fn is_here(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

fn is_refusal(fault: Fault) -> bool {
    fault == Fault::ConnectionRefused
}

const CONNECT: &[Fault] = &[Fault::ConnectionRefused, Fault::ConnectionTimedOut, Fault::HostUnreachable];

/// What comes back faster than this was sent on purpose.
const REJECTED: Duration = Duration::from_millis(50);

/// From here on, an unreachable host is one that nobody answered for.
pub(super) const ASKED_FOR: Duration = Duration::from_millis(500);

/// By now an absent neighbour would have been reported.
const GIVEN_UP: Duration = Duration::from_millis(3_500);

/// When a packet that opens a connection is sent again.
const SYN_REPEAT: Duration = Duration::from_secs(1);
