//! Owns what a certificate says, and what is worth a sentence about those that clients are shown: dates, names, order.
//!
//! Each of these is served all the same. A proxy that refused to start over an expired certificate would take the other
//! sites down with it.

use std::net::IpAddr;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

use super::problem::quoted;

/// The names and addresses that a certificate is for.
#[must_use]
pub fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    alternative.map(|names| names.value.general_names.iter().filter_map(name).collect()).unwrap_or_default()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "servers are named by a host name or an address, by nothing else")]
fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// What its owner should know of a chain that clients are shown, a sentence each. `now` is in seconds since 1970.
#[must_use]
pub fn concerns(file: &Path, chain: &[CertificateDer<'_>], now: i64) -> Vec<String> {
    let parsed: Vec<_> = chain.iter().filter_map(|der| X509Certificate::from_der(der).ok()).collect();
    let parsed: Vec<_> = parsed.iter().map(|(_, certificate)| certificate).collect();
    let Some(own) = parsed.first() else { return Vec::new() };
    let file = file.display();
    let mut concerns = Vec::new();
    for (index, certificate) in parsed.iter().enumerate() {
        let which = if index == 0 { file.to_string() } else { format!("certificate {} of {file}", index + 1) };
        concerns.extend(about_dates(certificate, now).map(|says| format!("{which} {says}")));
    }
    if names(own).is_empty() {
        concerns.push(format!(
            "{file} is for no name (it has no subjectAltName), so clients refuse it; have one made with the site's names"
        ));
    }
    let strays = parsed.windows(2).enumerate().filter(|(_, pair)| match pair {
        [signed, signer] => signed.issuer() != signer.subject(),
        _ => false,
    });
    concerns.extend(strays.map(|(index, _)| {
        format!(
            "certificate {} of {file} is not the one that signed certificate {}; put each behind the one that it signed, \
             and remove what does not belong to the chain",
            index + 2,
            index + 1
        )
    }));
    if parsed.len() == 1 && names_its_issuer_file(own) {
        concerns.push(format!(
            "{file} holds the site's certificate alone, and clients that do not know {} refuse it; write the whole \
             chain into the file (certbot calls it fullchain.pem)",
            quoted(&own.issuer().to_string())
        ));
    }
    concerns
}

/// What is wrong, or soon will be, with the time for which a certificate is valid.
fn about_dates(certificate: &X509Certificate<'_>, now: i64) -> Option<String> {
    let (begin, end) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    let cure = "renew it; a new file is taken up without a restart";
    if now > end {
        return Some(format!("expired on {}, so clients refuse it; {cure}", day(end)));
    }
    if now < begin {
        return Some(format!(
            "is not valid before {}, so clients refuse it; use the one before it until then, or correct this host's clock",
            day(begin)
        ));
    }
    let left = end - now;
    let days = match left / DAY {
        0 => "in less than a day".to_owned(),
        1 => "in 1 day".to_owned(),
        days => format!("in {days} days"),
    };
    (left < SOON).then(|| format!("expires on {}, {days}; {cure}", day(end)))
}

/// Whether it says where its issuer's certificate can be had, as those do that an authority's intermediate has signed.
fn names_its_issuer_file(certificate: &X509Certificate<'_>) -> bool {
    let is_signed_by_another = certificate.issuer() != certificate.subject();
    is_signed_by_another
        && certificate.extensions().iter().any(|extension| {
            matches!(extension.parsed_extension(), ParsedExtension::AuthorityInfoAccess(access)
                if access.accessdescs.iter().any(|said| said.access_method.to_id_string() == CA_ISSUERS))
        })
}

/// The day of a moment, in UTC.
fn day(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| "a day far away".to_owned(), |at| at.date().to_string())
}

