//! Owns the question who answered 502, 503 or 504 in the origin's place, and what that one says of the hop behind it.
//!
//! Gateways say it in four ways: by `Proxy-Status` (RFC 9209), by fields of their own, by `Server` and `Via`, and by the
//! phrases of their own pages. What is recognised is a word of ours; what is kept of their text is short and clean.

mod head;
mod page;
mod proxy_status;

use std::time::Duration;

use http::HeaderMap;
use http::header;

use super::failure::ResponseEvidence;
use super::malformed::shown;

/// Who answered, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gateway {
    /// nginx.
    Nginx,
    /// `OpenResty`, nginx with Lua.
    OpenResty,
    /// The ingress controller of Kubernetes that is made of nginx.
    IngressNginx,
    /// Apache httpd.
    Apache,
    /// `HAProxy`.
    Haproxy,
    /// Varnish.
    Varnish,
    /// Squid.
    Squid,
    /// Envoy, on its own or in a service mesh.
    Envoy,
    /// The proxy of Linkerd.
    Linkerd,
    /// Caddy.
    Caddy,
    /// Traefik, or another proxy that is written in Go with its standard library.
    Traefik,
    /// Kong.
    Kong,
    /// Cloudflare.
    Cloudflare,
    /// Amazon `CloudFront`.
    CloudFront,
    /// A load balancer of AWS.
    AwsLoadBalancer,
    /// A load balancer of Google Cloud.
    GoogleLoadBalancer,
    /// A gateway of Azure.
    Azure,
    /// Fastly.
    Fastly,
    /// Akamai.
    Akamai,
    /// Heroku's router.
    Heroku,
    /// `LiteSpeed` or `OpenLiteSpeed`.
    LiteSpeed,
    /// IIS.
    Iis,
    /// Another why502.
    Why502,
    /// Tomcat.
    Tomcat,
    /// Jetty.
    Jetty,
    /// Gunicorn.
    Gunicorn,
    /// Uvicorn.
    Uvicorn,
    /// Phusion Passenger.
    Passenger,
}

impl Gateway {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::Nginx,
        Self::OpenResty,
        Self::IngressNginx,
        Self::Apache,
        Self::Haproxy,
        Self::Varnish,
        Self::Squid,
        Self::Envoy,
        Self::Linkerd,
        Self::Caddy,
        Self::Traefik,
        Self::Kong,
        Self::Cloudflare,
        Self::CloudFront,
        Self::AwsLoadBalancer,
        Self::GoogleLoadBalancer,
        Self::Azure,
        Self::Fastly,
        Self::Akamai,
        Self::Heroku,
        Self::LiteSpeed,
        Self::Iis,
        Self::Why502,
        Self::Tomcat,
        Self::Jetty,
        Self::Gunicorn,
        Self::Uvicorn,
        Self::Passenger,
    ];

    /// The word for it in a runbook.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.words().0
    }

    /// What an operator calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.words().1
    }

    /// Whether it is a program that answers by itself rather than a gateway in front of another.
    #[must_use]
    pub const fn is_application_server(self) -> bool {
        matches!(self, Self::Tomcat | Self::Jetty | Self::Gunicorn | Self::Uvicorn | Self::Passenger)
    }

    /// Whether it writes a `Retry-After` into every failing answer, whatever it met.
    #[must_use]
    pub const fn always_asks_to_wait(self) -> bool {
        matches!(self, Self::Varnish)
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Nginx => ("nginx", "nginx"),
            Self::OpenResty => ("openresty", "OpenResty"),
            Self::IngressNginx => ("ingress_nginx", "ingress-nginx"),
            Self::Apache => ("apache", "Apache"),
            Self::Haproxy => ("haproxy", "HAProxy"),
            Self::Varnish => ("varnish", "Varnish"),
            Self::Squid => ("squid", "Squid"),
            Self::Envoy => ("envoy", "Envoy"),
            Self::Linkerd => ("linkerd", "Linkerd's proxy"),
            Self::Caddy => ("caddy", "Caddy"),
            Self::Traefik => ("traefik", "Traefik or another proxy in Go"),
            Self::Kong => ("kong", "Kong"),
            Self::Cloudflare => ("cloudflare", "Cloudflare"),
            Self::CloudFront => ("cloudfront", "CloudFront"),
            Self::AwsLoadBalancer => ("aws_load_balancer", "AWS's load balancer"),
            Self::GoogleLoadBalancer => ("google_load_balancer", "Google Cloud's load balancer"),
            Self::Azure => ("azure", "Azure's gateway"),
            Self::Fastly => ("fastly", "Fastly"),
            Self::Akamai => ("akamai", "Akamai"),
            Self::Heroku => ("heroku", "Heroku's router"),
            Self::LiteSpeed => ("litespeed", "LiteSpeed"),
            Self::Iis => ("iis", "IIS"),
            Self::Why502 => ("why502", "why502 (another one)"),
            Self::Tomcat => ("tomcat", "Tomcat"),
            Self::Jetty => ("jetty", "Jetty"),
            Self::Gunicorn => ("gunicorn", "Gunicorn"),
            Self::Uvicorn => ("uvicorn", "Uvicorn"),
            Self::Passenger => ("passenger", "Passenger"),
        }
    }
}

