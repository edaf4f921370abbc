//! Owns the end of a client's connection that hyper has given up: the last answer, and closing without taking it away again.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use crate::answer::Answer;
use crate::net::deadline::within;
use crate::net::stream::Stream;

/// Sends an answer and closes.
pub(super) async fn say(answer: &Answer, mut stream: Stream) {
    let sent = within(LINGER, stream.write_all(&on_the_wire(answer))).await;
    if matches!(sent, Ok(Ok(()))) {
        linger(stream).await;
    }
}

/// Closes, where the client has nothing more to send.
pub(super) async fn close(mut stream: Stream) {
    within(LINGER, stream.shutdown()).await.ok();
}

/// An answer as bytes, for a connection that hyper has given up.
fn on_the_wire(answer: &Answer) -> Vec<u8> {
    let reason = answer.status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", answer.status.as_str()).into_bytes();
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    let fields = answer.headers.iter().filter(|(name, _)| *name != http::header::CONNECTION);
    let fields = fields.map(|(name, value)| (name.as_str(), value.as_bytes()));
    for (name, value) in fields.chain([("connection", &b"close"[..]), ("date", date.as_bytes())]) {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&answer.body);
    bytes
}

/// Says that nothing more will come, and reads away what the client sends, for a while.
pub(super) async fn linger(mut stream: Stream) {
    let read_away = async {
        stream.shutdown().await?;
        // Not within the future, which every connection has room for as long as it lives.
        let mut scratch = vec![0; 4096];
        while stream.read(&mut scratch).await? > 0 {}
        std::io::Result::Ok(())
    };
    within(LINGER, read_away).await.ok();
}

/// How long a connection that is closed may take to be read away.
const LINGER: Duration = Duration::from_secs(2);
