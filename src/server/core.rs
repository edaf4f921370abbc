//! Owns one core: its thread, its runtime, and everything that lives in it.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::task::LocalSet;

use crate::listener;
use crate::listener::gatekeeper::Gatekeeper;
use crate::listener::orders::Orders;
use crate::proxy::Proxy;
use crate::proxy::state::Shared;
use crate::proxy::state::State;
use crate::server::changes;
use crate::telemetry;
use crate::telemetry::Event;
use crate::telemetry::Notice;
use crate::upstream::Change;
use crate::upstream::health;

/// A listening socket that belongs to no runtime yet.
#[derive(Debug)]
pub(super) enum Bound {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Bound {
    fn into_socket(self) -> std::io::Result<listener::Socket> {
        Ok(match self {
            Self::Tcp(bound) => listener::Socket::Tcp(TcpListener::from_std(bound)?),
            Self::Unix(bound) => listener::Socket::Unix(UnixListener::from_std(bound)?),
        })
    }
}

/// What a core is started with.
pub(super) struct Core {
    pub(super) shared: Arc<Shared>,
    pub(super) sockets: Vec<Bound>,
    pub(super) telemetry: telemetry::Core,
    pub(super) gatekeeper: Arc<Gatekeeper>,
    pub(super) drain: watch::Receiver<Orders>,
    pub(super) shutdown_timeout: Duration,
    /// What changes about servers; one of the cores tells it, and checks them.
    pub(super) changes: Option<mpsc::UnboundedReceiver<(Arc<str>, Change)>>,
}

impl Core {
    /// Serves until it is to stop and has drained.
    pub(super) fn run(self, runtime: &Runtime) {
        LocalSet::new().block_on(runtime, self.serve());
    }

    async fn serve(self) {
        let Self { shared, sockets, telemetry, gatekeeper, mut drain, shutdown_timeout, changes } = self;
        let proxy = Proxy::new(State::new(&shared), telemetry);
        // The core's own orders: the program's, and the end of its patience.
        let (order, orders) = watch::channel(Orders::Serve);
        let mut doors = JoinSet::new();
        for socket in sockets {
            match socket.into_socket() {
                Ok(socket) => {
                    doors.spawn_local(listener::serve(
                        socket,
                        Rc::clone(&proxy),
                        Arc::clone(&gatekeeper),
                        orders.clone(),
                    ));
                }
                Err(error) => {
                    let message = format!("this core cannot serve a listener: {error}");
                    proxy.telemetry().record(Event::Notice(Notice { message: &message, dropped: None }));
                }
            }
        }
        let mut housekeeping = JoinSet::new();
        housekeeping.spawn_local(keep_house(Rc::clone(&proxy)));
        if let Some(changes) = changes {
            housekeeping.spawn_local(changes::tell(changes, Rc::clone(&proxy), Arc::clone(&shared)));
            for watch in shared.upstreams.iter().flat_map(health::watches) {
                housekeeping.spawn_local(watch);
            }
        }
        listener::orders::stopped(&mut drain).await;
        order.send_replace(Orders::Drain);
        let mut finished = pin!(async { while doors.join_next().await.is_some() {} });
        let all_left = tokio::select! {
            over = tokio::time::timeout(shutdown_timeout, finished.as_mut()) => over.is_ok(),
            _ = drain.wait_for(|orders| *orders == Orders::Leave) => false,
        };
        if !all_left {
            // The rest ends at once now, each in a way that its client can tell.
            order.send_replace(Orders::Leave);
            tokio::time::timeout(LAST_WORDS, finished).await.ok();
        }
        proxy.tell_of_rounds();
        proxy.telemetry().flush();
    }
}

/// Tells what has ended in the background, hands the log over, and closes connections and incidents that nobody needs any more.
async fn keep_house(proxy: Rc<Proxy>) {
    let mut tick = tokio::time::interval(TICK);
    for count in 1_u32.. {
        tick.tick().await;
        proxy.tell_of_rounds();
        proxy.telemetry().flush();
        proxy.state().make_room();
        if count % TICKS_A_SWEEP == 0 {
            proxy.state().sweep();
            proxy.review_incidents();
            proxy.remember();
        }
    }
}

/// How long an access line may wait.
const TICK: Duration = Duration::from_millis(100);
const TICKS_A_SWEEP: u32 = 10;
/// How long connections have to end when the core's patience is over.
const LAST_WORDS: Duration = Duration::from_secs(1);
