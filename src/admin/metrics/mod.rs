//! Owns `/metrics`: every number of this program under its name, put together when a scraper asks.
//!
//! Names, units and labels are as Prometheus' conventions have them. A label's values are from the configuration or from closed
//! lists, never from a request, so that no client can make the page long.

mod exposition;
mod process;

use http::HeaderMap;
use http::Response;
use http::StatusCode;
use tokio::time::Instant;

use self::exposition::Form;
use self::exposition::Kind;
use self::exposition::Page;
use self::process::Process;
use crate::admin::View;
use crate::admin::reply;
use crate::admin::reply::Body;
use crate::telemetry::BOUNDS;
use crate::telemetry::Telemetry;
use crate::telemetry::Times;
use crate::telemetry::Totals;
use crate::telemetry::Ways;
use crate::upstream;
use crate::upstream::view::ServerView;
use crate::upstream::view::Stands;

/// The page in the form that the scraper wants.
pub(super) fn answer(headers: &HeaderMap, view: &View, telemetry: &Telemetry) -> Response<Body> {
    let form = Form::of(headers);
    reply::of_type(form.media_type(), StatusCode::OK, page(form, view, telemetry))
}

fn page(form: Form, view: &View, telemetry: &Telemetry) -> String {
    let totals = telemetry.totals();
    let mut page = Page::new(form);
    requests(&mut page, &telemetry.ways());
    failures(&mut page, &totals);
    let now = Instant::now();
    let upstreams: Vec<_> = view.shared.upstreams.iter().map(|upstream| (&**upstream, upstream.view(now))).collect();
    of_upstreams(&mut page, &upstreams);
    of_servers(&mut page, &upstreams);
    of_pools(&mut page, &upstreams);
    rare(&mut page, telemetry);
    incidents(&mut page, view, &totals);
    listeners(&mut page, view, &totals);
    of_program(&mut page, view, &totals);
    of_process(&mut page, telemetry);
    page.finish()
}

fn requests(page: &mut Page, ways: &[Ways]) {
    let help = "Requests that have ended, by the class of the status that their client got.";
    let mut family = page.family("why502_requests", Kind::Counter, help);
    for way in ways {
        // Those of a class begin at 0, so that the first one is seen to come; a status of no class hardly ever does.
        let other = Some(("other", way.other)).filter(|(_, count)| *count > 0);
        for (status, count) in way.responses.by_class().into_iter().chain(other) {
            family.sample(&[("route", &way.route), ("upstream", &way.upstream), ("status", status)], count);
        }
    }
    let mut family = page.family("why502_response_bytes", Kind::Counter, "Bytes of bodies that went to clients.");
    for way in ways {
        family.sample(&[("route", &way.route), ("upstream", &way.upstream)], way.bytes_sent);
    }
    let mut by_upstream: Vec<(&str, Times)> = Vec::new();
    for way in ways {
        match by_upstream.iter_mut().find(|(upstream, _)| *upstream == &*way.upstream) {
            Some((_, times)) => times.add(&way.took),
            None => by_upstream.push((&way.upstream, way.took)),
        }
    }
    let help = "From a request's head to the end of its answer.";
    let mut family = page.family("why502_request_duration_seconds", Kind::Histogram, help);
    for (upstream, times) in by_upstream {
        let bounds = BOUNDS.iter().map(|bound| Some(f64::from(*bound) / 1000.0)).chain([None]);
        family.histogram(&[("upstream", upstream)], bounds.zip(times.counts), times.sum.as_secs_f64());
    }
}

fn failures(page: &mut Page, totals: &Totals) {
    let help = "Requests that this proxy refused, for they were the client's doing.";
    let mut family = page.family("why502_refusals", Kind::Counter, help);
    for refusals in &totals.refusals {
        family.sample(&[("status", &refusals.status.to_string())], refusals.count);
    }
    let help = "Exchanges with an upstream that failed, those that a retry hid included.";
    let mut family = page.family("why502_upstream_failures", Kind::Counter, help);
    for kind in &totals.failures {
        let labels = [("upstream", &*kind.upstream), ("fault", kind.fault.word()), ("cause", kind.cause.word())];
        family.sample(&labels, kind.count);
    }
    let help = "Those of the failures that a retry hid from the client.";
    page.family("why502_upstream_failures_hidden", Kind::Counter, help).sample(&[], totals.retried);
}

type Upstreams<'a> = [(&'a upstream::Shared, Vec<ServerView>)];

