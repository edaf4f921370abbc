//! Owns what a line of the log says, as far as its reader needs it.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

use super::at::At;

/// One event, and when it was.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// When.
    pub at: At,
    /// What.
    pub event: Event<'a>,
    /// The whole object, as it was written.
    pub object: &'a [u8],
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// A request has ended.
    Request {
        /// The upstream it was for; none where the proxy answered on its own.
        upstream: Option<Cow<'a, str>>,
        /// The status of its answer.
        status: u16,
    },
    /// An exchange with an upstream has failed.
    Failure(Failure<'a>),
    /// An upstream has begun to fail with one cause.
    Opened(Incident<'a>),
    /// It has answered well again for a while.
    Closed(Incident<'a>),
    /// A round of checks of this server.
    Probe {
        /// Its URL.
        server: Cow<'a, str>,
    },
    /// Anything else that this program tells.
    Other,
}

/// A failure, as far as it is counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure<'a> {
    /// The upstream.
    pub upstream: Cow<'a, str>,
    /// What was observed.
    pub fault: Cow<'a, str>,
    /// Why that likely was.
    pub cause: Cow<'a, str>,
    /// Whether a retry hid it from the client.
    pub retried: bool,
    /// The incident it belongs to.
    pub incident: Option<Cow<'a, str>>,
}

/// What the opening or the closing line of an incident says.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident<'a> {
    /// Its id.
    pub id: Cow<'a, str>,
    /// The upstream.
    pub upstream: Cow<'a, str>,
    /// The likeliest cause.
    pub cause: Cow<'a, str>,
    /// When it began.
    pub opened: Option<At>,
    /// When it was over.
    pub closed: Option<At>,
    /// How many failures reached clients, as the closing line has it.
    pub count: Option<u64>,
}

/// What is read of a failure only once for each kind.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Details {
    /// One sentence.
    pub detail: String,
    /// What spoke for and against the causes, weightiest first.
    pub evidence: Vec<Seen>,
    /// What to do.
    pub checklist: Vec<StepSeen>,
}

/// A piece of evidence.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// A sentence.
    pub says: String,
}

/// A step of a checklist.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct StepSeen {
    /// `visitor` or `owner`.
    pub audience: String,
    /// What to do.
    pub step: String,
    /// The command for it.
    pub command: Option<String>,
}

/// The members of any event that are looked at. What has another type than it should is taken as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Members<'a> {
    #[serde(borrow)]
    ts: Text<'a>,
    #[serde(borrow)]
    event: Text<'a>,
    #[serde(borrow)]
    upstream: Text<'a>,
    #[serde(borrow)]
    fault: Text<'a>,
    #[serde(borrow)]
    cause: Text<'a>,
    #[serde(borrow)]
    incident: Text<'a>,
    #[serde(borrow)]
    opened: Text<'a>,
    #[serde(borrow)]
    closed: Text<'a>,
    #[serde(borrow)]
    server: Text<'a>,
    /// Where the line of another program holds one of ours as a text (containers, journald).
    #[serde(borrow)]
    pub(super) log: Text<'a>,
    #[serde(borrow, rename = "MESSAGE")]
    pub(super) journal: Text<'a>,
    #[serde(borrow)]
    pub(super) message: Text<'a>,
    status: Number,
    count: Number,
    retried: Number,
}

/// A text, borrowed where nothing in it is escaped; none where the member is anything else.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(pub(super) Option<Cow<'a, str>>);

/// A number that is whole and not negative, or a truth as 0 and 1; none where the member is anything else.
#[derive(Debug, Default)]
struct Number(Option<u64>);

