//! Owns what outlives a configuration: what was learned of names, servers and failures, and how it comes into the next one.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::answer::Site;
use crate::archive::Archive;
use crate::config;
use crate::config::Config;
use crate::config::ListenAddress;
use crate::diagnosis::Checklist;
use crate::diagnosis::case::Here;
use crate::dns::Resolver;
use crate::incident::Patience;
use crate::listener::gatekeeper::Gatekeeper;
use crate::net::here;
use crate::probe;
use crate::proxy::guesses::Guesses;
use crate::proxy::past::PastAnswers;
use crate::proxy::readiness::Readiness;
use crate::proxy::state::Shared;
use crate::proxy::via::Pseudonym;
use crate::server::StartError;
use crate::upstream;
use crate::upstream::Change;
use crate::upstream::Changes;

/// What there is once, whatever the configuration says.
#[derive(Debug)]
pub(super) struct Lasting {
    pub(super) resolver: Arc<Resolver>,
    changes: Changes,
    pub(super) gatekeeper: Arc<Gatekeeper>,
    pseudonym: Pseudonym,
    board: Arc<probe::Board>,
    pub(super) archive: Arc<Archive>,
    past: Arc<PastAnswers>,
    pub(super) readiness: Arc<Readiness>,
    guesses: Arc<Guesses>,
}

/// What a program of this configuration would share, for one request without a program that serves.
///
/// # Errors
///
/// Where TLS towards an upstream cannot be set up.
pub fn shared_alone(config: Config, checklist: Checklist) -> Result<Shared, StartError> {
    let (lasting, _) = Lasting::new(&config, Patience::default());
    let shared = lasting.share(config, checklist, &[])?;
    lasting.follow(&shared, &[]);
    Ok(shared)
}

/// What the cores tell of their servers.
pub(super) type Told = mpsc::UnboundedReceiver<(Arc<config::Upstream>, Change)>;

impl Lasting {
    /// For a program that begins with this configuration.
    pub(super) fn new(config: &Config, patience: Patience) -> (Self, Told) {
        let (changes, told) = mpsc::unbounded_channel();
        let lasting = Self {
            resolver: Arc::new(Resolver::new(&config.dns)),
            changes,
            gatekeeper: Gatekeeper::new(&config.limits),
            pseudonym: Pseudonym::random(),
            board: probe::Board::new(&config.diagnosis, probe::Ourselves::default()),
            archive: Arc::new(Archive::new(&config.incidents, patience)),
            past: Arc::default(),
            readiness: Arc::default(),
            guesses: Arc::default(),
        };
        (lasting, told)
    }

    /// What the cores share by this configuration. Upstreams that are as they were `before` are the same, with all that was learned
    /// of them. Nothing that is in use changes.
    pub(super) fn share(
        &self,
        config: Config,
        checklist: Checklist,
        before: &[Arc<upstream::Shared>],
    ) -> Result<Shared, StartError> {
        let of = |settings: &Arc<config::Upstream>| {
            if let Some(known) = before.iter().find(|known| known.is_of(settings)) {
                return Ok(Arc::clone(known));
            }
            let (limit, changes) = (config.limits.body_timeout, self.changes.clone());
            let new = upstream::Shared::new(settings, &self.resolver, limit, changes);
            new.map(Arc::new).map_err(|source| StartError::Tls { upstream: settings.name.to_string(), source })
        };
        let upstreams = config.upstreams.iter().map(of).collect::<Result<Vec<_>, _>>()?;
        let (own_addresses, own_networks) = here::addresses();
        Ok(Shared {
            site: Site::new(&config.page),
            upstreams,
            checklist,
            pseudonym: self.pseudonym.clone(),
            board: Arc::clone(&self.board),
            archive: Arc::clone(&self.archive),
            past: Arc::clone(&self.past),
            readiness: Arc::clone(&self.readiness),
            guesses: Arc::clone(&self.guesses),
            here: Here { in_container: here::in_container(), own_addresses, own_networks },
            name_servers: self.name_servers(&config.dns),
            config,
        })
    }

    /// Goes by what the cores are about to share.
    pub(super) fn follow(&self, shared: &Shared, listeners: &[ListenAddress]) {
        let config = &shared.config;
        self.resolver.reconfigure(&config.dns);
        self.gatekeeper.adjust(&config.limits);
        self.archive.configure(&config.incidents);
        for upstream in &shared.upstreams {
            upstream.set_client_body_timeout(config.limits.body_timeout);
        }
        let ourselves = probe::Ourselves {
            listeners: listeners.to_vec(),
            addresses: shared.here.own_addresses.clone(),
            name: self.pseudonym.name().to_owned(),
        };
        let servers = || shared.upstreams.iter().flat_map(|upstream| &upstream.servers);
        self.board.renew(&config.diagnosis, ourselves, |url| servers().any(|server| *server.url.text == *url));
    }

    /// The name servers that are asked by these settings.
    fn name_servers(&self, settings: &config::Dns) -> Vec<String> {
        let configured = settings.servers.iter().map(ToString::to_string).collect::<Vec<_>>();
        let system = || self.resolver.system_servers().iter().map(ToString::to_string).collect();
        if configured.is_empty() { system() } else { configured }
    }
}
