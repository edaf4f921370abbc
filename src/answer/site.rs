//! Owns what a site says of itself to its visitors: its name, and where they find its status or somebody to tell.

use std::sync::Arc;

use super::language::Language;
use crate::config;
use crate::config::Contact;

/// A site, as its visitors are told of it.
#[derive(Debug, Default)]
pub struct Site {
    name: Option<Arc<str>>,
    contact: Option<Contact>,
}

/// What a visitor can do beside the steps of the runbook: the site's contact, and the words around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContactStep<'a> {
    pub(super) before: &'static str,
    pub(super) contact: &'a Contact,
    pub(super) after: &'static str,
}

impl Site {
    /// The site of a configuration.
    #[must_use]
    pub fn new(page: &config::Page) -> Self {
        Self { name: page.name.clone(), contact: page.contact.clone() }
    }

    /// What it is called, where it has a name.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where visitors find its status or somebody to tell, as a step in their language.
    pub(super) fn contact(&self, language: Language) -> Option<ContactStep<'_>> {
        let contact = self.contact.as_ref()?;
        let says = language.say("Status and contact: {contact}");
        let (before, after) = says.split_once("{contact}").unwrap_or((says, ""));
        Some(ContactStep { before, contact, after })
    }
}

impl ContactStep<'_> {
    /// The step as plain text, with the link as it is followed.
    pub(super) fn text(&self) -> String {
        format!("{}{}{}", self.before, self.contact.url(), self.after)
    }
}
