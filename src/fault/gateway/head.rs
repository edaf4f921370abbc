//! Owns what gateways say by fields of their own, and by `Server` and `Via`.

use http::HeaderMap;

use super::Gateway;
use super::Inner;
use super::Seen;
use super::text;

/// What the head says of who answered, and of what that one met.
pub(super) fn seen(headers: &HeaderMap) -> Seen {
    Seen { gateway: gateway(headers), inner: said(headers) }
}

/// Who answered: by the field that only this gateway writes, or else by what it calls itself. The last `Via` is the
/// nearest one, so it is asked before those behind it.
fn gateway(headers: &HeaderMap) -> Option<Gateway> {
    let server = text(headers, "server").next().unwrap_or_default().to_ascii_lowercase();
    let own_field = || OWN_FIELDS.iter().find(|(name, _)| headers.contains_key(*name)).map(|(_, gateway)| *gateway);
    let via = || {
        let hops: Vec<String> = text(headers, "via").flat_map(|line| line.split(',')).map(lower).collect();
        hops.iter().rev().find_map(|hop| VIA.iter().find(|(word, _)| hop.contains(word)).map(|(_, gateway)| *gateway))
    };
    let cache = || text(headers, "x-cache").any(|value| lower(value).contains("cloudfront"));
    let by_server = SERVERS.iter().find(|(word, _)| server.contains(word)).map(|(_, gateway)| *gateway);
    by_server.or_else(own_field).or_else(via).or_else(|| cache().then_some(Gateway::CloudFront))
}

/// What a field of a gateway's own says of the next hop.
fn said(headers: &HeaderMap) -> Option<(Inner, String)> {
    let value = |name| text(headers, name).next().filter(|value| !value.is_empty());
    let squid = value("x-squid-error").and_then(|error| {
        let code = error.split(' ').next().unwrap_or_default();
        SQUID.iter().find(|(known, _)| *known == code).map(|(_, inner)| (*inner, error.to_owned()))
    });
    let flags = || {
        let flags = ["x-envoy-response-flags", "response-flags", "x-response-flags"].into_iter().find_map(value)?;
        let flag = |flag: &str| ENVOY_FLAGS.iter().find(|(known, _)| *known == flag).map(|(_, inner)| *inner);
        flags.split([',', ' ']).find_map(flag).map(|inner| (inner, format!("response flags {flags}")))
    };
    let shed = || {
        let field =
            ["x-envoy-overloaded", "x-envoy-ratelimited"].into_iter().find(|name| headers.contains_key(*name))?;
        Some((Inner::Overload, field.to_owned()))
    };
    let linkerd = || {
        let error = value("l5d-proxy-error")?;
        super::page::phrase(&lower(error)).map(|inner| (inner, error.to_owned()))
    };
    squid.or_else(flags).or_else(shed).or_else(linkerd)
}

