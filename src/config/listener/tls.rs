//! Owns `tls` of a `[[listener]]`: a certificate that clients are shown, and whether they have to show one.

use std::path::PathBuf;

use crate::config::document::Table;
use crate::config::document::Word;
use crate::config::files;
use crate::config::problem::Wrong;

/// One table of `tls` of a `[[listener]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// The chain of certificates, the site's own first, a PEM file.
    pub certificate: PathBuf,
    /// Its key, a PEM file.
    pub key: PathBuf,
    /// Whom clients have to be vouched for by; none where they are not asked.
    pub clients: Option<ClientCertificates>,
}

/// What clients are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// The authorities that vouch for clients, a PEM file.
    pub ca: PathBuf,
    /// Whether a client may come without a certificate.
    pub need: ClientCertificate,
}

/// Whether a client may come without a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    /// It may not.
    Required,
    /// It may; one that it shows has to be good all the same.
    Optional,
}

impl Word for ClientCertificate {
    const NOUN: &'static str = "a demand for client certificates";
    const WORDS: &'static [(&'static str, Self)] = &[("required", Self::Required), ("optional", Self::Optional)];
}

impl ListenerTls {
    /// Reads one table; none where it is not there, or where what it must have is wrong, which is noted then.
    pub(super) fn read(table: Table<'_>) -> Option<Self> {
        let (certificate, key, ca) = (table.path("certificate"), table.path("key"), table.path("client_ca"));
        let need = table.value::<ClientCertificate>("client_certificate");
        match (&certificate, &key) {
            (Some(certificate), Some(key)) => files::identity(&table, certificate, key),
            (certificate, key) if table.is_written() => {
                let missing = [("certificate", certificate.is_none()), ("key", key.is_none())];
                for (name, _) in missing.into_iter().filter(|(name, missing)| *missing && !table.has(name)) {
                    let example = if name == "key" { "key = \"site.key\"" } else { "certificate = \"site.pem\"" };
                    let wrong = Wrong::new(format!("`tls` has no `{name}`"), format!("add {example}, a PEM file"));
                    table.document().note_missing(Some(table.place()), wrong);
                }
            }
            (_, _) => {}
        }
        if let Some(ca) = &ca {
            files::authorities(&table, ca);
        } else if let Some(need) = need.as_ref().filter(|_| !table.has("client_ca")) {
            let wrong = Wrong::new("nobody can vouch for a client", "add client_ca = \"ca.pem\", or remove this");
            table.note(need.place, wrong);
        }
        let need = need.map_or(ClientCertificate::Required, |need| need.value);
        table.close();
        let clients = ca.map(|ca| ClientCertificates { ca: ca.value, need });
        Some(Self { certificate: certificate?.value, key: key?.value, clients })
    }
}
