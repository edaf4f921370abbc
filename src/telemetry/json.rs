//! Owns the JSON form of a line: one object, one line, whatever is in it.
//!
//! The lines that every request may pay for, `request` and `upstream_failure`, are written by hand: a third of what serde takes
//! for them. Every other event is written by serde and then copied member by member into the line.

use std::time::Duration;

use serde::Serialize;

use super::event::Event;
use super::event::Request;
use super::event::UpstreamFailure;
use super::event::before_query;
use super::stamp::Stamp;

/// Appends the event's line, its end of line included.
pub(super) fn write(out: &mut Vec<u8>, stamp: &Stamp, event: &Event<'_>) {
    head(out, stamp, event);
    match event {
        Event::Request(request) => members_of_request(out, request),
        Event::Started(started) => members(out, started),
        Event::Reloaded(reloaded) => members(out, reloaded),
        Event::ReloadRefused(refused) => members(out, refused),
        Event::Stopped(stopped) => members(out, stopped),
        Event::UpstreamFailure(failure) => members_of_failure(out, failure),
        Event::ServerEjected(ejected) => members(out, ejected),
        Event::ServerReturned(returned) => members(out, returned),
        Event::Probe(probe) => members(out, probe),
        Event::IncidentOpened(opened) => members(out, opened),
        Event::IncidentClosed(closed) => members(out, closed),
        Event::Notice(notice) => members(out, notice),
    }
    out.extend_from_slice(b"}\n");
}

/// The event's line alone, without its end of line.
pub(super) fn line(stamp: &Stamp, event: &Event<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    write(&mut line, stamp, event);
    line.pop();
    line
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
    if let Some(span) = request.span {
        digits(out, b"\",\"trace_id\":\"", span.trace_id());
        digits(out, b"\",\"span_id\":\"", span.span_id());
    }
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

fn members_of_failure(out: &mut Vec<u8>, failure: &UpstreamFailure<'_>) {
    text(out, b",\"client\":\"", failure.client.as_bytes());
    text(out, b"\",\"method\":\"", failure.method.as_bytes());
    text(out, b"\",\"host\":\"", failure.host);
    text(out, b"\",\"path\":\"", before_query(failure.path));
    text_or_null(out, b"\",\"route\":", failure.route);
    number(out, b",\"bytes_sent\":", failure.bytes_sent);
    out.extend_from_slice(if failure.retried { b",\"retried\":true" } else { b",\"retried\":false" });
    digits(out, b",\"trace_id\":\"", failure.span.trace_id());
    digits(out, b"\",\"span_id\":\"", failure.span.span_id());
    out.push(b'"');
    out.extend_from_slice(failure.report);
}

/// Appends what serde makes of the event. It cannot fail: no key is anything but text, and nothing but memory is written.
fn members(out: &mut Vec<u8>, event: &impl Serialize) {
    splice(out, &serde_json::to_vec(event).unwrap_or_default());
}

/// The members of a whole JSON object as a line has them behind others: a comma before each, and nothing that a line must not
/// hold.
#[must_use]
pub fn members_in_line(object: &str) -> String {
    let mut out = Vec::with_capacity(object.len());
    splice(&mut out, object.as_bytes());
    String::from_utf8(out).unwrap_or_default()
}

/// Appends the members of a whole JSON object to one that is open and has members already.
///
/// Outside of its strings JSON has nothing but ASCII, and inside them no control character but DEL; so a line break is
/// layout and goes with the spaces around it, and everything else that a line must not hold is in a string and is escaped there.
pub(super) fn splice(out: &mut Vec<u8>, object: &[u8]) {
    let members = object.trim_ascii().strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}"));
    let members = members.unwrap_or_default().trim_ascii();
    if members.is_empty() {
        return;
    }
    out.push(b',');
    for line in members.split(|byte| *byte == b'\n') {
        unfold(out, line.trim_ascii());
    }
}

