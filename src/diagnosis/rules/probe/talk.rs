//! Owns the rules over what the port does when it is spoken to, and over requests of this proxy's own.

use std::time::Duration;

use super::MANY;
use super::QUICK;
use super::answered;
use super::asked;
use super::earlier;
use super::measured;
use super::never_worked;
use super::spoken_to;
use super::tried_again;
use super::under_load;
use crate::diagnosis::Case;
use crate::diagnosis::observation::Asked;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::Spoke;
use crate::diagnosis::observation::SpokeEnd;
use crate::diagnosis::observation::Tongue;
use crate::diagnosis::rules::exchange::is_answered_in_part;
use crate::diagnosis::rules::exchange::is_reset_at_once;
use crate::diagnosis::wording::counted;
use crate::diagnosis::wording::duration;
use crate::diagnosis::wording::place;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Spoken;
use crate::fault::Stage;
use crate::fault::failure::Target;

pub(in crate::diagnosis::rules) fn port_speaks_tls(case: &Case) -> Option<String> {
    let failure = misunderstood(case).filter(|failure| !is_tls(failure))?;
    let heard = heard(case, Tongue::Tls, &[Spoken::TlsHandshake, Spoken::TlsAlert])?;
    (!speaks_http(case)).then(|| {
        format!(
            "{} answers a TLS hello with TLS after {}: the port speaks TLS, so that its URL begins with https://",
            place(failure),
            duration(heard.elapsed)
        )
    })
}

pub(in crate::diagnosis::rules) fn port_speaks_http2(case: &Case) -> Option<String> {
    let failure = misunderstood(case)?;
    let heard = heard(case, Tongue::Http2, &[Spoken::Http2])?;
    (!speaks_http(case)).then(|| {
        format!(
            "{} answers the preface of HTTP/2 after {} and no HTTP/1.1: it wants protocol = \"h2\"",
            place(failure),
            duration(heard.elapsed)
        )
    })
}

pub(in crate::diagnosis::rules) fn port_wants_proxy_header(case: &Case) -> Option<String> {
    let failure = misunderstood(case)?;
    let status = heard(case, Tongue::ProxyHeader, &[Spoken::Http1])?.status.filter(|status| *status != 400)?;
    (!speaks_http(case)).then(|| {
        format!(
            "{} answers HTTP with status {status} once a PROXY header comes first, and not without: it expects the \
             PROXY protocol",
            place(failure)
        )
    })
}

pub(in crate::diagnosis::rules) fn port_speaks_redis(case: &Case) -> Option<String> {
    let failure = misunderstood(case)?;
    heard(case, Tongue::Redis, &[Spoken::Redis])?;
    Some(format!("{} answers a Redis command: it is a Redis server, not a web server", place(failure)))
}

pub(in crate::diagnosis::rules) fn port_speaks_fastcgi(case: &Case) -> Option<String> {
    let failure = misunderstood(case)?;
    heard(case, Tongue::FastCgi, &[Spoken::FastCgi])?;
    Some(format!(
        "{} answers a FastCGI record: it is PHP-FPM or the like, which wants a web server such as nginx before it",
        place(failure)
    ))
}

/// What greets before it is asked, or answers HTTP in its own way, needs no trying out.
pub(in crate::diagnosis::rules) fn port_speaks_another_protocol(case: &Case) -> Option<String> {
    let failure = misunderstood(case)?;
    let foreign = |spoke: &&Spoke| spoke.heard.is_some_and(Spoken::is_foreign);
    // These have rules of their own, with what to do about them.
    let known = |spoke: &&Spoke| {
        let own = [(Tongue::Redis, Spoken::Redis), (Tongue::FastCgi, Spoken::FastCgi)];
        spoke.heard.is_some_and(|heard| own.contains(&(spoke.tongue, heard)))
    };
    let spoke = talks(case).find(|spoke| foreign(spoke) && !known(spoke))?;
    let (name, there) = (spoke.heard?.name(), place(failure));
    Some(if spoke.tongue == Tongue::Silence {
        format!("{there} greets in {name} before it is asked anything: the port is not a web server's")
    } else {
        format!("{there} speaks {name} when it is spoken to: the port is not a web server's")
    })
}

/// A port with TLS that is spoken to without it often says so in plain HTTP, with status 400.
pub(in crate::diagnosis::rules) fn port_speaks_plain_http(case: &Case) -> Option<String> {
    let failure = case.failed_with(NO_HANDSHAKE).filter(|failure| is_tls(failure))?;
    let status = heard(case, Tongue::Http1, &[Spoken::Http1])?.status?;
    let tls = heard(case, Tongue::Tls, &[Spoken::TlsHandshake]).is_some();
    (!tls).then(|| {
        format!(
            "{} answers plain HTTP with status {status} and no TLS: its URL begins with http://, or its port is \
             another one",
            place(failure)
        )
    })
}

