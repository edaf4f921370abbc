//! Owns `request_headers` and `response_headers` of a route: which fields it sets or removes, and which are not its to change.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header::Entry;

use super::document::Table;
use super::problem::Placed;
use super::problem::Wrong;
use super::problem::quoted;

/// What a route changes in a head. A field is set or removed whole, however many lines it has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderChanges {
    /// The fields that it sets, once each.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// The fields that it removes.
    pub removed: Vec<HeaderName>,
}

/// Whose head it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

impl HeaderChanges {
    /// Reads a table of names and values; what is wrong in it is noted and left out.
    pub(super) fn read(table: &Table<'_>, side: Side) -> Self {
        let key = match side {
            Side::Request => "request_headers",
            Side::Response => "response_headers",
        };
        let mut changes = Self::default();
        for (name, value) in table.pairs(key, r#"{ "X-Env" = "prod", "X-Debug" = "" }"#) {
            let read = field_name(&name.value).and_then(|field| permitted(field, value.value.is_empty(), side));
            let field = match read {
                Ok(field) if changes.has(&field) => {
                    let what = format!("the field {} is written twice", quoted(&name.value));
                    table.note(name.place, Wrong::new(what, "keep one of the two; case makes no difference"));
                    continue;
                }
                Ok(field) => field,
                Err(wrong) => {
                    table.note(name.place, wrong);
                    continue;
                }
            };
            match field_value(&value) {
                Ok(None) => changes.removed.push(field),
                Ok(Some(value)) => changes.set.push((field, value)),
                Err(wrong) => table.note(value.place, wrong),
            }
        }
        changes
    }

    /// Whether nothing is changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }

    /// Makes the changes.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.removed {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
    }

    /// Sets only what is not there yet: what an answer says of itself is neither replaced nor removed.
    pub fn complete(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.set {
            if let Entry::Vacant(vacant) = headers.entry(name) {
                vacant.insert(value.clone());
            }
        }
    }

    fn has(&self, field: &HeaderName) -> bool {
        self.removed.contains(field) || self.set.iter().any(|(name, _)| name == field)
    }
}

fn field_name(name: &str) -> Result<HeaderName, Wrong> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        let what = format!("{} cannot be the name of a field", quoted(name));
        Wrong::new(what, r#"write letters, digits and hyphens: "X-Env""#)
    })
}

/// The value; none where it is empty, which removes the field.
fn field_value(written: &Placed<String>) -> Result<Option<HeaderValue>, Wrong> {
    let text = written.value.as_str();
    if text.is_empty() {
        return Ok(None);
    }
    // The value may be a secret, so it is not quoted.
    if text.trim() != text {
        return Err(Wrong::new("the value begins or ends with a space, which no field's value can", "remove it"));
    }
    HeaderValue::from_str(text).map(Some).map_err(|_| {
        let what = "the value has characters that no field can carry";
        Wrong::new(what, "write it on one line, without control characters")
    })
}

/// The field, if a route may change it.
fn permitted(name: HeaderName, removes: bool, side: Side) -> Result<HeaderName, Wrong> {
    let refused = |why: &str, cure: &str| Err(Wrong::new(format!("{} {why}", quoted(name.as_str())), cure));
    match (name.as_str(), side) {
        (
            "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "upgrade",
            _,
        ) => refused("is for one connection only, and this proxy writes its own", "remove it"),
        ("content-length" | "transfer-encoding" | "trailer", _) | ("expect", Side::Request) => {
            refused("frames the body, which this proxy does itself", "remove it")
        }
        ("host", Side::Request) => {
            refused("is set for an upstream as a whole", r#"write host_header = "shop.example" below the [[upstream]]"#)
        }
        ("host", Side::Response) => refused("is no field of a response", "remove it"),
        ("date", Side::Response) => refused("says when an answer was made", "remove it"),
        ("traceparent" | "tracestate", Side::Request) if !removes => {
            refused("is this proxy's own to continue or begin", r#"write "" to send none, or remove it"#)
        }
        ("via" | "x-request-id" | "proxy-status", _) => refused("is this proxy's own to write", "remove it"),
        ("x-why502-token", Side::Request) => refused("is the operator's, and is never passed on", "remove it"),
        _ => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::HeaderName;
    use http::HeaderValue;

    use super::HeaderChanges;

    fn changes(set: &[(&'static str, &'static str)], removed: &[&'static str]) -> HeaderChanges {
        let field = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        HeaderChanges {
            set: set.iter().copied().map(field).collect(),
            removed: removed.iter().copied().map(HeaderName::from_static).collect(),
        }
    }

    fn head(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_field_is_set_once_and_removed_whole_and_all_else_stays() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-env", "a"), ("x-env", "b"), ("x-debug", "1"), ("x-debug", "2"), ("accept", "*/*")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        changes(&[("x-env", "prod"), ("x-new", "1")], &["x-debug", "x-absent"]).apply(&mut headers);
        assert_eq!(headers, head(&[("x-env", "prod"), ("accept", "*/*"), ("x-new", "1")]));
    }

    #[test]
    fn an_answer_of_this_proxys_own_is_only_completed() {
        let mut headers = head(&[("cache-control", "no-store"), ("content-type", "text/html")]);
        let changes =
            changes(&[("cache-control", "public"), ("strict-transport-security", "max-age=9")], &["content-type"]);
        changes.complete(&mut headers);
        let expected =
            [("cache-control", "no-store"), ("content-type", "text/html"), ("strict-transport-security", "max-age=9")];
        assert_eq!(headers, head(&expected));
    }
}
