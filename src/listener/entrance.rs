//! Owns what a client's connection goes through before HTTP is spoken on it: the PROXY header, then TLS, both under one time
//! limit.

use std::fmt::Display;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config;
use crate::config::ListenAddress;
use crate::fault::classify::tls::tls_error;
use crate::fault::failure::Peer;
use crate::listener::crowd::Seat;
use crate::listener::farewell;
use crate::listener::gatekeeper::Place;
use crate::listener::orders::Orders;
use crate::listener::orders::Told;
use crate::net::deadline::Deadline;
use crate::net::proxy_protocol;
use crate::net::proxy_protocol::Channel;
use crate::net::proxy_protocol::Source;
use crate::net::stream::Stream;
use crate::net::tls::TlsSetupError;
use crate::net::tls::front;
use crate::net::tls::front::Certificates;
use crate::net::tls::front::Greeted;
use crate::proxy::Proxy;
use crate::proxy::admission::refusal::Refusal;
use crate::proxy::arrival::Arrival;
use crate::proxy::arrival::Scheme;
use crate::telemetry::Event;
use crate::telemetry::Notice;
use crate::telemetry::TurnedAway;
use crate::telemetry::Visits;

/// The way in at one listener, for all cores.
#[derive(Debug)]
pub struct Entrance {
    address: ListenAddress,
    terms: ArcSwap<Terms>,
    /// When it was last told that a PROXY header was refused.
    told: Mutex<Option<Instant>>,
    visits: Arc<Visits>,
}

/// What is asked of clients there.
#[derive(Debug, Default)]
pub struct Terms {
    proxy_protocol: bool,
    tls: Option<Certificates>,
}

impl Terms {
    /// As the configuration has them.
    ///
    /// # Errors
    ///
    /// Where the file of a certificate or a key is not what it should be.
    pub fn read(listener: &config::Listener) -> Result<Self, TlsSetupError> {
        Ok(Self { proxy_protocol: listener.proxy_protocol, tls: Certificates::read(&listener.tls)? })
    }

    /// The certificates that clients are shown; none without TLS.
    #[must_use]
    pub const fn certificates(&self) -> Option<&Certificates> {
        self.tls.as_ref()
    }
}

impl Entrance {
    /// A way in at which nothing is asked yet.
    #[must_use]
    pub fn new(address: ListenAddress) -> Arc<Self> {
        let visits = Visits::new(address.to_string());
        Arc::new(Self { address, terms: ArcSwap::default(), told: Mutex::default(), visits })
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// What is asked there now.
    #[must_use]
    pub fn terms(&self) -> Arc<Terms> {
        self.terms.load_full()
    }

    /// Asks whoever comes from now on for something else.
    pub fn change(&self, terms: Terms) {
        self.terms.store(Arc::new(terms));
        self.note_certificate();
    }

    /// What is counted of clients there.
    #[must_use]
    pub const fn visits(&self) -> &Arc<Visits> {
        &self.visits
    }

    /// Lets whoever counts see when the certificates end.
    pub fn note_certificate(&self) {
        let terms = self.terms.load();
        self.visits.note_certificate(terms.certificates().map(|certificates| certificates.current().end()));
    }

    /// Whether it is known who a client is before it has said anything.
    pub(super) fn knows_by_address(&self) -> bool {
        !self.terms.load().proxy_protocol
    }

    /// Tells that a PROXY header was refused, now and then: the one who has set up the proxies has to know, and nobody else
    /// can make the log long.
    fn tell(&self, proxy: &Proxy, peer: &Arrival, why: &dyn Display) {
        proxy.telemetry().turned_away(TurnedAway::ProxyHeader);
        let now = Instant::now();
        let before = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let news = told.is_none_or(|told| now.duration_since(told) >= REMIND);
            if news { told.replace(now) } else { return }
        };
        let again = if before.is_some() { ", as were others" } else { "" };
        let peer = peer.told.to_str().unwrap_or_default();
        let message = format!("listener {}: a connection from {peer} was closed{again}: {why}", self.address);
        proxy.telemetry().record(Event::Notice(Notice { message: &message, dropped: None }));
    }
}

