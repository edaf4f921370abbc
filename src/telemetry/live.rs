//! Owns the live stream: whoever listens gets every event that it asked for, as the log's JSON has it, as it happens.
//!
//! Where nobody listens, an event costs one look at a number that no core writes. Nobody who listens is waited for: a listener
//! whose queue is full is cut off, and told so.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::event::Event;
use super::json;
use super::stamp::Stamp;

/// Who listens to the whole program.
#[derive(Debug, Default)]
pub(super) struct Stage {
    /// Every kind that anybody wants.
    wanted: AtomicU32,
    listeners: Mutex<Vec<Listener>>,
}

#[derive(Debug)]
struct Listener {
    wants: Kinds,
    queue: mpsc::Sender<Bytes>,
    cut: Arc<AtomicBool>,
}

/// Kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u32);

/// One who listens, until this is dropped.
#[derive(Debug)]
pub struct Audience {
    queue: mpsc::Receiver<Bytes>,
    cut: Arc<AtomicBool>,
}

/// Events of one core that were not passed on yet, as a server-sent event each.
#[derive(Debug, Default)]
pub(super) struct Script(RefCell<Acts>);

#[derive(Debug, Default)]
struct Acts {
    text: Vec<u8>,
    /// Of each, its kind and where it ends.
    ends: Vec<(Kinds, usize)>,
}

impl Kinds {
    /// All there are.
    pub const ALL: Self = Self((1 << Event::WORDS.len()) - 1);

    /// Those of these words, with commas between them; none where a word is no event's.
    #[must_use]
    pub fn parse(words: &str) -> Option<Self> {
        let bit = |word: &str| Event::WORDS.iter().position(|known| *known == word.trim()).map(|at| 1 << at);
        words.split(',').map(bit).try_fold(0, |all, bit| Some(all | bit?)).map(Self)
    }

    fn of(event: &Event<'_>) -> Self {
        let word = event.word();
        Self(Event::WORDS.iter().position(|known| *known == word).map_or(0, |at| 1 << at))
    }

