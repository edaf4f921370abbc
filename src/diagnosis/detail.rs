//! Owns the operator's sentence: what was observed, with everything that was measured, and no opinion.

use std::time::Duration;

use super::Evidence;
use super::wording::bytes;
use super::wording::date;
use super::wording::duration;
use super::wording::errno;
use super::wording::host;
use super::wording::list;
use super::wording::ordinal;
use super::wording::place;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Spoken;
use crate::fault::Stage;
use crate::fault::classify::h2::code_name;
use crate::fault::failure::CapacityEvidence;
use crate::fault::failure::CheckEvidence;
use crate::fault::failure::H2Evidence;
use crate::fault::failure::Limited;
use crate::fault::failure::Malformed;
use crate::fault::failure::SrvEvidence;

/// What was observed, in one sentence with peer, time, limit, error number, alert, response code, bytes and reuse.
#[must_use]
pub fn detail(failure: &Failure) -> String {
    let observed = format!("{}{}", observed(failure), when(failure));
    let further = [
        os_error(failure),
        name_servers(failure),
        alert(failure),
        failure.h2.as_ref().and_then(http2),
        without_alpn(failure),
        certificate(failure),
        failure.malformed.as_ref().map(malformed),
        spoken(failure),
        addresses(failure),
        reuse(failure),
        traffic(failure),
        transport(failure),
        gateway(failure),
        failure.capacity.map(capacity),
        check(failure),
    ];
    let clauses: Vec<String> = std::iter::once(observed).chain(further.into_iter().flatten()).collect();
    format!("{}.", clauses.join("; "))
}

/// The same with what a check has found for the likeliest cause, where it found something telling.
#[must_use]
pub(super) fn with_finding(failure: &Failure, finding: Option<&Evidence>) -> String {
    let observed = detail(failure);
    let Some(finding) = finding else { return observed };
    format!("{}; checks since then: {}.", observed.trim_end_matches('.'), finding.says)
}

/// The fault as a sentence about this server.
fn observed(failure: &Failure) -> String {
    let there = place(failure);
    match failure.fault {
        Fault::DnsNameNotFound => format!("The name {} does not exist", asked(failure)),
        Fault::DnsNoRecords => match failure.dns.as_ref().and_then(|dns| dns.srv) {
            None => format!("The name {} has no address", asked(failure)),
            Some(SrvEvidence::Asked) => format!("The service {} has no SRV records", asked(failure)),
            Some(SrvEvidence::NotOffered) => {
                format!("The service {} is not there, as its SRV record says", asked(failure))
            }
        },
        Fault::DnsServerFailure => format!("The name server could not answer for {}", asked(failure)),
        Fault::DnsRefused => format!("The name server refused to answer for {}", asked(failure)),
        Fault::DnsResolverUnreachable => format!("No name server could be reached to look up {}", asked(failure)),
        Fault::DnsTimeout => format!("No name server answered for {}", asked(failure)),
        Fault::ConnectionRefused => format!("{there} refused the connection"),
        Fault::ConnectionTimedOut => format!("{there} did not accept the connection"),
        Fault::HostUnreachable => format!("The host of {there} cannot be reached"),
        Fault::NetworkUnreachable => format!("There is no route to the network of {there}"),
        Fault::ConnectionProhibited => format!("This host does not permit a connection to {there}"),
        Fault::LocalPortsExhausted => format!("This host has no local port left for a connection to {there}"),
        Fault::FileDescriptorsExhausted => {
            format!("This proxy has no file descriptor left for a connection to {there}")
        }
        Fault::SocketMissing => format!("There is no socket at {there}"),
        Fault::SocketPermissionDenied => format!("This proxy may not use the socket {there}"),
        Fault::SocketBacklogFull => format!("The queue of the socket {there} is full"),
        Fault::TlsCertificateExpired => format!("The certificate of {there} has expired"),
        Fault::TlsCertificateNotYetValid => format!("The certificate of {there} is not valid yet"),
        Fault::TlsCertificateWrongName => format!("The certificate of {there} is for another name"),
        Fault::TlsCertificateUntrusted => format!("The certificate of {there} is not trusted"),
        Fault::TlsAlert => format!("{there} refused the TLS handshake"),
        Fault::TlsNotSpoken => format!("{there} does not speak TLS"),
        Fault::TlsHandshakeClosed => format!("{there} closed the connection during the TLS handshake"),
        Fault::TlsHandshakeTimedOut => format!("{there} did not finish the TLS handshake"),
        Fault::TlsProtocolError => format!("The TLS handshake with {there} failed"),
        Fault::RequestSendTimedOut => format!("{there} took no more of the request"),
        Fault::ResetWhileSending => format!("{there} cut the connection while the request was sent"),
        Fault::ResponseTimedOut => format!("{there} did not answer"),
        Fault::ClosedBeforeResponse => format!("{there} closed the connection without an answer"),
        Fault::ResetBeforeResponse => format!("{there} reset the connection without an answer"),
        Fault::ResponseNotHttp => format!("{there} answered with something that is not HTTP"),
        Fault::ResponseMalformed => format!("{there} sent an answer that is not valid HTTP"),
        Fault::ResponseHeaderTooLarge => format!("{there} sent a head that is too large"),
        Fault::H2StreamRefused => format!("{there} refused the HTTP/2 stream"),
        Fault::H2StreamReset => format!("{there} reset the HTTP/2 stream"),
        Fault::H2ConnectionError => format!("The HTTP/2 connection to {there} failed"),
        Fault::UpgradeFailed => format!("{there} switched to a protocol that was not asked for"),
        Fault::ResponseTruncated => format!("{there} ended its answer before it was complete"),
        Fault::ResponseBodyTimedOut => format!("{there} sent nothing more of its answer"),
        Fault::ResponseChunkingInvalid => format!("{there} sent a chunk that is not valid"),
        Fault::NoHealthyServer => "No server of the upstream is in service".to_owned(),
        Fault::ServerAtCapacity if failure.limit.is_some() => format!("No place at {there} came free"),
        Fault::ServerAtCapacity => format!("{there} has all that the limits set for it allow"),
        Fault::ProxyLoop => "The request came back to this proxy".to_owned(),
        Fault::UpstreamBadGateway => format!("{} answered 502 itself", answering(failure)),
        Fault::UpstreamUnavailable => format!("{} answered 503 itself", answering(failure)),
        Fault::UpstreamGatewayTimeout => format!("{} answered 504 itself", answering(failure)),
    }
}

