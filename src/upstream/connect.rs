//! Owns opening a connection to a server: its name, its addresses in a race (RFC 8305), TLS.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::config::Location;
use crate::config::Protocol;
use crate::dns::Addresses;
use crate::dns::Resolver;
use crate::dns::srv;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Stage;
use crate::fault::failure::AddressFailure;
use crate::fault::failure::LocalEvidence;
use crate::fault::failure::Peer;
use crate::net::deadline::Deadline;
use crate::net::deadline::within;
use crate::net::here;
use crate::net::socket;
use crate::net::socket::Unopened;
use crate::net::stream::Stream;
use crate::upstream::Lane;
use crate::upstream::secure::secure;
use crate::upstream::whereabouts::Host;
use crate::upstream::whereabouts::Whereabouts;

/// A connection that was opened.
pub(super) struct Opened {
    pub(super) stream: Stream,
    pub(super) peer: Peer,
    /// Whether its address was used although its time is over.
    pub(super) stale: bool,
    /// What was agreed on.
    pub(super) speaks: Speaks,
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// What a connection is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Requests, in the protocol that is configured.
    Requests(Protocol),
    /// A change to another protocol, which HTTP/1.1 alone can make.
    Upgrade,
}

/// Opens a connection to the server, with TLS on it where its URL says so; to that address first, where its name leads to several.
///
/// # Errors
///
/// The failure of the stage that failed, each address's own error among it.
pub(super) async fn open(lane: &Lane, purpose: Purpose, first: Option<SocketAddr>) -> Result<Opened, Box<Failure>> {
    let (server, resolver, timeouts) = (&lane.server, &lane.resolver, &lane.settings.timeouts);
    let mut stale = false;
    let (transport, peer) = match &server.url.location {
        Location::Unix(path) => {
            lane.watcher.begun(Stage::Connect, timeouts.connect, || path.to_string());
            unix(path, timeouts.connect).await?
        }
        Location::Service(service) => {
            let (reached, is_stale) = to_service(lane, service).await?;
            stale = is_stale;
            reached
        }
        Location::Host { host, address, port } => {
            let addresses = if let Some(address) = address {
                vec![SocketAddr::new(*address, *port)]
            } else {
                lane.watcher.begun(Stage::Resolve, timeouts.resolve, || host.to_string());
                let found = look_up(resolver, host, timeouts.resolve).await?;
                lane.watcher.done(|| in_words(&found.list));
                stale = found.stale;
                let found = Host::alone(found.list.iter().map(|address| SocketAddr::new(*address, *port)).collect());
                server.whereabouts.learn(std::slice::from_ref(&found), Instant::now());
                beginning_with(first, found.addresses)
            };
            lane.watcher.begun(Stage::Connect, timeouts.connect, || in_words(&addresses));
            let connected = tcp(&addresses, timeouts.connect, &server.whereabouts).await;
            if connected.is_err() && address.is_none() {
                // Nothing at the addresses known: the name may lead elsewhere by now.
                resolver.distrust(host);
            }
            connected?
        }
    };
    lane.watcher.done(|| peer.to_string());
    let (stream, speaks) = match &lane.tls {
        None if purpose == Purpose::Requests(Protocol::H2) => (transport, Speaks::Http2),
        None => (transport, Speaks::Http1),
        Some(tls) => {
            lane.watcher.begun(Stage::Tls, timeouts.tls, || tls.name.to_str().into_owned());
            let secured = secure(transport, &peer, tls, timeouts.tls, purpose).await?;
            lane.watcher.done(|| agreed(&secured.0));
            secured
        }
    };
    Ok(Opened { stream, peer, stale, speaks })
}

/// Some of a list of addresses.
fn in_words(addresses: &[impl ToString]) -> String {
    let shown: Vec<String> = addresses.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = if addresses.len() > SHOWN { " …" } else { "" };
    format!("{}{more}", shown.join(" "))
}

/// What was agreed on in a handshake.
fn agreed(stream: &Stream) -> String {
    let Stream::Tls(stream) = stream else { return String::new() };
    let session = stream.get_ref().1;
    let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS").replace('_', ".");
    let protocol = session.alpn_protocol().map_or_else(|| "no ALPN".into(), String::from_utf8_lossy);
    format!("{}, {protocol}", version.replacen("TLSv", "TLS ", 1))
}

async fn look_up(resolver: &Resolver, host: &str, limit: Duration) -> Result<Arc<Addresses>, Failure> {
    match resolver.known(host) {
        Some(known) => Ok(known),
        None => resolver.resolve(host, limit).await,
    }
}

