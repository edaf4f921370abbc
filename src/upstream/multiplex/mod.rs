//! Owns the HTTP/2 connections of one core to one server: who may open a stream on which, and when another is opened.
//!
//! A connection carries many requests at once, so it is shared and never taken out. Requests that find none wait for the one
//! who opens it, and where that fails, they all have the same failure.

mod connection;
mod stream;

use std::cell::Cell;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

pub(super) use self::connection::Connection;
pub(super) use self::connection::Place;
pub(super) use self::stream::Refused;
pub(super) use self::stream::Stream;
use crate::fault::Failure;
use crate::fault::failure::Peer;

/// Why a connection could not be opened; none as long as that is not so.
type Outcome = Option<Box<Failure>>;

/// The HTTP/2 connections to one server.
#[derive(Debug)]
pub(super) struct Multiplex {
    connections: RefCell<Vec<Rc<Connection>>>,
    opening: RefCell<Option<watch::Receiver<Outcome>>>,
    idle_timeout: Duration,
    speaks_http1: Cell<bool>,
}

/// What came of waiting for a connection.
#[derive(Debug)]
pub(super) enum Waited {
    /// Nobody opens one.
    Nobody,
    /// Somebody has, or has given up.
    Opened,
    /// It could not be opened.
    Failed(Box<Failure>),
}

/// Held by whoever opens a connection for all who wait. They go on when it is dropped, or when it has failed.
#[derive(Debug)]
pub(super) struct Opening(watch::Sender<Outcome>);

impl Opening {
    /// The connection cannot be opened; all who wait fail alike.
    pub(super) fn failed(self, failure: &Failure) {
        self.0.send_replace(Some(Box::new(failure.clone())));
    }
}

impl Multiplex {
    pub(super) fn new(idle_timeout: Duration) -> Self {
        let (connections, opening) = (RefCell::default(), RefCell::default());
        Self { connections, opening, idle_timeout, speaks_http1: Cell::new(false) }
    }

    /// A place for one more stream, on the oldest connection that has one: later ones were opened for a rush and may end. Where an
    /// address is given, on one to that.
    pub(super) fn enter(&self, to: Option<SocketAddr>, now: Instant) -> Option<Place> {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| connection.is_open());
        let fits = |connection: &Rc<Connection>| to.is_none_or(|to| connection.peer == Peer::Tcp(to));
        let found = connections.iter().find(|connection| connection.has_room() && fits(connection));
        found.map(|connection| connection.enter(now))
    }

    /// Whether a connection to that address is open.
    pub(super) fn leads_to(&self, address: SocketAddr) -> bool {
        let peer = Peer::Tcp(address);
        self.connections.borrow().iter().any(|connection| connection.is_open() && connection.peer == peer)
    }

    /// Opens no more streams but to peers that may stay; each connection ends with its last stream.
    pub(super) fn keep(&self, stays: impl Fn(&Peer) -> bool) {
        self.connections.borrow_mut().retain(|connection| stays(&connection.peer));
    }

    /// Adds a connection, with a place on it for whoever opened it.
    pub(super) fn add(&self, connection: &Rc<Connection>, now: Instant) -> Place {
        self.speaks_http1.set(false);
        self.connections.borrow_mut().push(Rc::clone(connection));
        connection.enter(now)
    }

    /// The server was last found to agree on HTTP/1.1, so that nobody needs to wait for a connection that all share.
    pub(super) fn found_http1(&self) {
        self.speaks_http1.set(true);
    }

    /// Whether it was.
    pub(super) fn speaks_http1(&self) -> bool {
        self.speaks_http1.get()
    }

    /// Waits while somebody opens a connection; not at all where nobody does.
    pub(super) async fn wait(&self) -> Waited {
        let Some(mut opening) = self.opening.borrow().clone() else { return Waited::Nobody };
        let outcome = opening.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        self.opening.borrow_mut().take_if(|known| known.same_channel(&opening));
        outcome.ok().flatten().map_or(Waited::Opened, Waited::Failed)
    }

    /// Opens a connection for all who come meanwhile.
    pub(super) fn lead(&self) -> Opening {
        let (sender, receiver) = watch::channel(None);
        *self.opening.borrow_mut() = Some(receiver);
        Opening(sender)
    }

    /// Closes so many connections on which there is nothing, to make room for others. Where there are none, one ends with the
    /// streams that it carries, or another core would wait for as long as this one has something to do.
    pub(super) fn evict(&self, count: usize, now: Instant) {
        let mut left = count;
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| {
            let goes = left > 0 && connection.is_idle_for(Duration::ZERO, now);
            left -= usize::from(goes);
            !goes
        });
        if left == count && !connections.is_empty() {
            connections.remove(0);
        }
    }

    /// Closes what has been idle for too long, and forgets what has ended.
    pub(super) fn sweep(&self, now: Instant) {
        let keep =
            |connection: &Rc<Connection>| connection.is_open() && !connection.is_idle_for(self.idle_timeout, now);
        self.connections.borrow_mut().retain(keep);
    }
}
