//! Owns the certificates that the tests configure why502 with. Those of origins are the demo's (`demo::origin::Authority`).

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedKey;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;

/// A certificate and its key, both as PEM.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) der: CertificateDer<'static>,
}

/// Makes one for a name that is signed by itself.
pub(crate) fn identity(name: &str) -> Identity {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]);
    let CertifiedKey { cert, signing_key } = made.expect("a certificate can be made");
    Identity { certificate: cert.pem(), key: signing_key.serialize_pem(), der: cert.der().clone() }
}

/// A certificate authority.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub(crate) pem: String,
    pub(crate) der: CertificateDer<'static>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = params(&[], name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let made = params.self_signed(&key).expect("a certificate can be made");
        let (pem, der) = (made.pem(), made.der().clone());
        Self { issuer: Issuer::new(params, key), pem, der }
    }

    /// A certificate of this authority for these names, the first of which is its subject's too.
    pub(crate) fn issue(&self, names: &[&str]) -> Identity {
        self.issue_until(names, 2099, 1, 1)
    }

    /// The same, until the beginning of that day.
    pub(crate) fn issue_until(&self, names: &[&str], year: i32, month: u8, day: u8) -> Identity {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = params(names, names[0]);
        params.not_after = rcgen::date_time_ymd(year, month, day);
        let made = params.signed_by(&key, &self.issuer).expect("a certificate can be made");
        Identity { certificate: made.pem(), key: key.serialize_pem(), der: made.der().clone() }
    }
}

fn params(names: &[&str], subject: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("the names are names");
    params.distinguished_name.push(DnType::CommonName, subject);
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2024, 1, 1), rcgen::date_time_ymd(2099, 1, 1));
    params
}
