//! Owns `/api/events`: every event of the log as it happens, as server-sent events (HTML, section 9.2).

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;
use http::request::Parts;
use tokio::sync::watch;
use tokio::time::Interval;

use crate::admin::access::Refused;
use crate::admin::reply::Body;
use crate::telemetry::Audience;
use crate::telemetry::Kinds;
use crate::telemetry::Telemetry;

/// The body of such an answer.
pub(super) struct Events {
    audience: Audience,
    beat: Interval,
    /// Ends when everybody has to leave.
    ending: Pin<Box<dyn Future<Output = ()>>>,
    stage: Stage,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begins,
    GoesOn,
    Over,
}

/// The events that are asked for, `?events=notice,incident_opened` or all, from now on.
pub(super) fn answer(
    asked: &Parts,
    telemetry: &Telemetry,
    ending: &watch::Receiver<()>,
) -> Result<Response<Body>, Refused> {
    let query = asked.uri.query().unwrap_or_default();
    let kinds = query.split('&').find_map(|pair| pair.strip_prefix("events=")).map_or(Some(Kinds::ALL), Kinds::parse);
    let kinds = kinds.ok_or(Refused::EventUnknown)?;
    let mut answer = Response::new(if asked.method == http::Method::HEAD {
        Body::whole("")
    } else {
        Body::events(Events::new(telemetry.listen(kinds).ok_or(Refused::TooMany)?, ending.clone()))
    });
    *answer.status_mut() = StatusCode::OK;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(answer)
}

impl Events {
    fn new(audience: Audience, mut ending: watch::Receiver<()>) -> Self {
        let mut beat = tokio::time::interval(BEAT);
        beat.reset();
        let ending = Box::pin(async move {
            ending.changed().await.ok();
        });
        Self { audience, beat, ending, stage: Stage::Begins }
    }

    /// The next piece of the body.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self.stage {
            Stage::Begins => {
                self.stage = Stage::GoesOn;
                // So that a browser sees that the stream is open, and comes back soon where it breaks off.
                return Poll::Ready(Some(Bytes::from_static(b"retry: 2000\n: events follow as they happen\n\n")));
            }
            Stage::GoesOn => {}
            Stage::Over => return Poll::Ready(None),
        }
        match self.audience.poll_next(cx) {
            Poll::Ready(Some(events)) => return Poll::Ready(Some(events)),
            Poll::Ready(None) => {
                self.stage = Stage::Over;
                let cut = self.audience.was_cut();
                return Poll::Ready(cut.then_some(Bytes::from_static(TOO_SLOW)));
            }
            Poll::Pending => {}
        }
        if self.ending.as_mut().poll(cx).is_ready() {
            self.stage = Stage::Over;
            return Poll::Ready(None);
        }
        // A reader that has gone is found out by this.
        self.beat.poll_tick(cx).map(|_| Some(Bytes::from_static(b":\n\n")))
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// What is said to who did not keep up. It is no event of the log's.
const TOO_SLOW: &[u8] =
    b"event: cut\ndata: {\"reason\":\"this reader was too slow, and events were left out; ask again\"}\n\n";
/// How often something is sent where nothing happens.
const BEAT: Duration = Duration::from_secs(15);
