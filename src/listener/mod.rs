//! Owns the doors through which clients come in: accepting, how many at once, and closing without losing one.

mod client;
mod connection;
pub mod crowd;
mod door;
pub mod entrance;
mod farewell;
pub mod framing;
pub mod gatekeeper;
mod http2;
mod intake;
pub mod orders;

use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::process::Resource;
use rustix::process::getrlimit;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::fault::failure::Peer;
use crate::listener::crowd::Crowd;
use crate::listener::crowd::Seated;
use crate::listener::entrance::Entrance;
use crate::listener::gatekeeper::Gatekeeper;
use crate::listener::gatekeeper::Place;
use crate::listener::orders::Orders;
use crate::listener::orders::stopped;
use crate::net::deadline::Deadline;
use crate::net::listening::Listening;
use crate::net::socket::close_to_newcomers;
use crate::net::stream::Stream;
use crate::proxy::Proxy;
use crate::telemetry::Event;
use crate::telemetry::Notice;

/// A socket that clients connect to.
#[derive(Debug)]
pub struct Socket {
    /// What is listened on.
    pub listening: Listening,
    /// Whether another process accepts clients on it too, or will: then whoever is in its queue is not lost when it is closed here,
    /// and newcomers are as welcome as before.
    pub elsewhere: Arc<AtomicBool>,
    /// What clients go through there.
    pub entrance: Arc<Entrance>,
}

impl Socket {
    /// Who a client is by its address; none where a PROXY header has to tell.
    fn known<'a>(&self, peer: &'a Peer) -> Option<&'a Peer> {
        self.entrance.knows_by_address().then_some(peer)
    }
}

/// Accepts clients on one socket until `drain` says to stop, and then waits for those that are in to finish.
pub async fn serve(
    socket: Socket,
    proxy: Rc<Proxy>,
    (gatekeeper, crowd): (Arc<Gatekeeper>, Rc<Crowd>),
    mut drain: watch::Receiver<Orders>,
) {
    let mut connections = JoinSet::new();
    let mut told = None;
    let scarce_from = scarce_from();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut drain) => break,
            accepted = socket.listening.accept() => accepted,
        };
        let admitted = match accepted {
            // One client waits here for a place, the others in the kernel's queue. It does so also when that is closed.
            Ok((stream, peer)) => match gatekeeper.admit(socket.known(&peer)).await {
                Some(place) => Ok((stream, peer, place)),
                None => continue,
            },
            Err(error) => Err(error),
        };
        while connections.try_join_next().is_some() {}
        match admitted {
            Ok((stream, peer, place)) => {
                if stream.descriptor() >= scarce_from {
                    crowd.make_way();
                }
                let (entrance, place) = (Arc::clone(&socket.entrance), (place, crowd.sit_down()));
                let stay = welcome(stream, peer, entrance, Rc::clone(&proxy), drain.clone(), place);
                connections.spawn_local(Box::pin(stay));
            }
            Err(error) => pause(&error, &proxy, &crowd, &mut told).await,
        }
    }
    drain_queue(&socket, &proxy, (&gatekeeper, &crowd), &drain, &mut connections).await;
    drop(socket);
    while connections.join_next().await.is_some() {}
}

/// A client's whole stay: in through the entrance, and served until it leaves. It is spawned in a box, for a task is moved
/// several times before it runs and when it has ended, and this one is large.
async fn welcome(
    stream: Stream,
    peer: Peer,
    entrance: Arc<Entrance>,
    proxy: Rc<Proxy>,
    orders: watch::Receiver<Orders>,
    (mut place, seated): (Place, Seated),
) {
    let visit = entrance.visits().begin();
    let entered = entrance::enter(&entrance, stream, peer, (&mut place, &seated.seat()), &proxy, &orders).await;
    // The way in may be another by the time that this client leaves.
    drop(entrance);
    if let Some(entered) = entered {
        connection::serve(entered, proxy, orders, seated.seat()).await;
    }
    drop((place, seated, visit));
}

/// Clients whose handshake the kernel has finished would be reset if the socket closed now: they are served first. No handshake
/// begins any more from here on, and the last ones have a moment to finish.
async fn drain_queue(
    socket: &Socket,
    proxy: &Rc<Proxy>,
    (gatekeeper, crowd): (&Arc<Gatekeeper>, &Rc<Crowd>),
    drain: &watch::Receiver<Orders>,
    connections: &mut JoinSet<()>,
) {
    if socket.elsewhere.load(Ordering::Relaxed) {
        return;
    }
    let closed = match &socket.listening {
        Listening::Tcp(listener) => close_to_newcomers(listener).is_ok(),
        // Its name is gone from the file system by now.
        Listening::Unix(_) => true,
    };
    let end = Instant::now() + QUEUE_TIME;
    // Where newcomers cannot be kept out, whoever is in the queue now has to be the last.
    let patience = || if closed { end.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
    while let Ok(Ok((stream, peer))) = tokio::time::timeout(patience(), socket.listening.accept()).await {
        if let Some(place) = gatekeeper.admit(socket.known(&peer)).await {
            let (entrance, place) = (Arc::clone(&socket.entrance), (place, crowd.sit_down()));
            let stay = welcome(stream, peer, entrance, Rc::clone(proxy), drain.clone(), place);
            connections.spawn_local(Box::pin(stay));
        }
        if Instant::now() >= end {
            break;
        }
    }
}

/// The descriptor from which on one of those who only wait makes way for each newcomer: the kernel gives out the lowest, and the
/// last quarter is for connections to servers, which cannot wait for somebody to leave.
fn scarce_from() -> RawFd {
    let most = getrlimit(Resource::Nofile).current.and_then(|most| RawFd::try_from(most).ok());
    most.map_or(RawFd::MAX, |most| most / 4 * 3)
}

/// A client that gave up before it was accepted is no news. Anything else is this host's own shortage, mostly of file
/// descriptors: some of those who only wait make way. Where nobody does, trying again at once would only burn the processor.
async fn pause(error: &io::Error, proxy: &Proxy, crowd: &Crowd, told: &mut Option<Instant>) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    let now = Instant::now();
    if told.is_none_or(|told| now.duration_since(told) >= REMIND) {
        *told = Some(now);
        let message = format!("this host cannot accept connections at the moment, clients wait: {error}");
        proxy.telemetry().record(Event::Notice(Notice { message: &message, dropped: None }));
    }
    let leave = (0..MADE_TO_LEAVE).take_while(|_| crowd.make_way()).count();
    Deadline::after(if leave == 0 { SHORTAGE_PAUSE } else { LEAVING_TIME }).await;
}

/// How long clients that come while the program drains are still taken in: longer than the last step of a handshake takes.
const QUEUE_TIME: Duration = Duration::from_millis(200);
/// How many clients that only wait are told to leave when this host has run out of something.
const MADE_TO_LEAVE: usize = 16;
/// How long accepting rests when this host has run out of something, and nobody can leave for others.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(200);
/// How long those who were told to leave need for that.
const LEAVING_TIME: Duration = Duration::from_millis(10);
/// How long until a shortage that lasts is told again.
const REMIND: Duration = Duration::from_secs(1);
