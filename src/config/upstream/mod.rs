//! Owns `[[upstream]]`: an origin, its servers, and how they are spoken to. `balance` says which of them is chosen, `timeouts`
//! holds the limits of every wait, `limits` how much a server is given at once, `health` what it is asked to see that it lives,
//! `resilience` what is done when it fails, `tls` the certificates.

mod balance;
mod choice;
mod health;
mod limits;
mod resilience;
mod server;
mod timeouts;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use super::document::Table;
use super::problem::Placed;
use super::problem::Wrong;

pub use self::balance::Balance;
pub use self::balance::HashOn;
pub use self::choice::HostHeader;
pub use self::choice::Platform;
pub use self::choice::Protocol;
pub use self::health::HealthCheck;
pub use self::limits::UpstreamLimits;
pub use self::resilience::Ejection;
pub use self::resilience::Pool;
pub use self::resilience::Retry;
pub use self::server::Server;
pub use self::timeouts::Timeouts;
pub use self::tls::UpstreamTls;

/// `[[upstream]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name.
    pub name: Arc<str>,
    /// Its servers; at least one.
    pub servers: Vec<Server>,
    /// How one of them is chosen.
    pub balance: Balance,
    /// How long a server that comes back takes to get its whole share.
    pub slow_start: Duration,
    /// What is spoken to them.
    pub protocol: Protocol,
    /// What the origin sees as `Host`.
    pub host_header: HostHeader,
    /// The statuses of its own answers that are diagnosed instead of passed on: some of 502, 503 and 504.
    pub intercept: Vec<u16>,
    /// What runs there, for the checklists.
    pub platform: Platform,
    /// `[upstream.timeouts]`
    pub timeouts: Timeouts,
    /// `[upstream.tls]`
    pub tls: UpstreamTls,
    /// `[upstream.retry]`
    pub retry: Retry,
    /// `[upstream.ejection]`
    pub ejection: Ejection,
    /// `[upstream.pool]`
    pub pool: Pool,
    /// `[upstream.health]`; none where nothing is checked.
    pub health: Option<HealthCheck>,
    /// `[upstream.limits]`, what a server is given at once.
    pub limits: UpstreamLimits,
    /// `[upstream.limits] response_header_bytes`: how many bytes the head of a response may have.
    pub response_header_bytes: u64,
}

impl Upstream {
    /// Reads one upstream, with the place of its name.
    pub(super) fn read(table: Table<'_>) -> Option<Placed<Self>> {
        let name = table.required::<String>("name", r#"name = "app""#);
        let servers = Server::read_all(&table);
        let name = name.and_then(|name| named(&table, name));
        let upstream = Self::with_settings(table, "".into(), servers);
        name.map(|Placed { value: name, place }| Placed { value: Self { name, ..upstream }, place })
    }

    /// An upstream with the settings of a table, which are the defaults where there is none.
    pub(super) fn with_settings(table: Table<'_>, name: Arc<str>, servers: Vec<Server>) -> Self {
        let (limits, response_header_bytes) = UpstreamLimits::read(table.table("limits"));
        let upstream = Self {
            name,
            servers,
            balance: Balance::read(&table),
            slow_start: table.value_or("slow_start", Duration::from_secs(10)),
            protocol: table.value_or("protocol", Protocol::Http1),
            host_header: table.value_or("host_header", HostHeader::Client),
            intercept: table.numbers("intercept", "a status that can be intercepted", &[502, 503, 504]),
            platform: table.value_or("platform", Platform::Generic),
            timeouts: Timeouts::read(table.table("timeouts")),
            tls: UpstreamTls::read(table.table("tls")),
            retry: Retry::read(table.table("retry")),
            ejection: Ejection::read(table.table("ejection")),
            pool: Pool::read(table.table("pool")),
            health: HealthCheck::read(&table),
            limits,
            response_header_bytes,
        };
        table.close();
        upstream
    }
}

fn named(table: &Table<'_>, name: Placed<String>) -> Option<Placed<Arc<str>>> {
    if name.value.is_empty() || name.value.contains(char::is_control) {
        let wrong = Wrong::new("this cannot be the name of an upstream", r#"write a word for it, such as "app""#);
        table.note(name.place, wrong);
        return None;
    }
    Some(Placed { value: name.value.into(), place: name.place })
}
