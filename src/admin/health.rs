//! Owns what load balancers and orchestrators ask: whether the program lives, and whether it wants requests.

use http::Response;
use http::StatusCode;

use crate::admin::reply;
use crate::admin::reply::Body;
use crate::proxy::readiness::Readiness;

/// Whoever can answer this lives.
pub(super) fn live() -> Response<Body> {
    reply::json(StatusCode::OK, r#"{"status":"live"}"#)
}

/// Whether requests are to be sent here: not before every listener is served, and no longer once the program is to end.
pub(super) fn ready(readiness: &Readiness) -> Response<Body> {
    if readiness.is_ready() {
        reply::json(StatusCode::OK, r#"{"status":"ready"}"#)
    } else {
        reply::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"not_ready"}"#)
    }
}
