//! Owns the listeners that are open: bound before anything else, handed to the cores, opened and closed when the configuration
//! is read again, and left to another process that takes over.

use std::io;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;

use crate::config::ListenAddress;
use crate::config::Listener;
use crate::listener::entrance::Entrance;
use crate::listener::entrance::Terms;
use crate::server::StartError;
use crate::server::inheritance::Given;
use crate::server::listening::Doorway;
use crate::server::listening::Listening;

/// The sockets of the program. The cores have copies, which are closed when these are and the cores are done with them.
#[derive(Debug)]
pub(super) struct Sockets {
    open: Vec<Listening>,
    /// Where cores may still have sockets of listeners that were closed.
    closing: Vec<(ListenAddress, Weak<AtomicBool>)>,
    /// What the process whose place this one takes calls those that came from it.
    inherited: Vec<u64>,
    /// Where that process listens and this one will not; it closes them when this one serves.
    left_behind: Vec<ListenAddress>,
    /// How many listeners there have been.
    count: u64,
    /// Threads that serve.
    workers: usize,
}

/// What there is to be done for other listeners. The new ones are bound already.
#[derive(Debug)]
pub(super) struct Plan {
    open: Vec<Listening>,
    close: Vec<u64>,
    /// What is asked of clients at those that stay.
    terms: Vec<(u64, Terms)>,
    /// Where it listens then, in the order of the configuration.
    pub(super) addresses: Vec<ListenAddress>,
}

impl Sockets {
    /// Binds all of them, but for those that are given.
    pub(super) fn bind(
        listeners: &[Listener],
        given: Vec<Given>,
        workers: usize,
    ) -> Result<(Self, Vec<ListenAddress>), StartError> {
        let (inherited, left_behind) = (Vec::new(), Vec::new());
        let mut sockets = Self { open: Vec::new(), closing: Vec::new(), inherited, left_behind, count: 0, workers };
        for given in given {
            let of_same =
                |address: &ListenAddress| sockets.open.iter().filter(|open| open.configured == *address).count();
            let mut wanted = listeners.iter().filter(|listener| given.is_of(&listener.address));
            // Port 0 may stand there more than once, and is another one each time.
            let first = wanted.next().map(|listener| &listener.address);
            let free = first.filter(|address| of_same(address) <= wanted.count());
            match free {
                Some(configured) => sockets.inherit(given, configured),
                None => sockets.left_behind.push(given.unwanted()?),
            }
        }
        let plan = sockets.plan(listeners)?;
        let addresses = plan.addresses.clone();
        sockets.ask(plan.terms);
        sockets.open.extend(plan.open);
        sockets.left_behind.clear();
        Ok((sockets, addresses))
    }

    fn inherit(&mut self, given: Given, configured: &ListenAddress) {
        self.count += 1;
        self.inherited.extend(given.number());
        let mut listening = given.for_listener(self.count, configured);
        listening.grow(self.workers);
        self.open.push(listening);
    }

    /// Binds what these listeners have and the present ones have not. Until the plan is carried out, nothing else changes.
    pub(super) fn plan(&mut self, listeners: &[Listener]) -> Result<Plan, StartError> {
        let mut plan = Plan { open: Vec::new(), close: Vec::new(), terms: Vec::new(), addresses: Vec::new() };
        let mut kept = Vec::new();
        let mut missing = Vec::new();
        for (index, listener) in listeners.iter().enumerate() {
            let address = &listener.address;
            let terms = Terms::read(listener)
                .map_err(|source| StartError::Certificates { address: address.clone(), source })?;
            let mut known = self.open.iter().filter(|known| known.configured == *address);
            if let Some(known) = known.find(|known| !kept.contains(&known.number)) {
                kept.push(known.number);
                plan.terms.push((known.number, terms));
                plan.addresses.push(known.address.clone());
            } else {
                missing.push((index, address, terms));
                plan.addresses.push(address.clone());
            }
        }
        plan.close = self.open.iter().map(|open| open.number).filter(|number| !kept.contains(number)).collect();
        for (index, configured, terms) in missing {
            self.count += 1;
            let beside_own = self.has_held(configured, &plan.close);
            let opened = Listening::bind(self.count, configured, self.workers, beside_own);
            let opened = opened.map_err(|source| StartError::Listen { address: configured.clone(), source })?;
            opened.entrance.change(terms);
            if let Some(address) = plan.addresses.get_mut(index) {
                address.clone_from(&opened.address);
            }
            plan.open.push(opened);
        }
        Ok(plan)
    }

    /// Whether a listener that will be closed, or just was, holds the port, on another address perhaps; here or in the process whose
    /// place this one takes.
    fn has_held(&self, configured: &ListenAddress, closing: &[u64]) -> bool {
        let ListenAddress::Tcp(address) = configured else { return false };
        let to_close = self.open.iter().filter(|open| closing.contains(&open.number)).map(|open| &open.address);
        let closed = self.closing.iter().filter(|(_, held)| held.strong_count() > 0).map(|(address, _)| address);
        to_close
            .chain(closed)
            .chain(&self.left_behind)
            .any(|held| matches!(held, ListenAddress::Tcp(own) if own.port() == address.port()))
    }

    /// Goes by the plan: what each core is to open, and what all are to close.
    pub(super) fn carry_out(&mut self, plan: Plan) -> io::Result<(Vec<Vec<Doorway>>, Vec<u64>)> {
        let Plan { open, close, terms, .. } = plan;
        self.closing.retain(|(_, held)| held.strong_count() > 0);
        let doorways = self.doorways_of(&open)?;
        self.ask(terms);
        let closed = self.open.extract_if(.., |open| close.contains(&open.number));
        self.closing.extend(closed.map(Listening::close));
        self.open.extend(open);
        Ok((doorways, close))
    }

    /// Asks clients for this, each at its listener.
    fn ask(&self, terms: Vec<(u64, Terms)>) {
        for (number, terms) in terms {
            if let Some(open) = self.open.iter().find(|open| open.number == number) {
                open.entrance.change(terms);
            }
        }
    }

    /// The ways in at all that are open.
    pub(super) fn entrances(&self) -> Vec<Arc<Entrance>> {
        self.open.iter().map(|open| Arc::clone(&open.entrance)).collect()
    }

    /// The doorways of each core.
    pub(super) fn doorways(&self) -> io::Result<Vec<Vec<Doorway>>> {
        self.doorways_of(&self.open)
    }

    fn doorways_of(&self, listening: &[Listening]) -> io::Result<Vec<Vec<Doorway>>> {
        let of_core = |core| listening.iter().flat_map(move |open| open.doorways(core, self.workers)).collect();
        (0..self.workers).map(of_core).collect()
    }

    /// The listeners that are open.
    pub(super) fn open(&self) -> &[Listening] {
        &self.open
    }

    /// What the process whose place this one takes calls those that came from it.
    pub(super) fn inherited(&self) -> &[u64] {
        &self.inherited
    }

    /// Closes all of them, but for those that another process goes on with: whoever is in the queue is still let in by the cores.
    pub(super) fn close(&mut self, goes_on_elsewhere: impl Fn(u64) -> bool) {
        for open in self.open.drain(..) {
            if goes_on_elsewhere(open.number) { open.hand_over() } else { drop(open.close()) }
        }
    }
}
