//! Owns what an exchange that failed has to tell: everything that it saw, put on record.

use std::sync::Arc;
use std::time::Duration;

use http::Request;

use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Spoken;
use crate::fault::classify::http::Carried;
use crate::fault::classify::tls::name_alert;
use crate::fault::failure::ByteCounts;
use crate::fault::failure::Malformed;
use crate::fault::failure::TlsEvidence;
use crate::net::tap::End;
use crate::upstream::Lane;
use crate::upstream::attempt::Exchange;
use crate::upstream::attempt::Trouble;
use crate::upstream::attempt::finish;
use crate::upstream::body::RequestBody;

impl Exchange {
    /// Everything that this exchange saw, as a failure.
    pub(super) fn failure(&self, fault: Fault) -> Failure {
        let tap = &self.connection.tap;
        let mut failure = Failure::new(fault);
        failure.peer = Some(self.connection.peer.clone());
        failure.os_error = tap.os_error();
        failure.connection = self.past;
        failure.spoken = tap.spoken();
        failure.stage_elapsed = tap.last_sent().elapsed();
        failure.bytes = ByteCounts {
            request_sent: tap.sent(),
            request_complete: self.request_complete(),
            request_declared: self.declared,
            received: tap.received(),
            ..ByteCounts::default()
        };
        finish(failure, &self.lane, self.begin)
    }

    pub(super) fn request_complete(&self) -> bool {
        !self.connection.tap.is_blocked() && self.watch.as_ref().is_none_or(|watch| watch.ended())
    }

    pub(super) fn late(&self, fault: Fault, limit: Duration) -> Trouble {
        if let Some(fault) = self.watch.as_ref().and_then(|watch| watch.fault()) {
            return Trouble::Client(fault);
        }
        let mut failure = self.failure(fault).after(limit);
        failure.transport = self.connection.tap.transport();
        if failure.spoken.is_some_and(|spoken| spoken != Spoken::Http1) {
            // It did speak, only not HTTP, and then waited for its own protocol's next word.
            failure.fault = Fault::ResponseNotHttp;
        }
        Trouble::Failed { failure: Box::new(failure), unsent: None }
    }

    /// hyper says that there will be no response.
    pub(super) fn refuse(&self, error: &hyper::Error, unsent: Option<Box<Request<RequestBody>>>) -> Trouble {
        if let Some(fault) = self.watch.as_ref().and_then(|watch| watch.fault()) {
            return Trouble::Client(fault);
        }
        let tap = &self.connection.tap;
        let carried = Carried {
            received: tap.received(),
            request_complete: self.request_complete() && !tap.write_failed(),
            ended: tap.ended(),
            spoken: tap.spoken(),
        };
        let mut failure = self.failure(Fault::of_exchange(error, carried));
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
        certificate: None,
    });
}

/// hyper's error, which cannot be kept itself where the request comes back with it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);
