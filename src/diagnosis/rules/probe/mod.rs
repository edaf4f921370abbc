//! Owns how rules look at what checks have measured: each kind of measurement, narrowed to what the failure is about.
//!
//! The rules stand in the files beside this one. They read what was measured after the failure, so that they may answer
//! what the failure itself leaves open, and they say so in the present tense.

pub(super) mod certificate;
pub(in crate::diagnosis) mod local;
pub(in crate::diagnosis) mod name;
pub(super) mod path;
pub(in crate::diagnosis) mod port;
pub(in crate::diagnosis) mod talk;

use std::net::IpAddr;
use std::time::Duration;

use crate::diagnosis::Case;
use crate::diagnosis::observation::Asked;
use crate::diagnosis::observation::Connected;
use crate::diagnosis::observation::NameServer;
use crate::diagnosis::observation::NeighbourState;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::OtherPort;
use crate::diagnosis::observation::Spoke;
use crate::diagnosis::observation::Tongue;
use crate::diagnosis::wording::duration;
use crate::diagnosis::wording::list;
use crate::fault::Fault;

/// The measurements of one kind.
fn measured<'a, T: 'a>(case: &'a Case, pick: impl Fn(&'a Observation) -> Option<T>) -> impl Iterator<Item = T> {
    case.findings.observations.iter().filter_map(pick)
}

/// New connections to the very address that failed.
fn tried_again(case: &Case) -> impl Iterator<Item = &Connected> {
    let address = case.failure().address();
    measured(case, |seen| if let Observation::Connected(connected) = seen { Some(connected) } else { None })
        .filter(move |connected| Some(connected.address) == address)
}

/// Connections to other ports of the host that failed.
fn other_ports(case: &Case) -> impl Iterator<Item = &OtherPort> {
    let failed = case.failure().address();
    let same_host = move |other: &&OtherPort| {
        let address = other.connected.address;
        failed.is_some_and(|failed| failed.ip() == address.ip() && failed.port() != address.port())
    };
    every_other_port(case).filter(same_host)
}

/// Connections to other ports than the one configured, of whichever host.
fn every_other_port(case: &Case) -> impl Iterator<Item = &OtherPort> {
    measured(case, |seen| if let Observation::OtherPort(other) = seen { Some(other) } else { None })
}

/// The other ports of that host which show that it is alive: they are open, or they refuse.
fn lively_ports(case: &Case) -> impl Iterator<Item = &OtherPort> {
    other_ports(case).filter(|other| matches!(other.connected.fault, None | Some(Fault::ConnectionRefused)))
}

/// Ports in words: `port 22`, `ports 22 and 80`.
fn ports<'a>(all: impl Iterator<Item = &'a OtherPort>) -> String {
    let all: Vec<String> = all.map(|other| other.connected.address.port().to_string()).collect();
    format!("port{} {}", if all.len() == 1 { "" } else { "s" }, list(&all))
}

/// Echo requests to a host: how long each took, none where it stayed unanswered.
fn echoes(case: &Case, host: IpAddr) -> impl Iterator<Item = Option<Duration>> {
    measured(case, |seen| if let Observation::Echo { address, after } = seen { Some((*address, *after)) } else { None })
        .filter_map(move |(address, after)| (address == host).then_some(after))
}

/// What the neighbour table says of the host that failed.
pub(super) fn neighbour(case: &Case) -> Option<NeighbourState> {
    neighbour_at(case, case.failure().address()?.ip())
}

fn neighbour_at(case: &Case, host: IpAddr) -> Option<NeighbourState> {
    let known = |seen: &Observation| {
        if let Observation::Neighbour { address, state } = seen { Some((*address, *state)) } else { None }
    };
    measured(case, known).filter(|(address, _)| *address == host).last().map(|(_, state)| state)
}

/// Whether some echo requests came back, and some did not.
fn echo_lost(case: &Case, host: IpAddr) -> bool {
    let (came, sent) = (echoes(case, host).flatten().count(), echoes(case, host).count());
    came > 0 && came < sent
}

/// What each name server says now.
fn name_servers(case: &Case) -> impl Iterator<Item = &NameServer> {
    measured(case, |seen| if let Observation::NameServer(server) = seen { Some(server) } else { None })
}

/// Whether a name server gave that address, which no hosts file did then.
pub(super) fn name_server_gave(case: &Case, address: IpAddr) -> bool {
    name_servers(case).any(|server| server.addresses.contains(&address))
}

