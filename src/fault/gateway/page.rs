//! Owns what gateways say in their pages: phrases that a program writes into each answer of that kind, and none other does.

use memchr::memmem;

use super::Gateway;
use super::Inner;
use super::Seen;

/// What the beginning of a page says, of an answer that came from this gateway as far as its head tells. A compressed or
/// empty page says nothing.
pub(super) fn seen(page: &[u8], known: Option<Gateway>, has_server: bool) -> Seen {
    let page = String::from_utf8_lossy(page).to_ascii_lowercase();
    let text = without_marks(&page);
    let gateway = marked(&page, has_server).or_else(|| one_liner(&text, has_server)).or_else(|| by_phrase(&text));
    let phrase = PHRASES.iter().find(|(phrase, _)| holds(&text, phrase));
    let named = phrase.and_then(|(phrase, inner)| Some((*inner, sentence(&text, phrase)?)));
    let of_cloudflare = gateway.or(known) == Some(Gateway::Cloudflare);
    Seen { gateway, inner: named.or_else(|| cloudflare(&text).filter(|_| of_cloudflare)) }
}

/// What a text without marks means, where it is known.
pub(super) fn phrase(text: &str) -> Option<Inner> {
    PHRASES.iter().find(|(phrase, _)| holds(text, phrase)).map(|(_, inner)| *inner)
}

/// A page that signs itself in its marks.
fn marked(page: &str, has_server: bool) -> Option<Gateway> {
    let signed = SIGNED.iter().find(|(mark, _)| holds(page, mark)).map(|(_, gateway)| *gateway);
    match signed {
        // The ingress controller's nginx is told to keep its name out of `Server`, and cannot keep it out of its page.
        Some(Gateway::Nginx) if !has_server => Some(Gateway::IngressNginx),
        signed => signed,
    }
}

/// The whole answer of proxies that are written in Go with what its library gives them.
fn one_liner(text: &str, has_server: bool) -> Option<Gateway> {
    let bare = ["bad gateway", "gateway timeout", "service unavailable"].contains(&text);
    ((bare && !has_server) || text == "no available server").then_some(Gateway::Traefik)
}

fn by_phrase(text: &str) -> Option<Gateway> {
    SPOKEN.iter().find(|(phrase, _)| holds(text, phrase)).map(|(_, gateway)| *gateway)
}

/// Whether the text holds that: a hundred times an answer, and so by the fastest way.
fn holds(text: &str, wanted: &str) -> bool {
    memmem::find(text.as_bytes(), wanted.as_bytes()).is_some()
}

/// Cloudflare's numbers: `error code: 522`, `error 1016`.
fn cloudflare(text: &str) -> Option<(Inner, String)> {
    let code = ["error code: ", "error code ", "error "].into_iter().find_map(|before| {
        let digits = text.split(before).nth(1)?;
        let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
        digits.get(..end)?.parse::<u16>().ok()
    })?;
    let inner = match code {
        520 => Inner::Broken,
        521 => Inner::Refused,
        522 => Inner::ConnectTimedOut,
        523 => Inner::Unreachable,
        524 => Inner::TimedOut,
        525 | 526 => Inner::Tls,
        1016 => Inner::Dns,
        1033 | 1040 => Inner::NoServer,
        1015 => Inner::Overload,
        1000..=1004 | 1018 | 1023 | 1101 | 1102 => Inner::Itself,
        _ => return None,
    };
    Some((inner, format!("error {code}")))
}

