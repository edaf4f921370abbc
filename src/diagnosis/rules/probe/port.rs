//! Owns the rules over ports that were tried again: the one that failed, and others of the same host.

use super::answered;
use super::answered_since;
use super::earlier;
use super::echo_lost;
use super::echoes;
use super::every_other_port;
use super::last_worked;
use super::lively_ports;
use super::local::full_queue;
use super::measured;
use super::never_worked;
use super::other_ports;
use super::ports;
use super::tried_again;
use crate::diagnosis::Case;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::OtherPort;
use crate::diagnosis::rules::connect::is_misled;
use crate::diagnosis::wording::counted;
use crate::diagnosis::wording::duration;
use crate::diagnosis::wording::list;
use crate::diagnosis::wording::place;
use crate::fault::Fault;
use crate::fault::Spoken;

/// The server was never at the configured port, and another port of its host answers in HTTP.
pub(in crate::diagnosis::rules) fn http_on_other_port(case: &Case) -> Option<String> {
    let other = refused_beside_web(case).filter(|other| !is_usual(other))?;
    never_worked(case).then(|| wrong_port(case, other))
}

/// The usual ports of the web may be another program's, such as a web server in front of the one that is down.
pub(in crate::diagnosis::rules) fn http_on_usual_port(case: &Case) -> Option<String> {
    let other = refused_beside_web(case).filter(|other| is_usual(other))?;
    never_worked(case).then(|| wrong_port(case, other))
}

pub(in crate::diagnosis::rules) fn http_moved_to_other_port(case: &Case) -> Option<String> {
    let other = refused_beside_web(case)?;
    let port = case.failure().address()?.port();
    let worked = last_worked(case).map_or_else(|| "worked before".to_owned(), |ago| format!("answered {ago} ago"));
    (!never_worked(case)).then(|| {
        format!(
            "port {port} {worked} and refuses now, while {}: the program may have moved there, or that is another one",
            web(other)
        )
    })
}

/// A web server that passes requests on says itself that nothing answers it.
pub(in crate::diagnosis::rules) fn gateway_beside_fails_too(case: &Case) -> Option<String> {
    case.failed_with(NOT_CONNECTED)?;
    let (other, status) = lively_ports(case)
        .find_map(|other| Some((other, other.status.filter(|status| (502..=504).contains(status))?)))?;
    let address = other.connected.address;
    Some(format!("a web server at {address} of the same host answers {status}, so that it misses the program too"))
}

pub(in crate::diagnosis::rules) fn host_alive_beside(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ConnectionRefused])?;
    let address = failure.address()?;
    let open: Vec<String> = other_ports(case).filter(|other| other.connected.fault.is_none()).map(named).collect();
    let better = never_worked(case) && refused_beside_web(case).is_some();
    (!open.is_empty() && !better && !is_misled(case)).then(|| {
        let (ip, port) = (address.ip(), address.port());
        format!("{ip} is alive: it answers on {}, but refuses port {port}", list(&open))
    })
}

pub(in crate::diagnosis::rules) fn every_port_refuses(case: &Case) -> Option<String> {
    let address = case.failed_with(&[Fault::ConnectionRefused])?.address()?;
    let refused = |other: &OtherPort| other.connected.fault == Some(Fault::ConnectionRefused);
    // On this host nothing else is to be expected.
    let elsewhere = !case.here.owns(address.ip()) && !is_misled(case);
    (elsewhere && other_ports(case).count() > 1 && other_ports(case).all(refused)).then(|| {
        format!(
            "{} refuses not only port {} but {} at once: the host is up, and of its programs none runs",
            address.ip(),
            address.port(),
            ports(other_ports(case))
        )
    })
}

/// What refused a moment ago takes connections again.
pub(in crate::diagnosis::rules) fn listens_again(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::ConnectionRefused])?;
    let again = tried_again(case).last().filter(|again| again.fault.is_none())?;
    let (address, after) = (again.address, duration(again.elapsed));
    Some(match earlier(case) {
        None => format!("{address} accepts connections again (connected after {after}): the program was restarting"),
        Some(ago) => {
            format!(
                "{address} accepted connections {ago} ago and refuses them now: the program has ended since, or ends again and again"
            )
        }
    })
}

