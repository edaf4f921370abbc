//! Owns the lines of incidents on their way to somebody who wants each of them whole, whatever the log looks like: so many at
//! most, and what does not fit is dropped and counted.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use bytes::Bytes;
use tokio::sync::Notify;

/// The way out. Whoever puts a line there never waits.
#[derive(Debug, Default)]
pub struct Outlet {
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    is_wanted: bool,
    lines: VecDeque<Bytes>,
    dropped: u64,
}

impl Outlet {
    /// Whether somebody wants lines from now on. Where nobody does any more, those that wait are of no use.
    pub fn want(&self, is_wanted: bool) {
        let mut queue = self.lock();
        queue.is_wanted = is_wanted;
        if !is_wanted {
            queue.lines.clear();
        }
    }

    /// The line that has waited longest, when there is one. It stays there until it is taken.
    pub async fn first(&self) -> Bytes {
        loop {
            if let Some(line) = self.peek() {
                return line;
            }
            self.filled.notified().await;
        }
    }

    /// The line that has waited longest, where there is one.
    #[must_use]
    pub fn peek(&self) -> Option<Bytes> {
        self.lock().lines.front().cloned()
    }

    /// The line that has waited longest has arrived.
    pub fn take(&self) {
        self.lock().lines.pop_front();
    }

    /// The line that has waited longest is given up.
    pub fn drop_first(&self) {
        let mut queue = self.lock();
        queue.dropped += u64::from(queue.lines.pop_front().is_some());
    }

    /// How many lines were dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Puts a line there, where it is wanted and there is room.
    pub(super) fn put(&self, line: impl FnOnce() -> Vec<u8>) {
        let mut queue = self.lock();
        if !queue.is_wanted {
            return;
        }
        if queue.lines.len() >= MOST_LINES {
            queue.dropped += 1;
            return;
        }
        queue.lines.push_back(line().into());
        drop(queue);
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Incidents open and close a few times an hour; these take a megabyte.
const MOST_LINES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_while_they_are_wanted_and_there_is_room() {
        let outlet = Outlet::default();
        let put = |text: &str| outlet.put(|| text.as_bytes().to_vec());
        put("nobody wants it");
        assert_eq!((outlet.peek(), outlet.dropped()), (None, 0));
        outlet.want(true);
        (0..MOST_LINES).for_each(|number| put(&number.to_string()));
        put("too many");
        assert_eq!((outlet.peek().as_deref(), outlet.dropped()), (Some(&b"0"[..]), 1));
        outlet.take();
        assert_eq!((outlet.peek().as_deref(), outlet.dropped()), (Some(&b"1"[..]), 1));
        outlet.drop_first();
        assert_eq!((outlet.peek().as_deref(), outlet.dropped()), (Some(&b"2"[..]), 2));
        outlet.want(false);
        assert_eq!(outlet.peek(), None);
        outlet.drop_first();
        assert_eq!(outlet.dropped(), 2);
    }
}
