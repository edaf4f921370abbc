//! Owns what gateways say by `Proxy-Status` (RFC 9209): the members of the list, and what their error types mean here.

use http::HeaderMap;

use super::Gateway;
use super::Hop;
use super::Inner;
use super::Seen;
use super::text;
use crate::fault::malformed::shown;

/// The gateways that the answer passed, nearest the origin first. What is not in the form of the field ends the reading.
pub(super) fn hops(headers: &HeaderMap) -> Vec<Hop> {
    let mut hops = Vec::new();
    for value in text(headers, "proxy-status") {
        let mut rest = Reader(value);
        while hops.len() < MOST_HOPS
            && let Some(hop) = rest.hop()
        {
            hops.push(hop);
            if !rest.eat(',') {
                break;
            }
        }
    }
    hops
}

/// What the gateway nearest the origin met, for it is that one whose answer the others passed on.
pub(super) fn seen(hops: &[Hop]) -> Seen {
    let Some((hop, error)) = hops.iter().find_map(|hop| Some((hop, hop.error.as_deref()?))) else {
        return Seen { gateway: hops.first().and_then(|hop| gateway(&hop.name)), inner: None };
    };
    let details = hop.details.as_deref().map(|details| format!(": {details}")).unwrap_or_default();
    Seen { gateway: gateway(&hop.name), inner: inner(error).map(|inner| (inner, format!("{error}{details}"))) }
}

/// The gateways that are known to write the field, by how they call themselves.
fn gateway(name: &str) -> Option<Gateway> {
    let name = name.to_ascii_lowercase();
    let known = NAMES.iter().find(|(word, _)| name.contains(word));
    known.map(|(_, gateway)| *gateway)
}

fn inner(error: &str) -> Option<Inner> {
    Some(match error {
        "connection_refused" => Inner::Refused,
        "connection_timeout" => Inner::ConnectTimedOut,
        "destination_ip_unroutable" | "destination_ip_prohibited" => Inner::Unreachable,
        "destination_unavailable" => Inner::NoServer,
        "dns_timeout" | "dns_error" => Inner::Dns,
        "tls_protocol_error" | "tls_certificate_error" | "tls_alert_received" => Inner::Tls,
        "http_response_timeout" | "connection_read_timeout" | "connection_write_timeout" => Inner::TimedOut,
        "connection_terminated" | "http_response_incomplete" => Inner::Cut,
        "http_protocol_error"
        | "http_upgrade_failed"
        | "http_response_header_section_size"
        | "http_response_header_size"
        | "http_response_body_size"
        | "http_response_trailer_section_size"
        | "http_response_trailer_size"
        | "http_response_transfer_coding"
        | "http_response_content_coding" => Inner::Broken,
        "connection_limit_reached" | "proxy_internal_response" => Inner::Overload,
        "destination_not_found" | "proxy_internal_error" | "proxy_configuration_error" | "proxy_loop_detected" => {
            Inner::Itself
        }
        _ => return None,
    })
}

/// A list of Structured Fields (RFC 9651), as far as this field needs it.
struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    fn hop(&mut self) -> Option<Hop> {
        let mut hop = Hop { name: self.value()?, ..Hop::default() };
        for _ in 0..MOST_PARAMETERS {
            if !self.eat(';') {
                break;
            }
            let key = self.token()?;
            let value = if self.0.starts_with('=') {
                self.eat('=');
                self.value()?
            } else {
                String::new()
            };
            match key {
                "error" => hop.error = Some(value),
                "next-hop" => hop.next_hop = Some(value),
                "details" => hop.details = Some(value),
                _ => {}
            }
        }
        Some(hop)
    }

    /// A token, a number or a string, as text fit to be shown.
    fn value(&mut self) -> Option<String> {
        self.0 = self.0.trim_start_matches([' ', '\t']);
        let Some(string) = self.0.strip_prefix('"') else {
            return self.token().map(|token| shown(token, LONGEST_VALUE));
        };
        let mut value = String::new();
        let mut letters = string.chars();
        loop {
            match letters.next()? {
                '"' => break,
                '\\' => value.push(letters.next()?),
                letter => value.push(letter),
            }
        }
        self.0 = letters.as_str();
        Some(shown(&value, LONGEST_VALUE))
    }

    fn token(&mut self) -> Option<&'a str> {
        self.0 = self.0.trim_start_matches([' ', '\t']);
        let end = self.0.find([' ', '\t', ';', ',', '=']).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    /// Whether this comes next, which is then passed.
    fn eat(&mut self, letter: char) -> bool {
        let rest = self.0.trim_start_matches([' ', '\t']).strip_prefix(letter);
        if let Some(rest) = rest {
            self.0 = rest;
        }
        rest.is_some()
    }
}

const NAMES: &[(&str, Gateway)] = &[
    ("why502", Gateway::Why502),
    ("cloudflare", Gateway::Cloudflare),
    ("envoy", Gateway::Envoy),
    ("istio", Gateway::Envoy),
    ("haproxy", Gateway::Haproxy),
    ("varnish", Gateway::Varnish),
    ("fastly", Gateway::Fastly),
    ("akamai", Gateway::Akamai),
    ("nginx", Gateway::Nginx),
    ("squid", Gateway::Squid),
    ("google", Gateway::GoogleLoadBalancer),
];

/// More gateways than these stand in no chain.
const MOST_HOPS: usize = 8;
const MOST_PARAMETERS: usize = 16;
/// Characters of one value.
const LONGEST_VALUE: usize = 120;
