//! Owns one of an upstream's `servers`: its URL alone, or a table that gives it a weight too.

use crate::config::document::Table;
use crate::config::value::ServerUrl;

/// One of `servers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where it is.
    pub url: ServerUrl,
    /// How large its share of the requests is, beside the weights of the others.
    pub weight: u32,
}

impl Server {
    /// A server of which nothing but the URL is written.
    #[must_use]
    pub const fn alone(url: ServerUrl) -> Self {
        Self { url, weight: 1 }
    }

    /// Reads `servers`; there has to be one at least.
    pub(super) fn read_all(table: &Table<'_>) -> Vec<Self> {
        let servers =
            table.required_items("servers", r#"servers = ["http://127.0.0.1:3000"]"#, Self::alone, Self::read);
        let document = table.document();
        let resolved = |server: Self| Self { url: server.url.resolved(|path| document.resolve(path)), ..server };
        servers.into_iter().map(resolved).collect()
    }

    fn read(table: Table<'_>) -> Option<Self> {
        let url = table.required::<ServerUrl>("url", r#"url = "http://127.0.0.1:3000""#);
        let weight = table.integer("weight", 1..=MOST_WEIGHT, 1);
        table.close();
        url.map(|url| Self { url: url.value, weight })
    }
}

/// Shares are finer than anybody can tell then.
const MOST_WEIGHT: u32 = 1000;
