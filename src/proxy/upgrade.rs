//! Owns what a connection becomes after a 101: a two-way copy between the client and the server.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::pin::pin;
use std::rc::Rc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use crate::net::deadline::Deadline;
use crate::net::deadline::Due;
use crate::net::deadline::within;
use crate::net::stream::Stream;
use crate::proxy::Proxy;
use crate::proxy::story::Story;
use crate::telemetry::Event;
use crate::upstream::ResponseBody;

/// The client's end of a tunnel.
pub trait Near: AsyncRead + AsyncWrite + Unpin {
    /// Makes its end a reset, so that the client cannot take what it got for the whole.
    fn reset(&mut self);
}

impl Near for Stream {
    fn reset(&mut self) {
        self.reset_on_close();
    }
}

/// A tunnel that waits for its two ends.
pub struct Tunnel {
    proxy: Rc<Proxy>,
    /// Holds the exchange open, and hands over the server's stream.
    body: ResponseBody,
    idle_limit: Duration,
    story: Story,
}

impl Tunnel {
    pub(super) const fn new(proxy: Rc<Proxy>, body: ResponseBody, idle_limit: Duration, story: Story) -> Self {
        Self { proxy, body, idle_limit, story }
    }

    /// Copies both ways until both sides have ended, one breaks off, no byte has passed for the limit, or it is `over`. `read` is
    /// what the client has sent behind its request already.
    pub async fn run(self, client: impl Near, read: Bytes, over: impl Future<Output = ()>) {
        let Self { proxy, body, idle_limit, story } = self;
        let activity = Rc::new(Activity { last: Cell::new(Instant::now()), to_client: Cell::new(0) });
        let mut account = Account { proxy, story, activity: Rc::clone(&activity), aborted: true };
        account.aborted = copy(body, (client, read), &activity, idle_limit, over).await.is_err();
    }
}

async fn copy(
    mut body: ResponseBody,
    (client, read): (impl Near, Bytes),
    activity: &Rc<Activity>,
    idle_limit: Duration,
    over: impl Future<Output = ()>,
) -> io::Result<()> {
    let Some(upgraded) = body.upgraded() else { return Err(io::ErrorKind::NotConnected.into()) };
    // hyper's task hands the stream over as soon as it has seen the 101 itself.
    let upgraded = within(HAND_OVER, upgraded).await.ok().and_then(Result::ok).ok_or(io::ErrorKind::NotConnected)?;
    let mut client = Active { stream: client, activity: Rc::clone(activity), counts: true };
    let stream = upgraded.stream;
    stream.report_writes();
    let mut server = Active { stream, activity: Rc::clone(activity), counts: false };
    client.write_all(&upgraded.read).await?;
    server.write_all(&read).await?;
    let outcome = {
        let mut copying = pin!(tokio::io::copy_bidirectional(&mut client, &mut server));
        let mut over = pin!(over);
        let mut deadline = Deadline::after(idle_limit);
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = copying.as_mut().poll(cx) {
                return Poll::Ready(outcome.map(|_| ()));
            }
            if over.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::Interrupted.into()));
            }
            let end = || activity.last.get() + idle_limit;
            deadline.poll_due(cx, || Due::by(end(), Err(io::ErrorKind::TimedOut.into())))
        })
        .await
    };
    if outcome.is_err() {
        // What broke off on one side breaks off on the other.
        client.stream.reset();
        server.stream.stream().reset_on_close();
    }
    outcome
}

/// What is told of a tunnel when it ends, however that comes.
struct Account {
    proxy: Rc<Proxy>,
    story: Story,
    activity: Rc<Activity>,
    /// Until both sides have ended.
    aborted: bool,
}

impl Drop for Account {
    fn drop(&mut self) {
        // HTTP/2 knows no 101 (RFC 8441, section 5).
        let status = if self.story.version == Version::HTTP_2 { 200 } else { 101 };
        let request = self.story.request(status, self.activity.to_client.get(), self.aborted);
        self.proxy.telemetry().record(Event::Request(request));
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("story", &self.story).finish_non_exhaustive()
    }
}

/// When a byte last passed, and how many went to the client.
struct Activity {
    last: Cell<Instant>,
    to_client: Cell<u64>,
}

/// A stream whose writes are noted.
struct Active<S> {
    stream: S,
    activity: Rc<Activity>,
    counts: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for Active<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Active<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = &result {
            self.activity.last.set(Instant::now());
            if self.counts {
                self.activity.to_client.set(self.activity.to_client.get() + *count as u64);
            }
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// How long hyper's own task may take to let go of the server's stream.
const HAND_OVER: Duration = Duration::from_secs(5);
