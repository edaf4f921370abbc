//! Owns what is done when a server fails: `[upstream.retry]`, `[upstream.ejection]` and `[upstream.pool]`.

use std::time::Duration;

use crate::config::document::Table;

/// `[upstream.retry]`
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// How often a request may go out in all; 1 means never twice.
    pub attempts: u32,
    /// Retries per request, over a sliding window.
    pub budget: f64,
}

/// `Retry` compares as a whole; its budget is never NaN, which the reader refuses.
impl Eq for Retry {}

/// `[upstream.ejection]`
#[derive(Debug, Clone, PartialEq)]
pub struct Ejection {
    /// How many failures in a row take a server out.
    pub after: u32,
    /// For how long, the first time.
    pub base_time: Duration,
    /// The largest share of the servers that may be out, from 0.0 to 1.0; the count is rounded down.
    pub max_share: f64,
}

/// `Ejection` compares as a whole; its share is never NaN, which the reader refuses.
impl Eq for Ejection {}

/// `[upstream.pool]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// How many idle connections are kept per server.
    pub max_idle: usize,
}

impl Retry {
    pub(super) fn read(table: Table<'_>) -> Self {
        let retry =
            Self { attempts: table.integer("attempts", 1..=100, 2), budget: table.number("budget", 0.0..=100.0, 0.2) };
        table.close();
        retry
    }
}

impl Ejection {
    pub(super) fn read(table: Table<'_>) -> Self {
        let ejection = Self {
            after: table.integer("after", 1..=u32::MAX, 5),
            base_time: table.time_limit("base_time", Duration::from_secs(10)),
            max_share: table.number("max_share", 0.0..=1.0, 0.5),
        };
        table.close();
        ejection
    }
}

impl Pool {
    pub(super) fn read(table: Table<'_>) -> Self {
        let pool = Self {
            idle_timeout: table.value_or("idle_timeout", Duration::from_secs(55)),
            max_idle: table.integer("max_idle", 0..=1_000_000, 256),
        };
        table.close();
        pool
    }
}
