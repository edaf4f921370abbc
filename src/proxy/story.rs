//! Owns what the log tells of one request, gathered while it passes.

use std::rc::Rc;
use std::sync::Arc;

use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Version;
use http::header;
use http::request::Parts;
use http::uri::PathAndQuery;
use tokio::time::Instant;

use crate::config;
use crate::diagnosis::case::RequestFacts;
use crate::probe;
use crate::proxy::admission::Admitted;
use crate::proxy::admission::Content;
use crate::proxy::arrival::Arrival;
use crate::proxy::client::Client;
use crate::proxy::client::Role;
use crate::proxy::request_id::RequestId;
use crate::proxy::way::Way;
use crate::proxy::wish::Wish;
use crate::telemetry::Span;
use crate::telemetry::event;

/// One request, as the log tells it. Everything in it is shared or small, for it is made for each request.
#[derive(Debug, Clone)]
pub(super) struct Story {
    pub(super) begin: Instant,
    pub(super) request_id: RequestId,
    pub(super) span: Span,
    pub(super) client: HeaderValue,
    pub(super) role: Role,
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) host: Option<HeaderValue>,
    pub(super) target: Option<PathAndQuery>,
    /// The target as the origin gets it, where that is another.
    pub(super) onward: Option<PathAndQuery>,
    pub(super) wish: Wish,
    pub(super) upgrade: Option<HeaderValue>,
    pub(super) personal: bool,
    pub(super) has_body: bool,
    /// Whether it is a check of another why502's, or of this one's that has come back.
    pub(super) is_check: bool,
    pub(super) way: Option<Rc<Way>>,
    pub(super) upstream: Option<Arc<str>>,
    pub(super) server: Option<Arc<str>>,
}

impl Story {
    /// The story as it begins: who asks for what.
    pub(super) fn begin(parts: &Parts, client: &Client, arrival: &Arrival) -> Self {
        let mut story = Self {
            begin: Instant::now(),
            request_id: client.request_id.clone(),
            span: client.trace.span,
            client: told(client, arrival),
            role: client.role,
            method: parts.method.clone(),
            version: parts.version,
            host: None,
            target: parts.uri.path_and_query().cloned(),
            onward: None,
            wish: Wish::default(),
            upgrade: None,
            personal: false,
            has_body: false,
            is_check: false,
            way: None,
            upstream: None,
            server: None,
        };
        // One look at each field is cheaper than a lookup of each name.
        for (name, value) in &parts.headers {
            story.hear(name, value);
        }
        story.host = story.host.or_else(|| authority(parts));
        story
    }

    fn hear(&mut self, name: &HeaderName, value: &HeaderValue) {
        if *name == header::HOST {
            self.host.get_or_insert_with(|| value.clone());
        } else if *name == header::COOKIE || *name == header::AUTHORIZATION {
            self.personal = true;
        } else if *name == header::USER_AGENT {
            self.is_check = value == probe::USER_AGENT;
        } else {
            self.wish.hear(name, value);
        }
    }

    /// What the request asked for, now that it is known to be one.
    pub(super) fn admitted(&mut self, admitted: &Admitted) {
        self.host = Some(admitted.host.clone());
        self.target = Some(admitted.target.clone());
        self.upgrade = admitted.upgrade.as_ref().map(super::admission::Upgrade::value);
        self.has_body = admitted.content != Content::None;
    }

    /// The route that takes it.
    pub(super) fn routed(&mut self, way: &Rc<Way>) {
        self.way = Some(Rc::clone(way));
    }

    /// Where it goes, and the target that it has there, where that is another.
    pub(super) fn bound_for(&mut self, upstream: &config::Upstream, onward: Option<&PathAndQuery>) {
        self.upstream = Some(Arc::clone(&upstream.name));
        self.onward = onward.cloned();
    }

    /// The path as the client asks for it.
    fn path(&self) -> &str {
        self.target.as_ref().map_or("", PathAndQuery::path)
    }

