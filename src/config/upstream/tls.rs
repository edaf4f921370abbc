//! Owns `[upstream.tls]`: whom this proxy trusts, and how it shows itself.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::document::Table;
use crate::config::files;
use crate::config::problem::Placed;
use crate::config::problem::Wrong;
use crate::config::value::ServerName;

/// `[upstream.tls]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Whether the server's certificate is verified.
    pub verify: bool,
    /// A file of certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// The name to send and to verify instead of the server's host.
    pub server_name: Option<Arc<str>>,
    /// The client certificate and its key, PEM files; both or none.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl UpstreamTls {
    pub(super) fn read(table: Table<'_>) -> Self {
        let ca = table.path("ca");
        if let Some(file) = &ca {
            files::authorities(&table, file);
        }
        let (certificate, key) = (table.path("certificate"), table.path("key"));
        let tls = Self {
            verify: table.flag("verify", true),
            ca: ca.map(|file| file.value),
            server_name: table.value::<ServerName>("server_name").map(|written| written.value.0),
            identity: identity(&table, certificate, key),
        };
        table.close();
        tls
    }
}

fn identity(
    table: &Table<'_>,
    certificate: Option<Placed<PathBuf>>,
    key: Option<Placed<PathBuf>>,
) -> Option<(PathBuf, PathBuf)> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            files::identity(table, &certificate, &key);
            Some((certificate.value, key.value))
        }
        (Some(certificate), None) => {
            let wrong = Wrong::new("a certificate without its key", "add key = \"client.key\", its private key");
            table.note(certificate.place, wrong);
            None
        }
        (None, Some(key)) => {
            let wrong = Wrong::new("a key without its certificate", "add certificate = \"client.pem\"");
            table.note(key.place, wrong);
            None
        }
        (None, None) => None,
    }
}
