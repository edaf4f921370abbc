//! Owns what belongs to one connection only (RFC 9110, section 7.6.1): which fields those are, and their removal.
//!
//! The same rules hold in both directions. A `Connection` field cannot take away what frames a message, what is meant for
//! every recipient, or what this proxy adds: a sender must not name an end-to-end field, so such an option is ignored.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header;

use super::fields;
use super::fields::Field;
use super::fields::Fields;
use super::fields::HTTP2_SETTINGS;
use super::fields::KEEP_ALIVE;
use super::fields::PROXY_AUTHENTICATION_INFO;
use super::fields::PROXY_CONNECTION;
use super::fields::PROXY_STATUS;
use super::fields::TRACEPARENT;
use super::fields::TRACESTATE;
use super::fields::X_FORWARDED;
use super::fields::X_REQUEST_ID;
use super::fields::X_WHY502_TOKEN;

/// The fields that a `Connection` field named; they are not passed on as trailers either.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named(Vec<HeaderName>);

impl Named {
    /// What `Connection` names besides the options that this proxy knows itself. Nearly always nothing.
    fn by(headers: &HeaderMap, fields: Fields) -> Self {
        if !fields.has(Field::Connection) {
            return Self::default();
        }
        let options = members(headers, &header::CONNECTION).filter(|option| !is_known(option));
        let names = options.filter_map(|option| HeaderName::from_bytes(option.as_bytes()).ok());
        Self(names.filter(|name| !is_end_to_end(name)).collect())
    }

    /// The trailers as they are passed on: without those that `Connection` named, those that must not be trailers (RFC 9110,
    /// section 6.5.1) and those that cannot be said everywhere.
    #[must_use]
    pub fn trailers(&self, mut trailers: HeaderMap) -> HeaderMap {
        let is_unwelcome = |(name, value): &(&HeaderName, &HeaderValue)| {
            self.0.contains(name) || is_no_trailer(name) || !fields::is_line(name, value)
        };
        let unwelcome: Vec<HeaderName> = trailers.iter().filter(is_unwelcome).map(|(name, _)| name.clone()).collect();
        for name in unwelcome {
            trailers.remove(name);
        }
        trailers
    }
}

/// Takes out everything that belongs to the connection on which the head came, and says what `Connection` named.
pub fn strip(headers: &mut HeaderMap, fields: Fields) -> Named {
    let named = Named::by(headers, fields);
    for name in &named.0 {
        headers.remove(name);
    }
    for (field, name) in &HOP_BY_HOP {
        if fields.has(*field) {
            headers.remove(name);
        }
    }
    named
}

/// Whether `Connection` has this option.
#[must_use]
pub fn has_option(headers: &HeaderMap, fields: Fields, option: &str) -> bool {
    fields.has(Field::Connection) && members(headers, &header::CONNECTION).any(|has| has.eq_ignore_ascii_case(option))
}

/// The members of a comma-separated list over all lines of a field, without empty ones and without any that is not text.
pub fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let members = headers.get_all(name).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let members = members.filter_map(|member| std::str::from_utf8(member).ok());
    members.map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty())
}

/// A value that came from outside, made fit for an operator to read: one short line of printable ASCII.
#[must_use]
pub fn shown(value: &HeaderValue) -> String {
    let printable = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' };
    value.as_bytes().iter().take(MOST_SHOWN).map(printable).collect()
}

fn is_known(option: &str) -> bool {
    KNOWN.iter().any(|known| known.eq_ignore_ascii_case(option))
}

/// Whether a field is for every recipient, so that naming it in `Connection` has no effect.
fn is_end_to_end(name: &HeaderName) -> bool {
    END_TO_END.contains(name) || name.as_str().starts_with(X_FORWARDED)
}

fn is_no_trailer(name: &HeaderName) -> bool {
    NO_TRAILER.contains(name) || HOP_BY_HOP.iter().any(|(_, hop)| hop == name) || name.as_str().starts_with(X_FORWARDED)
}

/// Options of `Connection` that say something to this proxy and name no field that is not removed anyway.
const KNOWN: [&str; 5] = ["keep-alive", "close", "upgrade", "te", "http2-settings"];

/// Removed even when `Connection` does not name them. What they ask for is applied first: `TE`, `Upgrade` and
/// `Transfer-Encoding` are written again where this proxy asks for the same.
static HOP_BY_HOP: [(Field, HeaderName); 11] = [
    (Field::Connection, header::CONNECTION),
    (Field::Http2Settings, HTTP2_SETTINGS),
    (Field::KeepAlive, KEEP_ALIVE),
    (Field::ProxyAuthenticate, header::PROXY_AUTHENTICATE),
    (Field::ProxyAuthenticationInfo, PROXY_AUTHENTICATION_INFO),
    (Field::ProxyAuthorization, header::PROXY_AUTHORIZATION),
    (Field::ProxyConnection, PROXY_CONNECTION),
    (Field::Te, header::TE),
    (Field::TransferEncoding, header::TRANSFER_ENCODING),
    (Field::Upgrade, header::UPGRADE),
    (Field::Token, X_WHY502_TOKEN),
];

/// What `Connection` cannot take away.
static END_TO_END: [HeaderName; 22] = [
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::DATE,
    header::EXPECT,
    header::FORWARDED,
    header::HOST,
    header::LOCATION,
    header::MAX_FORWARDS,
    header::RANGE,
    header::SET_COOKIE,
    header::TRAILER,
    header::VIA,
    header::WWW_AUTHENTICATE,
    PROXY_STATUS,
    TRACEPARENT,
    TRACESTATE,
    X_REQUEST_ID,
];

