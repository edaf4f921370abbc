//! Owns the rules over what this proxy decided itself: no server left, no place left, a loop.

use crate::diagnosis::Case;
use crate::diagnosis::detail::capacity;
use crate::diagnosis::detail::detail;
use crate::diagnosis::wording::place;
use crate::fault::Fault;
use crate::fault::Stage;
use crate::fault::own::CheckEvidence;

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

/// The failure that took the servers out of service, where the case still holds it: the pool being empty hides it.
fn first_failure(case: &Case, wanted: fn(Fault) -> bool) -> Option<String> {
    case.failed_with(&[Fault::NoHealthyServer])?;
    let first = case.attempts.iter().find(|failure| failure.fault != Fault::NoHealthyServer)?;
    let told = detail(first);
    wanted(first.fault).then(|| format!("no server is in service since this failure: {}", told.trim_end_matches('.')))
}