pub(in crate::diagnosis::rules) fn still_refused(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::ConnectionRefused])?;
    let again = tried_again(case).last().filter(|again| again.fault == Some(Fault::ConnectionRefused))?;
    let worked = last_worked(case)
        .filter(|_| !never_worked(case) && !answered_since(case) && !listens_there(case) && !is_misled(case))?;
    Some(format!("{} answered {worked} ago and refuses still: its program has ended", again.address))
}

/// A host that answers on other ports is alive, so that silence on this one is somebody's decision.
pub(in crate::diagnosis::rules) fn only_this_port_silent(case: &Case) -> Option<String> {
    let (address, alive) = silent_beside(case)?;
    let only = lively_ports(case).count() == other_ports(case).count();
    (only && !hangs_under_load(case) && full_queue(case).is_none()).then(|| {
        let (ip, port) = (address.ip(), address.port());
        let (is, does) = if case.failure().fault == Fault::HostUnreachable {
            ("cannot be reached", "rejects")
        } else {
            ("stays silent", "drops")
        };
        format!("{ip} is alive, since {alive}, and only port {port} {is}: a firewall {does} what comes to it")
    })
}

/// Firewalls let through what they know and drop the rest; a way that loses packets may look the same for once.
pub(in crate::diagnosis::rules) fn port_among_silent_ones(case: &Case) -> Option<String> {
    let (address, alive) = silent_beside(case)?;
    let silent = || {
        let alive = |other: &OtherPort| matches!(other.connected.fault, None | Some(Fault::ConnectionRefused));
        other_ports(case).filter(move |other| !alive(other))
    };
    (silent().next().is_some() && !hangs_under_load(case) && full_queue(case).is_none()).then(|| {
        format!(
            "{} is alive, since {alive}, and port {} stays silent like {}: a firewall that drops what it does not know",
            address.ip(),
            address.port(),
            ports(silent())
        )
    })
}

/// A full queue drops what opens a connection just as a firewall does, but only after requests have begun to hang.
pub(in crate::diagnosis::rules) fn silent_under_load(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ConnectionTimedOut])?;
    let alive = silent_beside(case).map(|(_, alive)| format!(", while {alive}"));
    hangs_under_load(case).then(|| {
        format!(
            "{} took connections a moment ago and hangs on requests ({}){}: its queue of connections is full",
            place(failure),
            load(case),
            alive.unwrap_or_default()
        )
    })
}

pub(in crate::diagnosis::rules) fn echo_but_no_port(case: &Case) -> Option<String> {
    let address = case.failed_with(SILENT)?.address()?;
    let after = echoes(case, address.ip()).flatten().next()?;
    let quiet = lively_ports(case).next().is_none() && !hangs_under_load(case);
    quiet.then(|| {
        let (ip, port) = (address.ip(), address.port());
        format!(
            "{ip} answers an echo request after {}, so that its host is alive and port {port} is blocked",
            duration(after)
        )
    })
}

/// Rules of a firewall do not come and go within seconds.
pub(in crate::diagnosis::rules) fn accepted_now(case: &Case) -> Option<String> {
    case.failed_with(SILENT)?;
    let again = tried_again(case).find(|again| again.fault.is_none())?;
    let (address, after) = (again.address, duration(again.elapsed));
    let when = earlier(case).map_or_else(|| "since".to_owned(), |ago| format!("{ago} ago"));
    Some(format!("a connection to {address} was accepted {when}, after {after}: no firewall drops that port for good"))
}

