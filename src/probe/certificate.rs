//! Owns the look at the certificate that a server presents, whether or not it is good, and at how it takes a TLS hello.

use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::time::Instant;

use super::board::Report;
use super::subject::Subject;
use super::talk;
use crate::config::Location;
use crate::diagnosis::observation::Certificate;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::Spoke;
use crate::diagnosis::observation::SpokeEnd;
use crate::diagnosis::observation::Tongue;
use crate::fault::classify::http::Ended;
use crate::fault::failure::Peer;
use crate::net::deadline::within;
use crate::net::tap::Tap;
use crate::net::tls;

/// Begins TLS with a server, believes whatever it shows, and sends nothing on it.
pub(super) async fn look(subject: &Subject, peer: &Peer, report: &Report) {
    let begin = Instant::now();
    let Some(name) = server_name(subject, peer) else { return };
    let transport = match subject.reach(peer).await {
        None => return,
        Some(Err(_)) => return report.add(Observation::Spoke(talk::not_opened(Tongue::Tls, begin))),
        Some(Ok(transport)) => transport,
    };
    let tap = Tap::new();
    // An address is never sent (RFC 6066, section 3).
    let sent = if let ServerName::DnsName(name) = &name { Some(name.as_ref().to_owned()) } else { None };
    let shaken = within(HANDSHAKE, tls::look(name, transport, &tap)).await;
    let end = match tap.ended() {
        None => SpokeEnd::Open,
        Some(Ended::Closed) => SpokeEnd::Closed,
        Some(Ended::Reset) => SpokeEnd::Reset,
    };
    report.add(Observation::Spoke(Spoke {
        tongue: Tongue::Tls,
        heard: tap.spoken(),
        status: None,
        end,
        elapsed: begin.elapsed(),
    }));
    if let Ok((Some(evidence), _)) = shaken {
        report.add(Observation::Certificate(Box::new(Certificate { server_name: sent, evidence })));
    }
}

/// The name that requests are sent with, or the one that the URL would give where it does not speak TLS.
fn server_name(subject: &Subject, peer: &Peer) -> Option<ServerName<'static>> {
    if let Some((_, name)) = subject.upstream.tls(&subject.server) {
        return Some(name.clone());
    }
    let host = match &subject.server.url.location {
        Location::Host { host, .. } => ServerName::try_from(host.trim_end_matches('.').to_owned()).ok(),
        Location::Unix(_) => None,
    };
    host.or_else(|| match peer {
        Peer::Tcp(address) => Some(ServerName::from(address.ip())),
        Peer::Unix(_) => ServerName::try_from("localhost").ok(),
    })
}

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(1);
