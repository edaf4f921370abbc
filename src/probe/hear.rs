//! Owns listening to what a stream says: its first bytes, until they tell enough, the far end stops or the time is up.

use std::io;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;

use crate::diagnosis::observation::SpokeEnd;
use crate::fault::Spoken;
use crate::net::deadline::within;

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    bytes: Vec<u8>,
    /// How the connection stood then.
    pub(super) end: SpokeEnd,
}

impl Heard {
    /// What it is; none where not one byte came.
    pub(super) fn spoken(&self) -> Option<Spoken> {
        Spoken::recognise(&self.bytes)
    }

    /// The status of the answer, where it is one of HTTP/1 that is no interim one.
    pub(super) fn status(&self) -> Option<u16> {
        final_head(&self.bytes).and_then(status)
    }
}

/// Says this, and hears what comes back.
pub(super) async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), words: &[u8], limit: Duration) -> Heard {
    let saying = async {
        stream.write_all(words).await?;
        stream.flush().await
    };
    // What the far end said before it stopped listening is still there to be read.
    within(limit, saying).await.ok();
    hear(stream, limit).await
}

/// Hears what comes without a word.
pub(super) async fn hear(stream: &mut (impl AsyncRead + Unpin), limit: Duration) -> Heard {
    let mut bytes = Vec::with_capacity(MOST);
    let mut end = within(limit, read_some(stream, &mut bytes)).await.unwrap_or(SpokeEnd::Open);
    while end == SpokeEnd::Open && !bytes.is_empty() && !is_enough(&bytes) {
        match within(THE_REST, read_some(stream, &mut bytes)).await {
            Ok(then) => end = then,
            Err(_) => break,
        }
    }
    Heard { bytes, end }
}

async fn read_some(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> SpokeEnd {
    let before = bytes.len();
    let mut rest = stream.take((MOST - before) as u64);
    match rest.read_buf(bytes).await {
        Ok(0) => SpokeEnd::Closed,
        Ok(_) => SpokeEnd::Open,
        // TLS without a last word is an end all the same.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => SpokeEnd::Closed,
        Err(_) => SpokeEnd::Reset,
    }
}

/// Whether more bytes would tell more: of HTTP the status is wanted, of all else only what it is.
fn is_enough(bytes: &[u8]) -> bool {
    bytes.len() >= MOST
        || if bytes.starts_with(b"HTTP/1") {
            final_head(bytes).and_then(status).is_some()
        } else {
            bytes.len() >= TELLING
        }
}

/// The bytes from the first head on that is no interim one (RFC 9110, section 15.2).
fn final_head(mut bytes: &[u8]) -> Option<&[u8]> {
    while bytes.starts_with(b"HTTP/1.1 1") && !bytes.starts_with(b"HTTP/1.1 101") {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
        bytes = bytes.get(end + 4..)?;
    }
    Some(bytes)
}

/// `HTTP/1.1 200 `, at the beginning.
fn status(head: &[u8]) -> Option<u16> {
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9', b' ', a, b, c, b' ' | b'\r' | b'\n', ..] = head else {
        return None;
    };
    let digits = [*a, *b, *c];
    let status = std::str::from_utf8(&digits).ok()?.parse().ok()?;
    (100..600).contains(&status).then_some(status)
}

/// How much is heard at most.
const MOST: usize = 4096;
/// So many bytes tell which protocol they belong to.
const TELLING: usize = 12;
/// How long the rest of a beginning is waited for.
const THE_REST: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;

    use super::SpokeEnd;
    use super::Spoken;
    use super::hear;

    #[tokio::test(start_paused = true)]
    async fn what_comes_first_is_told_apart() {
        let rows: &[(&[&[u8]], _, _)] = &[
            (&[], None, None),
            (&[b"HTTP/1.1 200 OK\r\n\r\nhello"], Some(Spoken::Http1), Some(200)),
            (&[b"HT", b"TP/1.0 4", b"04 Not Found\r\n\r\n"], Some(Spoken::Http1), Some(404)),
            (&[b"HTTP/1.1 103 Early\r\n\r\n", b"HTTP/1.1 503 Busy\r\n\r\n"], Some(Spoken::Http1), Some(503)),
            (&[b"HTTP/1.1 2OO OK\r\n\r\n"], Some(Spoken::Http1), None),
            (&[b"HTTP/1.1 999 What\r\n\r\n"], Some(Spoken::Http1), None),
            (&[b"S", b"SH-2.0-OpenSSH_9.2p1\r\n"], Some(Spoken::Ssh), None),
            (&[&[7; 10_000]], Some(Spoken::Binary), None),
        ];
        for (said, spoken, status) in rows {
            let (mut near, mut far) = tokio::io::duplex(64 * 1024);
            let say = async {
                for part in *said {
                    far.write_all(part).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                drop(far);
            };
            let (heard, ()) = tokio::join!(hear(&mut near, Duration::from_millis(300)), say);
            assert_eq!((heard.spoken(), heard.status()), (*spoken, *status), "{said:?}");
            assert!(heard.bytes.len() <= super::MOST);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_waited_for_no_longer_than_the_limit() {
        let (mut near, far) = tokio::io::duplex(64);
        let begin = tokio::time::Instant::now();
        let heard = hear(&mut near, Duration::from_millis(300)).await;
        assert!(begin.elapsed() < Duration::from_millis(350));
        assert_eq!((heard.spoken(), heard.end), (None, SpokeEnd::Open));
        drop(far);
        assert_eq!(hear(&mut near, Duration::from_millis(300)).await.end, SpokeEnd::Closed);
    }
}