/// HTTP/2 was forced on a server that has none.
pub(in crate::diagnosis::rules) fn port_speaks_http1_only(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::H2ConnectionError, Fault::ResponseNotHttp])?;
    let status = heard(case, Tongue::Http1, &[Spoken::Http1])?.status?;
    let h2 = heard(case, Tongue::Http2, &[Spoken::Http2]).is_some() || failure.fault == Fault::ResponseNotHttp;
    (!h2).then(|| {
        format!(
            "{} answers HTTP/1.1 with status {status} and does not speak HTTP/2: protocol = \"http1\"",
            place(failure)
        )
    })
}

/// Whether a request of this proxy's own for another path was answered well.
pub(in crate::diagnosis::rules) fn other_path_works_too(case: &Case) -> bool {
    beside(case).is_some()
}

pub(in crate::diagnosis::rules) fn other_path_works(case: &Case) -> Option<String> {
    let (failure, asked, status) = beside(case)?;
    let odd = failure.fault != Fault::ResponseTimedOut && !is_cut_off_at_once(case);
    odd.then(|| only_this_path(case, asked, status))
}

pub(in crate::diagnosis::rules) fn other_path_is_quick(case: &Case) -> Option<String> {
    let (failure, asked, status) = beside(case)?;
    let arrived = failure.transport.is_none_or(|known| known.unacknowledged == 0) && !is_answered_in_part(case);
    (failure.fault == Fault::ResponseTimedOut && arrived && asked.elapsed < QUICK)
        .then(|| only_this_path(case, asked, status))
}

/// A program that dies closes its connections in order. What resets one request at once, and leaves the port and every
/// other path alone, has read the request on its way.
pub(in crate::diagnosis::rules) fn reset_in_passing(case: &Case) -> Option<String> {
    let (failure, asked, status) = beside(case)?;
    is_cut_off_at_once(case).then(|| {
        format!(
            "{}, and the reset came {} after the request without a byte: filters on the way reset what looks like an \
             attack so",
            only_this_path(case, asked, status),
            duration(failure.waited())
        )
    })
}

pub(in crate::diagnosis::rules) fn fresh_connection_works(case: &Case) -> Option<String> {
    let failure = case.failed_with(DIED).filter(|failure| failure.connection.reused)?;
    // Where this path has ended fresh connections, another one that does not shows nothing.
    let (asked, status) =
        answered(case).filter(|(asked, _)| asked.path == case.request.path || case.history.path.failures == 0)?;
    Some(format!(
        "{} answers {} with {status} on a fresh connection: only the reused one had ended",
        place(failure),
        asked.path
    ))
}

/// Whatever is asked, the port hangs up: it never took HTTP, or its program ends on every request.
pub(in crate::diagnosis::rules) fn every_request_cut_off(case: &Case) -> Option<String> {
    let (failure, asked) = cut_off_too(case)?;
    never_worked(case).then(|| {
        format!(
            "{} hangs up on {} too, and has never answered since this proxy started: it may not expect plain HTTP",
            place(failure),
            asked.path
        )
    })
}

pub(in crate::diagnosis::rules) fn no_request_survives(case: &Case) -> Option<String> {
    let (failure, asked) = cut_off_too(case)?;
    (!never_worked(case)).then(|| {
        format!(
            "{} hangs up on {} too, though it has answered before: every request ends so",
            place(failure),
            asked.path
        )
    })
}

/// The port closed with the program.
pub(in crate::diagnosis::rules) fn refused_since(case: &Case) -> Option<String> {
    case.failed_with(DIED).filter(|failure| !failure.connection.reused)?;
    // What refused before it took this request has come back meanwhile.
    let mut again = tried_again(case).filter(|_| earlier(case).is_none());
    let again = again.find(|again| again.fault == Some(Fault::ConnectionRefused))?;
    Some(format!(
        "{} took this request, hung up, and refuses connections since: the program ended with it",
        again.address
    ))
}

pub(in crate::diagnosis::rules) fn hangs_without_load(case: &Case) -> Option<String> {
    let (failure, asked) = hangs_too(case)?;
    (!under_load(case)).then(|| {
        format!(
            "{} does not answer {} either within {}, though its port accepts and {} at it: the program hangs",
            place(failure),
            asked.path,
            duration(asked.elapsed),
            in_flight(case)
        )
    })
}

