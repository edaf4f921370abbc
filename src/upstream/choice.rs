//! Owns which server a request goes to: one that is in service, and has room; or a wait for room; or the failure that says why
//! there is none.

use std::rc::Rc;

use tokio::time::Instant;

use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::Limited;
use crate::upstream::Exhausted;
use crate::upstream::Lane;
use crate::upstream::Shared;
use crate::upstream::Upstream;
use crate::upstream::balance::Candidates;
use crate::upstream::balance::Key;
use crate::upstream::health::Health;
use crate::upstream::limit::NoPlace;
use crate::upstream::limit::Place;
use crate::upstream::limit::Turn;

/// What comes of choosing.
enum Chosen {
    /// This server, and a place at it where requests in flight are limited.
    Server(Rc<Lane>, Option<Place>),
    /// Servers are in service, and each is full; the first of them, and all of them.
    Full(Rc<Lane>, Vec<usize>),
    /// None is in service, or none that was not tried.
    Nobody,
}

impl Upstream {
    /// A server for a request that has just come, and a place at it. Where all are full, it waits for one.
    pub(super) async fn enter(&self, key: Option<Key>) -> Result<(Rc<Lane>, Option<Place>), Exhausted> {
        match self.choose(&[], key) {
            Chosen::Server(lane, place) => Ok((lane, place)),
            Chosen::Full(lane, servers) => Box::pin(self.wait(&lane, servers)).await,
            Chosen::Nobody => Err(self.nobody_left()),
        }
    }

    /// Another server for a request that has failed at these. It does not wait: others have waited for longer.
    pub(super) fn other(&self, tried: &[usize], key: Option<Key>) -> Option<(Rc<Lane>, Option<Place>)> {
        match self.choose(tried, key) {
            Chosen::Server(lane, place) => Some((lane, place)),
            Chosen::Full(..) | Chosen::Nobody => None,
        }
    }

    fn choose(&self, tried: &[usize], key: Option<Key>) -> Chosen {
        let capacity = &self.shared.capacity;
        let (all_in, limited) = (self.shared.all_in(), capacity.limits_requests());
        if let ([only], [], true, false) = (self.lanes.as_slice(), tried, all_in, limited) {
            return Chosen::Server(Rc::clone(only), None);
        }
        let view = View { upstream: self, tried, all_in, now: Instant::now(), wants: Wants::Connection };
        // Where every one has all the connections that it may have, one of those will come free.
        let views = [view, View { wants: Wants::Room, ..view }];
        // A place that was there a moment ago may have been taken by another core.
        for _ in 0..=self.lanes.len() {
            let found = views.iter().find_map(|view| self.shared.balancer.pick(view, key, view.now));
            let Some((server, lane)) = found.and_then(|server| Some((server, self.lanes.get(server)?))) else { break };
            if !limited {
                return Chosen::Server(Rc::clone(lane), None);
            }
            if let Some(place) = capacity.take(Limited::Requests, server) {
                return Chosen::Server(Rc::clone(lane), Some(place));
            }
        }
        let full: Vec<usize> = (0..self.lanes.len()).filter(|server| view.is_in_service(*server)).collect();
        if let Some(lane) = full.first().and_then(|first| self.lanes.get(*first)) {
            return Chosen::Full(Rc::clone(lane), full);
        }
        self.pardoned(&view).unwrap_or(Chosen::Nobody)
    }

    /// Where failures have taken out all that checks leave and the request has not tried, the one of them nearest its return:
    /// failures alone never empty a pool, unless the settings say that they may. It may be well again, while those in service
    /// have just failed.
    fn pardoned(&self, view: &View<'_>) -> Option<Chosen> {
        let may_be_asked = |server| self.shared.is_up(server) && !view.tried.contains(&server);
        let server = self.shared.ejection.nearest_return(view.now, may_be_asked)?;
        let lane = self.lanes.get(server)?;
        let capacity = &self.shared.capacity;
        if !capacity.limits_requests() {
            return Some(Chosen::Server(Rc::clone(lane), None));
        }
        Some(match capacity.take(Limited::Requests, server) {
            Some(place) => Chosen::Server(Rc::clone(lane), Some(place)),
            None => Chosen::Full(Rc::clone(lane), vec![server]),
        })
    }

    async fn wait(&self, lane: &Lane, servers: Vec<usize>) -> Result<(Rc<Lane>, Option<Place>), Exhausted> {
        let begin = Instant::now();
        let capacity = &self.shared.capacity;
        let place = match capacity.take_or_wait(Limited::Requests, servers, 0) {
            Turn::Taken(place) => Ok(place),
            Turn::Full => Err(NoPlace::Full),
            Turn::Waits(ticket) => ticket.place(begin).await,
        };
        let taken = place.and_then(|place| {
            let lane = self.lanes.get(place.server()).ok_or(NoPlace::Full)?;
            Ok((Rc::clone(lane), Some(place)))
        });
        taken.map_err(|why| {
            let mut failure = lane.full(Limited::Requests, why, begin);
            failure.target = Some((*lane.server.target).clone());
            failure.elapsed = begin.elapsed();
            Exhausted { attempts: vec![failure], telling: 0, retry_after: None }
        })
    }

