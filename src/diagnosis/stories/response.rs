//! Owns the stories of answers that are not HTTP, are broken HTTP, or stop in the middle.

use super::Row;
use super::teller::Story;
use crate::diagnosis::Cause;
use crate::fault::Fault;
use crate::fault::failure::Malformed;

pub(super) fn rows() -> Vec<Row> {
    [not_http(), malformed(), heads(), bodies()].into_iter().flatten().collect()
}

fn not_http() -> Vec<Row> {
    let story = |bytes: &[u8]| Story::of(Fault::ResponseNotHttp).sent(120).took(2.0).spoken(bytes);
    vec![
        story(b"SSH-2.0-OpenSSH_9.2p1\r\n")
            .ends("the port is SSH", Cause::FaultyProxy, 0.9, &["speaks_other_protocol"])
            .says(&["SSH"]),
        story(b"220 mx.internal ESMTP Postfix\r\n")
            .ends("the port is a mail server's", Cause::FaultyProxy, 0.9, &["speaks_other_protocol"])
            .says(&["SMTP (a mail server)"]),
        story(b"-ERR unknown command\r\n").ends(
            "the port is Redis",
            Cause::FaultyProxy,
            0.9,
            &["speaks_other_protocol"],
        ),
        story(b"J\x00\x00\x00\x0a8.0.36\x00")
            .ends("the port is MySQL", Cause::FaultyProxy, 0.9, &["speaks_other_protocol"])
            .says(&["MySQL"]),
        story(b"AMQP\x00\x00\x09\x01").ends(
            "the port is a broker's",
            Cause::FaultyProxy,
            0.9,
            &["speaks_other_protocol"],
        ),
        story(b"\x15\x03\x01\x00\x02\x02\x46")
            .ends("the port is TLS and says so", Cause::FaultyProxy, 0.9, &["tls_on_plain"])
            .says(&["https"]),
        story(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00")
            .ends("the port is HTTP/2 with prior knowledge", Cause::FaultyProxy, 0.9, &["h2_only"])
            .says(&["HTTP/2", "h2c"]),
        story(b"<html>hello").ends("a page without a head", Cause::Application, 0.6, &["answer_without_head"]),
        story(b"Status: 200 OK\r\n").ends(
            "a CGI program behind no server",
            Cause::Application,
            0.6,
            &["answer_without_head"],
        ),
        story(b"HTTP/1.1 2OO OK\r\n").ends("a status line by hand", Cause::Application, 0.7, &["answer_almost_http"]),
        story(b"\x00\x01\x02\x03\x04").ends("nothing that anybody knows", Cause::FaultyProxy, 0.55, &[]),
    ]
}

fn malformed() -> Vec<Row> {
    let story = |wrong| Story::of(Fault::ResponseMalformed).sent(120).took(3.0).malformed(wrong);
    vec![
        story(Malformed::StatusLine).ends("a broken status line", Cause::Application, 0.88, &["malformed_head"]),
        story(Malformed::ContentLength(vec!["5".to_owned(), "7".to_owned()]))
            .ends("two lengths", Cause::Application, 0.9, &["conflicting_framing"])
            .says(&["Content-Length is 5 and 7"]),
        story(Malformed::LengthAndCoding).ends(
            "a length and a coding, copied from further back",
            Cause::Application,
            0.9,
            &["conflicting_framing"],
        ),
        story(Malformed::TransferCoding("chunked, chunked".to_owned()))
            .ends("chunked twice", Cause::Application, 0.9, &["conflicting_framing"])
            .says(&["chunked, chunked"]),
        story(Malformed::Status(999))
            .ends("a status that there is not", Cause::Application, 0.88, &["malformed_head"])
            .says(&["999"]),
        story(Malformed::FieldLine(3))
            .ends("a broken field", Cause::Application, 0.88, &["malformed_head"])
            .says(&["3rd"]),
        Story::of(Fault::UpgradeFailed)
            .upgrade("websocket")
            .malformed(Malformed::Upgrade(Some("chat/2".to_owned())))
            .ends("a WebSocket that becomes something else", Cause::Application, 0.8, &["switched_to_other_protocol"])
            .says(&["websocket", "chat/2"]),
        Story::of(Fault::UpgradeFailed)
            .malformed(Malformed::Upgrade(None))
            .ends("a switch that nobody asked for", Cause::Application, 0.8, &["switched_to_other_protocol"])
            .says(&["no upgrade"]),
    ]
}

fn heads() -> Vec<Row> {
    let story = || Story::of(Fault::ResponseHeaderTooLarge).sent(120).took(3.0).header_limit(64 * 1024);
    vec![
        story()
            .malformed(Malformed::Bloated("Set-Cookie".to_owned(), 400))
            .personal()
            .ends("400 cookies at a login", Cause::Application, 0.85, &["cookies_fill_head", "head_over_limit"])
            .says(&["Set-Cookie 400 times", "64 KiB", "this user's alone"]),
        story().header_limit(4 * 1024).ends(
            "a limit below what is usual",
            Cause::FaultyProxy,
            0.55,
            &["header_limit_small"],
        ),
    ]
}

fn bodies() -> Vec<Row> {
    let story = |fault| Story::of(fault).sent(120).took(40.0);
    vec![
        story(Fault::ResponseTruncated)
            .body(200_000, Some(900_000))
            .ends("a program dies in the middle of an export", Cause::Application, 0.8, &["body_cut_short"])
            .says(&["900000 bytes", "200000 bytes"]),
        story(Fault::ResponseTruncated)
            .body(65_123, Some(900_000))
            .ends("a web server in between with a full disk", Cause::Application, 0.6, &["body_cut_at_buffer"])
            .says(&["temporary files"]),
        story(Fault::ResponseTruncated)
            .errno(libc::ECONNRESET)
            .body(200_000, None)
            .ends("a connection that breaks in the middle", Cause::Application, 0.7, &["body_reset"])
            .says(&["ECONNRESET 104"]),
        story(Fault::ResponseBodyTimedOut).limit(60_000).body(300_000, Some(900_000)).ends(
            "an export that waits for a lock",
            Cause::Application,
            0.6,
            &["body_stopped"],
        ),
        story(Fault::ResponseChunkingInvalid)
            .body(120_000, None)
            .ends("a warning printed into a chunked body", Cause::Application, 0.9, &["chunk_broken"])
            .says(&["warning"]),
    ]
}
