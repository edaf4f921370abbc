//! Owns origins that speak HTTP/2: one that is played frame by frame, and one that answers by itself.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;
use rustls::ServerConfig;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::origin::Conversation;
use super::wire::Wire;

/// A connection to or of the proxy that is played by hand, frame by frame.
#[derive(Debug)]
pub(crate) struct Framed(pub(crate) Wire);

/// A frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;

pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const ACK: u8 = 1;

/// `:status: 200`, as HPACK has it (RFC 7541, appendix A).
pub(crate) const STATUS_200: &[u8] = &[0x88];

impl Framed {
    /// Reads the preface, and says these settings.
    pub(crate) fn greet(conversation: Conversation, settings: &[(u16, u32)]) -> Self {
        let mut wire = conversation.wire;
        assert_eq!(wire.bytes(24), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut framed = Self(wire);
        let pairs = settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
        framed.say(SETTINGS, 0, 0, &pairs.collect::<Vec<u8>>());
        framed
    }

    pub(crate) fn say(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        // The proxy may have closed the connection already.
        self.0.try_send([&head, payload].concat()).ok();
    }

    pub(crate) fn goaway(&mut self, last_stream: u32, code: u32, text: &[u8]) {
        self.say(GOAWAY, 0, 0, &[&last_stream.to_be_bytes()[..], &code.to_be_bytes(), text].concat());
    }

    pub(crate) fn reset(&mut self, stream: u32, code: u32) {
        self.say(RST_STREAM, 0, stream, &code.to_be_bytes());
    }

    pub(crate) fn answer(&mut self, stream: u32, body: &[u8]) {
        self.say(HEADERS, END_HEADERS, stream, STATUS_200);
        self.say(DATA, END_STREAM, stream, body);
    }

    /// The next frame of this kind; none where the connection ends before it. Others are read and left.
    pub(crate) fn try_next(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let mut head = Vec::new();
            self.0.take(9, &mut head)?;
            let frame = self.rest(&head)?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// The next frame of this kind; others are read and left.
    pub(crate) fn next(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame();
            if frame.kind == kind {
                return frame;
            }
        }
    }

    fn frame(&mut self) -> Frame {
        let head = self.0.bytes(9);
        self.rest(&head).expect("a frame comes whole")
    }

    fn rest(&mut self, head: &[u8]) -> Option<Frame> {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = Vec::new();
        self.0.take(length, &mut payload)?;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The stream of the next request.
    pub(crate) fn request(&mut self) -> u32 {
        self.next(HEADERS).stream
    }
}

/// An origin that answers by itself, and counts.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Served {
    /// Serves HTTP/2 on a free port, with TLS where there is a configuration for it, and allows so many streams at once.
    pub(crate) fn serve<F>(
        tls: Option<Arc<ServerConfig>>,
        most: u32,
        answer: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("a socket can be asked not to wait");
        let address = listener.local_addr().expect("a bound socket has an address");
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime.expect("a runtime can be built"), async move {
                let listener = TcpListener::from_std(listener).expect("a listener can be taken over");
                loop {
                    let Ok((stream, _)) = listener.accept().await else { continue };
                    count.fetch_add(1, Ordering::SeqCst);
                    let (tls, answer) = (tls.clone(), answer.clone());
                    tokio::task::spawn_local(async move {
                        match tls {
                            None => connection(stream, most, answer).await,
                            Some(tls) => {
                                if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                                    connection(stream, most, answer).await;
                                }
                            }
                        }
                    });
                }
                #[expect(unreachable_code, reason = "says of what type the future is")]
                Ok::<(), Infallible>(())
            })
        });
        Self { address, connections }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn connection<S, F>(stream: S, most: u32, answer: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = ()> + 'static,
{
    let mut builder = h2::server::Builder::new();
    let Ok(mut connection) = builder.max_concurrent_streams(most).handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::task::spawn_local(answer(request, respond));
    }
}
