//! Owns a visit to the proxy, as a browser cannot make it: any format, either audience, and the answer byte for byte.
//!
//! It speaks HTTP/1.1 by hand, so that nothing is tidied up: a cut answer is seen to be cut.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio::time::timeout_at;

use super::origin::Ask;
use super::origin::Row;
use super::origin::row::UPLOAD_BYTES;
use super::shown;
use super::viewer::Format;

/// One visit.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// Where the proxy listens.
    pub proxy: SocketAddr,
    /// What is visited.
    pub row: &'a Row,
    /// The operator's token, for an operator.
    pub token: Option<&'a str>,
    /// The format that is asked for.
    pub format: Format,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// What was answered to the requests that only prepare the one which counts.
    pub before: Vec<u8>,
    /// The answer, up to `MOST_KEPT` bytes of it.
    pub answer: Vec<u8>,
    /// How long it was in all.
    pub length: usize,
    /// How the connection ended.
    pub ending: Ending,
    /// From the request's first byte to that end.
    pub elapsed: Duration,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The proxy closed it.
    Closed,
    /// The proxy reset it.
    Reset,
    /// It was still open when there was no more patience.
    Open,
}

impl Visit<'_> {
    /// Makes the visit.
    ///
    /// # Errors
    ///
    /// Where the proxy cannot be reached, or breaks off before the request that counts.
    pub async fn make(&self) -> io::Result<Heard> {
        let begun = Instant::now();
        let deadline = begun + PATIENCE;
        let mut stream = TcpStream::connect(self.proxy).await?;
        let (before, body) = match self.row.ask {
            Ask::Get => (Vec::new(), Vec::new()),
            Ask::Upload => (Vec::new(), vec![0; UPLOAD_BYTES]),
            Ask::PostAfterGet => (self.prepare(&mut stream, deadline).await?, b"hi".to_vec()),
            Ask::WebSocket => (self.prepare(&mut stream, deadline).await?, Vec::new()),
        };
        let request = if self.row.ask == Ask::WebSocket { HELLO_AND_CLOSE.to_vec() } else { self.request(body) };
        let (mut from, mut to) = stream.split();
        let send = async {
            // Who answers early may stop reading; the answer counts all the same.
            drop(to.write_all(&request).await);
            pending::<Infallible>().await
        };
        let (answer, length, ending) = tokio::select! {
            heard = hear(&mut from, deadline) => heard,
            never = send => match never {},
        };
        Ok(Heard { before, answer, length, ending, elapsed: begun.elapsed() })
    }

    /// Sends the request that only prepares the next one on the connection, and reads its answer.
    async fn prepare(&self, stream: &mut TcpStream, deadline: Instant) -> io::Result<Vec<u8>> {
        let mut fields = self.fields();
        if self.row.ask == Ask::WebSocket {
            fields.extend(HANDSHAKE.iter().map(|field| (*field).to_owned()));
        }
        let head = format!("GET {}/ HTTP/1.1\r\n{}\r\n\r\n", self.row.path(), fields.join("\r\n"));
        stream.write_all(head.as_bytes()).await?;
        timeout_at(deadline, read_answer(stream)).await?
    }

    /// The request that counts, head and body, after which the connection is to be closed.
    fn request(&self, body: Vec<u8>) -> Vec<u8> {
        let mut fields = self.fields();
        fields.push("Connection: close".to_owned());
        if !body.is_empty() {
            fields.push(format!("Content-Length: {}", body.len()));
        }
        let head = format!("{} {}/ HTTP/1.1\r\n{}\r\n\r\n", self.method(), self.row.path(), fields.join("\r\n"));
        [head.into_bytes(), body].concat()
    }

    fn fields(&self) -> Vec<String> {
        let mut fields = vec![format!("Host: {}", self.proxy)];
        fields.extend(self.format.fields().iter().map(|field| (*field).to_owned()));
        fields.extend(self.token.map(|token| format!("X-Why502-Token: {token}")));
        fields
    }

    fn method(&self) -> &'static str {
        let uploads = matches!(self.row.ask, Ask::Upload | Ask::PostAfterGet);
        if uploads || self.format == Format::Grpc { "POST" } else { "GET" }
    }

    /// The same visit as a command for a shell; none where curl cannot make it.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        let address = format!("http://{}{}/", self.proxy, self.row.path());
        let mut words = vec!["curl -i".to_owned()];
        // curl accepts everything by itself, which leads to plain text.
        let asked = self.fields().into_iter().skip(1).filter(|field| field != "Accept: */*");
        words.extend(asked.map(|field| format!("-H '{field}'")));
        match self.row.ask {
            Ask::Get if self.method() == "POST" => words.push(format!("-X POST {address}")),
            Ask::Get => words.push(address),
            Ask::Upload => {
                words.insert(0, format!("head -c {UPLOAD_BYTES} /dev/zero |"));
                words.push(format!("--data-binary @- {address}"));
            }
            Ask::PostAfterGet => {
                let fields = words.split_off(1);
                words.extend([address.clone(), "--next -i".to_owned()]);
                words.extend(fields);
                words.push(format!("-d hi {address}"));
            }
            Ask::WebSocket => return None,
        }
        let line = words.join(" ");
        Some(if line.len() <= LONGEST_LINE { line } else { words.join(" \\\n  ") })
    }
}

