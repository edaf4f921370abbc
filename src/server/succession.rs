//! Owns the change from one process to the next without a gap: this one takes the place of another, or starts one that takes its own.

use std::io;

use crate::server::Ending;
use crate::server::Reread;
use crate::server::Server;
use crate::server::signal::Signals;
use crate::server::successor::Successor;
use crate::server::successor::Word;

impl Server {
    /// Says that it serves: to the process whose place it takes, and to the service manager.
    pub(super) fn take_its_place(&mut self) {
        self.lasting.readiness.begin();
        let inherited: Vec<u64> = self.sockets.inherited().iter().copied().chain(self.admin.inherited()).collect();
        self.herald.take().unwrap_or_default().accept(&inherited);
        self.systemd.ready();
    }

    /// Starts the process that is to take this one's place. Until it serves, this one goes on.
    pub(super) fn begin_succession(&mut self, signals: &Signals) {
        if !self.is_service {
            self.notice("only `why502 run` can be taken over");
        } else if self.successor.is_some() {
            self.notice("a process that is to take over is being started already");
        } else {
            match signals.inside(|| Successor::start(self.sockets.open().iter().chain(self.admin.open()))) {
                Ok(successor) => self.successor = Some(successor),
                Err(error) => self.say_why_not(&cannot_start(&error)),
            }
        }
    }

    /// The process that was to take this one's place has spoken. Where it has, this one ends.
    pub(super) fn hear(&mut self, word: Word, reread: Option<&Reread>) -> Option<Ending> {
        let successor = self.successor.take()?;
        match word {
            Word::Serves(listeners) => {
                // It may have read its files before they were changed.
                if self.reload_is_due {
                    successor.reload();
                }
                self.systemd.succeeded_by(successor.id());
                let reason = format!("process {} has taken over", successor.id());
                Some(Ending { reason, successor: Some(listeners), heir: Some(successor) })
            }
            Word::Failed(why) => {
                self.say_why_not(&why);
                // What was asked for meanwhile was meant for both.
                if std::mem::take(&mut self.reload_is_due) {
                    self.reload(reread);
                }
                None
            }
        }
    }

    fn say_why_not(&self, why: &str) {
        self.notice(&format!("no other process takes over, and this one serves on: {why}"));
    }
}

fn cannot_start(error: &io::Error) -> String {
    let program = std::env::args().next().unwrap_or_default();
    format!("{program} cannot be started: {error}")
}
