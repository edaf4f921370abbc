//! Owns `[[listener]]`: where clients are accepted, and what they have to bring.

mod tls;

use std::net::Ipv4Addr;
use std::net::SocketAddr;

pub use self::tls::ClientCertificate;
pub use self::tls::ClientCertificates;
pub use self::tls::ListenerTls;
use super::document::Document;
use super::document::Table;
use super::problem::Placed;
use super::value::ListenAddress;

/// `[[listener]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens.
    pub address: ListenAddress,
    /// The certificates that it shows, chosen by the name that a client asks for, the first for the rest; none without TLS.
    pub tls: Vec<ListenerTls>,
    /// Whether every connection begins with a PROXY header, which only `[forwarding] trusted_proxies` may send.
    pub proxy_protocol: bool,
}

impl Listener {
    /// One without TLS and without a PROXY header.
    #[must_use]
    pub const fn plain(address: ListenAddress) -> Self {
        Self { address, tls: Vec::new(), proxy_protocol: false }
    }

    /// Reads every listener; one on loopback where none is written.
    pub(super) fn read_all(root: &Table<'_>) -> Vec<Placed<Self>> {
        let listeners: Vec<_> = root.tables("listener").into_iter().map(Self::read).collect();
        if listeners.is_empty() { vec![Placed { value: Self::default(), place: root.place() }] } else { listeners }
    }

    fn read(table: Table<'_>) -> Placed<Self> {
        let written = table.value("address");
        let place = written.as_ref().map_or_else(|| table.place(), |written| written.place);
        let address = written.map(|written| resolved(written.value, table.document()));
        let address = address.unwrap_or_else(|| Self::default().address);
        let tls = table.one_or_more("tls").into_iter().filter_map(ListenerTls::read).collect();
        let listener = Self { address, tls, proxy_protocol: table.flag("proxy_protocol", false) };
        table.close();
        Placed { value: listener, place }
    }
}

impl Default for Listener {
    fn default() -> Self {
        Self::plain(ListenAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))))
    }
}

/// A socket's path is meant from the file's directory.
pub(super) fn resolved(address: ListenAddress, document: &Document<'_>) -> ListenAddress {
    match address {
        ListenAddress::Unix(path) => ListenAddress::Unix(document.resolve(&path)),
        tcp @ ListenAddress::Tcp(_) => tcp,
    }
}
