//! Owns `[diagnosis]`: how failures are answered and examined. What is in the checklists is for `crate::diagnosis` to read.

use std::path::PathBuf;
use std::time::Duration;

use super::document::Table;
use super::document::Word;
use super::files;

/// `[diagnosis]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Which status a failure is answered with.
    pub status: StatusPolicy,
    /// Whether a failing server is examined in the background.
    pub probes: bool,
    /// At most one round of probes per server in this time.
    pub probe_interval: Duration,
    /// How long a failing answer may wait for a round under way.
    pub wait: Duration,
    /// The operator's own steps.
    pub checklists: Option<PathBuf>,
}

/// Which status a failure of an upstream is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPolicy {
    /// 502 for all.
    BadGateway,
    /// 500, 502, 503 or 504, as RFC 9209 recommends.
    Standard,
    /// 503 for all, for CDNs that replace the bodies of 502 and 504.
    Unavailable,
}

impl Word for StatusPolicy {
    const NOUN: &'static str = "a choice of status";
    const WORDS: &'static [(&'static str, Self)] =
        &[("502", Self::BadGateway), ("standard", Self::Standard), ("503", Self::Unavailable)];
}

impl Diagnosis {
    pub(super) fn read(table: Table<'_>) -> Self {
        let checklists = table.path("checklists");
        if let Some(file) = &checklists {
            files::readable(&table, file);
        }
        let diagnosis = Self {
            status: table.value_or("status", StatusPolicy::BadGateway),
            probes: table.flag("probes", true),
            probe_interval: table.time_limit("probe_interval", Duration::from_secs(10)),
            wait: table.value_or("wait", Duration::from_millis(250)),
            checklists: checklists.map(|file| file.value),
        };
        table.close();
        diagnosis
    }
}
