//! Owns a client's connection of HTTP/2: the conversation, its time limits, and how it ends.
//!
//! ```text
//! mod        the conversation: accepts requests, looks after the limits, says farewell
//! wire       the stream below it, what is seen as bytes pass, and the stream back when the conversation has ended
//! meter      what a client's frames bring and what they cost: a flood ends the connection
//! turns      whose turn it is to be sent while the client takes nothing
//! exchange   one request on its stream, in a task of its own: a bug or a reader that is slow costs this one only
//! head       a head of HTTP/2 as HTTP/1.1 would say it, which is all that the proxy knows, and back
//! pipe       a stream as a tunnel's end (RFC 8441)
//! ```
//!
//! It stands on the `h2` crate and not on hyper's server, which is a wrapper of it without a word for interim responses and
//! without a say in how a stream ends: which code it is reset with, and that a server's body which broke off is told apart from
//! one that ended. Nor does it tell how long a client's window has been shut, or that a client floods. What `h2` does: it holds
//! heads to the rules of RFC 9113, section 8 (names, pseudo-fields, fields of the connection, lengths against DATA), opens
//! windows as bodies are read, and ends a connection over streams that are reset before they are looked at, over malformed
//! streams without end, over CONTINUATION frames without end, and over empty DATA frames.

mod exchange;
mod head;
mod meter;
mod pipe;
mod turns;
mod wire;

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::Limits;
use crate::listener::crowd::Seat;
use crate::listener::farewell;
use crate::listener::http2::wire::Watch;
use crate::listener::http2::wire::Wire;
use crate::listener::orders::NEWCOMER;
use crate::listener::orders::Orders;
use crate::listener::orders::Told;
use crate::net::deadline::Deadline;
use crate::net::deadline::Due;
use crate::net::stream::Stream;
use crate::proxy::Proxy;
use crate::proxy::arrival::Arrival;

/// Speaks HTTP/2 with a client until it leaves or is let go. `first` is what was read of it already.
pub(super) async fn serve(
    (stream, first): (Stream, Bytes),
    arrival: Arrival,
    proxy: Rc<Proxy>,
    orders: watch::Receiver<Orders>,
    seat: Rc<Seat>,
) {
    let house = Rc::new(House { arrival, proxy, watch: Watch::new(stream.descriptor()), seat });
    let end = converse(&house, stream, first, orders).await;
    let Some(stream) = house.watch.take_stream() else { return };
    match end {
        End::Said if house.watch.has_left() => farewell::close(stream).await,
        End::Said => farewell::linger(stream).await,
        End::Cut => stream.reset_on_close(),
    }
}

/// What the requests of a connection share.
struct House {
    arrival: Arrival,
    proxy: Rc<Proxy>,
    watch: Rc<Watch>,
    seat: Rc<Seat>,
}

impl House {
    /// Whether the client only waits, and has to leave for others.
    fn makes_way(&self, cx: &Context<'_>) -> bool {
        match self.watch.idle_since() {
            Some(since) => self.seat.idle(since),
            None => self.seat.busy(),
        }
        self.seat.has_to_leave(cx)
    }
}

/// How a conversation ended.
enum End {
    /// Nothing is left to say.
    Said,
    /// The client is to see that it was cut.
    Cut,
}

