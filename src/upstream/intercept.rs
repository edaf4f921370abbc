//! Owns the answers that are diagnosed instead of passed on: the upstream's own 502, 503 and 504, where `intercept` names
//! them. What is read of such an answer is bounded in size and time, and its connection lives on where its body has ended.

use std::future::poll_fn;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::Response;
use http::header;
use http_body::Frame;

use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::ResponseEvidence;
use crate::net::deadline::within;
use crate::upstream::attempt::Trouble;
use crate::upstream::body::ResponseBody;
use crate::upstream::lease::Lease;

/// The fault that an intercepted status is.
pub(super) const fn fault(status: u16) -> Option<Fault> {
    match status {
        502 => Some(Fault::UpstreamBadGateway),
        503 => Some(Fault::UpstreamUnavailable),
        504 => Some(Fault::UpstreamGatewayTimeout),
        _ => None,
    }
}

/// Makes a failure of an answer, with what its page says.
pub(super) async fn take(response: Response<ResponseBody>, fault: Fault) -> Trouble {
    let (parts, mut body) = response.into_parts();
    let (mut failure, limit) = match body.lease.as_mut().map(|lease| lease.intercept(fault)) {
        Some(Ok(intercepted)) => intercepted,
        Some(Err(client)) => return Trouble::Client(client),
        None => (Failure::new(fault), Duration::ZERO),
    };
    let page = read(&mut body, limit.min(LONGEST_READ), &mut failure.bytes.received).await;
    let legible = if is_compressed(&parts.headers) { &[][..] } else { &page };
    failure.response = Some(ResponseEvidence::of_gateway(&parts, legible));
    Trouble::Failed { failure: Box::new(failure), unsent: None }
}

/// The beginning of the body. What is behind it is read only to use the connection again, and only as far as it is short
/// and comes soon; otherwise the connection is closed.
async fn read(body: &mut ResponseBody, limit: Duration, received: &mut u64) -> Vec<u8> {
    let mut page = Vec::new();
    let whole = async {
        while let Some(frame) = poll_fn(|cx| next(body, cx)).await {
            *received = body.lease.as_ref().map_or(*received, Lease::received);
            let data = frame.into_data().unwrap_or_default();
            let room = MOST_READ.saturating_sub(page.len());
            page.extend(data.iter().take(room));
            if data.len() > room {
                return;
            }
        }
    };
    within(limit, whole).await.ok();
    page
}

/// The next piece. Nobody waits for the rest of an answer that breaks off.
fn next(body: &mut ResponseBody, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
    let frame = ready!(body.poll_stream(cx));
    if frame.is_none() {
        body.end();
    }
    Poll::Ready(frame.and_then(Result::ok))
}

/// Compressed pages are not read: what made the answer is seen in its head then.
fn is_compressed(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .into_iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// How many bytes of a page are read. The pages of gateways have less than half of it.
const MOST_READ: usize = 16 * 1024;

/// How long an answer of ours waits for the page of theirs.
const LONGEST_READ: Duration = Duration::from_secs(1);
