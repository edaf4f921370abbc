//! Owns whose turn it is to be sent, while a client's connection takes nothing.
//!
//! As long as it takes nothing, no response is read any further, for all that is read waits here: with a hundred streams it would
//! be a hundred times what one may hold. When it takes something again, those that wait go on one after the other, each woken
//! by the one before it, so that a reader which is merely slow does not have them all fill up either.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

/// Those that wait for their turn, by their streams, the longest first.
#[derive(Debug, Default)]
pub(super) struct Turns(RefCell<VecDeque<(u32, Waker)>>);

/// One response's place among them. Dropping it passes the turn on.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    stream: u32,
    waits: bool,
}

impl Turns {
    /// A place for the response on this stream.
    pub(super) const fn join(&self, stream: u32) -> Turn<'_> {
        Turn { turns: self, stream, waits: false }
    }

    /// The connection takes something: the first one goes on.
    pub(super) fn next(&self) {
        let next = self.0.borrow_mut().pop_front();
        if let Some((_, waker)) = next {
            waker.wake();
        }
    }
}

impl Turn<'_> {
    /// Ready when more may be read of the response.
    pub(super) fn poll(&mut self, is_blocked: bool, cx: &Context<'_>) -> Poll<()> {
        if !is_blocked {
            self.pass_on();
            return Poll::Ready(());
        }
        let mut waiting = self.turns.0.borrow_mut();
        match waiting.iter_mut().find(|(stream, _)| *stream == self.stream) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => waiting.push_back((self.stream, cx.waker().clone())),
        }
        self.waits = true;
        Poll::Pending
    }

    fn pass_on(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.turns.0.borrow_mut().retain(|(stream, _)| *stream != self.stream);
            self.turns.next();
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pass_on();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;
    use std::task::Context;
    use std::task::Wake;
    use std::task::Waker;

    use super::Turn;
    use super::Turns;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Three responses that wait, and how often each was woken.
    fn three(turns: &Turns) -> [(Turn<'_>, Arc<Count>); 3] {
        [1, 3, 5].map(|stream| {
            let (mut turn, count) = (turns.join(stream), Arc::<Count>::default());
            let waker = Waker::from(Arc::clone(&count));
            // Whoever is looked at twice still waits in one place.
            for _ in 0..2 {
                assert!(turn.poll(true, &Context::from_waker(&waker)).is_pending());
            }
            (turn, count)
        })
    }

    fn woken(waiting: &[(Turn<'_>, Arc<Count>)]) -> Vec<usize> {
        waiting.iter().map(|(_, count)| count.0.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn each_goes_on_when_the_one_before_it_has() {
        let turns = Turns::default();
        let mut waiting = three(&turns);
        turns.next();
        assert_eq!(woken(&waiting), [1, 0, 0]);
        assert!(waiting[0].0.poll(false, &Context::from_waker(Waker::noop())).is_ready());
        assert_eq!(woken(&waiting), [1, 1, 0]);
        assert!(waiting[1].0.poll(true, &Context::from_waker(Waker::noop())).is_pending(), "it is full again");
        assert_eq!(woken(&waiting), [1, 1, 0]);
        turns.next();
        assert!(waiting[2].0.poll(false, &Context::from_waker(Waker::noop())).is_ready());
        assert_eq!(woken(&waiting), [1, 1, 1]);
    }

    #[test]
    fn one_that_is_gone_holds_nobody_up() {
        let turns = Turns::default();
        let [first, second, third] = three(&turns);
        turns.next();
        drop(first.0);
        assert_eq!(second.1.0.load(Ordering::Relaxed), 1, "it was its turn");
        drop(third.0);
        drop(second.0);
        assert!(turns.0.borrow().is_empty());
    }
}
