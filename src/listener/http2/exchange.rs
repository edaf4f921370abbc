//! Owns one request of HTTP/2 on its stream: what is asked, what is answered, and what becomes of it when either side gives up.

use std::future::pending;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::RecvStream;
use h2::SendStream;
use h2::server::SendResponse;
use http::Request;
use http::Response;
use http_body::Body;
use http_body::Frame;
use tokio::time::Instant;

use super::House;
use super::head;
use super::head::Asked;
use super::pipe::Pipe;
use super::turns::Turn;
use super::wire::Serving;
use super::wire::Watch;
use crate::net::deadline::Deadline;
use crate::net::deadline::Due;
use crate::net::pump;
use crate::net::pump::Outcome;
use crate::net::pump::Progress;
use crate::proxy::Reply;
use crate::proxy::interim::Interim;
use crate::proxy::relay::ClientBody;
use crate::proxy::upgrade::Tunnel;
use crate::upstream::Cut;
use crate::upstream::Inbound;
use crate::upstream::Inflow;

/// Serves one request. Where the client takes it back, everything that is done for it is dropped.
pub(super) async fn serve(
    house: Rc<House>,
    serving: Serving,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) {
    let (mut parts, stream) = request.into_parts();
    let (body, tunnelled) = match head::as_http1(&mut parts, &stream) {
        Asked::Answer => (Inflow::Http2(Inbound::new(stream, &parts.headers)), None),
        Asked::Tunnel => (Inflow::Nothing, Some(stream)),
    };
    answer(&house, Request::from_parts(parts, body), respond, tunnelled).await;
    drop(serving);
}

async fn answer(
    house: &House,
    request: Request<Inflow>,
    mut respond: SendResponse<Bytes>,
    tunnelled: Option<RecvStream>,
) {
    let Some(Reply { response, tunnel }) = reply(house, request, &mut respond).await else { return };
    match (tunnel, tunnelled) {
        // Boxed, for hardly any request comes here.
        (Some(tunnel), Some(inbound)) => Box::pin(run(*tunnel, response, inbound, respond)).await,
        // A tunnel has come of nothing that stands for one.
        (Some(_), None) => respond.send_reset(Reason::INTERNAL_ERROR),
        (None, _) => relay(house, response, respond).await,
    }
}

/// What the request gets; none where the client wants it no more. A bug costs the request that meets it, and no other.
async fn reply(house: &House, request: Request<Inflow>, respond: &mut SendResponse<Bytes>) -> Option<Reply> {
    let interim = Arc::<Interim>::default();
    let confession = || Some(house.proxy.confess(&house.arrival).into());
    let receive = || house.proxy.receive(request, &house.arrival, &interim, None);
    let Ok(received) = catch_unwind(AssertUnwindSafe(receive)) else { return confession() };
    let mut work = pin!(house.proxy.answer(received));
    let reply = poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        // What has come together with the response goes before it.
        while let Poll::Ready(early) = interim.poll_next(cx) {
            // A stream that is gone says so below.
            respond.send_informational(early).ok();
        }
        if respond.poll_reset(cx).is_ready() {
            return Poll::Ready(None);
        }
        match polled {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(confession()),
        }
    });
    let reply = reply.await;
    interim.close();
    reply
}

/// Passes a response on.
async fn relay(house: &House, response: Response<ClientBody>, mut respond: SendResponse<Bytes>) {
    let (parts, body) = response.into_parts();
    let ends = body.is_end_stream();
    let Ok(mut stream) = respond.send_response(head::as_http2(parts), ends) else { return };
    if ends {
        house.watch.answered();
        return;
    }
    let limit = house.proxy.state().limits().body_timeout;
    let turn = house.watch.turns().join(stream.stream_id().into());
    match send(Told { body, watch: &house.watch, turn }, &mut stream, limit).await {
        Ok(Outcome::Whole) => house.watch.answered(),
        Ok(Outcome::Unwanted) => {}
        Ok(Outcome::Broken(Cut::Server(_))) => stream.send_reset(Reason::INTERNAL_ERROR),
        Ok(Outcome::Broken(Cut::Client(_))) | Err(TooSlow) => stream.send_reset(Reason::CANCEL),
    }
}

/// The client's window was shut for too long.
struct TooSlow;

async fn send(mut body: Told<'_>, stream: &mut SendStream<Bytes>, limit: Duration) -> Result<Outcome<Cut>, TooSlow> {
    let progress = Progress::new(Instant::now());
    let mut sending = pin!(pump::send(&mut body, stream, &progress));
    let mut deadline = None;
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = sending.as_mut().poll(cx) {
            return Poll::Ready(Ok(outcome));
        }
        if !progress.is_stuck() {
            return Poll::Pending;
        }
        let deadline = deadline.get_or_insert_with(|| Deadline::at(progress.last() + limit));
        deadline.poll_due(cx, || Due::by(progress.last() + limit, Err(TooSlow)))
    })
    .await
}

/// Makes of the stream the client's end of a tunnel.
async fn run(tunnel: Tunnel, response: Response<ClientBody>, inbound: RecvStream, mut respond: SendResponse<Bytes>) {
    let (parts, _) = response.into_parts();
    if let Ok(outbound) = respond.send_response(head::of_tunnel(parts), false) {
        // It ends with the connection.
        tunnel.run(Pipe::new(inbound, outbound), Bytes::new(), pending()).await;
    }
}

/// A body whose pieces are told of as they go out, and that waits for its turn.
struct Told<'a> {
    body: ClientBody,
    watch: &'a Watch,
    turn: Turn<'a>,
}

impl Body for Told<'_> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self;
        std::task::ready!(this.turn.poll(this.watch.blocked_since().is_some(), cx));
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        if frame.is_ready() {
            this.watch.sent();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
