//! Owns the signals: SIGTERM and SIGINT end the program, SIGHUP has it read its configuration again, SIGUSR2 has another process
//! take over.

use std::os::unix::net::UnixStream;

use tokio::runtime::Runtime;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;

use crate::listener::orders::Orders;
use crate::server::StartError;
use crate::server::successor::Successor;
use crate::server::successor::Word;

/// Signals, listened for from before the first client is served.
#[derive(Debug)]
pub(super) struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    take_over: Signal,
}

/// What there is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To end.
    Stop(&'static str),
    /// To read the configuration again. Signals that come while that is done ask for it once more, however many they are.
    Reload,
    /// To have another process take over.
    TakeOver,
    /// The one that was started for this has spoken.
    Heard(Word),
}

impl Signals {
    pub(super) fn listen() -> Result<Self, StartError> {
        // tokio panics where it has no descriptors left for this, of which it needs about as many.
        let spare = std::iter::repeat_with(UnixStream::pair).take(4).collect::<Result<Vec<_>, _>>();
        drop(spare.map_err(StartError::Runtime)?);
        let runtime = super::runtime()?;
        let listen = |kind| {
            let _inside = runtime.enter();
            signal(kind).map_err(StartError::Runtime)
        };
        let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let hangup = listen(SignalKind::hangup())?;
        let take_over = listen(SignalKind::user_defined2())?;
        Ok(Self { runtime, terminate, interrupt, hangup, take_over })
    }

    /// Does this inside the runtime in which they are waited for.
    pub(super) fn inside<T>(&self, what: impl FnOnce() -> T) -> T {
        let _inside = self.runtime.enter();
        what()
    }

    /// Blocks until the next one comes, or a word of the process that is being started.
    pub(super) fn next(&mut self, successor: Option<&mut Successor>) -> Asked {
        let Self { runtime, terminate, interrupt, hangup, take_over } = self;
        let word = async {
            match successor {
                Some(successor) => successor.word().await,
                None => std::future::pending().await,
            }
        };
        runtime.block_on(async {
            // Whatever was asked for before the word came is done before it is followed.
            tokio::select! {
                biased;
                _ = terminate.recv() => Asked::Stop("SIGTERM"),
                _ = interrupt.recv() => Asked::Stop("SIGINT"),
                _ = hangup.recv() => Asked::Reload,
                _ = take_over.recv() => Asked::TakeOver,
                word = word => Asked::Heard(word),
            }
        })
    }

    /// Goes on listening while the program ends: whoever asks a second time does not want to wait, and a reload is meant for the
    /// one that has taken over by whoever does not know yet.
    pub(super) fn wait_for_impatience(mut self, orders: watch::Sender<Orders>, heir: Option<Successor>) {
        std::thread::spawn(move || {
            loop {
                match self.next(None) {
                    Asked::Stop(_) => break,
                    Asked::Reload => heir.iter().for_each(Successor::reload),
                    Asked::TakeOver | Asked::Heard(_) => {}
                }
            }
            orders.send_replace(Orders::Leave);
        });
    }
}