/// Who answered, and where: `nginx at 10.0.0.5:80`.
pub(super) fn answering(failure: &Failure) -> String {
    let gateway = failure.response.as_ref().and_then(|response| response.gateway);
    gateway.map_or_else(|| place(failure), |gateway| format!("{} at {}", gateway.name(), place(failure)))
}

/// What an intercepted answer says of itself and of the hops behind it.
fn gateway(failure: &Failure) -> Option<String> {
    let response = failure.response.as_ref().filter(|_| failure.fault.stage() == Stage::Upstream)?;
    let passed = response.hops.iter().map(|hop| {
        let error = hop.error.as_ref().map(|error| format!(" with {error}")).unwrap_or_default();
        let next_hop = hop.next_hop.as_ref().map(|next_hop| format!(" at {next_hop}")).unwrap_or_default();
        format!("{}{error}{next_hop}", hop.name)
    });
    let passed: Vec<String> = passed.collect();
    let clauses = [
        response.said.as_ref().map(|said| format!("it says '{said}'")),
        response.server.as_ref().map(|server| format!("its Server is {server}")),
        response.via.as_ref().map(|via| format!("its Via is {via}")),
        (!passed.is_empty()).then(|| format!("its Proxy-Status names {}", list(&passed))),
        response.retry_after.map(|seconds| format!("its Retry-After is {}", duration(Duration::from_secs(seconds)))),
    ];
    let clauses: Vec<String> = clauses.into_iter().flatten().collect();
    (!clauses.is_empty()).then(|| clauses.join("; "))
}

/// The name that was looked up.
fn asked(failure: &Failure) -> String {
    failure.dns.as_ref().map_or_else(|| host(failure), |dns| dns.name.clone())
}

/// The limit that ran out, or else how long it took, where what was observed is an event.
fn when(failure: &Failure) -> String {
    match failure.limit {
        Some(limit) => format!(" within the limit of {}", duration(limit)),
        None if is_state(failure.fault) || failure.waited().is_zero() => String::new(),
        None => format!(" after {}", duration(failure.waited())),
    }
}

/// The error number, and how long it took to find a state.
fn os_error(failure: &Failure) -> Option<String> {
    let state = is_state(failure.fault) && failure.limit.is_none() && !failure.waited().is_zero();
    let waited = state.then(|| duration(failure.waited()));
    match (failure.os_error, waited) {
        (Some(number), Some(waited)) => Some(format!("{} after {waited}", errno(number))),
        (Some(number), None) => Some(errno(number)),
        (None, Some(waited)) => Some(format!("seen after {waited}")),
        (None, None) => None,
    }
}

