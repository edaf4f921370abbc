//! Owns a client that sends any bytes, and reads what comes back by the letter of RFC 9112.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use super::wire::Fields;
use super::wire::Wire;
use super::wire::field;

/// A connection to the proxy.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) wire: Wire,
}

/// The head of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// In their order, with names in lower case.
    pub(crate) fields: Fields,
}

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The interim responses before it (1xx).
    pub(crate) interim: Vec<Head>,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Fields,
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
        Self { wire: Wire::to(proxy).expect("the proxy accepts connections") }
    }

    pub(crate) fn connect_to_socket(path: &Path) -> Self {
        Self { wire: Wire::to_socket(path).expect("the proxy accepts connections") }
    }

    /// Sends these bytes at once.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.send(bytes);
    }

    /// The next head, interim or final.
    pub(crate) fn head(&mut self) -> Head {
        let (line, fields) = self.wire.head().expect("a head comes before the connection ends");
        let rest = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "));
        let status = rest.and_then(|rest| rest.get(..3)?.parse().ok());
        Head { status: status.unwrap_or_else(|| panic!("{line:?} is no status line")), fields }
    }

    /// The next answer to any request but HEAD and CONNECT, with its body.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.answer_to_head();
        let length = answer.field("content-length").map(|length| length.parse().expect("a length is a number"));
        let body = match (answer.head.status, answer.field("transfer-encoding"), length) {
            (101 | 204 | 304, _, _) => Some(()),
            (_, Some("chunked"), _) => {
                self.wire.chunks(&mut answer.body).map(|trailers| answer.trailers.extend(trailers))
            }
            (_, _, Some(length)) => self.wire.take(length, &mut answer.body),
            (_, _, None) => self.wire.until_closed(&mut answer.body),
        };
        if body.is_none() {
            answer.ending = Ending::Cut;
        }
        answer
    }

    /// The next answer to a request to which none has a body.
    pub(crate) fn answer_to_head(&mut self) -> Answer {
        let mut interim = Vec::new();
        let head = loop {
            match self.head() {
                head if (100..200).contains(&head.status) && head.status != 101 => interim.push(head),
                head => break head,
            }
        };
        Answer { interim, head, body: Vec::new(), trailers: Vec::new(), ending: Ending::Whole }
    }

    /// Whether the connection is closed or reset, with nothing more in it. Waits for that.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.wire.is_closed()
    }
}

impl Answer {
    /// The value of a field, by its name in lower case; the first where there are several.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head.fields, name)
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

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::io::Write;
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
