//! Owns the question whether a small request is answered on a fresh connection, where a visitor's was not.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::board::Report;
use super::hear;
use super::reach::Unreached;
use super::subject::Subject;
use super::talk;
use crate::diagnosis::observation::Asked;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::SpokeEnd;
use crate::diagnosis::observation::Tongue;
use crate::fault::Fault;
use crate::fault::Spoken;
use crate::fault::classify::tls::HandshakeFault;
use crate::fault::failure::Peer;
use crate::net::deadline::within;
use crate::net::stream::Stream;
use crate::net::tap::Tap;
use crate::net::tls::behind;

/// Asks for the health path or `/` as a visitor's request would be sent, with TLS where that has it. Answers whether it was
/// understood: 400 may be the answer to what was no HTTP to the server.
pub(super) async fn ask(subject: &Subject, peer: &Peer, report: &Report) -> bool {
    let begin = Instant::now();
    let path = &*subject.path;
    let told = |status, fault, begin: Instant| {
        report.add(Observation::Asked(Asked { path: path.to_owned(), status, fault, elapsed: begin.elapsed() }));
    };
    let stream = match subject.reach(peer).await {
        None => return false,
        Some(Ok(transport)) => secure(subject, transport).await,
        Some(Err(Unreached { fault, .. })) => Err(fault),
    };
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(fault) => {
            told(None, Some(fault), begin);
            return false;
        }
    };
    let begin = Instant::now();
    let heard = hear::ask(&mut stream, &subject.request("GET", path), ANSWER).await;
    let status = heard.status();
    let fault = match (heard.spoken(), heard.end) {
        _ if status.is_some() => None,
        (Some(Spoken::Http1), _) => Some(Fault::ResponseMalformed),
        (Some(_), _) => Some(Fault::ResponseNotHttp),
        (None, SpokeEnd::Closed) => Some(Fault::ClosedBeforeResponse),
        (None, SpokeEnd::Reset) => Some(Fault::ResetBeforeResponse),
        (None, SpokeEnd::Open | SpokeEnd::NotOpened) => Some(Fault::ResponseTimedOut),
    };
    told(status, fault, begin);
    if subject.upstream.tls(&subject.server).is_none() {
        report.add(Observation::Spoke(talk::spoke(Tongue::Http1, &heard, begin)));
    }
    status.is_some_and(|status| status != 400)
}

/// TLS as visitors' requests have it, the certificate verified: whoever presents a wrong one is not asked anything.
async fn secure(subject: &Subject, transport: Stream) -> Result<Stream, Fault> {
    let Some((config, name)) = subject.upstream.tls(&subject.server) else { return Ok(transport) };
    let tap = Tap::new();
    let handshake = pin!(behind::handshake(Arc::clone(config), name.clone(), transport, &tap));
    match within(HANDSHAKE, handshake).await {
        Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream))),
        Ok(Err(error)) => Err(HandshakeFault::of(&error, tap.spoken(), tap.ended()).fault),
        Err(_) => Err(Fault::TlsHandshakeTimedOut),
    }
}

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_millis(900);
/// How long the answer may take: what is healthy answers faster.
const ANSWER: Duration = Duration::from_secs(1);
