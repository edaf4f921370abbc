//! Owns the diagnosis: from a `Case` to ranked causes with their evidence and the checklist. Pure: no clock, no socket.
//!
//! `rules` look at the case and say what they see, `weigh` turns that into causes, `summary` and `detail` say it to a
//! visitor and to an operator. Who a diagnosis is shown to, and in which form, is `answer`'s.

pub mod case;
pub mod cause;
pub mod checklist;
pub mod command;
pub mod detail;
pub mod evidence;
pub mod history;
pub mod observation;
pub mod observed;
pub mod placeholder;
pub mod rules;
mod runbook;
pub mod summary;
pub mod weigh;
pub mod wording;

#[cfg(test)]
mod knowledge;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod stories;

pub use self::case::Case;
pub use self::cause::Cause;
pub use self::checklist::Checklist;
pub use self::evidence::Evidence;

use crate::fault::Fault;

/// What is concluded from a case.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    /// What was observed.
    pub fault: Fault,
    /// The likeliest cause.
    pub cause: Cause,
    /// How sure that is, from 0.0 to 1.0.
    pub confidence: f64,
    /// Every cause that is worth naming, likeliest first, `cause` among them.
    pub causes: Vec<(Cause, f64)>,
    /// What speaks for and against them, weightiest first.
    pub evidence: Vec<Evidence>,
    /// One sentence for a visitor, without anything private.
    ///
    /// The same for every case with this fault and cause, so that an answer can be prepared once.
    pub summary: &'static str,
    /// One sentence for the operator, with addresses, numbers and names.
    pub detail: String,
    /// What to do, in order.
    pub steps: Vec<Step>,
}

/// Concludes from a case why it likely happened.
///
/// `steps` is asked once, with the likeliest cause, for what to do about it.
#[must_use]
pub fn diagnose(case: &Case, steps: impl FnOnce(Cause) -> Vec<Step>) -> Diagnosis {
    let failure = case.failure();
    let evidence = rules::evidence(case);
    let causes = weigh::weigh(failure.fault, &evidence);
    let (likeliest, confidence) = causes.first().copied().unwrap_or((Cause::Unknown, 0.0));
    Diagnosis {
        fault: failure.fault,
        cause: likeliest,
        confidence,
        causes,
        summary: summary::summary(failure.fault, likeliest),
        // A server may have chosen part of it.
        detail: command::printable(&detail::with_finding(failure, rules::most_telling(&evidence, likeliest))),
        evidence,
        steps: steps(likeliest),
    }
}

/// Whom a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Somebody who only wanted the page.
    Visitor,
    /// The site's owner or the engineer on call.
    Owner,
}

impl Audience {
    /// The word of the contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Owner => "owner",
        }
    }
}

/// One step of the checklist, filled in for this incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Whom it is for.
    pub audience: Audience,
    /// What to do, in one or two sentences.
    pub text: String,
    /// A command for a shell, safely quoted. A step that has one is for operators only.
    pub command: Option<String>,
    /// Whether the text itself names what is the operators' (an address, a name, a port, a path), so that no visitor
    /// may see it.
    pub private: bool,
}

#[cfg(test)]
mod tests {
    use super::Case;
    use super::samples;
    use crate::fault::Fault;
    use crate::fault::failure::ResponseEvidence;

    #[test]
    fn what_servers_say_turns_no_writing_round_and_hides_nothing() {
        let mut case: Case = samples::case(Fault::UpstreamBadGateway);
        case.attempts[0].response = Some(ResponseEvidence {
            status: 502,
            server: Some("nginx\u{202e}\u{200b}\u{1b}[2J".to_owned()),
            inner: Some(crate::fault::gateway::Inner::Refused),
            said: Some("gro.elpmaxe\u{202e}\u{2066}\u{feff}".to_owned()),
            ..ResponseEvidence::default()
        });
        let diagnosis = super::diagnose(&case, |_| Vec::new());
        let said: Vec<&str> = diagnosis.evidence.iter().map(|found| found.says.as_str()).collect();
        let all = format!("{} {}", diagnosis.detail, said.join(" "));
        assert!(all.contains("gro.elpmaxe\u{fffd}"), "{all}");
        assert!(!all.contains(['\u{202e}', '\u{2066}', '\u{feff}', '\u{200b}', '\u{1b}']), "{all:?}");
    }
}