/// Fields of framing, routing, authentication and content, which mean nothing or harm behind a body.
const NO_TRAILER: [HeaderName; 15] = [
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::EXPECT,
    header::FORWARDED,
    header::HOST,
    header::MAX_FORWARDS,
    header::SET_COOKIE,
    header::TRAILER,
    header::VIA,
    header::WWW_AUTHENTICATE,
];

/// Bytes of a value that an operator is shown.
const MOST_SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::HeaderName;
    use http::HeaderValue;

    use super::END_TO_END;
    use super::HOP_BY_HOP;
    use super::Named;
    use super::shown;
    use super::strip;
    use crate::proxy::fields::Fields;
    use crate::proxy::heads;

    fn stripped(text: &str) -> (Vec<String>, Named) {
        let mut headers = heads::fields(text);
        let fields = Fields::of(&headers);
        let named = strip(&mut headers, fields);
        (heads::lines(&headers), named)
    }

    #[test]
    fn what_belongs_to_the_connection_goes_and_the_rest_stays() {
        for (text, expected) in [
            ("accept: x", &["accept: x"][..]),
            ("connection: keep-alive\naccept: x", &["accept: x"]),
            ("connection: X-Hop, close\nx-hop: 1\nx-hop: 2\nx-keep: 3", &["x-keep: 3"]),
            ("connection: a\nconnection: ,B ,\na: 1\nb: 2\nc: 3", &["c: 3"]),
            ("connection: \u{e9}, a\na: 1", &[]),
            ("connection: not a name\na: 1", &["a: 1"]),
            ("keep-alive: timeout=5\nproxy-connection: x\nte: gzip\nupgrade: h2c\nhttp2-settings: AA", &[]),
            ("proxy-authorization: x\nproxy-authenticate: y\nproxy-authentication-info: z", &[]),
            ("x-why502-token: secret\ntransfer-encoding: chunked", &[]),
            ("set-cookie: a\nset-cookie: b\nconnection: set-cookie", &["set-cookie: a", "set-cookie: b"]),
            (
                "connection: Host, Content-Length, Authorization, Via, X-Forwarded-For, X-Forwarded-Any\nhost: a\n\
                 content-length: 3\nauthorization: b\nvia: 1.1 c\nx-forwarded-for: d\nx-forwarded-any: e",
                &[
                    "authorization: b",
                    "content-length: 3",
                    "host: a",
                    "via: 1.1 c",
                    "x-forwarded-any: e",
                    "x-forwarded-for: d",
                ],
            ),
        ] {
            assert_eq!(stripped(text).0, expected, "{text:?}");
        }
    }

    #[test]
    fn trailers_are_rid_of_what_connection_named_and_of_what_is_none() {
        let (_, named) = stripped("connection: X-Hop\nx-other: 1");
        let trailers = heads::fields(
            "x-hop: 1\nx-sum: 2\ncontent-length: 3\ntransfer-encoding: x\nhost: y\nauthorization: z\ntrailer: t\n\
             x-forwarded-for: 1.1.1.1\ngrpc-status: 0\nx-sum: 4\nconnection: x-sum",
        );
        assert_eq!(heads::lines(&named.trailers(trailers)), ["grpc-status: 0", "x-sum: 2", "x-sum: 4"]);
        assert_eq!(Named::default().trailers(HeaderMap::new()), HeaderMap::new());
        let mut of_http_2 = heads::fields("a: 1");
        of_http_2.append("b", HeaderValue::from_static(" 2"));
        of_http_2.append(HeaderName::from_lowercase(b"c\"").unwrap(), HeaderValue::from_static("3"));
        assert_eq!(heads::lines(&Named::default().trailers(of_http_2)), ["a: 1"]);
    }

    #[test]
    fn foreign_values_are_shown_short_and_printable() {
        let value = |text: &str| heads::fields(&format!("a: {text}")).remove("a").unwrap();
        assert_eq!(shown(&value("5\u{e9}\t~")), "5??~");
        assert_eq!(shown(&value(&"x".repeat(500))).len(), 80);
    }

    /// Random heads against the rule itself: what stays is exactly what is neither named nor known to be for one connection,
    /// in its order.
    #[test]
    fn any_head_keeps_exactly_what_is_end_to_end() {
        let mut random = fastrand::Rng::with_seed(9110);
        let names = ["a", "b", "x-c", "te", "keep-alive", "host", "via", "upgrade", "cookie", "x-forwarded-for", "d-e"];
        for _ in 0..5_000 {
            let mut pick = || names[random.usize(..names.len())];
            let options: Vec<&str> = (0..3).map(|_| pick()).collect();
            let lines: Vec<(&str, usize)> = (0..8).map(|number| (pick(), number)).collect();
            let mut text =
                format!("connection: {}, {}\nconnection: {}\n", options[0], options[1].to_uppercase(), options[2]);
            text.extend(lines.iter().map(|(name, number)| format!("{name}: {number}\n")));

            let hop = |name: &str| HOP_BY_HOP.iter().any(|(_, hop)| hop == name);
            let kept = |name: &str| END_TO_END.iter().any(|end| end == name) || name.starts_with("x-forwarded-");
            let mut expected: Vec<_> =
                lines.iter().filter(|(name, _)| kept(name) || !hop(name) && !options.contains(name)).collect();
            expected.sort_by_key(|(name, _)| *name);
            let expected: Vec<_> = expected.iter().map(|(name, number)| format!("{name}: {number}")).collect();
            assert_eq!(stripped(&text).0, expected, "{text}");
        }
    }
}
