//! Owns what a route does to what passes along it: the prefix that the origin does not see, the fields that are changed, and
//! where a redirect to https sends a client.

use std::sync::Arc;

use http::HeaderValue;
use http::uri::PathAndQuery;

use crate::config::HeaderChanges;
use crate::config::ListenAddress;
use crate::config::Listener;
use crate::config::Route;
use crate::telemetry::Traffic;

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
    /// Where its requests are counted; none where nobody serves them.
    pub traffic: Option<Arc<Traffic>>,
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
            traffic: None,
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

/// Where https is served, as far as the configuration tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Https {
    /// The port, where it is not 443.
    port: Option<u16>,
    /// Whether port 80 is served here.
    serves_80: bool,
}

impl Https {
    /// What these listeners tell.
    #[must_use]
    pub fn on(listeners: &[Listener]) -> Self {
        let ports = |secure: bool| {
            let listeners = listeners.iter().filter(move |listener| listener.tls.is_empty() != secure);
            listeners.filter_map(|listener| match &listener.address {
                // 0 is any port.
                ListenAddress::Tcp(address) => Some(address.port()).filter(|port| *port != 0),
                ListenAddress::Unix(_) => None,
            })
        };
        let on_443 = ports(true).any(|port| port == 443);
        Self { port: ports(true).find(|_| !on_443), serves_80: ports(false).any(|port| port == 80) }
    }

    /// The same address in https; none for a request that names no host.
    ///
    /// A client that names no port came to port 80. Where nobody listens on it here, somebody in front passes its connections on,
    /// and those to 443 too: a container's ports, or a load balancer's.
    #[must_use]
    pub fn location(self, host: &str, target: &PathAndQuery) -> Option<HeaderValue> {
        let end = host.rfind(']').map_or_else(|| host.find(':').unwrap_or(host.len()), |bracket| bracket + 1);
        let (name, own) = host.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
        let is_direct = self.serves_80 || !own.is_empty();
        let port = self.port.filter(|_| is_direct).map(|port| format!(":{port}")).unwrap_or_default();
        let target = if target.as_str() == "*" { "/" } else { target.as_str() };
        HeaderValue::try_from(format!("https://{name}{port}{target}")).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::uri::PathAndQuery;

    use super::Https;
    use super::Way;
    use crate::config::HostPattern;
    use crate::config::ListenAddress;
    use crate::config::Listener;
    use crate::config::ListenerTls;
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

    fn listeners(plain: &[&str], secure: &[&str]) -> Vec<Listener> {
        let listener = |text: &&str| {
            let unix = text.strip_prefix("unix:").map(|path| ListenAddress::Unix(path.into()));
            Listener::plain(unix.unwrap_or_else(|| ListenAddress::Tcp(text.parse().unwrap())))
        };
        let plain = plain.iter().map(listener);
        let tls = || vec![ListenerTls { certificate: "a.pem".into(), key: "a.key".into(), clients: None }];
        let secure = secure.iter().map(listener).map(|listener| Listener { tls: tls(), ..listener });
        plain.chain(secure).collect()
    }

    #[test]
    fn a_redirect_keeps_host_path_and_query() {
        let https = Https::on(&listeners(&["0.0.0.0:80"], &["0.0.0.0:443"]));
        for (host, target, expected) in [
            ("shop.example", "/a%2Fb?q=%20&r", "https://shop.example/a%2Fb?q=%20&r"),
            ("shop.example:80", "/", "https://shop.example/"),
            ("[2001:db8::1]:80", "//evil.example/", "https://[2001:db8::1]//evil.example/"),
            ("[2001:db8::1]", "/", "https://[2001:db8::1]/"),
            ("a", "*", "https://a/"),
        ] {
            let location = https.location(host, &PathAndQuery::from_static(target));
            assert_eq!(location.unwrap(), expected, "{host} {target}");
        }
        assert_eq!(https.location("", &PathAndQuery::from_static("/")), None);
    }

    #[test]
    fn a_redirect_goes_to_the_port_that_serves_https_for_its_client() {
        let unix = "unix:/run/a.sock";
        for (plain, secure, host, expected) in [
            (&["0.0.0.0:8080"][..], &["0.0.0.0:8443"][..], "a:8080", "https://a:8443/"),
            // Ports that somebody else maps.
            (&["0.0.0.0:8080"], &["0.0.0.0:8443"], "a", "https://a/"),
            (&["0.0.0.0:80"], &["0.0.0.0:8443"], "a", "https://a:8443/"),
            (&["0.0.0.0:80"], &["0.0.0.0:8443", "0.0.0.0:443"], "a", "https://a/"),
            (&["0.0.0.0:8080", unix], &[unix], "a:8080", "https://a/"),
            (&["0.0.0.0:8080"], &[], "a:8080", "https://a/"),
        ] {
            let location = Https::on(&listeners(plain, secure)).location(host, &PathAndQuery::from_static("/"));
            assert_eq!(location.unwrap(), expected, "{plain:?} {secure:?} {host}");
        }
    }
}
