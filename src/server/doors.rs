//! Owns the doors of one core: each listener's socket on it, open until the configuration or the program's end closes it.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::listener;
use crate::listener::crowd::Crowd;
use crate::listener::gatekeeper::Gatekeeper;
use crate::listener::orders::Orders;
use crate::proxy::Proxy;
use crate::server::listening::Doorway;
use crate::telemetry::Event;
use crate::telemetry::Notice;

/// The doors of a core.
pub(super) struct Doors {
    proxy: Rc<Proxy>,
    places: (Arc<Gatekeeper>, Rc<Crowd>),
    /// Those that are open, and those that are closed and still have clients inside.
    all: Vec<Rc<Door>>,
    /// What serves at each.
    serving: JoinSet<()>,
    /// What sees to it that those who are inside leave.
    closing: JoinSet<()>,
}

/// One of them.
struct Door {
    /// Its listener's.
    number: u64,
    orders: watch::Sender<Orders>,
    serving: AbortHandle,
}

impl Doors {
    /// None yet.
    pub(super) fn new(proxy: &Rc<Proxy>, places: (Arc<Gatekeeper>, Rc<Crowd>)) -> Self {
        Self { proxy: Rc::clone(proxy), places, all: Vec::new(), serving: JoinSet::new(), closing: JoinSet::new() }
    }

    /// Lets clients in there.
    pub(super) fn open(&mut self, doorway: Doorway) {
        let number = doorway.number;
        if let Err(error) = self.try_open(doorway, number) {
            let message = format!("this core cannot serve a listener: {error}");
            self.proxy.telemetry().record(Event::Notice(Notice { message: &message, dropped: None }));
        }
    }

    fn try_open(&mut self, doorway: Doorway, number: u64) -> io::Result<()> {
        let socket = doorway.into_socket()?;
        let (orders, told) = watch::channel(Orders::Serve);
        let serving = listener::serve(socket, Rc::clone(&self.proxy), self.places.clone(), told);
        let serving = self.serving.spawn_local(serving);
        self.all.push(Rc::new(Door { number, orders, serving }));
        Ok(())
    }

    /// Lets nobody in any more at the doors of that listener. Whoever is in is served, but no longer than this.
    pub(super) fn close(&mut self, number: u64, patience: Duration) {
        for door in self.all.iter().filter(|door| door.number == number) {
            self.closing.spawn_local(see_off(Rc::clone(door), patience));
        }
    }

    /// Forgets those behind which nobody is any more.
    pub(super) fn tidy(&mut self) {
        while self.serving.try_join_next().is_some() {}
        while self.closing.try_join_next().is_some() {}
        self.all.retain(|door| !door.orders.is_closed());
    }

    /// Tells all who are inside.
    pub(super) fn order(&self, orders: Orders) {
        for door in &self.all {
            door.orders.send_replace(orders);
        }
    }

    /// Ends when nobody is inside any more.
    pub(super) async fn empty(&mut self) {
        while self.serving.join_next().await.is_some() {}
    }
}

async fn see_off(door: Rc<Door>, patience: Duration) {
    door.orders.send_if_modified(|orders| {
        let serves = *orders == Orders::Serve;
        *orders = if serves { Orders::Drain } else { *orders };
        serves
    });
    if timeout(patience, door.orders.closed()).await.is_err() {
        door.orders.send_replace(Orders::Leave);
        timeout(LAST_WORDS, door.orders.closed()).await.ok();
        // What is left is in no protocol that has a word for this.
        door.serving.abort();
    }
}

/// How long connections have to end when the patience with them is over.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);
