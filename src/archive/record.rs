//! Owns an incident as it is kept and shown when it is over: the names and times of the log's lines, in JSON, both ways.

use std::time::Duration;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error as _;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::diagnosis::Cause;
use crate::diagnosis::Evidence;
use crate::fault::Fault;
use crate::incident::Incident;
use crate::telemetry;

/// An incident, open or over. Times are since 1970, and RFC 3339 in JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Its id, a ULID: those of later incidents come later in the alphabet.
    #[serde(rename = "incident")]
    pub id: String,
    /// The upstream that failed.
    pub upstream: String,
    /// When it began.
    #[serde(serialize_with = "moment", deserialize_with = "read_moment")]
    pub opened: Duration,
    /// When the last failure came.
    #[serde(serialize_with = "moment", deserialize_with = "read_moment")]
    pub last: Duration,
    /// When it was over; none while it is not.
    #[serde(serialize_with = "some_moment", deserialize_with = "read_some_moment")]
    pub closed: Option<Duration>,
    /// Whether the process that saw it ended before it did, so that nobody knows when it was over.
    #[serde(default)]
    pub cut_short: bool,
    /// Failures that reached clients.
    pub count: u64,
    /// The same by fault, in the order in which each was first met.
    #[serde(serialize_with = "by_fault", deserialize_with = "read_by_fault")]
    pub faults: Vec<(Fault, u64)>,
    /// What was observed first.
    #[serde(serialize_with = "fault_word", deserialize_with = "read_fault")]
    pub fault: Fault,
    /// The likeliest cause.
    #[serde(serialize_with = "cause_word", deserialize_with = "read_cause")]
    pub cause: Cause,
    /// How sure that is, from 0.0 to 1.0.
    pub confidence: f64,
    /// How often it came back after it had been closed.
    pub returns: u32,
    /// One sentence for the operator.
    pub detail: String,
    /// What spoke for the cause.
    pub evidence: Vec<Found>,
    /// The operator's answer to the failure that it goes by, as that request's `upstream_failure` has it.
    pub answer: Option<Answer>,
}

/// A piece of evidence as an operator's answer has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The rule's name.
    pub id: String,
    /// One sentence.
    pub says: String,
    /// The cause that it points to.
    #[serde(serialize_with = "cause_word", deserialize_with = "read_cause")]
    pub points_to: Cause,
    /// How much it weighs; negative where it speaks against that cause.
    pub weight: f64,
}

/// A whole JSON object.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Answer(Box<RawValue>);

impl Record {
    /// An incident as it is now.
    pub(super) fn of(incident: &Incident, answer: Option<Answer>) -> Self {
        Self {
            id: incident.id.to_string(),
            upstream: incident.upstream.to_string(),
            opened: incident.opened,
            last: incident.last,
            closed: incident.closed,
            cut_short: false,
            count: incident.count,
            faults: incident.faults.clone(),
            fault: incident.fault,
            cause: incident.cause,
            confidence: incident.confidence,
            returns: incident.returns,
            detail: incident.detail.clone(),
            evidence: incident.evidence.iter().map(Found::of).collect(),
            answer,
        }
    }

    /// About as many bytes as it takes.
    pub(super) fn size(&self) -> usize {
        let evidence: usize = self.evidence.iter().map(|found| size_of::<Found>() + found.says.len()).sum();
        let answer = self.answer.as_ref().map_or(0, |answer| answer.json().len());
        size_of::<Self>() + self.detail.len() + evidence + answer
    }
}

impl Found {
    fn of(evidence: &Evidence) -> Self {
        let Evidence { id, says, points_to, weight } = evidence;
        Self { id: (*id).to_owned(), says: says.clone(), points_to: *points_to, weight: *weight }
    }
}

impl Answer {
    /// Of members as a line of the log has them: with a comma before each. None where that is too much to keep.
    pub(super) fn of_line(members: &str) -> Option<Self> {
        let members = members.strip_prefix(',').filter(|members| members.len() <= LARGEST_ANSWER)?;
        RawValue::from_string(format!("{{{members}}}")).ok().map(Self)
    }

    /// The object.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.get()
    }
}

fn moment<S: Serializer>(since: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&telemetry::rfc_3339(*since))
}

#[expect(clippy::ref_option, reason = "serde passes a reference")]
fn some_moment<S: Serializer>(since: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match since {
        Some(since) => moment(since, serializer),
        None => serializer.serialize_none(),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn fault_word<S: Serializer>(fault: &Fault, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(fault.word())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn cause_word<S: Serializer>(cause: &Cause, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(cause.word())
}

fn by_fault<S: Serializer>(faults: &[(Fault, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(faults.iter().map(|(fault, count)| (fault.word(), count)))
}

fn read_moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    since_1970(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("this is no time"))
}

fn read_some_moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| since_1970(&text).ok_or_else(|| D::Error::custom("this is no time"))).transpose()
}

fn read_fault<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fault, D::Error> {
    Fault::from_word(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("this is no fault"))
}

fn read_cause<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cause, D::Error> {
    Cause::from_word(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("this is no cause"))
}

/// The order of a JSON object's members is kept by nobody, so that they come sorted by their word.
fn read_by_fault<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(Fault, u64)>, D::Error> {
    let counts = std::collections::BTreeMap::<String, u64>::deserialize(deserializer)?;
    let fault = |(word, count): (String, u64)| Some((Fault::from_word(&word)?, count));
    counts.into_iter().map(|row| fault(row).ok_or_else(|| D::Error::custom("this is no fault"))).collect()
}

fn since_1970(text: &str) -> Option<Duration> {
    let nanoseconds = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
    u64::try_from(nanoseconds / 1_000_000).ok().map(Duration::from_millis)
}

/// In bytes. An answer takes a few thousand.
const LARGEST_ANSWER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let read: Record = serde_json::from_str(RECORD).expect("it is a record");
        assert_eq!(read.opened, Duration::from_millis(1_709_209_681_007));
        assert_eq!(read.closed, None);
        assert_eq!(serde_json::to_string(&read).expect("a record is JSON"), RECORD);
        for (right, wrong) in [("2024-02-29T12:28:01.007Z", "1969-12-31T23:59:59Z"), ("\"dns\"", "\"ghosts\"")] {
            assert!(serde_json::from_str::<Record>(&RECORD.replace(right, wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_answer_is_the_members_of_a_line() {
        assert_eq!(Answer::of_line(r#","a":1,"b":"2""#).expect("it is JSON").json(), r#"{"a":1,"b":"2"}"#);
        for members in ["", "a", ",a", &format!(",\"a\":\"{}\"", "b".repeat(LARGEST_ANSWER))] {
            assert!(Answer::of_line(members).is_none());
        }
    }

    const RECORD: &str = r#"{"incident":"01J8Z3K4M5N6P7Q8R9S0T1V2W4","upstream":"app","opened":"2024-02-29T12:28:01.007Z","last":"2024-02-29T12:29:00.000Z","closed":null,"cut_short":false,"count":3,"faults":{"dns_no_records":1,"dns_timeout":2},"fault":"dns_timeout","cause":"dns","confidence":0.5,"returns":0,"detail":"No answer.","evidence":[{"id":"silent","says":"no answer","points_to":"dns","weight":-1.5}],"answer":{"status":502}}"#;
}
