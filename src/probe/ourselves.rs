//! Owns what a probe has to know of this process itself, so that none comes back to it: where it listens, and its name in `Via`.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::Path;

use crate::config::ListenAddress;
use crate::fault::failure::Peer;

/// This process, as its own probes have to know it.
#[derive(Debug, Clone, Default)]
pub struct Ourselves {
    /// Where it listens.
    pub listeners: Vec<ListenAddress>,
    /// The addresses of this host's interfaces.
    pub addresses: Vec<IpAddr>,
    /// Its name in `Via`: a request that comes back with it is a loop, and is refused.
    pub name: String,
}

impl Ourselves {
    /// Whether a connection to there would arrive at one of this process' own listeners.
    #[must_use]
    pub fn listen_at(&self, peer: &Peer) -> bool {
        self.listeners.iter().any(|listener| match (listener, peer) {
            (ListenAddress::Tcp(listener), Peer::Tcp(peer)) => self.leads_to(*peer, *listener),
            (ListenAddress::Unix(listener), Peer::Unix(peer)) => listener == Path::new(&**peer),
            (ListenAddress::Tcp(_), Peer::Unix(_)) | (ListenAddress::Unix(_), Peer::Tcp(_)) => false,
        })
    }

    fn leads_to(&self, peer: SocketAddr, listener: SocketAddr) -> bool {
        let (peer_host, host) = (peer.ip().to_canonical(), listener.ip().to_canonical());
        // The unspecified address means this host to whoever connects to it, and all of its addresses to whoever listens.
        let here = peer_host.is_loopback() || peer_host.is_unspecified() || self.addresses.contains(&peer_host);
        let anywhere = here && (host.is_unspecified() || peer_host.is_unspecified());
        peer.port() == listener.port() && (peer_host == host || anywhere)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Ourselves;
    use crate::config::ListenAddress;
    use crate::fault::failure::Peer;

    #[test]
    fn an_address_that_leads_to_a_listener_is_known() {
        let rows = [
            ("0.0.0.0:8080", "127.0.0.1:8080", true),
            ("0.0.0.0:8080", "10.0.0.2:8080", true),
            ("0.0.0.0:8080", "10.0.0.3:8080", false),
            ("0.0.0.0:8080", "127.0.0.1:8081", false),
            ("[::]:8080", "[::1]:8080", true),
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8080", "0.0.0.0:8080", true),
            ("127.0.0.1:8080", "[::ffff:127.0.0.1]:8080", true),
            ("127.0.0.1:8080", "10.0.0.2:8080", false),
            ("10.0.0.2:8080", "10.0.0.2:8080", true),
        ];
        for (listener, peer, expected) in rows {
            let ourselves = ourselves(ListenAddress::Tcp(listener.parse().unwrap()));
            assert_eq!(ourselves.listen_at(&Peer::Tcp(peer.parse().unwrap())), expected, "{listener} {peer}");
        }
        let ourselves = ourselves(ListenAddress::Unix("/run/a.sock".into()));
        assert!(ourselves.listen_at(&Peer::Unix(Arc::from("/run/a.sock"))));
        assert!(!ourselves.listen_at(&Peer::Unix(Arc::from("/run/b.sock"))));
    }

    fn ourselves(listener: ListenAddress) -> Ourselves {
        Ourselves { listeners: vec![listener], addresses: vec!["10.0.0.2".parse().unwrap()], name: String::new() }
    }
}
