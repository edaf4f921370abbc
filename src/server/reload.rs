//! Owns the way of a new configuration into the running program: what is equal stays, what is wrong is refused as a whole.
//!
//! Whatever can fail comes first: reading the files, setting up TLS, opening the log's output, binding new listeners. Only then
//! each core goes over to the new state, in one step; requests in flight end with the state that they began with.

use std::collections::HashMap;
use std::error::Error;
use std::iter;
use std::sync::Arc;
use std::sync::mpsc;

use crate::config::Config;
use crate::config::Listener;
use crate::config::problem::Problem;
use crate::diagnosis::Checklist;
use crate::proxy::state::Shared;
use crate::server::Server;
use crate::server::StartError;
use crate::server::core::Update;
use crate::server::listening::Doorway;
use crate::telemetry::Event;
use crate::telemetry::Notice;
use crate::telemetry::ReloadRefused;
use crate::telemetry::Reloaded;

/// Reads the configuration again, with all the files that it names.
pub type Reread = Box<dyn Fn() -> Result<(Config, Checklist), Vec<Problem>>>;

impl Server {
    /// Reads the configuration again and goes by it, or says why not. The log is opened anew all the same.
    pub(super) fn reload(&mut self, reread: Option<&Reread>) {
        self.systemd.reloading();
        self.read_again(reread);
        self.systemd.ready();
    }

    fn read_again(&mut self, reread: Option<&Reread>) {
        let Some(reread) = reread else {
            self.telemetry.reopen();
            self.notice("there is no configuration file to read again; the log was opened anew");
            return;
        };
        let file = self.shared.config.file.as_ref().map(|file| file.display().to_string());
        let configuration = file.as_deref();
        let read = reread().map_err(|problems| problems.iter().map(ToString::to_string).collect());
        match read
            .and_then(|(config, checklist)| self.go_by(config, checklist).map_err(|error| vec![in_one_line(&error)]))
        {
            Ok(changed) => self.own.record(Event::Reloaded(Reloaded { configuration, changed: &changed })),
            Err(problems) => {
                self.telemetry.reopen();
                let problems: &[String] = &problems;
                self.own.record(Event::ReloadRefused(ReloadRefused { configuration, problems }));
            }
        }
    }

    /// Goes by this configuration; what is another then. Nothing has changed where it fails.
    fn go_by(&mut self, config: Config, checklist: Checklist) -> Result<Vec<String>, StartError> {
        let before = Arc::clone(&self.shared);
        let log = self.telemetry.prepare(&config.log, &before.config.log);
        let log = log.map_err(|source| StartError::Log { output: super::output(&config), source })?;
        let shared = Arc::new(self.lasting.share(config, checklist, &before.upstreams)?);
        let plan = self.sockets.plan(&shared.config.listeners)?;
        let admin = self.admin.plan(shared.config.admin.as_ref())?;

        let addresses = plan.addresses.clone();
        let (doorways, close) = self.sockets.carry_out(plan).map_err(StartError::Runtime)?;
        self.lasting.follow(&shared, &addresses);
        self.certificates.follow(self.sockets.entrances());
        self.webhook.configure(shared.config.incidents.webhook.as_ref());
        self.addresses = addresses;
        self.shared = Arc::clone(&shared);
        self.telemetry.switch(log, || self.tell_cores(&shared, doorways, &close));
        let view = self.view();
        if let Err(error) = self.admin.carry_out(admin, view, &self.telemetry) {
            self.notice(&format!("nobody can look at this program, for its thread cannot be started: {error}"));
        }
        let told = before.config.notices();
        for notice in shared.config.notices().iter().filter(|notice| !told.contains(notice)) {
            self.notice(notice);
        }
        if shared.config.runtime != before.config.runtime {
            self.notice("`[runtime] workers` is another now, which takes effect when the program is restarted");
        }
        Ok(differences(&before, &shared))
    }

