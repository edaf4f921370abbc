//! Owns the rules over HTTP/2: what its codes say of the server, and servers that do not speak it.

use crate::diagnosis::Case;
use crate::diagnosis::detail::coded;
use crate::diagnosis::wording::place;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Spoken;
use crate::fault::failure::H2Evidence;

pub(super) fn h2_calm_down(case: &Case) -> Option<String> {
    let failure = ended_with(case, &[ENHANCE_YOUR_CALM])?;
    Some(format!("{} says ENHANCE_YOUR_CALM: it gets more than it is ready to take", place(failure)))
}

pub(super) fn h2_stream_not_taken(case: &Case) -> Option<String> {
    let failure = ended_with(case, &[REFUSED_STREAM])?;
    Some(format!("{} refuses streams before it works on them: it has as many as it wants", place(failure)))
}

/// A server that ends in order says so first, and a request may cross with that.
pub(super) fn h2_closing_in_order(case: &Case) -> Option<String> {
    let (failure, said) = failed(case)?;
    let in_order = said.unprocessed && said.reset_code.is_none() && said.goaway_code == Some(NO_ERROR);
    in_order.then(|| {
        format!(
            "{} is closing its connections in order (GOAWAY without an error): it stops or restarts",
            place(failure)
        )
    })
}

pub(super) fn h2_wants_http1(case: &Case) -> Option<String> {
    let failure = ended_with(case, &[HTTP_1_1_REQUIRED])?;
    Some(format!(
        "{} says HTTP_1_1_REQUIRED: it does not serve this over HTTP/2, so protocol = \"http1\" is for it",
        place(failure)
    ))
}

pub(super) fn h2_internal_error(case: &Case) -> Option<String> {
    let failure = ended_with(case, &[INTERNAL_ERROR])?;
    Some(format!("{} says INTERNAL_ERROR: its program failed while it worked on the request", place(failure)))
}

pub(super) fn h2_given_up(case: &Case) -> Option<String> {
    let failure =
        ended_with(case, &[NO_ERROR, CANCEL, STREAM_CLOSED]).filter(|failure| !failure.was_not_processed())?;
    let code = codes(failure).next()?;
    Some(format!("{} gave the request up with {} after it had taken it", place(failure), coded(code)))
}

pub(super) fn h2_blames_proxy(case: &Case) -> Option<String> {
    let failure = ended_with(case, &[PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, COMPRESSION_ERROR])?;
    let code = codes(failure).next()?;
    Some(format!(
        "{} says {} of what it was sent: it reads HTTP/2 more strictly than others do, or something in \
         between changes it",
        place(failure),
        coded(code)
    ))
}

pub(super) fn h2_rules_broken(case: &Case) -> Option<String> {
    let (failure, said) = failed(case)?;
    let code = said.found_code?;
    Some(format!("what {} sent breaks the rules of HTTP/2: {}", place(failure), coded(code)))
}

pub(super) fn http1_only(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ResponseNotHttp])?;
    (failure.h2.is_some() && failure.spoken == Some(Spoken::Http1)).then(|| {
        format!(
            "{} answered HTTP/2 with HTTP/1: it speaks HTTP/1 only, so protocol = \"http1\" is for it",
            place(failure)
        )
    })
}

pub(super) fn no_alpn(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::TlsProtocolError])?;
    failure.tls.as_ref().is_some_and(|tls| tls.without_alpn).then(|| {
        format!(
            "{} took part in TLS and did not agree to HTTP/2 (ALPN): it speaks HTTP/1 only, so protocol = \"auto\" or \
             \"http1\" is for it",
            place(failure)
        )
    })
}

/// A failure that HTTP/2 has something to say of.
fn failed(case: &Case) -> Option<(&Failure, &H2Evidence)> {
    let failure = case.failed_with(H2_FAULTS)?;
    failure.h2.as_ref().map(|said| (failure, said))
}

/// The same, where the server ended the stream or the connection with one of these codes.
fn ended_with<'a>(case: &'a Case, wanted: &[u32]) -> Option<&'a Failure> {
    let (failure, _) = failed(case)?;
    codes(failure).any(|code| wanted.contains(&code)).then_some(failure)
}

/// What the server ended it with, that of the stream before that of the connection.
fn codes(failure: &Failure) -> impl Iterator<Item = u32> {
    let said = failure.h2.as_ref();
    let reset = said.and_then(|said| said.reset_code);
    let goaway = said.and_then(|said| said.goaway_code).filter(|_| reset.is_none());
    reset.into_iter().chain(goaway)
}

const H2_FAULTS: &[Fault] =
    &[Fault::H2StreamRefused, Fault::H2StreamReset, Fault::H2ConnectionError, Fault::ResponseMalformed];

// RFC 9113, section 7.
const NO_ERROR: u32 = 0x0;
const PROTOCOL_ERROR: u32 = 0x1;
const INTERNAL_ERROR: u32 = 0x2;
const FLOW_CONTROL_ERROR: u32 = 0x3;
const STREAM_CLOSED: u32 = 0x5;
const FRAME_SIZE_ERROR: u32 = 0x6;
const REFUSED_STREAM: u32 = 0x7;
const CANCEL: u32 = 0x8;
const COMPRESSION_ERROR: u32 = 0x9;
const ENHANCE_YOUR_CALM: u32 = 0xb;
const HTTP_1_1_REQUIRED: u32 = 0xd;
