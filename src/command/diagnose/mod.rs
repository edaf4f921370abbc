//! Owns `why502 diagnose`: one request to an origin, told step by step, and why it failed. The exchange, the checks and the
//! diagnosis are those of the proxy itself.

mod asked;
mod teller;
mod verdict;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::Uri;
use http::Version;
use http::header;
use http_body::Body;
use tokio::runtime::Builder;
use tokio::runtime::LocalOptions;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::asked::Asked;
use self::teller::Teller;
use super::DiagnoseArguments;
use super::Exit;
use super::console::Console;
use crate::answer::Moment;
use crate::answer::Occurrence;
use crate::diagnosis;
use crate::diagnosis::Case;
use crate::diagnosis::case;
use crate::diagnosis::case::RequestFacts;
use crate::diagnosis::history::History;
use crate::diagnosis::observation::Findings;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::net::deadline::within;
use crate::probe::Prober;
use crate::proxy::request_id::RequestId;
use crate::proxy::response;
use crate::proxy::state::Shared;
use crate::server;
use crate::upstream::Answered;
use crate::upstream::Cut;
use crate::upstream::Exhausted;
use crate::upstream::RequestBody;
use crate::upstream::Unanswered;
use crate::upstream::Upstream;
use crate::upstream::watcher::Step;
use crate::upstream::watcher::Tell;

/// Asks once, and says what came of it.
pub(super) fn diagnose(arguments: &DiagnoseArguments, console: &mut Console<'_>) -> io::Result<Exit> {
    let asked = match Asked::read(arguments) {
        Ok(asked) => asked,
        Err(problems) => {
            console.complain(&problems)?;
            return Ok(Exit::Wrong);
        }
    };
    let Asked { config, checklist, target, host, by } = asked;
    let shared = match server::shared_alone(config, checklist) {
        Ok(shared) => shared,
        Err(error) => {
            console.complain_of(&error)?;
            return Ok(Exit::Wrong);
        }
    };
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let question = Question { shared: &shared, target: target.to_string(), host, by, json: arguments.json };
    runtime.block_on(question.ask(console))
}

/// One request, with all that it takes.
struct Question<'a> {
    shared: &'a Shared,
    target: String,
    host: String,
    by: String,
    json: bool,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) parts: http::response::Parts,
    pub(super) server: String,
    pub(super) elapsed: Duration,
    /// How much of the body was read.
    pub(super) bytes: u64,
    /// Whether that was all of it.
    pub(super) whole: bool,
}

