//! Owns what each reader may know, as types: a `VisitorReport` has no field for an address, a name, a port, a path, a command
//! or an error's text, so that no renderer can leak one. An `OperatorReport` has the case and the diagnosis beside it.

use std::time::Duration;

use super::language::Language;
use super::occurrence::Occurrence;
use super::place::Place;
use super::proxy_status::Parameter;
use super::words;
use crate::diagnosis::Audience;
use crate::diagnosis::Case;
use crate::diagnosis::Cause;
use crate::diagnosis::Diagnosis;
use crate::diagnosis::Evidence;
use crate::fault::Failure;
use crate::fault::Fault;
use crate::fault::Stage;

/// A failure as it is told to one reader.
#[derive(Debug, Clone)]
pub enum Report<'a> {
    /// To somebody who only wanted the page.
    Visitor(VisitorReport<'a>),
    /// To somebody who may see the inside.
    Operator(OperatorReport<'a>),
}

/// What everybody may know of a failure.
#[derive(Debug, Clone)]
pub struct VisitorReport<'a> {
    pub(super) fault: Fault,
    pub(super) cause: Cause,
    pub(super) confidence: f64,
    pub(super) causes: &'a [(Cause, f64)],
    pub(super) summary: &'a str,
    pub(super) steps: Vec<PublicStep<'a>>,
    pub(super) parameters: Vec<Parameter>,
    /// Whether something of the request was sent, so that it may have been carried out without an answer.
    pub(super) may_have_arrived: bool,
    pub(super) occurrence: Occurrence<'a>,
}

/// A step that everybody may read. It has no field for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PublicStep<'a> {
    pub(super) audience: Audience,
    pub(super) text: &'a str,
}

/// What operators know beyond that.
#[derive(Debug, Clone)]
pub struct OperatorReport<'a> {
    pub(super) visitor: VisitorReport<'a>,
    pub(super) case: &'a Case,
    pub(super) diagnosis: &'a Diagnosis,
}

/// How long the stage that failed had taken, and what it was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) stage: Stage,
    pub(super) took: Duration,
    pub(super) limit: Option<Duration>,
    /// What the attempt took in all; the same as its last stage where there was next to nothing before that.
    pub(super) in_all: Duration,
}

/// A step as one reader is shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShownStep<'a> {
    pub(super) audience: Audience,
    pub(super) text: &'a str,
    pub(super) command: Option<&'a str>,
}

impl<'a> Report<'a> {
    /// What everybody may know of it.
    #[must_use]
    pub fn visitor(&self) -> &VisitorReport<'a> {
        match self {
            Self::Visitor(visitor) => visitor,
            Self::Operator(operator) => &operator.visitor,
        }
    }

    /// What only operators know; none in a visitor's report.
    #[must_use]
    pub fn operator(&self) -> Option<&OperatorReport<'a>> {
        match self {
            Self::Visitor(_) => None,
            Self::Operator(operator) => Some(operator),
        }
    }

    /// The sentence that tells the reader what happened.
    pub(super) fn detail(&self) -> &'a str {
        match self {
            Self::Visitor(visitor) => visitor.summary,
            Self::Operator(operator) => operator.detail(),
        }
    }

    /// Every step that the reader may see, in order. The owner's are in English.
    pub(super) fn steps(&self, language: Language) -> Vec<ShownStep<'a>> {
        match self {
            Self::Visitor(visitor) => {
                let shown = |step: &PublicStep<'a>| ShownStep {
                    audience: step.audience,
                    text: language.say(step.text),
                    command: None,
                };
                visitor.steps.iter().map(shown).collect()
            }
            Self::Operator(operator) => {
                let steps = operator.diagnosis.steps.iter();
                let command = |command: &'a Option<String>| command.as_deref();
                steps
                    .map(|step| ShownStep {
                        audience: step.audience,
                        text: &step.text,
                        command: command(&step.command),
                    })
                    .collect()
            }
        }
    }

    /// The steps for that audience.
    pub(super) fn steps_for(&self, audience: Audience, language: Language) -> Vec<ShownStep<'a>> {
        self.steps(language).into_iter().filter(|step| step.audience == audience).collect()
    }
}

