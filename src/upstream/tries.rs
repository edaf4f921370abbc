//! Owns what is kept of one request while it is tried: the attempt to be made, the head for another one, the failures so far and
//! which of them tells most.

use std::rc::Rc;
use std::time::Duration;

use http::Method;
use http::Request;

use crate::fault::Failure;
use crate::fault::Stage;
use crate::upstream::Exhausted;
use crate::upstream::Lane;
use crate::upstream::attempt::Freshness;
use crate::upstream::balance::Key;
use crate::upstream::body::RequestBody;
use crate::upstream::died_idle;
use crate::upstream::limit::Place;
use crate::upstream::retry;

/// A head that can go out once more: that of a request without a body.
pub(super) struct Again(http::request::Parts);

impl Again {
    pub(super) const fn method(&self) -> &Method {
        &self.0.method
    }

    pub(super) fn of(request: &Request<RequestBody>) -> Option<Self> {
        let repeatable = request.body().is_empty() && retry::is_idempotent(request.method());
        repeatable.then(|| {
            let mut copy = Request::new(());
            request.method().clone_into(copy.method_mut());
            request.uri().clone_into(copy.uri_mut());
            request.headers().clone_into(copy.headers_mut());
            request.extensions().clone_into(copy.extensions_mut());
            Self(copy.into_parts().0)
        })
    }

    pub(super) fn request(self) -> Request<RequestBody> {
        Request::from_parts(self.0, RequestBody::empty())
    }
}

/// One attempt that is to be made.
pub(super) struct Try {
    pub(super) request: Request<RequestBody>,
    pub(super) lane: Rc<Lane>,
    /// The place in flight, where those are limited.
    pub(super) place: Option<Place>,
    pub(super) freshness: Freshness,
}

/// What has been tried for one request.
pub(super) struct Tries {
    /// What tells it from others, where that decides about its server.
    pub(super) key: Option<Key>,
    /// The server of each attempt.
    pub(super) servers: Vec<usize>,
    pub(super) failures: Vec<Failure>,
}

impl Tries {
    /// Nothing yet.
    pub(super) const fn of(key: Option<Key>) -> Self {
        Self { key, servers: Vec::new(), failures: Vec::new() }
    }

    /// Why there is no response, when the last of them has failed.
    pub(super) fn exhausted(self) -> Exhausted {
        let telling = most_telling(&self.failures);
        // Only the upstream itself, where it answered, knows when it is worth another try.
        let told = self.failures.get(telling).filter(|failure| failure.fault.stage() == Stage::Upstream);
        let retry_after = told.and_then(|failure| failure.response.as_ref()?.retry_after).map(Duration::from_secs);
        Exhausted { attempts: self.failures, telling, retry_after }
    }
}

/// The attempt that came furthest says most; an idle connection that died says least, and one that found no place little more.
fn most_telling(failures: &[Failure]) -> usize {
    let depth = |failure: &Failure| {
        let stage = failure.fault.stage();
        if died_idle(failure) {
            0
        } else if stage == Stage::Gateway {
            1
        } else {
            2 + stage_depth(stage)
        }
    };
    let mut best = 0;
    for (index, failure) in failures.iter().enumerate() {
        if failures.get(best).is_some_and(|known| depth(failure) > depth(known)) {
            best = index;
        }
    }
    best
}

fn stage_depth(stage: Stage) -> usize {
    Stage::ALL.iter().position(|known| *known == stage).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::most_telling;
    use crate::fault::Failure;
    use crate::fault::Fault;
    use crate::fault::Fault::ClosedBeforeResponse;
    use crate::fault::Fault::ConnectionRefused;
    use crate::fault::Fault::DnsTimeout;
    use crate::fault::Fault::ServerAtCapacity;

    #[test]
    fn the_attempt_that_came_furthest_is_told() {
        // The attempts in order, with whether the connection had been used before; and the place of the one that is told.
        let table: &[(&[(Fault, bool)], usize)] = &[
            (&[(ConnectionRefused, false)], 0),
            (&[(ConnectionRefused, false), (ConnectionRefused, false)], 0),
            (&[(ConnectionRefused, false), (ClosedBeforeResponse, false)], 1),
            (&[(ClosedBeforeResponse, true), (ConnectionRefused, false)], 1),
            (&[(DnsTimeout, false), (ServerAtCapacity, false)], 0),
            (&[(ServerAtCapacity, false), (DnsTimeout, false)], 1),
            (&[(ClosedBeforeResponse, true), (ServerAtCapacity, false)], 1),
        ];
        for (attempts, told) in table {
            let failure = |(fault, reused): &(Fault, bool)| {
                let mut failure = Failure::new(*fault);
                failure.connection.reused = *reused;
                failure.connection.idle = reused.then_some(Duration::from_secs(1));
                failure
            };
            let failures: Vec<_> = attempts.iter().map(failure).collect();
            assert_eq!(most_telling(&failures), *told, "{attempts:?}");
        }
    }
}