/// The same addresses, with that one before the others where it is among them.
fn beginning_with(first: Option<SocketAddr>, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    addresses.sort_by_key(|address| Some(*address) != first);
    addresses
}

/// Connects to one of a service's targets: the next one where the one before cannot be connected to, all of them within the
/// limits of one server.
async fn to_service(lane: &Lane, service: &str) -> Result<((Stream, Peer), bool), Box<Failure>> {
    let (server, resolver, timeouts) = (&lane.server, &lane.resolver, &lane.settings.timeouts);
    let begin = Instant::now();
    lane.watcher.begun(Stage::Resolve, timeouts.resolve, || service.to_owned());
    let found = resolver.services(service, timeouts.resolve).await?;
    let targets = srv::in_order(&found.services, |most| fastrand::u32(0..=most));
    lane.watcher.done(|| {
        let names: Vec<String> =
            targets.iter().map(|target| format!("{}:{}", target.absolute(), target.port)).collect();
        in_words(&names)
    });
    let resolving_ends = begin + timeouts.resolve;
    let mut connecting = timeouts.connect;
    let mut telling: Option<Box<Failure>> = None;
    let mut tried = Vec::new();
    for (number, target) in targets.iter().enumerate() {
        let left = resolving_ends.saturating_duration_since(Instant::now());
        let name = target.absolute();
        let outcome = match look_up(resolver, &name, left).await {
            Err(failure) => Err(Box::new(failure)),
            Ok(addresses) => {
                let list: Vec<SocketAddr> =
                    addresses.list.iter().map(|address| SocketAddr::new(*address, target.port)).collect();
                let share = u32::try_from(targets.len() - number).unwrap_or(u32::MAX);
                let connect_begin = Instant::now();
                lane.watcher.begun(Stage::Connect, connecting / share, || in_words(&list));
                let connected = tcp(&list, connecting / share, &server.whereabouts).await;
                connecting = connecting.saturating_sub(connect_begin.elapsed());
                if connected.is_err() {
                    server.whereabouts.shun(&list, Instant::now());
                    resolver.distrust(&name);
                }
                connected.map(|reached| (reached, found.stale || addresses.stale))
            }
        };
        let mut failure = match outcome {
            Ok(reached) => return Ok(reached),
            Err(failure) => failure,
        };
        tried.append(&mut failure.addresses);
        if telling.as_ref().is_none_or(|known| tells_more(&failure, known)) {
            telling = Some(failure);
        }
    }
    resolver.distrust_service(service);
    // There is a target at least, or the look-up would have failed.
    let mut failure = telling.unwrap_or_else(|| Box::new(Failure::new(Fault::DnsNoRecords)));
    failure.addresses = tried;
    failure.stage_elapsed = begin.elapsed();
    Err(failure)
}

/// A target that could not be connected to tells more than one whose name could not be looked up.
fn tells_more(failure: &Failure, known: &Failure) -> bool {
    let of_connect = |failure: &Failure| failure.fault.stage() == Stage::Connect;
    match (of_connect(failure), of_connect(known)) {
        (true, true) => failure.fault.tells_more_than(known.fault),
        (connect, known_connect) => connect && !known_connect,
    }
}

async fn unix(path: &Arc<str>, limit: Duration) -> Result<(Stream, Peer), Failure> {
    let begin = Instant::now();
    let peer = Peer::Unix(Arc::clone(path));
    let mut failure = match within(limit, UnixStream::connect(&**path)).await {
        Ok(Ok(stream)) => return Ok((Stream::Unix(stream), peer)),
        Ok(Err(error)) => {
            let mut failure = Failure::new(Fault::of_unix_connect(&error));
            failure.os_error = error.raw_os_error();
            failure.because(error)
        }
        Err(late) => Failure::new(Fault::ConnectionTimedOut).after(limit).because(late),
    };
    failure.peer = Some(peer);
    failure.stage_elapsed = begin.elapsed();
    failure.local = own_shortage(failure.fault);
    Err(failure)
}

async fn tcp(
    addresses: &[SocketAddr],
    limit: Duration,
    whereabouts: &Whereabouts,
) -> Result<(Stream, Peer), Box<Failure>> {
    let begin = Instant::now();
    let mut race = Race::new(addresses);
    let outcome = within(limit, poll_fn(|cx| race.poll(cx))).await;
    if let Ok(Some((stream, address))) = outcome {
        if addresses.len() > 1 {
            whereabouts.shun(&race.outrun_by(address), Instant::now());
        }
        stream.set_nodelay(true).ok();
        return Ok((Stream::Tcp(stream), Peer::Tcp(address)));
    }
    let mut failure = race.into_failure(limit);
    failure.stage_elapsed = begin.elapsed();
    failure.local = own_shortage(failure.fault);
    Err(failure)
}

