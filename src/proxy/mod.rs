//! Owns the story of one request: who asks, where it goes, what comes back.

pub mod admission;
pub mod arrival;
pub mod client;
mod explain;
pub mod fields;
pub mod forward;
pub mod forwarded;
pub mod guesses;
pub mod hop;
mod incidents;
pub mod interim;
pub mod introduce;
mod known;
pub mod past;
pub mod readiness;
mod refuse;
pub mod relay;
pub mod request_id;
pub mod response;
pub mod state;
mod story;
pub mod trace;
pub mod upgrade;
pub mod via;
pub mod vouched;
pub mod way;
mod wish;

#[cfg(test)]
mod heads;

use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use std::time::SystemTime;

use http::HeaderMap;
use http::Request;
use http::Response;
use http::StatusCode;
use http::Version;

use crate::config::Protocol;
use crate::probe::Prober;
use crate::proxy::admission::Admitted;
use crate::proxy::admission::Upgrade;
use crate::proxy::admission::refusal::Refusal;
use crate::proxy::arrival::Arrival;
use crate::proxy::client::Client;
use crate::proxy::client::Key;
use crate::proxy::client::Role;
use crate::proxy::fields::Fields;
use crate::proxy::guesses::Judged;
use crate::proxy::interim::Interim;
use crate::proxy::known::Explained;
use crate::proxy::relay::ClientBody;
use crate::proxy::state::Destination;
use crate::proxy::state::Led;
use crate::proxy::state::Shared;
use crate::proxy::state::State;
use crate::proxy::story::Story;
use crate::proxy::upgrade::Tunnel;
use crate::proxy::wish::Wishes;
use crate::route::Miss;
use crate::telemetry;
use crate::telemetry::Event;
use crate::telemetry::Notice;
use crate::upstream::Answered;
use crate::upstream::ClientFault;
use crate::upstream::Inflow;
use crate::upstream::OnInterim;
use crate::upstream::RequestBody;
use crate::upstream::Unanswered;
use crate::upstream::gate::Gate;

/// One core's proxy.
pub struct Proxy {
    state: RefCell<Rc<State>>,
    telemetry: telemetry::Core,
    explained: Explained,
    wishes: Wishes,
    prober: Prober,
}

/// What a request gets: a response, and behind a 101 the tunnel that the connection becomes.
#[derive(Debug)]
pub struct Reply {
    /// The response.
    pub response: Response<ClientBody>,
    /// What the connection becomes when the response has gone out.
    pub tunnel: Option<Box<Tunnel>>,
}

impl From<Response<ClientBody>> for Reply {
    fn from(response: Response<ClientBody>) -> Self {
        Self { response, tunnel: None }
    }
}

impl Proxy {
    /// A core's proxy, with a core's half of the telemetry.
    #[must_use]
    pub fn new(state: State, telemetry: telemetry::Core) -> Rc<Self> {
        let prober = Prober::new(&state.shared.board);
        let (state, explained, wishes) = (RefCell::new(Rc::new(state)), Explained::default(), Wishes::default());
        Rc::new(Self { state, telemetry, explained, wishes, prober })
    }

    /// What requests see now. One that has begun keeps what it began with.
    #[must_use]
    pub fn state(&self) -> Rc<State> {
        Rc::clone(&self.state.borrow())
    }

    /// Lets requests that begin from now on see this. Those that have begun keep what they began with.
    pub fn adopt(&self, shared: &Arc<Shared>) {
        let state = Rc::new(self.state().after(shared, &self.telemetry));
        self.state.replace(state);
        // Conclusions are of destinations that nobody goes to any more, and hold on to their connections.
        self.explained.forget();
    }

    /// A core's half of the telemetry.
    #[must_use]
    pub const fn telemetry(&self) -> &telemetry::Core {
        &self.telemetry
    }

    /// Takes one request: finds out where it goes, or that it goes nowhere. Apart from what waits for its answer, which would
    /// otherwise hold its head for as long. `wrong` is what was found wrong with it where it came in.
    pub fn receive(
        &self,
        request: Request<Inflow>,
        arrival: &Arrival,
        interim: &Arc<Interim>,
        wrong: Option<Refusal>,
    ) -> Received {
        Received(self.admit(request, arrival, interim, wrong))
    }

    /// What a request that was taken gets.
    pub async fn answer(self: &Rc<Self>, Received(admitted): Received) -> Reply {
        let (passage, request) = match admitted {
            Ok(admitted) => admitted,
            Err(reply) => return *reply,
        };
        let unanswered = Unfinished { proxy: self, story: &passage.story };
        let outcome = passage.destination.upstream.call(request, passage.address).await;
        self.check(&passage.destination, &outcome, &passage.story).await;
        unanswered.finish();
        self.reply(passage, outcome)
    }

