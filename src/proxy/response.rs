//! Owns the head of a response as the client gets it, and the refusal of heads that hyper lets through and nobody should see.
//!
//! hyper's server adds `Date` where there is none, frames the body anew, and sends no body with HEAD, 204 and 304.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::Version;
use http::header;
use http::response::Parts;

use super::admission::Upgrade;
use super::admission::content;
use super::admission::upgrade;
use super::fields;
use super::fields::Field;
use super::fields::Fields;
use super::hop;
use super::hop::Named;
use super::via::Pseudonym;
use crate::fault::failure::Malformed;

/// A head that is ready for the client.
#[derive(Debug)]
pub struct Relayed {
    /// The head.
    pub parts: Parts,
    /// What the origin's `Connection` named, for the trailers.
    pub named: Named,
    /// Whether the origin's connection may serve another request.
    pub framing: Framing,
}

/// How far the framing of a response can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is one way to read it.
    Certain,
    /// It came with a length beside its chunks. The chunks count (RFC 9112, section 6.3), but the connection should not be used
    /// again: who writes both may be confused about where its messages end.
    Doubtful,
}

/// Makes of an origin's head the head that the client gets.
///
/// # Errors
///
/// What is wrong with a head that must not be passed on: a status beyond 599, a length that is none, a transfer coding other
/// than one `chunked`, a 101 that was not asked for, a field of HTTP/2 that can be no line of HTTP/1.
pub fn response(mut parts: Parts, pseudonym: &Pseudonym) -> Result<Relayed, Malformed> {
    if parts.version == Version::HTTP_2
        && let Some(index) = parts.headers.iter().position(|(name, value)| !fields::is_line(name, value))
    {
        return Err(Malformed::FieldLine(index + 1));
    }
    let fields = Fields::of(&parts.headers);
    match parts.status.as_u16() {
        101 => return Err(Malformed::Upgrade(first_shown(&parts.headers, &header::UPGRADE))),
        status @ (..=199 | 600..) => return Err(Malformed::Status(status)),
        200..=599 => {}
    }
    let framing = frame(&mut parts, fields)?;
    let wanted = (parts.status == StatusCode::UPGRADE_REQUIRED).then(|| upgrade::wanted(&parts.headers)).flatten();
    let named = clean(&mut parts, fields, pseudonym);
    if let Some(wanted) = wanted {
        parts.headers.insert(header::UPGRADE, wanted);
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    Ok(Relayed { parts, named, framing })
}

/// Makes of an origin's 101 the head that the client gets (RFC 9110, section 7.8).
///
/// # Errors
///
/// `Malformed::Upgrade` where it changes to a protocol that the client did not ask for, or names none, or does not say so in
/// `Connection`, or does not prove that it has understood the handshake that this proxy made up.
pub fn switching(mut parts: Parts, asked: Option<&Upgrade>, pseudonym: &Pseudonym) -> Result<Parts, Malformed> {
    let fields = Fields::of(&parts.headers);
    let chosen: Vec<&str> = hop::members(&parts.headers, &header::UPGRADE).collect();
    let was_asked = |protocol: &&str| asked.is_some_and(|asked| asked.asks_for(protocol));
    if chosen.is_empty() || !chosen.iter().all(was_asked) || !hop::has_option(&parts.headers, fields, "upgrade") {
        return Err(Malformed::Upgrade(first_shown(&parts.headers, &header::UPGRADE)));
    }
    if asked.is_some_and(|asked| !asked.is_accepted(&parts.headers)) {
        return Err(Malformed::Upgrade(first_shown(&parts.headers, &header::UPGRADE)));
    }
    let upgrade = HeaderValue::try_from(chosen.join(", "))
        .map_err(|_| Malformed::Upgrade(first_shown(&parts.headers, &header::UPGRADE)))?;
    clean(&mut parts, fields, pseudonym);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::UPGRADE, upgrade);
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    Ok(parts)
}

