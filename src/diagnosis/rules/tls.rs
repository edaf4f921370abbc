//! Owns the rules over TLS handshakes: certificates, alerts, and ports that do not speak TLS.

use std::net::IpAddr;
use std::time::Duration;

use super::AT_ONCE;
use super::unacknowledged_still;
use crate::diagnosis::Case;
use crate::diagnosis::wording::between;
use crate::diagnosis::wording::bytes;
use crate::diagnosis::wording::date;
use crate::diagnosis::wording::duration;
use crate::diagnosis::wording::list;
use crate::diagnosis::wording::place;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Spoken;
use crate::fault::failure::CertificateEvidence;
use crate::fault::failure::TlsEvidence;
use crate::fault::failure::TransportEvidence;

pub(super) fn certificate_expired(case: &Case) -> Option<String> {
    let (_, shown) = certificate(case, Fault::TlsCertificateExpired)?;
    let (ended, ago) = (date(shown.not_after), between(shown.verified_at, shown.not_after));
    Some(format!(
        "the certificate for {} expired on {ended}, {ago} ago; it was issued by {}",
        named(shown),
        shown.issuer
    ))
}

pub(super) fn certificate_in_future(case: &Case) -> Option<String> {
    let (_, shown) = certificate(case, Fault::TlsCertificateNotYetValid)?;
    let (begins, left) = (date(shown.not_before), between(shown.verified_at, shown.not_before));
    Some(format!("the certificate for {} is valid from {begins}, {left} after this host's time", named(shown)))
}

/// No certificate is verified by a proxy older than itself: such a clock was never set.
pub(super) fn own_clock_unset(case: &Case) -> Option<String> {
    let (_, shown) = certificate(case, Fault::TlsCertificateNotYetValid)?;
    (shown.verified_at < WRITTEN)
        .then(|| format!("this host's own clock is wrong: it says that it is {}", date(shown.verified_at)))
}

pub(super) fn own_clock_behind(case: &Case) -> Option<String> {
    let (_, shown) = certificate(case, Fault::TlsCertificateNotYetValid)?;
    let ahead = shown.not_before.saturating_sub(shown.verified_at);
    (0..=DAY).contains(&ahead).then(|| {
        let left = between(shown.verified_at, shown.not_before);
        format!("the certificate begins only {left} from now, so that one of the two clocks may be wrong")
    })
}

pub(super) fn certificate_for_other_name(case: &Case) -> Option<String> {
    let (tls, shown) = certificate(case, Fault::TlsCertificateWrongName)?;
    Some(format!("the certificate is for {}, but this proxy asked for {}", named(shown), tls.server_name))
}

pub(super) fn certificate_asked_by_address(case: &Case) -> Option<String> {
    let (tls, _) = certificate(case, Fault::TlsCertificateWrongName)?;
    tls.server_name.parse::<IpAddr>().is_ok().then(|| {
        format!("the server is configured by its address {}, and certificates are seldom made for one", tls.server_name)
    })
}

/// A server that does not know the name it is asked for shows the certificate that it came with.
pub(super) fn default_certificate(case: &Case) -> Option<String> {
    let faults = [Fault::TlsCertificateWrongName, Fault::TlsCertificateUntrusted];
    let (tls, shown) = faults.into_iter().find_map(|fault| certificate(case, fault))?;
    let name = DEFAULT_CERTIFICATES.iter().find(|name| shown.subject.to_lowercase().contains(**name))?;
    let server_name = &tls.server_name;
    Some(format!("the server shows a default certificate ({name}), so it has none for the name {server_name}"))
}

pub(super) fn certificate_self_signed(case: &Case) -> Option<String> {
    let (_, shown) = certificate(case, Fault::TlsCertificateUntrusted)?;
    shown
        .self_signed
        .then(|| format!("the certificate for {} is self-signed, and nobody told this proxy to trust it", named(shown)))
}

pub(super) fn chain_incomplete(case: &Case) -> Option<String> {
    let (_, shown) = certificate(case, Fault::TlsCertificateUntrusted)?;
    (!shown.self_signed && shown.chain_length == 1).then(|| {
        format!(
            "the server shows its own certificate only, without that of its issuer {}: the chain is incomplete",
            shown.issuer
        )
    })
}

pub(super) fn issuer_unknown(case: &Case) -> Option<String> {
    let (_, shown) = certificate(case, Fault::TlsCertificateUntrusted)?;
    (!shown.self_signed).then(|| format!("{} is not among the issuers that this proxy trusts", shown.issuer))
}

/// 116 says so; before TLS 1.3 a server that misses a certificate says 42 at best (RFC 8446, section 6.2).
pub(super) fn client_certificate_required(case: &Case) -> Option<String> {
    let (tls, number, name) = alert(case)?;
    let missed = !tls.client_certificate && matches!(number, 42 | 116);
    missed.then(|| {
        format!("alert {number} ({name}): the server demands a client certificate (mutual TLS), and none was sent")
    })
}

pub(super) fn client_certificate_refused(case: &Case) -> Option<String> {
    let (tls, number, name) = alert(case)?;
    let refused = tls.client_certificate && matches!(number, 42..=49 | 116);
    refused.then(|| format!("alert {number} ({name}): the server does not accept this proxy's client certificate"))
}

pub(super) fn server_name_unknown(case: &Case) -> Option<String> {
    let (tls, number, name) = alert(case)?;
    let server_name = &tls.server_name;
    (number == 112).then(|| {
        format!("alert {number} ({name}): the server has no site called {server_name}, the name it was asked for")
    })
}