impl<'a> Entry<'a> {
    /// A `request` exactly as this program writes it: nearly all lines of a log, so that nothing of JSON is read but what is
    /// needed. A quote inside a text is escaped, so that a key with its quotes can be nowhere but where it belongs.
    pub(super) fn request_as_written(object: &'a [u8]) -> Option<Self> {
        let (ts, rest) = object.strip_prefix(BEGIN)?.split_at_checked(WRITTEN)?;
        if !rest.starts_with(IS_REQUEST) || !object.ends_with(b"}") {
            return None;
        }
        let at = At::read(ts)?;
        let status = rest.get(memmem::find(rest, STATUS)? + STATUS.len()..)?;
        let (&[hundreds, tens, ones, b','], _) = status.split_first_chunk()? else { return None };
        let digit = |digit: u8| digit.is_ascii_digit().then(|| u16::from(digit - b'0'));
        let code = digit(hundreds)? * 100 + digit(tens)? * 10 + digit(ones)?;
        let upstream = status.get(memmem::find(status, UPSTREAM)? + UPSTREAM.len()..)?;
        let upstream = match upstream.strip_prefix(b"\"") {
            None => upstream.starts_with(b"null").then_some(None)?,
            Some(name) => {
                let end = memchr::memchr2(b'"', b'\\', name).filter(|end| name.get(*end) == Some(&b'"'))?;
                Some(Cow::Borrowed(std::str::from_utf8(name.get(..end)?).ok()?))
            }
        };
        Some(Self { at, event: Event::Request { upstream, status: code }, object })
    }

    /// The event that an object tells; none where it is not one of this program's.
    pub(super) fn of(members: Members<'a>, object: &'a [u8]) -> Option<Self> {
        let at = At::read(members.ts.0.as_deref()?.as_bytes())?;
        let event = members.event.0.clone()?;
        let event = match &*event {
            "request" => Event::Request {
                upstream: members.upstream.0,
                status: members.status.0.and_then(|code| u16::try_from(code).ok()).filter(|code| *code < 1000)?,
            },
            "upstream_failure" => Event::Failure(Failure {
                upstream: members.upstream.0?,
                fault: members.fault.0?,
                cause: members.cause.0?,
                retried: members.retried.0 == Some(1),
                incident: members.incident.0,
            }),
            "incident_opened" => Event::Opened(members.into_incident()?),
            "incident_closed" => Event::Closed(members.into_incident()?),
            "probe" => Event::Probe { server: members.server.0? },
            "started" | "reloaded" | "reload_refused" | "stopped" | "server_ejected" | "server_returned" | "notice" => {
                Event::Other
            }
            _ => return None,
        };
        Some(Self { at, event, object })
    }

    /// What else a failure's line says.
    #[must_use]
    pub fn details(&self) -> Details {
        let mut details: Details = serde_json::from_slice(self.object).unwrap_or_default();
        details.evidence.truncate(MOST_EVIDENCE);
        details.checklist.truncate(MOST_STEPS);
        let says = details.evidence.iter_mut().map(|seen| &mut seen.says);
        let steps = details.checklist.iter_mut().flat_map(|step| [Some(&mut step.step), step.command.as_mut()]);
        for text in says.chain(steps.flatten()).chain([&mut details.detail]) {
            let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= LONGEST_TEXT);
            text.truncate(end.unwrap_or(text.len()));
        }
        details
    }
}

impl<'a> Members<'a> {
    fn into_incident(self) -> Option<Incident<'a>> {
        let at = |text: &Text<'_>| text.0.as_ref().and_then(|text| At::read(text.as_bytes()));
        Some(Incident {
            opened: at(&self.opened),
            closed: at(&self.closed),
            count: self.count.0,
            id: self.incident.0?,
            upstream: self.upstream.0?,
            cause: self.cause.0?,
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let member = deserializer.deserialize_any(Anything)?;
        Ok(Self(if let Member::Text(text) = member { Some(text) } else { None }))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let member = deserializer.deserialize_any(Anything)?;
        Ok(Self(if let Member::Number(number) = member { Some(number) } else { None }))
    }
}

/// What a member holds, as far as anybody here wants to know.
enum Member<'de> {
    Text(Cow<'de, str>),
    Number(u64),
    Other,
}

/// Takes whatever there is: a line is not lost for one member of another type.
struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Member<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Member::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Member::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Member::Number(number))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Member::Number(truth.into()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Member::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Member::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Member::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| Member::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_map(map).map(|_| Member::Other)
    }
}

/// How every line of this program begins.
pub(super) const BEGIN: &[u8] = b"{\"ts\":\"";

/// How many bytes its time has.
const WRITTEN: usize = "2026-07-31T23:58:01.123Z".len();

/// What is kept of a kind's first line.
const MOST_EVIDENCE: usize = 4;
const MOST_STEPS: usize = 32;
/// In bytes.
const LONGEST_TEXT: usize = 2048;

const IS_REQUEST: &[u8] = b"\",\"level\":\"info\",\"event\":\"request\",";

const STATUS: &[u8] = b",\"status\":";

const UPSTREAM: &[u8] = b",\"upstream\":";
