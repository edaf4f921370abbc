//! Owns a client that sends any bytes over TCP, and reads what comes back by the letter of RFC 9112.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;

use serde_json::Value;

use super::PATIENCE;

/// A connection to the proxy.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    /// What was received and belongs to what is read next.
    unread: Vec<u8>,
}

/// The head of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// In their order, with names in lower case.
    pub(crate) fields: Vec<(String, String)>,
}

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The interim responses before it (1xx).
    pub(crate) interim: Vec<Head>,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) ending: Ending,
}

/// How the body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Where its framing says.
    Whole,
    /// Before that: the connection was closed or reset.
    Cut,
}

/// Asks for a path on a connection of its own, with more fields where they are given, each with its line end.
pub(crate) fn get(proxy: SocketAddr, path: &str, fields: &str) -> Answer {
    let mut client = Client::connect(proxy);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n{fields}Connection: close\r\n\r\n"));
    client.answer()
}

impl Client {
    pub(crate) fn connect(proxy: SocketAddr) -> Self {
        let stream = TcpStream::connect(proxy).expect("the proxy accepts connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time limit can be set");
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        Self { stream, unread: Vec::new() }
    }

    /// Sends these bytes at once.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the proxy reads");
    }

    /// The next head, interim or final.
    pub(crate) fn head(&mut self) -> Head {
        let end = self.find(b"\r\n\r\n").expect("a head comes before the connection ends");
        let bytes: Vec<u8> = self.unread.drain(..end + 4).collect();
        let text = String::from_utf8(bytes).expect("a head is text");
        let (status_line, fields) = text.split_once("\r\n").expect("a head has lines");
        let status = status_line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        Head {
            status: status.unwrap_or_else(|| panic!("{status_line:?} is no status line")),
            fields: fields_of(fields),
        }
    }

    /// The next answer to any request but HEAD and CONNECT, with its body.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut interim = Vec::new();
        let head = loop {
            match self.head() {
                head if (100..200).contains(&head.status) && head.status != 101 => interim.push(head),
                head => break head,
            }
        };
        let mut answer = Answer { interim, head, body: Vec::new(), trailers: Vec::new(), ending: Ending::Whole };
        let length = answer.field("content-length").map(|length| length.parse().expect("a length is a number"));
        let body = match (answer.head.status, answer.field("transfer-encoding"), length) {
            (101 | 204 | 304, _, _) => Some(()),
            (_, Some("chunked"), _) => self.chunks(&mut answer),
            (_, _, Some(length)) => self.take(length, &mut answer.body),
            (_, _, None) => self.until_closed(&mut answer.body),
        };
        if body.is_none() {
            answer.ending = Ending::Cut;
        }
        answer
    }

    /// Whether the connection is closed or reset, with nothing more in it.
    pub(crate) fn is_closed(&mut self) -> bool {
        !self.receive().unwrap_or(false) && self.unread.is_empty()
    }

    fn chunks(&mut self, answer: &mut Answer) -> Option<()> {
        loop {
            let size = self.line()?;
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
            let size = size.expect("a chunk begins with its size");
            if size == 0 {
                break;
            }
            self.take(size, &mut answer.body)?;
            assert_eq!(self.line()?, "", "a chunk ends with a line end");
        }
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(());
            }
            answer.trailers.extend(fields_of(&line));
        }
    }

    fn line(&mut self) -> Option<String> {
        let end = self.find(b"\r\n")?;
        let line = self.unread.drain(..end + 2).take(end).collect();
        Some(String::from_utf8(line).expect("a line is text"))
    }

    /// Moves that many bytes; fewer, and none, where the connection ends before.
    fn take(&mut self, length: usize, into: &mut Vec<u8>) -> Option<()> {
        while self.unread.len() < length {
            if !self.receive().unwrap_or(false) {
                into.append(&mut self.unread);
                return None;
            }
        }
        into.extend(self.unread.drain(..length));
        Some(())
    }

    /// Moves everything up to an orderly close; none where there is none.
    fn until_closed(&mut self, into: &mut Vec<u8>) -> Option<()> {
        let closed = loop {
            match self.receive() {
                Ok(true) => {}
                Ok(false) => break Some(()),
                Err(_) => break None,
            }
        };
        into.append(&mut self.unread);
        closed
    }

    fn find(&mut self, end: &[u8]) -> Option<usize> {
        loop {
            if let Some(found) = self.unread.windows(end.len()).position(|window| window == end) {
                return Some(found);
            }
            if !self.receive().unwrap_or(false) {
                return None;
            }
        }
    }

    /// Waits for more bytes; whether there were any before an orderly close.
    fn receive(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(length) => {
                self.unread.extend_from_slice(&buffer[..length]);
                Ok(length > 0)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("nothing came in {PATIENCE:?}"),
            Err(error) => Err(error),
        }
    }
}

impl Answer {
    /// The value of a field, by its name in lower case; the first where there are several.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

fn fields_of(text: &str) -> Vec<(String, String)> {
    let fields = text.split("\r\n").filter(|line| !line.is_empty());
    let split = |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    fields.map(|line| split(line).unwrap_or_else(|| panic!("{line:?} is no field"))).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// What the client makes of a server that says just this and closes.
    fn answer_to(said: &'static [u8]) -> Answer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(said).unwrap();
        });
        let answer = get(address, "/", "");
        server.join().unwrap();
        answer
    }

    #[test]
    fn a_response_is_read_by_its_framing() {
        let table: &[(&[u8], &[u8], Ending)] = &[
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi", Ending::Whole),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", b"hi", Ending::Cut),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;x=y\r\ni\r\n0\r\n\r\n",
                b"hi",
                Ending::Whole,
            ),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", b"hi", Ending::Cut),
            (b"HTTP/1.1 200 OK\r\n\r\nhi", b"hi", Ending::Whole),
            (b"HTTP/1.1 204 No Content\r\n\r\n", b"", Ending::Whole),
        ];
        for (said, body, ending) in table {
            let answer = answer_to(said);
            assert_eq!((&*answer.body, answer.ending), (*body, *ending), "{}", String::from_utf8_lossy(said));
        }
    }

    #[test]
    fn interim_responses_and_trailers_are_kept() {
        let answer = answer_to(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
        );
        let field = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let expected = Answer {
            interim: vec![Head { status: 103, fields: field("link", "</a>") }],
            head: Head { status: 200, fields: field("transfer-encoding", "chunked") },
            body: Vec::new(),
            trailers: field("a", "b"),
            ending: Ending::Whole,
        };
        assert_eq!(answer, expected);
    }
}
