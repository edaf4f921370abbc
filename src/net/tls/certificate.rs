//! Owns what a certificate says, as evidence.

use std::time::SystemTime;

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

use crate::config::certificate::names;
use crate::fault::failure::CertificateEvidence;

/// What a certificate says; none where it cannot be read.
#[must_use]
pub fn read(certificate: &CertificateDer<'_>, chain_length: usize) -> Option<CertificateEvidence> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(CertificateEvidence {
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        names: names(&parsed),
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
        self_signed: parsed.subject() == parsed.issuer(),
        chain_length,
        verified_at: now(),
    })
}

/// Now, in seconds since 1970, as certificates count.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
