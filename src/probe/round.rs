//! Owns one round: the checks that a failure calls for, side by side, and when they end at the latest.
//!
//! What a round sends at most, where a failure calls for it, which none does for all of it:
//! - to the server: 8 connections to its addresses, 6 to those that its name leads to now, 2 to where it led before; 8 more that
//!   say a few hundred bytes each, every one something else;
//! - to its host: 9 connections to other ports, one small request on each that is the web's, and 3 echo requests;
//! - to each of at most 4 name servers: questions for two families, under as many names as the search list has, 4 at most; to
//!   the hosts of 2 that are silent: 3 connections and 3 echo requests.
//!
//! Each connection is one packet where nobody answers: it is given up before the kernel would send another.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;

use super::board::Report;
use super::certificate;
use super::checks;
use super::checks::Check;
use super::host;
use super::local;
use super::name;
use super::path;
use super::port;
use super::subject::Subject;
use super::talk;
use crate::diagnosis::observation::NeighbourState;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::Tongue;
use crate::fault::Failure;
use crate::fault::failure::Peer;
use crate::net::deadline::within;

/// Runs the checks that can tell more about this failure.
pub(super) async fn run(subject: Subject, failure: Failure, report: Report) {
    // Boxed, for all checks side by side are large.
    within(LONGEST, Box::pin(examine(&subject, &failure, &report))).await.ok();
}

async fn examine(subject: &Subject, failure: &Failure, report: &Report) {
    // First, for the checks below would stand in the queues that it looks at.
    local::check(subject, failure, report).await;
    let round = Round { subject, checks: checks::of(failure), places: subject.places(failure), report };
    // Each looks at something else, so none waits for another.
    tokio::join!(round.name(), round.port(), round.beside(), round.host(), round.protocol());
}

struct Round<'a> {
    subject: &'a Subject,
    checks: &'static [Check],
    /// Where the server is; where the failure was met comes first.
    places: Vec<Peer>,
    report: &'a Report,
}

impl Round<'_> {
    fn calls_for(&self, check: Check) -> bool {
        self.checks.contains(&check)
    }

    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.places.iter().filter_map(|place| match place {
            Peer::Tcp(address) => Some(*address),
            Peer::Unix(_) => None,
        })
    }

    /// The host that the failure was met at.
    fn host_address(&self) -> Option<IpAddr> {
        self.addresses().next().map(|address| address.ip())
    }

    /// What the name leads to; and where that is not known yet, whether it answers there.
    async fn name(&self) {
        if !self.calls_for(Check::Name) {
            return;
        }
        let name::Said { addresses: now, silent } = name::ask(self.subject, self.report).await;
        if self.calls_for(Check::NameServerHosts) {
            self.look_for(silent).await;
        }
        let known: Vec<IpAddr> = self.addresses().map(|address| address.ip()).collect();
        let port = self.subject.port().filter(|_| self.calls_for(Check::Connect));
        let new = now.iter().filter(|address| !known.contains(address));
        let new = new.filter_map(|address| Some(SocketAddr::new(*address, port?)));
        let new = port::of_each_family(new);
        let led_to = [known, now].concat();
        tokio::join!(
            port::connect_again(self.subject, new, self.report),
            port::try_former(self.subject, &led_to, self.report),
        );
    }

    /// Whether the hosts of these name servers are there.
    async fn look_for(&self, servers: Vec<SocketAddr>) {
        for host in servers.into_iter().map(|server| server.ip()).take(MOST_NAME_SERVERS) {
            if let Some(state) = host::neighbour(host) {
                self.report.add(Observation::Neighbour { address: host, state });
            }
            tokio::join!(
                host::echo(host, self.report),
                port::look_beside(self.subject, host, port::HOST_PORTS, self.report),
            );
        }
    }

    /// Whether the port is open; and what comes unasked where it is.
    async fn port(&self) {
        if !self.calls_for(Check::Connect) {
            return;
        }
        let mut addresses = port::of_each_family(self.addresses());
        if self.calls_for(Check::ConnectMore) {
            let failed = addresses.first().copied();
            addresses.extend(std::iter::repeat_n(failed, MORE).flatten());
        }
        // The failed attempt has had the kernel ask for the host; what it has heard by then may come late.
        let before = self.note_neighbour(None);
        let opened = port::connect_again(self.subject, addresses, self.report).await;
        self.note_neighbour(before);
        if let Some(stream) = opened.into_iter().next().filter(|_| self.calls_for(Check::Speak(Tongue::Silence))) {
            talk::listen(stream, self.report).await;
        }
    }

    /// What else is open on the host.
    async fn beside(&self) {
        let Some(host) = self.host_address() else { return };
        if self.calls_for(Check::OtherPorts) {
            port::look_beside(self.subject, host, port::USUAL_PORTS, self.report).await;
        } else if self.calls_for(Check::WebPorts) {
            port::look_beside(self.subject, host, port::WEB_PORTS, self.report).await;
        }
    }

    /// What the neighbour table says of the host, where that is not what it said before.
    fn note_neighbour(&self, before: Option<NeighbourState>) -> Option<NeighbourState> {
        let address = self.host_address().filter(|_| self.calls_for(Check::Neighbour))?;
        let state = host::neighbour(address)?;
        if Some(state) != before {
            self.report.add(Observation::Neighbour { address, state });
        }
        Some(state)
    }

    /// Whether the host is there.
    async fn host(&self) {
        if let Some(host) = self.host_address().filter(|_| self.calls_for(Check::Echo)) {
            host::echo(host, self.report).await;
        }
    }

    /// What is spoken on the port.
    async fn protocol(&self) {
        let Some(place) = self.places.first() else { return };
        if self.calls_for(Check::Path) && path::ask(self.subject, place, self.report).await {
            return;
        }
        let tongues: Vec<Tongue> = self.checks.iter().filter_map(|check| tongue(*check, place)).collect();
        tokio::join!(talk::speak(self.subject, place, &tongues, self.report), async {
            if self.calls_for(Check::Certificate) {
                certificate::look(self.subject, place, self.report).await;
            }
        });
    }
}

/// In which way the server is spoken to for this check. Over TCP, whoever connects again has listened already.
fn tongue(check: Check, place: &Peer) -> Option<Tongue> {
    match (check, place) {
        (Check::Speak(Tongue::Silence), Peer::Tcp(_)) => None,
        (Check::Speak(tongue), _) => Some(tongue),
        (
            Check::Name
            | Check::NameServerHosts
            | Check::Connect
            | Check::ConnectMore
            | Check::OtherPorts
            | Check::WebPorts
            | Check::Echo
            | Check::Neighbour
            | Check::Certificate
            | Check::Path,
            _,
        ) => None,
    }
}

/// How many more connections to an address that was silent.
const MORE: usize = 2;
/// How many name servers that say nothing are looked for.
const MOST_NAME_SERVERS: usize = 2;
/// A round has ended by then.
const LONGEST: Duration = Duration::from_secs(3);
