//! Owns the queue before a look-up: of all who want the same name, on whichever thread, one asks and the others wait for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

/// The names that are being asked for just now.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The lock is held for a moment only, never across an await.
    queues: Mutex<HashMap<Box<str>, Queue>>,
}

/// Those who want one name.
#[derive(Debug)]
struct Queue {
    /// Its one permit is the turn.
    gate: Arc<Semaphore>,
    places: usize,
}

impl Turns {
    /// Waits until nobody else asks for the name. Whoever had the turn may have gone away without an answer: then the next
    /// one asks, and nobody waits for ever.
    pub(super) async fn take<'a>(&'a self, name: &'a str) -> Turn<'a> {
        let (gate, place) = self.queue_up(name);
        Turn { _permit: gate.acquire_owned().await.ok(), _place: place }
    }

    /// The turn, if nobody else has it.
    pub(super) fn take_if_free<'a>(&'a self, name: &'a str) -> Option<Turn<'a>> {
        let (gate, place) = self.queue_up(name);
        let permit = gate.try_acquire_owned().ok()?;
        Some(Turn { _permit: Some(permit), _place: place })
    }

    fn queue_up<'a>(&'a self, name: &'a str) -> (Arc<Semaphore>, Place<'a>) {
        let mut queues = self.lock();
        let fresh = || Queue { gate: Arc::new(Semaphore::new(1)), places: 0 };
        let queue = queues.entry(name.into()).or_insert_with(fresh);
        queue.places += 1;
        (Arc::clone(&queue.gate), Place { turns: self, name })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to ask for a name, until it is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Turn<'a> {
    _permit: Option<OwnedSemaphorePermit>,
    _place: Place<'a>,
}

/// A place in a name's queue.
#[derive(Debug)]
struct Place<'a> {
    turns: &'a Turns,
    name: &'a str,
}

impl Drop for Place<'_> {
    /// The last one to leave takes the queue along, so that there are never more than look-ups.
    fn drop(&mut self) {
        let mut queues = self.turns.lock();
        let Some(queue) = queues.get_mut(self.name) else { return };
        queue.places -= 1;
        if queue.places == 0 {
            queues.remove(self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::pin::pin;
    use std::task::Poll;

    use super::Turns;

    #[tokio::test]
    async fn the_next_one_goes_when_the_first_gives_up() {
        let turns = Turns::default();
        let first = turns.take("app.example").await;
        let mut second = pin!(turns.take("app.example"));
        assert!(is_pending(second.as_mut()).await);
        assert!(turns.take_if_free("app.example").is_none());
        assert!(turns.take_if_free("db.example").is_some(), "names do not wait for each other");
        drop(first);
        drop(second.await);
        assert!(turns.lock().is_empty(), "an empty queue is not kept");
    }

    #[tokio::test]
    async fn who_leaves_the_queue_leaves_nothing_behind() {
        let turns = Turns::default();
        let first = turns.take("app.example").await;
        {
            let waiting = pin!(turns.take("app.example"));
            assert!(is_pending(waiting).await);
        }
        drop(first);
        assert!(turns.lock().is_empty());
    }

    async fn is_pending<F: Future>(mut future: Pin<&mut F>) -> bool {
        poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }
}
