//! Owns the rules over name lookups: what each name server said, and where the name comes from.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::diagnosis::Case;
use crate::diagnosis::wording::duration;
use crate::diagnosis::wording::errno;
use crate::diagnosis::wording::list;
use crate::fault::Fault;
use crate::fault::Stage;
use crate::fault::failure::DnsAnswer;
use crate::fault::failure::DnsEvidence;
use crate::fault::failure::SrvEvidence;

pub(super) fn name_server_said(case: &Case) -> Option<String> {
    let dns = lookup(case)?;
    let answer = dns.answers.iter().find(|answer| answer.rcode.is_some_and(|rcode| rcode != NO_ERROR))?;
    let rcode = answer.rcode?;
    let meaning = RESPONSE_CODES.iter().find(|(code, _)| *code == rcode).map_or("it has no answer", |(_, text)| text);
    Some(format!("{} answered {rcode} for {} after {}: {meaning}", answer.server, dns.name, duration(answer.elapsed)))
}

pub(super) fn name_without_addresses(case: &Case) -> Option<String> {
    let dns = lookup(case)?;
    case.failed_with(&[Fault::DnsNoRecords])?;
    let answer = dns.answers.iter().find(|answer| answer.rcode == Some(NO_ERROR))?;
    let records = if dns.srv.is_some() { "no SRV record" } else { "neither an A nor an AAAA record" };
    Some(format!("{} knows the name {}, but it has {records}", answer.server, dns.name))
}

pub(super) fn service_not_offered(case: &Case) -> Option<String> {
    let dns = lookup(case)?;
    (dns.srv == Some(SrvEvidence::NotOffered)).then(|| {
        format!(
            "the SRV record of {} has '.' as its target, which says that the service is not offered there",
            dns.name
        )
    })
}

pub(super) fn dangling_alias(case: &Case) -> Option<String> {
    let dns = lookup(case)?;
    case.failed_with(&[Fault::DnsNameNotFound, Fault::DnsNoRecords])?;
    let last = dns.aliases.last()?;
    Some(format!("{} is an alias (CNAME) that ends at {last}, and it is that name which leads nowhere", dns.name))
}

/// Extended DNS Errors 6 to 12 are about DNSSEC (RFC 8914, section 4).
pub(super) fn dnssec_failed(case: &Case) -> Option<String> {
    let (server, error) = extended(lookup(case)?, 6..=12)?;
    Some(format!("{server} says that the zone's DNSSEC signatures do not verify: {error}"))
}

/// Extended DNS Errors 15 to 18: blocked, censored, filtered, prohibited (RFC 8914, section 4).
pub(super) fn name_filtered(case: &Case) -> Option<String> {
    let (server, error) = extended(lookup(case)?, 15..=18)?;
    Some(format!("{server} says that it withholds the name on purpose: {error}"))
}

/// Extended DNS Errors 22 and 23: no reachable authority, network error (RFC 8914, section 4).
pub(super) fn zone_servers_silent(case: &Case) -> Option<String> {
    let (server, error) = extended(lookup(case)?, 22..=23)?;
    Some(format!("{server} works, but the zone's own name servers do not answer it: {error}"))
}

/// Resolvers repeat a lost question after 5 s, so that a time close to a multiple of it tells of a lost packet.
pub(super) fn lookup_packet_lost(case: &Case) -> Option<String> {
    let dns = lookup(case)?;
    let lost = |answer: &&DnsAnswer| {
        let over = answer.elapsed.as_millis() % REPEAT.as_millis();
        answer.elapsed + NEAR >= REPEAT && (over <= NEAR.as_millis() || over + NEAR.as_millis() >= REPEAT.as_millis())
    };
    let answer = dns.answers.iter().find(lost)?;
    let took = duration(answer.elapsed);
    Some(format!(
        "{} took {took}, close to a multiple of 5 s: a packet of the lookup was lost and repeated",
        answer.server
    ))
}

pub(super) fn name_servers_disagree(case: &Case) -> Option<String> {
    let dns = lookup(case)?;
    let mut said = dns.answers.iter().filter_map(|answer| Some((answer.server, answer.rcode?)));
    let (one, rcode) = said.next()?;
    let (other, different) = said.find(|(_, other)| *other != rcode)?;
    Some(format!("the name servers disagree about {}: {one} says {rcode}, {other} says {different}", dns.name))
}

pub(super) fn bare_name(case: &Case) -> Option<String> {
    let dns = lookup(case)?;
    case.failed_with(&[Fault::DnsNameNotFound, Fault::DnsNoRecords])?;
    (!dns.name.contains('.')).then(|| {
        format!("{} is a name without a dot, which only a search domain or a container network makes whole", dns.name)
    })
}

/// The name server inside a container network knows the containers of that network and of no other.
pub(super) fn container_name_unknown(case: &Case) -> Option<String> {
    let dns = lookup(case)?;
    let answer = dns.answers.iter().find(|answer| answer.rcode.is_some())?;
    let embedded = answer.server.ip() == IpAddr::V4(CONTAINER_NAME_SERVER);
    let in_container = embedded || case.here.in_container;
    (in_container && !dns.name.contains('.')).then(|| {
        format!(
            "{} is no container on a network that this proxy is on, or it is not running ({})",
            dns.name, answer.server
        )
    })
}

