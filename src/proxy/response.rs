//! Owns the head of a response as the client gets it, and the refusal of heads that hyper lets through and nobody should see.
//!
//! hyper's server adds `Date` where there is none, frames the body anew, and sends no body with HEAD, 204 and 304.

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::Version;
use http::header;
use http::response::Parts;

use super::admission;
use super::admission::Upgrade;
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
/// than one `chunked`, a 101 that was not asked for.
pub fn response(mut parts: Parts, pseudonym: &Pseudonym) -> Result<Relayed, Malformed> {
    let fields = Fields::of(&parts.headers);
    match parts.status.as_u16() {
        101 => return Err(Malformed::Upgrade(first_shown(&parts.headers, &header::UPGRADE))),
        status @ (..=199 | 600..) => return Err(Malformed::Status(status)),
        200..=599 => {}
    }
    let framing = frame(&mut parts, fields)?;
    let named = clean(&mut parts, fields, pseudonym);
    Ok(Relayed { parts, named, framing })
}

/// Makes of an origin's 101 the head that the client gets (RFC 9110, section 7.8).
///
/// # Errors
///
/// `Malformed::Upgrade` where it changes to a protocol that the client did not ask for, or names none.
pub fn switching(mut parts: Parts, asked: Option<&Upgrade>, pseudonym: &Pseudonym) -> Result<Parts, Malformed> {
    let chosen: Vec<&str> = hop::members(&parts.headers, &header::UPGRADE).collect();
    let was_asked = |protocol: &&str| asked.is_some_and(|asked| asked.asks_for(protocol));
    if chosen.is_empty() || !chosen.iter().all(was_asked) {
        return Err(Malformed::Upgrade(first_shown(&parts.headers, &header::UPGRADE)));
    }
    let upgrade = HeaderValue::try_from(chosen.join(", "))
        .map_err(|_| Malformed::Upgrade(first_shown(&parts.headers, &header::UPGRADE)))?;
    let fields = Fields::of(&parts.headers);
    clean(&mut parts, fields, pseudonym);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::UPGRADE, upgrade);
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    Ok(parts)
}

/// An interim response (RFC 9110, section 15.2) as bytes for an HTTP/1.1 client. None for 100, which hyper's server sends by
/// itself when the body is asked for, for 101, and for what is not interim.
#[must_use]
pub fn interim(status: StatusCode, mut headers: HeaderMap) -> Option<Vec<u8>> {
    if !matches!(status.as_u16(), 102..=199) {
        return None;
    }
    let fields = Fields::of(&headers);
    hop::strip(&mut headers, fields);
    headers.remove(header::CONTENT_LENGTH);
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    for (name, value) in &headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
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
        if obeyed && (parts.version == Version::HTTP_10 || !admission::is_chunked_once(&parts.headers)) {
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

/// Makes one line of lengths that are equal (RFC 9110, section 8.6).
fn one_length(headers: &mut HeaderMap) -> Result<(), Malformed> {
    let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
    if let (Some(line), None) = (lines.next(), lines.next())
        && admission::length(line).is_some()
    {
        return Ok(());
    }
    let wrong = || Malformed::ContentLength(headers.get_all(header::CONTENT_LENGTH).iter().map(hop::shown).collect());
    let mut lengths = headers
        .get_all(header::CONTENT_LENGTH)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(|member| HeaderValue::from_bytes(member.trim_ascii()).ok().as_ref().and_then(admission::length));
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
