//! Owns the rules over names that were looked up again: what each name server says now, and where the server was before.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::earlier;
use super::last_worked;
use super::measured;
use super::name_servers;
use super::never_worked;
use super::tried_again;
use crate::diagnosis::Case;
use crate::diagnosis::observation::Connected;
use crate::diagnosis::observation::NameServer;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::wording::duration;
use crate::diagnosis::wording::errno;
use crate::diagnosis::wording::host;
use crate::diagnosis::wording::list;
use crate::diagnosis::wording::place;
use crate::fault::Fault;
use crate::fault::Stage;
use crate::fault::failure::Target;

/// The very same question is answered well now.
pub(in crate::diagnosis::rules) fn name_resolves_now(case: &Case) -> Option<String> {
    unresolved(case)?;
    let well = |server: &&NameServer| !server.addresses.is_empty();
    let server = name_servers(case).last().filter(well)?;
    let failed = case.failure().dns.as_ref().is_none_or(|dns| !dns.answers.is_empty());
    (failed && name_servers(case).all(|server| well(&server))).then(|| {
        let (name, led, who) = (asked(case), addresses(&server.addresses), server.server);
        let after = duration(server.elapsed);
        match earlier(case) {
            None => {
                format!("{name} leads to {led} again, as {who} says after {after}: the lookup failed for a short while")
            }
            Some(ago) => {
                format!("{name} led to {led} {ago} ago, as {who} said after {after}: the lookup fails by turns")
            }
        }
    })
}

/// Name servers that know the name beside some that do not hold different copies of the zone, or one of them is broken.
pub(in crate::diagnosis::rules) fn only_some_name_servers_know(case: &Case) -> Option<String> {
    let knows = |server: &NameServer| !server.addresses.is_empty();
    let some = name_servers(case).any(knows) && !name_servers(case).all(knows);
    let said: Vec<String> = name_servers(case).map(said).collect();
    (resolves_or_connects(case) && some)
        .then(|| format!("the name servers differ about {}: {}", asked(case), list(&said)))
}

pub(in crate::diagnosis::rules) fn name_servers_give_other_addresses(case: &Case) -> Option<String> {
    let sets: BTreeSet<BTreeSet<IpAddr>> = name_servers(case)
        .filter(|server| !server.addresses.is_empty())
        .map(|server| server.addresses.iter().copied().collect())
        .collect();
    let said: Vec<String> = name_servers(case).map(said).collect();
    // Pools that answer with a part of their addresses share some of them, or each part has worked before.
    let mut pairs =
        sets.iter().enumerate().flat_map(|(at, one)| sets.iter().skip(at + 1).map(move |other| (one, other)));
    let is_pool = sets.iter().flatten().all(|address| has_worked(case, *address));
    let differ = !is_pool && pairs.any(|(one, other)| one.is_disjoint(other));
    (case.failure().fault.stage() == Stage::Connect && differ)
        .then(|| format!("the name servers give different addresses for {}: {}", asked(case), list(&said)))
}

pub(in crate::diagnosis::rules) fn every_name_server_says_so(case: &Case) -> Option<String> {
    unresolved(case)?;
    let said: Vec<String> = name_servers(case).map(said).collect();
    let without = name_servers(case).all(|server| server.addresses.is_empty());
    (without && !said.is_empty()).then(|| format!("asked again about {}, {}", asked(case), list(&said)))
}

/// With a final dot no search domain is tried (RFC 1535), so that the name itself is right.
pub(in crate::diagnosis::rules) fn absolute_name_works(case: &Case) -> Option<String> {
    unresolved(case)?;
    let led = measured(case, |seen| if let Observation::AbsoluteName(led) = seen { Some(led) } else { None })
        .last()?
        .as_ref()
        .ok()?;
    (!led.is_empty()).then(|| {
        format!(
            "with a final dot ('{}.') the name leads to {}: a search domain (search, ndots) stands in its way",
            asked(case),
            addresses(led)
        )
    })
}

pub(in crate::diagnosis::rules) fn alias_ends_nowhere(case: &Case) -> Option<String> {
    unresolved(case)?;
    let server = name_servers(case).find(|server| server.addresses.is_empty() && !server.aliases.is_empty())?;
    Some(format!(
        "{} follows {} by CNAME to {} and finds no address there",
        server.server,
        asked(case),
        list(&server.aliases)
    ))
}

/// The hosts file goes before every name server, and nobody thinks of it.
pub(in crate::diagnosis::rules) fn hosts_file_differs(case: &Case) -> Option<String> {
    connects(case)?;
    let known = hosts_file(case)?;
    let served = served(case);
    (!known.is_empty() && !served.is_empty() && known.iter().all(|own| !served.contains(own))).then(|| {
        let served: Vec<IpAddr> = served.iter().copied().collect();
        format!(
            "the hosts file leads {} to {}, while the name servers say {}: the line in the hosts file is old",
            asked(case),
            addresses(known),
            addresses(&served)
        )
    })
}

/// An address that no name server gives any more was remembered, or looked up once and kept.
pub(in crate::diagnosis::rules) fn address_out_of_date(case: &Case) -> Option<String> {
    let failure = connects(case)?;
    let (failed, served) = (failure.address()?, served(case));
    let tried = failure.addresses.iter().map(|tried| tried.address.ip()).chain([failed.ip()]);
    let none_left = tried.into_iter().all(|tried| !served.contains(&tried));
    // A name that leads to its servers by turns has led to this one and to those, and one of them is down.
    let by_turns = has_worked(case, failed.ip()) && served.iter().any(|address| has_worked(case, *address));
    let none_left = none_left && !by_turns;
    (!served.is_empty() && hosts_file(case).is_none() && none_left).then(|| {
        let served: Vec<IpAddr> = served.into_iter().collect();
        format!(
            "{} leads to {} now, no longer to {}: the address that was tried is out of date",
            asked(case),
            addresses(&served),
            failed.ip()
        )
    })
}

