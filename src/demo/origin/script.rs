//! Owns the scripts that origins follow on a connection: what to read, what to say, when to stop. Bytes and pauses only.

use std::io;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

/// One thing that an origin does on a connection. Where a script ends, the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Reads until the head of a request has come.
    ReadHead,
    /// Reads until these bytes have come.
    ReadUntil(&'static [u8]),
    /// Reads once, whatever comes.
    ReadSome,
    /// Reads and drops this many bytes.
    Read(usize),
    /// Sends these bytes.
    Say(&'static [u8]),
    /// Sends this many bytes of filling.
    Fill(usize),
    /// Sends these bytes so often, each time after this pause.
    Drip(&'static [u8], u32, Duration),
    /// Does nothing for so long, and does not read either.
    Pause(Duration),
    /// Reads and drops what comes until the far end closes.
    Wait,
    /// Ends with a reset (RST) instead of a close (FIN).
    Reset,
}

/// How a connection is to be ended by who owns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Close,
    Reset,
}

/// Follows the script until its end, a reset, or the far end's leaving.
///
/// # Errors
///
/// Those of the stream: the far end has gone before the script was over.
pub(super) async fn play<S>(stream: &mut S, acts: &[Act]) -> io::Result<Ending>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for act in acts {
        match *act {
            Act::ReadHead => read_until(stream, b"\r\n\r\n").await?,
            Act::ReadUntil(bytes) => read_until(stream, bytes).await?,
            Act::ReadSome => drop(stream.read_buf(&mut Vec::with_capacity(SCRATCH)).await?),
            Act::Read(bytes) => read_bytes(stream, bytes).await?,
            Act::Say(bytes) => say(stream, bytes).await?,
            Act::Fill(bytes) => fill(stream, bytes).await?,
            Act::Drip(bytes, times, pause) => {
                for _ in 0..times {
                    sleep(pause).await;
                    say(stream, bytes).await?;
                }
            }
            Act::Pause(time) => sleep(time).await,
            Act::Wait => read_bytes(stream, usize::MAX).await?,
            Act::Reset => return Ok(Ending::Reset),
        }
    }
    Ok(Ending::Close)
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// A head ends with an empty line; what a client sends behind it stays unread only as far as it came in another packet.
async fn read_until<S: AsyncRead + Unpin>(stream: &mut S, end: &[u8]) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(end.len()).any(|window| window == end) {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

async fn read_bytes<S: AsyncRead + Unpin>(stream: &mut S, bytes: usize) -> io::Result<()> {
    let mut scratch = vec![0; SCRATCH];
    let mut left = bytes;
    while left > 0 {
        match stream.read(&mut scratch).await? {
            0 => return Ok(()),
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}

async fn fill<S: AsyncWrite + Unpin>(stream: &mut S, bytes: usize) -> io::Result<()> {
    const LINE: &[u8; 64] = b"Sixty-four bytes of a large answer, sent again and again by why\n";
    let block = LINE.repeat(256);
    let mut left = bytes;
    while left > 0 {
        let piece = block.get(..left).unwrap_or(&block);
        stream.write_all(piece).await?;
        left -= piece.len();
    }
    stream.flush().await
}

/// How much is read at once. No client sends a longer first flight of a TLS handshake.
const SCRATCH: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::io::duplex;

    use super::Act;
    use super::Ending;
    use super::play;

    /// What a client that sends `sent` and then waits receives, and how the script ended.
    async fn check(acts: &'static [Act], sent: &str, received: &str, ending: Option<Ending>) {
        let (mut client, mut origin) = duplex(1024 * 1024);
        let play = tokio::spawn(async move { play(&mut origin, acts).await.ok() });
        client.write_all(sent.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!((answer.as_str(), play.await.unwrap()), (received, ending));
    }

    #[tokio::test(start_paused = true)]
    async fn a_script_is_followed_in_order() {
        const DRIPS: &[Act] = &[Act::ReadHead, Act::Say(b"a"), Act::Drip(b"b", 3, Duration::from_secs(9))];
        check(DRIPS, "GET / HTTP/1.1\r\n\r\n", "abbb", Some(Ending::Close)).await;
        check(&[Act::ReadHead, Act::Reset, Act::Say(b"never")], "\r\n\r\n", "", Some(Ending::Reset)).await;
        check(&[Act::Read(3), Act::Say(b"x"), Act::Wait, Act::Say(b"y")], "abcdef", "xy", Some(Ending::Close)).await;
    }

    #[tokio::test]
    async fn a_client_that_leaves_within_its_head_ends_the_script() {
        check(&[Act::ReadHead, Act::Say(b"never")], "GET / HT", "", None).await;
    }

    #[tokio::test]
    async fn a_filling_has_the_length_that_was_asked_for() {
        let (mut client, mut origin) = duplex(64);
        let play = tokio::spawn(async move { play(&mut origin, &[Act::Fill(100_001)]).await.ok() });
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!((answer.len(), play.await.unwrap()), (100_001, Some(Ending::Close)));
    }
}
