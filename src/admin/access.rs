//! Owns who is let in: under which names the admin listener answers, and what an operator has to bring beyond this host.
//!
//! Whoever can connect to a loopback address is taken for an operator. That may be a browser which shows a stranger's page: one
//! whose own name leads here (DNS rebinding) is refused by its `Host`, and any other by what browsers say of where a request
//! comes from.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::Version;
use http::header;
use http::request::Parts;

use crate::admin::reply;
use crate::admin::reply::Body;
use crate::config::Config;
use crate::config::HostPattern;
use crate::config::Token;
use crate::proxy::admission::host::is_valid;
use crate::proxy::fields::X_WHY502_TOKEN;
use crate::proxy::guesses::Judged;
use crate::proxy::guesses::MEMORY;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// `Host` is not as RFC 9112, section 3.2, wants it.
    HostMalformed,
    /// Nobody is called so here.
    HostForeign,
    /// A page of another site asks.
    PageForeign,
    /// There is no token, or a wrong one.
    NoToken,
    /// There were too many wrong ones from there.
    Guesses,
    /// There is nothing of that name.
    NotFound,
    /// No incident of that id is known.
    IncidentUnknown,
    /// No failure of that request is known.
    RequestUnknown,
    /// There is no event of that name.
    EventUnknown,
    /// What is asked for is not to be had.
    Query,
    /// There is no room for one more who listens.
    TooMany,
    /// It can only be read.
    Method,
}

impl Refused {
    const fn row(self) -> (StatusCode, &'static str) {
        match self {
            Self::HostMalformed => {
                (StatusCode::BAD_REQUEST, "The request needs one Host, as RFC 9112, section 3.2, has it.")
            }
            Self::HostForeign => (
                StatusCode::MISDIRECTED_REQUEST,
                "The admin listener answers to addresses, to localhost, to hosts of routes and to [admin] names.",
            ),
            Self::PageForeign => (StatusCode::FORBIDDEN, "A page of another site may not read this."),
            Self::NoToken => (
                StatusCode::UNAUTHORIZED,
                "Send the operator's token in X-Why502-Token, or as the password of HTTP Basic authentication.",
            ),
            Self::Guesses => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many wrong tokens came from your address: for a minute none from there is looked at.",
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "There is nothing here; /api/openapi.json lists what there is."),
            Self::IncidentUnknown => (StatusCode::NOT_FOUND, "No incident of that id is known, or not any more."),
            Self::RequestUnknown => (
                StatusCode::NOT_FOUND,
                "No failure of that request is known: it did not fail, or it is not among the last thousand that did.",
            ),
            Self::EventUnknown => (StatusCode::BAD_REQUEST, "There is no event of that name; README.md lists them."),
            Self::Query => (StatusCode::BAD_REQUEST, "The limit is a number from 1 to 1000."),
            Self::TooMany => (StatusCode::SERVICE_UNAVAILABLE, "Sixteen listen already; close another page or stream."),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "This can only be read: GET or HEAD."),
        }
    }

    /// The answer that says so (RFC 9457).
    pub(super) fn answer(self) -> Response<Body> {
        let (status, detail) = self.row();
        let problem = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": detail,
        });
        let mut answer = reply::of_type("application/problem+json", status, problem.to_string());
        match self {
            Self::NoToken => {
                let challenge = HeaderValue::from_static("Basic realm=\"why502\", charset=\"UTF-8\"");
                answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            Self::Guesses => {
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(MEMORY.as_secs()));
            }
            Self::Method => {
                answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            Self::HostMalformed
            | Self::HostForeign
            | Self::PageForeign
            | Self::NotFound
            | Self::IncidentUnknown
            | Self::RequestUnknown
            | Self::EventUnknown
            | Self::Query
            | Self::TooMany => {}
        }
        answer
    }
}

/// Whether the request is for a host that this listener is.
pub(super) fn hosted(asked: &Parts, config: &Config) -> Result<(), Refused> {
    let mut hosts = asked.headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        // Probes of load balancers speak HTTP/1.0, and no browser does.
        (None, None) if asked.version == Version::HTTP_10 => return Ok(()),
        (None | Some(_), _) => return Err(Refused::HostMalformed),
    };
    // A target with an authority of its own (RFC 9112, section 3.2.2) has the last word.
    let authority = asked.uri.authority().map(|authority| authority.as_str().as_bytes());
    for value in std::iter::once(host.as_bytes()).chain(authority) {
        let host = std::str::from_utf8(value).ok().filter(|_| is_valid(value)).ok_or(Refused::HostMalformed)?;
        if !is_called(&name_of(host), config) {
            return Err(Refused::HostForeign);
        }
    }
    Ok(())
}