/// An interim response (RFC 9110, section 15.2) as the client gets it. None for 100, which goes out when the body is asked for,
/// for 101, for what is not interim, and for a head that can be no head of HTTP/1.
#[must_use]
pub fn interim(status: StatusCode, mut headers: HeaderMap) -> Option<Response<()>> {
    if !matches!(status.as_u16(), 102..=199) {
        return None;
    }
    if !headers.iter().all(|(name, value)| fields::is_line(name, value)) {
        return None;
    }
    let fields = Fields::of(&headers);
    hop::strip(&mut headers, fields);
    headers.remove(header::CONTENT_LENGTH);
    let mut head = Response::new(());
    *head.status_mut() = status;
    *head.headers_mut() = headers;
    Some(head)
}

/// Holds the fields of framing to the rules (RFC 9112, section 6.3) and leaves at most one valid `Content-Length`.
///
/// hyper has checked lengths where it needed one, so not those of HEAD and 304, and none beside a transfer coding. It reads
/// any last coding that is not `chunked` until the connection closes, and does not look at those before it.
fn frame(parts: &mut Parts, fields: Fields) -> Result<Framing, Malformed> {
    if parts.status == StatusCode::NO_CONTENT {
        parts.headers.remove(header::CONTENT_LENGTH);
        return Ok(Framing::Certain);
    }
    if fields.has(Field::TransferEncoding) {
        let obeyed = parts.status != StatusCode::NOT_MODIFIED;
        if obeyed && (parts.version == Version::HTTP_10 || !content::is_chunked_once(&parts.headers)) {
            let codings = parts.headers.get_all(header::TRANSFER_ENCODING).iter().map(hop::shown);
            return Err(Malformed::TransferCoding(codings.collect::<Vec<_>>().join(", ")));
        }
        let both = parts.headers.remove(header::CONTENT_LENGTH).is_some();
        return Ok(if both { Framing::Doubtful } else { Framing::Certain });
    }
    if fields.has(Field::ContentLength) {
        one_length(&mut parts.headers)?;
    }
    Ok(Framing::Certain)
}

/// Makes one plain line of lengths that are equal (RFC 9110, section 8.6).
fn one_length(headers: &mut HeaderMap) -> Result<(), Malformed> {
    let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
    if let (Some(line), None) = (lines.next(), lines.next())
        && content::length(line).is_some()
        && content::is_plain(line)
    {
        return Ok(());
    }
    let wrong = || Malformed::ContentLength(headers.get_all(header::CONTENT_LENGTH).iter().map(hop::shown).collect());
    let mut lengths = headers
        .get_all(header::CONTENT_LENGTH)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(|member| HeaderValue::from_bytes(member.trim_ascii()).ok().as_ref().and_then(content::length));
    let first = lengths.next().flatten().ok_or_else(wrong)?;
    if lengths.any(|length| length != Some(first)) {
        return Err(wrong());
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(first));
    Ok(())
}

/// What every final head goes through, whatever becomes of its body.
fn clean(parts: &mut Parts, fields: Fields, pseudonym: &Pseudonym) -> Named {
    let named = hop::strip(&mut parts.headers, fields);
    pseudonym.sign(&mut parts.headers, parts.version);
    parts.version = Version::HTTP_11;
    named
}

