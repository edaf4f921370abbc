//! Owns the certificates that the tests configure why502 with. Those of origins are the demo's (`demo::origin::Authority`).

use rcgen::CertifiedKey;

/// A certificate that is signed by itself, and its key, both as PEM.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Makes one for a name.
pub(crate) fn identity(name: &str) -> Identity {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]);
    let CertifiedKey { cert, signing_key } = made.expect("a certificate can be made");
    Identity { certificate: cert.pem(), key: signing_key.serialize_pem() }
}