impl<'a> VisitorReport<'a> {
    /// Takes from the case and the diagnosis what everybody may know.
    #[must_use]
    pub fn new(case: &Case, diagnosis: &'a Diagnosis, occurrence: Occurrence<'a>) -> Self {
        let public = diagnosis.steps.iter().filter(|step| !step.private && step.command.is_none());
        Self {
            fault: diagnosis.fault,
            cause: diagnosis.cause,
            confidence: diagnosis.confidence,
            causes: &diagnosis.causes,
            summary: diagnosis.summary,
            steps: public.map(|step| PublicStep { audience: step.audience, text: &step.text }).collect(),
            parameters: Parameter::of(case.failure()),
            may_have_arrived: case.attempts.iter().any(|attempt| !attempt.nothing_sent()),
            occurrence,
        }
    }

    /// What was observed.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// When it happened, and under which ids.
    #[must_use]
    pub fn occurrence(&self) -> &Occurrence<'a> {
        &self.occurrence
    }

    /// The causes besides the likeliest, without those that nobody would bet on.
    pub(super) fn other_causes(&self) -> impl Iterator<Item = (Cause, f64)> {
        let worth_naming = |(cause, confidence): &(Cause, f64)| {
            ![self.cause, Cause::Unknown].contains(cause) && *confidence >= LEAST_CONFIDENCE
        };
        self.causes.iter().copied().filter(worth_naming)
    }

    /// The likeliest cause and the one behind it, in a sentence that favours neither; none where the first is likelier
    /// than not, or where nothing is known.
    pub(super) fn supposition(&self, language: Language) -> Option<String> {
        let unsure = self.cause != Cause::Unknown && self.confidence < LIKELIER_THAN_NOT;
        let mut causes = self.supposed().map(|(cause, _)| language.say(words::supposed(cause)));
        let first = causes.next().filter(|_| unsure)?;
        Some(match causes.next() {
            Some(second) => {
                language.fill("Perhaps {first}, perhaps {second}.", &[("first", first), ("second", second)])
            }
            None => language.fill("Perhaps {first}.", &[("first", first)]),
        })
    }

    /// The causes that such a sentence names.
    pub(super) fn supposed(&self) -> impl Iterator<Item = (Cause, f64)> {
        std::iter::once((self.cause, self.confidence)).chain(self.other_causes().take(1))
    }

    pub(super) fn place(&self) -> Place {
        Place::of(self.fault, self.cause)
    }
}

impl<'a> OperatorReport<'a> {
    /// Takes everything.
    #[must_use]
    pub fn new(case: &'a Case, diagnosis: &'a Diagnosis, occurrence: Occurrence<'a>) -> Self {
        Self { visitor: VisitorReport::new(case, diagnosis, occurrence), case, diagnosis }
    }

    /// The most telling failure.
    pub(super) fn failure(&self) -> &'a Failure {
        self.case.failure()
    }

    pub(super) fn detail(&self) -> &'a str {
        &self.diagnosis.detail
    }

    pub(super) fn evidence(&self) -> &'a [Evidence] {
        &self.diagnosis.evidence
    }

    /// What to say where checks may yet find more.
    pub(super) fn checks(&self) -> Option<&'static str> {
        self.case.findings.under_way.then_some(CHECKS_UNDER_WAY)
    }

    pub(super) fn attempts(&self) -> &'a [Failure] {
        &self.case.attempts
    }

    /// How long the stage that failed had taken, against its limit.
    pub(super) fn timing(&self, failure: &Failure) -> Timing {
        let stage = failure.fault.stage();
        let timeouts = &self.case.settings.timeouts;
        let configured = match stage {
            Stage::Resolve => Some(timeouts.resolve),
            Stage::Connect => Some(timeouts.connect),
            Stage::Tls => Some(timeouts.tls),
            Stage::Send => Some(timeouts.send),
            Stage::Response => Some(timeouts.response),
            Stage::Body => Some(timeouts.body),
            Stage::Gateway | Stage::Upstream => None,
        };
        let took = failure.waited();
        let only_stage = failure.elapsed.saturating_sub(took) < NEXT_TO_NOTHING;
        let in_all = if only_stage { took } else { failure.elapsed };
        Timing { stage, took, limit: failure.limit.or(configured), in_all }
    }
}

/// What an operator is told before the checks have ended.
const CHECKS_UNDER_WAY: &str = "Checks are under way; ask again in a moment.";