pub(in crate::diagnosis::rules) fn hangs_under_load(case: &Case) -> Option<String> {
    let (failure, asked) = hangs_too(case)?;
    // A program that hangs for good soon has as many requests as one that is too slow, but answers none of them.
    let lately = case.history.server.last_success.is_some_and(|ago| ago <= LATELY);
    (under_load(case) && lately).then(|| {
        let past = &case.history.server;
        let crowd = if past.in_flight < past.hung_at_once {
            format!("{} requests were at it at once within the last minute", past.hung_at_once)
        } else {
            format!("{} at it", in_flight(case))
        };
        format!(
            "{} does not answer {} either within {}, and {crowd}: all of its workers seem to be taken",
            place(failure),
            asked.path,
            duration(asked.elapsed),
        )
    })
}

/// It takes connections, and says nothing to anybody: not to a TLS hello, and not to plain HTTP.
pub(in crate::diagnosis::rules) fn port_is_mute(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::TlsHandshakeTimedOut])?;
    let mut spoken = spoken_to(case, Tongue::Http1).chain(spoken_to(case, Tongue::Silence)).peekable();
    spoken.peek()?;
    spoken.all(|spoke| spoke.heard.is_none() && spoke.end == SpokeEnd::Open).then(|| {
        format!(
            "{} takes connections and says nothing, neither to a TLS hello nor to plain HTTP: its program hangs",
            place(failure)
        )
    })
}

/// A page that costs little, answered late, waited for its turn.
pub(in crate::diagnosis::rules) fn slow_on_every_path(case: &Case) -> Option<String> {
    let failure = case.failed_with(TOO_SLOW)?;
    let usual = case.history.server.answering.map(|pace| pace.usual).unwrap_or_default();
    let (asked, status) = answered(case).filter(|(asked, _)| asked.elapsed >= SLOW.max(usual * 2))?;
    Some(format!(
        "{} needed {} for {} (status {status}): it is slow whatever it is asked",
        place(failure),
        duration(asked.elapsed),
        asked.path
    ))
}

pub(in crate::diagnosis::rules) fn same_path_works_again(case: &Case) -> Option<String> {
    let failure = case.failed_with(TOO_SLOW)?;
    let (asked, status) = answered(case).filter(|(asked, _)| asked.elapsed < QUICK)?;
    (asked.path == case.request.path).then(|| {
        let (there, path, after) = (place(failure), &asked.path, duration(asked.elapsed));
        match earlier(case) {
            None => format!("{there} answers {path} with {status} after {after} now: it was slow for a while only"),
            Some(ago) => format!("{there} answered {path} with {status} after {after}, {ago} ago: it is slow by turns"),
        }
    })
}

/// What fits a packet arrives and what fills several does not.
pub(in crate::diagnosis::rules) fn small_request_passes(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::RequestSendTimedOut, Fault::ResponseTimedOut])?;
    let known = failure.transport.filter(|known| known.unacknowledged > 0 && known.retransmits > 0)?;
    let (asked, status) = answered(case)?;
    Some(format!(
        "a small request ({}) is answered with {status} after {} meanwhile, while of this one {} stayed \
         unacknowledged: it depends on the size of packets (MTU)",
        asked.path,
        duration(asked.elapsed),
        counted(known.unacknowledged as usize, "packet")
    ))
}

/// A request of this proxy's own for another path that was answered well, where the failure was the program's.
fn beside(case: &Case) -> Option<(&Failure, &Asked, u16)> {
    let failure = case.failure();
    let gateway = matches!(failure.fault, Fault::UpstreamBadGateway | Fault::UpstreamGatewayTimeout);
    let at_work = matches!(failure.fault.stage(), Stage::Send | Stage::Response | Stage::Body) || gateway;
    let (asked, status) = answered(case).filter(|(asked, _)| asked.path != case.request.path)?;
    // That a gateway was spoken to on a used connection says nothing of what is behind it.
    (at_work && (gateway || !failure.connection.reused)).then_some((failure, asked, status))
}

fn only_this_path(case: &Case, asked: &Asked, status: u16) -> String {
    format!(
        "{} answers {} with {status} after {}, so that it is this path, {}, that fails",
        place(case.failure()),
        asked.path,
        duration(asked.elapsed),
        case.request.path
    )
}

/// Whether the request was reset as soon as it came, and the program is still there.
fn is_cut_off_at_once(case: &Case) -> bool {
    let gone = tried_again(case).any(|again| again.fault.is_some());
    // To a program on this host nothing is on the way.
    let here = case.failure().address().is_none_or(|address| case.here.owns(address.ip()));
    is_reset_at_once(case.failure()) && !gone && !here
}

