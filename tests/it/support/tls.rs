//! Owns a TLS client: what it offers and trusts, and connections that it makes.

use std::io;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::HandshakeKind;
use rustls::RootCertStore;
use rustls::StreamOwned;
use rustls::SupportedProtocolVersion;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::ServerName;
use rustls_pki_types::pem::PemObject;

use super::PATIENCE;
use super::certs::Authority;
use super::certs::Identity;
use super::client::Client;
use super::wire::Wire;

/// What a client offers and trusts. It remembers its sessions.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    config: Arc<ClientConfig>,
}

/// What came of a handshake.
#[derive(Debug)]
pub(crate) struct Secured {
    pub(crate) client: Client,
    /// The certificate that was shown.
    pub(crate) shown: CertificateDer<'static>,
    /// What was agreed on, if anything was.
    pub(crate) protocol: Option<Vec<u8>>,
    pub(crate) resumed: bool,
}

impl Dialer {
    /// Trusts this authority and offers HTTP/1.1.
    pub(crate) fn new(
        authority: &Authority,
        versions: &[&'static SupportedProtocolVersion],
        own: Option<&Identity>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der.clone()).expect("an authority can be trusted");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
        let builder = builder.expect("these versions are spoken").with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("it is a key");
                builder.with_client_auth_cert(vec![own.der.clone()], key).expect("the key is the certificate's")
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { config: Arc::new(config) }
    }

    /// The same, offering these protocols.
    pub(crate) fn offering(&self, protocols: &[&[u8]]) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Self { config: Arc::new(config) }
    }

    /// Shakes hands with who listens there, asking for that name, after these bytes.
    pub(crate) fn dial_after(&self, bytes: &[u8], address: SocketAddr, name: &str) -> io::Result<Secured> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        io::Write::write_all(&mut stream, bytes)?;
        let name = ServerName::try_from(name.to_owned()).expect("it is a name");
        let mut session = ClientConnection::new(Arc::clone(&self.config), name).expect("a session can begin");
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        let shown =
            session.peer_certificates().and_then(|chain| chain.first()).expect("a certificate was shown").clone();
        let protocol = session.alpn_protocol().map(<[u8]>::to_vec);
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let client = Client { wire: Wire::tls(StreamOwned::new(session, stream)) };
        Ok(Secured { client, shown, protocol, resumed })
    }

    /// The same after nothing.
    pub(crate) fn dial(&self, address: SocketAddr, name: &str) -> io::Result<Secured> {
        self.dial_after(b"", address, name)
    }
}
