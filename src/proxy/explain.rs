//! Owns the way from a failure to its answer: the case, the diagnosis, the log line, the page.

use crate::answer::Answer;
use crate::answer::Occurrence;
use crate::answer::OperatorReport;
use crate::answer::Problem;
use crate::answer::Report;
use crate::answer::VisitorReport;
use crate::answer::head;
use crate::diagnosis;
use crate::diagnosis::Case;
use crate::diagnosis::Diagnosis;
use crate::diagnosis::case::MOST_ATTEMPTS;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::failure::Malformed;
use crate::proxy::Proxy;
use crate::proxy::Reply;
use crate::proxy::client::Role;
use crate::proxy::refuse;
use crate::proxy::state::Destination;
use crate::proxy::state::State;
use crate::proxy::story::Story;
use crate::proxy::story::Told;
use crate::telemetry::Event;
use crate::upstream::Exhausted;
use crate::upstream::ResponseBody;

impl Proxy {
    /// The answer to a request that no server answered.
    pub(super) fn explain(
        &self,
        state: &State,
        destination: &Destination,
        exhausted: Exhausted,
        story: &Story,
    ) -> Reply {
        let retry_after = exhausted.retry_after.map(|wait| wait.as_secs().max(1));
        let case = case(state, destination, exhausted, story);
        let diagnosis = conclude(state, &case);
        let occurrence =
            Occurrence { retry_after, ..refuse::occurrence(story.request_id.as_str(), story.is_repeatable()) };
        let policy = state.shared.config.diagnosis.status;
        let report = match story.role {
            Role::Visitor => Report::Visitor(VisitorReport::new(&case, &diagnosis, occurrence)),
            Role::Operator => Report::Operator(OperatorReport::new(&case, &diagnosis, occurrence)),
        };
        let answer = Answer::failure(&report, story.format, policy);
        self.tell(
            &case,
            &diagnosis,
            occurrence,
            story,
            Outcome::Answered(answer.status.as_u16(), answer.body.len() as u64),
        );
        self.own(answer, story).into()
    }

    /// A failure that a retry has hidden from the client.
    pub(super) fn explain_hidden(&self, state: &State, destination: &Destination, failure: Failure, story: &Story) {
        let case = case(state, destination, only(failure), story);
        let diagnosis = conclude(state, &case);
        let occurrence = refuse::occurrence(story.request_id.as_str(), story.is_repeatable());
        self.tell(&case, &diagnosis, occurrence, story, Outcome::Hidden);
    }

    /// A failure in the middle of a body, whose head has gone to the client already.
    pub(super) fn explain_cut(
        &self,
        state: &State,
        destination: &Destination,
        failure: Box<Failure>,
        story: &Story,
        sent: u64,
    ) -> Box<Failure> {
        let case = case(state, destination, only((*failure).clone()), story);
        let diagnosis = conclude(state, &case);
        let occurrence = refuse::occurrence(story.request_id.as_str(), story.is_repeatable());
        self.tell(&case, &diagnosis, occurrence, story, Outcome::Cut(sent));
        failure
    }

    fn tell(&self, case: &Case, diagnosis: &Diagnosis, occurrence: Occurrence<'_>, story: &Story, outcome: Outcome) {
        let status = match outcome {
            Outcome::Answered(status, _) => status,
            Outcome::Hidden | Outcome::Cut(_) => {
                head::status(diagnosis.fault, crate::config::StatusPolicy::BadGateway).as_u16()
            }
        };
        let report = Report::Operator(OperatorReport::new(case, diagnosis, occurrence));
        let report = serde_json::to_vec(&Problem::new(&report, status)).unwrap_or_else(|_| b"{}".to_vec());
        let (bytes_sent, retried) = match outcome {
            Outcome::Answered(_, sent) | Outcome::Cut(sent) => (sent, false),
            Outcome::Hidden => (0, true),
        };
        let told = Told { diagnosis, report: &report, bytes_sent, retried };
        self.telemetry.record(Event::UpstreamFailure(story.failure(&told)));
    }
}

/// What the client has of it.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// An answer of this status and length.
    Answered(u16, u64),
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

fn case(state: &State, destination: &Destination, exhausted: Exhausted, story: &Story) -> Case {
    let Exhausted { mut attempts, mut telling, .. } = exhausted;
    if attempts.len() > MOST_ATTEMPTS {
        let told = attempts.swap_remove(telling);
        attempts.truncate(MOST_ATTEMPTS - 1);
        attempts.push(told);
        telling = attempts.len() - 1;
    }
    Case {
        attempts,
        telling,
        request: story.facts(),
        settings: destination.settings.clone(),
        here: state.shared.here.clone(),
    }
}

fn conclude(state: &State, case: &Case) -> Diagnosis {
    diagnosis::diagnose(case, |cause| state.shared.checklist.steps(case, cause))
}