/// What this host has left, where it is this host's own failure.
fn own_shortage(fault: Fault) -> Option<LocalEvidence> {
    matches!(fault, Fault::LocalPortsExhausted | Fault::FileDescriptorsExhausted).then(here::local)
}

/// Addresses tried one after the other, each with a head start over the next; the first that connects wins (RFC 8305, section 5).
struct Race<'a> {
    addresses: &'a [SocketAddr],
    started: usize,
    running: Vec<Try>,
    failures: Vec<AddressFailure>,
    telling: Option<(Fault, Unopened)>,
    head_start: Deadline,
}

struct Try {
    address: SocketAddr,
    begin: Instant,
    connecting: Pin<Box<dyn Future<Output = Result<TcpStream, Unopened>>>>,
}

impl<'a> Race<'a> {
    fn new(addresses: &'a [SocketAddr]) -> Self {
        Self {
            addresses,
            started: 0,
            running: Vec::new(),
            failures: Vec::new(),
            telling: None,
            head_start: Deadline::at(Instant::now()),
        }
    }

    /// Ready with the winner, or with nothing when every address has failed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<(TcpStream, SocketAddr)>> {
        loop {
            let failed = self.failures.len();
            if let Some(winner) = self.poll_running(cx) {
                return Poll::Ready(Some(winner));
            }
            let Some(next) = self.addresses.get(self.started) else {
                return if self.running.is_empty() { Poll::Ready(None) } else { Poll::Pending };
            };
            let due = self.running.is_empty()
                || self.failures.len() > failed
                || Pin::new(&mut self.head_start).poll(cx).is_ready();
            if !due {
                return Poll::Pending;
            }
            self.start(*next);
        }
    }

    fn start(&mut self, address: SocketAddr) {
        let begin = Instant::now();
        self.started += 1;
        self.running.push(Try { address, begin, connecting: Box::pin(socket::connect(address)) });
        self.head_start.reset(begin + HEAD_START);
    }

    fn poll_running(&mut self, cx: &mut Context<'_>) -> Option<(TcpStream, SocketAddr)> {
        let mut index = 0;
        while let Some(running) = self.running.get_mut(index) {
            match running.connecting.as_mut().poll(cx) {
                Poll::Pending => index += 1,
                Poll::Ready(Ok(stream)) => return Some((stream, running.address)),
                Poll::Ready(Err(unopened)) => {
                    let lost = self.running.swap_remove(index);
                    self.note(&lost, unopened);
                }
            }
        }
        None
    }

    /// Those that failed before that one was reached, or were tried before it and have not answered yet.
    fn outrun_by(&self, winner: SocketAddr) -> Vec<SocketAddr> {
        let failed = self.failures.iter().map(|failure| failure.address);
        let silent = self.addresses.iter().copied().take_while(|address| *address != winner);
        failed.chain(silent).collect()
    }

    fn note(&mut self, lost: &Try, unopened: Unopened) {
        let (fault, os_error) = (Fault::of_connect(&unopened.error), unopened.error.raw_os_error());
        let elapsed = lost.begin.elapsed();
        self.failures.push(AddressFailure { address: lost.address, fault, os_error, elapsed });
        if self.telling.as_ref().is_none_or(|(known, _)| fault.tells_more_than(*known)) {
            self.telling = Some((fault, unopened));
        }
    }

    /// The whole race as one failure: that of the address whose error tells most.
    fn into_failure(mut self, limit: Duration) -> Box<Failure> {
        for late in &self.running {
            let fault = Fault::ConnectionTimedOut;
            let elapsed = late.begin.elapsed();
            self.failures.push(AddressFailure { address: late.address, fault, os_error: None, elapsed });
        }
        let mut failure = Box::new(match self.telling {
            Some((fault, Unopened { error, icmp }))
                if self.running.is_empty() || fault.tells_more_than(Fault::ConnectionTimedOut) =>
            {
                Failure { icmp, ..Failure::new(fault) }.because(error)
            }
            _ => Failure::new(Fault::ConnectionTimedOut).after(limit),
        });
        let telling = self.failures.iter().find(|one| one.fault == failure.fault);
        failure.os_error = telling.and_then(|one| one.os_error);
        failure.peer = telling.map(|one| Peer::Tcp(one.address));
        failure.addresses = self.failures;
        failure
    }
}

/// How many addresses are named to whoever watches.
const SHOWN: usize = 4;

/// How long an address is tried alone before the next one is tried beside it (RFC 8305, section 8).
const HEAD_START: Duration = Duration::from_millis(250);