    /// The path as the origin is asked for it.
    pub(super) fn path_there(&self) -> &str {
        self.onward.as_ref().map_or_else(|| self.path(), PathAndQuery::path)
    }

    fn route(&self) -> Option<&str> {
        self.way.as_ref().map(|way| &*way.label)
    }

    fn host(&self) -> &[u8] {
        self.host.as_ref().map_or(&[], HeaderValue::as_bytes)
    }

    fn client(&self) -> &str {
        self.client.to_str().unwrap_or_default()
    }

    fn protocol(&self) -> &'static str {
        match self.version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2",
            _ => "HTTP/1.1",
        }
    }

    /// Whether a link to the same address repeats the request.
    pub(super) fn is_repeatable(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    /// What a diagnosis needs of it.
    pub(super) fn facts(&self) -> RequestFacts {
        RequestFacts {
            method: self.method.to_string(),
            host: String::from_utf8_lossy(self.host()).into_owned(),
            path: self.path_there().to_owned(),
            upgrade: self.upgrade.as_ref().and_then(|value| value.to_str().ok()).map(str::to_owned),
            has_body: self.has_body,
            personal: self.personal,
        }
    }

    /// Whether these are the facts of this request too.
    pub(super) fn asks_for(&self, facts: &RequestFacts) -> bool {
        self.method.as_str() == facts.method
            && self.path_there() == facts.path
            && self.host() == facts.host.as_bytes()
            && self.upgrade.as_ref().map(HeaderValue::as_bytes) == facts.upgrade.as_deref().map(str::as_bytes)
            && (self.has_body, self.personal) == (facts.has_body, facts.personal)
    }

    /// The access line.
    pub(super) fn request(&self, status: u16, bytes_sent: u64, aborted: bool) -> event::Request<'_> {
        event::Request {
            request_id: self.request_id.as_str(),
            span: Some(self.span),
            client: self.client(),
            method: self.method.as_str(),
            host: self.host(),
            path: self.path().as_bytes(),
            protocol: self.protocol(),
            status,
            bytes_sent,
            elapsed: self.begin.elapsed(),
            route: self.route(),
            upstream: self.upstream.as_deref(),
            server: self.server.as_deref(),
            aborted,
            traffic: self.way.as_ref().and_then(|way| way.traffic.as_deref()),
        }
    }

    /// The line of a failure that this report tells of.
    pub(super) fn failure<'a>(&'a self, told: &'a Told<'a>) -> event::UpstreamFailure<'a> {
        event::UpstreamFailure {
            client: self.client(),
            method: self.method.as_str(),
            host: self.host(),
            path: self.path().as_bytes(),
            route: self.route(),
            bytes_sent: told.bytes_sent,
            retried: told.retried,
            span: self.span,
            report: told.report,
            fault: told.diagnosis.fault,
            cause: told.diagnosis.cause,
            confidence: told.diagnosis.confidence,
            upstream: self.upstream.as_deref().unwrap_or_default(),
            detail: &told.diagnosis.detail,
        }
    }
}

/// The host as the target names it, before anybody has looked at it.
fn authority(parts: &Parts) -> Option<HeaderValue> {
    HeaderValue::from_str(parts.uri.authority()?.as_str()).ok()
}

/// A diagnosis on its way into the log.
pub(super) struct Told<'a> {
    pub(super) diagnosis: &'a crate::diagnosis::Diagnosis,
    pub(super) report: &'a [u8],
    pub(super) bytes_sent: u64,
    pub(super) retried: bool,
}

/// The client as the log names it: its address, as far as it is known.
fn told(client: &Client, arrival: &Arrival) -> HeaderValue {
    match client.address {
        Some(address) if Some(address) != arrival.address() => {
            HeaderValue::try_from(address.to_string()).unwrap_or_else(|_| arrival.told.clone())
        }
        _ => arrival.told.clone(),
    }
}
