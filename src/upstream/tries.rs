//! Owns what is kept of one request while it is tried: the attempt to be made, the head for another one, the failures so far and
//! which of them tells most.

use std::rc::Rc;
use std::time::Duration;

use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Uri;

use crate::fault::Failure;
use crate::fault::Stage;
use crate::upstream::Exhausted;
use crate::upstream::Lane;
use crate::upstream::attempt::Freshness;
use crate::upstream::balance::Key;
use crate::upstream::body::Early;
use crate::upstream::body::RequestBody;
use crate::upstream::died_idle;
use crate::upstream::limit::Place;
use crate::upstream::retry;

/// A head that can go out once more: that of a request without a body.
///
/// Every request is copied and hardly one goes out again, so the fields are copied as text, which takes a sixth of what it takes
/// to copy and drop them as values.
pub(super) struct Again {
    method: Method,
    uri: Uri,
    early: Option<Early>,
    /// Each field as `name:value` and a line feed, which no value can hold.
    fields: Vec<u8>,
}

impl Again {
    pub(super) const fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn of(request: &Request<RequestBody>) -> Option<Self> {
        let repeatable = request.body().is_empty() && retry::is_idempotent(request.method());
        repeatable.then(|| {
            let lengths = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 2);
            let mut fields = Vec::with_capacity(lengths.sum());
            for (name, value) in request.headers() {
                fields.extend_from_slice(name.as_str().as_bytes());
                fields.push(b':');
                fields.extend_from_slice(value.as_bytes());
                fields.push(b'\n');
            }
            let (method, uri) = (request.method().clone(), request.uri().clone());
            Self { method, uri, early: request.body().early(), fields }
        })
    }

    pub(super) fn request(self) -> Request<RequestBody> {
        let mut request = Request::new(self.early.map_or_else(RequestBody::empty, Early::without_body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        request.headers_mut().extend(self.fields.split(|byte| *byte == b'\n').filter_map(field));
        request
    }
}

/// The field of that line; none of the empty one.
fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_at_checked(line.iter().position(|byte| *byte == b':')?)?;
    Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value.get(1..)?).ok()?))
}

/// One attempt that is to be made.
pub(super) struct Try {
    pub(super) request: Box<Request<RequestBody>>,
    pub(super) lane: Rc<Lane>,
    /// The place in flight, where those are limited.
    pub(super) place: Option<Place>,
    pub(super) freshness: Freshness,
}

/// What has been tried for one request.
pub(super) struct Tries {
    /// What tells it from others, where that decides about its server.
    pub(super) key: Option<Key>,
    /// The server of each attempt that has failed.
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
    use std::sync::Arc;
    use std::time::Duration;

    use http::HeaderMap;
    use http::HeaderName;
    use http::HeaderValue;
    use http::Method;
    use http::Request;
    use http::StatusCode;

    use super::Again;
    use super::most_telling;
    use crate::fault::Failure;
    use crate::fault::Fault;
    use crate::fault::Fault::ClosedBeforeResponse;
    use crate::fault::Fault::ConnectionRefused;
    use crate::fault::Fault::DnsTimeout;
    use crate::fault::Fault::ServerAtCapacity;
    use crate::upstream::body::OnInterim;
    use crate::upstream::body::RequestBody;

    struct Nobody;

    impl OnInterim for Nobody {
        fn tell(&self, _: StatusCode, _: &HeaderMap) {}
    }

    #[test]
    fn a_head_goes_out_again_as_it_was() {
        let fields: [(&str, &[u8]); 8] = [
            ("host", b"shop.example:8080"),
            ("x-empty", b""),
            ("x-colons", b":a: b:"),
            ("x-spaces", b"a\tb  c"),
            ("x-latin", b"caf\xe9 \xff"),
            ("cookie", b"a=1"),
            ("cookie", b"b=2"),
            ("via", b"1.1 why502-x"),
        ];
        let value = |value| HeaderValue::from_bytes(value).unwrap();
        let fields = fields.map(|(name, text)| (HeaderName::from_static(name), value(text)));
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value);
        }
        let mut request = Request::put("/a%2Fb?x=1").body(RequestBody::empty()).unwrap();
        request.headers_mut().clone_from(&headers);
        request.body_mut().tell_interim(Arc::new(Nobody));
        let again = Again::of(&request).unwrap();
        assert_eq!(*again.method(), Method::PUT);
        let again = again.request();
        assert_eq!(
            (again.method(), again.uri(), again.version()),
            (request.method(), request.uri(), request.version())
        );
        assert_eq!(again.headers(), &headers);
        assert!(again.body().is_empty() && again.body().early().is_some());
    }

    #[test]
    fn what_may_not_happen_twice_is_not_kept() {
        for (method, kept) in
            [(Method::GET, true), (Method::DELETE, true), (Method::POST, false), (Method::PATCH, false)]
        {
            let request = Request::builder().method(method.clone()).body(RequestBody::empty()).unwrap();
            assert_eq!(Again::of(&request).is_some(), kept, "{method}");
        }
    }

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
