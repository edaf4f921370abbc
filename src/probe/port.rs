//! Owns the question whether the port is open, and what else is open on its host.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;

use super::board::Report;
use super::hear;
use super::subject::Subject;
use crate::diagnosis::observation::Connected;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::OtherPort;
use crate::net::stream::Stream;

/// Connects again to each of these. Answers the connections that were opened.
pub(super) async fn connect_again(subject: &Subject, addresses: Vec<SocketAddr>, report: &Report) -> Vec<Stream> {
    connect(subject, addresses, report, Observation::Connected).await
}

/// Tries the addresses at which the server has answered before, where its name does not lead there any more.
pub(super) async fn try_former(subject: &Subject, now: &[IpAddr], report: &Report) {
    let Some(port) = subject.port() else { return };
    let gone = subject.former.iter().filter(|address| !now.contains(address));
    let gone = gone.take(MOST_FORMER).map(|address| SocketAddr::new(*address, port)).collect();
    connect(subject, gone, report, Observation::FormerAddress).await;
}

async fn connect(
    subject: &Subject,
    addresses: Vec<SocketAddr>,
    report: &Report,
    observed: fn(Connected) -> Observation,
) -> Vec<Stream> {
    let mut tries = JoinSet::new();
    for address in addresses {
        let subject = subject.clone();
        tries.spawn_local(async move { subject.connect(address).await });
    }
    let mut opened = Vec::new();
    while let Some(tried) = tries.join_next().await {
        let Ok(Some((connected, stream))) = tried else { continue };
        report.add(observed(connected));
        opened.extend(stream);
    }
    opened
}

/// The addresses that are worth a try: the first few of each family.
pub(super) fn of_each_family(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let (mut v4, mut v6) = (0, 0);
    addresses
        .filter(|address| {
            let count = if address.is_ipv4() { &mut v4 } else { &mut v6 };
            *count += 1;
            *count <= MOST_OF_A_FAMILY
        })
        .collect()
}

/// Looks for other ports that are open on this host. Those on which the web is usual are asked what speaks there.
pub(super) async fn look_beside(subject: &Subject, host: IpAddr, ports: &[u16], report: &Report) {
    let mut looks = JoinSet::new();
    for port in ports.iter().copied().filter(|port| Some(*port) != subject.port()) {
        let subject = subject.clone();
        looks.spawn_local(async move { look(&subject, SocketAddr::new(host, port)).await });
    }
    while let Some(look) = looks.join_next().await {
        let Ok(Some(found)) = look else { continue };
        report.add(Observation::OtherPort(found));
    }
}

async fn look(subject: &Subject, address: SocketAddr) -> Option<OtherPort> {
    let (connected, stream) = subject.connect(address).await?;
    let asked = stream.filter(|_| WEB_PORTS.contains(&address.port()));
    let heard = match asked {
        Some(mut stream) => Some(hear::ask(&mut stream, &subject.request("HEAD", "/"), ANSWER).await),
        None => None,
    };
    let spoken = heard.as_ref().and_then(hear::Heard::spoken);
    Some(OtherPort { connected, spoken, status: heard.and_then(|heard| heard.status()) })
}

/// Whether a host is alive shows best on the ports that most hosts have.
pub(super) const USUAL_PORTS: &[u16] = &[22, 80, 443, 3000, 5000, 8000, 8080, 8443, 9000];
/// The ports on which web servers listen, those of common frameworks among them.
pub(super) const WEB_PORTS: &[u16] = &[80, 443, 3000, 5000, 8000, 8080, 8443];

/// Where a host that is not a web server may show that it is alive.
pub(super) const HOST_PORTS: &[u16] = &[22, 80, 443];

const MOST_OF_A_FAMILY: usize = 3;
const MOST_FORMER: usize = 2;
/// How long another port may take to answer.
const ANSWER: Duration = Duration::from_millis(500);