    /// Ends when all of them have gone over.
    fn tell_cores(&self, shared: &Arc<Shared>, doorways: Vec<Vec<Doorway>>, close: &[u64]) {
        let (done, all_done) = mpsc::channel();
        for (core, open) in self.cores.iter().zip(doorways) {
            let update = Update { shared: Arc::clone(shared), open, close: close.to_vec(), done: done.clone() };
            // A core that panicked has told so.
            core.updates.send(update).ok();
        }
        drop(done);
        // Nothing is ever sent: it ends when the last of them has dropped its end.
        all_done.recv().ok();
    }

    pub(super) fn notice(&self, message: &str) {
        self.own.record(Event::Notice(Notice { message, dropped: None }));
    }
}

/// An error with all that led to it, as one line.
#[must_use]
pub fn in_one_line(error: &dyn Error) -> String {
    let sources = iter::successors(error.source(), |error| (*error).source());
    iter::once(error.to_string()).chain(sources.map(|source| format!("; because: {source}"))).collect()
}

/// What is another, each in a few words.
fn differences(before: &Shared, after: &Shared) -> Vec<String> {
    let Config {
        file: _,
        shutdown_timeout,
        listeners,
        routes,
        upstreams: _,
        dns,
        diagnosis,
        operators,
        page,
        forwarding,
        limits,
        log,
        admin,
        incidents,
        // That is said apart, for nothing comes of it yet.
        runtime: _,
    } = &before.config;
    let now = &after.config;
    let addresses =
        |listeners: &[Listener]| listeners.iter().map(|one| (one.address.to_string(), one.clone())).collect();
    let upstreams = |shared: &Shared| {
        let upstreams = shared.upstreams.iter();
        upstreams.map(|one| (format!("\"{}\"", one.settings.name), Arc::as_ptr(one))).collect()
    };
    let mut changed = compare("listener", addresses(listeners), &addresses(&now.listeners));
    changed.extend(compare("upstream", upstreams(before), &upstreams(after)));
    let tables = [
        ("shutdown_timeout", *shutdown_timeout == now.shutdown_timeout),
        ("[[route]]", *routes == now.routes),
        ("[dns]", *dns == now.dns),
        ("[diagnosis]", *diagnosis == now.diagnosis),
        ("the runbook", before.checklist == after.checklist),
        ("[operators]", *operators == now.operators),
        ("[page]", *page == now.page),
        ("[forwarding]", *forwarding == now.forwarding),
        ("[limits]", *limits == now.limits),
        ("[log]", *log == now.log),
        ("[admin]", *admin == now.admin),
        ("[incidents]", *incidents == now.incidents),
    ];
    changed.extend(tables.iter().filter(|(_, same)| !same).map(|(name, _)| (*name).to_owned()));
    changed
}

/// What came, went, or is another under the same name.
fn compare<T: PartialEq>(what: &str, before: Vec<(String, T)>, after: &[(String, T)]) -> Vec<String> {
    let mut before: HashMap<String, T> = before.into_iter().collect();
    let mut changed = Vec::new();
    for (name, now) in after {
        match before.remove(name) {
            None => changed.push(format!("{what} {name}: new")),
            Some(then) if then != *now => changed.push(format!("{what} {name}: changed")),
            Some(_) => {}
        }
    }
    let mut removed: Vec<String> = before.into_keys().map(|name| format!("{what} {name}: removed")).collect();
    removed.sort();
    changed.extend(removed);
    changed
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn what_came_went_or_changed_is_said() {
        let list =
            |rows: &[(&str, u8)]| rows.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect::<Vec<_>>();
        let before = list(&[("a", 1), ("b", 2), ("d", 4), ("c", 3)]);
        let after = list(&[("e", 5), ("b", 2), ("a", 7)]);
        let says = ["listener e: new", "listener a: changed", "listener c: removed", "listener d: removed"];
        assert_eq!(compare("listener", before, &after), says);
        assert_eq!(compare("listener", list(&[("a", 1)]), &list(&[("a", 1)])), [""; 0]);
    }
}
