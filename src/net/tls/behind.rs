//! Owns TLS towards servers: rustls' configuration from ours, the handshake, and whom it believes.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use rustls::CertificateError;
use rustls::ClientConfig;
use rustls::DigitallySignedStruct;
use rustls::OtherError;
use rustls::RootCertStore;
use rustls::SignatureScheme;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::ServerName;
use rustls_pki_types::UnixTime;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::UpstreamTls;
use crate::fault::classify::tls::Rejected;
use crate::fault::failure::CertificateEvidence;
use crate::net::stream::Stream;
use crate::net::tap::Tap;
use crate::net::tap::Tapped;
use crate::net::tls::TlsSetupError;
use crate::net::tls::authorities;
use crate::net::tls::certificate;
use crate::net::tls::certificates;
use crate::net::tls::private_key;

/// What this proxy offers to speak inside TLS (ALPN, RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only.
    Http2,
    /// Either, HTTP/2 rather.
    Both,
}

impl Offer {
    fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Self::Http1 => vec![b"http/1.1".to_vec()],
            Self::Http2 => vec![b"h2".to_vec()],
            Self::Both => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        }
    }
}

/// The same configuration with another offer.
#[must_use]
pub fn offering(config: &Arc<ClientConfig>, offer: Offer) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(config);
    config.alpn_protocols = offer.protocols();
    Arc::new(config)
}

/// rustls' configuration for an upstream's servers, which offers HTTP/1.1.
///
/// # Errors
///
/// Where a file is not what it should be, or nothing is trusted.
pub fn client_config(settings: &UpstreamTls) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Verifier::new(settings, &provider)?);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &settings.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder.with_client_auth_cert(certificates(certificate)?, private_key(key)?)?,
    };
    config.alpn_protocols = Offer::Http1.protocols();
    Ok(Arc::new(config))
}

/// A handshake with a server, whose own bytes are tapped.
///
/// # Errors
///
/// rustls' or the transport's, for `fault::classify::tls` to read together with the tap.
pub async fn handshake(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    transport: Stream,
    tap: &Rc<Tap>,
) -> io::Result<TlsStream<Tapped<Stream>>> {
    tap.begin(FIRST_BYTES, Instant::now());
    let descriptor = transport.descriptor();
    let stream = TlsConnector::from(config).connect(name, Tapped::over(transport, Rc::clone(tap), descriptor)).await;
    tap.stop_capture();
    stream
}

/// A handshake that believes whatever certificate is presented, to see which one it is. Nothing is to be sent on what comes of
/// it: nobody knows who reads it. The certificate is told although the handshake fails later on.
///
/// # Errors
///
/// rustls' or the transport's, for the second value.
pub async fn look(
    name: ServerName<'static>,
    transport: Stream,
    tap: &Rc<Tap>,
) -> (Option<CertificateEvidence>, io::Result<TlsStream<Tapped<Stream>>>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let witness = Arc::new(Verifier { belief: Belief::Witnessed(Mutex::default()), provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = match builder {
        Ok(builder) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::clone(&witness) as _).with_no_client_auth()
        }
        Err(error) => return (None, Err(io::Error::other(error))),
    };
    let outcome = handshake(Arc::new(config), name, transport, tap).await;
    let seen = match &witness.belief {
        Belief::Witnessed(seen) => seen.lock().unwrap_or_else(PoisonError::into_inner).take(),
        Belief::Verified(_) | Belief::Any => None,
    };
    (seen, outcome)
}

/// Verifies as it is told to, and hands on what a certificate says.
#[derive(Debug)]
struct Verifier {
    belief: Belief,
    provider: Arc<CryptoProvider>,
}

/// Whose certificates are believed.
#[derive(Debug)]
enum Belief {
    /// Those that webpki finds good. What a refused one says is handed on in the error.
    Verified(Arc<WebPkiServerVerifier>),
    /// Every one.
    Any,
    /// Every one, and what the one that was shown says is kept.
    Witnessed(Mutex<Option<CertificateEvidence>>),
}

impl Verifier {
    fn new(settings: &UpstreamTls, provider: &Arc<CryptoProvider>) -> Result<Self, TlsSetupError> {
        let belief = if settings.verify {
            let roots = Arc::new(roots(settings.ca.as_ref())?);
            let built = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
            Belief::Verified(built.map_err(|_| TlsSetupError::NoRoots)?)
        } else {
            Belief::Any
        };
        Ok(Self { belief, provider: Arc::clone(provider) })
    }
}

/// The roots of that file, or the system's.
fn roots(file: Option<&PathBuf>) -> Result<RootCertStore, TlsSetupError> {
    if let Some(file) = file {
        return authorities(file);
    }
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() { Err(TlsSetupError::NoRoots) } else { Ok(store) }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let read = || certificate::read(end_entity, intermediates.len() + 1);
        let webpki = match &self.belief {
            Belief::Verified(webpki) => webpki,
            Belief::Any => return Ok(ServerCertVerified::assertion()),
            Belief::Witnessed(seen) => {
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = read();
                return Ok(ServerCertVerified::assertion());
            }
        };
        webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).map_err(|error| {
            let rustls::Error::InvalidCertificate(reason) = &error else { return error };
            let Some(certificate) = read() else { return error };
            let rejected = Rejected { reason: reason.clone(), certificate };
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(rejected))))
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// How much of what a server says in a handshake is kept, to recognise what it speaks.
const FIRST_BYTES: usize = 64;