/// A name server whose host is alive and whose port 53 is silent stands behind a filter, or hangs.
pub(in crate::diagnosis::rules) fn name_server_host_alive(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::DnsTimeout])?;
    let server = case.failure().dns.as_ref()?.answers.iter().find(|answer| answer.rcode.is_none())?.server;
    let beside = every_other_port(case).find_map(|other| {
        let same = other.connected.address.ip() == server.ip() && other.connected.address.port() != server.port();
        let alive = matches!(other.connected.fault, None | Some(Fault::ConnectionRefused));
        (same && alive).then(|| state(other))
    });
    let echo = || echoes(case, server.ip()).flatten().next().map(|after| format!("echoes after {}", duration(after)));
    let alive = beside.or_else(echo)?;
    Some(format!("the host of the name server {server} is alive ({alive}), but its port {} is silent", server.port()))
}

pub(in crate::diagnosis::rules) fn listens_elsewhere(case: &Case) -> Option<String> {
    let address = case.failed_with(&[Fault::ConnectionRefused])?.address()?;
    let bound = bound(case, address.port())?;
    let reaches = bound.iter().any(|own| *own == address.ip() || own.is_unspecified());
    let named: Vec<String> =
        bound.iter().map(|own| std::net::SocketAddr::new(*own, address.port()).to_string()).collect();
    (!bound.is_empty() && !reaches).then(|| {
        let which = if bound.iter().all(std::net::IpAddr::is_loopback) { " (loopback)" } else { "" };
        format!("a program on this host listens on {}{which} only, and the server is set to {address}", list(&named))
    })
}

pub(in crate::diagnosis::rules) fn nothing_listens_here(case: &Case) -> Option<String> {
    let address = case.failed_with(&[Fault::ConnectionRefused])?.address().filter(|_| !is_misled(case))?;
    bound(case, address.port())?
        .is_empty()
        .then(|| format!("no program on this host listens on port {}, on any address", address.port()))
}

/// The kernel refuses what nobody listens for. Where somebody does, it was not the kernel.
pub(in crate::diagnosis::rules) fn refused_though_listening(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::ConnectionRefused])?;
    let refused = tried_again(case).all(|again| again.fault == Some(Fault::ConnectionRefused));
    let again = tried_again(case).last().filter(|_| refused && listens_there(case))?;
    Some(format!(
        "a program on this host listens on port {} all the while, and {} refuses still: a firewall rule on this host rejects what \
         comes to it, with a reset",
        again.address.port(),
        again.address
    ))
}

/// Whether a check has seen a program of this host listen where the failure was met.
pub(in crate::diagnosis::rules) fn listens_there(case: &Case) -> bool {
    let Some(address) = case.failure().address() else { return false };
    let takes = |own: &std::net::IpAddr| *own == address.ip() || own.is_unspecified();
    case.here.owns(address.ip()) && bound(case, address.port()).is_some_and(|bound| bound.iter().any(takes))
}

/// The address of a silent port, and which others of its host show life.
fn silent_beside(case: &Case) -> Option<(std::net::SocketAddr, String)> {
    let address = case.failed_with(SILENT)?.address()?;
    let alive: Vec<String> = [open_ones(case), refusing_ones(case)].into_iter().flatten().collect();
    let accepted = tried_again(case).any(|again| again.fault.is_none());
    let lost = accepted || echo_lost(case, address.ip());
    (!alive.is_empty() && !lost).then(|| (address, list(&alive)))
}

/// The other ports that are open, in words: `port 22 is open`.
fn open_ones(case: &Case) -> Option<String> {
    let open = || lively_ports(case).filter(|other| other.connected.fault.is_none());
    let is = if open().count() == 1 { "is" } else { "are" };
    open().next().map(|_| format!("{} {is} open", ports(open())))
}

/// The other ports that refuse, in words: `ports 80 and 443 refuse`.
fn refusing_ones(case: &Case) -> Option<String> {
    let refusing = || lively_ports(case).filter(|other| other.connected.fault.is_some());
    let refuse = if refusing().count() == 1 { "refuses" } else { "refuse" };
    refusing().next().map(|_| format!("{} {refuse}", ports(refusing())))
}

