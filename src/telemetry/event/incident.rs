//! Owns the events of an incident: the line that opens it and the one that closes it.

use std::time::Duration;

use serde::Serialize;
use serde::Serializer;

use super::cause_word;
use super::fault_word;
use crate::diagnosis::Cause;
use crate::diagnosis::Evidence;
use crate::fault::Fault;
use crate::incident::Incident;
use crate::telemetry::stamp::rfc_3339;

/// An upstream has begun to fail with one cause.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct IncidentOpened<'a> {
    /// Its id, as the answers and lines of its failures have it.
    pub incident: &'a str,
    /// The upstream.
    pub upstream: &'a str,
    /// When it began.
    #[serde(serialize_with = "moment")]
    pub opened: Duration,
    /// How often it has come back after it was closed.
    #[serde(skip_serializing_if = "is_zero")]
    pub returns: u32,
    /// What was observed first.
    #[serde(serialize_with = "fault_word")]
    pub fault: Fault,
    /// The likeliest cause.
    #[serde(serialize_with = "cause_word")]
    pub cause: Cause,
    /// How sure that is, from 0.0 to 1.0.
    pub confidence: f64,
    /// One sentence for the operator.
    pub detail: &'a str,
    /// What spoke for the cause, weightiest first.
    #[serde(serialize_with = "found")]
    pub evidence: &'a [Evidence],
    /// Whether it is in the history and on the disk; none where no history is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<bool>,
}

/// An upstream has answered well again for a while.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct IncidentClosed<'a> {
    /// Its id.
    pub incident: &'a str,
    /// The upstream.
    pub upstream: &'a str,
    /// When it began.
    #[serde(serialize_with = "moment")]
    pub opened: Duration,
    /// When it was over.
    #[serde(serialize_with = "moment")]
    pub closed: Duration,
    /// Whether the process that saw it ended before it did, so that nobody knows when it was over.
    #[serde(skip_serializing_if = "is_false")]
    pub cut_short: bool,
    /// Failures that reached clients.
    pub count: u64,
    /// The same by fault.
    #[serde(serialize_with = "by_fault")]
    pub faults: &'a [(Fault, u64)],
    /// The likeliest cause.
    #[serde(serialize_with = "cause_word")]
    pub cause: Cause,
    /// How sure that is, from 0.0 to 1.0.
    pub confidence: f64,
    /// How often it came back after it was closed.
    #[serde(skip_serializing_if = "is_zero")]
    pub returns: u32,
    /// Whether its end is in the history and on the disk; none where no history is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<bool>,
}

impl<'a> From<&'a Incident> for IncidentOpened<'a> {
    fn from(incident: &'a Incident) -> Self {
        Self {
            incident: &incident.id,
            upstream: &incident.upstream,
            opened: incident.opened,
            returns: incident.returns,
            fault: incident.fault,
            cause: incident.cause,
            confidence: incident.confidence,
            detail: &incident.detail,
            evidence: &incident.evidence,
            stored: None,
        }
    }
}

impl<'a> From<&'a Incident> for IncidentClosed<'a> {
    fn from(incident: &'a Incident) -> Self {
        Self {
            incident: &incident.id,
            upstream: &incident.upstream,
            opened: incident.opened,
            closed: incident.closed.unwrap_or(incident.last),
            cut_short: false,
            count: incident.count,
            faults: &incident.faults,
            cause: incident.cause,
            confidence: incident.confidence,
            returns: incident.returns,
            stored: None,
        }
    }
}

fn found<S: Serializer>(evidence: &[Evidence], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(evidence.iter().map(Found::of))
}

/// A piece of evidence as an operator's answer has it.
#[derive(Serialize)]
struct Found<'a> {
    id: &'a str,
    says: &'a str,
    points_to: &'a str,
    weight: f64,
}

impl<'a> Found<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let Evidence { id, says, points_to, weight } = evidence;
        Self { id, says, points_to: points_to.word(), weight: *weight }
    }
}

fn by_fault<S: Serializer>(faults: &[(Fault, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(faults.iter().map(|(fault, count)| (fault.word(), count)))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A time since 1970 as every line has its own.
fn moment<S: Serializer>(since: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc_3339(*since))
}
