//! Owns the tests of who is recognised: one row an answer as it is met in life.

use http::Response;

use super::Gateway;
use super::Gateway::*;
use super::Hop;
use super::Inner;
use super::Inner::*;
use crate::fault::failure::ResponseEvidence;

/// An answer with this head and page.
fn evidence(status: u16, fields: &[(&str, &str)], page: &str) -> ResponseEvidence {
    let mut response = Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    ResponseEvidence::of_gateway(&response.body(()).unwrap().into_parts().0, page.as_bytes())
}

type Row<'a> = (u16, &'a [(&'a str, &'a str)], &'a str, Option<Gateway>, Option<Inner>);

const NGINX_502: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n";
const NGINX_503: &str = "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
const HAPROXY_503: &str =
    "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n";
const VARNISH: &str = "<!DOCTYPE html>\n<html>\n  <head>\n    <title>503 Backend fetch failed</title>\n  </head>\n  <body>\n    <h1>Error 503 Backend fetch failed</h1>\n    <p>Backend fetch failed</p>\n    <h3>Guru Meditation:</h3>\n    <p>XID: 3</p>\n    <hr>\n    <p>Varnish cache server</p>\n  </body>\n</html>\n";
const APACHE_502: &str = "<h1>Proxy Error</h1>\n<p>The proxy server received an invalid\r\nresponse from an upstream server.<br />\r\nThe proxy server could not handle the request<p>Reason: <strong>Error reading from remote server</strong></p></p>";
const APACHE_503: &str = "<h1>Service Unavailable</h1>\n<p>The server is temporarily unable to service your\nrequest due to maintenance downtime or capacity\nproblems. Please try again later.</p>";

