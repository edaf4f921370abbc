//! Owns one event of each kind, for this room's tests.

use std::sync::LazyLock;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use super::By;
use super::Event;
use super::Failures;
use super::IncidentClosed;
use super::IncidentOpened;
use super::Notice;
use super::Probe;
use super::Refusals;
use super::ReloadRefused;
use super::Reloaded;
use super::Request;
use super::Responses;
use super::ServerEjected;
use super::ServerReturned;
use super::Span;
use super::Started;
use super::Stopped;
use super::Totals;
use super::UpstreamFailure;
use super::stamp::Stamp;
use crate::diagnosis::Cause;
use crate::diagnosis::Evidence;
use crate::fault::Fault;

fn span() -> Span {
    Span::new(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7)
}

/// A leap day's noon, and seven milliseconds.
pub(super) fn stamp() -> Stamp {
    let mut stamp = Stamp::default();
    stamp.set(UNIX_EPOCH + Duration::from_micros(1_709_209_681_007_999));
    stamp
}

pub(super) fn started() -> Event<'static> {
    static LISTENERS: LazyLock<Vec<String>> =
        LazyLock::new(|| vec!["127.0.0.1:8080".to_owned(), "unix:/run/why502.sock".to_owned()]);
    Event::Started(Started {
        version: "0.1.0",
        configuration: Some("why502.toml"),
        listeners: &LISTENERS,
        admin: None,
        workers: 2,
    })
}

pub(super) fn reloaded() -> Event<'static> {
    static CHANGED: LazyLock<Vec<String>> =
        LazyLock::new(|| vec!["upstream \"app\": changed".to_owned(), "[limits]".to_owned()]);
    Event::Reloaded(Reloaded { configuration: Some("why502.toml"), changed: &CHANGED })
}

pub(super) fn reload_refused() -> Event<'static> {
    static PROBLEMS: LazyLock<Vec<String>> = LazyLock::new(|| vec!["why502.toml:3:1: unknown key `adress`".to_owned()]);
    Event::ReloadRefused(ReloadRefused { configuration: Some("why502.toml"), problems: &PROBLEMS })
}

pub(super) fn stopped(totals: &Totals) -> Event<'_> {
    Event::Stopped(Stopped { reason: "SIGTERM", uptime: Duration::from_secs(3600), totals })
}

pub(super) fn totals() -> Totals {
    Totals {
        requests: 12,
        responses: Responses { success: 9, client_error: 1, server_error: 2, ..Responses::default() },
        bytes_sent: 46080,
        refusals: vec![Refusals { status: 404, count: 1 }],
        failures: vec![Failures {
            upstream: "app".into(),
            fault: Fault::ConnectionRefused,
            cause: Cause::OriginDown,
            count: 3,
        }],
        retried: 1,
        incidents_opened: 2,
        incidents_closed: 1,
        handshakes_failed: 2,
        proxy_headers_refused: 3,
        lines_written: 15,
        lines_dropped: 0,
        webhook_dropped: 0,
    }
}

pub(super) fn request() -> Event<'static> {
    Event::Request(Request {
        request_id: "01J8Z3K4M5N6P7Q8R9S0T1V2W3",
        span: Some(span()),
        client: "10.50.0.10",
        method: "GET",
        host: b"shop.example",
        path: b"/cart",
        protocol: "HTTP/1.1",
        status: 200,
        bytes_sent: 5120,
        elapsed: Duration::from_micros(1407),
        route: Some("shop.example/"),
        upstream: Some("app"),
        server: Some("http://app-1.internal:3000"),
        aborted: false,
        traffic: None,
    })
}

pub(super) fn refusal() -> Event<'static> {
    Event::Request(Request {
        request_id: "01J8Z3K4M5N6P7Q8R9S0T1V2W3",
        span: None,
        client: "10.50.0.10",
        method: "GET",
        host: b"nowhere.example",
        path: b"/cart?token=secret",
        protocol: "HTTP/1.1",
        status: 404,
        bytes_sent: u64::MAX,
        elapsed: Duration::from_micros(61_000_007),
        route: None,
        upstream: None,
        server: None,
        aborted: true,
        traffic: None,
    })
}

