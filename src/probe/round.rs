//! Owns one round: the checks that a failure calls for, side by side, and when they end at the latest.
//!
//! The most that a round sends: 6 connections to the server's addresses, 6 more to what its name leads to now and 2 to where it
//! led before; 9 to other ports of one of its hosts; 8 more to the server's own port, each with a few hundred bytes; one echo
//! request; and 4 questions in two families to each of at most 4 name servers, as many as it has in /etc/resolv.conf. Most rounds send a
//! tenth of that, since no failure calls for all of it.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;

use super::board::Report;
use super::certificate;
use super::checks;
use super::checks::Check;
use super::host;
use super::name;
use super::path;
use super::port;
use super::subject::Subject;
use super::talk;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::Tongue;
use crate::fault::Failure;
use crate::fault::failure::Peer;
use crate::net::deadline::within;

/// Runs the checks that can tell more about this failure.
pub(super) async fn run(subject: Subject, failure: Failure, report: Report) {
    within(LONGEST, examine(&subject, &failure, &report)).await.ok();
}

async fn examine(subject: &Subject, failure: &Failure, report: &Report) {
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
        let now = name::ask(self.subject, self.report).await;
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

    /// Whether the port is open; and what comes unasked where it is.
    async fn port(&self) {
        if !self.calls_for(Check::Connect) {
            return;
        }
        let opened = port::connect_again(self.subject, port::of_each_family(self.addresses()), self.report).await;
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

    /// Whether the host is there.
    async fn host(&self) {
        let Some(host) = self.host_address() else { return };
        if self.calls_for(Check::Neighbour)
            && let Some(state) = host::neighbour(host)
        {
            // The failed attempt has had the kernel ask for it, so what the table says now is its answer.
            self.report.add(Observation::Neighbour { address: host, state });
        }
        if self.calls_for(Check::Echo) {
            host::echo(host, self.report).await;
        }
    }

    /// What is spoken on the port.
    async fn protocol(&self) {
        let Some(place) = self.places.first() else { return };
        if self.calls_for(Check::Path) && path::ask(self.subject, place, self.report).await {
            return;
        }
        let tongues: Vec<Tongue> = self.checks.iter().filter_map(|check| self.tongue(*check, place)).collect();
        tokio::join!(talk::speak(self.subject, place, &tongues, self.report), async {
            if self.calls_for(Check::Certificate) {
                certificate::look(self.subject, place, self.report).await;
            }
        });
    }

    /// In which way the server is spoken to for this check. Over TCP, whoever connects again has listened already.
    fn tongue(&self, check: Check, place: &Peer) -> Option<Tongue> {
        match (check, place) {
            (Check::Speak(Tongue::Silence), Peer::Tcp(_)) => None,
            (Check::Speak(tongue), _) => Some(tongue),
            (
                Check::Name
                | Check::Connect
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
}

/// A round has ended by then.
const LONGEST: Duration = Duration::from_secs(3);
