//! Owns the rules over one exchange: how long it took, how much went each way, and what came back.

use std::time::Duration;

use super::AT_ONCE;
use super::targets;
use crate::config::Platform;
use crate::diagnosis::Case;
use crate::diagnosis::detail;
use crate::diagnosis::wording::bytes;
use crate::diagnosis::wording::duration;
use crate::diagnosis::wording::errno;
use crate::diagnosis::wording::list;
use crate::diagnosis::wording::place;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Spoken;
use crate::fault::failure::Malformed;
use crate::fault::failure::TransportEvidence;

/// Application servers look for workers that are over their limit once a second, so that a killed one shows in the second
/// after a round number.
pub(super) fn worker_timeout(case: &Case) -> Option<String> {
    let failure = hung_up(case)?;
    let waited = failure.waited();
    let limit = ROUND
        .iter()
        .map(|seconds| Duration::from_secs(*seconds))
        .find(|limit| (*limit..=*limit + WORKER_CHECK).contains(&waited))?;
    Some(format!(
        "the connection was closed after {}, just over a round {}: a time limit of the application server ends its workers so",
        duration(waited),
        duration(limit)
    ))
}

pub(super) fn closed_while_working(case: &Case) -> Option<String> {
    let failure = hung_up(case)?;
    (failure.waited() > WORKING).then(|| {
        format!(
            "{} held the request for {} before it hung up, so that its program was at work on it",
            place(failure),
            duration(failure.waited())
        )
    })
}

pub(super) fn closed_at_once(case: &Case) -> Option<String> {
    let failure = hung_up_fresh(case, Fault::ClosedBeforeResponse)?;
    (failure.waited() <= AT_ONCE).then(|| {
        format!("{} hung up {} after the request on a fresh connection: ports that expect TLS, a PROXY header or another protocol do that", place(failure), duration(failure.waited()))
    })
}

/// A program that has read the request ends a connection in order; a reset comes from one that has not, or from a box
/// on the way.
pub(super) fn reset_at_once(case: &Case) -> Option<String> {
    let failure = hung_up_fresh(case, Fault::ResetBeforeResponse)?;
    (failure.waited() <= AT_ONCE).then(|| {
        format!("the reset came {} after the request: intrusion prevention on the way resets so, and so does a port that does not want HTTP", duration(failure.waited()))
    })
}

pub(super) fn head_cut_short(case: &Case) -> Option<String> {
    let failure = case.failed_with(HUNG_UP).filter(|failure| !failure.nothing_received())?;
    Some(format!("{} began an answer and hung up after {} of it", place(failure), bytes(failure.bytes.received)))
}

/// Redis, memcached and others hang up on a request without a word, so that only the port tells.
pub(super) fn port_of_other_protocol(case: &Case) -> Option<String> {
    let failure =
        hung_up_fresh(case, Fault::ClosedBeforeResponse).or_else(|| hung_up_fresh(case, Fault::ResetBeforeResponse))?;
    let target = failure.target.as_ref().filter(|target| !target.tls && target.socket.is_none())?;
    let (port, protocol) = PORTS.iter().find(|(port, _)| *port == target.port)?;
    let quick = failure.waited() <= WORKING;
    quick.then(|| {
        let php = matches!(case.settings.platform, Platform::Php | Platform::Wordpress | Platform::Magento);
        let fpm = if *port == 9000 && php { ", and this upstream runs PHP" } else { "" };
        format!(
            "port {port} is the usual port of {protocol}{fpm}; it hung up on plain HTTP after {} without a byte",
            duration(failure.waited())
        )
    })
}

pub(super) fn upgrade_hung_up(case: &Case) -> Option<String> {
    let failure = hung_up(case)?;
    let protocol = case.request.upgrade.as_ref()?;
    Some(format!(
        "the request asked for an upgrade to {protocol} and {} hung up: something in between may not pass on Upgrade and Connection",
        place(failure)
    ))
}

