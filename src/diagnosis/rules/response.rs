//! Owns the rules over what came back: another protocol, a broken head, a body that stops.

use crate::diagnosis::Case;
use crate::diagnosis::detail;
use crate::diagnosis::wording::bytes;
use crate::diagnosis::wording::errno;
use crate::diagnosis::wording::place;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Spoken;
use crate::fault::failure::Malformed;

pub(super) fn tls_on_plain(case: &Case) -> Option<String> {
    let failure = not_http(case)?;
    matches!(failure.spoken, Some(Spoken::TlsAlert | Spoken::TlsHandshake))
        .then(|| format!("{} answered plain HTTP with a TLS record: it wants https", place(failure)))
}

pub(super) fn h2_only(case: &Case) -> Option<String> {
    let failure = not_http(case)?;
    (failure.spoken == Some(Spoken::Http2) && failure.h2.is_none()).then(|| {
        format!("{} answered HTTP/1.1 with an HTTP/2 frame: it speaks HTTP/2 (h2c, gRPC) only", place(failure))
    })
}

pub(super) fn speaks_other_protocol(case: &Case) -> Option<String> {
    let failure = not_http(case)?;
    let spoken = failure.spoken.filter(|spoken| spoken.is_foreign())?;
    Some(format!("{} speaks {}, not HTTP: the port is another program's", place(failure), spoken.name()))
}

pub(super) fn answer_without_head(case: &Case) -> Option<String> {
    let failure = not_http(case)?;
    let spoken = failure.spoken.filter(|spoken| matches!(spoken, Spoken::Http09 | Spoken::Cgi | Spoken::Text))?;
    Some(format!("{} sent {}: its program printed without a status line before it", place(failure), spoken.name()))
}

pub(super) fn answer_almost_http(case: &Case) -> Option<String> {
    let failure =
        case.failed_with(&[Fault::ResponseNotHttp]).filter(|failure| failure.spoken == Some(Spoken::Http1))?;
    if failure.h2.is_some() {
        return None;
    }
    Some(format!(
        "the answer of {} begins like HTTP and is broken: its program writes HTTP by hand, and wrongly",
        place(failure)
    ))
}

pub(super) fn conflicting_framing(case: &Case) -> Option<String> {
    let wrong = malformed(case).filter(|wrong| is_framing(wrong))?;
    Some(format!(
        "the answer's length is said in ways that contradict each other ({}): whoever believed the \
         wrong one could be fed a false answer",
        detail::malformed(wrong)
    ))
}

pub(super) fn malformed_head(case: &Case) -> Option<String> {
    let wrong = malformed(case).filter(|wrong| !is_framing(wrong))?;
    Some(format!("the answer of {} breaks the rules of HTTP: {}", place(case.failure()), detail::malformed(wrong)))
}

pub(super) fn cookies_fill_head(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ResponseHeaderTooLarge])?;
    let Some(Malformed::Bloated(field, count)) = &failure.malformed else { return None };
    Some(format!(
        "the head holds {field} {count} times, which fills it: the program sets more at each turn than it clears"
    ))
}

pub(super) fn head_over_limit(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ResponseHeaderTooLarge])?;
    let limit = failure.bytes.header_limit.unwrap_or(case.settings.response_header_bytes);
    let personal = if case.request.personal {
        ", and the request carried a cookie or a login, so that it may be this user's alone"
    } else {
        ""
    };
    Some(format!(
        "the head had not ended after {}, most often for many or large Set-Cookie fields{personal}",
        bytes(limit)
    ))
}

pub(super) fn header_limit_small(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::ResponseHeaderTooLarge])?;
    let limit = case.settings.response_header_bytes;
    (limit < USUAL_HEAD)
        .then(|| format!("this proxy allows a head of {} only, less than servers usually send", bytes(limit)))
}

pub(super) fn switched_to_other_protocol(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::UpgradeFailed])?;
    let asked = case
        .request
        .upgrade
        .as_ref()
        .map_or_else(|| "no upgrade".to_owned(), |protocol| format!("an upgrade to {protocol}"));
    let Some(Malformed::Upgrade(given)) = &failure.malformed else { return None };
    let given =
        given.as_ref().map_or_else(|| "no protocol at all".to_owned(), |protocol| format!("'Upgrade: {protocol}'"));
    Some(format!("the request asked for {asked}, and {} answered 101 with {given}", place(failure)))
}

pub(super) fn body_cut_short(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ResponseTruncated])?;
    let got = bytes(failure.bytes.response_body);
    Some(failure.bytes.response_declared.map_or_else(
        || format!("{} ended its answer after {got} of the body without the last chunk", place(failure)),
        |length| format!("{} announced a body of {} and ended it after {got}", place(failure), bytes(length)),
    ))
}

/// A gateway in between that keeps large answers in a file, and cannot write it, passes on what fitted its buffers.
pub(super) fn body_cut_at_buffer(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ResponseTruncated])?;
    let got = failure.bytes.response_body;
    BUFFERS.iter().any(|buffer| got.abs_diff(*buffer) <= BUFFER_MARGIN).then(|| {
        format!(
            "the body ended after {}, about the size of a server's buffers: a web server in between that \
             cannot write its temporary files (full disk, permissions) stops there",
            bytes(got)
        )
    })
}

pub(super) fn body_reset(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ResponseTruncated])?;
    let number = failure.os_error.filter(|number| [libc::ECONNRESET, libc::ETIMEDOUT].contains(number))?;
    Some(format!("the connection was not closed in the middle of the body, it broke: {}", errno(number)))
}

pub(super) fn body_stopped(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ResponseBodyTimedOut])?;
    let declared = failure.bytes.response_declared.map(|length| format!(" of {}", bytes(length))).unwrap_or_default();
    Some(format!(
        "after {}{declared} of the body nothing more came from {}, though the connection stands",
        bytes(failure.bytes.response_body),
        place(failure)
    ))
}

pub(super) fn chunk_broken(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ResponseChunkingInvalid])?;
    Some(format!(
        "after {} of the body, {} sent something that is no chunk: a program that prints a warning \
         into its own answer does that",
        bytes(failure.bytes.response_body),
        place(failure)
    ))
}

/// An answer that is not HTTP/1.
fn not_http(case: &Case) -> Option<&Failure> {
    case.failed_with(&[Fault::ResponseNotHttp, Fault::ResponseMalformed])
}

fn malformed(case: &Case) -> Option<&Malformed> {
    case.failed_with(&[Fault::ResponseMalformed])?.malformed.as_ref()
}

fn is_framing(wrong: &Malformed) -> bool {
    matches!(wrong, Malformed::ContentLength(_) | Malformed::LengthAndCoding | Malformed::TransferCoding(_))
}

/// The smallest head that common servers send without being asked to keep it short.
const USUAL_HEAD: u64 = 8 * 1024;

/// Where bodies end that a web server could not keep: 64 and 128 KiB of buffers.
const BUFFERS: &[u64] = &[64 * 1024, 128 * 1024];
const BUFFER_MARGIN: u64 = 700;
