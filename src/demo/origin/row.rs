//! Owns what a row of the tables says: which origin, what it shows, and what to send to see it.

use super::Origin;
use super::Unavailable;
use super::Way;
use super::Workshop;
use crate::fault::Fault;

/// One origin of the demo.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// A unique word: the upstream's name, and the last part of the route's path.
    pub name: &'static str,
    /// The fault that it leads to; none where it works.
    pub fault: Option<Fault>,
    /// What happens, in one sentence for the start page.
    pub story: &'static str,
    /// How it is made.
    pub way: Way,
    /// What has to be sent to see it.
    pub ask: Ask,
    /// What the upstream needs to be told, as lines of TOML, beside what the way needs.
    pub settings: &'static [&'static str],
    /// How many requests have to fail before this one shows.
    pub rehearsals: usize,
}

/// What has to be sent to an origin to see what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// A GET, as a link sends it.
    Get,
    /// A POST with a body of `UPLOAD_BYTES`.
    Upload,
    /// A GET, then a POST on the same connection, so that the proxy's own connection is a used one.
    PostAfterGet,
    /// A WebSocket handshake and one message.
    WebSocket,
}

/// Larger than all the buffers on the way, so that an origin that stops reading is felt.
pub const UPLOAD_BYTES: usize = 32 * 1024 * 1024;

impl Row {
    /// A row that leads to a fault and is met by a GET.
    pub(super) const fn broken(name: &'static str, fault: Fault, way: Way, story: &'static str) -> Self {
        Self { name, fault: Some(fault), story, way, ask: Ask::Get, settings: &[], rehearsals: 0 }
    }

    /// A row that works.
    pub(super) const fn healthy(name: &'static str, way: Way, story: &'static str) -> Self {
        Self { name, fault: None, story, way, ask: Ask::Get, settings: &[], rehearsals: 0 }
    }

    pub(super) const fn asked(self, ask: Ask) -> Self {
        Self { ask, ..self }
    }

    pub(super) const fn with(self, settings: &'static [&'static str]) -> Self {
        Self { settings, ..self }
    }

    pub(super) const fn after(self, rehearsals: usize) -> Self {
        Self { rehearsals, ..self }
    }

    /// The path of its route behind the proxy, without a slash at its end.
    #[must_use]
    pub fn path(&self) -> String {
        let kind = if self.fault.is_some() { "fault" } else { "healthy" };
        format!("/{kind}/{}", self.name)
    }

    /// Starts the origin, within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Where this machine does not allow it, with the reason.
    pub fn start(&self, workshop: &Workshop) -> Result<Origin, Unavailable> {
        let mut origin = self.way.start(self.name, workshop)?;
        origin.settings.extend(self.settings.iter().map(|line| (*line).to_owned()));
        Ok(origin)
    }
}
