//! Owns the look at the certificate that a server presents, whether or not it is good, and at how it takes a TLS hello.

use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::time::Instant;

use super::board::Report;
use super::subject::Subject;
use super::talk;
use crate::config::HostHeader;
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
use crate::net::tls::behind;

/// Begins TLS with a server, believes whatever it shows, and sends nothing on it. It is asked with the name that requests have,
/// and in another way beside: without a name where that is one, and with the site's name where it is an address, since a
/// server with several sites chooses by it.
pub(super) async fn look(subject: &Subject, peer: &Peer, report: &Report) {
    let Some(name) = server_name(subject, peer).filter(|_| !subject.ourselves.listen_at(peer)) else { return };
    let other = other_name(subject, peer, &name);
    let first = async { report.add(Observation::Spoke(shake_hands(subject, peer, name, report).await)) };
    let second = async {
        if let Some(other) = other {
            shake_hands(subject, peer, other, report).await;
        }
    };
    tokio::join!(first, second);
}

async fn shake_hands(subject: &Subject, peer: &Peer, name: ServerName<'static>, report: &Report) -> Spoke {
    let begin = Instant::now();
    let Some(Ok(transport)) = subject.reach(peer).await else { return talk::not_opened(Tongue::Tls, begin) };
    let tap = Tap::new();
    // An address is never sent (RFC 6066, section 3).
    let sent = if let ServerName::DnsName(name) = &name { Some(name.as_ref().to_owned()) } else { None };
    let shaken = within(HANDSHAKE, behind::look(name, transport, &tap)).await;
    let end = match tap.ended() {
        None => SpokeEnd::Open,
        Some(Ended::Closed) => SpokeEnd::Closed,
        Some(Ended::Reset) => SpokeEnd::Reset,
    };
    if let Ok((Some(evidence), _)) = shaken {
        report.add(Observation::Certificate(Box::new(Certificate { server_name: sent, evidence })));
    }
    Spoke { tongue: Tongue::Tls, heard: tap.spoken(), status: None, end, elapsed: begin.elapsed() }
}

fn other_name(subject: &Subject, peer: &Peer, name: &ServerName<'static>) -> Option<ServerName<'static>> {
    let Peer::Tcp(address) = peer else { return None };
    if matches!(name, ServerName::DnsName(_)) {
        return Some(ServerName::from(address.ip()));
    }
    let HostHeader::Literal(site) = &subject.upstream.settings.host_header else { return None };
    let site = site.rsplit_once(':').map_or(&**site, |(site, _)| site);
    ServerName::try_from(site.to_owned()).ok().filter(|site| matches!(site, ServerName::DnsName(_)))
}

/// The name that requests are sent with, or the one that the URL would give where it does not speak TLS.
fn server_name(subject: &Subject, peer: &Peer) -> Option<ServerName<'static>> {
    if let Some((_, name)) = subject.upstream.tls(&subject.server) {
        return Some(name.clone());
    }
    let host = match &subject.server.url.location {
        Location::Host { host, .. } => ServerName::try_from(host.trim_end_matches('.').to_owned()).ok(),
        Location::Service(_) | Location::Unix(_) => None,
    };
    host.or_else(|| match peer {
        Peer::Tcp(address) => Some(ServerName::from(address.ip())),
        Peer::Unix(_) => ServerName::try_from("localhost").ok(),
    })
}

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(1);