/// Reads until the end, and keeps the beginning.
async fn hear<S: AsyncRead + Unpin>(stream: &mut S, deadline: Instant) -> (Vec<u8>, usize, Ending) {
    let (mut kept, mut length, mut scratch) = (Vec::new(), 0, vec![0; 64 * 1024]);
    let ending = loop {
        match timeout_at(deadline, stream.read(&mut scratch)).await {
            Err(_) => break Ending::Open,
            Ok(Err(_)) => break Ending::Reset,
            Ok(Ok(0)) => break Ending::Closed,
            Ok(Ok(read)) => {
                let room = read.min(MOST_KEPT.saturating_sub(kept.len()));
                kept.extend_from_slice(scratch.get(..room).unwrap_or_default());
                length += read;
            }
        }
    };
    (kept, length, ending)
}

/// Reads one answer whose head tells its length, or that has no body.
async fn read_answer<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    loop {
        if let Some((head, body)) = shown::split(&answer) {
            let length = shown::field(&head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Ok(answer);
            }
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The longest command that stands on one line.
const LONGEST_LINE: usize = 76;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an answer is kept to be shown.
pub const MOST_KEPT: usize = 256 * 1024;

/// The key is the example of RFC 6455, section 1.3.
const HANDSHAKE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
/// The masked message of RFC 6455, section 5.7, and a close frame.
const HELLO_AND_CLOSE: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x80\0\0\0\0";

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::Ending;
    use super::Heard;
    use super::Visit;
    use crate::demo::origin;
    use crate::demo::origin::Act;
    use crate::demo::origin::Ask;
    use crate::demo::origin::BROKEN;
    use crate::demo::origin::HEALTHY;
    use crate::demo::origin::Row;
    use crate::demo::viewer::Format;

    fn row(name: &str) -> &'static Row {
        BROKEN.iter().chain(HEALTHY).find(|row| row.name == name).unwrap()
    }

    fn visit(name: &str, proxy: SocketAddr, token: Option<&'static str>, format: Format) -> Visit<'static> {
        Visit { proxy, row: row(name), token, format }
    }

    async fn heard(name: &str, script: &'static [Act]) -> Heard {
        let origin = origin::plays(script).unwrap();
        let proxy = origin.url().strip_prefix("http://").unwrap().parse().unwrap();
        visit(name, proxy, None, Format::Text).make().await.unwrap()
    }

    #[tokio::test]
    async fn an_answer_is_heard_as_it_came_and_ended() {
        let closed = heard("connection_refused", &[Act::ReadHead, Act::Say(b"abc")]).await;
        assert_eq!((closed.answer.as_slice(), closed.length, closed.ending), (b"abc".as_slice(), 3, Ending::Closed));
        let reset = heard("connection_refused", &[Act::ReadHead, Act::Reset]).await;
        assert_eq!((reset.answer.len(), reset.ending), (0, Ending::Reset));
        let large = heard("connection_refused", &[Act::ReadHead, Act::Fill(1_000_000)]).await;
        assert_eq!((large.answer.len(), large.length), (super::MOST_KEPT, 1_000_000));
    }

    #[tokio::test]
    async fn an_early_answer_to_an_upload_is_heard() {
        let early = heard("request_send_timed_out", &[Act::ReadHead, Act::Say(b"enough"), Act::Read(1_000_000)]).await;
        assert_eq!(early.answer, b"enough");
        // Which of the two it is depends on how much of the upload was under way.
        assert!(matches!(early.ending, Ending::Reset | Ending::Closed));
    }

    #[tokio::test]
    async fn a_post_after_a_get_goes_over_the_same_connection() {
        const SCRIPT: &[Act] = &[
            Act::ReadHead,
            Act::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            Act::ReadHead,
            Act::Say(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"),
        ];
        let heard = heard("closed_after_idle", SCRIPT).await;
        assert_eq!(row("closed_after_idle").ask, Ask::PostAfterGet);
        assert!(heard.before.ends_with(b"\r\n\r\nok"));
        assert_eq!(heard.answer, b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
    }

    #[tokio::test]
    async fn a_websocket_says_hello_and_goodbye() {
        let origin = row("websocket").start(&origin::Workshop::open(([127, 0, 0, 1], 1).into()).unwrap()).unwrap();
        let proxy = origin.url().strip_prefix("http://").unwrap().parse().unwrap();
        let heard = visit("websocket", proxy, None, Format::Text).make().await.unwrap();
        assert_eq!((heard.answer.as_slice(), heard.ending), (b"\x81\x05Hello\x88\0".as_slice(), Ending::Closed));
    }

    #[test]
    fn a_command_says_what_the_visit_asks() {
        let proxy = ([127, 0, 0, 1], 8080).into();
        let command = |name, token, format| visit(name, proxy, token, format).command();
        let at = |path: &str| format!("http://127.0.0.1:8080/{path}/");
        assert_eq!(
            command("connection_refused", None, Format::Text),
            Some(format!("curl -i {}", at("fault/connection_refused")))
        );
        assert_eq!(
            command("connection_refused", Some("t"), Format::Json),
            Some(format!(
                "curl -i \\\n  -H 'Accept: application/json' \\\n  -H 'X-Why502-Token: t' \\\n  {}",
                at("fault/connection_refused")
            ))
        );
        assert_eq!(
            command("reset_while_sending", None, Format::Text),
            Some(format!(
                "head -c 33554432 /dev/zero | \\\n  curl -i \\\n  --data-binary @- {}",
                at("fault/reset_while_sending")
            ))
        );
        let after = at("fault/closed_after_idle");
        assert_eq!(
            command("closed_after_idle", None, Format::Page),
            Some(format!("curl -i \\\n  {after} \\\n  --next -i \\\n  -H 'Accept: text/html' \\\n  -d hi {after}"))
        );
        assert_eq!(command("websocket", None, Format::Text), None);
    }
}
