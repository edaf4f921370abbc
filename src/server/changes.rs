//! Owns the telling of what changes about servers: the lower floors send it as values, here it becomes log lines.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::config;
use crate::diagnosis::wording::duration;
use crate::proxy::Proxy;
use crate::telemetry::By;
use crate::telemetry::Event;
use crate::telemetry::Notice;
use crate::telemetry::ServerEjected;
use crate::telemetry::ServerReturned;
use crate::upstream::Change;

/// Tells every change until there is nobody left to send one.
pub(super) async fn tell(mut changes: mpsc::UnboundedReceiver<(Arc<config::Upstream>, Change)>, proxy: Rc<Proxy>) {
    let mut stale = Stale::default();
    while let Some((settings, change)) = changes.recv().await {
        let upstream = &*settings.name;
        let server = |index: usize| url(&settings, index);
        match change {
            Change::Ejected { server: index, lasts, failures, last } => {
                let (server, fault) = (&server(index), Some(last.fault));
                let (by, ejected) = (By::Failures, Some(lasts));
                let ejected = ServerEjected { upstream, server, by, fault, status: None, failures, ejected };
                proxy.telemetry().record(Event::ServerEjected(ejected));
            }
            Change::Down { server: index, checks: failures, last } => {
                let (server, fault, status) = (&server(index), last.fault(), last.status());
                let (by, ejected) = (By::Health, None);
                let ejected = ServerEjected { upstream, server, by, fault, status, failures, ejected };
                proxy.telemetry().record(Event::ServerEjected(ejected));
            }
            Change::Returned { server: index, out_for } => {
                let server = &server(index);
                let returned = ServerReturned { upstream, server, by: By::Failures, ejected: out_for };
                proxy.telemetry().record(Event::ServerReturned(returned));
            }
            Change::Up { server: index, out_for } => {
                let server = &server(index);
                let returned = ServerReturned { upstream, server, by: By::Health, ejected: out_for };
                proxy.telemetry().record(Event::ServerReturned(returned));
            }
            Change::ClosesIdle { server: index, after, kept, configured } => {
                let message = format!(
                    "upstream \"{upstream}\": {} closes idle connections after {}, and `[upstream.pool] idle_timeout` keeps \
                     them for {}; they are kept for {} from now on",
                    server(index),
                    duration(after),
                    duration(configured),
                    duration(kept)
                );
                proxy.telemetry().record(Event::Notice(Notice { message: &message, dropped: None }));
            }
            Change::Stale { server: index } => {
                let server = server(index);
                if stale.is_news(&server) {
                    let message = format!(
                        "upstream \"{upstream}\": {server} is reached at addresses whose time is over, for its name servers do not answer"
                    );
                    proxy.telemetry().record(Event::Notice(Notice { message: &message, dropped: None }));
                }
            }
        }
    }
}

fn url(upstream: &config::Upstream, index: usize) -> Arc<str> {
    upstream.servers.get(index).map(|server| Arc::clone(&server.url.text)).unwrap_or_default()
}

/// When each server was last said to be reached at stale addresses, which each of its connections finds anew.
#[derive(Default)]
struct Stale(HashMap<Arc<str>, Instant>);

impl Stale {
    fn is_news(&mut self, server: &Arc<str>) -> bool {
        let now = Instant::now();
        // Servers come and go with the configuration: what was said long ago need not be remembered.
        self.0.retain(|_, told| now.duration_since(*told) < REMIND);
        let news = !self.0.contains_key(server);
        if news {
            self.0.insert(Arc::clone(server), now);
        }
        news
    }
}

/// How often it is said again.
const REMIND: Duration = Duration::from_secs(60);
