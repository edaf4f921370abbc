//! Owns the log's delivery: a bounded queue from the cores, and the one thread that writes it to its output.
//!
//! A core never waits: what does not fit into the queue is dropped and counted. The thread may wait as long as the output
//! wants. A failed output is tried again about once a second, and what was lost is said when it works again.

mod output;
mod spool;

use std::io;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

pub(super) use self::output::Output;
use self::spool::Spool;
use super::style::Form;

/// Finished lines, each with its end of line.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    pub(super) text: Vec<u8>,
    pub(super) count: u64,
}

/// The log as its owner has it.
#[derive(Debug)]
pub(super) struct Log {
    queue: Queue,
    /// Ends when the thread does.
    ended: Mutex<mpsc::Receiver<()>>,
}

/// The way in.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    sender: mpsc::Sender<Message>,
    fill: Arc<Fill>,
}

#[derive(Debug)]
enum Message {
    Lines(Lines),
    Reopen,
    /// Write to this from now on, where it is another, and what this thread itself has to say in this form.
    Switch(Option<Output>, Form),
    Stop,
}

/// What the cores and the thread know of each other.
#[derive(Debug, Default)]
struct Fill {
    /// Bytes that were handed over and not yet written.
    waiting: AtomicUsize,
    /// Lines that were written.
    written: AtomicU64,
    /// Lines that were not taken.
    dropped: AtomicU64,
}

impl Log {
    /// Starts the thread.
    pub(super) fn start(output: Output, form: Form) -> io::Result<Self> {
        let fill = Arc::<Fill>::default();
        let (sender, messages) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let spool = Spool::new(output, form, Arc::clone(&fill));
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            deliver(&messages, spool);
            drop(end);
        })?;
        Ok(Self { queue: Queue { sender, fill }, ended: Mutex::new(ended) })
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(super) fn reopen(&self) {
        self.queue.send(Message::Reopen);
    }

    /// Goes on with another output, where it is another, and another form. The lines that were handed over before go to the old one,
    /// if it takes them.
    pub(super) fn switch(&self, output: Option<Output>, form: Form) {
        self.queue.send(Message::Switch(output, form));
    }

    pub(super) fn stop(&self, limit: Duration) {
        self.queue.send(Message::Stop);
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // Either it has ended, or its output does not move and nothing more can be done.
        ended.recv_timeout(limit).ok();
    }
}

impl Queue {
    /// Takes the lines, or drops them where too many wait already.
    pub(super) fn push(&self, lines: Lines) {
        let size = lines.text.len();
        let count = lines.count;
        let waiting = self.fill.waiting.fetch_add(size, Relaxed);
        if waiting + size > QUEUE_BYTES || self.sender.send(Message::Lines(lines)).is_err() {
            self.fill.waiting.fetch_sub(size, Relaxed);
            self.fill.dropped.fetch_add(count, Relaxed);
        }
    }

    pub(super) fn written(&self) -> u64 {
        self.fill.written.load(Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.fill.dropped.load(Relaxed)
    }

    fn send(&self, message: Message) {
        // Where the thread has ended, there is nothing left to do for it.
        self.sender.send(message).ok();
    }
}

/// The thread: takes messages until it is stopped, and delivers what they bring.
fn deliver(messages: &mpsc::Receiver<Message>, mut spool: Spool<Output>) {
    loop {
        let message = match spool.retry_at() {
            None => messages.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            Some(at) => messages.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        match message {
            Ok(Message::Lines(lines)) => spool.push(lines),
            Ok(Message::Reopen) => spool.reopen(),
            Ok(Message::Switch(output, form)) => spool.switch(output, form),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Ok(Message::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return spool.finish(),
        }
        spool.deliver(Instant::now());
    }
}

/// Says on standard error what cannot be said in the log. Where that is closed too, nobody listens.
fn complain(what: std::fmt::Arguments<'_>) {
    writeln!(io::stderr(), "why502: {what}").ok();
}

/// How many bytes may wait for the output; enough for a second of many lines, little enough to be spared.
const QUEUE_BYTES: usize = 8 * 1024 * 1024;