async fn converse(house: &Rc<House>, stream: Stream, first: Bytes, orders: watch::Receiver<Orders>) -> End {
    let limits = house.proxy.state().limits();
    let mut conversation = Conversation::begin(house, stream, first, &limits);
    let mut deadline = Deadline::after(limits.shortest());
    let mut told = Told::new(orders);
    poll_fn(|cx| {
        match told.poll_now(cx) {
            Orders::Leave if house.watch.is_idle() => return Poll::Ready(End::Said),
            Orders::Leave => return Poll::Ready(End::Cut),
            Orders::Drain => conversation.take_leave(),
            Orders::Serve => {}
        }
        if conversation.poll(cx).is_ready() {
            return Poll::Ready(End::Said);
        }
        if !conversation.is_leaving() && house.makes_way(cx) {
            conversation.take_leave();
            deadline.reset(Instant::now() + FAREWELL);
            cx.waker().wake_by_ref();
        }
        if told.is_news() {
            deadline.reset(Instant::now() + NEWCOMER);
        }
        match std::task::ready!(deadline.poll_due(cx, || conversation.due(&limits, told.last))) {
            Late::Idle => conversation.take_leave(),
            Late::Head if conversation.is_open() => conversation.end(Reason::ENHANCE_YOUR_CALM),
            // The last word is which requests were taken, so that a client can repeat one that has crossed it.
            Late::Farewell if conversation.may_speak() => conversation.end(Reason::NO_ERROR),
            Late::Head | Late::Farewell if house.watch.is_idle() => return Poll::Ready(End::Said),
            Late::Head | Late::Farewell | Late::Reader => return Poll::Ready(End::Cut),
        }
        // What there is to say now goes out at once.
        deadline.reset(Instant::now() + FAREWELL);
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// A conversation under way. When it is dropped, so are its exchanges.
struct Conversation {
    house: Rc<House>,
    speaking: Speaking,
    exchanges: JoinSet<()>,
    begun: Instant,
    /// Since when no new request is taken.
    leaving: Option<Instant>,
    /// Since when the client is only told why it ends.
    ended: Option<Instant>,
}

enum Speaking {
    /// The preface is to come.
    Greeting(Box<server::Handshake<Wire, Bytes>>),
    Open(Box<server::Connection<Wire, Bytes>>),
}

/// What a client has not done in time.
enum Late {
    /// Sent another request: it is told that none is wanted any more.
    Idle,
    /// Sent the rest of its greeting or of a head.
    Head,
    /// Taken a byte of what is to be sent.
    Reader,
    /// Gone, after it was told to.
    Farewell,
}

impl Conversation {
    fn begin(house: &Rc<House>, stream: Stream, first: Bytes, limits: &Limits) -> Self {
        let wire = Wire::new(stream, first, Rc::clone(&house.watch));
        let head = u32::try_from(limits.request_header_bytes.saturating_mul(HEADS)).unwrap_or(u32::MAX);
        let handshake = server::Builder::new()
            .max_concurrent_streams(MOST_STREAMS)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(SEND_BUFFER)
            .max_header_list_size(head)
            .max_local_error_reset_streams(Some(MOST_MALFORMED))
            .enable_connect_protocol()
            .handshake(wire);
        Self {
            house: Rc::clone(house),
            speaking: Speaking::Greeting(Box::new(handshake)),
            exchanges: JoinSet::new(),
            begun: Instant::now(),
            leaving: None,
            ended: None,
        }
    }

    fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    fn is_open(&self) -> bool {
        matches!(self.speaking, Speaking::Open(_))
    }

    fn may_speak(&self) -> bool {
        self.is_open() && self.ended.is_none()
    }

    /// Ready when there is nothing left to say, or nobody to say it to.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.speaking {
                Speaking::Greeting(handshake) => match std::task::ready!(Pin::new(&mut **handshake).poll(cx)) {
                    Ok(connection) => {
                        self.speaking = Speaking::Open(Box::new(connection));
                        if self.leaving.take().is_some() {
                            self.take_leave();
                        }
                    }
                    Err(_) => return Poll::Ready(()),
                },
                Speaking::Open(connection) => match connection.poll_accept(cx) {
                    Poll::Ready(Some(Ok((request, respond)))) => {
                        // Counted at once, for the conversation may come to an end before the exchange is first looked at.
                        let (house, serving) = (Rc::clone(&self.house), self.house.watch.serve());
                        // Boxed, for a task is moved several times before it runs and when it has ended, and this one is large.
                        self.exchanges.spawn_local(Box::pin(exchange::serve(house, serving, request, respond)));
                    }
                    // Why it ended has been told to the client.
                    Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                    Poll::Pending if self.ended.is_none() && self.house.watch.is_flooded() => {
                        self.end(Reason::ENHANCE_YOUR_CALM);
                    }
                    Poll::Pending => {
                        while self.exchanges.try_join_next().is_some() {}
                        return Poll::Pending;
                    }
                },
            }
        }
    }

    /// Lets the client know that no more requests are wanted (GOAWAY); those that are here are answered.
    fn take_leave(&mut self) {
        if self.leaving.is_none() {
            self.leaving = Some(Instant::now());
            if let Speaking::Open(connection) = &mut self.speaking {
                connection.graceful_shutdown();
            }
        }
    }

    /// Ends it, with all that is under way.
    fn end(&mut self, why: Reason) {
        self.ended = Some(Instant::now());
        if let Speaking::Open(connection) = &mut self.speaking {
            connection.abrupt_shutdown(why);
        }
    }

    fn due(&self, limits: &Limits, orders: Orders) -> Due<Late> {
        let watch = &self.house.watch;
        let now = Instant::now();
        let look = now + limits.shortest();
        let due = |at: Instant, late: Late| Due::by(at, late).and_look(look);
        if let Some(ended) = self.ended {
            return due(ended + FAREWELL, Late::Farewell);
        }
        if let Some(since) = watch.blocked_since() {
            return due(since + limits.body_timeout, Late::Reader);
        }
        if !watch.is_greeted() {
            let patience = if orders == Orders::Serve { limits.header_timeout } else { NEWCOMER };
            return due(self.begun + patience, Late::Head);
        }
        if let Some(since) = watch.head_since() {
            return due(since + limits.header_timeout, Late::Head);
        }
        match (watch.idle_since(), self.leaving) {
            (Some(idle), Some(leaving)) => {
                let end = due(idle.max(leaving) + FAREWELL, Late::Farewell);
                end.unless(|| watch.has_asked(), look.min(now + LOOK))
            }
            (Some(idle), None) => due(idle + limits.idle_timeout, Late::Idle),
            // The limits of each exchange hold now; a look now and then is for a client that takes nothing.
            (None, _) => Due::At(look.min(now + LOOK)),
        }
    }
}

/// How many requests a client may have under way at once on a connection.
const MOST_STREAMS: u32 = 128;
/// How much a client may send ahead of a server that reads slowly: for one request, and for all of a connection, so that uploads
/// that have come to a stop leave room for others.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// How much of one response may wait for the client's connection to take it.
const SEND_BUFFER: usize = 128 << 10;
/// How many streams may be malformed in the life of a connection.
const MOST_MALFORMED: usize = 256;
/// A head of up to so many times the limit is read and gets a refusal of ours; one that is larger gets the library's bare 431.
const HEADS: u64 = 2;
/// How often a connection on which requests are under way is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long a client may take to go when it was told to.
const FAREWELL: Duration = Duration::from_secs(1);
