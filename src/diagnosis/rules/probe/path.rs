//! Owns the rules over the way to the host: its neighbour entry, echoes, packets lost in part, silence of everything.

use std::net::IpAddr;
use std::time::Duration;

use super::REPEATED;
use super::answers_in_between;
use super::earlier;
use super::echo_lost;
use super::echoes;
use super::lively_ports;
use super::neighbour;
use super::neighbour_at;
use super::other_ports;
use super::port::hangs_under_load;
use super::ports;
use super::tried_again;
use crate::diagnosis::Case;
use crate::diagnosis::observation::Connected;
use crate::diagnosis::observation::NeighbourState;
use crate::diagnosis::observation::OtherPort;
use crate::diagnosis::rules::connect::ASKED_FOR;
use crate::diagnosis::wording::counted;
use crate::diagnosis::wording::duration;
use crate::diagnosis::wording::list;
use crate::diagnosis::wording::place;
use crate::fault::Failure;
use crate::fault::Fault;

/// Who has an address on the network is asked of everybody, and a host that is up answers whatever its firewall says.
pub(in crate::diagnosis::rules) fn neighbour_unanswered(case: &Case) -> Option<String> {
    let address = case.failed_with(UNREACHED)?.address()?;
    (neighbour(case) == Some(NeighbourState::Unanswered) && !alive(case, address.ip())).then(|| {
        let ip = address.ip();
        format!(
            "nobody on this host's own network answers for {ip} (ARP or ND): its host is off, or has another address"
        )
    })
}

/// The same speaks against a filter, which only a host that is there can have.
pub(in crate::diagnosis::rules) fn nobody_there_to_filter(case: &Case) -> Option<String> {
    neighbour_unanswered(case)?;
    let ip = case.failure().address()?.ip();
    Some(format!("no firewall of {ip} is at work, since not even its hardware address is known"))
}

pub(in crate::diagnosis::rules) fn neighbour_known(case: &Case) -> Option<String> {
    let failure = case.failed_with(UNREACHED)?;
    let address = failure.address()?;
    let rejected = if failure.fault == Fault::HostUnreachable { "rejected" } else { "silent" };
    let in_part = tried_again(case).any(|again| again.fault.is_none()) || echo_lost(case, address.ip());
    (neighbour(case) == Some(NeighbourState::Known) && !in_part && !hangs_under_load(case)).then(|| {
        let (ip, port) = (address.ip(), address.port());
        format!("{ip} is on this host's own network and its hardware address is known, yet port {port} is {rejected}")
    })
}

/// On a network of this host's own nothing stands between that could swallow everything.
pub(in crate::diagnosis::rules) fn near_host_silent(case: &Case) -> Option<String> {
    let (ip, ports) = dead(case)?;
    (case.here.is_near(ip) && neighbour(case) != Some(NeighbourState::Known))
        .then(|| format!("{ip} on this host's own network is silent on {ports} too, and to echo requests"))
}

pub(in crate::diagnosis::rules) fn far_host_silent(case: &Case) -> Option<String> {
    let (ip, ports) = dead(case)?;
    (!case.here.is_near(ip)).then(|| {
        format!("nothing at all comes back from {ip}, neither from {ports} nor to an echo: the host may be off")
    })
}

pub(in crate::diagnosis::rules) fn far_path_silent(case: &Case) -> Option<String> {
    let (ip, _) = dead(case)?;
    (!case.here.is_near(ip)).then(|| {
        format!("{ip} lies behind a router, and no router says that the host is missing: the way to it may be cut")
    })
}

/// A rule for one port leaves the others alone.
pub(in crate::diagnosis::rules) fn not_this_port_alone(case: &Case) -> Option<String> {
    // A host that is known to be there and says nothing at all may as well have banned this proxy.
    let (ip, ports) = dead(case).filter(|_| neighbour(case) != Some(NeighbourState::Known))?;
    Some(format!("{ip} is as silent on {ports}, so that it is not a rule for this port alone"))
}

/// Where part of what is sent arrives, on every port, it is the way that loses the rest.
pub(in crate::diagnosis::rules) fn packets_lost_in_part(case: &Case) -> Option<String> {
    let address = case.failed_with(UNREACHED_OR_SLOW)?.address()?;
    let lost = losses(case, address.ip());
    let slow = other_ports(case).any(|other| is_repeated(&other.connected));
    let elsewhere = slow || echo_lost(case, address.ip()) || !lively_alike(case);
    (!lost.is_empty() && elsewhere).then(|| format!("packets to {} are lost in part: {}", address.ip(), list(&lost)))
}

