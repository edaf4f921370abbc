//! Owns the checks of a failing server: one bounded round at a time, shared by everybody who waits for it.
//!
//! A round is a few packets to the server, its host and the configured name servers, and to nobody else; nothing in it comes
//! from a client. It answers facts (`Observation`), never conclusions. What is measured in it stands in the files beside this
//! one, each of which looks at one thing.

mod board;
mod certificate;
mod checks;
mod hear;
mod host;
mod local;
mod memory;
mod name;
mod netlink;
mod ourselves;
mod path;
mod port;
mod process;
mod reach;
mod round;
mod sockets;
mod subject;
mod talk;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

pub use self::board::Board;
pub use self::board::Ended;
pub use self::ourselves::Ourselves;
use self::subject::Subject;
pub use self::subject::USER_AGENT;
use crate::diagnosis::observation::Findings;
use crate::fault::Failure;
use crate::net::deadline::within;
use crate::upstream;

/// One core's way to the checks: it runs the rounds that it was the first to ask for.
pub struct Prober {
    board: Arc<Board>,
    rounds: RefCell<JoinSet<()>>,
}

impl Prober {
    /// A core's prober over what all cores share.
    #[must_use]
    pub fn new(board: &Arc<Board>) -> Self {
        Self { board: Arc::clone(board), rounds: RefCell::default() }
    }

    /// What is known of the failing server now. Begins a round where one is due, and waits for nothing. Addresses at which the
    /// server has answered before are only asked for where a round begins.
    #[must_use]
    pub fn look(
        &self,
        upstream: &Arc<upstream::Shared>,
        failure: &Failure,
        former: impl FnOnce() -> Vec<IpAddr>,
    ) -> Findings {
        let now = Instant::now();
        let Some(mut subject) = self.subject(upstream, failure) else { return Findings::default() };
        if let Some(report) = self.board.begin(&subject, failure, now) {
            subject.former = former();
            let mut rounds = self.rounds.borrow_mut();
            while rounds.try_join_next().is_some() {}
            rounds.spawn_local(round::run(subject.clone(), failure.clone(), report));
        }
        self.board.findings(&subject, now)
    }

    /// Waits until the round under way has ended, and no longer than the configuration allows.
    pub async fn wait(&self, upstream: &Arc<upstream::Shared>, failure: &Failure) {
        let Some(subject) = self.subject(upstream, failure) else { return };
        let limit = self.board.patience();
        if limit > Duration::ZERO {
            within(limit, self.board.ended(&subject, Instant::now())).await.ok();
        }
    }

    /// Remembers what a later round compares with; to be called about once a second.
    pub fn remember(&self) {
        self.board.remember();
    }

    /// The rounds that have ended since the last call, on whichever core.
    #[must_use]
    pub fn take_ended(&self) -> Vec<Ended> {
        self.board.take_ended()
    }

    fn subject(&self, upstream: &Arc<upstream::Shared>, failure: &Failure) -> Option<Subject> {
        Subject::of(upstream, failure, &self.board.ourselves())
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").field("board", &self.board).finish_non_exhaustive()
    }
}