/// Without its port and a final dot, in lower case.
fn name_of(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, _)) if !name.contains(':') || name.ends_with(']') => name,
        _ => host,
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn is_called(name: &str, config: &Config) -> bool {
    let is_address = name.starts_with('[') || name.parse::<std::net::Ipv4Addr>().is_ok();
    let own = || config.admin.iter().flat_map(|admin| &admin.names).any(|own| **own == *name);
    let of_route = || config.routes.iter().any(|route| matches(&route.host, name));
    is_address || name == "localhost" || own() || of_route()
}

fn matches(pattern: &HostPattern, name: &str) -> bool {
    match pattern {
        // A route for every host names none.
        HostPattern::Any => false,
        HostPattern::Exact(host) => **host == *name,
        HostPattern::Suffix(suffix) => name.len() > suffix.len() && name.ends_with(&**suffix),
    }
}

/// Whether the one who asks may see what operators see. What a token counts for that is right or wrong is for `judge` to say.
pub(super) fn permitted(asked: &Parts, config: &Config, judge: impl FnOnce(bool) -> Judged) -> Result<(), Refused> {
    if is_of_foreign_page(&asked.headers) {
        return Err(Refused::PageForeign);
    }
    if config.admin.as_ref().is_some_and(|admin| admin.address.is_of_this_host()) {
        return Ok(());
    }
    let token = config.operators.token.as_ref();
    // A browser asks without one first, which is no guess.
    let is_right = token.and_then(|token| brings(&asked.headers, token)).ok_or(Refused::NoToken)?;
    match judge(is_right) {
        Judged::Right => Ok(()),
        Judged::Wrong | Judged::Last => Err(Refused::NoToken),
        Judged::Ignored => Err(Refused::Guesses),
    }
}

/// Whether a browser says that the page of another origin asks (Fetch Metadata). To go to a page here by a link is no harm.
fn is_of_foreign_page(headers: &HeaderMap) -> bool {
    let says = |name: &str, words: &[&str]| {
        headers.get(name).is_some_and(|value| words.iter().any(|word| value.as_bytes() == word.as_bytes()))
    };
    says("sec-fetch-site", &["cross-site", "same-site"]) && !says("sec-fetch-mode", &["navigate"])
}

/// Whether the token that comes is the right one: in its own field, or as the password of HTTP Basic (RFC 7617), for browsers.
/// None where none comes; of several one is looked at, for who sends them guesses.
fn brings(headers: &HeaderMap, token: &Token) -> Option<bool> {
    match headers.get(X_WHY502_TOKEN) {
        Some(value) => Some(token.is(value.as_bytes())),
        None => headers.get(header::AUTHORIZATION).and_then(password).map(|password| token.is(&password)),
    }
}