fn of_upstreams(page: &mut Page, upstreams: &Upstreams<'_>) {
    let help = "Requests that were sent once more after a failure.";
    let mut family = page.family("why502_upstream_retries", Kind::Counter, help);
    for (upstream, _) in upstreams {
        family.sample(&[("upstream", &upstream.settings.name)], upstream.retries());
    }
    let mut family = page.family("why502_upstream_waiting", Kind::Gauge, "Requests that wait for a place at a server.");
    for (upstream, _) in upstreams {
        family.sample(&[("upstream", &upstream.settings.name)], upstream.waiting() as u64);
    }
    let help = "Servers that get requests.";
    let mut family = page.family("why502_upstream_servers_up", Kind::Gauge, help);
    for (upstream, servers) in upstreams {
        let up = servers.iter().filter(|server| server.stands == Stands::Up).count();
        family.sample(&[("upstream", &upstream.settings.name)], up as u64);
    }
}

fn of_servers(page: &mut Page, upstreams: &Upstreams<'_>) {
    type Row = (&'static str, Kind, &'static str, fn(&ServerView) -> u64);
    let table: [Row; 4] = [
        ("why502_server_up", Kind::Gauge, "Whether requests go to the server.", |server| {
            u64::from(server.stands == Stands::Up)
        }),
        ("why502_server_in_flight", Kind::Gauge, "Requests in flight to the server.", |server| {
            server.past.in_flight.into()
        }),
        ("why502_server_answers", Kind::Counter, "Requests that the server has answered.", |server| {
            server.past.successes.ever
        }),
        ("why502_server_failures", Kind::Counter, "Exchanges with the server that failed.", |server| {
            server.past.failures.ever
        }),
    ];
    for (name, kind, help, value) in table {
        each_server(page, upstreams, (name, kind, help), value);
    }
    let mut family =
        page.family("why502_health_checks", Kind::Counter, "Active checks of the server, by how they went.");
    for (upstream, servers) in upstreams {
        for server in servers {
            let Some(checks) = server.checks else { continue };
            for (result, count) in [("well", checks.well), ("ill", checks.ill)] {
                let labels =
                    [("upstream", &*upstream.settings.name), ("server", &*server.server.url.text), ("result", result)];
                family.sample(&labels, count);
            }
        }
    }
}

fn of_pools(page: &mut Page, upstreams: &Upstreams<'_>) {
    type Row = (&'static str, Kind, &'static str, fn(&ServerView) -> u64);
    let table: [Row; 4] = [
        ("why502_server_connections", Kind::Gauge, "Connections that are open to the server.", |server| {
            server.connections.into()
        }),
        (
            "why502_server_connections_idle",
            Kind::Gauge,
            "Those of HTTP/1 among them that wait for a request, as of the last second.",
            |server| server.idle,
        ),
        ("why502_server_connections_opened", Kind::Counter, "Connections to the server that were opened.", |server| {
            server.opened
        }),
        (
            "why502_server_connections_reused",
            Kind::Counter,
            "Answers that came on a connection of HTTP/1 which had served before.",
            |server| server.reused,
        ),
    ];
    for (name, kind, help, value) in table {
        each_server(page, upstreams, (name, kind, help), value);
    }
}

