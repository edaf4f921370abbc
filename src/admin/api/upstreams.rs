//! Owns `/api/upstreams`: each upstream and its servers as they are now, and the last hour by the minute.

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use http::Response;
use http::StatusCode;
use serde::Serialize;
use tokio::time::Instant;

use crate::admin::View;
use crate::admin::hour::Hour;
use crate::admin::hour::Minute;
use crate::admin::reply;
use crate::admin::reply::Body;
use crate::diagnosis::history::Health;
use crate::diagnosis::history::Pace;
use crate::diagnosis::history::Windows;
use crate::telemetry;
use crate::telemetry::Ways;
use crate::upstream;
use crate::upstream::view::ServerView;
use crate::upstream::view::Stands;

#[derive(Serialize)]
struct Page<'a> {
    at: String,
    version: &'static str,
    ready: bool,
    upstreams: Vec<Upstream<'a>>,
}

#[derive(Serialize)]
struct Upstream<'a> {
    name: &'a str,
    servers_up: usize,
    waiting: usize,
    retries: u64,
    hour: Vec<InMinute>,
    servers: Vec<InRow>,
}

#[derive(Serialize)]
struct InMinute {
    at: String,
    requests: u64,
    errors: u64,
    mean_ms: Option<f64>,
    p95_ms: Option<f64>,
}

#[derive(Serialize)]
struct InRow {
    server: String,
    state: &'static str,
    weight: u32,
    in_flight: u32,
    connections: u32,
    idle: u64,
    answered: Counts,
    failed: Counts,
    faults: Vec<Faults>,
    last_answer_ms: Option<f64>,
    failing_for_ms: Option<f64>,
    ejected_for_ms: Option<f64>,
    answering: Option<Times>,
    connecting: Option<Times>,
    check: Option<Check>,
    addresses: Vec<String>,
}

#[derive(Serialize)]
struct Counts {
    last_10s: u64,
    last_minute: u64,
    last_hour: u64,
    ever: u64,
}

#[derive(Serialize)]
struct Faults {
    fault: &'static str,
    count: u64,
}

#[derive(Serialize)]
struct Times {
    now_ms: f64,
    usual_ms: f64,
}

#[derive(Serialize)]
struct Check {
    up: bool,
    ago_ms: f64,
    status: Option<u16>,
    fault: Option<&'static str>,
}

/// Each of them, in the order of the configuration.
pub(in crate::admin) fn upstreams(view: &View, hour: &Hour, ways: &[Ways]) -> Response<Body> {
    let now = Instant::now();
    let shared = &view.shared;
    let page = Page {
        at: telemetry::rfc_3339(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
        version: env!("CARGO_PKG_VERSION"),
        ready: shared.readiness.is_ready(),
        upstreams: shared.upstreams.iter().map(|upstream| Upstream::of(upstream, hour, ways, now)).collect(),
    };
    reply::json(StatusCode::OK, serde_json::to_vec(&page).unwrap_or_default())
}

impl<'a> Upstream<'a> {
    fn of(upstream: &'a upstream::Shared, hour: &Hour, ways: &[Ways], now: Instant) -> Self {
        let servers = upstream.view(now);
        let name = &*upstream.settings.name;
        let weights = upstream.settings.servers.iter().map(|server| server.weight);
        Self {
            name,
            servers_up: servers.iter().filter(|server| server.stands == Stands::Up).count(),
            waiting: upstream.waiting(),
            retries: upstream.retries(),
            hour: hour.of(name, ways).iter().map(InMinute::of).collect(),
            servers: servers.iter().zip(weights).map(|(server, weight)| InRow::of(server, weight)).collect(),
        }
    }
}

impl InMinute {
    fn of(minute: &Minute) -> Self {
        Self {
            at: telemetry::rfc_3339(Duration::from_secs(minute.number * 60)),
            requests: minute.requests,
            errors: minute.errors,
            mean_ms: minute.took.mean().map(millis),
            p95_ms: minute.took.within(0.95).map(millis),
        }
    }
}

impl InRow {
    fn of(view: &ServerView, weight: u32) -> Self {
        let past = &view.past;
        Self {
            server: view.server.url.text.to_string(),
            state: view.stands.word(),
            weight,
            in_flight: past.in_flight,
            connections: view.connections,
            idle: view.idle,
            answered: Counts::of(past.successes),
            failed: Counts::of(past.failures),
            faults: past.faults.iter().map(|(fault, count)| Faults { fault: fault.word(), count: *count }).collect(),
            last_answer_ms: past.last_success.map(millis),
            failing_for_ms: past.failing_for.map(millis),
            ejected_for_ms: past.ejected_for.map(millis),
            answering: past.answering.map(Times::of),
            connecting: past.connecting.map(Times::of),
            check: past.health.as_ref().map(Check::of),
            addresses: past.addresses.iter().map(|(address, _)| address.to_string()).collect(),
        }
    }
}

impl Counts {
    const fn of(windows: Windows) -> Self {
        let Windows { seconds, minute, hour, ever } = windows;
        Self { last_10s: seconds, last_minute: minute, last_hour: hour, ever }
    }
}

impl Times {
    fn of(pace: Pace) -> Self {
        Self { now_ms: millis(pace.now), usual_ms: millis(pace.usual) }
    }
}

impl Check {
    fn of(health: &Health) -> Self {
        let fault = health.fault.map(crate::fault::Fault::word);
        Self { up: health.up, ago_ms: millis(health.checked), status: health.status, fault }
    }
}

/// With three decimals, as the log has them.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
