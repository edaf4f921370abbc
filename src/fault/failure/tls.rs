//! Owns what is known of a TLS handshake, and of the certificate in it.

/// What is known of a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsEvidence {
    /// The name that was sent as SNI and verified.
    pub server_name: String,
    /// The alert that the server sent: its number and its RFC 8446 name (`handshake_failure`).
    pub alert: Option<(u8, String)>,
    /// The certificate that the server presented, where one was.
    pub certificate: Option<CertificateEvidence>,
    /// Whether a client certificate was configured.
    pub client_certificate: bool,
    /// Whether HTTP/2 is required and the server agreed to no protocol at all (ALPN, RFC 7301).
    pub without_alpn: bool,
}

/// A certificate as the server presented it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificateEvidence {
    /// Its subject, as a distinguished name.
    pub subject: String,
    /// Its issuer, as a distinguished name.
    pub issuer: String,
    /// The names that it is valid for.
    pub names: Vec<String>,
    /// Seconds since 1970 from which it is valid.
    pub not_before: i64,
    /// Seconds since 1970 until which it is valid.
    pub not_after: i64,
    /// Whether it is signed by itself.
    pub self_signed: bool,
    /// How many certificates were presented, this one included.
    pub chain_length: usize,
    /// This host's time when it was verified, in seconds since 1970.
    pub verified_at: i64,
}
