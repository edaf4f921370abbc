//! Owns `[[upstream]]`: an origin, its servers, and how they are spoken to. `timeouts` holds the limits of every wait, `resilience`
//! what is done when a server fails, `tls` the certificates.

mod choice;
mod resilience;
mod timeouts;
mod tls;

use std::sync::Arc;

use super::document::Table;
use super::limits::SMALLEST_HEAD;
use super::problem::Placed;
use super::problem::Wrong;
use super::value::ServerUrl;
use super::value::Size;

pub use self::choice::Balance;
pub use self::choice::HostHeader;
pub use self::choice::Platform;
pub use self::choice::Protocol;
pub use self::resilience::Ejection;
pub use self::resilience::Pool;
pub use self::resilience::Retry;
pub use self::timeouts::Timeouts;
pub use self::tls::UpstreamTls;

/// `[[upstream]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name.
    pub name: Arc<str>,
    /// Its servers; at least one.
    pub servers: Vec<ServerUrl>,
    /// How one of them is chosen.
    pub balance: Balance,
    /// What is spoken to them.
    pub protocol: Protocol,
    /// What the origin sees as `Host`.
    pub host_header: HostHeader,
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
    /// `[upstream.limits] response_header_bytes`: how many bytes the head of a response may have.
    pub response_header_bytes: u64,
}

impl Upstream {
    /// Reads one upstream, with the place of its name.
    pub(super) fn read(table: Table<'_>) -> Option<Placed<Self>> {
        let name = table.required::<String>("name", r#"name = "app""#);
        let servers = table.required_values::<ServerUrl>("servers", r#"servers = ["http://127.0.0.1:3000"]"#);
        let document = table.document();
        let servers = servers.into_iter().map(|server| server.value.resolved(|path| document.resolve(path))).collect();
        let name = name.and_then(|name| named(&table, name));
        let upstream = Self::with_settings(table, "".into(), servers);
        name.map(|Placed { value: name, place }| Placed { value: Self { name, ..upstream }, place })
    }

    /// An upstream with the settings of a table, which are the defaults where there is none.
    pub(super) fn with_settings(table: Table<'_>, name: Arc<str>, servers: Vec<ServerUrl>) -> Self {
        table.empty_list("intercept");
        table.not_yet(&["hash_on", "health"]);
        let upstream = Self {
            name,
            servers,
            balance: table.value_or("balance", Balance::LeastRequests),
            protocol: table.value_or("protocol", Protocol::Http1),
            host_header: table.value_or("host_header", HostHeader::Client),
            platform: table.value_or("platform", Platform::Generic),
            timeouts: Timeouts::read(table.table("timeouts")),
            tls: UpstreamTls::read(table.table("tls")),
            retry: Retry::read(table.table("retry")),
            ejection: Ejection::read(table.table("ejection")),
            pool: Pool::read(table.table("pool")),
            response_header_bytes: response_header_bytes(table.table("limits")),
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

fn response_header_bytes(table: Table<'_>) -> u64 {
    let bytes = table.size("response_header_bytes", SMALLEST_HEAD, Size(64 << 10));
    table.not_yet(&["connections", "in_flight", "queue", "queue_timeout"]);
    table.close();
    bytes
}
