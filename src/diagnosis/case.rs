//! Owns the case: all that is known about one failing request when it is diagnosed, as values.
//!
//! A case holds no clock and no handle, so that every story can be told again as a test.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::Platform;
use crate::config::Timeouts;
use crate::config::Upstream;
use crate::diagnosis::history::History;
use crate::diagnosis::observation::Findings;
use crate::fault::Failure;
use crate::fault::Fault;

/// All that is known about one failing request.
#[derive(Debug, Clone)]
pub struct Case {
    /// Every attempt, in order; never empty. Capped at `MOST_ATTEMPTS` by who builds it.
    pub attempts: Vec<Failure>,
    /// The most telling of them, as an index into `attempts`.
    pub telling: usize,
    /// The request.
    pub request: RequestFacts,
    /// What is configured for the upstream.
    pub settings: Settings,
    /// Where this proxy runs.
    pub here: Here,
    /// What the server, the upstream and the path did before.
    pub history: History,
    /// What checks have found.
    pub findings: Findings,
}

/// How many attempts a case holds at most.
pub const MOST_ATTEMPTS: usize = 8;

/// The first attempts and the most telling one, no more than a case may hold, and where that one is among them.
#[must_use]
pub fn capped(mut attempts: Vec<Failure>, telling: usize) -> (Vec<Failure>, usize) {
    if attempts.len() <= MOST_ATTEMPTS {
        return (attempts, telling);
    }
    let told = attempts.swap_remove(telling);
    attempts.truncate(MOST_ATTEMPTS - 1);
    attempts.push(told);
    let telling = attempts.len() - 1;
    (attempts, telling)
}

/// What matters about the request that failed.
#[derive(Debug, Clone, Default)]
pub struct RequestFacts {
    /// Its method.
    pub method: String,
    /// Its host, as the client sent it.
    pub host: String,
    /// Its path, without the query.
    pub path: String,
    /// Whether it asked for an upgrade, and to what.
    pub upgrade: Option<String>,
    /// Whether it has a body.
    pub has_body: bool,
    /// Whether a cookie or an authorization came with it, so that an answer may be this user's alone.
    pub personal: bool,
}

/// What is configured for the upstream, as far as rules and commands need it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The upstream's name.
    pub upstream: String,
    /// How many servers it has.
    pub servers: usize,
    /// What runs there.
    pub platform: Platform,
    /// The limits on each wait.
    pub timeouts: Timeouts,
    /// How long idle connections are kept.
    pub pool_idle: Duration,
    /// How many bytes a response's head may have.
    pub response_header_bytes: u64,
    /// How often a request may go out in all.
    pub retry_attempts: u32,
    /// Whether a client certificate is configured.
    pub client_certificate: bool,
    /// The name servers that are asked, as configured or as the system has them.
    pub name_servers: Vec<String>,
}

/// What is known of the machine that this proxy runs on.
#[derive(Debug, Clone, Default)]
pub struct Here {
    /// Whether this process runs in a container.
    pub in_container: bool,
    /// The addresses of this host's own interfaces, loopback included.
    pub own_addresses: Vec<IpAddr>,
    /// The networks of this host's own interfaces.
    pub own_networks: Vec<ipnet::IpNet>,
}

impl Settings {
    /// Those of this upstream, whose names these servers are asked for.
    #[must_use]
    pub fn of(upstream: &Upstream, name_servers: Vec<String>) -> Self {
        Self {
            upstream: upstream.name.to_string(),
            servers: upstream.servers.len(),
            platform: upstream.platform,
            timeouts: upstream.timeouts.clone(),
            pool_idle: upstream.pool.idle_timeout,
            response_header_bytes: upstream.response_header_bytes,
            retry_attempts: upstream.retry.attempts,
            client_certificate: upstream.tls.identity.is_some(),
            name_servers,
        }
    }
}

impl Here {
    /// Whether that address is this host's own, loopback included.
    #[must_use]
    pub fn owns(&self, address: IpAddr) -> bool {
        address.is_loopback() || address.is_unspecified() || self.own_addresses.contains(&address)
    }

    /// Whether that address lies in a network of this host's own, so that no router is between.
    #[must_use]
    pub fn is_near(&self, address: IpAddr) -> bool {
        self.own_networks.iter().any(|network| network.contains(&address))
    }
}

impl Case {
    /// The most telling failure.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        #[expect(clippy::indexing_slicing, reason = "a case is built with at least one attempt and an index into them")]
        &self.attempts[self.telling]
    }

    /// The most telling failure, if its fault is one of these.
    #[must_use]
    pub fn failed_with(&self, faults: &[Fault]) -> Option<&Failure> {
        Some(self.failure()).filter(|failure| faults.contains(&failure.fault))
    }
}
