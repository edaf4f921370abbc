//! Owns what an exchange that failed has to tell: everything that it saw, put on record.

use std::sync::Arc;
use std::time::Duration;

use http::Request;

use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Spoken;
use crate::fault::classify::h2::Connection;
use crate::fault::classify::h2::H2Fault;
use crate::fault::classify::http::Carried;
use crate::fault::classify::tls::name_alert;
use crate::fault::failure::ByteCounts;
use crate::fault::failure::H2Evidence;
use crate::fault::failure::Malformed;
use crate::fault::failure::TlsEvidence;
use crate::net::tap::End;
use crate::upstream::Lane;
use crate::upstream::attempt::Exchange;
use crate::upstream::attempt::Trouble;
use crate::upstream::attempt::finish;
use crate::upstream::body::RequestBody;
use crate::upstream::inflow::Broken;
use crate::upstream::line::Line;
use crate::upstream::multiplex::Refused;

impl Exchange {
    /// Everything that this exchange saw, as a failure.
    pub(super) fn failure(&self, fault: Fault) -> Failure {
        let tap = self.line.tap();
        let mut failure = Failure::new(fault);
        failure.peer = Some(self.line.peer().clone());
        failure.os_error = tap.os_error();
        failure.connection = self.past;
        failure.spoken = tap.spoken();
        failure.stage_elapsed = self.line.last_sent().elapsed();
        failure.bytes = ByteCounts {
            request_sent: self.line.sent(),
            request_complete: self.request_complete(),
            request_declared: self.declared,
            received: self.line.received(),
            ..ByteCounts::default()
        };
        finish(&mut failure, &self.lane, self.begin);
        failure
    }

    pub(super) fn request_complete(&self) -> bool {
        match &self.line {
            Line::Http1(connection, _) => {
                !connection.tap.is_blocked() && self.watch.as_ref().is_none_or(|watch| watch.ended())
            }
            Line::Http2(stream) => stream.is_sent(),
        }
    }

    pub(super) fn late(&self, fault: Fault, limit: Duration) -> Trouble {
        if let Some(fault) = self.watch.as_ref().and_then(|watch| watch.fault()) {
            return Trouble::Client(fault);
        }
        if let Line::Http2(stream) = &self.line {
            stream.waited_in_vain();
        }
        let mut failure = self.failure(fault).after(limit);
        failure.transport = self.line.tap().transport();
        if failure.spoken.is_some_and(|spoken| spoken != self.line.speaks()) {
            // It did speak, only not HTTP, and then waited for its own protocol's next word.
            failure.fault = Fault::ResponseNotHttp;
        }
        Trouble::Failed { failure: Box::new(failure), unsent: None }
    }

    /// How the connection stands.
    fn carried(&self) -> Carried {
        let tap = self.line.tap();
        Carried {
            received: self.line.received(),
            request_complete: self.request_complete() && !tap.write_failed(),
            ended: tap.ended(),
            spoken: tap.spoken(),
        }
    }

    /// The body of a response broke off.
    pub(super) fn broken_body(&self, error: Broken) -> Failure {
        let ended = self.line.tap().ended();
        let mut failure = match &error {
            Broken::Http1(error) => self.failure(Fault::of_body(error, ended)),
            Broken::Http2(error) => self.broken_stream(error, Fault::ResponseTruncated),
        };
        if failure.fault == Fault::ResponseChunkingInvalid {
            failure.malformed = Some(Malformed::ChunkSize);
        } else if failure.fault == Fault::ResponseMalformed {
            // The head was in order, so it is the length that does not hold.
            failure.fault = Fault::ResponseTruncated;
        }
        failure.because(error)
    }

    /// The failure of a stream, which is `otherwise` where only the connection below it ended.
    fn broken_stream(&self, error: &h2::Error, otherwise: Fault) -> Failure {
        let tap = self.line.tap();
        let Line::Http2(stream) = &self.line else { return self.failure(otherwise) };
        let connection = if stream.stands() { Connection::Stands } else { Connection::Ended };
        let goaway = tap.goaway();
        let found = H2Fault::of(error, connection).or_else(|| {
            stream.retire();
            // The connection ended as the server had said, before it had answered this request.
            let code = goaway.as_ref()?.code;
            let fault = if code == 0 { otherwise } else { Fault::H2ConnectionError };
            Some(H2Fault { fault, evidence: H2Evidence { goaway_code: Some(code), ..H2Evidence::default() } })
        });
        let Some(H2Fault { fault, mut evidence }) = found else { return self.failure(otherwise) };
        evidence.stream = stream.id();
        if let Some(goaway) = goaway {
            if evidence.goaway_code.is_some() {
                evidence.unprocessed = stream.id().is_none_or(|id| id > goaway.last_stream);
            }
            evidence.goaway_code = Some(goaway.code);
            evidence.last_stream = Some(goaway.last_stream);
            evidence.debug_data = (!goaway.debug_data.is_empty()).then_some(goaway.debug_data);
        }
        let mut failure = self.failure(fault);
        failure.h2 = Some(evidence);
        failure
    }