/// Gateways that people run.
const MACHINES: &[Row<'_>] = &[
    (502, &[("server", "nginx/1.22.1")], NGINX_502, Some(Nginx), None),
    (504, &[("server", "nginx")], "", Some(Nginx), Some(TimedOut)),
    (502, &[("server", "openresty")], "<center>openresty</center>", Some(OpenResty), None),
    (503, &[], NGINX_503, Some(IngressNginx), Some(NoServer)),
    (503, &[("server", "nginx")], NGINX_503, Some(Nginx), Some(TurnedAway)),
    (503, &[("server", "nginx")], "<h1>Back soon</h1>", Some(Nginx), None),
    (502, &[("server", "Apache/2.4.57")], APACHE_502, Some(Apache), Some(Cut)),
    (503, &[("server", "Apache")], APACHE_503, Some(Apache), Some(NoServer)),
    (503, &[], HAPROXY_503, Some(Haproxy), Some(NoServer)),
    (502, &[], "<h1>502 Bad Gateway</h1>\nThe server returned an invalid or incomplete response.", Some(Haproxy), None),
    (504, &[], "<h1>504 Gateway Time-out</h1>\nThe server didn't respond in time.", Some(Haproxy), Some(TimedOut)),
    (503, &[("server", "Varnish"), ("x-varnish", "2")], VARNISH, Some(Varnish), None),
    (503, &[("server", "nginx")], HAPROXY_503, Some(Haproxy), Some(NoServer)),
    (503, &[("server", "squid/5.7"), ("x-squid-error", "ERR_CONNECT_FAIL 111")], "", Some(Squid), Some(Refused)),
    (503, &[("x-squid-error", "ERR_DNS_FAIL 0")], "", Some(Squid), Some(Dns)),
    (
        503,
        &[("server", "envoy")],
        "upstream connect error or disconnect/reset before headers. reset reason: connection failure, transport failure reason: delayed connect error: 111",
        Some(Envoy),
        Some(Refused),
    ),
    (
        503,
        &[],
        "upstream connect error or disconnect/reset before headers. reset reason: connection timeout",
        Some(Envoy),
        Some(ConnectTimedOut),
    ),
    (
        503,
        &[],
        "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
        Some(Envoy),
        Some(Cut),
    ),
    (
        503,
        &[],
        "upstream connect error or disconnect/reset before headers. reset reason: overflow",
        Some(Envoy),
        Some(Overload),
    ),
    (503, &[("server", "istio-envoy")], "no healthy upstream", Some(Envoy), Some(NoServer)),
    (504, &[("server", "envoy")], "upstream request timeout", Some(Envoy), Some(TimedOut)),
    (503, &[("server", "envoy"), ("x-envoy-overloaded", "true")], "", Some(Envoy), Some(Overload)),
    (503, &[("x-envoy-response-flags", "UF,URX")], "", Some(Envoy), Some(Refused)),
    (502, &[("l5d-proxy-error", "error trying to connect: Connection refused")], "", Some(Linkerd), Some(Refused)),
    (502, &[("server", "Caddy")], "", Some(Caddy), None),
    (503, &[("server", "Caddy")], "", Some(Caddy), Some(NoServer)),
    (502, &[], "Bad Gateway", Some(Traefik), None),
    (503, &[], "no available server\n", Some(Traefik), Some(NoServer)),
    (
        502,
        &[("server", "kong/3.4.0")],
        r#"{"message":"An invalid response was received from the upstream server"}"#,
        Some(Kong),
        None,
    ),
    (503, &[("server", "kong/3.4.0")], r#"{"message":"name resolution failed"}"#, Some(Kong), Some(Dns)),
];

/// Gateways that are rented.
const CLOUDS: &[Row<'_>] = &[
    (
        502,
        &[("server", "cloudflare"), ("cf-ray", "8f2a-FRA")],
        "Error code 502 <b>Cloudflare</b> Working <b>Host</b> Error",
        Some(Cloudflare),
        Some(NoServer),
    ),
    (503, &[("server", "cloudflare")], "error code: 1033", Some(Cloudflare), Some(NoServer)),
    (
        502,
        &[("server", "CloudFront"), ("x-cache", "Error from cloudfront")],
        "CloudFront wasn't able to resolve the origin domain name.",
        Some(CloudFront),
        Some(Dns),
    ),
    (
        503,
        &[("server", "awselb/2.0")],
        "<center><h1>503 Service Temporarily Unavailable</h1></center>",
        Some(AwsLoadBalancer),
        Some(NoServer),
    ),
    (502, &[("server", "awselb/2.0")], "<center><h1>502 Bad Gateway</h1></center>", Some(AwsLoadBalancer), None),
    (
        502,
        &[("via", "1.1 google")],
        "Error: Server Error The server encountered a temporary error and could not complete your request.",
        Some(GoogleLoadBalancer),
        None,
    ),
    (502, &[("server", "Microsoft-Azure-Application-Gateway/v2")], "", Some(Azure), None),
    (
        503,
        &[("x-timer", "S1,VS0,VE1"), ("via", "1.1 varnish")],
        "Error 503 first byte timeout",
        Some(Fastly),
        Some(TimedOut),
    ),
    (503, &[("server", "AkamaiGHost")], "Service Unavailable - DNS failure", Some(Akamai), Some(Dns)),
];

/// Servers of a program's own, and programs that are no gateway.
const PROGRAMS: &[Row<'_>] = &[
    (
        503,
        &[("server", "nginx")],
        "<title>Database Error</title><h1>Error establishing a database connection</h1>",
        Some(Nginx),
        Some(Database),
    ),
    (503, &[("server", "Apache")], "SQLSTATE[HY000] [2002] Connection refused", Some(Apache), Some(Database)),
    (
        503,
        &[("server", "LiteSpeed")],
        "<h1>503 Service Unavailable</h1><p>The server is temporarily busy, try again later!</p>",
        Some(LiteSpeed),
        Some(Overload),
    ),
    (502, &[("server", "Microsoft-IIS/10.0")], "HTTP Error 502.5 - Process Failure", Some(Iis), Some(NoServer)),
    (
        503,
        &[("server", "Microsoft-HTTPAPI/2.0")],
        "<h2>Service Unavailable</h2><p>HTTP Error 503. The service is unavailable.</p>",
        Some(Iis),
        Some(NoServer),
    ),
    (503, &[("server", "Jetty(9.4.44)")], "", Some(Jetty), None),
    (503, &[("server", "gunicorn")], "server busy: too many requests in flight", Some(Gunicorn), Some(Overload)),
    (503, &[], "Briefly unavailable for scheduled maintenance. Check back in a minute.", None, Some(Maintenance)),
    (503, &[], "We'll be right back", None, Some(Maintenance)),
    (503, &[], "sorry", None, None),
    (502, &[("server", "my own thing")], "", None, None),
];

#[test]
fn gateways_are_recognised_by_their_fields_and_their_pages() {
    for (status, fields, page, gateway, inner) in [MACHINES, CLOUDS, PROGRAMS].concat() {
        let seen = evidence(status, fields, page);
        assert_eq!((seen.gateway, seen.inner), (gateway, inner), "{status} {fields:?} {page}");
    }
}

#[test]
fn a_chain_is_read_from_proxy_status_and_the_deepest_error_counts() {
    let field = r#"why502; error=connection_refused; next-hop="10.0.0.5:3000"; details="it \"said\" no", Cloudflare; received-status=502"#;
    let seen = evidence(502, &[("server", "cloudflare"), ("proxy-status", field)], "");
    assert_eq!((seen.gateway, seen.inner), (Some(Why502), Some(Refused)));
    assert_eq!(seen.said.as_deref(), Some(r#"connection_refused: it "said" no"#));
    let next_hop = Some("10.0.0.5:3000".to_owned());
    let (error, details) = (Some("connection_refused".to_owned()), Some(r#"it "said" no"#.to_owned()));
    let chain = [
        Hop { name: "why502".to_owned(), error, next_hop, details },
        Hop { name: "Cloudflare".to_owned(), ..Hop::default() },
    ];
    assert_eq!(seen.hops, chain);
}

#[test]
fn each_error_type_that_says_something_of_the_next_hop_is_known() {
    for (error, inner) in [
        ("dns_timeout", Dns),
        ("destination_unavailable", NoServer),
        ("destination_ip_unroutable", Unreachable),
        ("connection_timeout", ConnectTimedOut),
        ("connection_terminated", Cut),
        ("connection_limit_reached", Overload),
        ("tls_certificate_error", Tls),
        ("http_response_timeout", TimedOut),
        ("http_protocol_error", Broken),
        ("proxy_loop_detected", Itself),
    ] {
        let seen = evidence(502, &[("proxy-status", &format!("\"a b\"; error={error}"))], "");
        assert_eq!((seen.inner, seen.hops[0].name.as_str()), (Some(inner), "a b"));
    }
}

#[test]
fn what_is_hostile_stays_short_and_ends() {
    let long = format!("a; details=\"{}\"", "x".repeat(9_000));
    let many = "a; error=dns_error, ".repeat(500);
    for field in [&*long, &*many, "\"never closed", "; ; ;", ",,,,", "a=b=c", "a;", "a; b=\"\\", "é; x"] {
        let seen = evidence(502, &[("proxy-status", field)], &field.repeat(3));
        assert!(
            seen.hops.len() <= 8 && seen.hops.iter().all(|hop| hop.details.as_ref().is_none_or(|it| it.len() <= 120))
        );
    }
    let seen = evidence(
        503,
        &[("server", &"s".repeat(4_000))],
        &format!("no healthy upstream\u{1b}[31m{}", "y".repeat(9_000)),
    );
    assert!(seen.server.unwrap().len() == 120 && seen.said.as_ref().unwrap().chars().count() <= 200);
    assert!(!seen.said.unwrap().contains('\u{1b}'));
}

#[test]
fn a_retry_after_that_is_a_date_is_counted_from_the_answers_own() {
    let at = |date, after| {
        let fields = [("date", date), ("retry-after", after)];
        evidence(503, &fields, "").retry_after
    };
    assert_eq!(at("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:51:37 GMT"), Some(120));
    assert_eq!(at("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"), None);
    assert_eq!(at("Sun, 06 Nov 1994 08:49:37 GMT", "5"), Some(5));
    assert_eq!(at("x", "soon"), None);
}

#[test]
fn words_and_names_are_unique() {
    let words: std::collections::BTreeSet<_> = Gateway::ALL.iter().map(|gateway| gateway.word()).collect();
    let names: std::collections::BTreeSet<_> = Gateway::ALL.iter().map(|gateway| gateway.name()).collect();
    let says: std::collections::BTreeSet<_> = Inner::ALL.iter().map(|inner| inner.words()).collect();
    assert_eq!((words.len(), names.len(), says.len()), (Gateway::ALL.len(), Gateway::ALL.len(), Inner::ALL.len()));
}