/// The text between the marks, its white space folded.
fn without_marks(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    let mut hidden = false;
    for letter in page.chars() {
        match letter {
            '<' => {
                hidden = true;
                text.push(' ');
            }
            '>' if hidden => hidden = false,
            _ if hidden => {}
            _ => text.push(letter),
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("&#39;", "'").replace("\u{2019}", "'")
}

/// The phrase with the rest of its sentence, where that is short: reasons stand behind it. Letters that are not ASCII are
/// replaced, for what a page may hide in them is not for display.
fn sentence(text: &str, phrase: &str) -> Option<String> {
    let rest = text.get(text.find(phrase)?..)?;
    let end = rest.get(phrase.len()..)?.find(['.', '"', '}']).map_or(rest.len(), |end| end + phrase.len());
    let sentence = if end > LONGEST_SENTENCE { phrase } else { rest.get(..end)?.trim() };
    Some(sentence.chars().map(|letter| if letter.is_ascii() { letter } else { '?' }).collect())
}

/// Bytes of a sentence that is worth telling as a whole.
const LONGEST_SENTENCE: usize = 140;

/// What stands in the marks of a page, in lower case.
const SIGNED: &[(&str, Gateway)] = &[
    ("<center>openresty", Gateway::OpenResty),
    ("<center>cloudflare", Gateway::Cloudflare),
    ("<center>nginx", Gateway::Nginx),
    ("/cdn-cgi/", Gateway::Cloudflare),
    ("herokucdn.com", Gateway::Heroku),
];

/// What only one of them says, in lower case and without marks.
const SPOKEN: &[(&str, Gateway)] = &[
    ("varnish cache server", Gateway::Varnish),
    ("guru meditation", Gateway::Varnish),
    ("backend fetch failed", Gateway::Varnish),
    ("no server is available to handle this request", Gateway::Haproxy),
    ("the server returned an invalid or incomplete response", Gateway::Haproxy),
    ("the server didn't respond in time", Gateway::Haproxy),
    ("upstream connect error or disconnect/reset before headers", Gateway::Envoy),
    ("no healthy upstream", Gateway::Envoy),
    ("upstream request timeout", Gateway::Envoy),
    ("the proxy server received an invalid response from an upstream server. the proxy server could", Gateway::Apache),
    ("temporarily unable to service your request due to maintenance downtime or capacity problems", Gateway::Apache),
    ("did not receive a timely response from the upstream server or application", Gateway::Apache),
    ("(squid", Gateway::Squid),
    ("generated by cloudfront", Gateway::CloudFront),
    ("an invalid response was received from the upstream server", Gateway::Kong),
    ("the upstream server is timing out", Gateway::Kong),
    ("failure to get a peer from the ring-balancer", Gateway::Kong),
    ("the server encountered a temporary error and could not complete your request", Gateway::GoogleLoadBalancer),
    ("our services aren't available right now", Gateway::Azure),
    ("received an invalid response while acting as a gateway or proxy server", Gateway::Iis),
    ("http error 502.", Gateway::Iis),
    ("http error 503. the service is unavailable", Gateway::Iis),
    ("fastly error", Gateway::Fastly),
    ("apache tomcat", Gateway::Tomcat),
    ("powered by jetty", Gateway::Jetty),
    ("phusion passenger", Gateway::Passenger),
    ("security by cloudflare", Gateway::Cloudflare),
];

/// What a phrase says of the next hop, in lower case; the more special one first.
const PHRASES: &[(&str, Inner)] = &[
    // What applications say of their database, which is another's fault than the gateway's.
    ("error establishing a database connection", Inner::Database),
    ("database connection", Inner::Database),
    ("connect to the database", Inner::Database),
    ("connect to database", Inner::Database),
    ("connect to mysql", Inner::Database),
    ("sqlstate[hy000] [2002]", Inner::Database),
    ("sqlstate[08006]", Inner::Database),
    ("database is unavailable", Inner::Database),
    // Envoy, whose reasons stand behind its one sentence.
    ("delayed connect error: 111", Inner::Refused),
    ("delayed connect error: 113", Inner::Unreachable),
    ("remote connection failure, transport failure reason: tls", Inner::Tls),
    ("transport failure reason: tls", Inner::Tls),
    ("tls_error", Inner::Tls),
    ("reset reason: overflow", Inner::Overload),
    ("reset reason: connection timeout", Inner::ConnectTimedOut),
    ("reset reason: connection termination", Inner::Cut),
    ("reset reason: remote reset", Inner::Cut),
    ("reset reason: local reset", Inner::Cut),
    ("reset reason: protocol error", Inner::Broken),
    ("reset reason: connection failure", Inner::Refused),
    ("reset reason: remote connection failure", Inner::Refused),
    ("reset reason: local connection failure", Inner::Unreachable),
    ("no healthy upstream", Inner::NoServer),
    ("upstream request timeout", Inner::TimedOut),
    ("connection refused", Inner::Refused),
    // Gateways that have no server.
    ("no server is available to handle this request", Inner::NoServer),
    ("no available server", Inner::NoServer),
    ("backend is unhealthy", Inner::NoServer),
    ("no backend connection", Inner::NoServer),
    ("no endpoints available for service", Inner::NoServer),
    ("failure to get a peer from the ring-balancer", Inner::NoServer),
    ("no healthy endpoints", Inner::NoServer),
    ("http error 503. the service is unavailable", Inner::NoServer),
    ("http error 502.5", Inner::NoServer),
    // Apache says so of a backend that refused it, or that it leaves alone since it did.
    ("due to maintenance downtime or capacity problems", Inner::NoServer),
    // The host behind a CDN, in the picture on its page.
    ("host error", Inner::NoServer),
    ("wasn't able to connect to the origin", Inner::Refused),
    ("either the attempt failed or the origin closed the connection", Inner::Refused),
    ("wasn't able to resolve the origin domain name", Inner::Dns),
    ("dns lookup failure", Inner::Dns),
    ("dns failure", Inner::Dns),
    ("name resolution failed", Inner::Dns),
    ("unable to determine ip address from host name", Inner::Dns),
    ("error during ssl handshake with remote server", Inner::Tls),
    ("hostname doesn't match against certificate", Inner::Tls),
    ("first byte timeout", Inner::TimedOut),
    ("between bytes timeout", Inner::TimedOut),
    ("the server didn't respond in time", Inner::TimedOut),
    ("did not receive a timely response from the upstream server or application", Inner::TimedOut),
    ("the upstream server is timing out", Inner::TimedOut),
    ("timeout on reading from remote server", Inner::TimedOut),
    ("connection timed out", Inner::ConnectTimedOut),
    ("error reading from remote server", Inner::Cut),
    ("backend read error", Inner::Cut),
    ("unknown domain", Inner::Itself),
    // Too much to do, in the words of gateways and of applications.
    ("max_conn reached", Inner::Overload),
    ("circuit breaker", Inner::Overload),
    ("too many requests", Inner::Overload),
    ("too many connections", Inner::Overload),
    ("too many concurrent", Inner::Overload),
    ("temporarily overloaded", Inner::Overload),
    ("overloaded", Inner::Overload),
    ("over capacity", Inner::Overload),
    ("at capacity", Inner::Overload),
    ("heavy load", Inner::Overload),
    ("high load", Inner::Overload),
    ("server busy", Inner::Overload),
    ("server is busy", Inner::Overload),
    ("server too busy", Inner::Overload),
    ("queue full", Inner::Overload),
    ("queue is full", Inner::Overload),
    ("rate limit", Inner::Overload),
    ("temporarily busy, try again later", Inner::Overload),
    ("pool exhausted", Inner::Overload),
    // On purpose.
    ("under maintenance", Inner::Maintenance),
    ("scheduled maintenance", Inner::Maintenance),
    ("for maintenance", Inner::Maintenance),
    ("maintenance mode", Inner::Maintenance),
    ("maintenance", Inner::Maintenance),
    ("be right back", Inner::Maintenance),
    ("shutting down", Inner::Maintenance),
];