    /// A stream says that there will be no response.
    pub(super) fn refuse_stream(&self, refused: Refused) -> Trouble {
        if let Some(fault) = self.watch.as_ref().and_then(|watch| watch.fault()) {
            return Trouble::Client(fault);
        }
        let Refused { error, request } = refused;
        let tap = self.line.tap();
        let mut failure = self.broken_stream(&error, Fault::of_stream_end(self.carried()));
        let limit = self.lane.settings.response_header_bytes;
        if tap.spoken().is_some_and(|spoken| spoken != Spoken::Http2) {
            // What came are no frames of HTTP/2.
            failure.fault = Fault::ResponseNotHttp;
            failure.h2 = Some(H2Evidence::default());
        } else if self.line.received() > limit
            || failure.h2.as_ref().is_some_and(|h2| h2.found_code.is_some()) && tap.largest_block() as u64 > limit
        {
            failure.fault = Fault::ResponseHeaderTooLarge;
            failure.bytes.header_limit = Some(limit);
        } else if failure.fault == Fault::ResponseMalformed {
            failure.malformed = Some(Malformed::Other);
        }
        if failure.fault != Fault::H2StreamRefused {
            tap.with_end(|end| note_tls(&mut failure, end, &self.lane));
        }
        let untouched = failure.was_not_processed() || failure.nothing_sent();
        let failure = Box::new(failure.because(error));
        Trouble::Failed { failure, unsent: request.filter(|_| untouched) }
    }

    /// The head of a response on a stream is larger than is allowed.
    pub(super) fn too_large(&self) -> Trouble {
        let mut failure = self.failure(Fault::ResponseHeaderTooLarge);
        failure.bytes.header_limit = Some(self.lane.settings.response_header_bytes);
        Trouble::Failed { failure: Box::new(failure), unsent: None }
    }

    /// hyper says that there will be no response.
    pub(super) fn refuse(&self, error: &hyper::Error, unsent: Option<Box<Request<RequestBody>>>) -> Trouble {
        if let Some(fault) = self.watch.as_ref().and_then(|watch| watch.fault()) {
            return Trouble::Client(fault);
        }
        let tap = self.line.tap();
        let fault =
            if tap.is_flooded() { Fault::ResponseHeaderTooLarge } else { Fault::of_exchange(error, self.carried()) };
        let mut failure = self.failure(fault);
        tap.with_end(|end| note_tls(&mut failure, end, &self.lane));
        if matches!(failure.fault, Fault::ResponseMalformed | Fault::ResponseHeaderTooLarge) {
            failure.malformed = tap.with_captured(Malformed::read);
        }
        if failure.fault == Fault::ResponseHeaderTooLarge
            && failure.bytes.received < self.lane.settings.response_header_bytes
        {
            // It was not the bytes, so it was the number of fields.
            failure.malformed.get_or_insert(Malformed::TooManyFields);
        } else if failure.fault == Fault::ResponseHeaderTooLarge {
            failure.bytes.header_limit = Some(self.lane.settings.response_header_bytes);
        }
        failure.source = Some(Arc::new(Said(error.to_string())));
        Trouble::Failed { failure: Box::new(failure), unsent }
    }
}

/// The TLS alert or error that ended the connection after the handshake, as TLS 1.3 says of a missing client certificate.
fn note_tls(failure: &mut Failure, end: Option<&End>, lane: &Lane) {
    let Some(End::Failed { tls: Some(error), .. }) = end else { return };
    let alert = if let rustls::Error::AlertReceived(alert) = error { Some(name_alert(*alert)) } else { None };
    failure.fault = if alert.is_some() { Fault::TlsAlert } else { Fault::TlsProtocolError };
    failure.tls = Some(TlsEvidence {
        server_name: lane.tls.as_ref().map_or_else(String::new, |tls| tls.name.to_str().into_owned()),
        client_certificate: lane.tls.as_ref().is_some_and(|tls| tls.client_certificate),
        alert,
        ..TlsEvidence::default()
    });
}

/// hyper's error, which cannot be kept itself where the request comes back with it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);
