//! Owns TLS towards servers: rustls' configuration from ours, the handshake, and what a certificate says.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::SystemTime;

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
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::ServerName;
use rustls_pki_types::UnixTime;
use rustls_pki_types::pem::PemObject;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

use crate::config::UpstreamTls;
use crate::fault::classify::tls::Rejected;
use crate::fault::failure::CertificateEvidence;
use crate::net::stream::Stream;
use crate::net::tap::Tap;
use crate::net::tap::Tapped;

/// Why TLS towards an upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// A file that cannot be read or holds no certificate or key.
    #[error("{}: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// rustls refuses what the files hold.
    #[error("the certificates cannot be used")]
    Unusable(#[from] rustls::Error),
    /// No verifier can be made of the trusted roots.
    #[error(
        "no trusted root certificate is known; name a file in `[upstream.tls] ca`, or install the system's (ca-certificates)"
    )]
    NoRoots,
}

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
    let witness =
        Arc::new(Witness { all: Verifier { webpki: None, provider: Arc::clone(&provider) }, seen: Mutex::default() });
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = match builder {
        Ok(builder) => {
            builder.dangerous().with_custom_certificate_verifier(Arc::clone(&witness) as _).with_no_client_auth()
        }
        Err(error) => return (None, Err(io::Error::other(error))),
    };
    let outcome = handshake(Arc::new(config), name, transport, tap).await;
    let seen = witness.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    (seen, outcome)
}

/// What a certificate says; none where it cannot be read.
#[must_use]
pub fn read_certificate(certificate: &CertificateDer<'_>, chain_length: usize) -> Option<CertificateEvidence> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let alternative = parsed.subject_alternative_name().ok().flatten();
    let names = alternative.map(|names| names.value.general_names.iter().filter_map(name).collect());
    Some(CertificateEvidence {
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        names: names.unwrap_or_default(),
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
        self_signed: parsed.subject() == parsed.issuer(),
        chain_length,
        verified_at: now(),
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "servers are named by a host name or an address, by nothing else")]
fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The certificates of a PEM file.
///
/// # Errors
///
/// Where it cannot be read or holds none.
pub fn certificates(file: &PathBuf) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let wrong = |reason: String| TlsSetupError::File { file: file.clone(), reason };
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))?.collect();
    let found = read.map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("it holds no certificate".to_owned())) } else { Ok(found) }
}

/// The private key of a PEM file.
///
/// # Errors
///
/// Where it cannot be read or holds none.
pub fn private_key(file: &PathBuf) -> Result<PrivateKeyDer<'static>, TlsSetupError> {
    PrivateKeyDer::from_pem_file(file)
        .map_err(|error| TlsSetupError::File { file: file.clone(), reason: error.to_string() })
}

/// Verifies as webpki does, unless that is switched off, and hands on what a refused certificate says.
#[derive(Debug)]
struct Verifier {
    webpki: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(settings: &UpstreamTls, provider: &Arc<CryptoProvider>) -> Result<Self, TlsSetupError> {
        let webpki = if settings.verify {
            let roots = Arc::new(roots(settings.ca.as_ref())?);
            let built = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
            Some(built.map_err(|_| TlsSetupError::NoRoots)?)
        } else {
            None
        };
        Ok(Self { webpki, provider: Arc::clone(provider) })
    }
}

/// The roots of that file, or the system's.
fn roots(file: Option<&PathBuf>) -> Result<RootCertStore, TlsSetupError> {
    let mut store = RootCertStore::empty();
    match file {
        Some(file) => {
            for certificate in certificates(file)? {
                store.add(certificate)?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
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
        let Some(webpki) = &self.webpki else { return Ok(ServerCertVerified::assertion()) };
        webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).map_err(|error| {
            let rustls::Error::InvalidCertificate(reason) = &error else { return error };
            let Some(certificate) = read_certificate(end_entity, intermediates.len() + 1) else { return error };
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

/// Believes every certificate, and keeps what the one that it was shown says.
#[derive(Debug)]
struct Witness {
    all: Verifier,
    seen: Mutex<Option<CertificateEvidence>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            read_certificate(end_entity, intermediates.len() + 1);
        self.all.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.all.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.all.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.all.supported_verify_schemes()
    }
}

/// How much of what a server says in a handshake is kept, to recognise what it speaks.
const FIRST_BYTES: usize = 64;
