//! Owns `[dns]`: how names are looked up.

use std::net::SocketAddr;
use std::time::Duration;

use super::document::Table;
use super::value::NameServer;

/// `[dns]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// The name servers; empty: the system's.
    pub servers: Vec<SocketAddr>,
    /// The longest time for which an answer is believed.
    pub max_ttl: Duration,
    /// How long after its TTL an address that worked is used while DNS fails.
    pub serve_stale: Duration,
}

impl Dns {
    pub(super) fn read(table: Table<'_>) -> Self {
        let servers = table.values::<NameServer>("servers");
        let dns = Self {
            servers: servers.into_iter().map(|server| server.value.0).collect(),
            max_ttl: table.value_or("max_ttl", Duration::from_secs(300)),
            serve_stale: table.value_or("serve_stale", Duration::from_secs(3600)),
        };
        table.close();
        dns
    }
}