/// An address is never sent as a server name (RFC 6066, section 3).
pub(super) fn server_name_missing(case: &Case) -> Option<String> {
    let (tls, number, name) = alert(case)?;
    let by_address = tls.server_name.parse::<IpAddr>().is_ok();
    (by_address && matches!(number, 40 | 112)).then(|| {
        format!(
            "alert {number} ({name}): no server name was sent, since the server is configured by its address {}",
            tls.server_name
        )
    })
}

pub(super) fn tls_version_refused(case: &Case) -> Option<String> {
    let (_, number, name) = alert(case)?;
    (number == 70).then(|| {
        format!("alert {number} ({name}): the server speaks neither TLS 1.2 nor TLS 1.3, which this proxy offers")
    })
}

pub(super) fn nothing_in_common(case: &Case) -> Option<String> {
    let (_, number, name) = alert(case)?;
    matches!(number, 40 | 71).then(|| {
        format!("alert {number} ({name}): the server accepts none of the ciphers and keys that this proxy offers")
    })
}

pub(super) fn alpn_refused(case: &Case) -> Option<String> {
    let (_, number, name) = alert(case)?;
    (number == 120).then(|| format!("alert {number} ({name}): the server does not speak HTTP/1.1 on this port"))
}

pub(super) fn alert_internal_error(case: &Case) -> Option<String> {
    let (_, number, name) = alert(case)?;
    (number == 80).then(|| format!("alert {number} ({name}): the server failed by itself during the handshake"))
}

pub(super) fn plain_on_tls(case: &Case) -> Option<String> {
    let failure = case.failed_with(TLS_NOT_SPOKEN)?;
    matches!(failure.spoken, Some(Spoken::Http1 | Spoken::Http09 | Spoken::Http2)).then(|| {
        format!("{} answered the TLS handshake with plain HTTP, but it is configured as https", place(failure))
    })
}

pub(super) fn foreign_protocol_on_tls(case: &Case) -> Option<String> {
    let failure = case.failed_with(TLS_NOT_SPOKEN)?;
    let spoken = failure.spoken.filter(|spoken| spoken.is_foreign())?;
    Some(format!("{} answered the TLS handshake in another protocol: {}", place(failure), spoken.name()))
}

/// A port without TLS often hangs up on a client's hello, and so does one that wants a PROXY header first.
pub(super) fn hello_cut_at_once(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::TlsHandshakeClosed])?;
    (failure.nothing_received() && failure.waited() <= AT_ONCE).then(|| {
        let waited = duration(failure.waited());
        format!(
            "{} hung up {waited} after the hello without a byte: it may speak plain HTTP, or want a PROXY header",
            place(failure)
        )
    })
}

/// A client's hello is among the first packets that fill a whole segment, so that a path with a smaller one shows here.
pub(super) fn hello_unacknowledged(case: &Case) -> Option<String> {
    let (failure, known) = silent_handshake(case)?;
    (known.unacknowledged > 0 && known.retransmits > 0).then(|| {
        let (there, still) = (place(failure), unacknowledged_still(known));
        let size = bytes(u64::from(known.segment_size));
        format!(
            "the connection to {there} stands, but of the hello {still}: packets of up to {size} are lost on the way, \
             which a tunnel with a smaller MTU does"
        )
    })
}

pub(super) fn hello_unanswered(case: &Case) -> Option<String> {
    let (failure, known) = silent_handshake(case)?;
    (known.unacknowledged == 0).then(|| {
        format!(
            "{} acknowledged the hello and said nothing: a port without TLS that waits for more does \
             that, and so does a program that hangs",
            place(failure)
        )
    })
}

fn silent_handshake(case: &Case) -> Option<(&Failure, TransportEvidence)> {
    let failure = case.failed_with(&[Fault::TlsHandshakeTimedOut])?;
    Some((failure, failure.transport?))
}

/// The certificate that this fault is about.
fn certificate(case: &Case, fault: Fault) -> Option<(&TlsEvidence, &CertificateEvidence)> {
    let tls = case.failed_with(&[fault])?.tls.as_ref()?;
    Some((tls, tls.certificate.as_ref()?))
}

/// The alert that the server sent, with its number and its name.
fn alert(case: &Case) -> Option<(&TlsEvidence, u8, &str)> {
    let tls = case.failed_with(&[Fault::TlsAlert])?.tls.as_ref()?;
    let (number, name) = tls.alert.as_ref()?;
    Some((tls, *number, name))
}

/// What a certificate is for: its names, or its subject where it has none.
fn named(certificate: &CertificateEvidence) -> String {
    if certificate.names.is_empty() { certificate.subject.clone() } else { list(&certificate.names) }
}

const TLS_NOT_SPOKEN: &[Fault] = &[Fault::TlsNotSpoken, Fault::TlsProtocolError];

/// 1 January 2025: no clock that is right stands before it.
const WRITTEN: i64 = 1_735_689_600;

/// Clocks that are wrong by a time zone or a forgotten battery are wrong by less.
const DAY: i64 = Duration::from_secs(86_400).as_secs().cast_signed();

/// What the certificates that servers come with call themselves, in lower case.
const DEFAULT_CERTIFICATES: &[&str] = &[
    "kubernetes ingress controller fake certificate",
    "traefik default cert",
    "ssl-cert-snakeoil",
    "plesk",
    "synology",
    "localhost.localdomain",
];
