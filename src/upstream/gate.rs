//! Owns the gate that holds a request's body back (`Expect: 100-continue`, RFC 9110, section 10.1.1).

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Waker;
use std::time::Duration;

/// Holds a body back until the server has asked for it, or has had its chance to.
#[derive(Default)]
pub struct Gate {
    open: AtomicBool,
    waiting: Mutex<Option<Waker>>,
    on_open: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Gate {
    /// One whose opening is told of, where the client is not asked for its body by whoever reads it.
    #[must_use]
    pub fn telling(on_open: impl Fn() + Send + Sync + 'static) -> Self {
        Self { on_open: Some(Box::new(on_open)), ..Self::default() }
    }

    /// Lets the body through.
    pub fn open(&self) {
        if self.open.swap(true, Ordering::AcqRel) {
            return;
        }
        self.on_open.iter().for_each(|tell| tell());
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    /// Whether the body may pass.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    pub(super) fn poll_open(&self, cx: &Context<'_>) -> bool {
        if self.is_open() {
            return true;
        }
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        self.is_open()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("open", &self.is_open()).finish_non_exhaustive()
    }
}

/// How long a server that was sent `Expect: 100-continue` may keep its silence before the body is sent all the same
/// (RFC 9110, section 10.1.1). Enough for a server that is near; waiting longer helps nobody when most servers that do not
/// know the expectation never answer it.
pub const EXPECT_PATIENCE: Duration = Duration::from_millis(100);