/// Whether the time does not go well with the sentence, mostly since the fault is how things are.
fn is_state(fault: Fault) -> bool {
    match fault.stage() {
        Stage::Resolve | Stage::Send | Stage::Gateway => true,
        Stage::Connect => !matches!(fault, Fault::ConnectionRefused | Fault::ConnectionTimedOut),
        Stage::Tls => !matches!(fault, Fault::TlsAlert | Fault::TlsHandshakeClosed | Fault::TlsProtocolError),
        Stage::Response | Stage::Body | Stage::Upstream => false,
    }
}

fn name_servers(failure: &Failure) -> Option<String> {
    let dns = failure.dns.as_ref()?;
    let said = dns.answers.iter().map(|answer| {
        let said = answer.rcode.unwrap_or("nothing");
        let errors = answer.extended.iter().map(|(code, text)| format!(", extended error {code} {text}"));
        let reached = answer.os_error.map(|number| format!(", {}", errno(number)));
        let extra: String = errors.chain(reached).map(|text| text.trim_end().to_owned()).collect();
        format!("{} said {said} after {}{extra}", answer.server, duration(answer.elapsed))
    });
    let said: Vec<String> = said.collect();
    let answers = (!said.is_empty()).then(|| said.join(", "));
    let remembered = dns.remembered.map(|left| format!("remembered for another {}", duration(left)));
    let clauses: Vec<String> = answers.into_iter().chain(remembered).collect();
    (!clauses.is_empty()).then(|| clauses.join("; "))
}

fn alert(failure: &Failure) -> Option<String> {
    let (number, name) = failure.tls.as_ref()?.alert.as_ref()?;
    Some(format!("its alert was {number} {name}"))
}

fn without_alpn(failure: &Failure) -> Option<String> {
    failure.tls.as_ref().filter(|tls| tls.without_alpn).map(|_| {
        "TLS itself went well, but it agreed to no protocol (ALPN) where HTTP/2 was the only one offered".to_owned()
    })
}

/// What HTTP/2 said of the end.
fn http2(said: &H2Evidence) -> Option<String> {
    if said == &H2Evidence::default() {
        return None;
    }
    let stream = said.stream.map_or_else(|| "before a stream was opened".to_owned(), |id| format!("on stream {id}"));
    let reset = said.reset_code.map(|code| format!("RST_STREAM with {}", coded(code)));
    let goaway = said.goaway_code.map(|code| {
        let last = said.last_stream.map(|id| format!(" and {id} as the last stream")).unwrap_or_default();
        let text = said.debug_data.as_ref().map(|text| format!(", saying '{text}'")).unwrap_or_default();
        format!("GOAWAY with {}{last}{text}", coded(code))
    });
    let found = said.found_code.map(|code| format!("what it sent is {} of HTTP/2", coded(code)));
    let sent: Vec<String> = reset.into_iter().chain(goaway).collect();
    let sent = (!sent.is_empty()).then(|| format!("it sent {}", list(&sent)));
    let unprocessed = said.unprocessed.then(|| "it says that it has not processed the request".to_owned());
    let clauses: Vec<String> = sent.into_iter().chain(found).chain(unprocessed).collect();
    Some(std::iter::once(stream).chain(clauses).collect::<Vec<_>>().join("; "))
}

/// A code of HTTP/2 by its name.
pub(super) fn coded(code: u32) -> String {
    format!("{} ({code})", code_name(code))
}

fn certificate(failure: &Failure) -> Option<String> {
    let tls = failure.tls.as_ref()?;
    let shown = tls.certificate.as_ref()?;
    Some(format!(
        "it was asked for as {} and shows {} for {}, issued by {}, valid from {} to {}",
        tls.server_name,
        shown.subject,
        list(&shown.names),
        shown.issuer,
        date(shown.not_before),
        date(shown.not_after)
    ))
}

/// What was wrong with the answer's form.
pub(super) fn malformed(malformed: &Malformed) -> String {
    match malformed {
        Malformed::StatusLine => "its status line is broken".to_owned(),
        Malformed::Status(status) => format!("its status is {status}, which is outside 100 to 599"),
        Malformed::Version => "its protocol version was not asked for".to_owned(),
        Malformed::ContentLength(values) => format!("its Content-Length is {}", list(values)),
        Malformed::LengthAndCoding => "it has both Content-Length and Transfer-Encoding".to_owned(),
        Malformed::TransferCoding(coding) => format!("its Transfer-Encoding is {coding}"),
        Malformed::FieldLine(number) => {
            format!("its {} header line is broken", ordinal(u32::try_from(*number).unwrap_or(u32::MAX)))
        }
        Malformed::TooManyFields => "it has more header lines than are allowed".to_owned(),
        Malformed::Excess => "bytes follow where its answer has ended".to_owned(),
        Malformed::Upgrade(Some(protocol)) => format!("it said 101 and Upgrade: {protocol}"),
        Malformed::Upgrade(None) => "it said 101 without an Upgrade field".to_owned(),
        Malformed::Bloated(field, count) => format!("its head holds {field} {count} times"),
        Malformed::ChunkSize => "a chunk's size is not a hexadecimal number".to_owned(),
        Malformed::Other => "its form breaks the rules of HTTP".to_owned(),
    }
}

