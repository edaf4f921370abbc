//! Owns what a round is about: one configured server, and how it is spoken to.

use std::sync::Arc;

use crate::fault::Failure;
use crate::upstream;

/// A server under examination.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    key: Key,
    pub(super) upstream: Arc<upstream::Shared>,
    pub(super) server: Arc<upstream::Server>,
}

/// A server among all of this process: its upstream's name and its URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key(Arc<str>, Arc<str>);

impl Subject {
    /// The server that failed; none where the failure was met before one was chosen.
    pub(super) fn of(upstream: &Arc<upstream::Shared>, failure: &Failure) -> Option<Self> {
        let target = failure.target.as_ref()?;
        let server = upstream.servers.iter().find(|server| server.target.url == target.url)?;
        let key = Key(Arc::clone(&upstream.settings.name), Arc::clone(&target.url));
        Some(Self { key, upstream: Arc::clone(upstream), server: Arc::clone(server) })
    }

    pub(super) const fn key(&self) -> &Key {
        &self.key
    }
}
