//! Owns the signals: SIGTERM and SIGINT end the program, SIGHUP has it read its configuration again.

use std::os::unix::net::UnixStream;

use tokio::runtime::Runtime;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;

use crate::listener::orders::Orders;
use crate::server::StartError;

/// Signals, listened for from before the first client is served.
#[derive(Debug)]
pub(super) struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To end.
    Stop(&'static str),
    /// To read the configuration again. Signals that come while that is done ask for it once more, however many they are.
    Reload,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, StartError> {
        // tokio panics where it has no descriptors left for this.
        let spare = [UnixStream::pair(), UnixStream::pair()].into_iter().collect::<Result<Vec<_>, _>>();
        drop(spare.map_err(StartError::Runtime)?);
        let runtime = super::runtime()?;
        let listen = |kind| {
            let _inside = runtime.enter();
            signal(kind).map_err(StartError::Runtime)
        };
        let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let hangup = listen(SignalKind::hangup())?;
        Ok(Self { runtime, terminate, interrupt, hangup })
    }

    /// Blocks until the next one comes.
    pub(super) fn next(&mut self) -> Asked {
        let Self { runtime, terminate, interrupt, hangup } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => Asked::Stop("SIGTERM"),
                _ = interrupt.recv() => Asked::Stop("SIGINT"),
                _ = hangup.recv() => Asked::Reload,
            }
        })
    }

    /// Goes on listening while the program ends: whoever asks a second time does not want to wait.
    pub(super) fn wait_for_impatience(mut self, orders: watch::Sender<Orders>) {
        std::thread::spawn(move || {
            while self.next() == Asked::Reload {}
            orders.send_replace(Orders::Leave);
        });
    }
}
