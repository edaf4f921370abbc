//! Owns the rules over gateways: what this proxy decided itself (no server left, no place left, a loop), and what the
//! gateway behind it said in the origin's place.

use std::time::Duration;

use super::history::held;
use super::probe;
use crate::diagnosis::Case;
use crate::diagnosis::detail::answering;
use crate::diagnosis::detail::capacity;
use crate::diagnosis::detail::detail;
use crate::diagnosis::wording::counted;
use crate::diagnosis::wording::duration;
use crate::diagnosis::wording::place;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Stage;
use crate::fault::failure::CheckEvidence;
use crate::fault::failure::ResponseEvidence;
use crate::fault::gateway::Gateway;
use crate::fault::gateway::Inner;

pub(super) fn first_failure_refused(case: &Case) -> Option<String> {
    first_failure(case, |fault| {
        matches!(fault, Fault::ConnectionRefused | Fault::HostUnreachable | Fault::SocketMissing)
    })
}

pub(super) fn first_failure_silent(case: &Case) -> Option<String> {
    first_failure(case, |fault| fault == Fault::ConnectionTimedOut)
}

pub(super) fn first_failure_lookup(case: &Case) -> Option<String> {
    first_failure(case, |fault| fault.stage() == Stage::Resolve)
}

pub(super) fn first_failure_tls(case: &Case) -> Option<String> {
    first_failure(case, |fault| fault.stage() == Stage::Tls)
}

pub(super) fn first_failure_broken(case: &Case) -> Option<String> {
    first_failure(case, |fault| matches!(fault.stage(), Stage::Send | Stage::Response | Stage::Body))
}

pub(super) fn check_answered(case: &Case) -> Option<String> {
    let CheckEvidence { server, status, .. } = check(case)?;
    Some(format!("{server} answered its health check with {status}, so that something runs there"))
}

pub(super) fn check_refused(case: &Case) -> Option<String> {
    let CheckEvidence { server, path, status } = check(case).filter(|check| (400..500).contains(&check.status))?;
    Some(format!(
        "the health check asks {server} for {path} and gets {status}, which says more of the question than of the server: \
         the path, the Host or a login that is missing"
    ))
}

pub(super) fn check_failed(case: &Case) -> Option<String> {
    let CheckEvidence { server, path, status } = check(case).filter(|check| check.status >= 500)?;
    Some(format!("{server} says of itself that it is not well: its health check at {path} is answered {status}"))
}

/// What a health check was answered that took a server out, where that is why none is left.
fn check(case: &Case) -> Option<&CheckEvidence> {
    case.failed_with(&[Fault::NoHealthyServer])?.check.as_ref()
}

pub(super) fn limit_reached(case: &Case) -> Option<String> {
    let failure = case.failed_with(&[Fault::ServerAtCapacity])?;
    let (there, upstream) = (place(failure), &case.settings.upstream);
    let full = failure.capacity.map(|known| format!(": {}", capacity(known))).unwrap_or_default();
    Some(format!("{there} has as much as the limits of the upstream {upstream} allow{full}"))
}

pub(super) fn leads_to_itself(case: &Case) -> Option<String> {
    case.failed_with(&[Fault::ProxyLoop])?;
    let (host, upstream) = (&case.request.host, &case.settings.upstream);
    Some(format!(
        "the request for {host} carries this proxy's own Via, so the upstream {upstream} leads back \
         to this proxy itself: a loop"
    ))
}

pub(super) fn next_hop_refused(case: &Case) -> Option<String> {
    inner(case, &[Inner::Refused, Inner::Unreachable])
}

pub(super) fn next_hop_without_server(case: &Case) -> Option<String> {
    inner(case, &[Inner::NoServer])
}

pub(super) fn next_hop_silent(case: &Case) -> Option<String> {
    inner(case, &[Inner::ConnectTimedOut])
}

pub(super) fn next_hop_name_lost(case: &Case) -> Option<String> {
    inner(case, &[Inner::Dns])
}

pub(super) fn next_hop_tls(case: &Case) -> Option<String> {
    inner(case, &[Inner::Tls])
}