fn spoken(failure: &Failure) -> Option<String> {
    let expected = if failure.h2.is_some() { Spoken::Http2 } else { Spoken::Http1 };
    let on_http = failure.fault == Fault::ResponseNotHttp && failure.spoken != Some(expected);
    let told = on_http || failure.fault == Fault::TlsNotSpoken;
    failure.spoken.filter(|_| told).map(|spoken| format!("what it sent is {}", spoken.name()))
}

/// The other addresses that were tried, where there were any.
fn addresses(failure: &Failure) -> Option<String> {
    let tried = failure.addresses.iter().map(|tried| {
        let number = tried.os_error.map(|number| format!(", {}", errno(number))).unwrap_or_default();
        format!("{} {}{number} after {}", tried.address, tried.fault, duration(tried.elapsed))
    });
    let tried: Vec<String> = tried.collect();
    (tried.len() > 1).then(|| format!("the addresses tried: {}", list(&tried)))
}

fn reuse(failure: &Failure) -> Option<String> {
    let connection = failure.connection;
    let idle = connection.idle.map(|idle| format!(" after {} idle", duration(idle))).unwrap_or_default();
    let number = ordinal(connection.requests_served.saturating_add(1));
    connection.reused.then(|| format!("on a connection reused{idle}, for its {number} request"))
}

/// How much went each way, where the request had begun to be sent.
fn traffic(failure: &Failure) -> Option<String> {
    let count = &failure.bytes;
    let sent = if count.request_complete {
        format!("the whole request ({}) was sent", bytes(count.request_sent))
    } else {
        format!("{} of the request were sent", bytes(count.request_sent))
    };
    let declared = count
        .response_declared
        .map(|length| format!(", {} of its body of {}", bytes(count.response_body), bytes(length)));
    (count.request_sent > 0)
        .then(|| format!("{sent} and {} received{}", bytes(count.received), declared.unwrap_or_default()))
}

fn transport(failure: &Failure) -> Option<String> {
    let known = failure.transport?;
    (known.unacknowledged > 0 || known.retransmits > 0).then(|| {
        let (waiting, repeated) = (known.unacknowledged, known.retransmits);
        format!("packets not acknowledged: {waiting}, sent again: {repeated}")
    })
}

/// How full the server was: "2 of 2 requests in flight, no queue".
pub(super) fn capacity(known: CapacityEvidence) -> String {
    let CapacityEvidence { what, taken, limit, waiting, queue } = known;
    let what = match what {
        Limited::Requests => "requests in flight",
        Limited::Connections => "connections open",
    };
    let queue = if queue == 0 { "no queue".to_owned() } else { format!("{waiting} of {queue} waiting") };
    format!("{taken} of {limit} {what}, {queue}")
}

