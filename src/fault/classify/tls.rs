//! Owns the meaning of rustls' errors, and the error with which our own verifier hands on the certificate that it refused.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::AlertDescription;
use rustls::CertificateError;

use crate::fault::Fault;
use crate::fault::Spoken;
use crate::fault::classify::http::Ended;
use crate::fault::failure::CertificateEvidence;

/// A certificate that was refused, with what it says. The verifier wraps it in `CertificateError::Other`, so that the evidence
/// reaches the one who classifies.
#[derive(Debug)]
pub struct Rejected {
    /// Why.
    pub reason: CertificateError,
    /// What it says.
    pub certificate: CertificateEvidence,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for Rejected {}

/// What a failed handshake was.
#[derive(Debug)]
pub struct HandshakeFault {
    /// The fault.
    pub fault: Fault,
    /// The alert that the server sent: its number and its name in RFC 8446.
    pub alert: Option<(u8, String)>,
    /// The certificate that was refused.
    pub certificate: Option<CertificateEvidence>,
}

impl HandshakeFault {
    /// Why a handshake failed, with what the transport below it saw.
    #[must_use]
    pub fn of(error: &io::Error, spoken: Option<Spoken>, ended: Option<Ended>) -> Self {
        let plain = |fault| Self { fault, alert: None, certificate: None };
        match tls_error(error) {
            Some(rustls::Error::AlertReceived(alert)) => {
                Self { fault: Fault::TlsAlert, alert: Some(name_alert(*alert)), certificate: None }
            }
            Some(rustls::Error::InvalidCertificate(reason)) => {
                let (reason, certificate) = unwrap_rejection(reason);
                Self { fault: of_certificate(reason), alert: None, certificate }
            }
            Some(_) if spoken.is_some_and(|spoken| !is_tls(spoken)) => plain(Fault::TlsNotSpoken),
            Some(_) => plain(Fault::TlsProtocolError),
            // The far end ended the connection: it may have said first, in its own protocol, that it speaks no TLS.
            None if spoken.is_some_and(|spoken| !is_tls(spoken)) => plain(Fault::TlsNotSpoken),
            None if ended.is_some() => plain(Fault::TlsHandshakeClosed),
            None => plain(Fault::TlsProtocolError),
        }
    }
}

/// The TLS error inside an I/O error, where there is one.
#[must_use]
pub fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// An alert's number and its name in RFC 8446, section 6.
#[must_use]
pub fn name_alert(alert: AlertDescription) -> (u8, String) {
    let number = u8::from(alert);
    (number, alert_name(number).unwrap_or("unknown").to_owned())
}

/// The registered name of an alert.
#[must_use]
pub fn alert_name(number: u8) -> Option<&'static str> {
    ALERTS.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

fn is_tls(spoken: Spoken) -> bool {
    matches!(spoken, Spoken::TlsAlert | Spoken::TlsHandshake)
}

fn unwrap_rejection(reason: &CertificateError) -> (&CertificateError, Option<CertificateEvidence>) {
    let CertificateError::Other(other) = reason else { return (reason, None) };
    let inner: &Arc<_> = &other.0;
    match inner.downcast_ref::<Rejected>() {
        Some(rejected) => (&rejected.reason, Some(rejected.certificate.clone())),
        None => (reason, None),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "rustls' enum is open: unknown issuer, revoked, badly signed, unsuitable and whatever comes"
)]
fn of_certificate(reason: &CertificateError) -> Fault {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Fault::TlsCertificateExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Fault::TlsCertificateNotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Fault::TlsCertificateWrongName
        }
        _ => Fault::TlsCertificateUntrusted,
    }
}

/// IANA, "TLS Alerts".
const ALERTS: &[(u8, &str)] = &[
    (0, "close_notify"),
    (10, "unexpected_message"),
    (20, "bad_record_mac"),
    (22, "record_overflow"),
    (30, "decompression_failure"),
    (40, "handshake_failure"),
    (42, "bad_certificate"),
    (43, "unsupported_certificate"),
    (44, "certificate_revoked"),
    (45, "certificate_expired"),
    (46, "certificate_unknown"),
    (47, "illegal_parameter"),
    (48, "unknown_ca"),
    (49, "access_denied"),
    (50, "decode_error"),
    (51, "decrypt_error"),
    (70, "protocol_version"),
    (71, "insufficient_security"),
    (80, "internal_error"),
    (86, "inappropriate_fallback"),
    (90, "user_canceled"),
    (100, "no_renegotiation"),
    (109, "missing_extension"),
    (110, "unsupported_extension"),
    (112, "unrecognized_name"),
    (113, "bad_certificate_status_response"),
    (115, "unknown_psk_identity"),
    (116, "certificate_required"),
    (120, "no_application_protocol"),
    (121, "ech_required"),
];

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::AlertDescription;
    use rustls::CertificateError;
    use rustls::InvalidMessage;
    use rustls::PeerMisbehaved;

    use super::HandshakeFault;
    use crate::fault::Fault;
    use crate::fault::Spoken;
    use crate::fault::classify::http::Ended;

    fn check(error: rustls::Error, spoken: Option<Spoken>, wanted: Fault) {
        let error = io::Error::new(io::ErrorKind::InvalidData, error);
        assert_eq!(HandshakeFault::of(&error, spoken, None).fault, wanted, "{error}");
    }

    #[test]
    fn each_error_of_rustls_has_its_fault() {
        let tls = Some(Spoken::TlsHandshake);
        check(rustls::Error::InvalidCertificate(CertificateError::Expired), tls, Fault::TlsCertificateExpired);
        check(rustls::Error::InvalidCertificate(CertificateError::NotValidYet), tls, Fault::TlsCertificateNotYetValid);
        check(
            rustls::Error::InvalidCertificate(CertificateError::NotValidForName),
            tls,
            Fault::TlsCertificateWrongName,
        );
        check(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer), tls, Fault::TlsCertificateUntrusted);
        check(rustls::Error::InvalidCertificate(CertificateError::Revoked), tls, Fault::TlsCertificateUntrusted);
        check(rustls::Error::AlertReceived(AlertDescription::HandshakeFailure), tls, Fault::TlsAlert);
        check(
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType),
            Some(Spoken::Http1),
            Fault::TlsNotSpoken,
        );
        check(
            rustls::Error::PeerMisbehaved(PeerMisbehaved::IllegalMiddleboxChangeCipherSpec),
            tls,
            Fault::TlsProtocolError,
        );
    }

    #[test]
    fn an_end_without_a_word_is_a_closed_handshake() {
        let eof = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(HandshakeFault::of(&eof, None, Some(Ended::Closed)).fault, Fault::TlsHandshakeClosed);
        assert_eq!(HandshakeFault::of(&eof, Some(Spoken::Ssh), Some(Ended::Closed)).fault, Fault::TlsNotSpoken);
    }

    #[test]
    fn an_alert_is_named() {
        let error = io::Error::new(
            io::ErrorKind::InvalidData,
            rustls::Error::AlertReceived(AlertDescription::UnrecognisedName),
        );
        let found = HandshakeFault::of(&error, Some(Spoken::TlsAlert), None);
        assert_eq!(found.alert, Some((112, "unrecognized_name".to_owned())));
    }
}