/// In seconds.
const DAY: i64 = 24 * 60 * 60;
/// How long before its end a certificate is spoken of, in seconds.
const SOON: i64 = 30 * DAY;
/// id-ad-caIssuers (RFC 5280, section 4.2.2.1).
const CA_ISSUERS: &str = "1.3.6.1.5.5.7.48.2";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rcgen::BasicConstraints;
    use rcgen::CertificateParams;
    use rcgen::DnType;
    use rcgen::IsCa;
    use rcgen::Issuer;
    use rcgen::KeyPair;
    use rcgen::date_time_ymd;
    use rustls_pki_types::CertificateDer;
    use x509_parser::prelude::FromDer;
    use x509_parser::prelude::X509Certificate;

    use super::DAY;
    use super::concerns;
    use super::names;

    fn params(names: &[&str], subject: &str) -> CertificateParams {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, subject);
        (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2026, 1, 1));
        params
    }

    fn of(params: &CertificateParams) -> CertificateDer<'static> {
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn said(chain: &[CertificateDer<'_>], days_before_2026: i64) -> String {
        let end = date_time_ymd(2026, 1, 1).unix_timestamp();
        concerns(Path::new("site.pem"), chain, end - days_before_2026 * DAY).join("\n")
    }

    #[test]
    fn a_certificate_is_spoken_of_before_it_ends_and_outside_of_its_time() {
        let chain = [of(&params(&["shop.example"], "shop"))];
        for (days, says) in [
            (31, ""),
            (30, ""),
            (29, "site.pem expires on 2026-01-01, in 29 days; renew it; a new file is taken up without a restart"),
            (1, "site.pem expires on 2026-01-01, in 1 day; renew it; a new file is taken up without a restart"),
            (
                0,
                "site.pem expires on 2026-01-01, in less than a day; renew it; a new file is taken up without a restart",
            ),
            (
                -1,
                "site.pem expired on 2026-01-01, so clients refuse it; renew it; a new file is taken up without a restart",
            ),
            (
                366,
                "site.pem is not valid before 2025-01-01, so clients refuse it; use the one before it until then, \
                 or correct this host's clock",
            ),
        ] {
            assert_eq!(said(&chain, days), says, "{days}");
        }
    }

    #[test]
    fn a_chain_has_names_and_an_order() {
        let key = KeyPair::generate().unwrap();
        let mut authority = params(&[], "authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = authority.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(authority, key);
        let signed = |params: &CertificateParams| {
            params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().clone()
        };
        let own = signed(&params(&["shop.example", "10.0.0.1"], "shop"));
        let stray = of(&params(&["x.example"], "x"));
        assert_eq!(said(&[own.clone(), root.clone()], 100), "");
        assert_eq!(said(std::slice::from_ref(&own), 100), "");
        assert!(said(&[own.clone(), stray, root.clone()], 100).starts_with(
            "certificate 2 of site.pem is not the one that signed certificate 1; put each behind the one that it signed"
        ));
        assert!(
            said(&[own.clone(), root], 10).contains("\ncertificate 2 of site.pem expires on 2026-01-01, in 10 days")
        );
        assert!(said(&[of(&params(&[], "nameless"))], 100).starts_with("site.pem is for no name"));
        let (_, parsed) = X509Certificate::from_der(&own).unwrap();
        assert_eq!(names(&parsed), ["shop.example", "10.0.0.1"]);
        let mut public = params(&["shop.example"], "shop");
        public.custom_extensions.push(rcgen::CustomExtension::from_oid_content(
            &[1, 3, 6, 1, 5, 5, 7, 1, 1],
            // SEQUENCE { SEQUENCE { id-ad-caIssuers, [6] "http://a/" } }
            [&[0x30, 23, 0x30, 21, 6, 8, 43, 6, 1, 5, 5, 7, 48, 2, 0x86, 9][..], b"http://a/"].concat()[..].to_vec(),
        ));
        let alone = said(&[signed(&public)], 100);
        assert!(alone.starts_with("site.pem holds the site's certificate alone"), "{alone}");
    }
}
