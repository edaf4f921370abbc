//! Owns what has been concluded lately: a failure that repeats is diagnosed and rendered once, and then only filled in.
//!
//! In an outage every request fails in the same way, and an origin that is down should not cost more than one that is up.

use std::cell::OnceCell;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::answer::Answer;
use crate::answer::Format;
use crate::answer::Language;
use crate::answer::Occurrence;
use crate::answer::OperatorReport;
use crate::answer::Prepared;
use crate::answer::Report;
use crate::answer::Shape;
use crate::answer::Site;
use crate::answer::Style;
use crate::answer::VisitorReport;
use crate::config::StatusPolicy;
use crate::diagnosis;
use crate::diagnosis::Case;
use crate::diagnosis::Diagnosis;
use crate::diagnosis::case;
use crate::diagnosis::observation::Findings;
use crate::proxy::client::Role;
use crate::proxy::refuse;
use crate::proxy::state::Destination;
use crate::proxy::state::State;
use crate::proxy::story::Story;
use crate::telemetry;
use crate::upstream::Exhausted;

/// Failures that were explained within the last moments, on one core.
#[derive(Debug, Default)]
pub(super) struct Explained(RefCell<Vec<Rc<Known>>>);

/// Which of the answers to one failure it is.
type Kind = (Role, Format, Language, Option<Shape>);

/// One failure, explained.
#[derive(Debug)]
pub(super) struct Known {
    destination: Rc<Destination>,
    case: Case,
    pub(super) diagnosis: Diagnosis,
    policy: StatusPolicy,
    answers: RefCell<Vec<(Kind, Arc<Prepared>)>>,
    /// The operator's answer in JSON as a line of the log has it.
    line: OnceCell<Prepared>,
    at: Instant,
}

impl Explained {
    /// Forgets all of them.
    pub(super) fn forget(&self) {
        self.0.borrow_mut().clear();
    }

    /// What is known of this failure: concluded just before from one that is like it in all but its moment, or now.
    pub(super) fn explain(
        &self,
        state: &State,
        destination: &Rc<Destination>,
        exhausted: Exhausted,
        findings: Findings,
        story: &Story,
    ) -> Rc<Known> {
        let now = Instant::now();
        let mut all = self.0.borrow_mut();
        all.retain(|known| now.duration_since(known.at) < FRESH);
        if let Some(known) = all.iter().find(|known| known.is_like(destination, &exhausted, &findings, story)) {
            return Rc::clone(known);
        }
        let known = Rc::new(Known::new(state, destination, (exhausted, findings), story, now));
        if all.len() < MOST_KNOWN {
            all.push(Rc::clone(&known));
        }
        known
    }
}

impl Known {
    fn new(
        state: &State,
        destination: &Rc<Destination>,
        (exhausted, findings): (Exhausted, Findings),
        story: &Story,
        now: Instant,
    ) -> Self {
        let case = case(state, destination, exhausted, findings, story);
        let checklist = &state.shared.checklist;
        let diagnosis = diagnosis::diagnose(&case, |cause| checklist.steps(&case, cause));
        let policy = state.shared.config.diagnosis.status;
        let (answers, line) = (RefCell::default(), OnceCell::new());
        Self { destination: Rc::clone(destination), case, diagnosis, policy, answers, line, at: now }
    }

    fn is_like(
        &self,
        destination: &Rc<Destination>,
        exhausted: &Exhausted,
        findings: &Findings,
        story: &Story,
    ) -> bool {
        let Case { attempts, telling, request, findings: known, .. } = &self.case;
        Rc::ptr_eq(&self.destination, destination)
            && *telling == exhausted.telling
            && attempts.len() == exhausted.attempts.len()
            && attempts.iter().zip(&exhausted.attempts).all(|(known, new)| known.is_like(new))
            && known.is_same(findings)
            && story.asks_for(request)
    }

    /// The answer for this reader in this style.
    pub(super) fn answer(&self, role: Role, style: Style<'_>, occurrence: &Occurrence<'_>) -> Answer {
        self.prepared(role, style, occurrence).fill(occurrence)
    }

    /// The operator's answer in JSON, to be filled in when somebody asks for it.
    pub(super) fn report(&self, site: &Site, occurrence: &Occurrence<'_>) -> Arc<Prepared> {
        self.prepared(Role::Operator, Style { format: Format::Json, language: Language::ENGLISH, site }, occurrence)
    }

    /// The members of that answer as a line of the log has them.
    pub(super) fn line(&self, site: &Site, occurrence: &Occurrence<'_>) -> String {
        let line = self.line.get_or_init(|| self.report(site, occurrence).rewritten(telemetry::members_in_line));
        line.fill_body(occurrence)
    }

    fn prepared(&self, role: Role, style: Style<'_>, occurrence: &Occurrence<'_>) -> Arc<Prepared> {
        let style = style.for_reader(role == Role::Operator);
        let kind = (role, style.format, style.language, style.shape(occurrence));
        let mut answers = self.answers.borrow_mut();
        if let Some((_, prepared)) = answers.iter().find(|(known, _)| *known == kind) {
            return Arc::clone(prepared);
        }
        let report = match role {
            Role::Visitor => Report::Visitor(VisitorReport::new(&self.case, &self.diagnosis, *occurrence)),
            Role::Operator => Report::Operator(OperatorReport::new(&self.case, &self.diagnosis, *occurrence)),
        };
        let prepared = Arc::new(Prepared::failure(&report, style, self.policy));
        if answers.len() == MOST_ANSWERS {
            answers.remove(0);
        }
        answers.push((kind, Arc::clone(&prepared)));
        prepared
    }
}

fn case(state: &State, destination: &Destination, exhausted: Exhausted, findings: Findings, story: &Story) -> Case {
    let Exhausted { attempts, telling, .. } = exhausted;
    let history = attempts.get(telling).map(|failure| destination.upstream.history(failure, story.path_there()));
    let history = history.unwrap_or_default();
    let (attempts, telling) = case::capped(attempts, telling);
    Case {
        attempts,
        telling,
        request: story.facts(),
        settings: destination.settings.clone(),
        here: state.shared.here.clone(),
        history,
        findings,
    }
}

/// The moment of a failure, for its answer and its log line.
pub(super) fn occurrence<'a>(
    story: &'a Story,
    incident: Option<&'a str>,
    retry_after: Option<Duration>,
) -> Occurrence<'a> {
    let retry_after = retry_after.map(|wait| wait.as_secs().max(1));
    Occurrence { incident, retry_after, ..refuse::occurrence(story.request_id.as_str(), story.is_repeatable()) }
}

/// How long a conclusion holds for failures that are like it.
const FRESH: Duration = Duration::from_secs(1);
/// How many kinds of failure are kept at once; further ones are concluded each time.
const MOST_KNOWN: usize = 32;
/// How many answers to one failure are kept at once: whoever asks in ever other languages gets them made each time.
const MOST_ANSWERS: usize = 16;
