//! Owns TLS: towards servers (`behind`), towards clients (`front`), and the files that both are set up from.

pub mod behind;
pub mod certificate;
pub mod front;
pub mod sites;

use std::path::Path;
use std::path::PathBuf;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use crate::config;

/// Why TLS cannot be set up.
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
    /// rustls refuses what a file holds.
    #[error("{} cannot be used", file.display())]
    FileUnusable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// No verifier can be made of the trusted roots.
    #[error(
        "no trusted root certificate is known; name a file in `[upstream.tls] ca`, or install the system's (ca-certificates)"
    )]
    NoRoots,
}

/// The certificates of a PEM file.
///
/// # Errors
///
/// Where it cannot be read or holds none.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let wrong = |reason: String| TlsSetupError::File { file: file.to_owned(), reason };
    let text = config::contents(file).map_err(|error| wrong(error.to_string()))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = read.map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("it holds no certificate".to_owned())) } else { Ok(found) }
}

/// The private key of a PEM file.
///
/// # Errors
///
/// Where it cannot be read or holds none.
pub fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsSetupError> {
    let wrong = |reason: String| TlsSetupError::File { file: file.to_owned(), reason };
    let text = config::contents(file).map_err(|error| wrong(error.to_string()))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| wrong(error.to_string()))
}

/// The authorities of a PEM file.
///
/// # Errors
///
/// Where it cannot be read, holds none, or one that cannot be used.
pub fn authorities(file: &Path) -> Result<RootCertStore, TlsSetupError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(file)? {
        store.add(certificate).map_err(|source| TlsSetupError::FileUnusable { file: file.to_owned(), source })?;
    }
    Ok(store)
}
