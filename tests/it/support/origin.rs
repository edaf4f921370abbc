//! Owns an origin that a test plays by hand: each connection of the proxy is handed to the test, which reads and says what
//! it likes, in step with its client. So nothing has to be slept for.

use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::TryRecvError;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use socket2::Domain;
use socket2::Socket;
use socket2::Type;

use super::PATIENCE;
use super::wire::Fields;
use super::wire::Wire;
use super::wire::field;

/// An origin that listens.
#[derive(Debug)]
pub(crate) struct Origin {
    /// As an upstream's `servers` has it.
    pub(crate) url: String,
    arrivals: Receiver<Wire>,
}

/// A port that is ours, and on which nothing listens yet.
#[derive(Debug)]
pub(crate) struct Reserved {
    socket: Socket,
    pub(crate) address: SocketAddr,
}

/// A connection of the proxy.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) wire: Wire,
}

/// A request as the origin got it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The request line.
    pub(crate) line: String,
    /// In their order, with names in lower case.
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Fields,
}

impl Origin {
    /// On a free port of 127.0.0.1.
    pub(crate) fn listen() -> Self {
        Reserved::port().listen()
    }

    /// On a unix socket.
    pub(crate) fn listen_on(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a socket can be made");
        let arrivals = accepting(move || listener.accept().map(|(stream, _)| Wire::unix(stream)));
        Self { url: format!("unix:{}", path.display()), arrivals }
    }

    /// The proxy's next connection.
    pub(crate) fn accept(&self) -> Conversation {
        let wire = self.arrivals.recv_timeout(PATIENCE).expect("the proxy connects");
        Conversation { wire }
    }

    /// The same, where it may be another origin that it connects to; none where it has not, for a while.
    pub(crate) fn try_accept(&self) -> Option<Conversation> {
        self.arrivals.recv_timeout(Duration::from_millis(500)).ok().map(|wire| Conversation { wire })
    }

    /// The proxy's next connection, however long it takes; none when there will be no more.
    pub(crate) fn wait(&self) -> Option<Conversation> {
        self.arrivals.recv().ok().map(|wire| Conversation { wire })
    }

    /// Whether the proxy has made no connection that was not accepted.
    pub(crate) fn is_left_alone(&self) -> bool {
        matches!(self.arrivals.try_recv(), Err(TryRecvError::Empty))
    }

    /// Answers every request on every connection with its own name, from now on, for as long as the proxy lives.
    pub(crate) fn greet(self, name: &'static str) {
        self.serve(move |_, conversation| conversation.answer(name));
    }

    /// Gives every request on every connection to this, in a thread for each connection, for as long as the proxy lives.
    pub(crate) fn serve(self, answer: impl Fn(Request, &mut Conversation) + Send + Sync + 'static) {
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for wire in self.arrivals {
                let (mut conversation, answer) = (Conversation { wire }, Arc::clone(&answer));
                thread::spawn(move || {
                    while let Some(request) = conversation.next() {
                        answer(request, &mut conversation);
                    }
                });
            }
        });
    }
}

impl Reserved {
    /// A free port of 127.0.0.1.
    pub(crate) fn port() -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into()).expect("a port is free")
    }

    pub(crate) fn at(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.bind(&address.into())?;
        let address = socket.local_addr()?.as_socket().expect("a TCP socket has an address");
        Ok(Self { socket, address })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Listens and takes no connection: so many and one more wait, and the kernel has no room for others.
    pub(crate) fn listen_without_accepting(&self, room: i32) {
        self.socket.listen(room).expect("a port can be listened on");
    }

    pub(crate) fn listen(self) -> Origin {
        self.socket.listen(128).expect("a port can be listened on");
        let url = self.url();
        let listener = TcpListener::from(self.socket);
        Origin { url, arrivals: accepting(move || listener.accept().map(|(stream, _)| Wire::tcp(stream))) }
    }
}

impl Conversation {
    /// The next request with its body; none where the proxy closes instead.
    pub(crate) fn next(&mut self) -> Option<Request> {
        let mut request = self.next_head()?;
        if field(&request.fields, "transfer-encoding") == Some("chunked") {
            request.trailers = self.wire.chunks(&mut request.body)?;
        } else if let Some(length) = field(&request.fields, "content-length") {
            self.wire.take(length.parse().expect("a length is a number"), &mut request.body)?;
        }
        Some(request)
    }

    /// The next request, which has to come whole.
    pub(crate) fn request(&mut self) -> Request {
        self.next().expect("a whole request comes")
    }

    /// The head of the next request, which has to come.
    pub(crate) fn head(&mut self) -> Request {
        self.next_head().expect("the head of a request comes")
    }

    fn next_head(&mut self) -> Option<Request> {
        let (line, fields) = self.wire.head()?;
        Some(Request { line, fields, body: Vec::new(), trailers: Vec::new() })
    }

    /// Says this, byte for byte.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.wire.send(bytes);
    }

    /// Answers with a 200 that has this body, and keeps the connection.
    pub(crate) fn answer(&mut self, body: &str) {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        // Who is gone wants no answer.
        self.wire.try_send(answer).ok();
    }

    /// Answers like that, and closes the connection, so that the next request comes on a fresh one.
    pub(crate) fn answer_and_close(mut self, body: &str) {
        self.say(format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    }

    /// Says nothing until the proxy has given up.
    pub(crate) fn hang(&mut self) {
        self.wire.is_closed();
    }

    /// Whether the proxy closes the connection, with nothing more in it. Waits for that.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.wire.is_closed()
    }
}

impl Request {
    /// The value of a field, by its name in lower case; the first where there are several.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.fields, name)
    }

    /// The fields as lines, sorted by name, without those that every request gets and that hold something random.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut fields: Vec<_> =
            self.fields.iter().filter(|(name, _)| !matches!(&**name, "via" | "x-request-id" | "traceparent")).collect();
        fields.sort_by_key(|(name, _)| name);
        fields.into_iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }
}

/// Works for a while.
pub(crate) fn work(time: Duration) {
    let end = Instant::now() + time;
    while let Some(rest) = end.checked_duration_since(Instant::now()) {
        thread::park_timeout(rest);
    }
}

fn accepting(accept: impl Fn() -> io::Result<Wire> + Send + 'static) -> Receiver<Wire> {
    let (sender, arrivals) = mpsc::channel();
    thread::spawn(move || while accept().is_ok_and(|wire| sender.send(wire).is_ok()) {});
    arrivals
}
