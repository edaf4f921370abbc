//! Owns a WebSocket echo (RFC 6455): the handshake's answer and short frames, enough for a person and a test to see one work.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::digest;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;

/// Answers the handshake, then sends every message back as it came, until the client closes.
///
/// # Errors
///
/// Those of the stream, and `InvalidData` for a frame that is unmasked or longer than 65535 bytes.
pub(super) async fn echo<S>(stream: &mut S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    let end = loop {
        if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    };
    let early = head.split_off(end);
    let Some(key) = handshake_key(&String::from_utf8_lossy(&head)) else {
        stream.write_all(UPGRADE_REQUIRED).await?;
        return stream.shutdown().await;
    };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept(&key)
    );
    stream.write_all(answer.as_bytes()).await?;
    let mut frames = early.as_slice().chain(stream);
    loop {
        let frame = Frame::read(&mut frames).await?;
        let (_, stream) = frames.get_mut();
        stream.write_all(&frame.answer()).await?;
        if frame.opcode() == CLOSE {
            return stream.shutdown().await;
        }
    }
}

fn handshake_key(head: &str) -> Option<String> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut keys = fields.filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    keys.next().map(|(_, key)| key.trim().to_owned())
}

/// Proves that the server has read the key (RFC 6455, section 4.2.2). SHA-1 is no secret here, only agreed upon.
fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref())
}

/// One frame (RFC 6455, section 5.2), without its mask.
struct Frame {
    first: u8,
    payload: Vec<u8>,
}

impl Frame {
    async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Self> {
        let first = stream.read_u8().await?;
        let second = stream.read_u8().await?;
        let length = match second & 0x7f {
            126 => usize::from(stream.read_u16().await?),
            127 => return Err(io::ErrorKind::InvalidData.into()),
            short => usize::from(short),
        };
        if second & 0x80 == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut mask = [0; 4];
        stream.read_exact(&mut mask).await?;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Ok(Self { first, payload })
    }

    fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    /// The same frame for the other direction: a server does not mask (section 5.1), and a ping becomes a pong.
    fn answer(&self) -> Vec<u8> {
        let first = if self.opcode() == PING { self.first & 0xf0 | PONG } else { self.first };
        let mut bytes = vec![first];
        if let Ok(short @ 0..=125) = u8::try_from(self.payload.len()) {
            bytes.push(short);
        } else {
            bytes.push(126);
            bytes.extend(u16::try_from(self.payload.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
        bytes.extend(&self.payload);
        bytes
    }
}

const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const UPGRADE_REQUIRED: &[u8] =
    b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\
    Content-Type: text/plain\r\nContent-Length: 46\r\n\r\nThis address speaks WebSocket: please upgrade\n";

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::io::duplex;

    use super::UPGRADE_REQUIRED;
    use super::echo;

    /// Everything that a client receives which sends this and then closes its side.
    async fn check(sent: &[u8], received: &[u8]) {
        let (mut client, mut origin) = duplex(1024);
        let origin = tokio::spawn(async move { echo(&mut origin).await.is_ok() });
        client.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), String::from_utf8_lossy(received));
        assert!(origin.await.unwrap());
    }

    #[tokio::test]
    async fn a_message_comes_back_unmasked_and_a_ping_as_a_pong() {
        // The key and its answer are the example of RFC 6455, section 1.3; the masked "Hello" that of section 5.7.
        let handshake = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let frames = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x89\x80\0\0\0\0\x88\x80\0\0\0\0";
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x05Hello\x8a\0\x88\0";
        check(&[handshake.as_slice(), frames].concat(), answer).await;
    }

    #[tokio::test]
    async fn a_request_without_a_key_is_told_to_upgrade() {
        check(b"GET / HTTP/1.1\r\n\r\n", UPGRADE_REQUIRED).await;
        let body = UPGRADE_REQUIRED.split(|byte| *byte == b'\n').nth(6).unwrap();
        assert_eq!(body.len() + 1, 46);
    }
}
