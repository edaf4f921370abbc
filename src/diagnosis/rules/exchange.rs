//! Owns the rules over an exchange without an answer: how it ended, how long it took, what was acknowledged.

use std::time::Duration;

use super::AT_ONCE;
use super::FORGETFUL;
use super::history::held;
use super::targets;
use super::unacknowledged_still;
use crate::config::Platform;
use crate::diagnosis::Case;
use crate::diagnosis::wording::bytes;
use crate::diagnosis::wording::counted;
use crate::diagnosis::wording::duration;
use crate::diagnosis::wording::list;
use crate::diagnosis::wording::place;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::TransportEvidence;

/// Application servers look once a second for workers that are over their limit, so that a killed one shows within a
/// second of a round number.
pub(super) fn worker_timeout(case: &Case) -> Option<String> {
    let failure = hung_up(case)?;
    let waited = failure.waited();
    let just_over = |seconds: &&u64| {
        let over = waited.checked_sub(Duration::from_secs(**seconds));
        over.is_some_and(|over| over <= WORKER_CHECK)
    };
    let limit = ROUND.iter().find(just_over)?;
    Some(format!(
        "the connection was closed after {}, just over {limit} s: a time limit of the application server ends its \
         workers so",
        duration(waited)
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
        format!(
            "{} hung up {} after the request on a fresh connection: ports that expect TLS, a PROXY header \
             or another protocol do that",
            place(failure),
            duration(failure.waited())
        )
    })
}

/// A server with as many connections as it may have takes a further one only to close it. One that ends with every request holds
/// none.
pub(super) fn turned_away_while_busy(case: &Case) -> Option<String> {
    let failure =
        case.failed_with(HUNG_UP).filter(|failure| !failure.connection.reused && failure.nothing_received())?;
    let (now, usual) = held(&case.history.server).filter(|_| failure.waited() <= AT_ONCE)?;
    Some(format!(
        "{} hung up {} after the request on a fresh connection, while it holds {} (at most {usual} as a rule): a limit on \
         connections or workers turns away what comes beyond it",
        place(failure),
        duration(failure.waited()),
        counted(now.saturating_sub(1) as usize, "other request")
    ))
}

/// A program that has read the request ends a connection in order; a reset comes from one that has not, or from a box
/// on the way.
pub(super) fn reset_at_once(case: &Case) -> Option<String> {
    let failure = hung_up_fresh(case, Fault::ResetBeforeResponse)?;
    (failure.waited() <= AT_ONCE).then(|| {
        format!(
            "the reset came {} after the request: intrusion prevention on the way resets so, and so does \
             a port that does not want HTTP",
            duration(failure.waited())
        )
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
        "the request asked for an upgrade to {protocol} and {} hung up: something in between may not \
         pass on Upgrade and Connection",
        place(failure)
    ))
}

pub(super) fn upload_cut_short(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ResetWhileSending]).filter(|failure| !failure.connection.reused)?;
    let declared = failure.bytes.request_declared.map(|length| format!(" of a body of {}", bytes(length)));
    (case.request.has_body || declared.is_some()).then(|| {
        format!(
            "{} cut the connection after {} sent{}: a limit on bodies, or a refusal without reading to \
             the end, does that",
            place(failure),
            bytes(failure.bytes.request_sent),
            declared.unwrap_or_default()
        )
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
        let size = bytes(u64::from(known.segment_size));
        format!(
            "of {} sent to {}, {}: packets of up to {size} are lost on the way, which a tunnel with a smaller MTU does",
            bytes(failure.bytes.request_sent),
            place(failure),
            unacknowledged_still(known)
        )
    })
}

pub(super) fn request_unacknowledged(case: &Case) -> Option<String> {
    let (failure, known) = unacknowledged(case)?;
    let small = failure.bytes.request_sent < LARGE;
    let idle = failure.connection.idle.unwrap_or_default();
    (small && idle < FORGETFUL).then(|| {
        let still = unacknowledged_still(known);
        format!("of the request to {}, {still}: packets are lost on the way", place(failure))
    })
}

/// What never arrived is nothing that the program could be slow at.
pub(super) fn request_never_arrived(case: &Case) -> Option<String> {
    let (failure, known) = unacknowledged(case)?;
    (known.retransmits > 0).then(|| {
        format!(
            "the host of {} never acknowledged {}: its program had no request to answer",
            place(failure),
            if failure.bytes.request_sent >= LARGE { "the larger part of the request" } else { "the request" }
        )
    })
}

pub(super) fn request_arrived(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ResponseTimedOut])?;
    let known = failure.transport.filter(|known| known.unacknowledged == 0 && !is_answered_in_part(case))?;
    failure.bytes.request_complete.then(|| {
        let trip = duration(known.round_trip);
        format!(
            "the whole request reached the host of {} and was acknowledged (round trip {trip}): its \
             program is what is slow",
            place(failure)
        )
    })
}