pub(super) fn next_hop_slow(case: &Case) -> Option<String> {
    inner(case, &[Inner::TimedOut])
}

/// Where a gateway has one answer for all that it meets, silence behind it is told of as 502 or 503, too.
pub(super) fn next_hop_slow_all_the_same(case: &Case) -> Option<String> {
    let (failure, response) =
        intercepted(case).filter(|(failure, _)| failure.fault != Fault::UpstreamGatewayTimeout)?;
    (response.inner == Some(Inner::TimedOut)).then(|| {
        format!(
            "{} means by {} what others say with 504: a program that answers too late",
            answering(failure),
            response.status
        )
    })
}

/// What took a request was there.
pub(super) fn next_hop_took_request(case: &Case) -> Option<String> {
    let (failure, response) =
        intercepted(case).filter(|(failure, _)| failure.fault != Fault::UpstreamGatewayTimeout)?;
    let took =
        [Inner::TimedOut, Inner::Cut, Inner::Broken, Inner::Database].iter().any(|one| response.inner == Some(*one));
    took.then(|| format!("what is behind {} took the request, and so was there", place(failure)))
}

pub(super) fn says_database_gone(case: &Case) -> Option<String> {
    inner(case, &[Inner::Database])
}

pub(super) fn next_hop_broken(case: &Case) -> Option<String> {
    inner(case, &[Inner::Cut, Inner::Broken])
}

pub(super) fn next_gateway_faulty(case: &Case) -> Option<String> {
    inner(case, &[Inner::Itself])
}

pub(super) fn says_busy(case: &Case) -> Option<String> {
    inner(case, &[Inner::Overload])
}

/// nginx has no 503 of its own but for `limit_req`, `limit_conn` and a `return 503` that somebody wrote.
pub(super) fn turns_away(case: &Case) -> Option<String> {
    inner(case, &[Inner::TurnedAway])
}

/// A gateway that is refused by a program which has stopped holds no requests; one whose program has no free place holds many.
pub(super) fn gateway_holds_others(case: &Case) -> Option<String> {
    let (failure, response) = intercepted(case)?;
    let gave_up =
        failure.fault != Fault::UpstreamGatewayTimeout && matches!(response.inner, None | Some(Inner::NoServer));
    let (now, usual) = held(&case.history.server).filter(|_| gave_up)?;
    Some(format!(
        "{} answered {} after {} while {} are held there, at most {usual} as a rule: what is behind it is alive, and its queue \
             seems to be full",
        answering(failure),
        response.status,
        duration(failure.waited()),
        counted(now.saturating_sub(1) as usize, "other request")
    ))
}

/// What holds requests has not ended.
pub(super) fn gateway_holds_others_still(case: &Case) -> Option<String> {
    gateway_holds_others(case)?;
    Some(format!("what is behind {} holds requests, and so has not ended", place(case.failure())))
}

pub(super) fn says_maintenance(case: &Case) -> Option<String> {
    inner(case, &[Inner::Maintenance])
}

/// Who sheds load says so without thinking, and when to come back. So does maintenance, which says that too.
pub(super) fn shed_with_retry_after(case: &Case) -> Option<String> {
    let (failure, response) = intercepted(case)?;
    let seconds = asked_to_wait(response).filter(|_| failure.fault == Fault::UpstreamUnavailable)?;
    let at_once = failure.waited() < PROMPT && response.inner != Some(Inner::Maintenance);
    at_once.then(|| {
        format!(
            "{} answered 503 after {} with a Retry-After of {}, as a server does that sheds load",
            answering(failure),
            duration(failure.waited()),
            duration(Duration::from_secs(seconds))
        )
    })
}