/// Two times that are so close together would only make a reader wonder which is right.
const NEXT_TO_NOTHING: Duration = Duration::from_millis(1);

/// From here on, a cause is said without a `perhaps`.
const LIKELIER_THAN_NOT: f64 = 0.5;

/// Below it, a cause is not worth naming to a person.
const LEAST_CONFIDENCE: f64 = 0.05;

/// What a reader is told whose request may have been carried out without an answer.
pub(super) const SENT_ALREADY: &str =
    "Before you send it again, see whether it had gone through: what you sent may have arrived.";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::answer::Answer;
    use crate::answer::Format;
    use crate::answer::Language;
    use crate::answer::samples::OCCURRENCE;
    use crate::answer::samples::Story;
    use crate::answer::samples::style;
    use crate::answer::samples::text;
    use crate::config::StatusPolicy;
    use crate::diagnosis::Cause;

    #[test]
    fn where_no_cause_is_likelier_than_not_the_first_two_are_said_alike() {
        for (causes, said) in [
            (
                &[(Cause::Firewall, 0.43), (Cause::OriginDown, 0.3), (Cause::Network, 0.1)][..],
                Some("Perhaps a firewall, perhaps an origin that is down."),
            ),
            (&[(Cause::Firewall, 0.49), (Cause::OriginDown, 0.04)], Some("Perhaps a firewall.")),
            (&[(Cause::Firewall, 0.5), (Cause::OriginDown, 0.4)], None),
            (&[(Cause::Unknown, 0.4), (Cause::OriginDown, 0.3)], None),
        ] {
            let mut story = Story::refused();
            (story.diagnosis.cause, story.diagnosis.confidence) = causes[0];
            story.diagnosis.causes = causes.to_vec();
            for report in [story.for_visitor(OCCURRENCE), story.for_operator(OCCURRENCE)] {
                assert_eq!(report.visitor().supposition(Language::ENGLISH).as_deref(), said);
                for format in [Format::Html, Format::Text] {
                    let answer = Answer::failure(&report, style(format), StatusPolicy::BadGateway);
                    assert_eq!(text(&answer).contains("Perhaps "), said.is_some(), "{format:?}: {}", text(&answer));
                    assert!(said.is_none_or(|said| text(&answer).contains(said)), "{format:?}: {}", text(&answer));
                    assert!(said.is_none() || !text(&answer).contains("most likely</h2>"));
                }
            }
        }
    }

    #[test]
    fn only_operators_are_told_of_checks_and_only_while_they_are_under_way() {
        let mut story = Story::refused();
        for under_way in [true, false] {
            story.case.findings.under_way = under_way;
            for format in [Format::Html, Format::Text, Format::Json, Format::Problem] {
                let told = |report| {
                    let answer = Answer::failure(&report, style(format), StatusPolicy::BadGateway);
                    let words: Vec<&str> = text(&answer).split_whitespace().collect();
                    let words = words.join(" ");
                    words.contains("Checks are under way; ask again in a moment.")
                        || words.contains("\"checks\": \"under_way\"")
                };
                assert_eq!(told(story.for_operator(OCCURRENCE)), under_way, "{format:?}");
                assert!(!told(story.for_visitor(OCCURRENCE)), "{format:?}");
            }
        }
    }

    #[test]
    fn one_event_has_one_time_wherever_it_is_told() {
        for (elapsed, stage, told) in [
            (42, 0, "after less than 0.1 ms; connect: less than 0.1 ms of at most 3 s"),
            (130, 0, "after 0.1 ms; connect: 0.1 ms of at most 3 s"),
            (130, 40, "after less than 0.1 ms; connect: less than 0.1 ms of at most 3 s"),
            (52_400, 400, "after 52 ms; connect: 0.4 ms of at most 3 s"),
        ] {
            let mut story = Story::refused();
            let failure = &mut story.case.attempts[0];
            (failure.elapsed, failure.stage_elapsed) = (Duration::from_micros(elapsed), Duration::from_micros(stage));
            let answer =
                Answer::failure(&story.for_operator(OCCURRENCE), style(Format::Text), StatusPolicy::BadGateway);
            let words: Vec<&str> = text(&answer).split_whitespace().collect();
            assert!(words.join(" ").contains(told), "{told}: {}", text(&answer));
        }
    }
}
