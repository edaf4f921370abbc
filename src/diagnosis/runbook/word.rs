//! Owns the words of a runbook: ids, sentences, commands, and the names of causes, faults and platforms.

use crate::config::Platform;
use crate::config::document::Word;
use crate::config::document::Written;
use crate::config::document::nearest;
use crate::config::problem::Wrong;
use crate::config::problem::one_of;
use crate::config::problem::quoted;
use crate::diagnosis::Audience;
use crate::diagnosis::Cause;
use crate::diagnosis::command::Template;
use crate::fault::Fault;
use crate::fault::Stage;
use crate::fault::gateway::Gateway;

/// The name of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Id(pub(super) String);

impl Written for Id {
    const NOUN: &'static str = "an id";

    fn cure() -> String {
        "write lower-case letters, digits and hyphens".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_id = !text.is_empty() && text.chars().all(allowed);
        if is_id { Ok(Self(text.to_owned())) } else { Err(Self::refused(&quoted(text))) }
    }
}

/// A text that may have placeholders.
pub(super) struct Sentence(pub(super) Template);

impl Written for Sentence {
    const NOUN: &'static str = "text";

    fn cure() -> String {
        "write a sentence in quotes".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.trim().is_empty() { Err(Self::refused(&quoted(text))) } else { Template::read(text).map(Self) }
    }
}

/// A command that may have placeholders.
pub(super) struct Command(pub(super) Template);

impl Written for Command {
    const NOUN: &'static str = "a command";

    fn cure() -> String {
        "write a command line in quotes".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.trim().is_empty() { Err(Self::refused(&quoted(text))) } else { Template::read_command(text).map(Self) }
    }
}

/// The faults that a word stands for: its own, or all of a stage.
pub(super) struct Group(pub(super) Vec<Fault>);

impl Written for Group {
    const NOUN: &'static str = "a fault or a stage";

    fn cure() -> String {
        format!("write a fault's word, or {}", one_of(Stage::ALL.iter().map(|stage| stage.word())))
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let stands_for = |fault: &Fault| fault.word() == text || fault.stage().word() == text;
        let faults: Vec<Fault> = Fault::ALL.into_iter().filter(stands_for).collect();
        if !faults.is_empty() {
            return Ok(Self(faults));
        }
        match nearest(text, Fault::ALL.iter().map(|fault| fault.word())) {
            Some(nearest) => {
                Err(Wrong { instead: format!("did you mean {}?", quoted(nearest)), ..Self::refused(&quoted(text)) })
            }
            None => Err(Self::refused(&quoted(text))),
        }
    }
}

impl Written for Cause {
    const NOUN: &'static str = "a cause";

    fn cure() -> String {
        format!("write {}", one_of(Self::ALL.iter().map(|cause| cause.word())))
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        Self::from_word(text).ok_or_else(|| Self::refused(&quoted(text)))
    }
}

impl Written for Gateway {
    const NOUN: &'static str = "a gateway";

    fn cure() -> String {
        format!("write {}", one_of(Self::ALL.iter().map(|gateway| gateway.word())))
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        Self::ALL.into_iter().find(|gateway| gateway.word() == text).ok_or_else(|| Self::refused(&quoted(text)))
    }
}

impl Word for Audience {
    const NOUN: &'static str = "an audience";
    const WORDS: &'static [(&'static str, Self)] =
        &[(Self::Visitor.word(), Self::Visitor), (Self::Owner.word(), Self::Owner)];
}

/// What an upstream is made with.
pub(super) struct Runs(pub(super) Platform);

impl Written for Runs {
    const NOUN: &'static str = "a platform";

    fn cure() -> String {
        format!("write {}", one_of(Platform::ALL.iter().map(|platform| platform.word())))
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let platform = Platform::ALL.into_iter().find(|platform| platform.word() == text);
        platform.map(Self).ok_or_else(|| Self::refused(&quoted(text)))
    }
}
