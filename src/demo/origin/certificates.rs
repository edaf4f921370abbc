//! Owns the demo's certificates: an authority of its own, and server certificates that are wrong in one known way each.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::date_time_ymd;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::PrivatePkcs8KeyDer;

/// The name that the demo's certificates are for.
pub const SERVER_NAME: &str = "origin.why502.test";

/// What a server shows of itself, and what it wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// A certificate with which nothing is wrong.
    Good,
    /// One that has expired.
    Expired,
    /// One that is not valid yet.
    NotYetValid,
    /// One for another name.
    WrongName,
    /// One that a different authority has signed.
    UnknownIssuer,
    /// One that is signed by itself.
    SelfSigned,
    /// A good one, and the server wants one of the client too.
    MutualTls,
}

/// The demo's certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    file: PathBuf,
}

impl Authority {
    /// Makes one and writes its certificate to `ca.pem` in this directory.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written or no key can be made.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let (issuer, certificate) = authority("why502 demo authority").map_err(io::Error::other)?;
        let file = directory.join("ca.pem");
        fs::write(&file, certificate.pem())?;
        Ok(Self { issuer, certificate: certificate.der().clone(), file })
    }

    /// The file of the authority's certificate, for `[upstream.tls] ca`.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The settings of a server with these credentials.
    ///
    /// # Errors
    ///
    /// Where no key can be made.
    pub fn server(&self, credentials: Credentials) -> io::Result<Arc<ServerConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let builder = if credentials == Credentials::MutualTls {
            let mut roots = RootCertStore::empty();
            roots.add(self.certificate.clone()).map_err(io::Error::other)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(io::Error::other)?)
        } else {
            builder.with_no_client_auth()
        };
        let (certificate, key) = self.issue(credentials).map_err(io::Error::other)?;
        Ok(Arc::new(builder.with_single_cert(vec![certificate], key).map_err(io::Error::other)?))
    }

    fn issue(
        &self,
        credentials: Credentials,
    ) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), rcgen::Error> {
        let key = KeyPair::generate()?;
        let name = if credentials == Credentials::WrongName { "elsewhere.why502.test" } else { SERVER_NAME };
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = match credentials {
            Credentials::Expired => (date_time_ymd(2023, 1, 1), date_time_ymd(2024, 1, 1)),
            Credentials::NotYetValid => (date_time_ymd(2099, 1, 1), date_time_ymd(2100, 1, 1)),
            Credentials::Good
            | Credentials::WrongName
            | Credentials::UnknownIssuer
            | Credentials::SelfSigned
            | Credentials::MutualTls => (date_time_ymd(2024, 1, 1), date_time_ymd(2099, 1, 1)),
        };
        let certificate = match credentials {
            Credentials::SelfSigned => params.self_signed(&key)?,
            Credentials::UnknownIssuer => params.signed_by(&key, &authority("An authority nobody knows")?.0)?,
            Credentials::Good
            | Credentials::Expired
            | Credentials::NotYetValid
            | Credentials::WrongName
            | Credentials::MutualTls => params.signed_by(&key, &self.issuer)?,
        };
        Ok((certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
    }
}

fn authority(name: &str) -> Result<(Issuer<'static, KeyPair>, rcgen::Certificate), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.not_before, params.not_after) = (date_time_ymd(2024, 1, 1), date_time_ymd(2100, 1, 1));
    let certificate = params.self_signed(&key)?;
    Ok((Issuer::new(params, key), certificate))
}
