//! Owns a client: one request after the other, on kept connections, each answer compared byte for byte.

use std::io;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use crate::content;
use crate::tally::Outcome;
use crate::tally::Tally;
use crate::wire::Head;
use crate::wire::Wire;
use crate::wire::message;

/// A request and what has to come back.
struct Request {
    id: String,
    is_post: bool,
    bytes: Vec<u8>,
    expected: Vec<u8>,
}

/// What came back.
enum Heard {
    /// Nothing: the connection was closed or reset before a byte came.
    Nothing(io::Error),
    /// A head, and then no whole body.
    Broken(Head, io::Error),
    /// An answer.
    Answer(Head, Vec<u8>),
}

/// Asks until the time is over.
pub(crate) fn run(number: u64, seed: u64, proxy: SocketAddr, end: Instant, tally: &Tally) {
    let mut random = fastrand::Rng::with_seed(seed ^ number << 20);
    let mut kept = None;
    for count in 0_u64.. {
        content::rest(Duration::from_millis(random.u64(..80)));
        if Instant::now() >= end {
            return;
        }
        let request = Request::any(format!("{number}-{count}"), &mut random);
        let begun = Instant::now();
        let outcome = ask(&mut kept, proxy, &request, tally);
        tally.count(request.is_post, &request.id, outcome, begun.elapsed());
        if random.u8(..) < 8 {
            // Some clients leave and come back.
            kept = None;
        }
    }
}

fn ask(kept: &mut Option<Wire>, proxy: SocketAddr, request: &Request, tally: &Tally) -> Outcome {
    let open = kept.take().filter(|wire| !wire.is_closed());
    let was_kept = open.is_some();
    let mut wire = match open.map_or_else(|| connect(proxy), Ok) {
        Ok(wire) => wire,
        Err(error) => return Outcome::Lost(format!("no connection: {error}")),
    };
    match request.exchange(&mut wire) {
        // A kept connection may be closed at any time (RFC 9112, section 9.3.1): a client asks again where it may.
        Heard::Nothing(error) if was_kept => {
            tally.kept_connection_closed();
            if request.is_post {
                return Outcome::Unsure(format!("a kept connection was closed: {error}"));
            }
            ask(kept, proxy, request, tally)
        }
        Heard::Nothing(error) => Outcome::Lost(format!("no answer: {error}")),
        Heard::Broken(head, error) if is_timeout(&error) => Outcome::Lost(format!("{} and then silence", head.line)),
        Heard::Broken(..) => Outcome::BrokenOff,
        Heard::Answer(head, body) => {
            if head.field("connection") != Some("close") {
                *kept = Some(wire);
            }
            request.judge(&head, &body)
        }
    }
}

impl Request {
    fn any(id: String, random: &mut fastrand::Rng) -> Self {
        let is_post = random.u8(..) < 85;
        let length = match random.u8(..100) {
            0..60 => random.usize(..2_000),
            60..97 => random.usize(..60_000),
            _ => random.usize(..600_000),
        };
        let (number, style) = (random.u64(..), if random.bool() { "c" } else { "l" });
        let expected = content::bytes(number, length);
        let fields = format!("HTTP/1.1\r\nHost: chaos\r\nAccept: application/json\r\nX-Chaos-Id: {id}");
        let bytes = if is_post {
            message(&format!("POST /{number}/{length}/{style} {fields}"), &expected, random.bool())
        } else {
            format!("GET /{number}/{length}/{style} {fields}\r\n\r\n").into_bytes()
        };
        Self { id, is_post, bytes, expected }
    }

    fn exchange(&self, wire: &mut Wire) -> Heard {
        // An answer may come before all is sent, and then the rest is not wanted.
        let sent = wire.send(&self.bytes);
        let head = match wire.head() {
            Ok(Some(head)) => head,
            Ok(None) => return Heard::Nothing(sent.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())),
            Err(error) => return Heard::Nothing(error),
        };
        match wire.body(&head) {
            Ok(body) => Heard::Answer(head, body),
            Err(error) => Heard::Broken(head, error),
        }
    }

    fn judge(&self, head: &Head, body: &[u8]) -> Outcome {
        if head.line.starts_with("HTTP/1.1 200") {
            let right = head.field("x-chaos-id") == Some(&self.id) && body == self.expected;
            return if right {
                Outcome::Right
            } else {
                Outcome::Wrong(format!("{} bytes instead of {}", body.len(), self.expected.len()))
            };
        }
        // The client is an operator, so it is told of each attempt; the last one ended it.
        let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let attempts = problem["attempts"].as_array().map_or(&[][..], Vec::as_slice);
        let last = attempts.last().and_then(|attempt| attempt["fault"].as_str()).unwrap_or("-");
        if self.is_post && MAY_HAVE_ARRIVED.contains(&last) {
            return Outcome::NotToBeRepeated(last.to_owned());
        }
        let faults: Vec<_> =
            attempts.iter().map(|attempt| format!("{} {}", attempt["server"], attempt["fault"])).collect();
        Outcome::Lost(format!("{} {} after {faults:?}", head.line, problem["fault"]))
    }
}

fn connect(proxy: SocketAddr) -> io::Result<Wire> {
    let stream = TcpStream::connect(proxy)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Wire::new(stream)
}

fn is_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// What ends an attempt of which an origin may have had something: a POST must not be sent again then.
const MAY_HAVE_ARRIVED: [&str; 6] = [
    "request_send_timed_out",
    "reset_while_sending",
    "response_timed_out",
    "closed_before_response",
    "reset_before_response",
    "response_truncated",
];

/// Longer than all attempts of the proxy together may take.
const PATIENCE: Duration = Duration::from_secs(40);