/// A gateway that needs no time to say it was refused itself, or did not even try.
pub(super) fn gateway_gave_up_at_once(case: &Case) -> Option<String> {
    let (failure, response) = intercepted(case)?;
    let gateway = response.gateway.filter(|gateway| !gateway.is_application_server())?;
    let unsaid = response.inner.is_none() && asked_to_wait(response).is_none();
    let at_once = failure.fault != Fault::UpstreamGatewayTimeout && failure.waited() < PROMPT;
    // What is behind it is there where it answers something else.
    let gone = unsaid && at_once && !probe::talk::other_path_works_too(case);
    let name = gateway.name();
    gone.then(|| {
        format!(
            "{} needed only {} to say {}: what is behind {name} refused it, hung up at once, or answered what {name} does not \
             take, such as a head too large for its buffers",
            answering(failure),
            duration(failure.waited()),
            response.status
        )
    })
}

/// Behind a gateway that waited first, something took the request and ended, or was ended, over it.
pub(super) fn gateway_waited_first(case: &Case) -> Option<String> {
    let (failure, response) = intercepted(case)?;
    let waited = failure.fault == Fault::UpstreamBadGateway && failure.waited() >= LATE && response.inner.is_none();
    waited.then(|| {
        format!(
            "{} said 502 only after {}: what is behind it took the request, and then ended or was ended over it",
            answering(failure),
            duration(failure.waited())
        )
    })
}

pub(super) fn one_path_behind_gateway(case: &Case) -> Option<String> {
    let (failure, _) = intercepted(case)?;
    let past = case.history.path;
    // Other paths say nothing of this one where it was other servers that answered them.
    let last_success = case.history.server.last_success;
    let answers = case.history.others.is_empty() || last_success.is_some_and(|ago| ago <= MOMENT);
    // What is refused at once on one path alone is another program's place, not this one's slow work.
    (answers && failure.waited() >= LATE && past.others_working > 0 && past.others_failing == 0).then(|| {
        let others = counted(usize::try_from(past.others_working).unwrap_or(usize::MAX), "other path");
        format!("only {} fails behind {}, while {others} work", case.request.path, place(failure))
    })
}

/// The server itself is the program that failed.
pub(super) fn application_server_said(case: &Case) -> Option<String> {
    let (failure, response) = intercepted(case)?;
    let serves = response.gateway.is_some_and(Gateway::is_application_server) && response.inner.is_none();
    serves.then(|| {
        format!(
            "{} runs the application itself and answered {}: the application is not deployed, not ready or failing",
            answering(failure),
            response.status
        )
    })
}

/// The answer that the upstream made itself, where that is the failure.
fn intercepted(case: &Case) -> Option<(&Failure, &ResponseEvidence)> {
    let failure = Some(case.failure()).filter(|failure| failure.fault.stage() == Stage::Upstream)?;
    Some((failure, failure.response.as_ref()?))
}

/// The seconds of a `Retry-After` that means something.
fn asked_to_wait(response: &ResponseEvidence) -> Option<u64> {
    response.retry_after.filter(|_| !response.gateway.is_some_and(Gateway::always_asks_to_wait))
}

/// What the gateway says of the next hop, if it is one of these.
fn inner(case: &Case, wanted: &[Inner]) -> Option<String> {
    let (failure, response) = intercepted(case)?;
    let inner = response.inner.filter(|inner| wanted.contains(inner))?;
    let said = response.said.as_ref().map(|said| format!(" ('{said}')")).unwrap_or_default();
    let status = response.status;
    Some(format!("{} answered {status}, which says that {}{said}", answering(failure), inner.words()))
}

/// The failure that took the servers out of service, where the case still holds it: the pool being empty hides it.
fn first_failure(case: &Case, wanted: fn(Fault) -> bool) -> Option<String> {
    case.failed_with(&[Fault::NoHealthyServer])?;
    let first = case.attempts.iter().find(|failure| failure.fault != Fault::NoHealthyServer)?;
    let told = detail(first);
    wanted(first.fault).then(|| format!("no server is in service since this failure: {}", told.trim_end_matches('.')))
}

/// What takes no longer than this was not waited for.
const PROMPT: Duration = Duration::from_millis(500);

/// What takes so long was being worked on.
const LATE: Duration = Duration::from_millis(900);

/// How long ago an answer may be that says something of now.
const MOMENT: Duration = Duration::from_secs(30);