pub(super) fn failure() -> Event<'static> {
    Event::UpstreamFailure(upstream_failure())
}

pub(super) fn hidden_failure() -> Event<'static> {
    Event::UpstreamFailure(UpstreamFailure { retried: true, ..upstream_failure() })
}

fn upstream_failure() -> UpstreamFailure<'static> {
    UpstreamFailure {
        client: "10.50.0.10",
        method: "GET",
        host: b"shop.example",
        path: b"/cart?token=secret",
        route: Some("shop.example/"),
        bytes_sent: 0,
        retried: false,
        span: span(),
        report: br#","title":"The origin refused the connection","attempts":[{"fault":"connection_refused"}]"#,
        fault: Fault::ConnectionRefused,
        cause: Cause::OriginDown,
        confidence: 0.86,
        upstream: "app",
        detail: "10.0.0.5:3000 refused the connection after 0.4 ms: nothing listens on port 3000 there.",
    }
}

pub(super) fn ejected() -> Event<'static> {
    Event::ServerEjected(ServerEjected {
        upstream: "app",
        server: "http://app-1.internal:3000",
        by: By::Failures,
        fault: Some(Fault::ResponseTimedOut),
        status: None,
        failures: 5,
        ejected: Some(Duration::from_secs(10)),
    })
}

pub(super) fn down() -> Event<'static> {
    Event::ServerEjected(ServerEjected {
        upstream: "app",
        server: "http://app-1.internal:3000",
        by: By::Health,
        fault: None,
        status: Some(503),
        failures: 3,
        ejected: None,
    })
}

pub(super) fn returned() -> Event<'static> {
    Event::ServerReturned(ServerReturned {
        upstream: "app",
        server: "http://app-1.internal:3000",
        by: By::Failures,
        ejected: Duration::from_secs(10),
    })
}

pub(super) fn probe() -> Event<'static> {
    static FOUND: LazyLock<Vec<String>> = LazyLock::new(|| {
        vec![
            "10.0.0.5:3000: connection_refused after 0.4 ms".to_owned(),
            "another port: 10.0.0.5:8080 opened after 0.3 ms, HTTP/1 with status 200".to_owned(),
        ]
    });
    Event::Probe(Probe {
        upstream: "app",
        server: "http://app-1.internal:3000",
        round: 7,
        fault: Fault::ConnectionRefused,
        elapsed: Duration::from_millis(12),
        found: &FOUND,
    })
}

pub(super) fn opened() -> Event<'static> {
    static EVIDENCE: LazyLock<Vec<Evidence>> = LazyLock::new(|| {
        let says = "the host answers on port 22".to_owned();
        vec![Evidence { id: "other_port_open", says, points_to: Cause::OriginDown, weight: 1.5 }]
    });
    Event::IncidentOpened(IncidentOpened {
        incident: "01J8Z3K4M5N6P7Q8R9S0T1V2W4",
        upstream: "app",
        opened: Duration::from_millis(1_709_209_681_007),
        returns: 0,
        fault: Fault::ConnectionRefused,
        cause: Cause::OriginDown,
        confidence: 0.86,
        detail: "10.0.0.5:3000 refused the connection after 0.4 ms.",
        evidence: &EVIDENCE,
        stored: None,
    })
}

pub(super) fn closed() -> Event<'static> {
    Event::IncidentClosed(IncidentClosed {
        incident: "01J8Z3K4M5N6P7Q8R9S0T1V2W4",
        upstream: "app",
        opened: Duration::from_millis(1_709_209_681_007),
        closed: Duration::from_millis(1_709_209_801_050),
        cut_short: false,
        count: 14,
        faults: &[(Fault::ConnectionRefused, 12), (Fault::ConnectionTimedOut, 2)],
        cause: Cause::OriginDown,
        confidence: 0.86,
        returns: 1,
        stored: Some(true),
    })
}

pub(super) fn notice() -> Event<'static> {
    Event::Notice(Notice { message: "log lines were dropped", dropped: Some(12) })
}
