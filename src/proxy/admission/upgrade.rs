//! Owns the change of protocol that a client asks for (RFC 9110, section 7.8).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::Version;
use http::header;
use http::request::Parts;
use ring::digest;

use super::Content;
use super::Refusal;
use crate::proxy::fields::Field;
use crate::proxy::fields::Fields;
use crate::proxy::hop;

/// What a client would change to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// The protocols in its order, as a value of `Upgrade`.
    protocols: HeaderValue,
    /// The proof that the server owes this proxy, where the handshake of a WebSocket is this proxy's own: a client of HTTP/2 makes
    /// none (RFC 8441, section 5). A client of HTTP/1.1 checks it itself.
    proof: Option<HeaderValue>,
}

impl Upgrade {
    /// The upgrade that counts: asked for in HTTP/1.1 or by what stands for it in HTTP/2, named in `Connection`, and to something else than HTTP itself (RFC 9110,
    /// section 7.8). An upgrade to h2c would carry requests past this proxy unseen, so it is ignored, as a server may.
    ///
    /// # Errors
    ///
    /// An upgrade that brings a body along, or one to WebSocket by another method than GET.
    pub fn asked(parts: &Parts, fields: Fields, content: Content) -> Result<Option<Self>, Refusal> {
        let asked = fields.has(Field::Upgrade) && parts.version >= Version::HTTP_11;
        if !asked || !hop::has_option(&parts.headers, fields, "upgrade") {
            return Ok(None);
        }
        let protocols: Vec<&str> =
            hop::members(&parts.headers, &header::UPGRADE).filter(|name| is_passed_on(name)).collect();
        if protocols.is_empty() {
            return Ok(None);
        }
        if content != Content::None {
            return Err(Refusal::UpgradeWithContent);
        }
        if parts.method != Method::GET && protocols.iter().any(|name| name.eq_ignore_ascii_case("websocket")) {
            return Err(Refusal::UpgradeMethod);
        }
        let key = parts.headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| parts.version == Version::HTTP_2);
        let proof = key.and_then(|key| HeaderValue::try_from(proof(key.as_bytes())).ok());
        Ok(HeaderValue::try_from(protocols.join(", ")).ok().map(|protocols| Self { protocols, proof }))
    }

    /// The value to forward.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        self.protocols.clone()
    }

    /// The protocols as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.protocols.to_str().unwrap_or_default()
    }

    /// Whether the head of a 101 proves what it has to.
    #[must_use]
    pub fn is_accepted(&self, headers: &HeaderMap) -> bool {
        self.proof.as_ref().is_none_or(|proof| headers.get(header::SEC_WEBSOCKET_ACCEPT) == Some(proof))
    }

    /// Whether this protocol is among those asked for. Names are compared without case.
    #[must_use]
    pub fn asks_for(&self, protocol: &str) -> bool {
        self.as_str().split(", ").any(|asked| asked.eq_ignore_ascii_case(protocol))
    }
}

/// What a 426 wants the client to change to (RFC 9110, section 15.5.22), of what is passed on.
#[must_use]
pub fn wanted(headers: &HeaderMap) -> Option<HeaderValue> {
    let protocols: Vec<&str> = hop::members(headers, &header::UPGRADE).filter(|name| is_passed_on(name)).collect();
    HeaderValue::try_from(protocols.join(", ")).ok().filter(|protocols| !protocols.is_empty())
}

/// What a server answers to a key of a WebSocket's handshake (RFC 6455, section 4.2.2).
fn proof(key: &[u8]) -> String {
    let mut digest = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    digest.update(key);
    digest.update(WEBSOCKET);
    STANDARD.encode(digest.finish())
}