    /// The request as it goes on, and what is kept of it until it is answered; or the answer, where it does not go on.
    fn admit(
        &self,
        request: Request<Inflow>,
        arrival: &Arrival,
        interim: &Arc<Interim>,
        wrong: Option<Refusal>,
    ) -> Bound {
        let state = self.state();
        let config = &state.shared.config;
        let (parts, body) = request.into_parts();
        let fields = Fields::of(&parts.headers);
        let now = SystemTime::now();
        let mut client = Client::identify(&parts, fields, arrival, &config.forwarding, &config.operators, now);
        if let Key::Shown(is_right) = client.key {
            self.judge(is_right, &state, &mut client);
        }
        let mut story = Story::begin(&parts, &client, arrival);

        let refused = |refusal, story: &Story| Box::new(self.refuse(refusal, story));
        if let Some(wrong) = wrong {
            return Err(refused(wrong, &story));
        }
        let mut admitted =
            admission::admit(&parts, fields, &config.limits).map_err(|refusal| refused(refusal, &story))?;
        story.admitted(&admitted);
        if !arrival.serves(admitted.host()) {
            return Err(refused(Refusal::Misdirected, &story));
        }
        let Led { way, to } = state.find(admitted.host(), admitted.path(), client.scheme).map_err(|miss| {
            let refusal = match miss {
                Miss::NoHost => Refusal::HostNotServed,
                Miss::NoPath => Refusal::NoRoute,
                Miss::Evasive => Refusal::TargetInvalid,
            };
            refused(refusal, &story)
        })?;
        story.routed(way);
        let Some(destination) = to else { return Err(Box::new(self.redirect(state.https, &admitted, &story))) };
        let onward = way.onward(&admitted.target);
        story.bound_for(destination.upstream.settings(), onward.as_ref());
        admitted.target = onward.unwrap_or(admitted.target);

        let protocol = destination.upstream.settings().protocol;
        if protocol == Protocol::H2 && admitted.upgrade.as_ref().is_some_and(|asked| asked.asks_for("websocket")) {
            return Err(refused(Refusal::UpgradeNotServed, &story));
        }
        let version = parts.version;
        let destination = Rc::clone(destination);
        let outbound = match forward::request(parts, fields, &admitted, arrival, &client, (way, &destination.onward)) {
            Ok(outbound) => outbound,
            Err(fault) => return Err(Box::new(self.explain(&state, &destination, explain::alone(fault), &story))),
        };
        let named = outbound.named;
        let most = most_bytes(config.limits.request_body_bytes);
        let body = RequestBody::new(body, most, move |trailers| named.trailers(trailers));
        let mut request = Box::new(Request::from_parts(outbound.parts, body));
        prepare(request.body_mut(), &admitted, version, interim);
        let address = client.address;
        let passage = Box::new(Passage { state, destination, address, upgrade: admitted.upgrade, story });
        Ok((passage, request))
    }

    /// Lets a token count only where it is not one of many guesses.
    fn judge(&self, is_right: bool, state: &State, client: &mut Client) {
        let judged = state.shared.guesses.judge(client.address, is_right, Instant::now());
        client.role = if judged == Judged::Right { Role::Operator } else { Role::Visitor };
        if judged == Judged::Last {
            let message = guesses::notice(client.address);
            self.telemetry.record(Event::Notice(Notice { message: &message, dropped: None }));
        }
    }

    fn reply(self: &Rc<Self>, mut passage: Box<Passage>, outcome: Result<Answered, Unanswered>) -> Reply {
        match outcome {
            Ok(answered) => self.relay(passage, answered),
            Err(Unanswered::Client(fault)) => self.refuse(of_client(fault), &passage.story),
            Err(Unanswered::Exhausted(exhausted)) => {
                passage.story.server = exhausted.server();
                self.explain(&passage.state, &passage.destination, exhausted, &passage.story)
            }
        }
    }
}

/// A request that was taken, and waits for its answer.
pub struct Received(Bound);

impl Received {
    /// Whether it goes no further.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        self.0.is_err()
    }
}

/// A request that goes on, and what is kept of it; or its answer, where it does not.
type Bound = Result<(Box<Passage>, Box<Request<RequestBody>>), Box<Reply>>;

/// What is kept of a request while a server has it. It stays where it is until the answer has gone, for it is large.
struct Passage {
    state: Rc<State>,
    destination: Rc<Destination>,
    /// Whose it is.
    address: Option<IpAddr>,
    /// The protocols that it asks to change to.
    upgrade: Option<Upgrade>,
    story: Story,
}

/// A request without an answer yet. Where its client leaves, or the program ends, that is told too.
struct Unfinished<'a> {
    proxy: &'a Proxy,
    story: &'a Story,
}

impl Unfinished<'_> {
    /// There is an answer, and it will tell of the request.
    fn finish(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.proxy.telemetry.record(Event::Request(self.story.request(CLIENT_LEFT, 0, true)));
    }
}

/// Lets interim responses through to a client that can take them, and holds a body back that waits to be asked for.
fn prepare(body: &mut RequestBody, admitted: &Admitted, version: Version, interim: &Arc<Interim>) {
    if version < Version::HTTP_11 {
        return;
    }
    if admitted.expects_continue {
        body.hold_behind(Arc::new(gate(version, interim)));
    }
    interim.open();
    body.tell_interim(Arc::<Interim>::clone(interim));
}

impl OnInterim for Interim {
    fn tell(&self, status: StatusCode, headers: &HeaderMap) {
        if let Some(head) = response::interim(status, headers.clone()) {
            self.put(head);
        }
    }
}

/// What holds a body back. hyper's server asks a client of HTTP/1.1 for its body as soon as somebody reads it; in HTTP/2 we do.
fn gate(version: Version, interim: &Arc<Interim>) -> Gate {
    if version < Version::HTTP_2 {
        return Gate::default();
    }
    let interim = Arc::clone(interim);
    Gate::telling(move || {
        let mut go_on = Response::new(());
        *go_on.status_mut() = StatusCode::CONTINUE;
        interim.put(go_on);
    })
}

/// The limit, where 0 is none.
const fn most_bytes(limit: u64) -> u64 {
    if limit == 0 { u64::MAX } else { limit }
}

const fn of_client(fault: ClientFault) -> Refusal {
    match fault {
        ClientFault::Malformed => Refusal::BodyBroken,
        ClientFault::TooLarge => Refusal::BodyTooLarge,
        ClientFault::TimedOut => Refusal::TooSlow,
    }
}

/// The status of a request whose client has left, in the log only; no response ever has it.
const CLIENT_LEFT: u16 = 499;

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Received").field(&self.0.is_ok()).finish()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("telemetry", &self.telemetry).finish_non_exhaustive()
    }
}
