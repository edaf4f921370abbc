//! Owns the story of which everything is known and private.

use std::sync::Arc;

use super::Story;
use super::history;
use super::probe;
use crate::fault::Fault;
use crate::fault::failure::CertificateEvidence;
use crate::fault::failure::H2Evidence;
use crate::fault::failure::Malformed;
use crate::fault::failure::ResponseEvidence;
use crate::fault::gateway::Hop;

impl Story {
    /// A failure of which everything is known, and every text and number is one of `SECRETS`.
    pub(super) fn full_of_secrets(fault: Fault) -> Self {
        let certificate = CertificateEvidence {
            subject: "CN=secret-subject".to_owned(),
            issuer: "CN=secret-issuer".to_owned(),
            names: vec!["secret-name".to_owned()],
            ..CertificateEvidence::default()
        };
        let mut story = Self::of(fault)
            .name("secret-host")
            .server("203.0.113.77:5377", Some("NXDOMAIN"), 1)
            .extended(15, "secret-text")
            .alias("secret-alias")
            .asked_for("secret-sni")
            .alert(112, "secret-alert")
            .shows(certificate)
            .peer("203.0.113.99:8999")
            .tried("203.0.113.98:8998", Fault::HostUnreachable, 1)
            .malformed(Malformed::Upgrade(Some("secret-upgrade".to_owned())))
            .errno(libc::ECONNREFUSED);
        story.last.response = Some(ResponseEvidence {
            status: 502,
            server: Some("secret-server".to_owned()),
            retry_after: Some(4711),
            via: Some("secret-via".to_owned()),
            said: Some("secret-words".to_owned()),
            hops: vec![Hop { name: "secret-hop".to_owned(), ..Hop::default() }],
            ..ResponseEvidence::default()
        });
        story.last.h2 = Some(H2Evidence { debug_data: Some("secret-debug".to_owned()), ..H2Evidence::default() });
        story.request.host = "secret-site".to_owned();
        story.request.path = "/secret-path".to_owned();
        story.settings.upstream = "secret-upstream".to_owned();
        story.settings.name_servers = vec!["203.0.113.77:5377".to_owned()];
        story.findings.observations = Arc::new(probe::secrets());
        history::secrets(&mut story.history);
        story
    }
}

/// What `full_of_secrets` holds.
pub(super) const SECRETS: &[&str] =
    &["secret", "203.0.113", "5377", "8999", "8998", "3000", "4711", "ECONNREFUSED", "111", "112", "NXDOMAIN"];
