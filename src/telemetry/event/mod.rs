//! Owns what is worth telling: every event of the log as a struct, with its members in the order of the line.
//!
//! An event borrows what it tells, is recorded once, and knows nothing of how it is written (`json`, `pretty`) or
//! counted (`count`). Text that came over the network may be anything: whoever writes it escapes it.

mod incident;
mod span;

use std::time::Duration;

use serde::Serialize;
use serde::Serializer;

pub use self::incident::IncidentClosed;
pub use self::incident::IncidentOpened;
pub use self::span::Span;
use super::Totals;
use super::Traffic;
use crate::diagnosis::Cause;
use crate::fault::Fault;

/// One event (contract, section 6).
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The proxy accepts connections.
    Started(Started<'a>),
    /// The proxy goes on with what its configuration says now.
    Reloaded(Reloaded<'a>),
    /// It was asked to, and goes on as before.
    ReloadRefused(ReloadRefused<'a>),
    /// The proxy has ended.
    Stopped(Stopped<'a>),
    /// A request has ended, well or not.
    Request(Request<'a>),
    /// An exchange with an upstream has failed.
    UpstreamFailure(UpstreamFailure<'a>),
    /// A server gets no more requests for a while.
    ServerEjected(ServerEjected<'a>),
    /// A server gets requests again.
    ServerReturned(ServerReturned<'a>),
    /// A round of checks of a failing server has ended.
    Probe(Probe<'a>),
    /// An upstream has begun to fail with one cause.
    IncidentOpened(IncidentOpened<'a>),
    /// It has answered well again for a while.
    IncidentClosed(IncidentClosed<'a>),
    /// Something that an operator should read once.
    Notice(Notice<'a>),
}

/// How urgent a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// All is as it should be.
    Info,
    /// Somebody should look, but no client has noticed.
    Warn,
    /// A client did not get what it asked for.
    Error,
}

/// The proxy accepts connections.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Started<'a> {
    /// The program's version.
    pub version: &'a str,
    /// The configuration's file; none with `--to`.
    pub configuration: Option<&'a str>,
    /// Where it listens, as configured.
    pub listeners: &'a [String],
    /// Where operators look at the program; none where nobody may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<&'a str>,
    /// How many threads serve.
    pub workers: usize,
}

/// The proxy goes on with what its configuration says now.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Reloaded<'a> {
    /// The configuration's file.
    pub configuration: Option<&'a str>,
    /// What is another than before, each in a few words; empty where nothing is.
    pub changed: &'a [String],
}

/// The configuration was to be read again, is wrong or cannot be followed, and nothing has changed.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ReloadRefused<'a> {
    /// The configuration's file.
    pub configuration: Option<&'a str>,
    /// Everything that is wrong, as `why502 check` says it.
    pub problems: &'a [String],
}

/// The proxy has ended.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Stopped<'a> {
    /// Why: `SIGTERM`, `SIGINT`, or a sentence.
    pub reason: &'a str,
    /// Since it started.
    #[serde(rename = "uptime_ms", serialize_with = "milliseconds")]
    pub uptime: Duration,
    /// What it did in that time.
    #[serde(flatten)]
    pub totals: &'a Totals,
}

/// A request has ended, well or not. Its line is written by hand, see `json`.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Its id, as in `X-Request-Id`.
    pub request_id: &'a str,
    /// Its trace and this proxy's part in it; none where there was no head to read.
    pub span: Option<Span>,
    /// The client's address, behind trusted proxies.
    pub client: &'a str,
    /// The method, as the client sent it.
    pub method: &'a str,
    /// The host, as the client sent it.
    pub host: &'a [u8],
    /// The path, as the client sent it. A query behind it is never written.
    pub path: &'a [u8],
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub protocol: &'a str,
    /// The status of the answer; 499 where the client left before there was one.
    pub status: u16,
    /// Bytes of the answer's body that went to the client.
    pub bytes_sent: u64,
    /// From the request's head to the end of the answer.
    pub elapsed: Duration,
    /// The route that took it; none where there is none for it.
    pub route: Option<&'a str>,
    /// The upstream it was for; none where this proxy answered on its own, which counts as a refusal from 400 on.
    pub upstream: Option<&'a str>,
    /// The server that answered, or that was tried last.
    pub server: Option<&'a str>,
    /// Whether the client left early or the answer's body was cut.
    pub aborted: bool,
    /// Where it is counted; none where no route took it.
    pub traffic: Option<&'a Traffic>,
}

/// An exchange with an upstream has failed. Its line is written by hand, see `json`.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamFailure<'a> {
    /// The client's address, behind trusted proxies.
    pub client: &'a str,
    /// The method, as the client sent it.
    pub method: &'a str,
    /// The host, as the client sent it.
    pub host: &'a [u8],
    /// The path, as the client sent it. A query behind it is never written.
    pub path: &'a [u8],
    /// The route that took it.
    pub route: Option<&'a str>,
    /// Bytes of an answer's body that had gone to the client.
    pub bytes_sent: u64,
    /// Whether a retry hid it from the client.
    pub retried: bool,
    /// The request's trace and this proxy's part in it.
    pub span: Span,
    /// The operator's answer (contract, section 5): its members, which follow those above, as `members_in_line` makes them.
    pub report: &'a [u8],
    /// What was observed; the line has it from the report, as all that follows.
    pub fault: Fault,
    /// The likeliest cause.
    pub cause: Cause,
    /// How sure that is, from 0.0 to 1.0.
    pub confidence: f64,
    /// The upstream that failed.
    pub upstream: &'a str,
    /// One sentence for the operator.
    pub detail: &'a str,
}

/// A server gets no more requests for a while.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ServerEjected<'a> {
    /// Its upstream.
    pub upstream: &'a str,
    /// Its URL, as configured.
    pub server: &'a str,
    /// What took it out.
    pub by: By,
    /// The last of its failures; none where a check was answered.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_fault_word")]
    pub fault: Option<Fault>,
    /// The status that the last check was answered with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How many failures, or checks that failed, came in a row.
    pub failures: u32,
    /// For how long it gets none; none where that is for checks to say.
    #[serde(rename = "ejected_ms", skip_serializing_if = "Option::is_none", serialize_with = "some_milliseconds")]
    pub ejected: Option<Duration>,
}

/// What decides whether a server gets requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Requests that failed.
    Failures,
    /// Active checks.
    Health,
}

impl By {
    /// In one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Health => "health",
        }
    }
}

