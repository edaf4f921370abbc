//! Owns what is counted at one listener: connections, not requests, so that one number of all cores is quick enough.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The connections of a listener.
#[derive(Debug)]
pub struct Visits {
    /// The listener's address.
    pub listener: String,
    came: AtomicU64,
    left: AtomicU64,
    /// In seconds since 1970; 0 where there is none.
    certificate_ends: AtomicI64,
}

/// A connection that is counted as open, until this is dropped.
#[derive(Debug)]
pub struct Visit(Arc<Visits>);

impl Visits {
    /// Nobody yet.
    #[must_use]
    pub fn new(listener: String) -> Arc<Self> {
        let (came, left, certificate_ends) = (AtomicU64::new(0), AtomicU64::new(0), AtomicI64::new(0));
        Arc::new(Self { listener, came, left, certificate_ends })
    }

    /// Somebody has come.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Visit {
        self.came.fetch_add(1, Relaxed);
        Visit(Arc::clone(self))
    }

    /// How many have come so far.
    #[must_use]
    pub fn came(&self) -> u64 {
        self.came.load(Relaxed)
    }

    /// How many are there now.
    #[must_use]
    pub fn open(&self) -> u64 {
        // Whoever has left had come before that.
        let left = self.left.load(Relaxed);
        self.came().saturating_sub(left)
    }

    /// Notes when the certificate ends that does so first; none where clients are shown none.
    pub fn note_certificate(&self, ends: Option<i64>) {
        self.certificate_ends.store(ends.unwrap_or_default(), Relaxed);
    }

    /// When the certificate ends that does so first, in seconds since 1970.
    #[must_use]
    pub fn certificate_ends(&self) -> Option<i64> {
        Some(self.certificate_ends.load(Relaxed)).filter(|ends| *ends != 0)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.left.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Visits;

    #[test]
    fn who_has_left_has_come() {
        let visits = Visits::new("127.0.0.1:8080".to_owned());
        let (one, other) = (visits.begin(), visits.begin());
        drop(one);
        assert_eq!((visits.came(), visits.open()), (2, 1));
        drop(other);
        assert_eq!((visits.came(), visits.open(), visits.certificate_ends()), (2, 0, None));
        visits.note_certificate(Some(7));
        assert_eq!(visits.certificate_ends(), Some(7));
    }
}
