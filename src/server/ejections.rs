//! Owns the telling of what changes about servers: the lower floors send it as values, here it becomes log lines.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::proxy::Proxy;
use crate::proxy::state::Shared;
use crate::telemetry::Event;
use crate::telemetry::ServerEjected;
use crate::telemetry::ServerReturned;
use crate::upstream::Change;

/// Tells every change until there is nobody left to send one.
pub(super) async fn tell(
    mut changes: mpsc::UnboundedReceiver<(Arc<str>, Change)>,
    proxy: Rc<Proxy>,
    shared: Arc<Shared>,
) {
    while let Some((upstream, change)) = changes.recv().await {
        let server = |index: usize| {
            let upstream = shared.upstreams.iter().find(|known| known.settings.name == upstream);
            let server = upstream.and_then(|upstream| upstream.servers.get(index));
            server.map(|server| Arc::clone(&server.url.text)).unwrap_or_default()
        };
        match change {
            Change::Ejected { server: index, lasts, failures, last } => {
                let server = &server(index);
                let fault = last.fault;
                let ejected = ServerEjected { upstream: &upstream, server, fault, failures, ejected: lasts };
                proxy.telemetry().record(Event::ServerEjected(ejected));
            }
            Change::Returned { server: index, out_for } => {
                let server = &server(index);
                let returned = ServerReturned { upstream: &upstream, server, ejected: out_for };
                proxy.telemetry().record(Event::ServerReturned(returned));
            }
        }
    }
}