/// Appends a line of JSON without what a log line must not hold.
fn unfold(out: &mut Vec<u8>, line: &[u8]) {
    if line.iter().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~')) {
        // All of it looked at without a branch, which is an order faster than letter by letter; nearly every line is plain.
        out.extend_from_slice(line);
        return;
    }
    for character in String::from_utf8_lossy(line).chars() {
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

/// Appends the key and the digits behind it, of which none needs escaping.
#[inline]
fn digits(out: &mut Vec<u8>, key: &[u8], digits: &[u8]) {
    out.extend_from_slice(key);
    out.extend_from_slice(digits);
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
    let odd = |byte| matches!(byte, 0..b' ' | b'"' | b'\\' | 0x7f..);
    text.iter().fold(0, |found, &byte| found | u8::from(odd(byte))) == 0
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::is_hidden;
    use crate::telemetry::Event;
    use crate::telemetry::Notice;
    use crate::telemetry::Request;
    use crate::telemetry::UpstreamFailure;
    use crate::telemetry::samples;

    #[test]
    fn the_lines_of_every_event_are_these() {
        let table = [
            (
                samples::started(),
                r#""level":"info","event":"started","version":"0.1.0","configuration":"why502.toml","listeners":["127.0.0.1:8080","unix:/run/why502.sock"],"workers":2"#,
            ),
            (
                samples::request(),
                r#""level":"info","event":"request","request_id":"01J8Z3K4M5N6P7Q8R9S0T1V2W3","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","client":"10.50.0.10","method":"GET","host":"shop.example","path":"/cart","protocol":"HTTP/1.1","status":200,"bytes_sent":5120,"elapsed_ms":1.407,"route":"shop.example/","upstream":"app","server":"http://app-1.internal:3000""#,
            ),
            (
                samples::refusal(),
                r#""level":"info","event":"request","request_id":"01J8Z3K4M5N6P7Q8R9S0T1V2W3","client":"10.50.0.10","method":"GET","host":"nowhere.example","path":"/cart","protocol":"HTTP/1.1","status":404,"bytes_sent":18446744073709551615,"elapsed_ms":61000.007,"route":null,"upstream":null,"server":null,"aborted":true"#,
            ),
            (
                samples::failure(),
                r#""level":"error","event":"upstream_failure","client":"10.50.0.10","method":"GET","host":"shop.example","path":"/cart","route":"shop.example/","bytes_sent":0,"retried":false,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","title":"The origin refused the connection","attempts":[{"fault":"connection_refused"}]"#,
            ),
            (
                samples::hidden_failure(),
                r#""level":"warn","event":"upstream_failure","client":"10.50.0.10","method":"GET","host":"shop.example","path":"/cart","route":"shop.example/","bytes_sent":0,"retried":true,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","title":"The origin refused the connection","attempts":[{"fault":"connection_refused"}]"#,
            ),
            (
                samples::ejected(),
                r#""level":"warn","event":"server_ejected","upstream":"app","server":"http://app-1.internal:3000","by":"failures","fault":"response_timed_out","failures":5,"ejected_ms":10000"#,
            ),
            (
                samples::down(),
                r#""level":"warn","event":"server_ejected","upstream":"app","server":"http://app-1.internal:3000","by":"health","status":503,"failures":3"#,
            ),
            (
                samples::returned(),
                r#""level":"info","event":"server_returned","upstream":"app","server":"http://app-1.internal:3000","by":"failures","ejected_ms":10000"#,
            ),
            (
                samples::probe(),
                r#""level":"info","event":"probe","upstream":"app","server":"http://app-1.internal:3000","round":7,"fault":"connection_refused","elapsed_ms":12,"found":["10.0.0.5:3000: connection_refused after 0.4 ms","another port: 10.0.0.5:8080 opened after 0.3 ms, HTTP/1 with status 200"]"#,
            ),
            (
                samples::opened(),
                r#""level":"error","event":"incident_opened","incident":"01J8Z3K4M5N6P7Q8R9S0T1V2W4","upstream":"app","opened":"2024-02-29T12:28:01.007Z","fault":"connection_refused","cause":"origin_down","confidence":0.86,"detail":"10.0.0.5:3000 refused the connection after 0.4 ms.","evidence":[{"id":"other_port_open","says":"the host answers on port 22","points_to":"origin_down","weight":1.5}]"#,
            ),
            (
                samples::closed(),
                r#""level":"info","event":"incident_closed","incident":"01J8Z3K4M5N6P7Q8R9S0T1V2W4","upstream":"app","opened":"2024-02-29T12:28:01.007Z","closed":"2024-02-29T12:30:01.050Z","count":14,"faults":{"connection_refused":12,"connection_timed_out":2},"cause":"origin_down","confidence":0.86,"returns":1,"stored":true"#,
            ),
            (
                samples::reloaded(),
                r#""level":"info","event":"reloaded","configuration":"why502.toml","changed":["upstream \"app\": changed","[limits]"]"#,
            ),
            (
                samples::reload_refused(),
                r#""level":"warn","event":"reload_refused","configuration":"why502.toml","problems":["why502.toml:3:1: unknown key `adress`"]"#,
            ),
            (samples::notice(), r#""level":"warn","event":"notice","message":"log lines were dropped","dropped":12"#),
        ];
        for (event, members) in table {
            assert_eq!(written(&event), format!("{{\"ts\":\"2024-02-29T12:28:01.007Z\",{members}}}\n"));
        }
    }

    #[test]
    fn the_closing_line_has_the_totals() {
        let totals = samples::totals();
        let line: Value = serde_json::from_str(&written(&samples::stopped(&totals))).expect("a line is JSON");
        let expected = serde_json::json!({
            "ts": "2024-02-29T12:28:01.007Z", "level": "info", "event": "stopped", "reason": "SIGTERM", "uptime_ms": 3_600_000,
            "requests": 12, "responses": { "1xx": 0, "2xx": 9, "3xx": 0, "4xx": 1, "5xx": 2 }, "bytes_sent": 46080,
            "refusals": [{ "status": 404, "count": 1 }],
            "failures": [{ "upstream": "app", "fault": "connection_refused", "cause": "origin_down", "count": 3 }],
            "retried": 1, "incidents_opened": 2, "incidents_closed": 1, "handshakes_failed": 2,
            "proxy_headers_refused": 3, "lines_written": 15, "lines_dropped": 0, "webhook_dropped": 0,
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn whatever_a_client_sends_a_line_stays_one_line_of_json() {
        let table: [(&[u8], &str); 12] = [
            (b"", ""),
            (b"/a b", "/a b"),
            (br#"/"},{"event":"x"#, r#"/"},{"event":"x"#),
            (br"/back\slash\", r"/back\slash\"),
            (b"/line\r\nts: break\n", "/line\r\nts: break\n"),
            (b"/\x1b[31mred\x07\x00\x7f", "/\x1b[31mred\x07\0\x7f"),
            ("/\u{9b}31m\u{85}next".as_bytes(), "/\u{9b}31m\u{85}next"),
            ("/\u{2028}line\u{2029}ends".as_bytes(), "/\u{2028}line\u{2029}ends"),
            ("/\u{202e}txt.exe\u{2066}".as_bytes(), "/\u{202e}txt.exe\u{2066}"),
            ("/größe/漢字/🦀".as_bytes(), "/größe/漢字/🦀"),
            (b"/\xff\xfe\xc3", "/\u{fffd}\u{fffd}\u{fffd}"),
            (b"/cart?token=secret", "/cart"),
        ];
        for (sent, expected) in table {
            let host = sent.split(|byte| *byte == b'?').next().unwrap_or_default();
            let Event::Request(request) = samples::request() else { panic!("the sample is a request") };
            let request = Event::Request(Request { host, path: sent, ..request });
            let Event::UpstreamFailure(failure) = samples::failure() else { panic!("the sample is a failure") };
            let failure = Event::UpstreamFailure(UpstreamFailure { host, path: sent, ..failure });
            for line in [written(&request), written(&failure)] {
                let body = line.strip_suffix('\n').expect("a line ends");
                assert!(!body.contains(is_hidden), "{body:?}");
                let parsed: Value = serde_json::from_str(body).expect("a line is JSON");
                assert_eq!((&parsed["host"], &parsed["path"]), (&Value::from(expected), &Value::from(expected)));
            }
        }
    }

    #[test]
    fn a_report_may_be_laid_out_in_lines_or_be_empty() {
        let table = [
            ("{\n  \"a\": 1,\r\n\t\"b\": \"\u{2028}\u{9b}\u{7f}é\"\n}\n", r#","a": 1,"b": "\u2028\u009b\u007fé""#),
            ("{}", ""),
            (" { } ", ""),
            ("", ""),
            ("[1]", ""),
        ];
        for (report, expected) in table {
            let mut out = Vec::new();
            super::splice(&mut out, report.as_bytes());
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn a_time_has_three_decimals() {
        for (time, expected) in [(0, "0.000"), (999, "0.999"), (1_000, "1.000"), (60_000_010, "60000.010")] {
            let mut out = Vec::new();
            super::milliseconds(&mut out, b"", Duration::from_micros(time));
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn a_notice_without_a_loss_has_no_count() {
        let line = written(&Event::Notice(Notice { message: "no probes run yet", dropped: None }));
        assert!(line.ends_with("\"event\":\"notice\",\"message\":\"no probes run yet\"}\n"), "{line}");
    }

    fn written(event: &Event<'_>) -> String {
        let mut out = Vec::new();
        super::write(&mut out, &samples::stamp(), event);
        String::from_utf8(out).expect("a line is UTF-8")
    }
}