pub(super) fn private_name_asked_in_public(case: &Case) -> Option<String> {
    let dns = lookup(case)?;
    let suffix = PRIVATE_SUFFIXES.iter().find(|suffix| dns.name.ends_with(**suffix))?;
    let answer = dns.answers.iter().find(|answer| answer.rcode.is_some() && is_public(answer.server.ip()))?;
    Some(format!("{} is a public name server, which cannot know names under {suffix}", answer.server))
}

pub(super) fn name_server_not_listening(case: &Case) -> Option<String> {
    let refused =
        |answer: &&DnsAnswer| answer.os_error == Some(libc::ECONNREFUSED) && !answer.server.ip().is_loopback();
    let answer = lookup(case)?.answers.iter().find(refused)?;
    Some(format!("{} turned the question away: its host is up, but no name server listens there", answer.server))
}

pub(super) fn own_name_server_not_listening(case: &Case) -> Option<String> {
    let refused = |answer: &&DnsAnswer| answer.os_error == Some(libc::ECONNREFUSED) && answer.server.ip().is_loopback();
    let answer = lookup(case)?.answers.iter().find(refused)?;
    let where_it_is = if case.here.in_container { "this container itself, not its host" } else { "this host itself" };
    Some(format!("the name server {} is {where_it_is}, and nothing listens there", answer.server))
}

pub(super) fn name_server_unroutable(case: &Case) -> Option<String> {
    let dns = lookup(case)?;
    let unroutable = [libc::ENETUNREACH, libc::EHOSTUNREACH];
    let (answer, number) = dns
        .answers
        .iter()
        .find_map(|answer| Some((answer, answer.os_error.filter(|number| unroutable.contains(number))?)))?;
    Some(format!("there is no way from here to the name server {}: {}", answer.server, errno(number)))
}

pub(super) fn name_servers_silent(case: &Case) -> Option<String> {
    let dns = lookup(case)?;
    let silent = dns.answers.iter().all(|answer| answer.rcode.is_none() && answer.os_error.is_none());
    let servers: Vec<String> = dns.answers.iter().map(|answer| answer.server.to_string()).collect();
    (silent && !servers.is_empty())
        .then(|| format!("nothing at all came back from {}: neither an answer nor a refusal", list(&servers)))
}

/// What the name servers said, where it is the lookup that failed.
fn lookup(case: &Case) -> Option<&DnsEvidence> {
    let failure = case.failure();
    failure.dns.as_ref().filter(|_| failure.fault.stage() == Stage::Resolve)
}

/// The first extended error in a range of codes, with the server that said it.
fn extended(dns: &DnsEvidence, codes: std::ops::RangeInclusive<u16>) -> Option<(String, String)> {
    dns.answers.iter().find_map(|answer| {
        let (code, text) = answer.extended.iter().find(|(code, _)| codes.contains(code))?;
        let name = EXTENDED_ERRORS.iter().find(|(known, _)| known == code).map_or("unnamed", |(_, name)| name);
        let text = if text.is_empty() { String::new() } else { format!(", {text}") };
        Some((answer.server.to_string(), format!("extended error {code} ({name}{text})")))
    })
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !(v4.is_private() || v4.is_loopback() || v4.is_link_local()),
        IpAddr::V6(v6) => !(v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local()),
    }
}

/// How long a resolver waits by default before it repeats a question.
const REPEAT: Duration = Duration::from_secs(5);

/// How far a time may be from a multiple of that.
const NEAR: Duration = Duration::from_millis(150);

/// The name server that Docker puts into every container.
const CONTAINER_NAME_SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

const NO_ERROR: &str = "NOERROR";

/// What response codes mean for the one who asked (RFC 1035, section 4.1.1).
const RESPONSE_CODES: &[(&str, &str)] = &[
    ("NXDOMAIN", "the name does not exist"),
    ("SERVFAIL", "it tried and could not get an answer (server failure)"),
    ("REFUSED", "it will not answer this host for this name"),
    ("NOTIMP", "it does not answer such questions"),
    ("FORMERR", "it did not understand the question"),
];

/// Names that the public name system does not have.
const PRIVATE_SUFFIXES: &[&str] =
    &[".internal", ".local", ".lan", ".intranet", ".home.arpa", ".corp", ".svc", ".test", ".localdomain"];

/// Names of the extended errors that rules look for (RFC 8914, section 4).
const EXTENDED_ERRORS: &[(u16, &str)] = &[
    (6, "DNSSEC bogus"),
    (7, "signature expired"),
    (8, "signature not yet valid"),
    (9, "DNSKEY missing"),
    (10, "RRSIGs missing"),
    (11, "no zone key bit set"),
    (12, "NSEC missing"),
    (15, "blocked"),
    (16, "censored"),
    (17, "filtered"),
    (18, "prohibited"),
    (22, "no reachable authority"),
    (23, "network error"),
];
