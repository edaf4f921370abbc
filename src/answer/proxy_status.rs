//! Owns the `Proxy-Status` field (RFC 9209): which parameters there are, who may see them, and how they are written.

use std::fmt::Write;

use http::HeaderValue;

use super::report::Report;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::classify::tls::alert_name;
use crate::fault::failure::Target;

/// A parameter that everybody may see. It holds numbers and words of ours, so that nothing of the inside fits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// `rcode` (RFC 9209, section 2.3.2): what the name server said.
    Rcode(&'static str),
    /// `info-code`: the number of an Extended DNS Error (RFC 8914).
    InfoCode(u16),
    /// `alert-id` (section 2.3.15): the number of the TLS alert that was received.
    AlertId(u8),
    /// `alert-message`: its registered name.
    AlertMessage(&'static str),
    /// `header-section-size` (section 2.3.19): how many bytes of the response's head were read.
    HeaderSectionSize(u64),
    /// `coding` (section 2.3.24): the transfer coding that was broken.
    Coding(&'static str),
    /// `received-status` (section 2.1.4): the status that the origin sent.
    ReceivedStatus(u16),
}

impl Parameter {
    /// The public parameters of a failure; those of a type go only with that type (section 2.1.1).
    pub(super) fn of(failure: &Failure) -> Vec<Self> {
        let mut parameters = Vec::new();
        match failure.fault.proxy_error() {
            Some("dns_error") => {
                parameters.extend(rcode(failure).map(Self::Rcode));
                parameters.extend(info_code(failure).map(Self::InfoCode));
            }
            Some("tls_alert_received") => {
                let alert = failure.tls.as_ref().and_then(|tls| tls.alert.as_ref()).map(|(number, _)| *number);
                parameters.extend(alert.map(Self::AlertId));
                parameters.extend(alert.and_then(alert_name).map(Self::AlertMessage));
            }
            Some("http_response_header_section_size") => {
                let read = failure.bytes.header_limit.unwrap_or_default().max(failure.bytes.received);
                parameters.extend((read > 0).then_some(Self::HeaderSectionSize(read)));
            }
            Some("http_response_transfer_coding") => parameters.push(Self::Coding("chunked")),
            _ => {}
        }
        let received = failure.response.as_ref().map(|response| response.status);
        parameters.extend(received.filter(|status| (100..=599).contains(status)).map(Self::ReceivedStatus));
        parameters
    }

    fn write(self, field: &mut String) {
        // Writing to a string cannot fail.
        let _written = match self {
            Self::Rcode(rcode) => write!(field, "; rcode={}", quoted(rcode)),
            Self::InfoCode(number) => write!(field, "; info-code={number}"),
            Self::AlertId(number) => write!(field, "; alert-id={number}"),
            Self::AlertMessage(name) => write!(field, "; alert-message={name}"),
            Self::HeaderSectionSize(bytes) => write!(field, "; header-section-size={bytes}"),
            Self::Coding(coding) => write!(field, "; coding={coding}"),
            Self::ReceivedStatus(status) => write!(field, "; received-status={status}"),
        };
    }
}

/// Our member of the list for a failure of an upstream.
pub(super) fn of_failure(report: &Report<'_>) -> HeaderValue {
    let visitor = report.visitor();
    let mut field = String::from(US);
    if let Some(error) = visitor.fault.proxy_error() {
        field.push_str("; error=");
        field.push_str(error);
    }
    for parameter in &visitor.parameters {
        parameter.write(&mut field);
    }
    if let Some(operator) = report.operator() {
        if let Some(next_hop) = next_hop(operator.failure()) {
            field.push_str("; next-hop=");
            field.push_str(&quoted(&next_hop));
        }
        field.push_str("; details=");
        field.push_str(&quoted(operator.detail()));
    }
    value(&field)
}

/// Our member of the list for what was not an upstream's failure. The client's doing is `http_request_error` with the
/// status that it was answered with (section 2.3.16); an overload, and what this proxy is asked itself, is an answer of our own; the
/// rest is our own error.
pub(super) fn of_refusal(status: http::StatusCode) -> HeaderValue {
    match status.as_u16() {
        code @ (400..=499 | 501 | 505) => value(&format!("{US}; error=http_request_error; status-code={code}")),
        ..400 | 503 => value(&format!("{US}; error=proxy_internal_response")),
        _ => value(&format!("{US}; error=proxy_internal_error")),
    }
}

fn value(field: &str) -> HeaderValue {
    HeaderValue::from_str(field).unwrap_or(HeaderValue::from_static(US))
}

/// The address that was tried, or else the host and port as configured.
fn next_hop(failure: &Failure) -> Option<String> {
    failure.peer.as_ref().map(ToString::to_string).or_else(|| failure.target.as_ref().map(authority))
}

fn authority(target: &Target) -> String {
    match &target.socket {
        Some(path) => format!("unix:{path}"),
        None if target.host.contains(':') => format!("[{}]:{}", target.host, target.port),
        None => format!("{}:{}", target.host, target.port),
    }
}

/// A String of Structured Fields (RFC 9651, section 3.3.3): printable ASCII in quotes, with `"` and `\` escaped. What is not
/// ASCII is written in the nearest ASCII or as `?`, and a very long text is cut, so that the head stays small.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars().take(LONGEST_STRING) {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            '\u{2018}' | '\u{2019}' => quoted.push('\''),
            '\u{201c}' | '\u{201d}' => quoted.push_str("\\\""),
            '\u{2010}'..='\u{2015}' => quoted.push('-'),
            '\u{2026}' => quoted.push_str("..."),
            _ if character.is_whitespace() => quoted.push(' '),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

/// What the name server said. Where the fault follows from one answer only, it is that one.
fn rcode(failure: &Failure) -> Option<&'static str> {
    let implied = IMPLIED_RCODES.iter().find(|(fault, _)| *fault == failure.fault).map(|(_, rcode)| *rcode);
    implied.or_else(|| failure.dns.as_ref()?.deciding(failure.fault)?.rcode)
}

fn info_code(failure: &Failure) -> Option<u16> {
    failure.dns.as_ref()?.answers.iter().flat_map(|answer| &answer.extended).map(|(code, _)| *code).next()
}

/// How this proxy calls itself: the deployment's name, once one can be configured (section 2).
const US: &str = "why502";

const IMPLIED_RCODES: &[(Fault, &str)] =
    &[(Fault::DnsNameNotFound, "NXDOMAIN"), (Fault::DnsNoRecords, "NOERROR"), (Fault::DnsRefused, "REFUSED")];

/// Characters of a text in the field.
const LONGEST_STRING: usize = 400;

#[cfg(test)]
mod tests {
    use super::of_failure;
    use super::of_refusal;
    use super::quoted;
    use crate::answer::samples::OCCURRENCE;
    use crate::answer::samples::Story;
    use crate::fault::Fault;

    #[test]
    fn a_type_has_the_parameters_that_it_defines_and_no_others() {
        for (fault, field) in [
            (Fault::DnsNameNotFound, "error=dns_error; rcode=\"NXDOMAIN\"; info-code=22"),
            (Fault::DnsNoRecords, "error=dns_error; rcode=\"NOERROR\"; info-code=22"),
            (Fault::DnsServerFailure, "error=dns_error; rcode=\"SERVFAIL\"; info-code=22"),
            (Fault::DnsTimeout, "error=dns_timeout"),
            (Fault::ConnectionRefused, "error=connection_refused"),
            (Fault::TlsAlert, "error=tls_alert_received; alert-id=40; alert-message=handshake_failure"),
            (Fault::ResponseHeaderTooLarge, "error=http_response_header_section_size; header-section-size=65536"),
            (Fault::ResponseChunkingInvalid, "error=http_response_transfer_coding; coding=chunked"),
        ] {
            let story = Story::full_of_secrets(fault);
            let field = format!("why502; {field}; received-status=503");
            assert_eq!(of_failure(&story.for_visitor(OCCURRENCE)), field, "{fault}");
        }
    }

    #[test]
    fn what_this_proxy_says_itself_is_the_clients_doing_its_own_answer_or_its_own_error() {
        for (status, expected) in [
            (200, "error=proxy_internal_response"),
            (404, "error=http_request_error; status-code=404"),
            (500, "error=proxy_internal_error"),
            (501, "error=http_request_error; status-code=501"),
            (503, "error=proxy_internal_response"),
        ] {
            let status = http::StatusCode::from_u16(status).unwrap();
            assert_eq!(of_refusal(status), format!("why502; {expected}"), "{status}");
        }
    }

    #[test]
    fn what_the_upstream_said_itself_has_no_type() {
        let story = Story::full_of_secrets(Fault::UpstreamUnavailable);
        assert_eq!(of_failure(&story.for_visitor(OCCURRENCE)), "why502; received-status=503");
    }

    #[test]
    fn a_string_is_printable_ascii_that_cannot_end_early() {
        for (text, string) in [
            ("plain", "\"plain\""),
            ("a \"b\" \\ c", "\"a \\\"b\\\" \\\\ c\""),
            ("it\u{2019}s 3\u{2013}4\u{2026}", "\"it's 3-4...\""),
            ("two\r\nlines\u{0}\u{e9}", "\"two  lines??\""),
        ] {
            assert_eq!(quoted(text), string);
        }
        assert_eq!(quoted(&"x".repeat(10_000)).len(), 402);
    }
}
