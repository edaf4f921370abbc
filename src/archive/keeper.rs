//! Owns the thread that writes the history. Nobody waits for it but the lines that say that something is in it, and those for a
//! second at most.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::time::Duration;

use tokio::time::Instant;

use super::Archive;
use super::file::File;
use super::file::Trouble;
use super::news::News;
use crate::telemetry;
use crate::telemetry::Event;
use crate::telemetry::Notice;

/// The thread.
#[derive(Debug)]
pub struct Keeper {
    archive: Arc<Archive>,
    /// Ends when the thread does.
    ended: Mutex<mpsc::Receiver<()>>,
}

/// What it is to do.
#[derive(Debug)]
pub(super) struct Order {
    /// Where the history is kept.
    pub(super) place: Option<PathBuf>,
    /// Whether the file is to be opened anew.
    pub(super) anew: bool,
    /// Whether this is the end.
    pub(super) stop: bool,
}

impl Keeper {
    /// Begins to keep what the archive holds in the file that it is told of.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub fn start(archive: &Arc<Archive>, telemetry: telemetry::Core) -> io::Result<Self> {
        let (end, ended) = mpsc::channel();
        let kept = Arc::clone(archive);
        std::thread::Builder::new().name("history".to_owned()).spawn(move || {
            Desk { archive: &kept, telemetry, state: State::Closed { retry_at: Some(Instant::now()) }, said: None }
                .work();
            drop(end);
        })?;
        Ok(Self { archive: Arc::clone(archive), ended: Mutex::new(ended) })
    }

    /// Writes what there is and lets the file go; gives up after the limit, where the disk does not move.
    pub fn stop(self, limit: Duration) {
        self.archive.stop();
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(limit).ok();
    }
}

/// Where it works.
struct Desk<'a> {
    archive: &'a Archive,
    telemetry: telemetry::Core,
    state: State,
    /// The trouble that was said and is not over.
    said: Option<Trouble>,
}

enum State {
    Open(File),
    /// Without a time, it is not tried until somebody has looked after it.
    Closed {
        retry_at: Option<Instant>,
    },
}

impl Desk<'_> {
    fn work(mut self) {
        let mut busy_since = None;
        loop {
            let (until, can_write) = match &self.state {
                State::Open(_) => (None, true),
                State::Closed { retry_at } => (*retry_at, false),
            };
            let Order { place, anew, stop } = self.archive.wait(until, can_write);
            if anew {
                self.close();
                self.said = None;
                self.state = State::Closed { retry_at: Some(Instant::now()) };
            }
            let Some(place) = place else {
                tell(&self.telemetry, &self.archive.forget());
                self.state = State::Closed { retry_at: None };
                if stop {
                    return;
                }
                continue;
            };
            if matches!(self.state, State::Closed { retry_at: Some(at) } if at <= Instant::now() || stop) {
                self.open(&place, &mut busy_since);
            }
            self.write(&place);
            if stop {
                tell(&self.telemetry, &self.archive.despair());
                return self.close();
            }
        }
    }

    fn open(&mut self, place: &Path, busy_since: &mut Option<Instant>) {
        match File::open(place) {
            Ok((file, contents)) => {
                *busy_since = None;
                if contents.unreadable > 0 {
                    let unreadable = contents.unreadable;
                    self.notice(&format!(
                        "{unreadable} incidents in the history {} are not as this version writes them, and are left there",
                        place.display()
                    ));
                }
                if self.said.take().is_some() {
                    self.notice(&format!("the incident history {} is written again", place.display()));
                }
                self.archive.take_in(contents);
                self.state = State::Open(file);
            }
            Err(Trouble::Busy) => {
                let now = Instant::now();
                if now.duration_since(*busy_since.get_or_insert(now)) >= BUSY_PATIENCE {
                    self.say(Trouble::Busy, place);
                }
                self.state = State::Closed { retry_at: Some(now + BUSY_PAUSE) };
            }
            Err(trouble) => self.give_up(trouble, place),
        }
    }

    fn write(&mut self, place: &Path) {
        let State::Open(file) = &self.state else { return };
        let Some(batch) = self.archive.batch() else { return };
        match file.write(&batch.records, &batch.gone) {
            Ok(()) => tell(&self.telemetry, &self.archive.written(&batch)),
            Err(trouble) => {
                self.archive.put_back(batch);
                self.close();
                self.give_up(trouble, place);
            }
        }
    }

    /// It cannot be written for now. What may be over by itself is tried again.
    fn give_up(&mut self, trouble: Trouble, place: &Path) {
        let again = matches!(trouble, Trouble::Failed(_));
        self.state = State::Closed { retry_at: again.then(|| Instant::now() + PAUSE) };
        self.say(trouble, place);
        tell(&self.telemetry, &self.archive.despair());
    }

    /// Says it once, until all is well again.
    fn say(&mut self, trouble: Trouble, place: &Path) {
        if self.said.is_some() {
            return;
        }
        let file = place.display();
        let what = match &trouble {
            Trouble::Busy => "is in use by another process, and incidents wait in memory until that one lets it go".to_owned(),
            Trouble::Foreign => {
                "is a file of another kind and is left alone, so incidents are kept in memory only; move it away or name another \
                 in `[incidents] history`, and reload"
                    .to_owned()
            }
            Trouble::Damaged(why) => format!(
                "is damaged and is left as it is, so incidents are kept in memory only; move it away and reload, and a new one is \
                 begun: {why}"
            ),
            Trouble::Failed(why) => format!(
                "cannot be written, so incidents wait in memory, and it is tried again every {} s: {why}",
                PAUSE.as_secs()
            ),
        };
        self.notice(&format!("the incident history {file} {what}"));
        self.said = Some(trouble);
    }

    fn close(&mut self) {
        if let State::Open(file) = std::mem::replace(&mut self.state, State::Closed { retry_at: None }) {
            file.close();
        }
    }

    fn notice(&self, message: &str) {
        self.telemetry.record(Event::Notice(Notice { message, dropped: None }));
    }
}

fn tell(telemetry: &telemetry::Core, news: &[News]) {
    for news in news {
        news.tell(telemetry);
    }
}

/// Between two tries to write where that has failed.
const PAUSE: Duration = Duration::from_secs(5);
/// Between two looks at a file that another process has open, and after how long that is said: the process whose place this one
/// takes lets go when its last request has ended.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
const BUSY_PATIENCE: Duration = Duration::from_secs(60);