impl Question<'_> {
    async fn ask(&self, console: &mut Console<'_>) -> io::Result<Exit> {
        let Some(shared) = self.shared.upstreams.first() else { return Ok(Exit::Wrong) };
        let (tell, mut told) = mpsc::unbounded_channel();
        let tell: Rc<Tell> = Rc::new(move |step: Step| {
            // Whoever listens does so until all is told.
            tell.send((Instant::now(), step)).ok();
        });
        let upstream = Upstream::watched(shared, &tell);
        let mut teller = Teller::new(self.json, console);
        teller.begin(&self.title(&upstream), &self.by)?;
        let outcome = {
            let mut exchange = pin!(self.exchange(&upstream));
            loop {
                tokio::select! {
                    biased;
                    Some((at, step)) = told.recv() => teller.step(at, step)?,
                    outcome = &mut exchange => break outcome,
                }
            }
        };
        while let Ok((at, step)) = told.try_recv() {
            teller.step(at, step)?;
        }
        match outcome {
            Ok(response) => {
                teller.answered(&response)?;
                if self.json {
                    console.say([verdict::answered_in_json(&response)])?;
                } else {
                    let mut sheet = console.sheet();
                    verdict::answered(&mut sheet, &response);
                    console.show(&mut sheet)?;
                }
                Ok(Exit::Done)
            }
            Err(exhausted) => {
                teller.failed(&exhausted)?;
                let case = self.case(&upstream, exhausted, &mut teller).await?;
                self.conclude(&case, console)?;
                Ok(Exit::Failed)
            }
        }
    }

    /// What is asked for, of whom.
    fn title(&self, upstream: &Upstream) -> String {
        let servers: Vec<&str> = upstream.settings().servers.iter().map(|server| asked::place(&server.url)).collect();
        let own = upstream.settings().servers.iter().any(|server| server.url.authority() == self.host);
        let host = if own { String::new() } else { format!(", host {}", self.host) };
        format!("{} from {}{host}", self.target, servers.join(", "))
    }

    /// The request, and its answer to the end of its body.
    async fn exchange(&self, upstream: &Upstream) -> Result<Response, Exhausted> {
        let begin = Instant::now();
        let Answered { response, server, .. } = match upstream.call(Box::new(self.request()), None).await {
            Ok(answered) => answered,
            Err(Unanswered::Exhausted(exhausted)) => return Err(exhausted),
            // There is no body that could be broken.
            Err(Unanswered::Client(_)) => return Err(only(Failure::new(Fault::ClosedBeforeResponse))),
        };
        let elapsed = begin.elapsed();
        let (parts, mut body) = response.into_parts();
        let status = parts.status.as_u16();
        if let Err(malformed) = response::response(parts.clone(), &self.shared.pseudonym) {
            let failure =
                body.reject(malformed, status).map_or_else(|| Failure::new(Fault::ResponseMalformed), |it| *it);
            return Err(only(failure));
        }
        let server = asked::place(&server.url).to_owned();
        let mut answer = Response { parts, server, elapsed, bytes: 0, whole: false };
        if is_endless(&answer.parts.headers) {
            return Ok(answer);
        }
        // A stream that goes on for longer than it may be silent is not broken.
        let limit = upstream.settings().timeouts.body.saturating_add(A_MOMENT);
        let reading = async {
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                match frame {
                    Ok(frame) => answer.bytes += frame.data_ref().map_or(0, bytes::Bytes::len) as u64,
                    Err(Cut::Server(failure)) => return Err(only(*failure)),
                    Err(Cut::Client(_)) => return Ok(false),
                }
                if answer.bytes > MOST_READ {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        answer.whole = match within(limit, reading).await {
            Ok(Ok(whole)) => whole,
            Ok(Err(exhausted)) => return Err(exhausted),
            Err(_) => false,
        };
        Ok(answer)
    }

    /// The request as the proxy would send it. What the settings say of its host comes from `Upstream::call`, or stands in `host`.
    fn request(&self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::empty());
        *request.uri_mut() = Uri::try_from(&self.target).unwrap_or_default();
        let headers = request.headers_mut();
        headers.extend(HeaderValue::try_from(&self.host).ok().map(|host| (header::HOST, host)));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(NAME));
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        self.shared.pseudonym.sign(headers, Version::HTTP_11);
        request
    }

    /// All that is known of the failure, with what the checks find.
    async fn case(&self, upstream: &Upstream, exhausted: Exhausted, teller: &mut Teller<'_, '_>) -> io::Result<Case> {
        let (attempts, telling) = case::capped(exhausted.attempts, exhausted.telling);
        let path = self.target.split('?').next().unwrap_or_default();
        let (mut findings, mut history) = (Findings::default(), History::default());
        if let Some(failure) = attempts.get(telling) {
            findings = check(upstream, &Prober::new(&self.shared.board), failure, teller).await;
            history = upstream.history(failure, path);
        }
        teller.checked(&findings)?;
        Ok(Case {
            attempts,
            telling,
            request: RequestFacts {
                method: "GET".to_owned(),
                host: self.host.clone(),
                path: path.to_owned(),
                ..RequestFacts::default()
            },
            settings: self.shared.settings(upstream.settings()),
            here: self.shared.here.clone(),
            history,
            findings,
        })
    }

    fn conclude(&self, case: &Case, console: &mut Console<'_>) -> io::Result<()> {
        let diagnosis = diagnosis::diagnose(case, |cause| self.shared.checklist.steps(case, cause));
        if !self.json {
            let mut sheet = console.sheet();
            verdict::failed(&mut sheet, case, &diagnosis);
            return console.show(&mut sheet);
        }
        let now = SystemTime::now();
        let id = RequestId::new(now);
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = Moment(i64::try_from(since.as_millis()).unwrap_or_default());
        let occurrence =
            Occurrence { request_id: id.as_str(), at, incident: None, retry_after: None, repeatable: true };
        console.say([verdict::failed_in_json(case, &diagnosis, occurrence, self.shared)])
    }
}

/// Has the server checked, and waits until that has ended.
async fn check(upstream: &Upstream, prober: &Prober, failure: &Failure, teller: &mut Teller<'_, '_>) -> Findings {
    let shared = upstream.shared();
    let look = || prober.look(shared, failure, || shared.former_addresses(failure));
    if look().under_way {
        teller.checking();
        prober.wait(shared, failure).await;
    }
    look()
}

/// An answer that is meant to go on for ever is not waited for.
fn is_endless(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.starts_with(b"text/event-stream")
}

fn only(failure: Failure) -> Exhausted {
    Exhausted { attempts: vec![failure], telling: 0, retry_after: None }
}

/// So that the limit of the exchange itself comes first.
const A_MOMENT: Duration = Duration::from_secs(1);

/// How much of a body is read.
const MOST_READ: u64 = 64 << 20;

/// Who asks.
const NAME: &str = concat!("why502/", env!("CARGO_PKG_VERSION"), " (diagnose)");

pub(super) const HELP: &str = "\
URL is http://, https:// or unix: of an origin, whatever stands in front of it;
a path behind it is what is asked for (unix:/run/app.sock:/path). The request is
a GET. Where it fails, the server, its host and its name servers are checked by
a few packets, and the likely causes are ranked by what was found. An answer of
502, 503 or 504 is taken for a gateway's that has failed itself.

With --config it goes by the upstream that has this server, or that this host's
route leads to: its limits, TLS, name servers and platform. Without it, --host
is the name that TLS verifies, too.

Examples:
  why502 diagnose http://127.0.0.1:3000
  why502 diagnose https://10.0.0.6/health --host shop.example
  why502 diagnose http://app-1.internal:3000 --config /etc/why502/why502.toml

Exit status: 0 it answers, 1 it does not, 2 wrong usage or configuration.";