/// A client that has come in.
pub(super) struct Entered {
    /// What HTTP is spoken on.
    pub(super) stream: Stream,
    /// Who it is, and how it came.
    pub(super) arrival: Arrival,
    /// What was agreed on.
    pub(super) agreed: Agreed,
}

/// What a client and this proxy have agreed to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreed {
    /// Nothing: the first bytes tell. So it is without TLS, and in TLS with a client that offers nothing (ALPN, RFC 7301).
    Nothing,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Lets a client in; none where it does not get that far, and its connection is closed.
pub(super) async fn enter(
    entrance: &Entrance,
    stream: Stream,
    peer: Peer,
    (place, seat): (&mut Place, &Seat),
    proxy: &Proxy,
    orders: &watch::Receiver<Orders>,
) -> Option<Entered> {
    let terms = entrance.terms.load();
    if !terms.proxy_protocol && terms.tls.is_none() {
        return Some(Entered { stream, arrival: Arrival::new(peer, Scheme::Http), agreed: Agreed::Nothing });
    }
    let way = Way { entrance, terms: Arc::clone(&terms), proxy };
    drop(terms);
    // What is needed on the way is let go of behind it.
    let entering = Box::pin(way.walk(stream, Arrival::new(peer, Scheme::Http), place));
    match in_time(entering, proxy.state().limits().header_timeout, seat, orders).await {
        Some(Inside::Entered(entered)) => Some(*entered),
        Some(Inside::SpeaksPlainly(stream, head, arrival)) => {
            let answer = proxy.refuse_unread(Refusal::TlsExpected, &head, &arrival);
            farewell::say(&answer, stream).await;
            None
        }
        Some(Inside::Failed(stream, error)) => {
            turn_away(proxy, &error);
            // An alert that was sent is for the client to read: closing over unread bytes would take it away again.
            if tls_error(&error).is_some() {
                farewell::linger(stream).await;
            }
            None
        }
        Some(Inside::Gone) => None,
        None => {
            turn_away(proxy, &"it was too slow");
            None
        }
    }
}

fn turn_away(proxy: &Proxy, why: &dyn Display) {
    proxy.telemetry().turned_away(TurnedAway::Handshake);
    tracing::debug!(%why, "a client did not get in");
}

/// Waits for a client to come in, for as long as there is patience with it.
async fn in_time<F: Future + Unpin>(
    mut entering: F,
    limit: Duration,
    seat: &Seat,
    orders: &watch::Receiver<Orders>,
) -> Option<F::Output> {
    let end = Instant::now() + limit;
    let mut deadline = Deadline::at(end);
    let mut told = Told::new(orders.clone());
    poll_fn(|cx| {
        // Whoever has been on the way for long while others wait for a place makes way for them.
        if told.poll_now(cx) == Orders::Leave || seat.has_to_leave(cx) {
            return Poll::Ready(None);
        }
        if let Poll::Ready(output) = Pin::new(&mut entering).poll(cx) {
            return Poll::Ready(Some(output));
        }
        if told.is_news() {
            deadline.reset(end.min(Instant::now() + LATECOMER));
        }
        Pin::new(&mut deadline).poll(cx).map(|()| None)
    })
    .await
}

/// The way of one client.
struct Way<'a> {
    entrance: &'a Entrance,
    terms: Arc<Terms>,
    proxy: &'a Proxy,
}

/// Where the way ends.
enum Inside {
    Entered(Box<Entered>),
    /// It speaks HTTP where TLS is spoken. These are its first bytes.
    SpeaksPlainly(Stream, Vec<u8>, Arrival),
    /// The handshake failed.
    Failed(Stream, io::Error),
    /// It left by itself, or was shown out.
    Gone,
}