pub(super) fn upload_cut_short(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ResetWhileSending]).filter(|failure| !failure.connection.reused)?;
    let declared = failure.bytes.request_declared.map(|length| format!(" of a body of {}", bytes(length)));
    (case.request.has_body || declared.is_some()).then(|| {
        format!("{} cut the connection after {} sent{}: a limit on bodies, or a refusal without reading to the end, does that", place(failure), bytes(failure.bytes.request_sent), declared.unwrap_or_default())
    })
}

pub(super) fn program_not_reading(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::RequestSendTimedOut])?;
    let known = failure.transport?;
    (known.unacknowledged == 0).then(|| {
        format!(
            "the host of {} acknowledged all that was sent ({}) and takes no more: its program does not read",
            place(failure),
            bytes(failure.bytes.request_sent)
        )
    })
}

/// Small packets pass and full ones do not: somewhere the path is narrower, and nobody says so (RFC 2923, section 2.1).
pub(super) fn large_packets_lost(case: &Case) -> Option<String> {
    let (failure, known) = unacknowledged(case)?;
    let large = failure.bytes.request_sent >= LARGE;
    large.then(|| {
        format!(
            "of {} sent to {}, {} packets were never acknowledged and {} sent again: packets of up to {} bytes are lost \
             on the way, which a too small MTU on a tunnel does",
            bytes(failure.bytes.request_sent), place(failure), known.unacknowledged, known.total_retransmits, known.segment_size
        )
    })
}

pub(super) fn request_unacknowledged(case: &Case) -> Option<String> {
    let (failure, known) = unacknowledged(case)?;
    let small = failure.bytes.request_sent < LARGE;
    let idle = failure.connection.idle.unwrap_or_default();
    (small && idle < Duration::from_secs(20)).then(|| {
        format!(
            "the request was sent again {} times and never acknowledged by {}: packets are lost on the way",
            known.total_retransmits,
            place(failure)
        )
    })
}

pub(super) fn request_arrived(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ResponseTimedOut])?;
    let known = failure.transport.filter(|known| known.unacknowledged == 0)?;
    failure.bytes.request_complete.then(|| {
        let trip = duration(known.round_trip);
        format!("the whole request reached the host of {} and was acknowledged (round trip {trip}): its program is what is slow", place(failure))
    })
}

/// A full accept queue drops what opens a connection, which goes out again after 1 s and then after 3 s.
pub(super) fn connecting_was_slow(case: &Case) -> Option<String> {
    let failure = case
        .failed_with(&[Fault::ResponseTimedOut])
        .filter(|failure| !failure.connection.reused && !failure.stage_elapsed.is_zero())?;
    let before = failure.elapsed.saturating_sub(failure.stage_elapsed);
    (before >= SLOW_CONNECT).then(|| {
        format!(
            "reaching the point where the request was sent took {} already: the server accepts its connections late",
            duration(before)
        )
    })
}

pub(super) fn every_server_slow(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::ResponseTimedOut])?;
    let servers = targets(case.attempts.iter().filter(|failure| failure.fault == Fault::ResponseTimedOut));
    (servers.len() > 1).then(|| format!("{} were too slow alike", list(&servers)))
}

pub(super) fn tls_on_plain(case: &Case) -> Option<String> {
    let failure = not_http(case)?;
    matches!(failure.spoken, Some(Spoken::TlsAlert | Spoken::TlsHandshake))
        .then(|| format!("{} answered plain HTTP with a TLS record: it wants https", place(failure)))
}