/// What a gateway met one hop further, by what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Inner {
    /// Its connection was refused.
    Refused,
    /// Its connection was not accepted in time.
    ConnectTimedOut,
    /// There is no way to the host, or none that is allowed.
    Unreachable,
    /// It has no server that it may use.
    NoServer,
    /// The name of the next hop cannot be looked up.
    Dns,
    /// TLS with the next hop failed.
    Tls,
    /// The next hop took the request and did not answer in time.
    TimedOut,
    /// The next hop took the request and cut the connection.
    Cut,
    /// The next hop answered what is no valid answer.
    Broken,
    /// There is too much to do: a limit, a full queue, shedding.
    Overload,
    /// It turns requests away itself, for a limit or since it is told to.
    TurnedAway,
    /// The program behind it does not reach its database.
    Database,
    /// It is down on purpose for a while.
    Maintenance,
    /// The gateway itself is set up wrongly or failing.
    Itself,
}

impl Inner {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Refused,
        Self::ConnectTimedOut,
        Self::Unreachable,
        Self::NoServer,
        Self::Dns,
        Self::Tls,
        Self::TimedOut,
        Self::Cut,
        Self::Broken,
        Self::Overload,
        Self::TurnedAway,
        Self::Database,
        Self::Maintenance,
        Self::Itself,
    ];

    /// What it says, behind "it says that".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Refused => "its own connection to the next hop was refused",
            Self::ConnectTimedOut => "the next hop did not accept its connection in time",
            Self::Unreachable => "it cannot reach the next hop",
            Self::NoServer => "it has no server to send requests to",
            Self::Dns => "it cannot look up the name of the next hop",
            Self::Tls => "TLS between it and the next hop failed",
            Self::TimedOut => "the next hop took the request and did not answer in time",
            Self::Cut => "the next hop took the request and cut the connection",
            Self::Broken => "the next hop sent what is no valid answer",
            Self::Overload => "there is too much to do",
            Self::TurnedAway => {
                "it turns requests away itself, for a limit on requests or connections, or as it is told to"
            }
            Self::Database => "its program does not reach its database",
            Self::Maintenance => "it is down for maintenance",
            Self::Itself => "its own configuration or its own working is at fault",
        }
    }
}

/// One member of a `Proxy-Status` field (RFC 9209): a gateway that the answer passed, nearest the origin first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hop {
    /// What it calls itself.
    pub name: String,
    /// Its error type.
    pub error: Option<String>,
    /// Where it went next, as it says.
    pub next_hop: Option<String>,
    /// What it adds.
    pub details: Option<String>,
}

/// What one part of an answer says: who made it, and what that one met, with the words that say so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Seen {
    gateway: Option<Gateway>,
    inner: Option<(Inner, String)>,
}

impl ResponseEvidence {
    /// What an answer that a gateway made in the origin's place says of it: its head, and the beginning of its page, which
    /// is empty where there is none or where it is compressed.
    #[must_use]
    pub fn of_gateway(parts: &http::response::Parts, page: &[u8]) -> Self {
        let hops = proxy_status::hops(&parts.headers);
        let by_hops = proxy_status::seen(&hops);
        let by_head = head::seen(&parts.headers);
        let has_server = parts.headers.contains_key(header::SERVER);
        let by_page = page::seen(page, by_hops.gateway.or(by_head.gateway), has_server);
        // A gateway that passes a page on may put its own name into the head: the page says who made it.
        let gateway = by_hops.gateway.or(by_page.gateway).or(by_head.gateway);
        let (inner, said) = by_hops.inner.or(by_head.inner).or(by_page.inner).unzip();
        let evidence = Self::of(parts);
        Self {
            retry_after: evidence.retry_after.or_else(|| retry_date(&parts.headers)),
            gateway,
            inner: inner.or_else(|| implied(gateway, by_page.gateway.is_some(), parts.status.as_u16())),
            said: said.map(|said| shown(said.trim(), LONGEST_SAID)),
            hops,
            ..evidence
        }
    }
}

/// What the status alone means where this gateway says it of itself, which a page of its own shows.
const fn implied(gateway: Option<Gateway>, own_page: bool, status: u16) -> Option<Inner> {
    match (gateway, status) {
        // Where a target fails, these say 502 or 504. nginx has no 503 of its own but for its limits; the ingress
        // controller says it of a service without endpoints.
        (Some(Gateway::AwsLoadBalancer | Gateway::Caddy | Gateway::IngressNginx), 503) => Some(Inner::NoServer),
        (Some(Gateway::Nginx | Gateway::OpenResty), 503) if own_page => Some(Inner::TurnedAway),
        (_, 504) => Some(Inner::TimedOut),
        _ => None,
    }
}

/// A `Retry-After` that is a date, as so many seconds after the answer's own `Date` (RFC 9110, section 10.2.3).
fn retry_date(headers: &HeaderMap) -> Option<u64> {
    let date = |name| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    let wait = date(header::RETRY_AFTER)?.duration_since(date(header::DATE)?).ok()?;
    (wait > Duration::ZERO).then_some(wait.as_secs())
}

/// Every value of a field, as text without control characters.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

/// Characters of a gateway's own words.
const LONGEST_SAID: usize = 200;

#[cfg(test)]
mod tests;
