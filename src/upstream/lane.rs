//! Owns what a core makes of a server's answers and failures: each is noted, and may take the server out or bring it back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::config;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::Peer;
use crate::upstream::Lane;
use crate::upstream::Shared;
use crate::upstream::balance::Outcome;
use crate::upstream::died_idle;
use crate::upstream::history::Diary;
use crate::upstream::history::Path;
use crate::upstream::multiplex::Multiplex;
use crate::upstream::pool::Pool;
use crate::upstream::watcher::Watcher;

impl Lane {
    /// The server of that place in the list, with these settings.
    pub(super) fn of(
        shared: &Arc<Shared>,
        server: usize,
        settings: &Arc<config::Upstream>,
        diary: Diary,
    ) -> Option<Self> {
        Some(Self {
            server: Arc::clone(shared.servers.get(server)?),
            settings: Arc::clone(settings),
            pool: Pool::new(settings.pool.clone(), diary.keep_alive()),
            resolver: Arc::clone(&shared.resolver),
            tls: shared.tls.get(server)?.clone(),
            shared: Arc::clone(shared),
            multiplex: Multiplex::new(settings.pool.idle_timeout),
            diary,
            watcher: Watcher::default(),
        })
    }

    /// The server has answered a request for this path that it was given at the moment `asked`, on a connection that had lain
    /// idle for so long.
    pub(super) fn succeeded(&self, path: Path, idle: Option<Duration>, asked: Instant, now: Instant) {
        self.note_success(path, idle, now);
        if !self.shared.ejection.all_in() {
            self.shared.tell(self.shared.ejection.succeeded(self.server.index, asked, now));
        }
    }

    /// The address that a request goes to, where the server's name has several, and another connection may be opened there.
    pub(super) fn address(&self, now: Instant) -> Option<SocketAddr> {
        let chosen = self.server.whereabouts.choose(now)?;
        self.shared.capacity.has_connection_left(self.server.index).then_some(chosen)
    }

    /// The address that the next connection is opened to, where there are several: one that requests share is wanted where there
    /// is none yet.
    pub(super) fn next_address(&self, now: Instant) -> Option<SocketAddr> {
        let mut chosen = self.server.whereabouts.choose(now)?;
        for _ in 0..DRAWS {
            if !self.multiplex.leads_to(chosen) {
                break;
            }
            chosen = self.server.whereabouts.choose(now)?;
        }
        Some(chosen)
    }

    /// Sends nothing more to addresses that the server's name has no more: what is idle is closed, what is in flight ends.
    pub(super) fn leave_old_addresses(&self) {
        let stays = |peer: &Peer| self.server.whereabouts.lead_to(peer);
        self.pool.keep(stays);
        self.multiplex.keep(stays);
    }

    /// The head of an answer has come, to a request that was sent at that moment. A server that is quick to say that it failed is
    /// not quick.
    pub(super) fn began(&self, status: StatusCode, sent: Instant) {
        if self.shared.balancer.watches() {
            let now = Instant::now();
            let took = now.saturating_duration_since(sent);
            let outcome = if status.is_server_error() { Outcome::Failed } else { Outcome::Answered(took) };
            self.shared.balancer.note(self.server.index, outcome, now);
        }
    }

    /// A failure counts against the server unless it is this host's own, or only the end of an idle connection. That a limit of
    /// this proxy's was reached says nothing of the server at all.
    pub(super) fn failed(&self, failure: &Failure, path: Path) {
        if failure.fault == Fault::ServerAtCapacity {
            return;
        }
        let now = Instant::now();
        self.note_failure(failure, path, now);
        let own = matches!(
            failure.fault,
            Fault::LocalPortsExhausted | Fault::FileDescriptorsExhausted | Fault::ConnectionProhibited
        );
        if !own && !died_idle(failure) && !failure.was_closing() {
            self.shared.balancer.note(self.server.index, Outcome::Failed, now);
            self.shared.tell(self.shared.ejection.failed(self.server.index, failure, now));
        }
    }
}

/// How often an address is drawn, at most, to find one without a connection.
const DRAWS: usize = 8;
