//! Owns the stories of gateways: what this proxy tells of itself (no server, no place, a loop), and what the gateway behind
//! it says.

use super::Row;
use super::teller::Story;
use crate::diagnosis::Cause;
use crate::fault::Fault;
use crate::fault::failure::CapacityEvidence;
use crate::fault::failure::CheckEvidence;
use crate::fault::failure::Limited;
use crate::fault::failure::ResponseEvidence;

pub(super) fn rows() -> Vec<Row> {
    [own(), said_502(), said_503_or_504()].into_iter().flatten().collect()
}

fn own() -> Vec<Row> {
    let full = CapacityEvidence { what: Limited::Requests, taken: 2, limit: 2, waiting: 0, queue: 0 };
    let check = |status| CheckEvidence { server: "http://10.0.0.5:3000".into(), path: "/healthz".into(), status };
    let empty = |first: Story| Story::of(Fault::NoHealthyServer).after(first);
    vec![
        Story::of(Fault::NoHealthyServer).ends("every server is out of service", Cause::OriginDown, 0.55, &[]),
        empty(Story::of(Fault::ConnectionRefused).errno(libc::ECONNREFUSED).took(0.3))
            .ends("the pool was stopped at once", Cause::OriginDown, 0.75, &["first_failure_refused"])
            .says(&["10.0.0.5:3000 refused the connection"]),
        empty(Story::of(Fault::ConnectionTimedOut).limit(3_000)).ends(
            "the pool fell silent",
            Cause::Firewall,
            0.4,
            &["first_failure_silent"],
        ),
        empty(Story::of(Fault::DnsNameNotFound).name("app.internal")).ends(
            "the pool's name is gone",
            Cause::Dns,
            0.8,
            &["first_failure_lookup"],
        ),
        empty(Story::of(Fault::TlsAlert).asked_for("app.internal").alert(112, "unrecognized_name"))
            .ends("the pool was ejected for a missing server name", Cause::Tls, 0.75, &["first_failure_tls"])
            .says(&["112 unrecognized_name"]),
        empty(Story::of(Fault::ClosedBeforeResponse).took(20.0)).ends(
            "the pool crashes on every request",
            Cause::Application,
            0.5,
            &["first_failure_broken"],
        ),
        Story::of(Fault::NoHealthyServer)
            .knows(|failure| failure.check = Some(check(404)))
            .ends(
                "the check asks for a path that there is not",
                Cause::FaultyProxy,
                0.5,
                &["check_answered", "check_refused"],
            )
            .says(&["/healthz", "gets 404"]),
        Story::of(Fault::NoHealthyServer)
            .knows(|failure| failure.check = Some(check(500)))
            .ends(
                "every instance says that it is not well",
                Cause::Application,
                0.5,
                &["check_answered", "check_failed"],
            )
            .says(&["answered 500"]),
        Story::of(Fault::ServerAtCapacity)
            .ends("the operator's own limit", Cause::Overload, 0.8, &["limit_reached"])
            .says(&["limits of the upstream app"]),
        Story::of(Fault::ServerAtCapacity)
            .knows(|failure| failure.capacity = Some(full))
            .ends("all places are taken and nobody may wait", Cause::Overload, 0.8, &["limit_reached"])
            .says(&["2 of 2 requests in flight, no queue"]),
        Story::of(Fault::ProxyLoop)
            .at("http://10.0.0.2:8080")
            .ends("the upstream is this proxy", Cause::FaultyProxy, 0.9, &["leads_to_itself"])
            .says(&["loop", "itself"]),
    ]
}

fn said_502() -> Vec<Row> {
    let bad = |fields: &[(&str, &str)], page: &str| Story::of(Fault::UpstreamBadGateway).answered(502, fields, page);
    let nginx = &[("server", "nginx/1.22.1")];
    vec![
        bad(nginx, "<center>nginx</center>")
            .took(1.2)
            .ends("nginx's own backend refuses", Cause::OriginDown, 0.55, &["gateway_gave_up_at_once"])
            .says(&["nginx at 10.0.0.5:3000 answered 502 itself", "nginx/1.22.1"]),
        bad(nginx, "<center>nginx</center>")
            .took(1_004.0)
            .past(|past| (past.path.failures, past.path.others_working) = (3, 2))
            .ends(
                "php-fpm ends one slow report behind nginx",
                Cause::Application,
                0.55,
                &["gateway_waited_first", "one_path_behind_gateway"],
            )
            .says(&["only after 1 s", "2 other paths work"]),
        bad(&[("server", "cloudflare"), ("cf-ray", "8f2a-FRA")], "Error code 502 Cloudflare Working Host Error")
            .took(40.0)
            .ends("a CDN cannot get to its origin", Cause::OriginDown, 0.6, &["next_hop_without_server"])
            .says(&["Cloudflare at 10.0.0.5:3000"]),
        bad(&[("proxy-status", "edge; error=connection_refused; next-hop=\"10.9.0.7:80\"")], "")
            .took(3.0)
            .ends("the gateway says that it was refused", Cause::OriginDown, 0.7, &["next_hop_refused"])
            .says(&["its Proxy-Status names edge with connection_refused at 10.9.0.7:80"]),
        bad(&[("proxy-status", "why502; error=tls_certificate_error")], "")
            .took(20.0)
            .ends("a certificate one hop further", Cause::Tls, 0.5, &["next_hop_tls"])
            .says(&["why502 (another one) at"]),
        bad(&[("server", "Apache")], "Reason: <strong>DNS lookup failure for: app</strong>")
            .took(2.0)
            .ends("a name that the gateway cannot look up", Cause::Dns, 0.7, &["next_hop_name_lost"])
            .says(&["dns lookup failure for: app"]),
        bad(&[("server", "Apache")], "Reason: <strong>Error reading from remote server</strong>")
            .took(30.0)
            .ends("the program behind Apache hangs up", Cause::Application, 0.4, &["next_hop_broken"])
            .says(&["error reading from remote server"]),
        bad(nginx, "<center>nginx</center>")
            .took(1.0)
            .past(|past| (past.server.in_flight, past.server.in_flight_usual) = (9, Some(2)))
            .ends(
                "php-fpm's queue behind nginx is full",
                Cause::Overload,
                0.5,
                &["gateway_holds_others", "gateway_holds_others_still"],
            )
            .says(&["8 other requests are held there"]),
    ]
}

