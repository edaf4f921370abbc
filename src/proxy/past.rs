//! Owns the answers of the last failures, as an operator sees them, to be had again by the id of their request.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use bytes::Bytes;

use crate::answer::Moment;
use crate::answer::Occurrence;
use crate::answer::Prepared;

/// The last answers, of all cores together: so many and so many bytes at most, the oldest go.
#[derive(Debug, Default)]
pub struct PastAnswers(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    answers: VecDeque<Past>,
    bytes: usize,
}

/// An answer, to be filled in when it is asked for: in an outage there are many, and hardly one of them is.
#[derive(Debug)]
struct Past {
    answer: Arc<Prepared>,
    request_id: Box<str>,
    at: Moment,
    incident: Option<Box<str>>,
    retry_after: Option<u64>,
    repeatable: bool,
}

impl Past {
    fn occurrence(&self) -> Occurrence<'_> {
        let Self { at, retry_after, repeatable, .. } = *self;
        let incident = self.incident.as_deref();
        Occurrence { request_id: &self.request_id, at, incident, retry_after, repeatable }
    }

    /// As much as it would have if no other shared its answer.
    fn size(&self) -> usize {
        self.request_id.len() + self.answer.size()
    }
}

impl PastAnswers {
    /// Keeps the answer of a request, for as long as there is room.
    pub(super) fn keep(&self, answer: Arc<Prepared>, occurrence: &Occurrence<'_>) {
        let Occurrence { request_id, at, incident, retry_after, repeatable } = *occurrence;
        let incident = incident.map(Box::from);
        let past = Past { answer, request_id: request_id.into(), at, incident, retry_after, repeatable };
        let size = past.size();
        if size > MOST_BYTES {
            return;
        }
        let mut ring = self.lock();
        ring.bytes += size;
        ring.answers.push_back(past);
        while ring.answers.len() > MOST_ANSWERS || ring.bytes > MOST_BYTES {
            let Some(oldest) = ring.answers.pop_front() else { return };
            ring.bytes = ring.bytes.saturating_sub(oldest.size());
        }
    }

    /// The last answer to the request of that id, where it is still known: the operator's, in JSON.
    #[must_use]
    pub fn find(&self, request_id: &str) -> Option<Bytes> {
        let ring = self.lock();
        // The same id may come twice: from a proxy in front, or where a retry failed too.
        let past = ring.answers.iter().rev().find(|past| *past.request_id == *request_id)?;
        Some(past.answer.fill_body(&past.occurrence()).into())
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MOST_ANSWERS: usize = 1_000;
const MOST_BYTES: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::StatusCode;

    use super::MOST_ANSWERS;
    use super::MOST_BYTES;
    use super::PastAnswers;
    use crate::answer::Format;
    use crate::answer::Language;
    use crate::answer::Moment;
    use crate::answer::Occurrence;
    use crate::answer::Prepared;
    use crate::answer::RefusalReport;
    use crate::answer::Site;
    use crate::answer::Style;

    fn keep(past: &PastAnswers, request_id: &str, text: &str) {
        let (at, incident) = (Moment(0), Some("01J8Z3K4M5N6P7Q8R9S0T1V2W4"));
        let occurrence = Occurrence { request_id, at, incident, retry_after: None, repeatable: true };
        let report = RefusalReport { status: StatusCode::BAD_REQUEST, detail: text, hint: None, occurrence };
        let style = Style { format: Format::Json, language: Language::ENGLISH, site: &Site::default() };
        past.keep(Arc::new(Prepared::refusal(&report, style)), &occurrence);
    }

    /// Whether the answer to that request is known, and has this text and the request's id.
    fn tells(past: &PastAnswers, request_id: &str, text: &str) -> bool {
        past.find(request_id).is_some_and(|answer| {
            let answer = String::from_utf8_lossy(&answer);
            answer.contains(text) && answer.contains(&format!("\"request_id\": \"{request_id}\""))
        })
    }

    #[test]
    fn an_answer_is_found_by_its_request_and_the_later_one_counts() {
        let past = PastAnswers::default();
        keep(&past, "a", "first");
        keep(&past, "b", "other");
        keep(&past, "a", "second");
        assert!(tells(&past, "a", "second") && tells(&past, "b", "other") && past.find("c").is_none());
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many() {
        let past = PastAnswers::default();
        (0..=MOST_ANSWERS).for_each(|number| keep(&past, &number.to_string(), "x"));
        assert!(past.find("0").is_none() && tells(&past, "1", "x"));
    }

    #[test]
    fn the_oldest_go_where_they_are_too_large() {
        let (past, third) = (PastAnswers::default(), "x".repeat(MOST_BYTES / 3));
        for id in ["a", "b", "c"] {
            keep(&past, id, &third);
        }
        assert!(past.find("a").is_none() && past.find("b").is_some() && past.find("c").is_some());
        keep(&past, "d", &"x".repeat(MOST_BYTES));
        assert!(
            past.find("d").is_none() && past.find("c").is_some(),
            "one that is too large takes no room from others"
        );
    }
}
