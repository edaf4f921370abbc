//! Owns what one request sees of the configuration: a value that is swapped whole.

use std::rc::Rc;
use std::sync::Arc;

use crate::config;
use crate::config::Config;
use crate::diagnosis::case::Here;
use crate::diagnosis::case::Settings;
use crate::diagnosis::checklist::Checklist;
use crate::probe;
use crate::proxy::forward::Onward;
use crate::proxy::incidents::Ledger;
use crate::proxy::past::PastAnswers;
use crate::proxy::via::Pseudonym;
use crate::route::Miss;
use crate::route::Routes;
use crate::upstream;
use crate::upstream::Upstream;

/// What all cores share, made once from a configuration.
#[derive(Debug)]
pub struct Shared {
    /// The configuration.
    pub config: Config,
    /// Its upstreams, in the same order.
    pub upstreams: Vec<Arc<upstream::Shared>>,
    /// What to do about failures.
    pub checklist: Checklist,
    /// This installation's name in `Via`.
    pub pseudonym: Pseudonym,
    /// What checks of failing servers have found.
    pub board: Arc<probe::Board>,
    /// Runs of failures, open and over.
    pub incidents: Arc<Ledger>,
    /// The operator's answers of the last failures.
    pub past: Arc<PastAnswers>,
    /// Where this process runs.
    pub here: Here,
    /// The name servers that are asked, for commands.
    pub name_servers: Vec<String>,
}

/// One core's view of it.
#[derive(Debug)]
pub struct State {
    /// What all cores share.
    pub(super) shared: Arc<Shared>,
    routes: Routes<usize>,
    destinations: Vec<Rc<Destination>>,
}

/// Where a route leads.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) upstream: Upstream,
    pub(super) onward: Onward,
    pub(super) settings: Settings,
}

impl State {
    /// A core's view of what is shared.
    #[must_use]
    pub fn new(shared: &Arc<Shared>) -> Self {
        let destinations =
            shared.upstreams.iter().map(|upstream| Rc::new(Destination::new(upstream, shared))).collect();
        let index = |route: &config::Route| {
            shared.upstreams.iter().position(|upstream| upstream.settings.name == route.upstream).unwrap_or(usize::MAX)
        };
        let routes = Routes::new(&shared.config.routes, index);
        Self { shared: Arc::clone(shared), routes, destinations }
    }

    /// Where a request to this host and path goes, and the route's label.
    pub(super) fn find(&self, host: &str, path: &str) -> Result<(&Arc<str>, &Rc<Destination>), Miss> {
        let found = self.routes.find(host, path)?;
        let destination = self.destinations.get(found.target).ok_or(Miss::NoPath)?;
        Ok((&found.label, destination))
    }

    /// What clients may ask of this proxy.
    #[must_use]
    pub fn limits(&self) -> config::Limits {
        self.shared.config.limits.clone()
    }

    /// Closes idle connections where requests wait for one; to be called a few times a second.
    pub fn make_room(&self) {
        self.destinations.iter().for_each(|destination| destination.upstream.make_room());
    }

    /// Closes connections that have been idle for too long; to be called about once a second.
    pub fn sweep(&self) {
        self.destinations.iter().for_each(|destination| destination.upstream.sweep());
    }
}

impl Destination {
    fn new(upstream: &Arc<upstream::Shared>, shared: &Shared) -> Self {
        let headers = shared.config.forwarding.headers;
        Self {
            upstream: Upstream::new(upstream),
            onward: Onward::new(&upstream.settings, headers, &shared.pseudonym),
            settings: settings(&upstream.settings, shared),
        }
    }
}

/// What a diagnosis needs to know of an upstream's settings.
fn settings(upstream: &config::Upstream, shared: &Shared) -> Settings {
    Settings {
        upstream: upstream.name.to_string(),
        servers: upstream.servers.len(),
        platform: upstream.platform,
        timeouts: upstream.timeouts.clone(),
        pool_idle: upstream.pool.idle_timeout,
        response_header_bytes: upstream.response_header_bytes,
        retry_attempts: upstream.retry.attempts,
        client_certificate: upstream.tls.identity.is_some(),
        name_servers: shared.name_servers.clone(),
    }
}