/// The last packet of an answer is small as a rule, and passes where the full ones before it are lost (RFC 2923, section 2.1).
pub(super) fn answer_lost_in_part(case: &Case) -> Option<String> {
    let (failure, known) = answered_in_part(case)?;
    let count = counted(known.out_of_order as usize, "packet");
    Some(format!(
        "{} has answered: {count} came while one before was missing, and the missing one never did: large packets are lost on the \
         way from it, which a tunnel with a smaller MTU does",
        place(failure)
    ))
}

/// Whether an answer was under way and did not arrive, so that it is no program that was slow.
pub(super) fn is_answered_in_part(case: &Case) -> bool {
    answered_in_part(case).is_some()
}

/// A full accept queue drops what opens a connection, which goes out again after 1 s and then after 3 s.
pub(super) fn connecting_was_slow(case: &Case) -> Option<String> {
    let failure = case
        .failed_with(&[Fault::ResponseTimedOut])
        .filter(|failure| !failure.connection.reused && !failure.stage_elapsed.is_zero())?;
    let before = failure.elapsed.saturating_sub(failure.stage_elapsed);
    (before >= SLOW_CONNECT).then(|| {
        format!(
            "connecting took {} in all before the request was sent: the server accepts its connections late",
            duration(before)
        )
    })
}

pub(super) fn every_server_slow(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::ResponseTimedOut])?;
    let servers = targets(case.attempts.iter().filter(|failure| failure.fault == Fault::ResponseTimedOut));
    (servers.len() > 1).then(|| format!("{} were too slow alike", list(&servers)))
}

/// A connection that ended without one byte of an answer.
fn hung_up(case: &Case) -> Option<&Failure> {
    case.failed_with(HUNG_UP).filter(|failure| failure.nothing_received())
}

/// The same on a connection that never answered anything, so that nothing shows that HTTP is spoken there.
fn hung_up_fresh(case: &Case, fault: Fault) -> Option<&Failure> {
    hung_up(case).filter(|failure| failure.fault == fault && !failure.connection.reused)
}

/// Whether the request carries so much that a program which closes without reading it makes its kernel send a reset (RFC 9293,
/// section 3.6.1): no filter is needed for that.
pub(super) fn is_upload(failure: &Failure) -> bool {
    failure.bytes.request_declared.unwrap_or(failure.bytes.request_sent) >= UPLOAD
}

/// Whether the request was reset, without a word, so soon after it had come that hardly a program can have seen it.
pub(super) fn is_reset_at_once(failure: &Failure) -> bool {
    let trip = failure.transport.map_or(Duration::ZERO, |known| known.round_trip);
    let reset = matches!(failure.fault, Fault::ResetBeforeResponse | Fault::ResetWhileSending);
    reset && failure.nothing_received() && failure.waited() <= AT_ONCE.max(trip * 3) && !is_upload(failure)
}

/// A request of which the far end's kernel never confirmed a part, however often it was sent again.
fn unacknowledged(case: &Case) -> Option<(&Failure, TransportEvidence)> {
    let failure = case
        .failed_with(&[Fault::RequestSendTimedOut, Fault::ResponseTimedOut])
        .filter(|failure| failure.nothing_received())?;
    let known = failure.transport.filter(|known| known.unacknowledged > 0 && known.retransmits > 0)?;
    Some((failure, known))
}

/// An answer of which later packets have come and the first ones have not.
fn answered_in_part(case: &Case) -> Option<(&Failure, TransportEvidence)> {
    let failure =
        case.failed_with(&[Fault::ResponseTimedOut, Fault::ResponseBodyTimedOut, Fault::TlsHandshakeTimedOut])?;
    let known = failure.transport.filter(|known| known.out_of_order > 0 && known.unacknowledged == 0)?;
    // Where something came before, packets may have changed places long ago and been put in order, save on a short way.
    let tls = failure.target.as_ref().is_some_and(|target| target.tls) && failure.fault != Fault::TlsHandshakeTimedOut;
    let first = !failure.connection.reused && !tls && failure.nothing_received();
    let short = known.round_trip <= SHORT_WAY && failure.bytes.received < FEW_PACKETS;
    (first || short).then_some((failure, known))
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

/// Within a building, packets arrive in the order in which they were sent.
const SHORT_WAY: Duration = Duration::from_millis(3);

/// More than this was received in many packets, of which some may have been late.
const FEW_PACKETS: u64 = 6_000;

/// What is larger than this is not read to its end by a program that refuses it.
const UPLOAD: u64 = 16 * 1024;

/// From here on, a request fills whole packets.
const LARGE: u64 = 1_100;

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
    (3031, "uWSGI's own protocol"),
    (3306, "MySQL"),
    (5432, "PostgreSQL"),
    (5672, "AMQP (RabbitMQ)"),
    (6379, "Redis"),
    (6443, "the Kubernetes API over TLS"),
    (8009, "AJP (Tomcat)"),
    (8443, "HTTPS (HTTP over TLS)"),
    (8883, "MQTT over TLS"),
    (9000, "FastCGI (PHP-FPM)"),
    (9092, "Kafka"),
    (9443, "HTTPS (HTTP over TLS)"),
    (11211, "memcached"),
    (27017, "MongoDB"),
    (50051, "gRPC (HTTP/2)"),
];