/// Whether an upgrade to this protocol is passed on: a name with or without a version, and not HTTP, a draft of it (`h2c-14`,
/// `SPDY/3.1`) or TLS below it.
fn is_passed_on(protocol: &str) -> bool {
    let (name, version) = protocol.split_once('/').unwrap_or((protocol, "1"));
    let is_token = |text: &str| !text.is_empty() && text.bytes().all(is_token_byte);
    let begins = |own: &str| name.get(..own.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(own));
    is_token(name) && is_token(version) && !["h2", "h3", "http", "spdy", "tls"].iter().any(|own| begins(own))
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What makes a key one of a WebSocket (RFC 6455, section 1.3).
const WEBSOCKET: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::Content;
    use super::Refusal;
    use super::Upgrade;
    use crate::proxy::fields::Fields;
    use crate::proxy::heads;

    fn asked(head: &str, content: Content) -> Result<Option<String>, Refusal> {
        let parts = heads::request(head);
        let upgrade = Upgrade::asked(&parts, Fields::of(&parts.headers), content)?;
        Ok(upgrade.map(|upgrade| upgrade.as_str().to_owned()))
    }

    #[test]
    fn an_upgrade_counts_where_connection_names_it_in_http_1_1() {
        for (head, expected) in [
            ("GET / HTTP/1.1\nConnection: keep-alive, UPGRADE\nUpgrade: websocket", Some("websocket")),
            ("GET / HTTP/1.1\nConnection: a\nConnection: upgrade\nUpgrade: a/1, b\nUpgrade: c", Some("a/1, b, c")),
            ("POST / HTTP/1.1\nConnection: upgrade\nUpgrade: tcp", Some("tcp")),
            ("GET / HTTP/1.1\nUpgrade: websocket", None),
            ("GET / HTTP/1.1\nConnection: upgrades\nUpgrade: websocket", None),
            ("GET / HTTP/1.1\nConnection: upgrade", None),
            ("GET / HTTP/1.1\nConnection: upgrade\nUpgrade: ,", None),
            ("GET / HTTP/1.0\nConnection: upgrade\nUpgrade: websocket", None),
        ] {
            assert_eq!(asked(head, Content::None), Ok(expected.map(str::to_owned)), "{head:?}");
        }
    }

    #[test]
    fn an_upgrade_to_http_itself_is_never_passed_on() {
        for (protocols, expected) in [
            ("h2c", None),
            ("H2C, h2", None),
            ("HTTP/2.0", None),
            ("h2c-14, H2C-17/1, SPDY/3.1, h3", None),
            ("TLS/1.0, HTTP/1.1", None),
            ("h2c, websocket", Some("websocket")),
            ("we bsocket, caf\u{e9}, /1, a/", None),
        ] {
            let head = format!("GET / HTTP/1.1\nConnection: upgrade, HTTP2-Settings\nUpgrade: {protocols}");
            assert_eq!(asked(&head, Content::None), Ok(expected.map(str::to_owned)), "{protocols:?}");
        }
    }

    #[test]
    fn an_upgrade_brings_no_content_and_a_websocket_begins_with_get() {
        let head = |method, protocol| format!("{method} / HTTP/1.1\nConnection: upgrade\nUpgrade: {protocol}");
        assert_eq!(asked(&head("GET", "websocket"), Content::Length(1)), Err(Refusal::UpgradeWithContent));
        assert_eq!(asked(&head("GET", "x"), Content::Chunked), Err(Refusal::UpgradeWithContent));
        assert_eq!(asked(&head("POST", "WebSocket"), Content::None), Err(Refusal::UpgradeMethod));
        assert_eq!(asked(&head("POST", "h2c"), Content::Length(9)), Ok(None));
    }

    #[test]
    fn a_handshake_of_this_proxys_own_wants_its_proof() {
        let ask = |version: http::Version| {
            let mut parts = heads::request(
                "GET / HTTP/1.1\nConnection: upgrade\nUpgrade: websocket\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            );
            parts.version = version;
            Upgrade::asked(&parts, Fields::of(&parts.headers), Content::None).unwrap().unwrap()
        };
        let right = heads::fields("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let wrong = heads::fields("sec-websocket-accept: x");
        let own = ask(http::Version::HTTP_2);
        assert!(own.is_accepted(&right) && !own.is_accepted(&wrong) && !own.is_accepted(&heads::fields("")));
        assert!(ask(http::Version::HTTP_11).is_accepted(&wrong), "the client looks at it itself");
    }

    #[test]
    fn protocols_are_recognised_without_case() {
        let parts = heads::request("GET / HTTP/1.1\nConnection: upgrade\nUpgrade: WebSocket, x/2");
        let upgrade = Upgrade::asked(&parts, Fields::of(&parts.headers), Content::None).unwrap().unwrap();
        let asked: Vec<bool> = ["websocket", "X/2", "x", "y"].iter().map(|name| upgrade.asks_for(name)).collect();
        assert_eq!(asked, [true, true, false, false]);
    }
}