pub(in crate::diagnosis::rules) fn current_address_answers(case: &Case) -> Option<String> {
    address_out_of_date(case)?;
    let served = served(case);
    let works = |to: &&Connected| to.fault.is_none() && served.contains(&to.address.ip());
    let answers =
        measured(case, |seen| if let Observation::Connected(connected) = seen { Some(connected) } else { None })
            .find(works)?;
    Some(format!("{}, where the name leads now, accepts connections", answers.address))
}

/// The name was moved away from a server that is well. What has worked itself is no wrong address: it has gone down.
pub(in crate::diagnosis::rules) fn former_address_answers(case: &Case) -> Option<String> {
    connects(case)?.address().filter(|failed| !has_worked(case, failed.ip()))?;
    let former = former(case).filter(|former| former.fault.is_none())?;
    let when = last_worked(case).map(|ago| format!(", {ago} ago,")).unwrap_or_default();
    Some(format!(
        "{}, where {} led when it last worked{when} still accepts connections, while {} does not: the record was \
         changed to a wrong address",
        former.address,
        asked(case),
        place(case.failure())
    ))
}

/// The same speaks against a server that is off.
pub(in crate::diagnosis::rules) fn server_alive_elsewhere(case: &Case) -> Option<String> {
    former_address_answers(case)?;
    Some(format!("the server itself is not down: it answers at {}", former(case)?.address))
}

pub(in crate::diagnosis::rules) fn former_address_dead_too(case: &Case) -> Option<String> {
    connects(case)?;
    let former = former(case)?;
    let fault = former.fault?;
    Some(format!("{}, where the name led before, does not answer either ({fault})", former.address))
}

/// Where the name led while all was well is known, and this is not it.
pub(in crate::diagnosis::rules) fn address_never_worked(case: &Case) -> Option<String> {
    let failure = connects(case)?;
    let (failed, known) = (failure.address()?.ip(), &case.history.server.addresses);
    let (before, ago) = known.first().filter(|_| !never_worked(case))?;
    known.iter().all(|(address, _)| *address != failed).then(|| {
        format!(
            "nothing was ever connected to at {failed}, so that nothing has gone down there: {} worked at {before}, {} ago",
            asked(case),
            duration(*ago)
        )
    })
}

/// Whether the server was connected to at that address before.
fn has_worked(case: &Case, address: IpAddr) -> bool {
    case.history.server.addresses.iter().any(|(known, _)| *known == address)
}

fn unresolved(case: &Case) -> Option<()> {
    (case.failure().fault.stage() == Stage::Resolve).then_some(())
}

/// The failure to connect to an address that a name led to.
fn connects(case: &Case) -> Option<&crate::fault::Failure> {
    let failure = case.failed_with(UNCONNECTED)?;
    let named = failure.target.as_ref().is_some_and(Target::is_named);
    let again = tried_again(case).last().is_some_and(|again| again.fault.is_none());
    (named && !again).then_some(failure)
}

fn resolves_or_connects(case: &Case) -> bool {
    unresolved(case).is_some() || connects(case).is_some()
}

/// The name that was looked up.
fn asked(case: &Case) -> String {
    let failure = case.failure();
    failure.dns.as_ref().map_or_else(|| host(failure), |dns| dns.name.clone())
}

/// Every address that some name server gives now.
pub(in crate::diagnosis) fn served(case: &Case) -> BTreeSet<IpAddr> {
    name_servers(case).flat_map(|server| server.addresses.iter().copied()).collect()
}

fn hosts_file(case: &Case) -> Option<&[IpAddr]> {
    measured(case, |seen| if let Observation::HostsFile(addresses) = seen { Some(addresses.as_slice()) } else { None })
        .last()
        .filter(|addresses| !addresses.is_empty())
}

/// The address that the name led to when it last worked, tried again.
pub(in crate::diagnosis) fn former(case: &Case) -> Option<&Connected> {
    measured(case, |seen| if let Observation::FormerAddress(former) = seen { Some(former) } else { None }).last()
}

/// What a name server says, in words: `10.0.0.53:53 says NXDOMAIN after 1 ms`.
fn said(server: &NameServer) -> String {
    let rcode = server.rcode.unwrap_or("nothing");
    let led = (!server.addresses.is_empty()).then(|| format!(" ({})", addresses(&server.addresses)));
    let extended = server.extended.iter().map(|(code, text)| format!(", extended error {code} {text}"));
    let extra: String = extended.map(|text| text.trim_end().to_owned()).collect();
    let number = server.os_error.map(|number| format!(", {}", errno(number))).unwrap_or_default();
    let (who, after) = (server.server, duration(server.elapsed));
    format!("{who} says {rcode}{} after {after}{extra}{number}", led.unwrap_or_default())
}

fn addresses(all: &[IpAddr]) -> String {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    list(&all)
}

const UNCONNECTED: &[Fault] =
    &[Fault::ConnectionRefused, Fault::ConnectionTimedOut, Fault::HostUnreachable, Fault::NetworkUnreachable];
