//! Owns the table of the origins that work: what a healthy exchange looks like, from the plain one to the unusual.

use std::time::Duration;

use super::Act;
use super::Ask;
use super::Credentials;
use super::Manner;
use super::Row;
use super::Way;

/// Every origin that works.
pub const HEALTHY: &[Row] = &[
    Row::healthy("hello", Way::Tcp(Manner::Hello), "A plain answer."),
    Row::healthy("hello_name", Way::Named(Manner::Hello), "Behind a name with two addresses, of which one answers."),
    Row::healthy(
        "hello_tls",
        Way::Tls(Credentials::Good, Manner::Hello),
        "Over TLS, with a certificate that is right.",
    ),
    Row::healthy("hello_socket", Way::Unix(Manner::Hello), "Through a unix socket."),
    Row::healthy("echo", Way::Tcp(Manner::Echo), "The request as the origin received it."),
    Row::healthy("slow", script(SLOW), "Two seconds late, and still within its limit."),
    Row::healthy("chunked", script(CHUNKED), "An answer of unknown length, in pieces."),
    Row::healthy("trailers", script(TRAILERS), "Fields behind the body."),
    Row::healthy("early_hints", script(EARLY_HINTS), "A 103 before the answer."),
    Row::healthy("early_answer", script(EARLY_ANSWER), "A 413 while the upload is still under way.").asked(Ask::Upload),
    Row::healthy("events", script(EVENTS), "Server-sent events, one every half second."),
    Row::healthy("download", script(DOWNLOAD), "Ten mebibytes."),
    Row::healthy("websocket", Way::Tcp(Manner::WebSocket), "A WebSocket that sends every message back.")
        .asked(Ask::WebSocket),
];

const fn script(acts: &'static [Act]) -> Way {
    Way::Tcp(Manner::Script(acts))
}

const SLOW: &[Act] = &[
    Act::ReadHead,
    Act::Pause(Duration::from_secs(2)),
    Act::Say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 22\r\n\r\nLate, but here it is.\n"),
];

const CHUNKED: &[Act] = &[
    Act::ReadHead,
    Act::Say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"),
    Act::Drip(b"C\r\nanother one\n\r\n", 3, Duration::from_millis(200)),
    Act::Say(b"0\r\n\r\n"),
];

const TRAILERS: &[Act] = &[
    Act::ReadHead,
    Act::Say(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n\
          5\r\nbody\n\r\n0\r\nX-Checksum: 7d\r\n\r\n",
    ),
];

const EARLY_HINTS: &[Act] = &[
    Act::ReadHead,
    Act::Say(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n"),
    Act::Pause(Duration::from_millis(200)),
    Act::Say(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nThe answer\n",
    ),
];

const EARLY_ANSWER: &[Act] = &[
    Act::ReadHead,
    Act::Say(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nThat is a lot\n"),
    Act::Wait,
];

const EVENTS: &[Act] = &[
    Act::ReadHead,
    Act::Say(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\r\n",
    ),
    Act::Drip(b"event: tick\ndata: still here\n\n", 5, Duration::from_millis(500)),
];

const DOWNLOAD: &[Act] = &[
    Act::ReadHead,
    Act::Say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 10485760\r\n\r\n"),
    Act::Fill(10 * 1024 * 1024),
];
