//! Owns one connection as bytes: what is sent, and messages read by the letter of RFC 9112. Client and origin both stand on it.

use std::io;
use std::io::Read;
use std::io::Write;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::StreamOwned;
use socket2::SockRef;

use super::PATIENCE;

/// A connection and what was read of it.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    /// What was received and belongs to what is read next.
    unread: Vec<u8>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// The fields of a head or of trailers, in their order, with names in lower case.
pub(crate) type Fields = Vec<(String, String)>;

impl Wire {
    pub(crate) fn to(address: SocketAddr) -> io::Result<Self> {
        TcpStream::connect(address).map(Self::tcp)
    }

    pub(crate) fn to_socket(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).map(Self::unix)
    }

    pub(crate) fn tcp(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        Self::of(Stream::Tcp(stream))
    }

    pub(crate) fn unix(stream: UnixStream) -> Self {
        Self::of(Stream::Unix(stream))
    }

    pub(crate) fn tls(stream: StreamOwned<ClientConnection, TcpStream>) -> Self {
        Self::of(Stream::Tls(Box::new(stream)))
    }

    fn of(stream: Stream) -> Self {
        let wire = Self { stream, unread: Vec::new() };
        wire.socket().set_read_timeout(Some(PATIENCE)).expect("a time limit can be set");
        wire.socket().set_write_timeout(Some(PATIENCE)).expect("a time limit can be set");
        wire
    }

    /// The same connection for another thread to send on.
    pub(crate) fn second(&self) -> Self {
        match &self.stream {
            Stream::Tcp(stream) => Self::tcp(stream.try_clone().expect("a socket can be shared")),
            Stream::Unix(stream) => Self::unix(stream.try_clone().expect("a socket can be shared")),
            Stream::Tls(_) => panic!("a TLS session has one end"),
        }
    }

    /// For what `std` has no call for.
    pub(crate) fn socket(&self) -> SockRef<'_> {
        match &self.stream {
            Stream::Tcp(stream) => SockRef::from(stream),
            Stream::Unix(stream) => SockRef::from(stream),
            Stream::Tls(stream) => SockRef::from(&stream.sock),
        }
    }

    /// Sends these bytes at once.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the other side reads");
    }

    /// The same where the other side may have closed.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes.as_ref()),
            Stream::Unix(stream) => stream.write_all(bytes.as_ref()),
            Stream::Tls(stream) => stream.write_all(bytes.as_ref()).and_then(|()| stream.flush()),
        }
    }

    /// Sends until the other side has taken nothing for a while; answers how much it took in all.
    pub(crate) fn send_until_stuck(&mut self, bytes: &[u8]) -> usize {
        self.socket().set_write_timeout(Some(STUCK)).expect("a time limit can be set");
        let mut taken = 0;
        while let Ok(length) = self.socket().send(&bytes[taken..bytes.len().min(taken + 64 * 1024)]) {
            taken += length;
            if taken == bytes.len() {
                break;
            }
        }
        self.socket().set_write_timeout(Some(PATIENCE)).expect("a time limit can be set");
        taken
    }

    /// Says that nothing more will be sent (FIN).
    pub(crate) fn half_close(&self) {
        self.socket().shutdown(Shutdown::Write).expect("a connection can be closed by half");
    }

    /// Ends with a reset (RST).
    pub(crate) fn reset(self) {
        self.socket().set_linger(Some(Duration::ZERO)).expect("lingering can be set");
    }

    /// Whether the connection is closed or reset, with nothing more in it. Waits for that.
    pub(crate) fn is_closed(&mut self) -> bool {
        !self.receive().unwrap_or(false) && self.unread.is_empty()
    }

    /// Whether the other side has closed so that what is sent comes back as a reset. Waits for nothing.
    pub(crate) fn is_reset(&mut self) -> bool {
        self.try_send(b"").is_err() || self.socket().take_error().is_ok_and(|error| error.is_some())
    }

    /// Whether something can be read now. Waits for nothing.
    pub(crate) fn has_more(&self) -> bool {
        let mut one = [MaybeUninit::uninit()];
        self.socket().set_nonblocking(true).expect("a socket can be asked");
        let more = self.socket().peek(&mut one);
        self.socket().set_nonblocking(false).expect("a socket can wait");
        !self.unread.is_empty() || more.is_ok()
    }

    /// Whether a head has come, or comes before the connection ends.
    pub(crate) fn has_head(&mut self) -> bool {
        self.find(b"\r\n\r\n").is_some()
    }

    /// The next line that is not empty, and the fields behind it; none where the connection ends before.
    pub(crate) fn head(&mut self) -> Option<(String, Fields)> {
        let end = self.find(b"\r\n\r\n")?;
        let bytes: Vec<u8> = self.unread.drain(..end + 4).collect();
        let text = String::from_utf8(bytes).expect("a head is text");
        let (start, fields) = text.split_once("\r\n").expect("a head has lines");
        Some((start.to_owned(), fields_of(fields)))
    }

    /// A chunked body with its trailers; none where the connection ends before it does.
    pub(crate) fn chunks(&mut self, body: &mut Vec<u8>) -> Option<Fields> {
        loop {
            let size = self.line()?;
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
            let size = size.expect("a chunk begins with its size");
            if size == 0 {
                break;
            }
            self.take(size, body)?;
            assert_eq!(self.line()?, "", "a chunk ends with a line end");
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(trailers);
            }
            trailers.extend(fields_of(&line));
        }
    }

    /// Moves that many bytes; fewer, and none, where the connection ends before.
    pub(crate) fn take(&mut self, length: usize, into: &mut Vec<u8>) -> Option<()> {
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
    pub(crate) fn until_closed(&mut self, into: &mut Vec<u8>) -> Option<()> {
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

    /// The next bytes, as many as expected.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.take(length, &mut bytes).unwrap_or_else(|| panic!("only {bytes:?} came before the connection ended"));
        bytes
    }

    /// The next line; none where the connection ends before.
    pub(crate) fn line(&mut self) -> Option<String> {
        let end = self.find(b"\r\n")?;
        let line = self.unread.drain(..end + 2).take(end).collect();
        Some(String::from_utf8(line).expect("a line is text"))
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
        let read = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut buffer),
            Stream::Unix(stream) => stream.read(&mut buffer),
            Stream::Tls(stream) => stream.read(&mut buffer),
        };
        match read {
            Ok(length) => {
                self.unread.extend_from_slice(&buffer[..length]);
                Ok(length > 0)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("nothing came in {PATIENCE:?}"),
            Err(error) => Err(error),
        }
    }
}

/// The value of a field, by its name in lower case; the first where there are several.
pub(crate) fn field<'f>(fields: &'f [(String, String)], name: &str) -> Option<&'f str> {
    fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

fn fields_of(text: &str) -> Fields {
    let fields = text.split("\r\n").filter(|line| !line.is_empty());
    let split = |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    fields.map(|line| split(line).unwrap_or_else(|| panic!("{line:?} is no field"))).collect()
}

/// How long nothing is taken by a side that has stopped reading.
const STUCK: Duration = Duration::from_millis(300);