fn first_shown(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(hop::shown)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::Framing;
    use super::interim;
    use super::response;
    use super::switching;
    use crate::fault::failure::Malformed;
    use crate::proxy::admission::Content;
    use crate::proxy::admission::Upgrade;
    use crate::proxy::fields::Fields;
    use crate::proxy::heads;
    use crate::proxy::via::Pseudonym;

    fn relayed(head: &str) -> Result<(Vec<String>, Framing), Malformed> {
        let relayed = response(heads::response(head), &Pseudonym::of("a1"))?;
        assert_eq!(relayed.parts.version, http::Version::HTTP_11);
        Ok((heads::lines(&relayed.parts.headers), relayed.framing))
    }

    fn check(rows: &[(&str, &[&str])]) {
        for (head, expected) in rows {
            let expected = expected.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(relayed(head), Ok((expected, Framing::Certain)), "{head:?}");
        }
    }

    #[test]
    fn a_sound_head_is_signed_and_otherwise_as_it_came() {
        check(&[
            ("HTTP/1.1 200", &["via: 1.1 why502-a1"]),
            ("HTTP/1.0 599\nserver: x", &["server: x", "via: 1.0 why502-a1"]),
            (
                "HTTP/1.1 200\nvia: 1.0 fred\nset-cookie: b\nset-cookie: a",
                &["set-cookie: b", "set-cookie: a", "via: 1.0 fred", "via: 1.1 why502-a1"],
            ),
            (
                "HTTP/1.1 502\nproxy-status: inner; error=dns_timeout",
                &["proxy-status: inner; error=dns_timeout", "via: 1.1 why502-a1"],
            ),
            (
                "HTTP/1.1 200\nconnection: x-hop, close\nx-hop: 1\nkeep-alive: timeout=9\nupgrade: h2c\nx-end: 2",
                &["via: 1.1 why502-a1", "x-end: 2"],
            ),
            (
                "HTTP/1.1 200\nconnection: content-length\ncontent-length: 5",
                &["content-length: 5", "via: 1.1 why502-a1"],
            ),
        ]);
    }

    #[test]
    fn framing_is_left_without_a_doubt() {
        check(&[
            ("HTTP/1.1 200\ncontent-length: 5", &["content-length: 5", "via: 1.1 why502-a1"]),
            ("HTTP/1.1 200\ncontent-length: 5\ncontent-length: 5", &["content-length: 5", "via: 1.1 why502-a1"]),
            ("HTTP/1.1 200\ncontent-length: 00000000000000000005", &["content-length: 5", "via: 1.1 why502-a1"]),
            ("HTTP/1.1 200\ncontent-length: 5, 05 ,5", &["content-length: 5", "via: 1.1 why502-a1"]),
            ("HTTP/1.1 304\ncontent-length: 99", &["content-length: 99", "via: 1.1 why502-a1"]),
            ("HTTP/1.1 200\ntransfer-encoding: CHUNKED", &["via: 1.1 why502-a1"]),
            ("HTTP/1.1 304\ntransfer-encoding: gzip", &["via: 1.1 why502-a1"]),
            ("HTTP/1.1 204\ncontent-length: 5", &["via: 1.1 why502-a1"]),
            ("HTTP/1.1 204\ntransfer-encoding: chunked\ncontent-length: x", &["via: 1.1 why502-a1"]),
        ]);
        let both = relayed("HTTP/1.1 200\ncontent-length: 3\ntransfer-encoding: chunked");
        assert_eq!(both, Ok((vec!["via: 1.1 why502-a1".to_owned()], Framing::Doubtful)));
    }

    #[test]
    fn a_head_that_hyper_lets_through_is_refused_where_nobody_should_see_it() {
        let lengths = |shown: &[&str]| Malformed::ContentLength(shown.iter().map(|line| (*line).to_owned()).collect());
        let coding = |shown: &str| Malformed::TransferCoding(shown.to_owned());
        for (head, expected) in [
            ("HTTP/1.1 600", Malformed::Status(600)),
            ("HTTP/1.1 999", Malformed::Status(999)),
            ("HTTP/1.1 100", Malformed::Status(100)),
            ("HTTP/1.1 101\nconnection: upgrade\nupgrade: x", Malformed::Upgrade(Some("x".to_owned()))),
            ("HTTP/1.1 200\ncontent-length: 5\ncontent-length: 3", lengths(&["5", "3"])),
            ("HTTP/1.1 200\ncontent-length: 5, 3", lengths(&["5, 3"])),
            ("HTTP/1.1 200\ncontent-length: +5", lengths(&["+5"])),
            ("HTTP/1.1 200\ncontent-length: 0x5", lengths(&["0x5"])),
            ("HTTP/1.1 200\ncontent-length:", lengths(&[""])),
            ("HTTP/1.1 200\ncontent-length: 5,", lengths(&["5,"])),
            ("HTTP/1.1 200\ncontent-length: \u{e9}", lengths(&["?"])),
            ("HTTP/1.1 200\ncontent-length: 9223372036854775808", lengths(&["9223372036854775808"])),
            ("HTTP/1.1 304\ncontent-length: abc", lengths(&["abc"])),
            ("HTTP/1.1 200\ntransfer-encoding: bogus", coding("bogus")),
            ("HTTP/1.1 200\ntransfer-encoding: gzip, chunked", coding("gzip, chunked")),
            ("HTTP/1.1 200\ntransfer-encoding: chunked\ntransfer-encoding: chunked", coding("chunked, chunked")),
            ("HTTP/1.0 200\ntransfer-encoding: chunked", coding("chunked")),
        ] {
            assert_eq!(relayed(head), Err(expected), "{head:?}");
        }
    }

    fn switched(asked: &str, head: &str) -> Result<Vec<String>, Malformed> {
        let request = heads::request(&format!("GET / HTTP/1.1\nConnection: upgrade\nUpgrade: {asked}"));
        let asked = Upgrade::asked(&request, Fields::of(&request.headers), Content::None).unwrap();
        let parts = switching(heads::response(head), asked.as_ref(), &Pseudonym::of("a1"))?;
        Ok(heads::lines(&parts.headers))
    }

    #[test]
    fn a_101_that_was_asked_for_keeps_what_the_handshake_needs() {
        let head = "HTTP/1.1 101\nconnection: Upgrade, x-hop\nx-hop: 1\nupgrade: WebSocket\nsec-websocket-accept: s=\n\
                    content-length: 5\ntransfer-encoding: chunked";
        let expected = ["connection: upgrade", "sec-websocket-accept: s=", "upgrade: WebSocket", "via: 1.1 why502-a1"];
        assert_eq!(switched("x/1, websocket", head).unwrap(), expected);
    }

    #[test]
    fn a_101_that_was_not_asked_for_is_refused() {
        let no = |said: Option<&str>| Err(Malformed::Upgrade(said.map(str::to_owned)));
        let said = |protocols: &str| format!("HTTP/1.1 101\nconnection: upgrade\nupgrade: {protocols}");
        assert_eq!(switched("websocket", &said("other")), no(Some("other")));
        assert_eq!(switched("websocket", &said("websocket, h2c")), no(Some("websocket, h2c")));
        assert_eq!(switched("websocket", "HTTP/1.1 101\nupgrade: websocket"), no(Some("websocket")));
        assert_eq!(switched("websocket", "HTTP/1.1 101\nconnection: upgrade"), no(None));
        assert_eq!(switched("h2c", &said("h2c")), no(Some("h2c")));
    }

    #[test]
    fn what_http_2_lets_pass_and_http_1_cannot_say_is_refused() {
        for (name, value, index) in
            [("x\"", "y", Some(2)), ("x", " y", Some(2)), ("x", "y\t", Some(2)), ("x", "\"", None)]
        {
            let mut parts = heads::response("HTTP/1.1 200\na: b");
            parts.version = http::Version::HTTP_2;
            parts.headers.append(
                http::HeaderName::from_lowercase(name.as_bytes()).unwrap(),
                http::HeaderValue::from_static(value),
            );
            let interim = interim(StatusCode::EARLY_HINTS, parts.headers.clone());
            assert_eq!(interim.is_none(), index.is_some(), "{name:?} {value:?}");
            let wrong = response(parts, &Pseudonym::of("a1")).err();
            assert_eq!(wrong, index.map(Malformed::FieldLine), "{name:?} {value:?}");
        }
    }

    #[test]
    fn a_426_says_what_it_wants_and_nothing_that_is_not_passed_on() {
        check(&[
            (
                "HTTP/1.1 426\nconnection: upgrade\nupgrade: h2c, websocket",
                &["connection: upgrade", "upgrade: websocket", "via: 1.1 why502-a1"],
            ),
            ("HTTP/1.1 426\nconnection: upgrade\nupgrade: h2c", &["via: 1.1 why502-a1"]),
            ("HTTP/1.1 200\nconnection: upgrade\nupgrade: websocket", &["via: 1.1 why502-a1"]),
        ]);
    }

    #[test]
    fn interim_heads_are_cleaned() {
        let hints =
            heads::fields("link: </a>; rel=preload\nconnection: x-hop\nx-hop: 1\ncontent-length: 5\nx-a: \u{e9}");
        let head = interim(StatusCode::EARLY_HINTS, hints).unwrap();
        assert_eq!(head.status(), 103);
        assert_eq!(heads::lines(head.headers()), ["link: </a>; rel=preload", "x-a: \u{e9}"]);

        let of = |status: u16| interim(StatusCode::from_u16(status).unwrap(), http::HeaderMap::new());
        assert!([100, 101, 200].into_iter().all(|status| of(status).is_none()) && of(199).is_some());
    }
}
