//! Owns the stories of certificates and handshakes.

use super::Row;
use super::teller::Story;
use crate::diagnosis::Cause;
use crate::fault::Fault;
use crate::fault::failure::CertificateEvidence;

pub(super) fn rows() -> Vec<Row> {
    [certificates(), alerts(), handshakes()].into_iter().flatten().collect()
}

fn certificates() -> Vec<Row> {
    let story = |fault| Story::of(fault).at("https://10.0.0.5:443").asked_for("app.internal").took(4.0);
    vec![
        story(Fault::TlsCertificateExpired)
            .shows(CertificateEvidence { not_before: EXPIRED - 365 * DAY, not_after: EXPIRED, ..certificate() })
            .ends("a certificate that nobody renewed", Cause::Tls, 0.93, &["certificate_expired"])
            .says(&["2024-03-09", "CN=Internal CA", "app.internal"]),
        story(Fault::TlsCertificateNotYetValid)
            .shows(CertificateEvidence { not_before: NOW + 30 * DAY, ..certificate() })
            .ends("a certificate made for next month", Cause::Tls, 0.85, &["certificate_in_future"])
            .says(&["30 days"]),
        story(Fault::TlsCertificateNotYetValid)
            .shows(CertificateEvidence { not_before: NOW + 3_600, ..certificate() })
            .ends("a certificate made just now and a clock behind", Cause::Tls, 0.55, &["own_clock_behind"])
            .says(&["1 h"]),
        story(Fault::TlsCertificateNotYetValid)
            .shows(CertificateEvidence { verified_at: 40, ..certificate() })
            .ends("a clock that was never set", Cause::FaultyProxy, 0.7, &["own_clock_unset"])
            .says(&["1970-01-01"]),
        story(Fault::TlsCertificateWrongName)
            .shows(CertificateEvidence { names: vec!["www.shop.example".to_owned()], ..certificate() })
            .ends("a certificate for another site", Cause::Tls, 0.8, &["certificate_for_other_name"])
            .says(&["www.shop.example", "asked for app.internal"]),
        story(Fault::TlsCertificateWrongName).asked_for("10.0.0.5").shows(certificate()).ends(
            "a server configured by its address",
            Cause::Tls,
            0.6,
            &["certificate_asked_by_address"],
        ),
        story(Fault::TlsCertificateWrongName)
            .shows(CertificateEvidence {
                subject: "CN=TRAEFIK DEFAULT CERT".to_owned(),
                names: vec!["3f1c.traefik.default".to_owned()],
                ..certificate()
            })
            .ends("a gateway that has no certificate for the name", Cause::Tls, 0.6, &["default_certificate"])
            .says(&["traefik default cert"]),
        story(Fault::TlsCertificateUntrusted)
            .shows(CertificateEvidence { self_signed: true, chain_length: 1, ..certificate() })
            .ends("a self-signed certificate", Cause::Tls, 0.8, &["certificate_self_signed"])
            .says(&["self-signed"]),
        story(Fault::TlsCertificateUntrusted).shows(CertificateEvidence { chain_length: 1, ..certificate() }).ends(
            "a chain without its intermediate",
            Cause::Tls,
            0.85,
            &["chain_incomplete"],
        ),
        story(Fault::TlsCertificateUntrusted)
            .shows(CertificateEvidence { chain_length: 2, ..certificate() })
            .ends("a private authority", Cause::Tls, 0.8, &["issuer_unknown"])
            .says(&["CN=Internal CA is not among"]),
    ]
}

fn alerts() -> Vec<Row> {
    let story = |number, name: &str| {
        Story::of(Fault::TlsAlert).at("https://10.0.0.5:443").asked_for("app.internal").alert(number, name).took(3.0)
    };
    vec![
        story(116, "certificate_required")
            .ends("a server that demands a client certificate", Cause::Tls, 0.9, &["client_certificate_required"])
            .says(&["alert 116", "client certificate", "mutual"]),
        story(42, "bad_certificate").ends("the same, by TLS 1.2", Cause::Tls, 0.9, &["client_certificate_required"]),
        story(48, "unknown_ca").with_client_certificate().ends(
            "a client certificate that is not accepted",
            Cause::Tls,
            0.9,
            &["client_certificate_refused"],
        ),
        story(112, "unrecognized_name")
            .ends("a site that the server does not have", Cause::Tls, 0.8, &["server_name_unknown"])
            .says(&["no site called app.internal"]),
        story(40, "handshake_failure").asked_for("10.0.0.5").ends(
            "no server name for a CDN",
            Cause::Tls,
            0.55,
            &["server_name_missing", "nothing_in_common"],
        ),
        story(40, "handshake_failure").ends("no cipher in common", Cause::Tls, 0.8, &["nothing_in_common"]),
        story(70, "protocol_version")
            .ends("a server with TLS 1.0 only", Cause::Tls, 0.9, &["tls_version_refused"])
            .says(&["TLS 1.2"]),
        story(120, "no_application_protocol").ends(
            "a port for HTTP/2 only",
            Cause::FaultyProxy,
            0.6,
            &["alpn_refused"],
        ),
        story(80, "internal_error").ends("a server that fails by itself", Cause::Tls, 0.7, &["alert_internal_error"]),
    ]
}

fn handshakes() -> Vec<Row> {
    let story = |fault| Story::of(fault).at("https://10.0.0.5:3000").asked_for("app.internal");
    vec![
        story(Fault::TlsNotSpoken)
            .spoken(b"HTTP/1.1 400 Bad Request\r\n")
            .ends("https to a plain port", Cause::FaultyProxy, 0.9, &["plain_on_tls"])
            .says(&["plain HTTP"]),
        story(Fault::TlsNotSpoken).spoken(b"<!DOCTYPE HTML>").ends(
            "https to Python's plain server",
            Cause::FaultyProxy,
            0.9,
            &["plain_on_tls"],
        ),
        story(Fault::TlsNotSpoken)
            .spoken(b"220 mx.internal ESMTP\r\n")
            .ends("https to a mail server", Cause::FaultyProxy, 0.9, &["foreign_protocol_on_tls"])
            .says(&["SMTP"]),
        story(Fault::TlsHandshakeClosed)
            .took(0.7)
            .ends("a port that wants something else first", Cause::FaultyProxy, 0.45, &["hello_cut_at_once"])
            .says(&["PROXY header"]),
        story(Fault::TlsHandshakeTimedOut)
            .limit(5_000)
            .packets(2, 4)
            .ends("a tunnel that swallows the hello", Cause::Network, 0.6, &["hello_unacknowledged"])
            .says(&["MTU", "acknowledged"]),
        story(Fault::TlsHandshakeTimedOut).limit(5_000).packets(0, 0).ends(
            "a plain port that waits for more",
            Cause::FaultyProxy,
            0.3,
            &["hello_unanswered"],
        ),
        story(Fault::TlsProtocolError).ends("a handshake that breaks the rules", Cause::Tls, 0.6, &[]),
    ]
}

fn certificate() -> CertificateEvidence {
    CertificateEvidence {
        subject: "CN=app.internal".to_owned(),
        issuer: "CN=Internal CA".to_owned(),
        names: vec!["app.internal".to_owned()],
        not_before: NOW - 300 * DAY,
        not_after: NOW + 65 * DAY,
        self_signed: false,
        chain_length: 2,
        verified_at: NOW,
    }
}

/// 1 August 2026 and 9 March 2024, noon.
const NOW: i64 = 1_785_585_600;
const EXPIRED: i64 = 1_709_985_600;
const DAY: i64 = 86_400;