fn said_503_or_504() -> Vec<Row> {
    let unavailable =
        |fields: &[(&str, &str)], page: &str| Story::of(Fault::UpstreamUnavailable).answered(503, fields, page);
    let late =
        |fields: &[(&str, &str)], page: &str| Story::of(Fault::UpstreamGatewayTimeout).answered(504, fields, page);
    let nginx = &[("server", "nginx/1.22.1")];
    vec![
        unavailable(&[("x-timer", "S1")], "<h1>Error 503 first byte timeout</h1>")
            .took(2_000.0)
            .ends(
                "a CDN says 503 of a program that is late",
                Cause::Application,
                0.45,
                &["next_hop_slow", "next_hop_slow_all_the_same", "next_hop_took_request"],
            )
            .says(&["Fastly at", "what others say with 504"]),
        unavailable(nginx, "<center>nginx</center>")
            .took(1.0)
            .ends("nginx's limit on requests", Cause::Overload, 0.45, &["turns_away"])
            .says(&["a limit on requests or connections"]),
        unavailable(nginx, "<h1>Error establishing a database connection</h1>")
            .took(30.0)
            .ends("a program without its database", Cause::Application, 0.5, &["says_database_gone"])
            .says(&["error establishing a database connection"]),
        unavailable(&[], "<h1>503 Service Unavailable</h1>\nNo server is available to handle this request.")
            .took(0.8)
            .ends("HAProxy has taken out every server", Cause::OriginDown, 0.6, &["next_hop_without_server"])
            .says(&["HAProxy at", "no server is available to handle this request"]),
        unavailable(
            &[("server", "Varnish"), ("retry-after", "5")],
            "Error 503 Backend fetch failed Guru Meditation: Varnish cache server",
        )
        .took(2.0)
        .ends("a Varnish without its backend", Cause::OriginDown, 0.5, &["gateway_gave_up_at_once"])
        .says(&["Varnish at"]),
        unavailable(&[], "upstream connect error or disconnect/reset before headers. reset reason: connection timeout")
            .took(250.0)
            .ends("Envoy's connection is dropped", Cause::Firewall, 0.3, &["next_hop_silent"])
            .says(&["reset reason: connection timeout"]),
        unavailable(&[("retry-after", "5")], "server busy: too many requests in flight")
            .took(1.0)
            .ends("the application sheds load", Cause::Overload, 0.8, &["says_busy", "shed_with_retry_after"])
            .says(&["Retry-After of 5 s", "too many requests"]),
        unavailable(&[("retry-after", "600")], "Briefly unavailable for scheduled maintenance.")
            .took(9.0)
            .ends("maintenance mode is on", Cause::OriginDown, 0.7, &["says_maintenance"])
            .says(&["down for maintenance", "Retry-After is 10 min"]),
        unavailable(&[("server", "Jetty(9.4.44)")], "")
            .took(3.0)
            .ends("the application did not start", Cause::Application, 0.4, &["application_server_said"])
            .says(&["Jetty at"]),
        unavailable(&[("proxy-status", "edge; error=proxy_configuration_error")], "").took(1.0).ends(
            "the next gateway is set up wrongly",
            Cause::FaultyProxy,
            0.4,
            &["next_gateway_faulty"],
        ),
        late(&[("server", "nginx")], "<center>nginx</center>")
            .took(60_000.0)
            .ends("nginx waited a minute for its backend", Cause::Application, 0.4, &["next_hop_slow"])
            .says(&["did not answer in time"]),
    ]
}

impl Story {
    /// The server answered so itself, with these fields and this page.
    fn answered(mut self, status: u16, fields: &[(&str, &str)], page: &str) -> Self {
        let mut response = http::Response::builder().status(status);
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        let head = response.body(()).unwrap().into_parts().0;
        self.last.response = Some(ResponseEvidence::of_gateway(&head, page.as_bytes()));
        self.sent(120).received(300)
    }
}
