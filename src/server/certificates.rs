//! Owns the watch over the files of certificates that clients are shown: new ones are taken up, and those that are about to end
//! are spoken of once a day.

use std::error::Error;
use std::iter;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use crate::listener::entrance::Entrance;
use crate::net::tls::certificate::now;
use crate::net::tls::front::Certificates;
use crate::net::tls::front::Look;
use crate::server::StartError;
use crate::telemetry;
use crate::telemetry::Event;
use crate::telemetry::Notice;

/// The watch. It has a thread of its own: a file system that hangs must not hold a core.
#[derive(Debug)]
pub(super) struct Watch {
    entrances: Arc<Mutex<Vec<Arc<Entrance>>>>,
    end: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Begins to look.
    pub(super) fn start(entrances: Vec<Arc<Entrance>>, telemetry: telemetry::Core) -> Result<Self, StartError> {
        let entrances = Arc::new(Mutex::new(entrances));
        let (end, ended) = mpsc::channel();
        let watched = Arc::clone(&entrances);
        let thread = std::thread::Builder::new().name("certificates".to_owned());
        let thread = thread.spawn(move || look_after(&watched, &telemetry, &ended)).map_err(StartError::Thread)?;
        Ok(Self { entrances, end, thread })
    }

    /// Looks after these from now on.
    pub(super) fn follow(&self, entrances: Vec<Arc<Entrance>>) {
        *self.entrances.lock().unwrap_or_else(PoisonError::into_inner) = entrances;
    }

    /// Ends. A look that hangs is not waited for.
    pub(super) fn stop(self) {
        drop(self.end);
        if self.thread.is_finished() {
            self.thread.join().ok();
        }
    }
}

fn look_after(entrances: &Mutex<Vec<Arc<Entrance>>>, telemetry: &telemetry::Core, ended: &mpsc::Receiver<()>) {
    let mut reminded = Instant::now();
    while ended.recv_timeout(LOOK_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
        let now = Instant::now();
        let remind = now.duration_since(reminded) >= REMIND_EVERY;
        if remind {
            reminded = now;
        }
        let entrances = entrances.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for entrance in entrances {
            let terms = entrance.terms();
            let Some(certificates) = terms.certificates() else { continue };
            let news = look(certificates, remind);
            entrance.note_certificate();
            for says in news {
                let message = format!("listener {}: {says}", entrance.address());
                telemetry.record(Event::Notice(Notice { message: &message, dropped: None }));
            }
        }
    }
}

/// Looks at the files of a listener; what there is to say.
fn look(certificates: &Certificates, remind: bool) -> Vec<String> {
    let files = certificates.files();
    let concerns = || certificates.current().concerns(now());
    match certificates.look() {
        Look::Same if remind => concerns(),
        Look::Same => Vec::new(),
        Look::Renewed => {
            let renewed = format!("the certificates are read anew ({files}), and are shown from now on");
            iter::once(renewed).chain(concerns()).collect()
        }
        Look::Refused(error) => {
            let sources = iter::successors(error.source(), |error| (*error).source()).map(ToString::to_string);
            let why: Vec<String> = iter::once(error.to_string()).chain(sources).collect();
            vec![format!(
                "the certificates have changed ({files}) and cannot be used, so those from before stay in use: {}; \
                 `why502 check` says what would be right",
                why.join(", because: ")
            )]
        }
        Look::Expired => vec![format!(
            "the certificates have changed ({files}) and have expired, so those from before stay in use; put new ones there"
        )],
    }
}

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is said again that a certificate is about to end.
const REMIND_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
