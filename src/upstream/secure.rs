//! Owns TLS towards a server: how each is configured, the handshake under its limit, what is agreed on in it.

use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::time::Instant;

use crate::config;
use crate::config::Location;
use crate::config::Protocol;
use crate::dns::Resolver;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::classify::tls::HandshakeFault;
use crate::fault::failure::Peer;
use crate::fault::failure::TlsEvidence;
use crate::net::deadline::within;
use crate::net::stream::Stream;
use crate::net::tap::Tap;
use crate::net::tls::TlsSetupError;
use crate::net::tls::behind;
use crate::net::tls::behind::Offer;
use crate::upstream::Shared;
use crate::upstream::connect::Purpose;
use crate::upstream::connect::Speaks;
use crate::upstream::server::Server;

/// How a server is spoken to with TLS.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    /// What offers HTTP/1.1 only.
    pub(super) config: Arc<ClientConfig>,
    /// What offers what is configured.
    pub(super) configured: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
    pub(super) client_certificate: bool,
}

impl Shared {
    /// Who turns its servers' names into addresses.
    #[must_use]
    pub const fn resolver(&self) -> &Arc<Resolver> {
        &self.resolver
    }

    /// How TLS is spoken to one of its servers: rustls' configuration and the name that is verified; none where it is plain.
    #[must_use]
    pub fn tls(&self, server: &Server) -> Option<(&Arc<ClientConfig>, &ServerName<'static>)> {
        let tls = self.tls.get(server.index)?.as_ref()?;
        Some((&tls.config, &tls.name))
    }
}

/// How each server is spoken to with TLS; none where it is plain.
pub(super) fn tls_of(settings: &config::Upstream) -> Result<Vec<Option<Tls>>, TlsSetupError> {
    if !settings.servers.iter().any(|server| server.url.tls) {
        return Ok(vec![None; settings.servers.len()]);
    }
    let config = behind::client_config(&settings.tls)?;
    let configured = behind::offering(&config, offer(settings.protocol));
    let of_server = |config::Server { url: server, .. }: &config::Server| {
        let host = match &server.location {
            Location::Host { host, .. } => host,
            Location::Service(service) => config::service_domain(service),
            Location::Unix(_) => return None,
        };
        let name = settings.tls.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.trim_end_matches('.').to_owned()).ok()?;
        let client_certificate = settings.tls.identity.is_some();
        server.tls.then(|| Tls {
            config: Arc::clone(&config),
            configured: Arc::clone(&configured),
            name,
            client_certificate,
        })
    };
    Ok(settings.servers.iter().map(of_server).collect())
}

/// A digest of what the files hold that the settings name: new certificates under old names are other settings.
pub(super) fn files_of(settings: &config::Upstream) -> u64 {
    let config::UpstreamTls { ca, identity, .. } = &settings.tls;
    let identity = identity.iter().flat_map(|(certificate, key)| [certificate, key]);
    let mut digest = DefaultHasher::new();
    for file in ca.iter().chain(identity) {
        config::contents(file).unwrap_or_default().hash(&mut digest);
    }
    digest.finish()
}

const fn offer(protocol: Protocol) -> Offer {
    match protocol {
        Protocol::Http1 => Offer::Http1,
        Protocol::H2 => Offer::Http2,
        Protocol::Auto => Offer::Both,
    }
}

/// Shakes hands on a connection, and agrees on what is spoken on it.
pub(super) async fn secure(
    transport: Stream,
    peer: &Peer,
    tls: &Tls,
    limit: Duration,
    purpose: Purpose,
) -> Result<(Stream, Speaks), Failure> {
    let begin = Instant::now();
    let tap = Tap::new();
    let config = if purpose == Purpose::Upgrade { &tls.config } else { &tls.configured };
    let mut handshake = pin!(behind::handshake(Arc::clone(config), tls.name.clone(), transport, &tap));
    let mut evidence = TlsEvidence {
        server_name: tls.name.to_str().into_owned(),
        client_certificate: tls.client_certificate,
        ..TlsEvidence::default()
    };
    let mut failure = match within(limit, handshake.as_mut()).await {
        Ok(Ok(stream)) => {
            let agreed = if stream.get_ref().1.alpn_protocol() == Some(b"h2") { Speaks::Http2 } else { Speaks::Http1 };
            if agreed == Speaks::Http2 || purpose != Purpose::Requests(Protocol::H2) {
                return Ok((Stream::Tls(Box::new(stream)), agreed));
            }
            // The handshake itself went well, and there is no HTTP/2 without an agreement on it (RFC 9113, section 3.2).
            evidence.without_alpn = true;
            Failure::new(Fault::TlsProtocolError)
        }
        Ok(Err(error)) => {
            let found = HandshakeFault::of(&error, tap.spoken(), tap.ended());
            evidence.alert = found.alert;
            evidence.certificate = found.certificate;
            let mut failure = Failure::new(found.fault);
            failure.os_error = error.raw_os_error();
            failure.because(error)
        }
        Err(late) => {
            let mut failure = Failure::new(Fault::TlsHandshakeTimedOut).after(limit).because(late);
            failure.transport = tap.transport();
            failure
        }
    };
    failure.spoken = tap.spoken();
    failure.bytes.received = tap.received();
    failure.peer = Some(peer.clone());
    failure.tls = Some(evidence);
    failure.stage_elapsed = begin.elapsed();
    Err(failure)
}
