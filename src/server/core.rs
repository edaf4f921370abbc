//! Owns one core: its thread, its runtime, and everything that lives in it.

use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::runtime::LocalOptions;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config;
use crate::listener;
use crate::listener::crowd::Crowd;
use crate::listener::gatekeeper::Gatekeeper;
use crate::listener::orders::Orders;
use crate::proxy::Proxy;
use crate::proxy::state::Shared;
use crate::proxy::state::State;
use crate::server::StartError;
use crate::server::changes;
use crate::server::doors::Doors;
use crate::server::doors::LAST_WORDS;
use crate::server::listening::Doorway;
use crate::telemetry;
use crate::upstream;
use crate::upstream::Change;
use crate::upstream::health;
use crate::upstream::whereabouts;

/// What a core is started with.
pub(super) struct Core {
    pub(super) shared: Arc<Shared>,
    pub(super) doorways: Vec<Doorway>,
    pub(super) telemetry: telemetry::Core,
    pub(super) gatekeeper: Arc<Gatekeeper>,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) updates: mpsc::UnboundedReceiver<Update>,
    /// What changes about servers; one of the cores tells it, and checks them.
    pub(super) changes: Option<mpsc::UnboundedReceiver<(Arc<config::Upstream>, Change)>>,
}

/// What a core goes on with when the configuration was read again.
pub(super) struct Update {
    pub(super) shared: Arc<Shared>,
    /// New doors.
    pub(super) open: Vec<Doorway>,
    /// The listeners whose doors are to be closed.
    pub(super) close: Vec<u64>,
    /// Is dropped when the core goes by all of this.
    pub(super) done: std::sync::mpsc::Sender<()>,
}

impl Core {
    /// Starts a thread that serves until it is to stop and has drained. Its runtime cannot be moved, so that it is made there.
    pub(super) fn start(self, name: String) -> Result<JoinHandle<()>, StartError> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let run = move || match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => {
                tell.send(Ok(())).ok();
                runtime.block_on(self.serve());
            }
            Err(error) => {
                tell.send(Err(error)).ok();
            }
        };
        let thread = std::thread::Builder::new().name(name).spawn(run).map_err(StartError::Thread)?;
        // A thread that cannot tell has panicked, and whoever joins it hears of it.
        told.recv().unwrap_or(Ok(())).map_err(StartError::Runtime)?;
        Ok(thread)
    }

    async fn serve(self) {
        let Self { shared, doorways, telemetry, gatekeeper, mut orders, mut updates, changes } = self;
        let proxy = Proxy::new(State::new(&shared, &telemetry), telemetry);
        let crowd = Rc::<Crowd>::default();
        let mut doors = Doors::new(&proxy, (Arc::clone(&gatekeeper), Rc::clone(&crowd)));
        for doorway in doorways {
            doors.open(doorway);
        }
        let mut housekeeping = JoinSet::new();
        housekeeping.spawn_local(keep_house(Rc::clone(&proxy)));
        housekeeping.spawn_local(crowd.make_room(gatekeeper));
        let mut checks = changes.map(|changes| {
            housekeeping.spawn_local(changes::tell(changes, Rc::clone(&proxy)));
            Checks::default()
        });
        let mut follow = |shared: &Shared| checks.iter_mut().for_each(|checks| checks.follow(shared));
        follow(&shared);
        drop(shared);
        loop {
            let update = tokio::select! {
                biased;
                () = listener::orders::stopped(&mut orders) => break,
                Some(update) = updates.recv() => update,
            };
            let patience = proxy.state().shared().config.shutdown_timeout;
            proxy.telemetry().flush();
            proxy.adopt(&update.shared);
            for doorway in update.open {
                doors.open(doorway);
            }
            for number in update.close {
                doors.close(number, patience);
            }
            doors.tidy();
            follow(&update.shared);
            drop(update.done);
        }
        drain(&proxy, &mut doors, orders).await;
    }
}

/// Lets nobody in any more, and waits until all have left, for as long as the configuration and the program have patience.
async fn drain(proxy: &Proxy, doors: &mut Doors, mut orders: watch::Receiver<Orders>) {
    let patience = proxy.state().shared().config.shutdown_timeout;
    doors.order(Orders::Drain);
    let all_left = tokio::select! {
        over = timeout(patience, doors.empty()) => over.is_ok(),
        _ = orders.wait_for(|orders| *orders == Orders::Leave) => false,
    };
    if !all_left {
        // The rest ends at once now, each in a way that its client can tell.
        doors.order(Orders::Leave);
        timeout(LAST_WORDS, doors.empty()).await.ok();
    }
    proxy.tell_of_rounds();
    proxy.telemetry().flush();
}

/// The active checks of each upstream, and who follows its names, as long as the configuration has it.
#[derive(Default)]
struct Checks(Vec<(Arc<upstream::Shared>, JoinSet<()>)>);

impl Checks {
    /// Goes on with those of these upstreams, and with no others.
    fn follow(&mut self, shared: &Shared) {
        self.0.retain(|(known, _)| shared.upstreams.iter().any(|upstream| Arc::ptr_eq(known, upstream)));
        for upstream in &shared.upstreams {
            if !self.0.iter().any(|(known, _)| Arc::ptr_eq(known, upstream)) {
                let mut checks = JoinSet::new();
                health::watches(upstream).for_each(|watch| drop(checks.spawn_local(watch)));
                whereabouts::watches(upstream).for_each(|watch| drop(checks.spawn_local(watch)));
                self.0.push((Arc::clone(upstream), checks));
            }
        }
    }
}

/// Tells what has ended in the background, hands the log over, and closes connections and incidents that nobody needs any more.
async fn keep_house(proxy: Rc<Proxy>) {
    let mut tick = tokio::time::interval(TICK);
    let mut count = 0_u32;
    loop {
        tick.tick().await;
        count = count.wrapping_add(1);
        proxy.tell_of_rounds();
        proxy.telemetry().flush();
        proxy.state().make_room();
        if count.is_multiple_of(TICKS_A_SWEEP) {
            proxy.state().sweep();
            proxy.review_incidents();
            proxy.remember();
        }
    }
}

/// How long an access line may wait.
const TICK: std::time::Duration = std::time::Duration::from_millis(100);
const TICKS_A_SWEEP: u32 = 10;
