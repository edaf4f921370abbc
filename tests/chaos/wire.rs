//! Owns messages on a connection, as client and origin read and write them.

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;

/// A connection.
pub(crate) struct Wire(BufReader<TcpStream>);

/// The head of a message: its first line and its fields, with names in lower case.
pub(crate) struct Head {
    pub(crate) line: String,
    fields: Vec<(String, String)>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(64 << 10, stream)))
    }

    /// Whether the far end is known to have closed it: who keeps a connection looks before it asks on it again.
    pub(crate) fn is_closed(&self) -> bool {
        let stream = self.0.get_ref();
        let waiting = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
        let is_open = waiting.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        !is_open || stream.set_nonblocking(false).is_err()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// The next head; none where the connection ends before a byte of it.
    pub(crate) fn head(&mut self) -> io::Result<Option<Head>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return if lines.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let mut lines = lines.into_iter();
        let line = lines.next().ok_or(io::ErrorKind::InvalidData)?;
        let field =
            |line: String| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
        Ok(Some(Head { line, fields: lines.filter_map(field).collect() }))
    }

    /// The body behind a head; an error where it breaks off.
    pub(crate) fn body(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        if head.field("transfer-encoding") == Some("chunked") {
            return self.chunks();
        }
        let length = head.field("content-length").map_or(Ok(0), str::parse).map_err(|_| io::ErrorKind::InvalidData)?;
        self.exactly(length)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let length = usize::from_str_radix(line.trim_end(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
            let chunk = self.exactly(length + 2)?;
            if length == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..length]);
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl Head {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }
}

/// A message with this head (its last field without a line end) and body, framed by a length or in chunks.
pub(crate) fn message(head: &str, body: &[u8], in_chunks: bool) -> Vec<u8> {
    let mut message = head.as_bytes().to_vec();
    if in_chunks {
        message.extend_from_slice(b"\r\nTransfer-Encoding: chunked\r\n\r\n");
        for chunk in body.chunks(10_000) {
            message.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            message.extend_from_slice(chunk);
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(b"0\r\n\r\n");
    } else {
        message.extend_from_slice(format!("\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
        message.extend_from_slice(body);
    }
    message
}
