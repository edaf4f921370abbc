//! Owns the admin listener: what operators may see of the running program, and who is let in to see it.
//!
//! It has a thread of its own, so that nobody who looks can hold up a request, and so that it answers while the cores drain.
//! Everything here is read: nothing that is asked for here changes anything.

mod access;
mod api;
mod crowd;
mod dashboard;
mod health;
mod hour;
mod live;
mod metrics;
mod patience;
mod reply;

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use http::Method;
use http::Request;
use http::Response;
use http::request::Parts;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::access::Refused;
use self::crowd::Crowd;
use self::crowd::Seat;
use self::hour::Hour;
use self::patience::Patient;
use self::reply::Body;
use crate::fault::failure::Peer;
use crate::net::listening::Bound;
use crate::net::listening::Listening;
use crate::net::stream::Stream;
use crate::proxy::guesses;
use crate::proxy::guesses::Judged;
use crate::proxy::state::Shared;
use crate::telemetry;
use crate::telemetry::Event;
use crate::telemetry::Notice;
use crate::telemetry::Telemetry;
use crate::telemetry::Visits;

/// What there is to look at.
#[derive(Debug, Clone)]
pub struct View {
    /// What the cores share now.
    pub shared: Arc<Shared>,
    /// What is counted at each listener.
    pub visits: Vec<Arc<Visits>>,
}

/// What this room is told.
#[derive(Debug)]
pub enum Word {
    /// There is something else to look at.
    See(View),
    /// Operators come in here from now on.
    Listen(Bound),
    /// Nobody comes in any more, for another process goes on with the socket. Whoever is in may stay.
    Rest,
}

/// What operators look at, and who tells of them.
struct Room {
    view: RefCell<View>,
    /// What is told of the whole program.
    telemetry: Arc<Telemetry>,
    /// What this room tells itself.
    own: telemetry::Core,
    hour: RefCell<Hour>,
    /// Ends when everybody has to leave.
    ending: watch::Receiver<()>,
}

/// Serves operators until nobody can send a word any more.
pub async fn serve(view: View, telemetry: Arc<Telemetry>, mut words: mpsc::UnboundedReceiver<Word>) {
    let own = telemetry.core();
    let (end, ending) = watch::channel(());
    let (view, hour) = (RefCell::new(view), RefCell::default());
    let room = Rc::new(Room { view, telemetry, own, hour, ending: ending.clone() });
    let mut listening = None;
    let mut connections = JoinSet::new();
    let crowd = Rc::<Crowd>::default();
    let mut tick = tokio::time::interval(TICK);
    loop {
        let accepted = tokio::select! {
            biased;
            word = words.recv() => {
                match word {
                    Some(Word::See(view)) => drop(room.view.replace(view)),
                    Some(Word::Listen(bound)) => listening = room.open(bound),
                    Some(Word::Rest) => listening = None,
                    None => break,
                }
                continue;
            }
            _ = tick.tick() => {
                room.keep_house();
                continue;
            }
            Some(_) = connections.join_next() => continue,
            accepted = next(listening.as_ref()) => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Some(seat) = crowd.sit_down() {
                    let (room, address) = (Rc::clone(&room), peer.ip());
                    let conversation = converse(stream, address, room, Rc::clone(&seat), ending.clone());
                    seat.belongs_to(connections.spawn_local(conversation));
                }
            }
            Err(error) => room.pause(&error).await,
        }
    }
    drop(listening);
    drop(end);
    let all_left = async { while connections.join_next().await.is_some() {} };
    timeout(LAST_WORDS, all_left).await.ok();
}

/// The next operator; none while there is nowhere to come in.
async fn next(listening: Option<&Listening>) -> io::Result<(Stream, Peer)> {
    match listening {
        Some(listening) => listening.accept().await,
        None => std::future::pending().await,
    }
}

