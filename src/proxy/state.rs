//! Owns what one request sees of the configuration: a value that is swapped whole.

use std::rc::Rc;
use std::sync::Arc;

use crate::answer::Site;
use crate::archive::Archive;
use crate::config;
use crate::config::Config;
use crate::diagnosis::case::Here;
use crate::diagnosis::case::Settings;
use crate::diagnosis::checklist::Checklist;
use crate::probe;
use crate::proxy::arrival::Scheme;
use crate::proxy::forward::Onward;
use crate::proxy::guesses::Guesses;
use crate::proxy::past::PastAnswers;
use crate::proxy::readiness::Readiness;
use crate::proxy::via::Pseudonym;
use crate::proxy::way::Https;
use crate::proxy::way::Way;
use crate::route::Miss;
use crate::route::Routes;
use crate::telemetry;
use crate::upstream;
use crate::upstream::Upstream;

/// What all cores share, made from a configuration, and made anew when that is read again.
#[derive(Debug)]
pub struct Shared {
    /// The configuration.
    pub config: Config,
    /// Its upstreams, in the same order.
    pub upstreams: Vec<Arc<upstream::Shared>>,
    /// What the site says of itself to visitors.
    pub site: Site,
    /// What to do about failures.
    pub checklist: Checklist,
    /// This installation's name in `Via`.
    pub pseudonym: Pseudonym,
    /// What checks of failing servers have found.
    pub board: Arc<probe::Board>,
    /// Runs of failures, open and over.
    pub archive: Arc<Archive>,
    /// The operator's answers of the last failures.
    pub past: Arc<PastAnswers>,
    /// Whether it takes requests.
    pub readiness: Arc<Readiness>,
    /// Where wrong tokens have come from of late.
    pub guesses: Arc<Guesses>,
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
    routes: Routes<Led>,
    destinations: Vec<Rc<Destination>>,
    /// Where a redirect sends clients.
    pub(super) https: Https,
}

/// Where a request is led.
#[derive(Debug)]
pub(super) struct Led {
    pub(super) way: Rc<Way>,
    /// None where the same address in https is the destination.
    pub(super) to: Option<Rc<Destination>>,
}

/// An upstream as requests reach it.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) upstream: Rc<Upstream>,
    pub(super) onward: Onward,
    pub(super) settings: Settings,
}

impl State {
    /// A core's view of what is shared; its requests are counted there.
    #[must_use]
    pub fn new(shared: &Arc<Shared>, telemetry: &telemetry::Core) -> Self {
        Self::of(shared, telemetry, |upstream| Rc::new(Upstream::new(upstream)))
    }

    /// The view of what is shared now, by a core that has had another. It keeps the connections of the upstreams that both have.
    #[must_use]
    pub fn after(&self, shared: &Arc<Shared>, telemetry: &telemetry::Core) -> Self {
        Self::of(shared, telemetry, |upstream| {
            let known = self.destinations.iter().map(|destination| &destination.upstream);
            let kept = known.into_iter().find(|known| Arc::ptr_eq(known.shared(), upstream));
            kept.map_or_else(|| Rc::new(Upstream::new(upstream)), Rc::clone)
        })
    }

    fn of(
        shared: &Arc<Shared>,
        telemetry: &telemetry::Core,
        part: impl Fn(&Arc<upstream::Shared>) -> Rc<Upstream>,
    ) -> Self {
        let destination =
            |upstream: &Arc<upstream::Shared>| Rc::new(Destination::new(upstream, part(upstream), shared));
        let destinations: Vec<_> = shared.upstreams.iter().map(destination).collect();
        let named = |name: &Arc<str>| {
            destinations.iter().find(|destination| destination.upstream.settings().name == *name).cloned()
        };
        let routes = Routes::new(&shared.config.routes, |route, label| {
            let traffic = Some(telemetry.traffic(label, route.upstream().map(|name| &**name)));
            let way = Rc::new(Way { traffic, ..Way::new(route, label) });
            Led { way, to: route.upstream().and_then(named) }
        });
        let https = Https::on(&shared.config.listeners);
        Self { shared: Arc::clone(shared), routes, destinations, https }
    }

    /// Where a request to this host and path goes.
    pub(super) fn find(&self, host: &str, path: &str, scheme: Scheme) -> Result<&Led, Miss> {
        self.routes.find(host, path, scheme == Scheme::Https).map(|found| &found.target)
    }

    /// What all cores share.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What clients may ask of this proxy.
    #[must_use]
    pub fn limits(&self) -> config::Limits {
        self.shared.config.limits.clone()
    }

    /// Who is believed about clients.
    #[must_use]
    pub fn forwarding(&self) -> &config::Forwarding {
        &self.shared.config.forwarding
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

impl Shared {
    /// What a diagnosis needs to know of an upstream's settings.
    #[must_use]
    pub fn settings(&self, upstream: &config::Upstream) -> Settings {
        Settings::of(upstream, self.name_servers.clone())
    }
}

impl Destination {
    fn new(upstream: &Arc<upstream::Shared>, part: Rc<Upstream>, shared: &Shared) -> Self {
        let headers = shared.config.forwarding.headers;
        Self {
            upstream: part,
            onward: Onward::new(&upstream.settings, headers, &shared.pseudonym),
            settings: shared.settings(&upstream.settings),
        }
    }
}
