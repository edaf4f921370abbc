//! Owns what a request has to do with incidents: which one its failure belongs to, and who is told of it.

use std::sync::Arc;

use crate::archive::Noted;
use crate::diagnosis::Diagnosis;
use crate::proxy::Proxy;
use crate::proxy::request_id::RequestId;
use crate::proxy::state::State;

impl Proxy {
    /// The incident that a failure belongs to which a client has seen. Where it is the first, the log says so.
    pub(super) fn incident(&self, state: &State, upstream: &Arc<str>, diagnosis: &Diagnosis) -> Option<Noted> {
        let noted = state.shared.archive.failed(upstream, diagnosis, |now| RequestId::new(now).as_str().into())?;
        if let Some(news) = &noted.news {
            news.tell(&self.telemetry);
        }
        Some(noted)
    }

    /// Closes incidents that are over, and tells so; to be called about once a second.
    pub fn review_incidents(&self) {
        let shared = &self.state().shared;
        let of = |name: &str| shared.upstreams.iter().find(|upstream| *upstream.settings.name == *name);
        let news = shared.archive.review(|name| of(name).map(|upstream| upstream.successes()));
        for news in news {
            news.tell(&self.telemetry);
        }
    }
}
