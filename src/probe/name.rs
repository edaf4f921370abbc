//! Owns the questions about the server's name: what each name server says of it now, what the hosts file says, and where it
//! leads without a search domain.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::board::Report;
use super::subject::Subject;
use crate::diagnosis::observation::Observation;
use crate::fault::Fault;

/// What was said of a name.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The addresses that the name has now, as a look-up would have them.
    pub(super) addresses: Vec<IpAddr>,
    /// The name servers that said nothing.
    pub(super) silent: Vec<SocketAddr>,
}

/// Asks every name server on its own.
pub(super) async fn ask(subject: &Subject, report: &Report) -> Said {
    let Some(name) = subject.name() else { return Said::default() };
    let resolver = subject.upstream.resolver();
    let in_file = resolver.in_hosts_file(name);
    if let Some(addresses) = &in_file {
        report.add(Observation::HostsFile(addresses.clone()));
    }
    let (said, absolute) = tokio::join!(
        ask_each(subject, name, report),
        // What is in the hosts file is not searched for.
        async { if in_file.is_none() { resolver.resolve_absolute(name, PATIENCE).await } else { None } },
    );
    let addresses = &said.addresses;
    match absolute {
        // That it was not found out in time is no difference.
        Some(Err(Fault::DnsTimeout)) | None => {}
        Some(Err(fault)) if !addresses.is_empty() => report.add(Observation::AbsoluteName(Err(fault))),
        Some(Ok(found)) if !is_same(&found, addresses) => report.add(Observation::AbsoluteName(Ok(found))),
        Some(Ok(_) | Err(_)) => {}
    }
    Said { addresses: in_file.unwrap_or(said.addresses), ..said }
}

async fn ask_each(subject: &Subject, name: &str, report: &Report) -> Said {
    let mut questions = JoinSet::new();
    for server in subject.upstream.resolver().name_servers().into_iter().take(MOST_SERVERS) {
        let (resolver, name) = (Arc::clone(subject.upstream.resolver()), name.to_owned());
        questions.spawn_local(async move { resolver.ask_one(server, &name, PATIENCE).await });
    }
    let mut all = Said::default();
    while let Some(answered) = questions.join_next().await {
        let Ok(said) = answered else { continue };
        if all.addresses.is_empty() {
            all.addresses.clone_from(&said.addresses);
        }
        if said.rcode.is_none() {
            all.silent.push(said.server);
        }
        report.add(Observation::NameServer(said));
    }
    all
}

/// Whether both are the same addresses, in whatever order: servers turn theirs on purpose.
fn is_same(one: &[IpAddr], other: &[IpAddr]) -> bool {
    one.iter().all(|address| other.contains(address)) && other.iter().all(|address| one.contains(address))
}

/// glibc asks no more than three; a configuration may name more.
const MOST_SERVERS: usize = 4;
/// How long a name server may take.
const PATIENCE: Duration = Duration::from_millis(950);
