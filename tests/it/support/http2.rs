//! Owns clients of HTTP/2: one that asks by the rules and answers with what came, one that sends any frames.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::Reason;
use h2::SendStream;
use h2::client;
use h2::client::ResponseFuture;
use h2::client::SendRequest;
use http::HeaderMap;
use http::Request;
use http::request;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::PATIENCE;
use super::h2::END_HEADERS;
use super::h2::END_STREAM;
use super::h2::Framed;
use super::h2::HEADERS;
use super::h2::SETTINGS;
use super::wire::Wire;

/// A client that keeps to the rules.
#[derive(Debug)]
pub(crate) struct Polite {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
}

/// A request under way. Its answer is waited for by `Polite::answer`.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) response: ResponseFuture,
    pub(crate) stream: SendStream<Bytes>,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) interim: Vec<u16>,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("the field is text"))
    }
}

/// A request of this kind for a path of `shop.example`.
pub(crate) fn ask(method: &str, path: &str) -> request::Builder {
    Request::builder().method(method).uri(format!("http://shop.example{path}"))
}

impl Polite {
    pub(crate) fn connect(proxy: SocketAddr) -> Self {
        Self::with(proxy, client::Builder::new().initial_window_size(1 << 20).initial_connection_window_size(16 << 20))
    }

    /// The same, with these settings.
    pub(crate) fn with(proxy: SocketAddr, settings: &client::Builder) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime can be built");
        let begun = runtime.block_on(async {
            let stream = TcpStream::connect(proxy).await.expect("the proxy accepts connections");
            stream.set_nodelay(true).expect("TCP_NODELAY can be set");
            settings.handshake::<_, Bytes>(stream).await
        });
        let (sender, connection) = begun.expect("the conversation begins");
        // How it ends is told to each request.
        runtime.spawn(async { connection.await.ok() });
        Self { runtime, sender }
    }

    /// Sends a request without a body.
    pub(crate) fn get(&mut self, request: request::Builder) -> Asked {
        self.send(request.body(()).expect("it is a request"), true)
    }

    /// Sends the head of a request behind which something follows.
    pub(crate) fn begin(&mut self, request: request::Builder) -> Asked {
        self.send(request.body(()).expect("it is a request"), false)
    }

    /// Sends a request.
    pub(crate) fn send(&mut self, request: Request<()>, ends: bool) -> Asked {
        let sender = self.sender.clone();
        let ready = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, sender.ready()).await });
        self.sender = ready.expect("there is room in time").expect("the connection stands");
        let (response, stream) = self.sender.send_request(request, ends).expect("it can be sent");
        Asked { response, stream }
    }

    /// Whether no more requests are taken on this connection. Waits for that.
    pub(crate) fn is_told_to_go(&mut self) -> bool {
        let sender = self.sender.clone();
        let gone = async {
            let mut sender = sender;
            while let Ok(ready) = sender.ready().await {
                sender = ready;
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, gone).await }).is_ok()
    }

    /// Waits for the proxy's settings, which say that a stream may become a tunnel.
    pub(crate) fn settle(&mut self) {
        let sender = self.sender.clone();
        self.wait(async {
            while !sender.is_extended_connect_protocol_enabled() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        });
    }

    /// The whole answer, or how the stream was reset.
    pub(crate) fn answer(&self, asked: Asked) -> Result<Answer, h2::Error> {
        let answer = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, whole(asked)).await });
        answer.expect("an answer comes in time")
    }

    /// Waits for what comes of this.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await }).expect("it comes in time")
    }
}

async fn whole(asked: Asked) -> Result<Answer, h2::Error> {
    let Asked { mut response, stream } = asked;
    let mut interim = Vec::new();
    while let Some(early) = std::future::poll_fn(|cx| response.poll_informational(cx)).await {
        interim.push(early?.status().as_u16());
    }
    let (parts, mut stream_in) = response.await?.into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream_in.data().await {
        let data = data?;
        stream_in.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let trailers = stream_in.trailers().await?.unwrap_or_default();
    drop(stream);
    Ok(Answer { interim, status: parts.status.as_u16(), headers: parts.headers, body, trailers })
}

/// The code with which a stream was reset.
pub(crate) fn reset_code(answer: Result<Answer, h2::Error>) -> Option<Reason> {
    answer.err().and_then(|error| error.reason())
}

impl Framed {
    /// A client that says its preface and its settings, and then any frames.
    pub(crate) fn connect(proxy: SocketAddr) -> Self {
        let mut wire = Wire::to(proxy).expect("the proxy accepts connections");
        wire.send(PREFACE);
        let mut framed = Self(wire);
        framed.say(SETTINGS, 0, 0, b"");
        framed
    }

    /// Sends a request's head, with more fields where they are given.
    pub(crate) fn ask(&mut self, stream: u32, method: &str, more: &[(&str, &str)], ends: u8) {
        let pseudo = [(":method", method), (":scheme", "http"), (":path", "/"), (":authority", "shop.example")];
        self.say(HEADERS, END_HEADERS | ends, stream, &block(pseudo.iter().chain(more)));
    }

    /// Sends a GET.
    pub(crate) fn get(&mut self, stream: u32) {
        self.ask(stream, "GET", &[], END_STREAM);
    }
}

/// Fields as HPACK has them, literally (RFC 7541, section 6.2.2); each name and value has less than 127 bytes.
pub(crate) fn block<'f>(fields: impl IntoIterator<Item = &'f (&'f str, &'f str)>) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("it is short")], text.as_bytes()].concat();
    fields.into_iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// How a client of HTTP/2 begins.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
