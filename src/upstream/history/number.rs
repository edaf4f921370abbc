//! Owns the numbers that one core writes and anybody reads, and the shelf on which the cores' own halves stand.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// A number that one thread writes and any may read: a plain load and store, no atomic step.
#[derive(Debug, Default)]
pub(super) struct Number(AtomicU64);

impl Number {
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    pub(super) fn add(&self, more: u64) {
        self.set(self.get().wrapping_add(more));
    }

    pub(super) fn raise_to(&self, value: u64) {
        if value > self.get() {
            self.set(value);
        }
    }
}

/// What each core writes for itself. What a core has let go of is taken over by the next one, with all that it holds, so that
/// there are never more than there were cores at once.
pub(super) struct Shelf<T>(Mutex<Vec<Arc<T>>>);

impl<T: Default> Shelf<T> {
    /// One that nobody else writes.
    pub(super) fn take(&self) -> Arc<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(free) = all.iter_mut().find_map(|one| Arc::get_mut(one).is_some().then_some(one)) {
            return Arc::clone(free);
        }
        let new = Arc::<T>::default();
        all.push(Arc::clone(&new));
        new
    }

    /// What all of them say.
    pub(super) fn read<R>(&self, read: impl Fn(&T) -> R) -> Vec<R> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|one| read(one)).collect()
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> fmt::Debug for Shelf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Number;
    use super::Shelf;

    #[test]
    fn what_a_core_has_let_go_of_goes_to_the_next() {
        let shelf = Shelf::<Number>::default();
        let (one, other) = (shelf.take(), shelf.take());
        assert!(!Arc::ptr_eq(&one, &other));
        one.add(3);
        other.add(4);
        drop(one);
        let next = shelf.take();
        assert_eq!((next.get(), shelf.read(Number::get)), (3, vec![3, 4]));
    }
}
