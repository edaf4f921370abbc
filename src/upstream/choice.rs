//! Owns which server a request goes to: one that is in service, and has room; or a wait for room; or the failure that says why
//! there is none.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::Limited;
use crate::upstream::Exhausted;
use crate::upstream::Lane;
use crate::upstream::Shared;
use crate::upstream::Upstream;
use crate::upstream::balance;
use crate::upstream::balance::Candidate;
use crate::upstream::health::Health;
use crate::upstream::limit::Place;
use crate::upstream::limit::Turn;

/// What comes of choosing.
enum Chosen {
    /// This server, and a place at it where requests in flight are limited.
    Server(Rc<Lane>, Option<Place>),
    /// Servers are in service, and each is full; the first to say so, and all of them.
    Full(Rc<Lane>, Vec<usize>),
    /// None is in service, or none that was not tried.
    Nobody,
}

impl Upstream {
    /// A server for a request that has just come, and a place at it. Where all are full, it waits for one.
    pub(super) async fn enter(&self) -> Result<(Rc<Lane>, Option<Place>), Exhausted> {
        match self.choose(&[]) {
            Chosen::Server(lane, place) => Ok((lane, place)),
            Chosen::Full(lane, servers) => Box::pin(self.wait(&lane, servers)).await,
            Chosen::Nobody => Err(self.nobody_left()),
        }
    }

    /// Another server for a request that has failed at these. It does not wait: others have waited for longer.
    pub(super) fn other(&self, tried: &[usize]) -> Option<(Rc<Lane>, Option<Place>)> {
        match self.choose(tried) {
            Chosen::Server(lane, place) => Some((lane, place)),
            Chosen::Full(..) | Chosen::Nobody => None,
        }
    }

    fn choose(&self, tried: &[usize]) -> Chosen {
        let capacity = &self.shared.capacity;
        let limited = capacity.limits_requests();
        let standing = (!self.shared.all_in()).then(|| self.standing(tried));
        if let ([only], [], false, None) = (self.lanes.as_slice(), tried, limited, &standing) {
            return Chosen::Server(Rc::clone(only), None);
        }
        let turn = self.shared.turn.fetch_add(1, Ordering::Relaxed);
        let in_service = |index: usize| {
            let is_in = standing.as_ref().is_none_or(|standing| standing.get(index).copied().unwrap_or(true));
            is_in && !tried.contains(&index)
        };
        let has_connection = |index: usize| {
            capacity.has_connection_left(index) || self.lanes.get(index).is_some_and(|lane| !lane.pool.is_empty())
        };
        // Where every one has all the connections that it may have, one of those will come free.
        let first = self.balance(|index| in_service(index) && has_connection(index), turn);
        let Some(first) = first.or_else(|| self.balance(in_service, turn)) else { return Chosen::Nobody };
        let Some(lane) = self.lanes.get(first) else { return Chosen::Nobody };
        if !limited {
            return Chosen::Server(Rc::clone(lane), None);
        }
        let (mut full, mut next) = (Vec::new(), Some(first));
        while let Some(index) = next {
            if let (Some(place), Some(lane)) = (capacity.take(Limited::Requests, index), self.lanes.get(index)) {
                return Chosen::Server(Rc::clone(lane), Some(place));
            }
            full.push(index);
            next = self.balance(|index| in_service(index) && !full.contains(&index), turn);
        }
        Chosen::Full(Rc::clone(lane), full)
    }

    fn balance(&self, eligible: impl Fn(usize) -> bool, turn: usize) -> Option<usize> {
        let candidate = |(index, lane): (usize, &Rc<Lane>)| Candidate {
            eligible: eligible(index),
            in_flight: lane.server.in_flight(),
        };
        let candidates: Vec<Candidate> = self.lanes.iter().enumerate().map(candidate).collect();
        balance::pick(self.shared.settings.balance, &candidates, turn)
    }

    /// Which servers are in service. Where failures have taken out all that checks leave, the one nearest its return is, for a
    /// request that has tried none: failures alone never empty a pool, unless the settings say that they may.
    fn standing(&self, tried: &[usize]) -> Vec<bool> {
        let now = Instant::now();
        let up = self.shared.health.as_ref().filter(|health| !health.all_up()).map(Health::servers_up);
        let is_up = |index: usize| up.as_ref().is_none_or(|up| up.get(index).copied().unwrap_or(true));
        let servers_in = self.shared.ejection.servers_in(now);
        let mut found: Vec<bool> = servers_in.iter().enumerate().map(|(index, is_in)| *is_in && is_up(index)).collect();
        if tried.is_empty()
            && !found.contains(&true)
            && let Some(nearest) = self.shared.ejection.nearest_return(now, is_up)
        {
            found.iter_mut().skip(nearest).take(1).for_each(|is_in| *is_in = true);
        }
        found
    }

    async fn wait(&self, lane: &Lane, servers: Vec<usize>) -> Result<(Rc<Lane>, Option<Place>), Exhausted> {
        let begin = Instant::now();
        let capacity = &self.shared.capacity;
        let (place, waited) = match capacity.take_or_wait(Limited::Requests, servers, 0) {
            Turn::Taken(place) => (Some(place), false),
            Turn::Full => (None, false),
            Turn::Waits(ticket) => (ticket.place(begin).await, true),
        };
        let taken = place.and_then(|place| Some((Rc::clone(self.lanes.get(place.server())?), Some(place))));
        taken.ok_or_else(|| {
            let mut failure = lane.full(Limited::Requests, waited.then_some(begin));
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
}

impl Lane {
    /// A place for one more connection, for a request that has waited for one since `begin`. Where there is none, it waits: idle ones
    /// make room, and the queue is for the rest.
    pub(super) async fn connection_place(&self, begin: Instant) -> Result<Place, Failure> {
        let (capacity, server) = (&self.shared.capacity, self.server.index);
        if let Some(place) = capacity.take(Limited::Connections, server) {
            return Ok(place);
        }
        let idle = capacity.idle(server, self.server.in_flight());
        // One that is idle on this core is closed at once, those of other cores by their next tick.
        self.pool.evict(1);
        let (place, waited) = match capacity.take_or_wait(Limited::Connections, vec![server], idle) {
            Turn::Taken(place) => (Some(place), false),
            Turn::Full => (None, false),
            Turn::Waits(ticket) => (ticket.place(begin).await, true),
        };
        place.ok_or_else(|| self.full(Limited::Connections, waited.then_some(begin)))
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

    /// There is no place at this server, and there was none for as long as one may wait, where one has waited.
    fn full(&self, what: Limited, since: Option<Instant>) -> Failure {
        let capacity = &self.shared.capacity;
        let mut failure = Failure::new(Fault::ServerAtCapacity);
        failure.capacity = Some(capacity.evidence(what, self.server.index));
        if let Some(since) = since {
            failure.limit = Some(capacity.patience());
            failure.stage_elapsed = since.elapsed();
        }
        failure
    }
}
