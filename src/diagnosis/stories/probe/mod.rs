//! Owns the stories in which checks have measured something after the failure, and how such measurements are written down.

mod local;
mod name;
mod path;
mod port;
mod talk;

use std::net::IpAddr;
use std::time::Duration;

use super::Row;
use crate::diagnosis::history::History;
use crate::diagnosis::observation::Asked;
use crate::diagnosis::observation::Connected;
use crate::diagnosis::observation::NameServer;
use crate::diagnosis::observation::NeighbourState;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::OtherPort;
use crate::diagnosis::observation::ProcessState;
use crate::diagnosis::observation::Spoke;
use crate::diagnosis::observation::SpokeEnd;
use crate::diagnosis::observation::Tongue;
use crate::fault::Fault;
use crate::fault::Spoken;

pub(super) fn rows() -> Vec<Row> {
    [port::rows(), path::rows(), name::rows(), talk::rows(), local::rows()].into_iter().flatten().collect()
}

/// A connection to the server's own port, after so many milliseconds.
fn connected(address: &str, fault: Option<Fault>, millis: u64) -> Observation {
    Observation::Connected(connection(address, fault, millis))
}

fn connection(address: &str, fault: Option<Fault>, millis: u64) -> Connected {
    Connected { address: address.parse().unwrap(), fault, os_error: None, elapsed: Duration::from_millis(millis) }
}

/// A port beside it that is open, with what spoke there.
fn open(address: &str, spoken: Option<Spoken>, status: Option<u16>) -> Observation {
    Observation::OtherPort(OtherPort { connected: connection(address, None, 1), spoken, status })
}

/// A port beside it that could not be connected to.
fn shut(address: &str, fault: Fault) -> Observation {
    let millis = if fault == Fault::ConnectionRefused { 0 } else { 1_000 };
    Observation::OtherPort(OtherPort {
        connected: connection(address, Some(fault), millis),
        spoken: None,
        status: None,
    })
}

/// A port beside it that took so many milliseconds to connect to.
fn open_after(address: &str, millis: u64) -> Observation {
    Observation::OtherPort(OtherPort { connected: connection(address, None, millis), spoken: None, status: None })
}

fn echo(address: &str, millis: Option<u64>) -> Observation {
    Observation::Echo { address: address.parse().unwrap(), after: millis.map(Duration::from_millis) }
}

fn neighbour(address: &str, state: NeighbourState) -> Observation {
    Observation::Neighbour { address: address.parse().unwrap(), state }
}

/// What the name server at `10.0.0.{last}` says.
fn says(last: u8, rcode: &'static str, addresses: &[&str]) -> NameServer {
    NameServer {
        server: format!("10.0.0.{last}:53").parse().unwrap(),
        rcode: Some(rcode),
        extended: Vec::new(),
        addresses: all(addresses),
        aliases: Vec::new(),
        elapsed: Duration::from_millis(1),
        os_error: None,
    }
}

fn all(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}

/// The port was spoken to and answered with these bytes, in HTTP with that status.
fn spoke(tongue: Tongue, heard: &[u8], status: Option<u16>) -> Observation {
    let heard = Spoken::recognise(heard);
    let end = if heard.is_some() { SpokeEnd::Open } else { SpokeEnd::Closed };
    Observation::Spoke(Spoke { tongue, heard, status, end, elapsed: Duration::from_millis(2) })
}

/// The port said nothing when it was spoken to, and kept the connection.
fn mute(tongue: Tongue) -> Observation {
    Observation::Spoke(Spoke {
        tongue,
        heard: None,
        status: None,
        end: SpokeEnd::Open,
        elapsed: Duration::from_secs(1),
    })
}

/// A request of the proxy's own for that path was answered.
fn asked(path: &str, status: u16, millis: u64) -> Observation {
    let elapsed = Duration::from_millis(millis);
    Observation::Asked(Asked { path: path.to_owned(), status: Some(status), fault: None, elapsed })
}

/// The same, and nothing came back.
fn failed(path: &str, fault: Fault, millis: u64) -> Observation {
    let elapsed = Duration::from_millis(millis);
    Observation::Asked(Asked { path: path.to_owned(), status: None, fault: Some(fault), elapsed })
}

/// The server answered well until so many seconds ago.
fn worked(seconds: u64) -> impl FnOnce(&mut History) {
    move |past| {
        past.server.last_success = Some(Duration::from_secs(seconds));
        past.server.successes.minute = 20;
        past.server.successes.ever = 400;
    }
}

/// Measurements of which every text and address is one of the words that no visitor may see.
pub(super) fn secrets() -> Vec<Observation> {
    let aliases = vec!["secret-alias".to_owned()];
    vec![
        connected("203.0.113.99:8999", None, 1),
        open("203.0.113.99:8998", Some(Spoken::Http1), Some(200)),
        Observation::FormerAddress(connection("203.0.113.98:8999", None, 1)),
        Observation::NameServer(NameServer { aliases, ..says(77, "NXDOMAIN", &["203.0.113.97"]) }),
        spoke(Tongue::Redis, b"+PONG\r\n", None),
        asked("/secret-other", 200, 1),
        neighbour("203.0.113.99", NeighbourState::Unanswered),
        Observation::Process { id: 4711, name: "secret-process".to_owned(), state: ProcessState::Stopped },
    ]
}