/// One operator's stay.
async fn converse(
    stream: Stream,
    address: Option<IpAddr>,
    room: Rc<Room>,
    seat: Rc<Seat>,
    mut ending: watch::Receiver<()>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let busy = seat.busy();
        let answer = room.answer(&request.into_parts().0, address);
        async move { Ok::<_, Infallible>(answer.map(|body| body.keeping(busy))) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_headers(MOST_FIELDS).max_buf_size(MOST_HEAD);
    let connection = builder.serve_connection(TokioIo::new(Patient::new(stream)), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // How it ended is of no interest to anybody.
        _ = connection.as_mut() => return,
        _ = ending.changed() => connection.as_mut().graceful_shutdown(),
    }
    connection.await.ok();
}

impl Room {
    /// The answer to a request from that address.
    fn answer(&self, asked: &Parts, address: Option<IpAddr>) -> Response<Body> {
        let view = self.view.borrow();
        let found = access::hosted(asked, &view.shared.config).and_then(|()| self.find(asked, address, &view));
        let mut answer = found.unwrap_or_else(Refused::answer);
        reply::protect(&mut answer);
        answer
    }

    fn find(&self, asked: &Parts, address: Option<IpAddr>, view: &View) -> Result<Response<Body>, Refused> {
        let place = Place::of(asked.uri.path());
        if !matches!(place, Some(Place::Live | Place::Ready)) {
            let judge = |is_right| self.judge(is_right, address, view);
            access::permitted(asked, &view.shared.config, judge)?;
        }
        let place = place.ok_or(Refused::NotFound)?;
        if asked.method != Method::GET && asked.method != Method::HEAD {
            return Err(Refused::Method);
        }
        match place {
            Place::Live => Ok(health::live()),
            Place::Ready => Ok(health::ready(&view.shared.readiness)),
            Place::Dashboard => Ok(dashboard::page()),
            Place::Metrics => Ok(metrics::answer(&asked.headers, view, &self.telemetry)),
            Place::Upstreams => Ok(api::upstreams(view, &self.hour.borrow(), &self.telemetry.ways())),
            Place::Incidents => api::incidents(asked, view),
            Place::Incident(id) => api::incident(id, view),
            Place::Request(id) => api::request(id, view),
            Place::Events => live::answer(asked, &self.telemetry, &self.ending),
            Place::Description => Ok(api::description()),
        }
    }

    /// What a token counts for that was found right or wrong; those who guess at a client's listener are known here.
    fn judge(&self, is_right: bool, address: Option<IpAddr>, view: &View) -> Judged {
        let judged = view.shared.guesses.judge(address, is_right, Instant::now());
        if judged == Judged::Last {
            self.say(&guesses::notice(address));
        }
        judged
    }

    /// What is to be done now and then.
    fn keep_house(&self) {
        self.own.flush();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.hour.borrow_mut().look(now, || self.telemetry.ways());
    }

    /// The socket, in this thread's runtime.
    fn open(&self, bound: Bound) -> Option<Listening> {
        bound.listen().inspect_err(|error| self.say(&format!("the admin listener cannot be waited at: {error}"))).ok()
    }

    /// Says that operators cannot come in, and waits a moment: trying again at once would only burn the processor.
    async fn pause(&self, error: &io::Error) {
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            return;
        }
        self.say(&format!("the admin listener cannot accept connections at the moment: {error}"));
        tokio::time::sleep(SHORTAGE_PAUSE).await;
    }

    fn say(&self, message: &str) {
        self.own.record(Event::Notice(Notice { message, dropped: None }));
    }
}

/// What can be asked for.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Live,
    Ready,
    Dashboard,
    Metrics,
    Upstreams,
    Incidents,
    Incident(&'a str),
    Request(&'a str),
    Events,
    Description,
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Option<Self> {
        Some(match path {
            "/livez" => Self::Live,
            "/readyz" => Self::Ready,
            "/" => Self::Dashboard,
            "/metrics" => Self::Metrics,
            "/api/upstreams" => Self::Upstreams,
            "/api/incidents" => Self::Incidents,
            "/api/events" => Self::Events,
            "/api/openapi.json" => Self::Description,
            path => match (path.strip_prefix("/api/incidents/"), path.strip_prefix("/api/requests/")) {
                (Some(id), _) => Self::Incident(id),
                (_, Some(id)) => Self::Request(id),
                (None, None) => return None,
            },
        })
    }
}

/// How long a line of this room's own may wait.
const TICK: Duration = Duration::from_millis(500);
/// How long an operator may take to ask, the first time and again.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// What the head of a request may have: fields, and bytes.
const MOST_FIELDS: usize = 64;
const MOST_HEAD: usize = 16 << 10;
/// How long those who are in have to leave when the program ends.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long accepting rests when this host has run out of something.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(500);