fn each_server(
    page: &mut Page,
    upstreams: &Upstreams<'_>,
    (name, kind, help): (&'static str, Kind, &str),
    value: fn(&ServerView) -> u64,
) {
    let mut family = page.family(name, kind, help);
    for (upstream, servers) in upstreams {
        for server in servers {
            let labels = [("upstream", &*upstream.settings.name), ("server", &*server.server.url.text)];
            family.sample(&labels, value(server));
        }
    }
}

fn rare(page: &mut Page, telemetry: &Telemetry) {
    let tally = telemetry.tally();
    let help = "How often the server was taken out, by what: failures of requests, or active checks.";
    let mut family = page.family("why502_server_ejections", Kind::Counter, help);
    for (upstream, server, by, count) in &tally.ejections {
        family.sample(&[("upstream", upstream), ("server", server), ("by", by.word())], *count);
    }
    let help = "Rounds of checks of failing servers that were made to tell causes apart.";
    let mut family = page.family("why502_probe_rounds", Kind::Counter, help);
    for (upstream, count) in &tally.rounds {
        family.sample(&[("upstream", upstream)], *count);
    }
    let help = "How often the configuration was read again, by what came of it.";
    let mut family = page.family("why502_reloads", Kind::Counter, help);
    family.sample(&[("result", "taken")], tally.reloads).sample(&[("result", "refused")], tally.refused);
}

fn incidents(page: &mut Page, view: &View, totals: &Totals) {
    let mut open = view.shared.archive.list(None, usize::MAX);
    open.retain(|record| record.closed.is_none());
    let mut counts: Vec<(&str, &'static str, u64)> = Vec::new();
    for incident in &open {
        let (upstream, cause) = (&*incident.upstream, incident.cause.word());
        match counts.iter_mut().find(|known| (known.0, known.1) == (upstream, cause)) {
            Some((.., count)) => *count += 1,
            None => counts.push((upstream, cause, 1)),
        }
    }
    let help = "Incidents that are open, by upstream and likeliest cause; absent where there is none.";
    let mut family = page.family("why502_incidents_open", Kind::Gauge, help);
    for (upstream, cause, count) in counts {
        family.sample(&[("upstream", upstream), ("cause", cause)], count);
    }
    let help = "Incidents that were opened, or came back.";
    page.family("why502_incidents_opened", Kind::Counter, help).sample(&[], totals.incidents_opened);
    page.family("why502_incidents_closed", Kind::Counter, "Incidents that were closed.")
        .sample(&[], totals.incidents_closed);
}

fn listeners(page: &mut Page, view: &View, totals: &Totals) {
    let mut family = page.family("why502_listener_connections", Kind::Gauge, "Connections of clients that are open.");
    for visits in &view.visits {
        family.sample(&[("listener", &visits.listener)], visits.open());
    }
    let help = "Connections of clients that were accepted.";
    let mut family = page.family("why502_listener_connections_accepted", Kind::Counter, help);
    for visits in &view.visits {
        family.sample(&[("listener", &visits.listener)], visits.came());
    }
    let help = "When the certificate ends that does so first of those that the listener shows.";
    let mut family = page.family("why502_certificate_expiry_timestamp_seconds", Kind::Gauge, help);
    for (visits, ends) in view.visits.iter().filter_map(|visits| Some((visits, visits.certificate_ends()?))) {
        family.sample(&[("listener", &visits.listener)], u64::try_from(ends).unwrap_or_default());
    }
    let help = "TLS handshakes with clients that came to nothing.";
    page.family("why502_client_handshakes_failed", Kind::Counter, help).sample(&[], totals.handshakes_failed);
    let help =
        "Connections that had to begin with a PROXY header, and did not, or came from somebody who is not to send one.";
    page.family("why502_proxy_headers_refused", Kind::Counter, help).sample(&[], totals.proxy_headers_refused);
}

fn of_program(page: &mut Page, view: &View, totals: &Totals) {
    let help = "Log lines that were written.";
    page.family("why502_log_lines_written", Kind::Counter, help).sample(&[], totals.lines_written);
    let help = "Log lines that were lost, since the log's output could not take them.";
    page.family("why502_log_lines_dropped", Kind::Counter, help).sample(&[], totals.lines_dropped);
    let help = "Lines of incidents that the webhook did not take.";
    page.family("why502_webhook_lines_dropped", Kind::Counter, help).sample(&[], totals.webhook_dropped);
    let help = "Whether requests are to be sent here, as /readyz says.";
    page.family("why502_ready", Kind::Gauge, help).sample(&[], view.shared.readiness.is_ready());
    let help = "Which why502 this is.";
    page.family("why502_build", Kind::Info, help).sample(&[("version", env!("CARGO_PKG_VERSION"))], 1_u64);
}

fn of_process(page: &mut Page, telemetry: &Telemetry) {
    let process = Process::look();
    let help = "Processor time, all threads together.";
    page.family("process_cpu_seconds", Kind::Counter, help).sample(&[], process.processor_seconds);
    let began = telemetry.began().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    page.family("process_start_time_seconds", Kind::Gauge, "When the process started.").sample(&[], began);
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Memory that is resident.", process.resident_bytes),
        ("process_virtual_memory_bytes", "Memory that is mapped.", process.virtual_bytes),
        ("process_threads", "Threads.", process.threads),
        ("process_open_fds", "File descriptors that are open.", process.open_descriptors),
        ("process_max_fds", "File descriptors that may be open.", process.most_descriptors),
    ] {
        if let Some(value) = value {
            page.family(name, Kind::Gauge, help).sample(&[], value);
        }
    }
}