/// What a check was answered that took the server out.
fn check(failure: &Failure) -> Option<String> {
    let CheckEvidence { server, path, status } = failure.check.as_ref()?;
    Some(format!("the health check of {server} asked for {path} and was answered {status}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::detail;
    use super::with_finding;
    use crate::diagnosis::Cause;
    use crate::diagnosis::Evidence;
    use crate::fault::Failure;
    use crate::fault::Fault;
    use crate::fault::failure::ByteCounts;
    use crate::fault::failure::CapacityEvidence;
    use crate::fault::failure::ConnectionEvidence;
    use crate::fault::failure::DnsAnswer;
    use crate::fault::failure::DnsEvidence;
    use crate::fault::failure::Limited;
    use crate::fault::failure::Peer;
    use crate::fault::failure::TlsEvidence;

    fn failure(fault: Fault) -> Failure {
        Failure {
            peer: Some(Peer::Tcp("10.0.0.5:3000".parse().unwrap())),
            stage_elapsed: Duration::from_micros(420),
            ..Failure::new(fault)
        }
    }

    #[test]
    fn a_refusal_is_told_with_its_error_number() {
        let refused = Failure { os_error: Some(libc::ECONNREFUSED), ..failure(Fault::ConnectionRefused) };
        assert_eq!(detail(&refused), "10.0.0.5:3000 refused the connection after 0.4 ms; ECONNREFUSED 111.");
    }

    #[test]
    fn a_full_server_is_told_with_how_full_it_is() {
        let capacity = CapacityEvidence { what: Limited::Requests, taken: 2, limit: 2, waiting: 0, queue: 0 };
        let full = Failure { capacity: Some(capacity), ..Failure::new(Fault::ServerAtCapacity) };
        let full = Failure { peer: Some(Peer::Tcp("10.0.0.5:3000".parse().unwrap())), ..full };
        assert_eq!(
            detail(&full),
            "10.0.0.5:3000 has all that the limits set for it allow; 2 of 2 requests in flight, no queue."
        );
        let capacity = CapacityEvidence { what: Limited::Connections, waiting: 3, queue: 5, ..capacity };
        let late = Failure { capacity: Some(capacity), ..full }.after(Duration::from_secs(1));
        assert_eq!(
            detail(&late),
            "No place at 10.0.0.5:3000 came free within the limit of 1 s; 2 of 2 connections open, 3 of 5 waiting."
        );
    }

    #[test]
    fn a_limit_is_told_as_a_limit() {
        let late = failure(Fault::ConnectionTimedOut).after(Duration::from_secs(3));
        assert_eq!(detail(&late), "10.0.0.5:3000 did not accept the connection within the limit of 3 s.");
    }

    #[test]
    fn a_reused_connection_is_told_with_its_past_and_its_bytes() {
        let connection = ConnectionEvidence {
            reused: true,
            idle: Some(Duration::from_secs(5)),
            requests_served: 2,
            ..ConnectionEvidence::default()
        };
        let bytes = ByteCounts { request_sent: 312, request_complete: true, ..ByteCounts::default() };
        let closed = Failure { connection, bytes, ..failure(Fault::ClosedBeforeResponse) };
        assert_eq!(
            detail(&closed),
            "10.0.0.5:3000 closed the connection without an answer after 0.4 ms; on a connection reused after 5 s \
             idle, for its 3rd request; the whole request (312 bytes) was sent and 0 bytes received."
        );
    }

    #[test]
    fn what_a_check_has_found_is_told_behind_what_was_observed() {
        let refused = failure(Fault::ConnectionRefused);
        let says = "10.0.0.5:8080 answers in HTTP/1".to_owned();
        let found = Evidence { id: "test", says, points_to: Cause::FaultyProxy, weight: 3.0 };
        assert_eq!(with_finding(&refused, None), detail(&refused));
        assert_eq!(
            with_finding(&refused, Some(&found)),
            "10.0.0.5:3000 refused the connection after 0.4 ms; checks since then: 10.0.0.5:8080 answers in HTTP/1."
        );
    }

    #[test]
    fn a_lookup_is_told_with_what_each_name_server_said() {
        let answer = DnsAnswer {
            server: "10.0.0.53:53".parse().unwrap(),
            rcode: Some("SERVFAIL"),
            extended: vec![(9, "DNSKEY missing".to_owned()), (22, String::new())],
            elapsed: Duration::from_millis(12),
            os_error: None,
        };
        let dns = DnsEvidence { name: "app.internal".to_owned(), answers: vec![answer], ..DnsEvidence::default() };
        let failed = Failure { dns: Some(dns), peer: None, ..failure(Fault::DnsServerFailure) };
        assert_eq!(
            detail(&failed),
            "The name server could not answer for app.internal; seen after 0.4 ms; 10.0.0.53:53 said SERVFAIL after \
             12 ms, extended error 9 DNSKEY missing, extended error 22."
        );
    }

    #[test]
    fn an_alert_is_told_with_its_number_and_name() {
        let tls = TlsEvidence { alert: Some((116, "certificate_required".to_owned())), ..TlsEvidence::default() };
        let refused = Failure { tls: Some(tls), ..failure(Fault::TlsAlert) };
        assert_eq!(
            detail(&refused),
            "10.0.0.5:3000 refused the TLS handshake after 0.4 ms; its alert was 116 certificate_required."
        );
    }

    #[test]
    fn every_fault_is_told_in_one_sentence_that_names_the_place() {
        for fault in Fault::ALL {
            let said = detail(&failure(fault));
            assert!(said.ends_with('.') && !said.contains("..") && said.starts_with(char::is_alphanumeric), "{said}");
        }
    }
}
