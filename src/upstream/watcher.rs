//! Owns what an exchange tells of itself while it goes on, to somebody who watches it step by step. Nobody does where requests are
//! served, and then nothing is put into words.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::fault::Stage;

/// A step of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It begins.
    Begun {
        /// Which.
        stage: Stage,
        /// With what: a name, an address.
        with: String,
        /// How long it may take.
        limit: Duration,
    },
    /// The one that has begun went well.
    Done {
        /// What came of it.
        found: String,
    },
}

/// Whoever is told; nobody, by default.
#[derive(Clone, Default)]
pub(super) struct Watcher(Option<Rc<Tell>>);

/// What is told of each step.
pub type Tell = dyn Fn(Step);

impl Watcher {
    pub(super) fn new(tell: &Rc<Tell>) -> Self {
        Self(Some(Rc::clone(tell)))
    }

    /// A step begins.
    pub(super) fn begun(&self, stage: Stage, limit: Duration, with: impl FnOnce() -> String) {
        if let Some(tell) = &self.0 {
            tell(Step::Begun { stage, with: with(), limit });
        }
    }

    /// The step that has begun went well.
    pub(super) fn done(&self, found: impl FnOnce() -> String) {
        if let Some(tell) = &self.0 {
            tell(Step::Done { found: found() });
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Watcher" } else { "nobody" })
    }
}
