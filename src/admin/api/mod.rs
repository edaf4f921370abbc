//! Owns `/api/`: what the dashboard and other programs read, in JSON. `openapi.json` says what each answer holds, and a test holds
//! the answers to that.

mod upstreams;

use http::Response;
use http::StatusCode;
use http::request::Parts;
use serde_json::Value;
use serde_json::json;

pub(super) use self::upstreams::upstreams;
use crate::admin::View;
use crate::admin::access::Refused;
use crate::admin::reply;
use crate::admin::reply::Body;
use crate::archive::Record;

/// The incidents, open ones first, then the latest: `?upstream=NAME`, `?limit=NUMBER`.
pub(super) fn incidents(asked: &Parts, view: &View) -> Result<Response<Body>, Refused> {
    let query = asked.uri.query().unwrap_or_default();
    let value = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    let limit = match value("limit") {
        None => USUAL_LIMIT,
        Some(limit) => limit.parse().ok().filter(|limit| (1..=MOST).contains(limit)).ok_or(Refused::Query)?,
    };
    let upstream = value("upstream").map(decoded);
    let found = view.shared.archive.list(upstream.as_deref(), limit);
    let incidents: Vec<Value> = found.iter().map(|record| in_short(record)).collect();
    Ok(written(&json!({ "incidents": incidents })))
}

/// One incident, with its evidence and the operator's answer to the failure that it goes by.
pub(super) fn incident(id: &str, view: &View) -> Result<Response<Body>, Refused> {
    let record = view.shared.archive.find(id).ok_or(Refused::IncidentUnknown)?;
    Ok(written(&serde_json::to_value(&*record).unwrap_or_default()))
}

/// The operator's answer to a failure, by its request's id.
pub(super) fn request(id: &str, view: &View) -> Result<Response<Body>, Refused> {
    let answer = view.shared.past.find(id).ok_or(Refused::RequestUnknown)?;
    Ok(reply::json(StatusCode::OK, answer))
}

/// What there is to be asked for.
pub(super) fn description() -> Response<Body> {
    reply::json(StatusCode::OK, include_str!("openapi.json"))
}

/// An incident without what only one who looks at it alone wants to know.
fn in_short(record: &Record) -> Value {
    let mut value = serde_json::to_value(record).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.remove("answer");
        members.remove("evidence");
    }
    value
}

fn written(value: &Value) -> Response<Body> {
    reply::json(StatusCode::OK, value.to_string())
}

/// A value of a query without its percent signs; what is no UTF-8 is replaced.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [byte, tail @ ..] = rest {
        let escaped = tail.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        let (decoded, skipped) = match (byte, escaped) {
            (b'%', Some(escaped)) => (escaped, 2),
            (b'+', _) => (b' ', 0),
            (plain, _) => (*plain, 0),
        };
        bytes.push(decoded);
        rest = tail.get(skipped..).unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How many incidents an answer has.
const USUAL_LIMIT: usize = 100;
const MOST: usize = 1000;

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn a_value_of_a_query_is_read() {
        for (value, expected) in
            [("app", "app"), ("a%20b+c", "a b c"), ("%zz%", "%zz%"), ("%C3%A9", "é"), ("%ff", "\u{fffd}")]
        {
            assert_eq!(decoded(value), expected, "{value}");
        }
    }
}
