//! Owns one HTTP/2 connection to a server: the task that drives it, the streams on it, and when it ends.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client;
use h2::client::SendRequest;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::fault::failure::ConnectionEvidence;
use crate::fault::failure::Peer;
use crate::net::deadline::Deadline;
use crate::net::stream::Stream;
use crate::net::tap::Tap;
use crate::net::tap::Tapped;
use crate::upstream::limit;
use crate::upstream::multiplex::Opening;

/// An open connection. It is closed, with a word to the server, when nobody holds it any more.
pub(in crate::upstream) struct Connection {
    pub(super) sender: SendRequest<Bytes>,
    /// What it carries, of all streams together.
    pub(in crate::upstream) tap: Rc<Tap>,
    /// The far end.
    pub(in crate::upstream) peer: Peer,
    opened: Instant,
    streams: Cell<usize>,
    served: Cell<u32>,
    idle_since: Cell<Instant>,
    state: Rc<State>,
    /// Tells the driver by its end that nobody holds the connection any more.
    _held: oneshot::Sender<()>,
}

/// What the driver sees of a connection.
#[derive(Debug)]
struct State {
    /// How many streams the server allows at once.
    room: Cell<usize>,
    /// Whether that is known: until it is, only the one who opened the connection uses it.
    settled: Cell<bool>,
    ended: Cell<bool>,
}

/// A place on a connection, for one stream. Dropping it frees it.
#[derive(Debug)]
pub(in crate::upstream) struct Place {
    pub(in crate::upstream) connection: Rc<Connection>,
    /// The connection's past, when the place was taken.
    pub(in crate::upstream) past: ConnectionEvidence,
}

impl Connection {
    /// Begins HTTP/2 on a stream, with a limit on the heads of responses, and the place that the connection takes.
    ///
    /// # Errors
    ///
    /// h2's, which has none to tell before anything was sent but that the stream is broken.
    pub(in crate::upstream) async fn begin(
        stream: Stream,
        peer: Peer,
        (header_limit, place): (u64, Option<limit::Place>),
        opening: Option<Opening>,
    ) -> Result<Rc<Self>, h2::Error> {
        let tap = Tap::new();
        let opened = Instant::now();
        tap.watch_frames();
        tap.begin(FIRST_BYTES, opened);
        let descriptor = stream.descriptor();
        let stream = Tapped::over(stream, Rc::clone(&tap), descriptor);
        // Nothing can be read before the preface is out, so that a write that fails has to say so itself.
        tap.report_writes(true);
        let begun = client::Builder::new()
            .enable_push(false)
            .initial_max_send_streams(STREAMS_UNTIL_SAID)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(header_limit).unwrap_or(u32::MAX))
            .handshake(stream)
            .await;
        tap.report_writes(false);
        let (sender, connection) = begun?;
        let room = Cell::new(STREAMS_UNTIL_SAID);
        let state = Rc::new(State { room, settled: Cell::new(false), ended: Cell::new(false) });
        let (held, gone) = oneshot::channel();
        let driver = Driver { _place: place, connection, state: Rc::clone(&state), tap: Rc::clone(&tap), gone };
        tokio::task::spawn_local(driver.drive(opening));
        Ok(Rc::new(Self {
            sender,
            tap,
            peer,
            opened,
            streams: Cell::new(0),
            served: Cell::new(0),
            idle_since: Cell::new(opened),
            state,
            _held: held,
        }))
    }

    /// Whether new streams may be opened on it: the server may have said that it wants no more (GOAWAY), or be gone.
    pub(super) fn is_open(&self) -> bool {
        !self.state.ended.get() && !self.tap.is_going_away() && self.tap.ended().is_none()
    }

    /// No new streams are opened on it.
    pub(super) fn retire(&self) {
        self.state.ended.set(true);
    }

    /// Whether the server allows one more stream.
    pub(super) fn has_room(&self) -> bool {
        self.state.settled.get() && self.streams.get() < self.state.room.get()
    }

    /// Takes a place on it.
    pub(in crate::upstream) fn enter(self: &Rc<Self>, now: Instant) -> Place {
        let idle = self.streams.get() == 0 && self.served.get() > 0;
        self.streams.set(self.streams.get() + 1);
        let past = ConnectionEvidence {
            reused: self.served.get() > 0,
            idle: idle.then(|| now.duration_since(self.idle_since.get())),
            age: Some(now.duration_since(self.opened)),
            requests_served: self.served.get(),
            keep_alive_hint: None,
        };
        Place { connection: Rc::clone(self), past }
    }

    /// It has answered a request.
    pub(super) fn answered(&self) {
        self.served.set(self.served.get().saturating_add(1));
    }

    pub(super) fn is_idle_for(&self, limit: Duration, now: Instant) -> bool {
        self.streams.get() == 0 && now.duration_since(self.idle_since.get()) >= limit
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.streams.set(connection.streams.get().saturating_sub(1));
        connection.idle_since.set(Instant::now());
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Connection");
        shown.field("peer", &self.peer).field("streams", &self.streams.get()).finish_non_exhaustive()
    }
}

/// What drives a connection.
struct Driver {
    connection: client::Connection<Tapped<Stream>, Bytes>,
    state: Rc<State>,
    tap: Rc<Tap>,
    gone: oneshot::Receiver<()>,
    /// Last, so that it is given back when the connection is closed.
    _place: Option<limit::Place>,
}

impl Driver {
    /// Drives the connection to its end. Once the server has said how many streams it allows, those who wait for the
    /// connection may come; once nobody holds it, the server has a little time to take the farewell.
    async fn drive(mut self, mut opening: Option<Opening>) {
        let mut farewell = None;
        let mut patience = Deadline::after(SETTINGS_PATIENCE);
        poll_fn(|cx| {
            if farewell.is_none() && Pin::new(&mut self.gone).poll(cx).is_ready() {
                farewell = Some(Deadline::after(FAREWELL));
            }
            // How it ended is seen by the tap and told to each stream.
            if Pin::new(&mut self.connection).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            self.state.room.set(self.connection.max_concurrent_send_streams());
            if !self.state.settled.get() && (self.tap.is_greeted() || Pin::new(&mut patience).poll(cx).is_ready()) {
                self.state.settled.set(true);
                opening = None;
            }
            farewell.as_mut().map_or(Poll::Pending, |limit| Pin::new(limit).poll(cx))
        })
        .await;
        self.state.ended.set(true);
    }
}

/// How much of what the server says first is kept, to recognise what it speaks.
const FIRST_BYTES: usize = 64;
/// How long those who wait for a connection wait for the server's settings.
const SETTINGS_PATIENCE: Duration = Duration::from_secs(1);
/// How many streams are opened at once before the server has said how many it allows (RFC 9113, section 6.5.2, recommends
/// that it be at least as many).
const STREAMS_UNTIL_SAID: usize = 100;
/// How much a server may send ahead of a client that reads slowly: for one response, and for all of a connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 32 << 20;
/// How long a server may take to take the end of a connection.
const FAREWELL: Duration = Duration::from_secs(2);
