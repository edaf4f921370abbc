//! Owns the rules over certificates that a server presented to a check, which verifies nothing and so sees them all.

use super::earlier;
use super::measured;
use crate::diagnosis::Case;
use crate::diagnosis::observation::Certificate;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::wording::between;
use crate::diagnosis::wording::date;
use crate::diagnosis::wording::list;
use crate::fault::Fault;
use crate::fault::Stage;
use crate::fault::failure::CertificateEvidence;

/// Where the handshake ended before its certificate was read, this is the first that is seen of it.
pub(in crate::diagnosis::rules) fn certificate_presented(case: &Case) -> Option<String> {
    unseen(case)?;
    let shown = certificates(case).next()?;
    (!is_over(&shown.evidence)).then(|| format!("the server presents {}", told(shown)))
}

pub(in crate::diagnosis::rules) fn presented_certificate_expired(case: &Case) -> Option<String> {
    unseen(case)?;
    let shown = certificates(case).find(|shown| is_over(&shown.evidence))?;
    let ago = between(shown.evidence.verified_at, shown.evidence.not_after);
    Some(format!("the certificate that the server presents expired {ago} ago: {}", told(shown)))
}

/// Renewed since, or not the same on every server behind the address.
pub(in crate::diagnosis::rules) fn certificate_differs_now(case: &Case) -> Option<String> {
    let tls = case.failed_with(CERTIFICATE)?.tls.as_ref()?;
    let failed = tls.certificate.as_ref()?;
    let asked = |shown: &&Certificate| shown.server_name.as_deref().is_none_or(|name| name == tls.server_name);
    let now = certificates(case).find(asked).filter(|now| !is_same(&now.evidence, failed))?;
    let is = earlier(case).map_or_else(|| "is presented now".to_owned(), |ago| format!("was presented {ago} ago"));
    Some(format!("another certificate {is}, {}: it was renewed, or servers behind it differ", told(now)))
}

/// A server with several sites chooses its certificate by the name it is asked for (RFC 6066, section 3).
pub(in crate::diagnosis::rules) fn certificate_depends_on_name(case: &Case) -> Option<String> {
    (case.failure().fault.stage() == Stage::Tls).then_some(())?;
    let unnamed = certificates(case).find(|shown| shown.server_name.is_none())?;
    let named =
        certificates(case).find(|shown| shown.server_name.is_some() && !is_same(&shown.evidence, &unnamed.evidence))?;
    Some(format!(
        "the server needs a server name (SNI): without one it presents {}, and with it {}",
        told(unnamed),
        told(named)
    ))
}

/// No certificate without a name, and one with it.
pub(in crate::diagnosis::rules) fn handshake_needs_name(case: &Case) -> Option<String> {
    let tls = case.failed_with(&[Fault::TlsAlert, Fault::TlsHandshakeClosed])?.tls.as_ref()?;
    let by_address = tls.server_name.parse::<std::net::IpAddr>().is_ok();
    let mut named = certificates(case).filter(|shown| shown.server_name.is_some());
    let none_without = certificates(case).all(|shown| shown.server_name.is_some());
    let shown = named.next().filter(|_| by_address && none_without)?;
    Some(format!("the handshake needs a server name (SNI): it fails without one and presents {}", told(shown)))
}

fn certificates(case: &Case) -> impl Iterator<Item = &Certificate> {
    measured(case, |seen| if let Observation::Certificate(shown) = seen { Some(&**shown) } else { None })
}

/// A handshake that failed before a certificate was seen.
fn unseen(case: &Case) -> Option<()> {
    let failure = case.failure();
    let seen = failure.tls.as_ref().is_some_and(|tls| tls.certificate.is_some());
    (failure.fault.stage() == Stage::Tls && !seen).then_some(())
}

const fn is_over(certificate: &CertificateEvidence) -> bool {
    certificate.verified_at > certificate.not_after
}

fn is_same(one: &CertificateEvidence, other: &CertificateEvidence) -> bool {
    (&one.subject, &one.issuer, &one.names, one.not_before, one.not_after)
        == (&other.subject, &other.issuer, &other.names, other.not_before, other.not_after)
}

/// A certificate in words, with the name that was asked for.
fn told(shown: &Certificate) -> String {
    let it = &shown.evidence;
    let asked = shown.server_name.as_ref().map(|name| format!(" for the name {name}")).unwrap_or_default();
    format!(
        "{}{asked} (valid for {}, from {} to {}, issued by {})",
        it.subject,
        list(&it.names),
        date(it.not_before),
        date(it.not_after),
        it.issuer
    )
}

const CERTIFICATE: &[Fault] = &[
    Fault::TlsCertificateExpired,
    Fault::TlsCertificateNotYetValid,
    Fault::TlsCertificateWrongName,
    Fault::TlsCertificateUntrusted,
];