impl Way<'_> {
    async fn walk(self, mut stream: Stream, mut arrival: Arrival, place: &mut Place) -> Inside {
        if self.terms.proxy_protocol {
            match self.introduced(stream, arrival, place).await {
                Some(introduced) => (stream, arrival) = introduced,
                None => return Inside::Gone,
            }
        }
        let Some(certificates) = self.terms.certificates() else {
            return Inside::Entered(Box::new(Entered { stream, arrival, agreed: Agreed::Nothing }));
        };
        arrival.scheme = Scheme::Https;
        let mut site = None;
        let greeted = front::greet(stream, certificates, |sites, chosen| {
            site = sites.are_guarded().then(|| (Arc::clone(sites), chosen.clients.clone()));
        })
        .await;
        match greeted {
            Greeted::Tls(stream) => {
                let session = stream.get_ref().1;
                if let Some((sites, clients)) = site {
                    let shown = session.peer_certificates().and_then(|chain| chain.first());
                    arrival = arrival.at_site(sites, clients, shown.map(AsRef::as_ref));
                }
                let agreed = match session.alpn_protocol() {
                    Some(b"h2") => Agreed::Http2,
                    Some(_) => Agreed::Http1,
                    None => Agreed::Nothing,
                };
                Inside::Entered(Box::new(Entered { stream: Stream::Front(stream), arrival, agreed }))
            }
            Greeted::Plain(stream, head) => Inside::SpeaksPlainly(stream, head, arrival),
            Greeted::Gone => Inside::Gone,
            Greeted::Failed(error, stream) => Inside::Failed(stream, error),
        }
    }

    /// Reads the PROXY header; none where it is not one, or nobody may send it.
    async fn introduced(&self, mut stream: Stream, peer: Arrival, place: &mut Place) -> Option<(Stream, Arrival)> {
        let refuse = |why: &dyn Display| self.entrance.tell(self.proxy, &peer, why);
        if !peer.is_in(&self.proxy.state().forwarding().trusted_proxies) {
            refuse(&"it is not in [forwarding] trusted_proxies, and proxy_protocol = true believes nobody else");
            return None;
        }
        let mut bytes = Vec::new();
        let header = loop {
            bytes.reserve(USUAL_HEADER);
            match stream.read_buf(&mut bytes).await {
                // Whoever only looks whether the port is open says nothing.
                Ok(0) | Err(_) if bytes.is_empty() => return None,
                Ok(0) | Err(_) => {
                    refuse(&"it ended within its PROXY header");
                    return None;
                }
                Ok(_) => {}
            }
            match proxy_protocol::read(&bytes) {
                Ok(Some(header)) => break header,
                Ok(None) => {}
                Err(malformed) => {
                    refuse(&format!(
                        "its PROXY header is refused, as {malformed}; let it send one (send-proxy-v2 in HAProxy, proxy_protocol \
                         on in nginx), or set proxy_protocol = false"
                    ));
                    return None;
                }
            }
        };
        let stream = stream.beginning_with(bytes.split_off(header.length));
        let scheme = match header.channel {
            Channel::Tls => Scheme::Https,
            Channel::Unsaid => Scheme::Http,
        };
        let mut arrival = match header.source {
            Source::Client(address) => {
                let client = Peer::Tcp(SocketAddr::new(address.ip().to_canonical(), address.port()));
                // One that has all the places it may have is closed without a word, as without a PROXY header.
                if !place.is_free_for(&client) {
                    return None;
                }
                Arrival::new(client, scheme)
            }
            Source::Unknown => peer.of_somebody(),
            Source::Itself => peer,
        };
        arrival.scheme = scheme;
        Some((stream, arrival))
    }
}

/// How long those who are on their way in have when the program is to end.
const LATECOMER: Duration = Duration::from_secs(2);
/// How often it is told that PROXY headers are refused.
const REMIND: Duration = Duration::from_secs(60);
/// How much is read at once of a PROXY header, in bytes. Most are a fourth of that.
const USUAL_HEADER: usize = 256;