/// Where other ports of the host do well, it is this port's queue or its limit on new connections.
pub(in crate::diagnosis::rules) fn port_accepts_in_part(case: &Case) -> Option<String> {
    let address = case.failed_with(&[Fault::ConnectionTimedOut])?.address()?;
    let (accepted, silent) = again(case);
    let uneven = accepted > 0 && (silent > 0 || tried_again(case).any(is_repeated));
    let slow = other_ports(case).any(|other| is_repeated(&other.connected));
    (uneven && lively_alike(case) && !slow && !echo_lost(case, address.ip())).then(|| {
        let tries = counted(accepted + silent, "further connection");
        format!(
            "{address} accepted {accepted} of {tries}, not all of them at once, while other ports of its host are \
             quick: its queue of connections fills and empties"
        )
    })
}

/// What could not be reached is reached now: whatever it was has passed, and what passes is seldom set up on purpose.
pub(in crate::diagnosis::rules) fn reachable_again(case: &Case) -> Option<String> {
    case.failed_with(UNREACHED_OR_NO_ROUTE)?;
    let again = tried_again(case).last().filter(|again| again.fault.is_none())?;
    let (address, after) = (again.address, duration(again.elapsed));
    Some(match earlier(case) {
        None => format!(
            "{address} can be reached again (connected after {after}): packets were lost, or a route was missing for a while"
        ),
        Some(ago) => {
            format!("{address} could be reached {ago} ago (connected after {after}): the way to it comes and goes")
        }
    })
}

/// A rule of a firewall lets nothing new through. What was answered in between may have gone over connections from before it.
pub(in crate::diagnosis::rules) fn answered_in_between(case: &Case) -> Option<String> {
    let ago = in_between(case).filter(|_| !opened_in_between(case))?;
    Some(format!("{} answered {ago} ago, between two failures: no rule drops everything", place(case.failure())))
}

/// The same over a new connection, which no rule against this port has let through.
pub(in crate::diagnosis::rules) fn connected_in_between(case: &Case) -> Option<String> {
    let ago = in_between(case).filter(|_| opened_in_between(case))?;
    Some(format!(
        "{} took a new connection and answered on it {ago} ago, between two failures: no rule drops what is new",
        place(case.failure())
    ))
}

pub(in crate::diagnosis::rules) fn comes_and_goes(case: &Case) -> Option<String> {
    by_turns(case).filter(|_| !opened_in_between(case))
}

/// The same for new connections: their first packets are lost, and only some of them.
pub(in crate::diagnosis::rules) fn connections_come_and_go(case: &Case) -> Option<String> {
    let says = by_turns(case).filter(|_| opened_in_between(case))?;
    Some(format!("{says}, new connections among them"))
}

pub(in crate::diagnosis::rules) fn no_route_still(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::NetworkUnreachable])?;
    let again = tried_again(case).last().filter(|again| again.fault == Some(Fault::NetworkUnreachable))?;
    let beside = other_ports(case).all(|other| other.connected.fault == Some(Fault::NetworkUnreachable));
    beside.then(|| format!("there is no route to {} still, whichever port is tried", again.address.ip()))
}

/// A router that has no answer from a host has waited for one. What it says at once is a rule's word, or a route's.
pub(in crate::diagnosis::rules) fn every_port_unreachable(case: &Case) -> Option<String> {
    let waited = |failure: &&Failure| failure.waited() >= ASKED_FOR;
    let address = case.failed_with(&[Fault::HostUnreachable]).filter(waited)?.address()?;
    let unreachable = other_ports(case).filter(|other| other.connected.fault == Some(Fault::HostUnreachable)).count();
    let far = !case.here.is_near(address.ip());
    (far && unreachable > 0 && !alive(case, address.ip())).then(|| {
        format!(
            "a router on the way says of every port that {} cannot be reached: it has no answer from that host",
            address.ip()
        )
    })
}

pub(in crate::diagnosis::rules) fn name_server_host_silent(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::DnsTimeout, Fault::DnsResolverUnreachable])?;
    let answers = &case.failure().dns.as_ref()?.answers;
    let silent = |host: IpAddr| neighbour_at(case, host) == Some(NeighbourState::Unanswered);
    let server = answers.iter().find(|answer| answer.rcode.is_none() && silent(answer.server.ip()))?.server;
    Some(format!("nobody answers for {} (ARP or ND): the host of the name server {server} is off", server.ip()))
}