    /// No server may be used: what took them out in the first place stands beside it.
    fn nobody_left(&self) -> Exhausted {
        let why_out = self.shared.ejection.why_out(Instant::now());
        let why_down = self.shared.health.as_ref().map(Health::why_down).unwrap_or_default();
        let soonest = why_out.soonest.into_iter().chain(why_down.soonest).min();
        let mut first = why_down.failures;
        // Of a server that is out for both reasons one is enough.
        let known: Vec<usize> = first.iter().map(|(server, _)| *server).collect();
        first.extend(why_out.first.into_iter().filter(|(server, _)| !known.contains(server)));
        first.sort_by_key(|(server, _)| *server);
        let mut attempts: Vec<Failure> = first.iter().map(|(_, failure)| (**failure).clone()).collect();
        let mut failure = Failure::new(Fault::NoHealthyServer);
        failure.target = self.lanes.first().map(|lane| (*lane.server.target).clone());
        failure.check = why_down.answered.and_then(|(server, status)| {
            let health = self.shared.health.as_ref()?;
            Some(health.evidence(self.shared.servers.get(server)?, status))
        });
        attempts.push(failure);
        Exhausted { telling: attempts.len() - 1, attempts, retry_after: soonest }
    }
}

impl Shared {
    /// Whether every server is in service: the usual case, answered without a lock.
    fn all_in(&self) -> bool {
        self.ejection.all_in() && self.health.as_ref().is_none_or(Health::all_up)
    }

    fn is_up(&self, server: usize) -> bool {
        self.health.as_ref().is_none_or(|health| health.is_up(server))
    }
}

/// The servers of an upstream as one request sees them.
#[derive(Clone, Copy)]
struct View<'a> {
    upstream: &'a Upstream,
    /// Those at which the request has failed.
    tried: &'a [usize],
    /// Whether every server is in service.
    all_in: bool,
    now: Instant,
    wants: Wants,
}

/// What a server has to have left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wants {
    /// Room for a request, where those are limited.
    Room,
    /// That, and a connection that is open or may be opened.
    Connection,
}

impl View<'_> {
    fn is_in_service(&self, server: usize) -> bool {
        let shared = &self.upstream.shared;
        let is_in = self.all_in || (shared.ejection.is_in(server, self.now) && shared.is_up(server));
        is_in && !self.tried.contains(&server)
    }

    fn may_be_chosen(&self, server: usize) -> bool {
        let capacity = &self.upstream.shared.capacity;
        let has_connection = |wants: Wants| {
            let is_open = || self.upstream.lanes.get(server).is_some_and(|lane| !lane.pool.is_empty());
            wants == Wants::Room || capacity.has_connection_left(server) || is_open()
        };
        self.is_in_service(server) && capacity.has_room(server) && has_connection(self.wants)
    }
}

impl Candidates for View<'_> {
    fn share(&self, server: usize) -> u32 {
        if !self.may_be_chosen(server) {
            return 0;
        }
        let balancer = &self.upstream.shared.balancer;
        balancer.share(server, balancer.is_rising().then_some(self.now))
    }

    fn in_flight(&self, server: usize) -> u32 {
        self.upstream.shared.servers.get(server).map_or(0, |server| server.in_flight())
    }
}

impl Lane {
    /// A place for one more connection, for a request that has waited for one since `begin`. Where there is none, it waits: idle ones
    /// make room, and the queue is for the rest.
    pub(super) async fn connection_place(&self, begin: Instant) -> Result<Place, Box<Failure>> {
        let (capacity, server) = (&self.shared.capacity, self.server.index);
        if let Some(place) = capacity.take(Limited::Connections, server) {
            return Ok(place);
        }
        let idle = capacity.idle(server, self.server.in_flight());
        // One that is idle on this core is closed at once, those of other cores by their next tick.
        self.pool.evict(1);
        let place = match capacity.take_or_wait(Limited::Connections, vec![server], idle) {
            Turn::Taken(place) => Ok(place),
            Turn::Full => Err(NoPlace::Full),
            Turn::Waits(ticket) => ticket.place(begin).await,
        };
        place.map_err(|why| Box::new(self.full(Limited::Connections, why, begin)))
    }

    /// Closes idle connections of this core for requests that wait for one.
    pub(super) fn make_room(&self) {
        let wanted = self.shared.capacity.wanted(self.server.index);
        if wanted > 0 {
            let count = usize::try_from(wanted).unwrap_or(usize::MAX);
            self.pool.evict(count);
            self.multiplex.evict(count, Instant::now());
        }
    }

    /// There is no place at this server for one who asked for it at that moment.
    fn full(&self, what: Limited, why: NoPlace, since: Instant) -> Failure {
        let capacity = &self.shared.capacity;
        let mut failure = Failure::new(Fault::ServerAtCapacity);
        failure.capacity = Some(capacity.evidence(what, self.server.index));
        if why != NoPlace::Full {
            failure.stage_elapsed = since.elapsed();
        }
        failure.limit = (why == NoPlace::Late).then(|| capacity.patience());
        failure
    }
}
