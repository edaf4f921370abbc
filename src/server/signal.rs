//! Owns the signals: SIGTERM and SIGINT end the program, SIGHUP opens the log's file anew.

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;

use crate::listener::Orders;
use crate::telemetry::Telemetry;

/// Blocks until the program is to end, says why, and goes on listening: whoever asks a second time does not want to wait.
pub(super) fn wait_for_stop(telemetry: &Telemetry, orders: watch::Sender<Orders>) -> &'static str {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return "no runtime" };
    let told = runtime.block_on(async {
        let mut signals = Signals::listen().ok()?;
        let reason = loop {
            match signals.next().await {
                Asked::Stop(reason) => break reason,
                Asked::Reopen => telemetry.reopen(),
            }
        };
        Some((reason, signals))
    });
    let Some((reason, mut signals)) = told else { return "no signals" };
    std::thread::spawn(move || {
        runtime.block_on(async {
            while signals.next().await == Asked::Reopen {}
            orders.send_replace(Orders::Leave);
        });
    });
    reason
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Stop(&'static str),
    Reopen,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.hangup.recv() => Asked::Reopen,
        }
    }
}
