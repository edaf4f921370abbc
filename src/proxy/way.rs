//! Owns what a route does to what passes along it: the prefix that the origin does not see, the fields that are changed, and
//! where a redirect to https sends a client.

use std::sync::Arc;

use http::HeaderValue;
use http::uri::PathAndQuery;

use crate::config::HeaderChanges;
use crate::config::Route;

/// A route as its requests see it; made once, when the configuration is read.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// Host pattern and path prefix as one word for the log.
    pub label: Arc<str>,
    /// The prefix that the origin does not see, as it is told of it.
    pub stripped: Option<HeaderValue>,
    /// What is changed in a request's head on its way to the origin.
    pub request_headers: HeaderChanges,
    /// What is changed in an answer's head on its way to the client.
    pub response_headers: HeaderChanges,
}

impl Way {
    /// The way of a route that the log calls by this label.
    #[must_use]
    pub fn new(route: &Route, label: &Arc<str>) -> Self {
        let strips = route.strip_path && &*route.path != "/";
        Self {
            label: Arc::clone(label),
            stripped: strips.then(|| HeaderValue::from_str(&route.path).ok()).flatten(),
            request_headers: route.request_headers.clone(),
            response_headers: route.response_headers.clone(),
        }
    }

    /// The target as the origin gets it, where that is another than the client's. It always begins with exactly one slash:
    /// `/api//evil.example` must not become a target that reads as another host's. All else stays as it was encoded.
    #[must_use]
    pub fn onward(&self, target: &PathAndQuery) -> Option<PathAndQuery> {
        let prefix = self.stripped.as_ref()?.to_str().ok()?;
        let rest = target.as_str().strip_prefix(prefix)?;
        PathAndQuery::try_from(format!("/{}", rest.trim_start_matches('/'))).ok()
    }
}

/// The same address in https; none for a request that names no host. The port is the one that https is served on, where that
/// is not 443.
#[must_use]
pub fn https(host: &str, target: &PathAndQuery, port: Option<u16>) -> Option<HeaderValue> {
    let end = host.rfind(']').map_or_else(|| host.find(':').unwrap_or(host.len()), |bracket| bracket + 1);
    let name = host.get(..end).filter(|name| !name.is_empty())?;
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let target = if target.as_str() == "*" { "/" } else { target.as_str() };
    HeaderValue::try_from(format!("https://{name}{port}{target}")).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::uri::PathAndQuery;

    use super::Way;
    use super::https;
    use crate::config::HostPattern;
    use crate::config::Route;

    #[test]
    fn a_prefix_is_stripped_and_one_slash_is_left() {
        let route = Route { strip_path: true, ..Route::new(HostPattern::Any, "/api", "app") };
        let way = Way::new(&route, &Arc::from("*/api"));
        for (target, expected) in [
            ("/api", "/"),
            ("/api/", "/"),
            ("/api?q=/api", "/?q=/api"),
            ("/api/users?page=2", "/users?page=2"),
            ("/api/a%2Fb/%7E;v=1/../c//d", "/a%2Fb/%7E;v=1/../c//d"),
            ("/api//evil.example/x", "/evil.example/x"),
            ("/api////", "/"),
            ("/api/api", "/api"),
        ] {
            let onward = way.onward(&PathAndQuery::from_static(target));
            assert_eq!(onward.as_ref().map(PathAndQuery::as_str), Some(expected), "{target}");
        }
    }

    #[test]
    fn without_strip_path_the_target_stays() {
        for (path, strip_path) in [("/api", false), ("/", true)] {
            let route = Route { strip_path, ..Route::new(HostPattern::Any, path, "app") };
            let way = Way::new(&route, &Arc::from(""));
            assert_eq!(way.onward(&PathAndQuery::from_static("/api/x")), None, "{path}");
        }
    }

    #[test]
    fn a_redirect_keeps_host_path_and_query_and_changes_the_port() {
        for (host, target, port, expected) in [
            ("shop.example", "/a%2Fb?q=%20&r", None, "https://shop.example/a%2Fb?q=%20&r"),
            ("shop.example:8080", "/", None, "https://shop.example/"),
            ("shop.example:8080", "/", Some(8443), "https://shop.example:8443/"),
            ("[2001:db8::1]:80", "//evil.example/", None, "https://[2001:db8::1]//evil.example/"),
            ("[2001:db8::1]", "/", Some(8443), "https://[2001:db8::1]:8443/"),
            ("a", "*", None, "https://a/"),
        ] {
            let location = https(host, &PathAndQuery::from_static(target), port);
            assert_eq!(location.unwrap(), expected, "{host} {target}");
        }
        assert_eq!(https("", &PathAndQuery::from_static("/"), None), None);
    }
}
