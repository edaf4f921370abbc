//! Owns the way from a failure to its answer: what is known of it, the log line, the page.

use std::rc::Rc;

use crate::answer::Occurrence;
use crate::archive::Noted;
use crate::diagnosis::observed;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::Malformed;
use crate::proxy::Proxy;
use crate::proxy::Reply;
use crate::proxy::known::Known;
use crate::proxy::known::occurrence;
use crate::proxy::state::Destination;
use crate::proxy::state::State;
use crate::proxy::story::Story;
use crate::proxy::story::Told;
use crate::telemetry::Event;
use crate::telemetry::Probe;
use crate::upstream::Answered;
use crate::upstream::Exhausted;
use crate::upstream::ResponseBody;
use crate::upstream::Unanswered;

impl Proxy {
    /// Gives the checks of a server that has just failed a moment to end, so that the answer can tell of them.
    ///
    /// A check that fails calls for no other: two proxies with each other as their origins would check each other for ever.
    pub(super) async fn check(&self, destination: &Destination, outcome: &Result<Answered, Unanswered>, story: &Story) {
        let Err(Unanswered::Exhausted(exhausted)) = outcome else { return };
        if story.is_check {
            return;
        }
        let Some(failure) = exhausted.attempts.get(exhausted.telling) else { return };
        let upstream = destination.upstream.shared();
        if self.prober.look(upstream, failure, || upstream.former_addresses(failure)).under_way {
            self.prober.wait(upstream, failure).await;
        }
    }

    /// Tells of the rounds of checks that have ended; to be called on the core's coarse tick.
    pub fn tell_of_rounds(&self) {
        for round in self.prober.take_ended() {
            let found = observed::in_lines(&round.observations);
            self.telemetry.record(Event::Probe(Probe {
                upstream: &round.upstream,
                server: &round.server,
                round: round.number,
                fault: round.fault,
                elapsed: round.elapsed,
                found: &found,
            }));
        }
    }

    /// Lets the checks remember what they compare with later; to be called about once a second.
    pub fn remember(&self) {
        self.prober.remember();
    }

    /// The answer to a request that no server answered, with what is known now.
    pub(super) fn explain(
        &self,
        state: &State,
        destination: &Rc<Destination>,
        exhausted: Exhausted,
        story: &Story,
    ) -> Reply {
        let retry_after = exhausted.retry_after;
        let known = self.known(state, destination, exhausted, story);
        let noted = self.incident(state, &destination.upstream.settings().name, &known.diagnosis);
        let occurrence = occurrence(story, noted.as_ref().map(|noted| &*noted.id), retry_after);
        let answer = known.answer(story.role, self.wishes.style(&story.wish, state), &occurrence);
        self.tell(state, &known, &occurrence, story, Outcome::Answered(answer.body.len() as u64));
        keep_answer(state, noted.as_ref(), &known, &occurrence);
        self.own(answer, story).into()
    }

    /// A failure that a retry has hidden from the client.
    pub(super) fn explain_hidden(&self, state: &State, destination: &Rc<Destination>, failure: Failure, story: &Story) {
        let known = self.known(state, destination, only(failure), story);
        self.tell(state, &known, &occurrence(story, None, None), story, Outcome::Hidden);
    }

    /// A failure in the middle of a body, whose head has gone to the client already.
    pub(super) fn explain_cut(
        &self,
        state: &State,
        destination: &Rc<Destination>,
        failure: &Failure,
        story: &Story,
        sent: u64,
    ) {
        let known = self.known(state, destination, only(failure.clone()), story);
        let noted = self.incident(state, &destination.upstream.settings().name, &known.diagnosis);
        let occurrence = occurrence(story, noted.as_ref().map(|noted| &*noted.id), None);
        self.tell(state, &known, &occurrence, story, Outcome::Cut(sent));
        keep_answer(state, noted.as_ref(), &known, &occurrence);
    }

    fn known(&self, state: &State, destination: &Rc<Destination>, exhausted: Exhausted, story: &Story) -> Rc<Known> {
        let failure = exhausted.attempts.get(exhausted.telling).filter(|_| !story.is_check);
        let upstream = destination.upstream.shared();
        let findings =
            failure.map(|failure| self.prober.look(upstream, failure, || upstream.former_addresses(failure)));
        self.explained.explain(state, destination, exhausted, findings.unwrap_or_default(), story)
    }

    /// Logs the operator's answer, and keeps it for who asks for it by the request's id.
    fn tell(&self, state: &State, known: &Known, occurrence: &Occurrence<'_>, story: &Story, outcome: Outcome) {
        let (bytes_sent, retried) = match outcome {
            Outcome::Answered(sent) | Outcome::Cut(sent) => (sent, false),
            Outcome::Hidden => (0, true),
        };
        let site = &state.shared.site;
        state.shared.past.keep(known.report(site, occurrence), occurrence);
        let line = known.line(site, occurrence);
        let told = Told { diagnosis: &known.diagnosis, report: line.as_bytes(), bytes_sent, retried };
        self.telemetry.record(Event::UpstreamFailure(story.failure(&told)));
    }
}

/// Keeps what an operator is told of the failure that an incident goes by.
fn keep_answer(state: &State, noted: Option<&Noted>, known: &Known, occurrence: &Occurrence<'_>) {
    if let Some(Noted { id, goes_by_it: true, .. }) = noted {
        state.shared.archive.keep_answer(id, &known.line(&state.shared.site, occurrence));
    }
}

/// What the client has of it.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// An answer of this length.
    Answered(u64),
    /// Nothing: a retry succeeded.
    Hidden,
    /// A message that was cut after so many bytes of its body.
    Cut(u64),
}

/// A failure that was met before any server was asked.
pub(super) fn alone(fault: Fault) -> Exhausted {
    only(Failure::new(fault))
}

fn only(failure: Failure) -> Exhausted {
    Exhausted { attempts: vec![failure], telling: 0, retry_after: None }
}

/// A response whose head may not be passed on.
pub(super) fn rejected(body: ResponseBody, malformed: Malformed, status: u16) -> Exhausted {
    only(body.reject(malformed, status).map_or_else(|| Failure::new(Fault::ResponseMalformed), |failure| *failure))
}
