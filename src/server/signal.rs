//! Owns the signals: SIGTERM and SIGINT end the program, SIGHUP opens the log's file anew.

use tokio::runtime::Runtime;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;

use crate::listener::orders::Orders;
use crate::server::StartError;
use crate::telemetry::Telemetry;

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
enum Asked {
    Stop(&'static str),
    Reopen,
}

impl Signals {
    pub(super) fn listen(runtime: Runtime) -> Result<Self, StartError> {
        let listen = |kind| {
            let _inside = runtime.enter();
            signal(kind).map_err(StartError::Runtime)
        };
        let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let hangup = listen(SignalKind::hangup())?;
        Ok(Self { runtime, terminate, interrupt, hangup })
    }

    /// Blocks until the program is to end, says why, and goes on listening: whoever asks a second time does not want to wait.
    pub(super) fn wait_for_stop(mut self, telemetry: &Telemetry, orders: watch::Sender<Orders>) -> &'static str {
        let reason = loop {
            match self.next() {
                Asked::Stop(reason) => break reason,
                Asked::Reopen => telemetry.reopen(),
            }
        };
        std::thread::spawn(move || {
            while self.next() == Asked::Reopen {}
            orders.send_replace(Orders::Leave);
        });
        reason
    }

    fn next(&mut self) -> Asked {
        let Self { runtime, terminate, interrupt, hangup } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => Asked::Stop("SIGTERM"),
                _ = interrupt.recv() => Asked::Stop("SIGINT"),
                _ = hangup.recv() => Asked::Reopen,
            }
        })
    }
}
