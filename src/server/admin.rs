//! Owns the admin listener's part of the program: its socket, its thread, and what it is told when the configuration is read
//! again or the program ends.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::runtime::LocalOptions;
use tokio::sync::mpsc;

use crate::admin;
use crate::admin::View;
use crate::admin::Word;
use crate::config;
use crate::config::ListenAddress;
use crate::server::StartError;
use crate::server::inheritance::Given;
use crate::server::listening::Listening;
use crate::telemetry::Event;
use crate::telemetry::Notice;
use crate::telemetry::Telemetry;

/// The admin listener, open or not.
#[derive(Debug)]
pub(super) struct Admin {
    open: Option<Listening>,
    /// Whether it came from the process whose place this one takes.
    inherited: bool,
    thread: Option<Thread>,
}

#[derive(Debug)]
struct Thread {
    running: JoinHandle<()>,
    words: mpsc::UnboundedSender<Word>,
}

/// What there is to be done for another configuration. Whatever is new is bound already.
#[derive(Debug)]
pub(super) enum Plan {
    /// It stays where it is.
    Keep,
    /// It moves there.
    Move(Box<Listening>),
    /// There is none any more.
    Close,
}

impl Admin {
    /// Binds it, where there is one, unless it is among what was given.
    pub(super) fn bind(settings: Option<&config::Admin>, given: &mut Vec<Given>) -> Result<Self, StartError> {
        let mut admin = Self { open: None, inherited: false, thread: None };
        let Some(settings) = settings else { return Ok(admin) };
        let own =
            |given: &Given| given.is_of(&settings.address) && given.number().is_none_or(|number| number == NUMBER);
        if let Some(at) = given.iter().position(own) {
            let given = given.swap_remove(at);
            admin.inherited = given.number().is_some();
            admin.open = Some(given.for_listener(NUMBER, &settings.address));
        } else if let Plan::Move(listening) = admin.plan(Some(settings))? {
            admin.open = Some(*listening);
        }
        Ok(admin)
    }

    /// Where it listens, with the port that was chosen where the configuration says 0.
    pub(super) fn address(&self) -> Option<&ListenAddress> {
        self.open.as_ref().map(|open| &open.address)
    }

    /// What is open, for another process.
    pub(super) const fn open(&self) -> Option<&Listening> {
        self.open.as_ref()
    }

    /// What the process whose place this one takes calls it, where it came from there.
    pub(super) fn inherited(&self) -> Option<u64> {
        self.inherited.then_some(NUMBER)
    }

    /// Binds what these settings have and the present ones have not. Until the plan is carried out, nothing else changes.
    pub(super) fn plan(&self, settings: Option<&config::Admin>) -> Result<Plan, StartError> {
        let Some(settings) = settings else { return Ok(Plan::Close) };
        let address = &settings.address;
        if self.open.as_ref().is_some_and(|open| open.configured == *address) {
            return Ok(Plan::Keep);
        }
        let beside_own = self.open.as_ref().is_some_and(|open| same_port(&open.address, address));
        let bound = Listening::bind(NUMBER, address, 1, beside_own);
        let bound = bound.map_err(|source| StartError::Listen { address: address.clone(), source })?;
        Ok(Plan::Move(Box::new(bound)))
    }

    /// Goes by the plan, and shows this from now on.
    pub(super) fn carry_out(&mut self, plan: Plan, view: View, telemetry: &Arc<Telemetry>) -> io::Result<()> {
        match plan {
            Plan::Keep => {
                if let Some(thread) = &self.thread {
                    thread.tell(Word::See(view));
                }
            }
            Plan::Close => self.close(),
            Plan::Move(listening) => {
                if let Some(before) = self.open.replace(*listening) {
                    drop(before.close());
                }
                self.inherited = false;
                self.serve(view, telemetry)?;
            }
        }
        Ok(())
    }

    /// Serves where it is open, and shows this from now on.
    pub(super) fn serve(&mut self, view: View, telemetry: &Arc<Telemetry>) -> io::Result<()> {
        let Some(bound) = self.open.as_ref().and_then(|open| open.sockets().first()) else { return Ok(()) };
        let bound = bound.try_clone()?;
        match &self.thread {
            Some(thread) => thread.tell(Word::See(view)),
            None => self.thread = Some(Thread::start(view, Arc::clone(telemetry))?),
        }
        if let Some(thread) = &self.thread {
            thread.tell(Word::Listen(bound));
        }
        Ok(())
    }

    /// Another process goes on with it: newcomers are that one's.
    pub(super) fn hand_over(&mut self) {
        if let Some(open) = self.open.take() {
            open.hand_over();
            self.thread.iter().for_each(|thread| thread.tell(Word::Rest));
        }
    }

    /// Closes it, and lets those who are in leave.
    pub(super) fn close(&mut self) {
        if let Some(open) = self.open.take() {
            drop(open.close());
        }
        if let Some(Thread { running, words }) = self.thread.take() {
            drop(words);
            // Where it panicked, there is nothing left to close.
            running.join().ok();
        }
    }
}

impl Thread {
    fn start(view: View, telemetry: Arc<Telemetry>) -> io::Result<Self> {
        let (words, told) = mpsc::unbounded_channel();
        let runtime = move || match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime.block_on(admin::serve(view, telemetry, told)),
            Err(error) => {
                let message =
                    format!("nobody can look at this program, for its thread cannot wait for anything: {error}");
                telemetry.core().record(Event::Notice(Notice { message: &message, dropped: None }));
            }
        };
        Ok(Self { running: std::thread::Builder::new().name("admin".to_owned()).spawn(runtime)?, words })
    }

    fn tell(&self, word: Word) {
        // A thread that panicked has told so.
        self.words.send(word).ok();
    }
}

/// Whether only one of two addresses can be listened on at once, by another program at least.
fn same_port(one: &ListenAddress, other: &ListenAddress) -> bool {
    matches!((one, other), (ListenAddress::Tcp(one), ListenAddress::Tcp(other)) if one.port() == other.port())
}

/// Tells it from every listener, which are counted from 1, also to the process that takes over.
pub(super) const NUMBER: u64 = 0;