/// The host that failed, and its other ports, where nothing of it answers in any way.
fn dead(case: &Case) -> Option<(IpAddr, String)> {
    let ip = case.failed_with(UNREACHED)?.address()?.ip();
    let unanswered =
        |other: &&OtherPort| matches!(other.connected.fault, Some(Fault::ConnectionTimedOut | Fault::HostUnreachable));
    let silent = || other_ports(case).filter(unanswered);
    let timed_out = case.failure().fault == Fault::ConnectionTimedOut || case.here.is_near(ip);
    (timed_out && silent().next().is_some() && !alive(case, ip)).then(|| (ip, ports(silent())))
}

/// Whether other ports of the host were tried and each of them was heard from.
fn lively_alike(case: &Case) -> bool {
    lively_ports(case).next().is_some() && lively_ports(case).count() == other_ports(case).count()
}

/// Whether anything came back from that host.
fn alive(case: &Case, host: IpAddr) -> bool {
    lively_ports(case).next().is_some()
        || tried_again(case).any(|again| matches!(again.fault, None | Some(Fault::ConnectionRefused)))
        || echoes(case, host).flatten().next().is_some()
}

/// What shows loss, in words.
fn losses(case: &Case, host: IpAddr) -> Vec<String> {
    let (accepted, silent) = again(case);
    let port = (accepted > 0 && silent > 0)
        .then(|| format!("{accepted} of {} connections to the port were accepted", accepted + silent));
    let connections = tried_again(case).chain(other_ports(case).map(|other| &other.connected));
    let slow = connections.filter(|connected| is_repeated(connected)).map(|connected| {
        format!("one to port {} took {} (a repeated packet)", connected.address.port(), duration(connected.elapsed))
    });
    let (came, sent) = (echoes(case, host).flatten().count(), echoes(case, host).count());
    let echo = (came < sent && came > 0).then(|| format!("{came} of {} came back", counted(sent, "echo request")));
    port.into_iter().chain(slow).chain(echo).collect()
}

/// Since when it has not answered, where that was after a failure already.
fn in_between(case: &Case) -> Option<String> {
    case.failed_with(UNREACHED)?;
    case.history.server.last_success.filter(|_| answers_in_between(case)).map(duration)
}

fn by_turns(case: &Case) -> Option<String> {
    let past = &case.history.server;
    in_between(case).filter(|_| !hangs_under_load(case)).map(|_| {
        format!(
            "of the last minute's requests to {} {} were answered and {} failed, by turns",
            place(case.failure()),
            past.successes.minute,
            past.failures.minute
        )
    })
}

/// Whether what was answered in between came on a connection that was opened for it.
fn opened_in_between(case: &Case) -> bool {
    let past = &case.history.server;
    let Some(address) = case.failure().address() else { return false };
    let opened = past.addresses.iter().find(|(known, _)| *known == address.ip()).map(|(_, ago)| *ago);
    opened.zip(past.last_success).is_some_and(|(opened, answered)| opened.saturating_sub(answered) <= AT_ITS_TIME)
}

/// How many further connections to the port were accepted, and how many stayed unanswered.
fn again(case: &Case) -> (usize, usize) {
    let accepted = tried_again(case).filter(|again| again.fault.is_none()).count();
    let silent = tried_again(case).filter(|again| again.fault == Some(Fault::ConnectionTimedOut)).count();
    (accepted, silent)
}

/// Whether a connection was accepted only when its first packet had been sent again.
fn is_repeated(connected: &Connected) -> bool {
    connected.fault.is_none() && connected.elapsed >= REPEATED
}

/// A connection that was opened no earlier than this before an answer was opened for it: moments are noted once a second.
const AT_ITS_TIME: Duration = Duration::from_millis(1_500);

const UNREACHED: &[Fault] = &[Fault::ConnectionTimedOut, Fault::HostUnreachable];

const UNREACHED_OR_NO_ROUTE: &[Fault] = &[Fault::ConnectionTimedOut, Fault::HostUnreachable, Fault::NetworkUnreachable];

const UNREACHED_OR_SLOW: &[Fault] = &[Fault::ConnectionTimedOut, Fault::ResponseTimedOut, Fault::RequestSendTimedOut];