pub(super) fn h2_only(case: &Case) -> Option<String> {
    let failure = not_http(case)?;
    (failure.spoken == Some(Spoken::Http2)).then(|| {
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
    Some(format!(
        "the answer of {} begins like HTTP and is broken: its program writes HTTP by hand, and wrongly",
        place(failure)
    ))
}

pub(super) fn conflicting_framing(case: &Case) -> Option<String> {
    let wrong = malformed(case).filter(|wrong| is_framing(wrong))?;
    Some(format!(
        "the answer's length is said in ways that contradict each other ({}): whoever believed the wrong one could be fed a false answer",
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
        format!("the body ended after {}, about the size of a server's buffers: a web server in between that cannot write its temporary files (full disk, permissions) stops there", bytes(got))
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
        "after {} of the body, {} sent something that is no chunk: a program that prints a warning into its own answer does that",
        bytes(failure.bytes.response_body),
        place(failure)
    ))
}

/// A connection that ended without one byte of an answer.
fn hung_up(case: &Case) -> Option<&Failure> {
    case.failed_with(HUNG_UP).filter(|failure| failure.nothing_received())
}

/// The same on a connection that never answered anything, so that nothing shows that HTTP is spoken there.
fn hung_up_fresh(case: &Case, fault: Fault) -> Option<&Failure> {
    hung_up(case).filter(|failure| failure.fault == fault && !failure.connection.reused)
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

/// A request of which the far end's kernel never confirmed a part, however often it was sent again.
fn unacknowledged(case: &Case) -> Option<(&Failure, TransportEvidence)> {
    let failure = case
        .failed_with(&[Fault::RequestSendTimedOut, Fault::ResponseTimedOut])
        .filter(|failure| failure.nothing_received())?;
    let known = failure.transport.filter(|known| known.unacknowledged > 0 && known.total_retransmits > 0)?;
    Some((failure, known))
}

const HUNG_UP: &[Fault] = &[Fault::ClosedBeforeResponse, Fault::ResetBeforeResponse];

/// Limits that application servers come with or are given, in seconds.
const ROUND: &[u64] = &[5, 10, 15, 20, 30, 45, 60, 90, 100, 120, 180, 240, 300, 600, 900, 1800, 3600];

/// How much later than its limit a worker is found and killed.
const WORKER_CHECK: Duration = Duration::from_millis(1_200);

/// A server that holds a request for longer has begun to work on it.
const WORKING: Duration = Duration::from_millis(150);

/// What takes longer to connect has had a packet repeated.
const SLOW_CONNECT: Duration = Duration::from_millis(900);

/// From here on, a request fills whole packets.
const LARGE: u64 = 1_100;

/// The smallest head that common servers send without being asked to keep it short.
const USUAL_HEAD: u64 = 8 * 1024;

/// Where bodies end that a web server could not keep: 64 and 128 KiB of buffers.
const BUFFERS: &[u64] = &[64 * 1024, 128 * 1024];
const BUFFER_MARGIN: u64 = 700;

/// Ports that are another protocol's by custom.
const PORTS: &[(u16, &str)] = &[
    (21, "FTP"),
    (22, "SSH"),
    (25, "SMTP (a mail server)"),
    (110, "POP3 (a mail server)"),
    (143, "IMAP (a mail server)"),
    (389, "LDAP"),
    (443, "HTTPS (HTTP over TLS)"),
    (465, "SMTP over TLS (a mail server)"),
    (587, "SMTP (a mail server)"),
    (993, "IMAP over TLS (a mail server)"),
    (1433, "Microsoft SQL Server"),
    (1883, "MQTT"),
    (2181, "ZooKeeper"),
    (3306, "MySQL"),
    (5432, "PostgreSQL"),
    (5672, "AMQP (RabbitMQ)"),
    (6379, "Redis"),
    (6443, "the Kubernetes API over TLS"),
    (8443, "HTTPS (HTTP over TLS)"),
    (8883, "MQTT over TLS"),
    (9000, "FastCGI (PHP-FPM)"),
    (9092, "Kafka"),
    (9443, "HTTPS (HTTP over TLS)"),
    (11211, "memcached"),
    (27017, "MongoDB"),
    (50051, "gRPC (HTTP/2)"),
];