/// A request of this proxy's own that ended like the one that failed.
fn cut_off_too(case: &Case) -> Option<(&Failure, &Asked)> {
    let failure = case.failed_with(DIED).filter(|failure| !failure.connection.reused)?;
    let died = |asked: &&Asked| asked.fault.is_some_and(|fault| DIED.contains(&fault));
    let asked = asked(case).find(died).filter(|_| answered(case).is_none())?;
    Some((failure, asked))
}

/// A request of this proxy's own that nobody answered either, on a connection that was accepted at once.
fn hangs_too(case: &Case) -> Option<(&Failure, &Asked)> {
    let failure = case.failed_with(TOO_SLOW)?;
    let hung = |asked: &&Asked| asked.fault == Some(Fault::ResponseTimedOut);
    let asked = asked(case).find(hung).filter(|_| answered(case).is_none())?;
    let accepted = tried_again(case).all(|again| again.fault.is_none());
    accepted.then_some((failure, asked))
}

/// How many requests are there, as the end of a clause.
fn in_flight(case: &Case) -> String {
    match case.history.server.in_flight {
        0 | 1 => "no other request is".to_owned(),
        many if many < MANY => format!("only {many} requests are"),
        many => format!("{many} requests are"),
    }
}

/// What the port was found to speak, where that is not what it was spoken to in.
pub(in crate::diagnosis) fn spoken_there(case: &Case) -> Option<&'static str> {
    let failure = misunderstood(case)?;
    let foreign = || talks(case).filter_map(|spoke| spoke.heard).find(|heard| heard.is_foreign());
    let tls = || heard(case, Tongue::Tls, &[Spoken::TlsHandshake, Spoken::TlsAlert]).filter(|_| !is_tls(failure));
    let h2 = || heard(case, Tongue::Http2, &[Spoken::Http2]);
    let spoken = || tls().or_else(h2).filter(|_| !speaks_http(case)).and_then(|spoke| spoke.heard);
    foreign().or_else(spoken).map(Spoken::name)
}

/// Another path than the one that failed, which was answered well.
pub(in crate::diagnosis) fn working_path(case: &Case) -> Option<&str> {
    beside(case).map(|(_, asked, _)| asked.path.as_str())
}

/// A failure that speaking the wrong protocol explains.
fn misunderstood(case: &Case) -> Option<&Failure> {
    case.failed_with(MISUNDERSTOOD)
}

fn talks(case: &Case) -> impl Iterator<Item = &Spoke> {
    measured(case, |seen| if let Observation::Spoke(spoke) = seen { Some(spoke) } else { None })
}

/// What the port answered when it was spoken to in that way, where it is one of these.
fn heard<'a>(case: &'a Case, tongue: Tongue, wanted: &[Spoken]) -> Option<&'a Spoke> {
    let opened = |spoke: &&Spoke| spoke.end != SpokeEnd::NotOpened;
    spoken_to(case, tongue).filter(opened).find(|spoke| spoke.heard.is_some_and(|heard| wanted.contains(&heard)))
}

/// Whether the port answers plain HTTP/1.1 well. 400 may say that it was spoken to in the wrong way.
fn speaks_http(case: &Case) -> bool {
    let plain = heard(case, Tongue::Http1, &[Spoken::Http1]).and_then(|spoke| spoke.status);
    answered(case).map(|(_, status)| status).or(plain).is_some_and(|status| status != 400)
}

fn is_tls(failure: &Failure) -> bool {
    failure.target.as_ref().is_some_and(|target: &Target| target.tls)
}

const DIED: &[Fault] = &[Fault::ClosedBeforeResponse, Fault::ResetBeforeResponse, Fault::ResetWhileSending];

const MISUNDERSTOOD: &[Fault] = &[
    Fault::ClosedBeforeResponse,
    Fault::ResetBeforeResponse,
    Fault::ResetWhileSending,
    Fault::ResponseTimedOut,
    Fault::ResponseNotHttp,
    Fault::ResponseMalformed,
    Fault::TlsNotSpoken,
    Fault::TlsHandshakeClosed,
    Fault::TlsHandshakeTimedOut,
    Fault::TlsProtocolError,
    Fault::H2ConnectionError,
];

const NO_HANDSHAKE: &[Fault] =
    &[Fault::TlsNotSpoken, Fault::TlsHandshakeClosed, Fault::TlsHandshakeTimedOut, Fault::TlsProtocolError];

const TOO_SLOW: &[Fault] = &[Fault::ResponseTimedOut, Fault::RequestSendTimedOut];

/// What answered within this time may still be answering, if slowly.
const LATELY: Duration = Duration::from_secs(15);

/// What takes so long for a page that costs little has waited for its turn.
const SLOW: Duration = Duration::from_millis(500);
