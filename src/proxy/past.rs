//! Owns the answers of the last failures, as an operator sees them, to be had again by the id of their request.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use bytes::Bytes;

/// The last answers, of all cores together: so many and so many bytes at most, the oldest go.
#[derive(Debug, Default)]
pub struct PastAnswers(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    answers: VecDeque<(Box<str>, Bytes)>,
    bytes: usize,
}

impl PastAnswers {
    /// Keeps the answer of a request, for as long as there is room.
    pub(super) fn keep(&self, request_id: &str, answer: &Bytes) {
        let size = size(request_id, answer);
        if size > MOST_BYTES {
            return;
        }
        let mut ring = self.lock();
        ring.bytes += size;
        ring.answers.push_back((request_id.into(), answer.clone()));
        while ring.answers.len() > MOST_ANSWERS || ring.bytes > MOST_BYTES {
            let Some((id, answer)) = ring.answers.pop_front() else { return };
            ring.bytes = ring.bytes.saturating_sub(self::size(&id, &answer));
        }
    }

    /// The last answer to the request of that id, where it is still known: the operator's, in JSON.
    #[must_use]
    pub fn find(&self, request_id: &str) -> Option<Bytes> {
        let ring = self.lock();
        // The same id may come twice: from a proxy in front, or where a retry failed too.
        ring.answers.iter().rev().find(|(known, _)| **known == *request_id).map(|(_, answer)| answer.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(request_id: &str, answer: &Bytes) -> usize {
    request_id.len() + answer.len()
}

const MOST_ANSWERS: usize = 1_000;
const MOST_BYTES: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::MOST_ANSWERS;
    use super::MOST_BYTES;
    use super::PastAnswers;

    fn answer(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    #[test]
    fn an_answer_is_found_by_its_request_and_the_later_one_counts() {
        let past = PastAnswers::default();
        past.keep("a", &answer("first"));
        past.keep("b", &answer("other"));
        past.keep("a", &answer("second"));
        assert_eq!(["a", "b", "c"].map(|id| past.find(id)), [Some(answer("second")), Some(answer("other")), None]);
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many() {
        let past = PastAnswers::default();
        (0..=MOST_ANSWERS).for_each(|number| past.keep(&number.to_string(), &answer("x")));
        assert_eq!((past.find("0"), past.find("1")), (None, Some(answer("x"))));
    }

    #[test]
    fn the_oldest_go_where_they_are_too_large() {
        let (past, third) = (PastAnswers::default(), Bytes::from(vec![b'x'; MOST_BYTES / 3]));
        for id in ["a", "b", "c"] {
            past.keep(id, &third);
        }
        assert!(past.find("a").is_none() && past.find("b").is_some() && past.find("c").is_some());
        past.keep("d", &Bytes::from(vec![b'x'; MOST_BYTES]));
        assert!(
            past.find("d").is_none() && past.find("c").is_some(),
            "one that is too large takes no room from others"
        );
    }
}
