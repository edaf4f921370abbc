//! Owns the signals: SIGTERM and SIGINT end the program, SIGHUP opens the log's file anew.

use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::telemetry::Telemetry;

/// Blocks until the program is to end, and says why.
pub(super) fn wait_for_stop(telemetry: &Telemetry) -> &'static str {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return "no runtime" };
    runtime.block_on(async {
        let listening =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
        let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = listening else { return "no signals" };
        loop {
            tokio::select! {
                _ = terminate.recv() => return "SIGTERM",
                _ = interrupt.recv() => return "SIGINT",
                _ = hangup.recv() => telemetry.reopen(),
            }
        }
    })
}
