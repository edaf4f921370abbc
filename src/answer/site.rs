//! Owns what a site says of itself to its visitors: its name, where they find its status or somebody to tell, and a page
//! of its own.

use std::sync::Arc;

use http::StatusCode;

use super::language::Language;
use super::report::VisitorReport;
use super::seen::Seen;
use super::style::Style;
use super::template::Template;
use crate::config;
use crate::config::Contact;
use crate::config::problem::Problem;

/// A site, as its visitors are told of it.
#[derive(Debug, Default)]
pub struct Site {
    name: Option<Arc<str>>,
    contact: Option<Contact>,
    template: Option<Template>,
}

/// What a visitor can do beside the steps of the runbook: the site's contact, and the words around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContactStep<'a> {
    pub(super) before: &'static str,
    pub(super) contact: &'a Contact,
    pub(super) after: &'static str,
}

impl Site {
    /// The site of a configuration whose template has been tried.
    #[must_use]
    pub fn new(page: &config::Page) -> Self {
        let template = page.template.as_ref().and_then(|source| Template::read(source).ok());
        Self { name: page.name.clone(), contact: page.contact.clone(), template }
    }

    /// Tries a template with an answer of every kind.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it, with its line and column.
    pub fn try_template(source: &config::PageTemplate) -> Result<(), Problem> {
        Template::tried(source).map(drop)
    }

    /// Whether visitors get a page of the operator's own.
    pub(super) fn has_own_page(&self) -> bool {
        self.template.is_some()
    }

    /// That page, with marks for what is filled in; none where there is none.
    pub(super) fn own_page(&self, report: &VisitorReport<'_>, style: Style<'_>, status: StatusCode) -> Option<String> {
        self.template.as_ref()?.render(&Seen::new(report, style, status))
    }

    /// The contact as a link.
    pub(super) fn link(&self) -> Option<&Contact> {
        self.contact.as_ref()
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
