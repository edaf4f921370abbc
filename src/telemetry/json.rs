//! Owns the JSON form of a line: one object, one line, whatever is in it.
//!
//! The `request` line is written by hand, since it is the one that every request pays for: a third of what serde takes
//! for it. Every other event is written by serde and then copied member by member into the line.

use std::time::Duration;

use serde::Serialize;

use super::event::Event;
use super::event::Request;
use super::event::before_query;
use super::stamp::Stamp;

/// Appends the event's line, its end of line included.
pub(super) fn write(out: &mut Vec<u8>, stamp: &Stamp, event: &Event<'_>) {
    head(out, stamp, event);
    match event {
        Event::Request(request) => members_of_request(out, request),
        Event::Started(started) => members(out, started),
        Event::Stopped(stopped) => members(out, stopped),
        Event::UpstreamFailure(failure) => {
            members(out, failure);
            splice(out, failure.report);
        }
        Event::ServerEjected(ejected) => members(out, ejected),
        Event::ServerReturned(returned) => members(out, returned),
        Event::Notice(notice) => members(out, notice),
    }
    out.extend_from_slice(b"}\n");
}

fn head(out: &mut Vec<u8>, stamp: &Stamp, event: &Event<'_>) {
    out.extend_from_slice(b"{\"ts\":\"");
    stamp.write(out);
    out.extend_from_slice(b"\",\"level\":\"");
    out.extend_from_slice(event.level().word().as_bytes());
    out.extend_from_slice(b"\",\"event\":\"");
    out.extend_from_slice(event.word().as_bytes());
    out.push(b'"');
}

fn members_of_request(out: &mut Vec<u8>, request: &Request<'_>) {
    text(out, b",\"request_id\":\"", request.request_id.as_bytes());
    text(out, b"\",\"client\":\"", request.client.as_bytes());
    text(out, b"\",\"method\":\"", request.method.as_bytes());
    text(out, b"\",\"host\":\"", request.host);
    text(out, b"\",\"path\":\"", before_query(request.path));
    text(out, b"\",\"protocol\":\"", request.protocol.as_bytes());
    number(out, b"\",\"status\":", u64::from(request.status));
    number(out, b",\"bytes_sent\":", request.bytes_sent);
    milliseconds(out, b",\"elapsed_ms\":", request.elapsed);
    text_or_null(out, b",\"route\":", request.route);
    text_or_null(out, b",\"upstream\":", request.upstream);
    text_or_null(out, b",\"server\":", request.server);
    if request.aborted {
        out.extend_from_slice(b",\"aborted\":true");
    }
}

/// Appends what serde makes of the event. It cannot fail: no key is anything but text, and nothing but memory is written.
fn members(out: &mut Vec<u8>, event: &impl Serialize) {
    splice(out, &serde_json::to_vec(event).unwrap_or_default());
}

/// Appends the members of a whole JSON object to one that is open and has members already.
///
/// Outside of its strings JSON has nothing but ASCII, and inside them no control character but DEL; so a line break is
/// layout and becomes a space, and everything else that a line must not hold is in a string and is escaped there.
pub(super) fn splice(out: &mut Vec<u8>, object: &[u8]) {
    let members = object.trim_ascii().strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}"));
    let members = members.unwrap_or_default().trim_ascii();
    if members.is_empty() {
        return;
    }
    out.push(b',');
    for character in String::from_utf8_lossy(members).chars() {
        match character {
            '\0'..' ' => out.push(b' '),
            hidden if is_hidden(hidden) => unicode_escape(out, hidden),
            plain => push(out, plain),
        }
    }
}

/// Whether a character moves the cursor, ends a line, turns the text around or is not seen at all, for some reader of
/// the log: control characters (C1 too, which old terminals obey), Unicode's line ends, and what directs bidirectional text.
pub(super) fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Appends the key and the text behind it, escaped; the text's closing quote is the next key's first byte.
#[inline]
fn text(out: &mut Vec<u8>, key: &[u8], text: &[u8]) {
    out.extend_from_slice(key);
    if is_plain(text) {
        out.extend_from_slice(text);
    } else {
        escape(out, text);
    }
}

#[inline]
fn text_or_null(out: &mut Vec<u8>, key: &[u8], value: Option<&str>) {
    out.extend_from_slice(key);
    match value {
        Some(value) => {
            text(out, b"\"", value.as_bytes());
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

/// Whether no byte of the text needs escaping. Looks at all of them, without a branch, which is faster than to stop.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    text.iter().fold(true, |plain, &byte| plain & (byte >= b' ') & (byte < 0x7f) & (byte != b'"') & (byte != b'\\'))
}

#[cold]
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for character in String::from_utf8_lossy(text).chars() {
        match character {
            '"' | '\\' => {
                out.push(b'\\');
                push(out, character);
            }
            hidden if is_hidden(hidden) => unicode_escape(out, hidden),
            plain => push(out, plain),
        }
    }
}

/// Appends a hidden character in a form that can be seen; none of them lies beyond four hexadecimal digits.
pub(super) fn unicode_escape(out: &mut Vec<u8>, character: char) {
    out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
}

/// Appends one character as UTF-8.
pub(super) fn push(out: &mut Vec<u8>, character: char) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[inline]
fn number(out: &mut Vec<u8>, key: &[u8], mut number: u64) {
    out.extend_from_slice(key);
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Appends a time as milliseconds with three decimals.
#[inline]
fn milliseconds(out: &mut Vec<u8>, key: &[u8], time: Duration) {
    let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    number(out, key, microseconds / 1000);
    out.push(b'.');
    three_digits(out, (microseconds % 1000) as u16);
}

/// Appends a number below 1000 with its leading zeros.
#[inline]
pub(super) fn three_digits(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&[
        b'0' + (number / 100 % 10) as u8,
        b'0' + (number / 10 % 10) as u8,
        b'0' + (number % 10) as u8,
    ]);
}