fn password(value: &HeaderValue) -> Option<Vec<u8>> {
    let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(credentials.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    decoded.get(colon + 1..).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use http::Request;
    use http::Version;

    use super::Refused;
    use super::hosted;
    use crate::config;
    use crate::config::Config;
    use crate::config::Token;
    use crate::proxy::guesses::Judged;

    fn config(address: &str) -> Config {
        let text = format!(
            "[admin]\naddress = {address:?}\nnames = [\"WHY502.internal\"]\n[[route]]\nhost = \"shop.example\"\nupstream = \"a\"\n\
             [[route]]\nhost = \"*.wild.example\"\nupstream = \"a\"\n[[route]]\nupstream = \"a\"\n\
             [[upstream]]\nname = \"a\"\nservers = [\"http://127.0.0.1:1\"]\n"
        );
        let mut config = config::from_text(&text, Path::new("why502.toml")).unwrap();
        config.operators.token = Some(Token("0123456789abcdef".into()));
        config
    }

    /// With a judge who has heard no guesses.
    fn permitted(asked: &http::request::Parts, config: &Config) -> Result<(), Refused> {
        super::permitted(asked, config, |is_right| if is_right { Judged::Right } else { Judged::Wrong })
    }

    fn asked(fields: &[(&str, &str)]) -> http::request::Parts {
        let mut request = Request::get("/metrics");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn it_answers_to_addresses_and_configured_names_only() {
        let config = config("127.0.0.1:9502");
        for (host, expected) in [
            ("127.0.0.1:9502", Ok(())),
            ("10.1.2.3", Ok(())),
            ("[::1]:9502", Ok(())),
            ("localhost:9502", Ok(())),
            ("LOCALHOST.", Ok(())),
            ("why502.internal:9502", Ok(())),
            ("shop.example", Ok(())),
            ("a.wild.example:1", Ok(())),
            ("wild.example", Err(Refused::HostForeign)),
            ("evil.example:9502", Err(Refused::HostForeign)),
            ("localhost.evil.example", Err(Refused::HostForeign)),
            ("127.0.0.1.evil.example", Err(Refused::HostForeign)),
            ("", Err(Refused::HostForeign)),
            ("a b", Err(Refused::HostMalformed)),
            ("[::1", Err(Refused::HostMalformed)),
        ] {
            assert_eq!(hosted(&asked(&[("host", host)]), &config), expected, "{host:?}");
        }
        let two = asked(&[("host", "localhost"), ("host", "localhost")]);
        assert_eq!(hosted(&two, &config), Err(Refused::HostMalformed));
        let mut none = asked(&[]);
        assert_eq!(hosted(&none, &config), Err(Refused::HostMalformed));
        none.version = Version::HTTP_10;
        assert_eq!(hosted(&none, &config), Ok(()));
        let mut absolute = asked(&[("host", "localhost")]);
        absolute.uri = "http://evil.example/metrics".parse().unwrap();
        assert_eq!(hosted(&absolute, &config), Err(Refused::HostForeign));
    }

    #[test]
    fn beyond_this_host_the_token_is_wanted() {
        let (here, beyond) = (config("127.0.0.1:9502"), config("127.0.0.1:9502"));
        let mut beyond = beyond;
        beyond.admin.as_mut().unwrap().address = config::ListenAddress::Tcp("0.0.0.0:9502".parse().unwrap());
        for (name, value, expected) in [
            ("x-why502-token", "0123456789abcdef", Ok(())),
            ("x-why502-token", "0123456789abcdeF", Err(Refused::NoToken)),
            ("x-why502-token", "", Err(Refused::NoToken)),
            ("x-other", "", Err(Refused::NoToken)),
            // `anybody:0123456789abcdef`, `:0123456789abcdef`, `0123456789abcdef:` and `0123456789abcdef`
            ("authorization", "Basic YW55Ym9keTowMTIzNDU2Nzg5YWJjZGVm", Ok(())),
            ("authorization", "basic OjAxMjM0NTY3ODlhYmNkZWY=", Ok(())),
            ("authorization", "Basic MDEyMzQ1Njc4OWFiY2RlZjo=", Err(Refused::NoToken)),
            ("authorization", "Basic MDEyMzQ1Njc4OWFiY2RlZg==", Err(Refused::NoToken)),
            ("authorization", "Bearer 0123456789abcdef", Err(Refused::NoToken)),
            ("authorization", "Basic", Err(Refused::NoToken)),
        ] {
            let asked = asked(&[(name, value)]);
            assert_eq!((permitted(&asked, &beyond), permitted(&asked, &here)), (expected, Ok(())), "{name}: {value}");
        }
        let several = asked(&[("x-why502-token", "0123456789abcdeF"), ("x-why502-token", "0123456789abcdef")]);
        assert_eq!(permitted(&several, &beyond), Err(Refused::NoToken), "one guess a request");
        let right = asked(&[("x-why502-token", "0123456789abcdef")]);
        assert_eq!(super::permitted(&right, &beyond, |_| Judged::Ignored), Err(Refused::Guesses));
        beyond.operators.token = None;
        assert_eq!(permitted(&asked(&[("x-why502-token", "")]), &beyond), Err(Refused::NoToken));
    }

    #[test]
    fn another_sites_page_reads_nothing() {
        let config = config("127.0.0.1:9502");
        for (site, mode, expected) in [
            ("same-origin", "cors", Ok(())),
            ("none", "navigate", Ok(())),
            ("cross-site", "navigate", Ok(())),
            ("cross-site", "no-cors", Err(Refused::PageForeign)),
            ("same-site", "cors", Err(Refused::PageForeign)),
        ] {
            let asked = asked(&[("sec-fetch-site", site), ("sec-fetch-mode", mode)]);
            assert_eq!(permitted(&asked, &config), expected, "{site} {mode}");
        }
    }
}
