//! Owns the answers to what is the client's doing, and to what is this proxy's own.

use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;

use crate::answer::Answer;
use crate::answer::Format;
use crate::answer::Language;
use crate::answer::Moment;
use crate::answer::Occurrence;
use crate::answer::RefusalReport;
use crate::answer::Style;
use crate::proxy::Proxy;
use crate::proxy::Reply;
use crate::proxy::admission::Admitted;
use crate::proxy::admission::refusal::Ending;
use crate::proxy::admission::refusal::Refusal;
use crate::proxy::arrival::Arrival;
use crate::proxy::fields::X_REQUEST_ID;
use crate::proxy::relay::ClientBody;
use crate::proxy::request_id::RequestId;
use crate::proxy::story::Story;
use crate::proxy::way::Https;
use crate::proxy::wish;
use crate::telemetry::Event;
use crate::telemetry::event;

impl Proxy {
    /// The answer to a request that is not forwarded.
    pub(super) fn refuse(&self, refusal: Refusal, story: &Story) -> Reply {
        let state = self.state();
        let occurrence = occurrence(story.request_id.as_str(), story.is_repeatable());
        self.own(answer(refusal, self.wishes.style(&story.wish, &state), occurrence), story).into()
    }

    /// Sends a client that came without TLS to the same address in https. A method other than GET and HEAD is to be kept, which
    /// only a 308 asks for; old clients know only the 301.
    pub(super) fn redirect(&self, https: Https, admitted: &Admitted, story: &Story) -> Reply {
        let Some(location) = https.location(admitted.host(), &admitted.target) else {
            return self.refuse(Refusal::HostMissing, story);
        };
        let status = if story.is_repeatable() { StatusCode::MOVED_PERMANENTLY } else { StatusCode::PERMANENT_REDIRECT };
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(header::LOCATION, location);
        headers.insert(X_REQUEST_ID, story.request_id.value());
        self.own(Answer { status, headers, body: Bytes::new() }, story).into()
    }

    /// A response of this proxy's own, and its access line.
    pub(super) fn own(&self, answer: Answer, story: &Story) -> Response<ClientBody> {
        let is_head = story.method == http::Method::HEAD;
        let sent = if is_head { 0 } else { answer.body.len() as u64 };
        self.telemetry.record(Event::Request(story.request(answer.status.as_u16(), sent, false)));
        let mut response = Response::new(if is_head { ClientBody::empty() } else { ClientBody::whole(answer.body) });
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        if let Some(way) = &story.way {
            way.response_headers.complete(response.headers_mut());
        }
        response
    }

    /// The answer to a head that could not be read, or did not arrive in time: there is no request to tell of.
    pub fn refuse_unread(&self, refusal: Refusal, head: &[u8], arrival: &Arrival) -> Answer {
        let request_id = RequestId::new(SystemTime::now());
        let state = self.state();
        let (format, language) = wish::granted(&negotiated(head));
        let style = Style { format, language, site: &state.shared.site };
        let mut answer = answer(refusal, style, occurrence(request_id.as_str(), false));
        if asks_for_no_body(head) {
            answer.body = Bytes::new();
        }
        self.telemetry.record(Event::Request(event::Request {
            request_id: request_id.as_str(),
            span: None,
            client: arrival.told.to_str().unwrap_or_default(),
            method: "-",
            host: b"",
            path: b"",
            protocol: "-",
            status: answer.status.as_u16(),
            bytes_sent: answer.body.len() as u64,
            elapsed: std::time::Duration::ZERO,
            route: None,
            upstream: None,
            server: None,
            aborted: false,
            traffic: None,
        }));
        answer
    }

    /// The answer when this proxy itself has failed at a request.
    pub fn confess(&self, arrival: &Arrival) -> Response<ClientBody> {
        let request_id = RequestId::new(SystemTime::now());
        let told = RefusalReport {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            detail: MISTAKE,
            hint: Some(TRY_AGAIN),
            occurrence: occurrence(request_id.as_str(), false),
        };
        let state = self.state();
        let style = Style { format: Format::Text, language: Language::ENGLISH, site: &state.shared.site };
        let answer = Answer::refusal(&told, style);
        let message =
            format!("a request of {} ended in a bug of this proxy", arrival.told.to_str().unwrap_or_default());
        self.telemetry.record(Event::Notice(event::Notice { message: &message, dropped: None }));
        let mut response = Response::new(ClientBody::whole(answer.body));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        response
    }
}

fn answer(refusal: Refusal, style: Style<'_>, occurrence: Occurrence<'_>) -> Answer {
    let told = RefusalReport { status: refusal.status(), detail: refusal.detail(), hint: None, occurrence };
    let mut answer = Answer::refusal(&told, style);
    if let Some(methods) = refusal.allow() {
        answer.headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    }
    if refusal.ending() == Ending::Close {
        answer.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

pub(super) fn occurrence(request_id: &str, repeatable: bool) -> Occurrence<'_> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let at = Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    Occurrence { request_id, at, incident: None, retry_after: None, repeatable }
}

/// Whether a head that is none begins as one of HEAD does, whose answer has no body (RFC 9110, section 9.3.2).
fn asks_for_no_body(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"HEAD ")
}

/// What a head asks for which is none: its lines about the format and the language, if they can be made out.
fn negotiated(head: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n') {
        for name in [header::ACCEPT, header::ACCEPT_LANGUAGE] {
            let Some((start, value)) = line.split_at_checked(name.as_str().len()) else { continue };
            let Some(value) = value.strip_prefix(b":").filter(|_| start.eq_ignore_ascii_case(name.as_str().as_bytes()))
            else {
                continue;
            };
            headers.extend(HeaderValue::from_bytes(value.trim_ascii()).ok().map(|value| (name, value)));
        }
    }
    headers
}

/// What a client is told whose request met a bug of ours.
const MISTAKE: &str = "This proxy made a mistake of its own; nothing is wrong with your request.";
const TRY_AGAIN: &str = "Please try again in a moment.";

#[cfg(test)]
mod tests {
    use super::negotiated;
    use crate::answer::Format;
    use crate::answer::Language;

    #[test]
    fn a_broken_head_still_says_what_it_accepts() {
        let accepted = |head: &[u8]| Format::of(&negotiated(head));
        assert_eq!(accepted(b"GET / HTTP/1.1\r\nHost : x\r\nAccept: text/html\r\n\r\n"), Format::Html);
        assert_eq!(accepted(b"GET / HTTP/1.1\r\naccept:application/problem+json\r\n"), Format::Problem);
        assert_eq!(accepted(b"\x16\x03\x01"), Format::Text);
        assert_eq!(accepted(b""), Format::Text);
        let language = |head: &[u8]| Language::of(&negotiated(head)).tag();
        assert_eq!(language(b"GET / HTTP/1.1\r\nHost : x\r\nACCEPT-language: de\r\n\r\n"), "de");
        assert_eq!(language(b"Accept: de\r\n"), "en");
    }
}
