//! Owns `[upstream.health]`: what each server is asked, how often, and how many answers change its standing.

use std::sync::Arc;
use std::time::Duration;

use crate::config::document::Table;
use crate::config::document::Written;
use crate::config::problem::Wrong;
use crate::config::problem::quoted;

/// `[upstream.health]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked for.
    pub path: Arc<str>,
    /// How often.
    pub interval: Duration,
    /// How long one check may take in all.
    pub timeout: Duration,
    /// How many checks in a row have to go well before a server that is down is held to be up.
    pub healthy_after: u32,
    /// How many in a row have to fail before one that is up is held to be down.
    pub unhealthy_after: u32,
}

impl HealthCheck {
    /// The checks that the table of an upstream asks for; none where it says nothing of them.
    pub(super) fn read(upstream: &Table<'_>) -> Option<Self> {
        let table = upstream.table("health");
        let check = Self {
            path: table.value_or("path", HealthPath("/".into())).0,
            interval: table.time_limit("interval", Duration::from_secs(5)),
            timeout: table.time_limit("timeout", Duration::from_secs(2)),
            healthy_after: table.integer("healthy_after", 1..=MOST_CHECKS, 2),
            unhealthy_after: table.integer("unhealthy_after", 1..=MOST_CHECKS, 3),
        };
        table.close();
        upstream.has("health").then_some(check)
    }
}

/// What a check asks for: a path, with a query where one is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HealthPath(Arc<str>);

impl Written for HealthPath {
    const NOUN: &'static str = "a path to ask for";

    fn cure() -> String {
        r#"write "/healthz""#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        if !text.starts_with('/') && !text.is_empty() && text.bytes().all(is_in_target) {
            let what = format!("{} does not begin with a slash", quoted(text));
            return Err(Wrong::new(what, format!("write {}", quoted(&format!("/{text}")))));
        }
        let good = text.starts_with('/') && text.bytes().all(is_in_target);
        if good { Ok(Self(text.into())) } else { Err(Self::refused(&quoted(text))) }
    }
}

/// Whether a request's target may hold it (RFC 9112, section 3.2.1, with what browsers send beside that).
const fn is_in_target(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

/// Beyond this a standing would never change.
const MOST_CHECKS: u32 = 1000;