/// Whether requests hang at a server that worked a moment ago, so that its queue fills. A filter makes new connections
/// fail and hardly ever leaves requests behind, however many are made.
pub(super) fn hangs_under_load(case: &Case) -> bool {
    let past = &case.history.server;
    let of = |wanted| past.faults.iter().find(|(fault, _)| *fault == wanted).map_or(0, |(_, count)| *count);
    let (hung, silent) = (of(Fault::ResponseTimedOut), of(Fault::ConnectionTimedOut));
    let recently = past.successes.minute > 0;
    case.failure().fault == Fault::ConnectionTimedOut && recently && hung > 1 && hung * 3 >= silent
}

/// What hangs, in words.
fn load(case: &Case) -> String {
    let past = &case.history.server;
    let hung = past.faults.iter().find(|(fault, _)| *fault == Fault::ResponseTimedOut).map_or(0, |(_, count)| *count);
    format!("{} in flight, {hung} without an answer in the last minute", counted(past.in_flight as usize, "request"))
}

/// The addresses on which something on this host listens on that port; none where nobody looked.
fn bound(case: &Case, wanted: u16) -> Option<&[std::net::IpAddr]> {
    measured(
        case,
        |seen| if let Observation::Listening { port, on_port } = seen { Some((*port, on_port)) } else { None },
    )
    .find(|(port, _)| *port == wanted && !answered_since(case))
    .map(|(_, on_port)| on_port.as_slice())
}

/// A port of the host that refused which answers as a web server does, and does so without an error of its own.
pub(in crate::diagnosis) fn web_beside(case: &Case) -> Option<&OtherPort> {
    case.failed_with(&[Fault::ConnectionRefused])?;
    let web = |other: &&OtherPort| {
        other.connected.fault.is_none() && is_web(other.spoken) && other.status.is_none_or(|status| status < 500)
    };
    other_ports(case).filter(web).min_by_key(|other| is_usual(other))
}

/// The same, unless the port that failed answers after all: then another one is no better.
fn refused_beside_web(case: &Case) -> Option<&OtherPort> {
    let answered = answered(case).is_some() || tried_again(case).any(|again| again.fault.is_none());
    web_beside(case).filter(|_| !answered)
}

const fn is_web(spoken: Option<Spoken>) -> bool {
    matches!(spoken, Some(Spoken::Http1 | Spoken::Http2 | Spoken::TlsAlert | Spoken::TlsHandshake))
}

/// Whether it is a port of the web at large, where any web server may stand.
const fn is_usual(other: &OtherPort) -> bool {
    matches!(other.connected.address.port(), 80 | 443)
}

fn wrong_port(case: &Case, other: &OtherPort) -> String {
    let port = case.failure().address().map_or(0, |address| address.port());
    format!(
        "nothing listens on port {port}, which has not answered since this proxy started, but {}: the configured port \
         seems to be wrong",
        web(other)
    )
}

/// A web server in words: `10.0.0.5:8080 answers HTTP with status 200`.
fn web(other: &OtherPort) -> String {
    let spoken = other.spoken.map_or("", Spoken::name);
    let status = other.status.map(|status| format!(" with status {status}")).unwrap_or_default();
    format!("{} answers in {spoken}{status}", other.connected.address)
}

/// A port that is open, in words: `port 22 (SSH)`.
fn named(other: &OtherPort) -> String {
    let spoken = other.spoken.map(|spoken| format!(" ({})", spoken.name())).unwrap_or_default();
    format!("port {}{spoken}", other.connected.address.port())
}

/// What a port that shows life did, in words.
fn state(other: &OtherPort) -> String {
    let did = if other.connected.fault.is_none() { "is open" } else { "refuses" };
    format!("{} {did} after {}", named(other), duration(other.connected.elapsed))
}

const SILENT: &[Fault] = &[Fault::ConnectionTimedOut, Fault::HostUnreachable];

const NOT_CONNECTED: &[Fault] = &[Fault::ConnectionRefused, Fault::ConnectionTimedOut, Fault::HostUnreachable];
