//! Owns the choice of steps: which of a runbook's a visitor and an owner get for one case, and in which order.
//!
//! The steps themselves are data, in `config/checklist.toml`; `runbook` reads them and `command` fills them in.

use std::path::Path;

use super::Audience;
use super::Case;
use super::Cause;
use super::Step;
use super::runbook;
use super::runbook::Entry;
use crate::config::problem::Problems;

/// Every step that there is: the built-in ones, with the operator's added or in their places.
#[derive(Debug, Clone)]
pub struct Checklist {
    /// Visitors' steps first, each audience's by rank.
    entries: Vec<Entry>,
}

impl Checklist {
    /// The built-in steps, `config/checklist.toml`.
    #[must_use]
    pub fn built_in() -> Self {
        #[expect(clippy::expect_used, reason = "the text is compiled in and a test reads it, so this cannot happen to a user")]
        let entries = runbook::read(BUILT_IN, Path::new("config/checklist.toml"), &[]).expect("the built-in runbook is right");
        Self::ordered(entries)
    }

    /// The same with the operator's runbook, which adds steps, takes some out, or puts its own in their places. `file`
    /// is where the text came from, for messages.
    ///
    /// # Errors
    ///
    /// Every mistake in the text, each with its line, its column and its cure.
    pub fn with(self, text: &str, file: &Path) -> Result<Self, Problems> {
        runbook::read(text, file, &self.entries).map(Self::ordered)
    }

    /// The steps for this case if that is its cause: the visitor's, then the owner's, each the most telling first.
    ///
    /// A step that names something which this case does not know is left out.
    #[must_use]
    pub fn steps(&self, case: &Case, cause: Cause) -> Vec<Step> {
        let told: Vec<(&Entry, Step)> = self
            .entries
            .iter()
            .filter(|entry| entry.is_for(case, cause))
            .filter_map(|entry| Some((entry, entry.step(case)?)))
            .collect();
        let replaced = |entry: &Entry| told.iter().any(|(other, _)| other.instead_of.contains(&entry.id));
        told.iter().filter(|(entry, _)| !replaced(entry)).map(|(_, step)| step.clone()).collect()
    }

    fn ordered(mut entries: Vec<Entry>) -> Self {
        entries.sort_by_key(|entry| (entry.audience == Audience::Owner, entry.rank));
        Self { entries }
    }
}

impl Entry {
    fn is_for(&self, case: &Case, cause: Cause) -> bool {
        let is = |listed: bool, anything: bool| anything || listed;
        is(self.causes.contains(&cause), self.causes.is_empty())
            && is(self.faults.contains(&case.failure().fault), self.faults.is_empty())
            && is(self.platforms.contains(&case.settings.platform), self.platforms.is_empty())
            && is(self.upstreams.contains(&case.settings.upstream), self.upstreams.is_empty())
    }

    fn step(&self, case: &Case) -> Option<Step> {
        let text = self.text.sentence(case)?;
        let command = self.commands.iter().find_map(|command| command.command(case));
        if command.is_none() && !self.commands.is_empty() {
            return None;
        }
        Some(Step { audience: self.audience, text, command, private: self.is_private() })
    }
}

/// The built-in runbook.
const BUILT_IN: &str = include_str!("../../config/checklist.toml");
