//! Owns whether this program is ready for requests: the one answer for whoever asks, be it a load balancer or the service manager.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// Whether it serves and means to go on.
#[derive(Debug, Default)]
pub struct Readiness(AtomicBool);

impl Readiness {
    /// It serves now.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// It is about to end: this is said before anything else is done.
    pub fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether requests are to be sent here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
