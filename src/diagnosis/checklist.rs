//! Owns the choice of steps: which of a runbook's a visitor and an owner get for one case, and in which order.
//!
//! The steps themselves are data, in `config/checklist.toml`; `runbook` reads them and `command` fills them in.

#![expect(clippy::similar_names, reason = "a case and its cause are this room's words")]

use std::path::Path;

use super::Audience;
use super::Case;
use super::Cause;
use super::Step;
use super::runbook;
use super::runbook::Entry;
use crate::config::problem::Problems;
use crate::fault::Stage;
use crate::fault::gateway::Gateway;

/// Every step that there is: the built-in ones, with the operator's added or in their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checklist {
    /// Visitors' steps first, each audience's by rank.
    entries: Vec<Entry>,
}

impl Checklist {
    /// The built-in steps, `config/checklist.toml`.
    ///
    /// # Panics
    ///
    /// Never in a build whose tests pass: they read the same text.
    #[must_use]
    pub fn built_in() -> Self {
        let read = runbook::read(BUILT_IN, Path::new("config/checklist.toml"), &[]);
        #[expect(clippy::expect_used, reason = "the text is compiled in and tests read it, so no user can meet this")]
        let entries = read.expect("the built-in runbook is right");
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
        let shown: Vec<(&Entry, Step)> = self
            .entries
            .iter()
            .filter(|entry| entry.is_for(case, cause))
            .filter_map(|entry| Some((entry, entry.step(case)?)))
            .collect();
        let makes_way = |entry: &Entry| shown.iter().any(|(other, _)| other.instead_of.contains(&entry.id));
        shown.iter().filter(|(entry, _)| !makes_way(entry)).map(|(_, step)| step.clone()).collect()
    }

    fn ordered(mut entries: Vec<Entry>) -> Self {
        entries.sort_by_key(|entry| (entry.audience == Audience::Owner, entry.rank));
        Self { entries }
    }
}

impl Entry {
    fn is_for(&self, case: &Case, cause: Cause) -> bool {
        lists(&self.causes, &cause)
            && lists(&self.faults, &case.failure().fault)
            && lists(&self.platforms, &case.settings.platform)
            && lists(&self.upstreams, &case.settings.upstream)
            && (self.gateways.is_empty() || gateway(case).is_some_and(|gateway| self.gateways.contains(&gateway)))
    }

    /// The step filled in; none where the case lacks a value for its text, or for each of its commands.
    fn step(&self, case: &Case) -> Option<Step> {
        let text = self.text.sentence(case)?;
        let command = self.commands.iter().find_map(|command| command.command(case));
        let complete = command.is_some() || self.commands.is_empty();
        complete.then(|| Step { audience: self.audience, text, command, private: self.is_private() })
    }
}

/// Who answered in the origin's place, where that is the failure and can be told.
fn gateway(case: &Case) -> Option<Gateway> {
    let failure = Some(case.failure()).filter(|failure| failure.fault.stage() == Stage::Upstream)?;
    failure.response.as_ref()?.gateway
}

/// Whether the list has it; an empty one has everything.
fn lists<T: PartialEq>(list: &[T], item: &T) -> bool {
    list.is_empty() || list.contains(item)
}

/// The built-in runbook.
const BUILT_IN: &str = include_str!("../../config/checklist.toml");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::samples;
    use crate::fault::Fault;

    #[test]
    fn a_step_is_for_its_cause_fault_platform_and_upstream_only() {
        let right = "causes = ['dns', 'tls']\nfaults = ['tls']\nplatforms = ['generic']\nupstreams = ['walrus']";
        let runbook = [
            owner("any", ""),
            owner("right", right),
            owner("cause", "causes = ['network']"),
            owner("fault", "faults = ['dns_timeout']"),
            owner("platform", "platforms = ['php']"),
            owner("upstream", "upstreams = ['other']"),
        ];
        assert_eq!(texts(&runbook), ["any", "right"]);
    }

    #[test]
    fn visitors_come_first_and_each_audience_goes_by_rank() {
        let visitor = |id, more| owner(id, more).replace("owner", "visitor");
        let runbook = [
            owner("b", "rank = 2"),
            visitor("c", "rank = 9"),
            owner("d", "rank = 1"),
            visitor("e", "rank = 1"),
            visitor("f", "rank = 1"),
        ];
        assert_eq!(texts(&runbook), ["e", "f", "c", "d", "b"]);
    }

    #[test]
    fn a_step_makes_way_only_for_one_that_is_shown() {
        let general = || owner("general", "");
        let special = |more| owner("special", &format!("instead_of = ['general']\n{more}"));
        assert_eq!(texts(&[general(), special("causes = ['tls']")]), ["special"]);
        assert_eq!(texts(&[general(), special("causes = ['dns']")]), ["general"]);
        let lacks_a_value = owner("special", "instead_of = ['other']\ncommand = 'ls {socket}'");
        assert_eq!(texts(&[owner("other", "private = true"), lacks_a_value]), ["other"]);
    }

    #[test]
    fn the_first_command_that_has_all_its_values_is_taken() {
        let checklist = checklist(&[owner("a", "commands = ['a {socket}', 'b {host}', 'c']")]);
        let command = Some("b badger.internal".into());
        let step = Step { audience: Audience::Owner, text: "a".into(), command, private: true };
        let mut case = samples::case(Fault::TlsAlert);
        assert_eq!(checklist.steps(&case, Cause::Tls), std::slice::from_ref(&step));
        case.attempts[0].target = None;
        assert_eq!(checklist.steps(&case, Cause::Tls), [Step { command: Some("c".into()), ..step }]);
    }

    #[test]
    fn the_example_at_the_top_of_the_runbook_works() {
        let (head, _) = BUILT_IN.split_once("# The built-in ranks").unwrap();
        let example = head.lines().filter_map(|line| line.strip_prefix("#   ")).collect::<Vec<_>>().join("\n");
        let checklist = Checklist::built_in().with(&example, Path::new("own.toml")).unwrap();
        let mut case = samples::case(Fault::ConnectionRefused);
        case.settings.upstream = "app".into();
        let steps = checklist.steps(&case, Cause::OriginDown);
        let said = |text: &str| steps.iter().any(|step| step.text == text);
        assert!(said("Write to help@example.com, with the request id.") && !said("Restart the application."));
        case.settings.platform = crate::config::Platform::Php;
        let steps = checklist.steps(&case, Cause::OriginDown);
        let restart = steps.iter().find(|step| step.text == "Restart the application.").unwrap();
        assert_eq!(restart.command.as_deref(), Some("ssh badger.internal sudo systemctl restart app"));
    }

    fn owner(id: &str, more: &str) -> String {
        format!("[[step]]\nid = '{id}'\ntext = '{id}'\naudience = 'owner'\n{more}\n")
    }

    fn checklist(steps: &[String]) -> Checklist {
        Checklist { entries: Vec::new() }.with(&steps.concat(), Path::new("own.toml")).unwrap()
    }

    /// The texts of the steps for a TLS alert whose cause is TLS.
    fn texts(steps: &[String]) -> Vec<String> {
        let shown = checklist(steps).steps(&samples::case(Fault::TlsAlert), Cause::Tls);
        shown.into_iter().map(|step| step.text).collect()
    }
}