/// A server gets requests again.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ServerReturned<'a> {
    /// Its upstream.
    pub upstream: &'a str,
    /// Its URL, as configured.
    pub server: &'a str,
    /// What had taken it out.
    pub by: By,
    /// For how long it got none.
    #[serde(rename = "ejected_ms", serialize_with = "milliseconds")]
    pub ejected: Duration,
}

/// A round of checks of a failing server has ended.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Probe<'a> {
    /// Its upstream.
    pub upstream: &'a str,
    /// Its URL, as configured.
    pub server: &'a str,
    /// The number of the round in this process.
    pub round: u64,
    /// The fault that it was made for.
    #[serde(serialize_with = "fault_word")]
    pub fault: Fault,
    /// How long it took.
    #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
    pub elapsed: Duration,
    /// What was measured, each in a short sentence, in the order in which it was known.
    pub found: &'a [String],
}

/// Something that an operator should read once.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Notice<'a> {
    /// One sentence, with the cure where there is one.
    pub message: &'a str,
    /// How many log lines were lost, where that is what it tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
}

impl Event<'_> {
    /// Every word that there is.
    pub const WORDS: [&'static str; 12] = [
        "started",
        "reloaded",
        "reload_refused",
        "stopped",
        "request",
        "upstream_failure",
        "server_ejected",
        "server_returned",
        "probe",
        "incident_opened",
        "incident_closed",
        "notice",
    ];

    /// The word of the contract.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Started(_) => "started",
            Self::Reloaded(_) => "reloaded",
            Self::ReloadRefused(_) => "reload_refused",
            Self::Stopped(_) => "stopped",
            Self::Request(_) => "request",
            Self::UpstreamFailure(_) => "upstream_failure",
            Self::ServerEjected(_) => "server_ejected",
            Self::ServerReturned(_) => "server_returned",
            Self::Probe(_) => "probe",
            Self::IncidentOpened(_) => "incident_opened",
            Self::IncidentClosed(_) => "incident_closed",
            Self::Notice(_) => "notice",
        }
    }

    /// How urgent it is.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::Started(_)
            | Self::Reloaded(_)
            | Self::Stopped(_)
            | Self::Request(_)
            | Self::ServerReturned(_)
            | Self::Probe(_)
            | Self::IncidentClosed(_) => Level::Info,
            Self::ReloadRefused(_) | Self::ServerEjected(_) | Self::Notice(_) => Level::Warn,
            Self::UpstreamFailure(failure) if failure.retried => Level::Warn,
            Self::UpstreamFailure(_) | Self::IncidentOpened(_) => Level::Error,
        }
    }
}

impl Level {
    /// The word of the line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// The path without what follows it: a query may hold secrets, and the log never does.
pub(super) fn before_query(path: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'?', path).unwrap_or(path.len());
    path.get(..end).unwrap_or_default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn fault_word<S: Serializer>(fault: &Fault, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(fault.word())
}

#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn some_fault_word<S: Serializer>(fault: &Option<Fault>, serializer: S) -> Result<S::Ok, S::Error> {
    fault.map(Fault::word).serialize(serializer)
}

#[expect(clippy::ref_option, reason = "serde passes a reference")]
fn some_milliseconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_millis()).serialize(serializer)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn cause_word<S: Serializer>(cause: &Cause, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(cause.word())
}

fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u128(time.as_millis())
}