    const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Stage {
    /// Lets somebody listen to events of these kinds from now on; none where there is no seat left.
    pub(super) fn listen(&self, wants: Kinds) -> Option<Audience> {
        let mut listeners = self.lock();
        listeners.retain(|listener| !listener.queue.is_closed());
        if listeners.len() >= MOST_LISTENERS {
            return None;
        }
        let (sender, queue) = mpsc::channel(MOST_WAITING);
        let cut = Arc::<AtomicBool>::default();
        listeners.push(Listener { wants, queue: sender, cut: Arc::clone(&cut) });
        self.note_wanted(&listeners);
        Some(Audience { queue, cut })
    }

    /// Whether anybody wants events of this kind.
    pub(super) fn is_wanted(&self, event: &Event<'_>) -> bool {
        let wanted = self.wanted.load(Relaxed);
        wanted != 0 && Kinds::of(event).meets(Kinds(wanted))
    }

    /// Passes on what one core has to tell.
    fn pass_on(&self, acts: &Acts) {
        let mut listeners = self.lock();
        let mut whole = None;
        listeners.retain(|listener| {
            let text = if acts.ends.iter().all(|(kind, _)| kind.meets(listener.wants)) {
                whole.get_or_insert_with(|| Bytes::copy_from_slice(&acts.text)).clone()
            } else {
                acts.only(listener.wants)
            };
            if text.is_empty() {
                return !listener.queue.is_closed();
            }
            match listener.queue.try_send(text) {
                Ok(()) => true,
                Err(TrySendError::Closed(_)) => false,
                Err(TrySendError::Full(_)) => {
                    listener.cut.store(true, Relaxed);
                    false
                }
            }
        });
        self.note_wanted(&listeners);
    }

    fn note_wanted(&self, listeners: &[Listener]) {
        self.wanted.store(listeners.iter().fold(0, |all, listener| all | listener.wants.0), Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Script {
    /// Adds an event; answers whether so much has gathered that it should be passed on.
    pub(super) fn add(&self, stamp: &Stamp, event: &Event<'_>) -> bool {
        let Acts { text, ends } = &mut *self.0.borrow_mut();
        text.extend_from_slice(b"event: ");
        text.extend_from_slice(event.word().as_bytes());
        text.extend_from_slice(b"\ndata: ");
        // A line, with its end.
        json::write(text, stamp, event);
        text.push(b'\n');
        ends.push((Kinds::of(event), text.len()));
        text.len() >= MOST_GATHERED
    }

    /// Passes on what has gathered.
    pub(super) fn pass_on(&self, stage: &Stage) {
        let mut acts = self.0.borrow_mut();
        if acts.ends.is_empty() {
            return;
        }
        stage.pass_on(&acts);
        acts.ends.clear();
        acts.text.clear();
        acts.text.shrink_to(MOST_GATHERED);
    }
}

impl Acts {
    fn only(&self, wanted: Kinds) -> Bytes {
        let mut text = Vec::new();
        let mut begin = 0;
        for (kind, end) in &self.ends {
            if kind.meets(wanted) {
                text.extend_from_slice(self.text.get(begin..*end).unwrap_or_default());
            }
            begin = *end;
        }
        text.into()
    }
}

impl Audience {
    /// The next events, as server-sent events; none where there will be no more, for this one has been too slow.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.queue.recv().await
    }

    /// The same for whoever polls.
    pub fn poll_next(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>> {
        self.queue.poll_recv(cx)
    }

    /// Whether it was cut off, for it did not keep up.
    #[must_use]
    pub fn was_cut(&self) -> bool {
        self.cut.load(Relaxed)
    }
}

/// How many may listen.
const MOST_LISTENERS: usize = 16;
/// How many portions may wait for each.
const MOST_WAITING: usize = 64;
/// How many bytes make a portion that is not held back.
const MOST_GATHERED: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::Kinds;
    use super::MOST_LISTENERS;
    use super::MOST_WAITING;
    use super::Script;
    use super::Stage;
    use crate::telemetry::samples;

    fn tell(stage: &Stage, event: &crate::telemetry::Event<'_>) {
        if stage.is_wanted(event) {
            let script = Script::default();
            script.add(&samples::stamp(), event);
            script.pass_on(stage);
        }
    }

    #[tokio::test]
    async fn who_listens_gets_what_it_asked_for_and_nobody_else_costs_anything() {
        let stage = Stage::default();
        assert!(!stage.is_wanted(&samples::notice()));
        let mut all = stage.listen(Kinds::ALL).unwrap();
        let mut some = stage.listen(Kinds::parse("notice, incident_opened").unwrap()).unwrap();
        let script = Script::default();
        for event in [samples::request(), samples::notice(), samples::closed(), samples::opened()] {
            assert!(!script.add(&samples::stamp(), &event));
        }
        script.pass_on(&stage);
        let text = |bytes: Option<bytes::Bytes>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
        let (everything, chosen) = (text(all.next().await), text(some.next().await));
        let events = |text: &str| {
            let events = text.split_terminator("\n\n").map(|event| event.split_once('\n').unwrap());
            events.map(|(name, data)| (name.to_owned(), data.starts_with("data: {\"ts\":"))).collect::<Vec<_>>()
        };
        let named = |names: &[&str]| names.iter().map(|name| (format!("event: {name}"), true)).collect::<Vec<_>>();
        assert_eq!(events(&everything), named(&["request", "notice", "incident_closed", "incident_opened"]));
        assert_eq!(events(&chosen), named(&["notice", "incident_opened"]));
        drop(all);
        tell(&stage, &samples::notice());
        assert!(!stage.is_wanted(&samples::request()) && stage.is_wanted(&samples::notice()));
        assert_eq!(Kinds::parse("notice,nothing"), None);
    }

    #[tokio::test]
    async fn who_does_not_keep_up_is_cut_off_and_the_others_go_on() {
        let stage = Stage::default();
        let (mut slow, mut quick) = (stage.listen(Kinds::ALL).unwrap(), stage.listen(Kinds::ALL).unwrap());
        for _ in 0..=MOST_WAITING {
            tell(&stage, &samples::notice());
            assert!(quick.next().await.is_some());
        }
        for _ in 0..MOST_WAITING {
            assert!(slow.next().await.is_some(), "what was taken is not lost");
        }
        assert!(slow.next().await.is_none() && slow.was_cut() && !quick.was_cut());
        assert!(stage.is_wanted(&samples::notice()));
    }

    #[test]
    fn there_are_so_many_seats() {
        let stage = Stage::default();
        let mut all: Vec<_> = std::iter::from_fn(|| stage.listen(Kinds::ALL)).collect();
        assert_eq!(all.len(), MOST_LISTENERS);
        all.pop();
        assert!(stage.listen(Kinds::ALL).is_some());
    }
}
