//! Owns a client's connection as its requests see it: the far end, and what is spoken.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use crate::config::ClientCertificates;
use crate::config::Networks;
use crate::fault::failure::Peer;
use crate::net::tls::sites::Sites;
use crate::route::bare;

/// What is known of a client's connection, for all of its requests.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The far end.
    pub peer: Peer,
    /// What it speaks.
    pub scheme: Scheme,
    /// The far end as a member of `X-Forwarded-For`.
    pub told: HeaderValue,
    speaker: Speaker,
    /// What it was asked for, on a listener that asks some clients for certificates.
    asked: Option<Arc<Asked>>,
}

/// Who speaks on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    /// The far end.
    Peer,
    /// Somebody behind it, of whom nothing is known.
    Somebody,
}

/// What a client was asked for, and has shown.
#[derive(Debug)]
struct Asked {
    sites: Arc<Sites>,
    clients: Option<ClientCertificates>,
    certificate: Option<HeaderValue>,
}

/// How a client reaches a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Arrival {
    /// A connection from this peer.
    #[must_use]
    pub fn new(peer: Peer, scheme: Scheme) -> Self {
        let told = peer.ip().and_then(|address| HeaderValue::try_from(address.to_string()).ok());
        let told = told.unwrap_or(HeaderValue::from_static("unknown"));
        Self { peer, scheme, told, speaker: Speaker::Peer, asked: None }
    }

    /// The same connection, on which somebody speaks of whom the peer tells nothing. Nobody believes what is said there about
    /// others, whoever the peer is.
    #[must_use]
    pub fn of_somebody(self) -> Self {
        Self { speaker: Speaker::Somebody, ..self }
    }

    /// The same connection, at one of several sites, which asks its clients for this, and where this certificate was shown and
    /// found good.
    #[must_use]
    pub fn at_site(self, sites: Arc<Sites>, clients: Option<ClientCertificates>, certificate: Option<&[u8]>) -> Self {
        // RFC 9440, section 2.2: a byte sequence of RFC 9651.
        let field = |der: &[u8]| HeaderValue::try_from(format!(":{}:", STANDARD.encode(der))).ok();
        let certificate = certificate.and_then(field);
        Self { asked: Some(Arc::new(Asked { sites, clients, certificate })), ..self }
    }

    /// Whether a request for this host may come on this connection: the host's site has to ask its clients for the same as was
    /// asked here. Otherwise a name that asks for nothing would be a way past one that does.
    #[must_use]
    pub fn serves(&self, host: &str) -> bool {
        let host = Some(bare(host)).filter(|host| !host.is_empty());
        self.asked.as_ref().is_none_or(|asked| asked.sites.choose(host).clients == asked.clients)
    }

    /// The client's certificate, which was found good, as `Client-Cert` has it (RFC 9440).
    #[must_use]
    pub fn certificate(&self) -> Option<&HeaderValue> {
        self.asked.as_ref().and_then(|asked| asked.certificate.as_ref())
    }

    /// The peer's address; none where it came by a unix socket.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.peer.ip()
    }

    /// Whether the far end lies in one of these networks.
    #[must_use]
    pub fn is_in(&self, networks: &Networks) -> bool {
        self.speaker == Speaker::Peer && self.address().map_or(networks.unix, |address| networks.contain(address))
    }
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The scheme of that word, in any case.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|scheme| scheme.word().eq_ignore_ascii_case(word))
    }
}
