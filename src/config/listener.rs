//! Owns `[[listener]]`: where clients are accepted.

use std::net::Ipv4Addr;
use std::net::SocketAddr;

use super::document::Document;
use super::document::Table;
use super::problem::Placed;
use super::value::ListenAddress;

/// `[[listener]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens.
    pub address: ListenAddress,
}

impl Listener {
    /// Reads every listener; one on loopback where none is written.
    pub(super) fn read_all(root: &Table<'_>) -> Vec<Placed<Self>> {
        let listeners: Vec<_> = root.tables("listener").into_iter().map(Self::read).collect();
        if listeners.is_empty() { vec![Placed { value: Self::default(), place: root.place() }] } else { listeners }
    }

    fn read(table: Table<'_>) -> Placed<Self> {
        let written = table.value("address");
        table.not_yet(&["tls", "proxy_protocol"]);
        let listener = match written {
            Some(Placed { value, place }) => {
                Placed { value: Self { address: resolved(value, table.document()) }, place }
            }
            None => Placed { value: Self::default(), place: table.place() },
        };
        table.close();
        listener
    }
}

impl Default for Listener {
    fn default() -> Self {
        Self { address: ListenAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))) }
    }
}

fn resolved(address: ListenAddress, document: &Document<'_>) -> ListenAddress {
    match address {
        ListenAddress::Unix(path) => ListenAddress::Unix(document.resolve(&path)),
        tcp @ ListenAddress::Tcp(_) => tcp,
    }
}
