//! Owns the certificates of a listener: which answers to which name, and rustls' configuration of each.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::LazyLock;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::server::ProducesTickets;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

use crate::config;
use crate::config::ClientCertificate;
use crate::config::ClientCertificates;
use crate::config::ListenerTls;
use crate::config::certificate::concerns;
use crate::net::tls::TlsSetupError;
use crate::net::tls::authorities;
use crate::net::tls::certificates;
use crate::net::tls::private_key;

/// The sites of a listener, as their files were when they were read; at least one.
#[derive(Debug)]
pub struct Sites {
    first: Site,
    others: Vec<Site>,
    /// By name in lower case; a wildcard by what follows its `*.`. 0 is the first.
    exact: HashMap<String, usize>,
    wildcard: HashMap<String, usize>,
}

/// One certificate with all that belongs to it.
#[derive(Debug)]
pub struct Site {
    /// What rustls goes by.
    pub config: Arc<ServerConfig>,
    /// What its clients are asked for.
    pub clients: Option<ClientCertificates>,
    file: PathBuf,
    chain: Vec<CertificateDer<'static>>,
}

impl Sites {
    /// Reads the files of a listener; none where it has no TLS.
    ///
    /// # Errors
    ///
    /// Where a file is not what it should be.
    pub fn read(tables: &[ListenerTls]) -> Result<Option<Self>, TlsSetupError> {
        let mut sites = tables.iter().map(Site::read).collect::<Result<Vec<_>, _>>()?.into_iter();
        let Some(first) = sites.next() else { return Ok(None) };
        let mut sites = Self { first, others: sites.collect(), exact: HashMap::new(), wildcard: HashMap::new() };
        let names: Vec<_> = sites.all().map(Site::names).enumerate().collect();
        for (index, name) in
            names.into_iter().flat_map(|(index, names)| names.into_iter().map(move |name| (index, name)))
        {
            match name.strip_prefix("*.") {
                Some(parent) => sites.wildcard.entry(parent.to_owned()).or_insert(index),
                None => sites.exact.entry(name).or_insert(index),
            };
        }
        Ok(Some(sites))
    }

    /// The site of that name: the first whose certificate has it, then the first with a wildcard for it, which stands for one
    /// label (RFC 9525, section 6.3), and the first of all for the rest.
    #[must_use]
    pub fn choose(&self, name: Option<&str>) -> &Site {
        let Some(name) = name else { return &self.first };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let parent = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        let index = self.exact.get(&name).or_else(parent).copied().unwrap_or_default();
        index.checked_sub(1).and_then(|index| self.others.get(index)).unwrap_or(&self.first)
    }

    /// Whether some sites ask their clients for something, so that it matters which one a request is for.
    #[must_use]
    pub fn are_guarded(&self) -> bool {
        self.all().any(|site| site.clients.is_some())
    }

    /// What the owner should know of the certificates, a sentence each. `now` is in seconds since 1970.
    #[must_use]
    pub fn concerns(&self, now: i64) -> Vec<String> {
        self.all().flat_map(|site| concerns(&site.file, &site.chain, now)).collect()
    }

    /// When the certificates end that do so first, in seconds since 1970.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.all().filter_map(Site::end).min().unwrap_or(i64::MAX)
    }

    fn all(&self) -> impl Iterator<Item = &Site> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl Site {
    fn read(table: &ListenerTls) -> Result<Self, TlsSetupError> {
        let unusable = |source| TlsSetupError::FileUnusable { file: table.certificate.clone(), source };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match &table.clients {
            None => builder.with_no_client_auth(),
            Some(ClientCertificates { ca, need }) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(ca)?), provider);
                let verifier = match need {
                    ClientCertificate::Required => verifier,
                    ClientCertificate::Optional => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(
                    verifier
                        .build()
                        .map_err(|error| TlsSetupError::File { file: ca.clone(), reason: error.to_string() })?,
                )
            }
        };
        let chain = certificates(&table.certificate)?;
        let mut config = builder.with_single_cert(chain.clone(), private_key(&table.key)?).map_err(unusable)?;
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // A session that is resumed is not asked for its certificate again. So where clients are asked for one, tickets are
        // worth something only to whom they were given by these very authorities.
        let tickets = if table.clients.is_some() { tickets() } else { TICKETS.clone() };
        if let Some(tickets) = tickets {
            config.ticketer = tickets;
        }
        Ok(Self { config: Arc::new(config), clients: table.clients.clone(), file: table.certificate.clone(), chain })
    }

    fn names(&self) -> Vec<String> {
        let names = self.own().map(|own| config::certificate::names(&own)).unwrap_or_default();
        names.into_iter().map(|name| name.to_ascii_lowercase()).collect()
    }

    fn end(&self) -> Option<i64> {
        self.own().map(|own| own.validity().not_after.timestamp())
    }

    fn own(&self) -> Option<X509Certificate<'_>> {
        self.chain.first().and_then(|own| X509Certificate::from_der(own).ok()).map(|(_, own)| own)
    }
}

fn tickets() -> Option<Arc<dyn ProducesTickets>> {
    rustls::crypto::ring::Ticketer::new().ok()
}

/// What seals the sessions of clients, who keep them. One for all listeners and cores, so that a session begun on one is
/// resumed on any, before and after a reload. Its keys change by themselves every six hours. None where the system has no
/// random numbers, and sessions cannot be resumed then.
static TICKETS: LazyLock<Option<Arc<dyn ProducesTickets>>> = LazyLock::new(tickets);

/// What is offered inside TLS, what is liked best first (ALPN, RFC 7301).
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];
