//! Owns what each core writes for itself and anybody reads: numbers without an atomic step, and the set of all cores' own halves.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// A number that one thread writes and any may read: a plain load and store, no atomic step.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

impl Number {
    /// Zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// What it is.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Makes it this. To be called by one thread only, as all that write are.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.set(self.get().wrapping_add(more));
    }

    /// Makes it at least this.
    pub fn raise_to(&self, value: u64) {
        if value > self.get() {
            self.set(value);
        }
    }
}

/// What each core writes for itself. What a core has let go of is taken over by the next one, with all that it holds, so that
/// there are never more than there were cores at once.
pub struct PerCore<T>(Mutex<Vec<Arc<T>>>);

impl<T: Default> PerCore<T> {
    /// One that nobody else writes.
    #[must_use]
    pub fn take(&self) -> Arc<T> {
        let mut all = self.lock();
        if let Some(free) = all.iter_mut().find_map(|one| Arc::get_mut(one).is_some().then_some(one)) {
            return Arc::clone(free);
        }
        let new = Arc::<T>::default();
        all.push(Arc::clone(&new));
        new
    }

    /// What all of them say.
    pub fn read<R>(&self, read: impl Fn(&T) -> R) -> Vec<R> {
        self.lock().iter().map(|one| read(one)).collect()
    }

    /// Looks at each of them.
    pub fn for_each(&self, look: impl FnMut(&T)) {
        self.lock().iter().map(|one| &**one).for_each(look);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for PerCore<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> fmt::Debug for PerCore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerCore").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Number;
    use super::PerCore;

    #[test]
    fn what_a_core_has_let_go_of_goes_to_the_next() {
        let cores = PerCore::<Number>::default();
        let (one, other) = (cores.take(), cores.take());
        assert!(!Arc::ptr_eq(&one, &other));
        one.add(3);
        other.add(4);
        drop(one);
        let next = cores.take();
        assert_eq!((next.get(), cores.read(Number::get)), (3, vec![3, 4]));
    }
}