fn lower(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// By a part of `Server`, in lower case; the more special one first.
const SERVERS: &[(&str, Gateway)] = &[
    ("passenger", Gateway::Passenger),
    ("openresty", Gateway::OpenResty),
    ("cloudflare", Gateway::Cloudflare),
    ("awselb", Gateway::AwsLoadBalancer),
    ("cloudfront", Gateway::CloudFront),
    ("azure-application-gateway", Gateway::Azure),
    ("akamaighost", Gateway::Akamai),
    ("google frontend", Gateway::GoogleLoadBalancer),
    ("gunicorn", Gateway::Gunicorn),
    ("uvicorn", Gateway::Uvicorn),
    ("jetty", Gateway::Jetty),
    ("tomcat", Gateway::Tomcat),
    ("coyote", Gateway::Tomcat),
    ("istio-envoy", Gateway::Envoy),
    ("envoy", Gateway::Envoy),
    ("varnish", Gateway::Varnish),
    ("squid", Gateway::Squid),
    ("traefik", Gateway::Traefik),
    ("haproxy", Gateway::Haproxy),
    ("caddy", Gateway::Caddy),
    ("kong", Gateway::Kong),
    ("heroku", Gateway::Heroku),
    ("cowboy", Gateway::Heroku),
    ("microsoft-iis", Gateway::Iis),
    ("microsoft-httpapi", Gateway::Iis),
    ("litespeed", Gateway::LiteSpeed),
    ("nginx", Gateway::Nginx),
    ("apache", Gateway::Apache),
];

/// By a field that only one of them writes.
const OWN_FIELDS: &[(&str, Gateway)] = &[
    ("x-squid-error", Gateway::Squid),
    ("cf-ray", Gateway::Cloudflare),
    ("x-amz-cf-id", Gateway::CloudFront),
    ("x-azure-ref", Gateway::Azure),
    ("l5d-proxy-error", Gateway::Linkerd),
    ("x-fastly-request-id", Gateway::Fastly),
    ("x-timer", Gateway::Fastly),
    ("akamai-grn", Gateway::Akamai),
    ("x-kong-response-latency", Gateway::Kong),
    ("x-kong-request-id", Gateway::Kong),
    ("x-varnish", Gateway::Varnish),
    ("x-envoy-upstream-service-time", Gateway::Envoy),
    ("x-envoy-response-flags", Gateway::Envoy),
    ("x-envoy-overloaded", Gateway::Envoy),
    ("x-envoy-ratelimited", Gateway::Envoy),
    ("x-envoy-attempt-count", Gateway::Envoy),
];

/// By a part of a member of `Via`, in lower case.
const VIA: &[(&str, Gateway)] = &[
    ("why502-", Gateway::Why502),
    ("cloudfront", Gateway::CloudFront),
    ("google", Gateway::GoogleLoadBalancer),
    ("vegur", Gateway::Heroku),
    ("heroku-router", Gateway::Heroku),
    ("varnish", Gateway::Varnish),
    ("squid", Gateway::Squid),
    ("haproxy", Gateway::Haproxy),
    ("caddy", Gateway::Caddy),
    ("kong", Gateway::Kong),
    ("akamai", Gateway::Akamai),
];

/// Squid's own names of its error pages.
const SQUID: &[(&str, Inner)] = &[
    ("ERR_CONNECT_FAIL", Inner::Refused),
    ("ERR_CANNOT_FORWARD", Inner::NoServer),
    ("ERR_DNS_FAIL", Inner::Dns),
    ("ERR_SECURE_CONNECT_FAIL", Inner::Tls),
    ("ERR_READ_TIMEOUT", Inner::TimedOut),
    ("ERR_GATEWAY_FAILURE", Inner::TimedOut),
    ("ERR_LIFETIME_EXP", Inner::TimedOut),
    ("ERR_ZERO_SIZE_OBJECT", Inner::Cut),
    ("ERR_READ_ERROR", Inner::Cut),
    ("ERR_WRITE_ERROR", Inner::Cut),
    ("ERR_INVALID_RESP", Inner::Broken),
    ("ERR_TOO_BIG", Inner::Broken),
    ("ERR_SHUTTING_DOWN", Inner::Maintenance),
    ("ERR_SOCKET_FAILURE", Inner::Itself),
];

/// Envoy's response flags, where somebody has them put into a field.
const ENVOY_FLAGS: &[(&str, Inner)] = &[
    ("UH", Inner::NoServer),
    ("UF", Inner::Refused),
    ("UO", Inner::Overload),
    ("RL", Inner::Overload),
    ("OM", Inner::Overload),
    ("UT", Inner::TimedOut),
    ("SI", Inner::TimedOut),
    ("UC", Inner::Cut),
    ("UR", Inner::Cut),
    ("LR", Inner::Cut),
    ("UPE", Inner::Broken),
    ("DF", Inner::Dns),
    ("NR", Inner::Itself),
    ("NC", Inner::Itself),
];