/// What the port did when it was spoken to in that way.
fn spoken_to(case: &Case, tongue: Tongue) -> impl Iterator<Item = &Spoke> {
    measured(case, |seen| if let Observation::Spoke(spoke) = seen { Some(spoke) } else { None })
        .filter(move |spoke| spoke.tongue == tongue)
}

/// This proxy's own requests.
fn asked(case: &Case) -> impl Iterator<Item = &Asked> {
    measured(case, |seen| if let Observation::Asked(asked) = seen { Some(asked) } else { None })
}

/// A request of this proxy's own that was answered, and not with an error of the server's.
fn answered(case: &Case) -> Option<(&Asked, u16)> {
    asked(case).find_map(|asked| Some((asked, asked.status.filter(|status| *status < 500)?)))
}

/// Whether a request of this proxy's own had no answer, and none had one.
pub(super) fn fails_for_us_too(case: &Case) -> bool {
    asked(case).any(|asked| asked.fault.is_some()) && answered(case).is_none()
}

/// How long before the failure the measurements were made, in words, where they are from a round that began for an earlier one:
/// what was found then was so then, and nothing that has come since.
fn earlier(case: &Case) -> Option<String> {
    let age = case.findings.age;
    (age > FRESH.max(case.failure().elapsed)).then(|| duration(age))
}

/// Whether the server has answered since the checks began, which were made for an earlier failure then: that it was gone holds no
/// longer.
fn answered_since(case: &Case) -> bool {
    case.history.server.last_success.is_some_and(|ago| ago < case.findings.age)
}

/// Whether the server has never answered since this process began to watch it.
fn never_worked(case: &Case) -> bool {
    case.history.server.successes.ever == 0
}

/// Since when the server has not answered, in words.
fn last_worked(case: &Case) -> Option<String> {
    case.history.server.last_success.map(duration)
}

/// Whether more than a few requests were at the server when this one failed, or shortly before.
fn under_load(case: &Case) -> bool {
    case.history.server.at_work() >= MANY
}

/// Whether the server has answered since it first failed in the last minute.
fn answers_in_between(case: &Case) -> bool {
    let past = &case.history.server;
    past.failures_since_success > 0 && past.failures.minute > past.failures_since_success
}

/// What was begun so short a while ago was begun for this failure, or for one beside it.
const FRESH: Duration = Duration::from_secs(1);

/// So many requests at once are more than a person with a browser makes.
const MANY: u32 = 4;

/// A connection that took longer to open had its first packet sent again (RFC 6298, section 2).
const REPEATED: Duration = Duration::from_millis(900);

/// What is answered within this time is answered quickly.
const QUICK: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::time::Duration;

    use super::local::process_stopped;
    use super::port::nothing_listens_here;
    use super::port::still_refused;
    use super::talk::refused_since;
    use crate::diagnosis::Case;
    use crate::diagnosis::observation::Connected;
    use crate::diagnosis::observation::Observation;
    use crate::diagnosis::observation::ProcessState;
    use crate::diagnosis::samples;
    use crate::fault::Fault;
    use crate::fault::failure::Peer;

    /// Looked at so many seconds ago, when nobody was there; it last answered so many seconds ago.
    fn gone(fault: Fault, looked: u64, answered: u64) -> Case {
        let mut case = samples::case(fault);
        let address: SocketAddr = "127.0.0.1:3000".parse().unwrap();
        case.attempts[0].peer = Some(Peer::Tcp(address));
        let refused = Some(Fault::ConnectionRefused);
        case.findings.age = Duration::from_secs(looked);
        case.findings.observations = Arc::new(vec![
            Observation::Connected(Connected { address, fault: refused, os_error: None, elapsed: Duration::ZERO }),
            Observation::Listening { port: 3000, on_port: Vec::new() },
            Observation::Process { id: 7, name: "app".to_owned(), state: ProcessState::Stopped },
        ]);
        case.history.server.successes.ever = 40;
        case.history.server.last_success = Some(Duration::from_secs(answered));
        case
    }

    #[test]
    fn what_was_gone_and_has_answered_since_is_not_gone_still() {
        for rule in [still_refused, nothing_listens_here, process_stopped] {
            let speaks = |looked, answered| rule(&gone(Fault::ConnectionRefused, looked, answered)).is_some();
            assert_eq!([speaks(0, 9), speaks(5, 9), speaks(5, 2)], [true, true, false]);
        }
    }

    #[test]
    fn a_program_that_was_gone_before_it_took_the_request_did_not_end_with_it() {
        let speaks = |looked| refused_since(&gone(Fault::ClosedBeforeResponse, looked, 9)).is_some();
        assert_eq!([speaks(0), speaks(5)], [true, false]);
    }
}
