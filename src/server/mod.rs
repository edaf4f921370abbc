//! Owns the running program: builds it from a configuration, lets it follow another, owns every thread, and stops in order.

mod admin;
mod certificates;
mod changes;
mod core;
mod doors;
mod inheritance;
mod lasting;
mod listening;
mod reload;
mod signal;
mod sockets;
mod start_error;
mod succession;
mod successor;
mod systemd;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::sync::watch;

use crate::admin::View;
use crate::archive::Keeper;
use crate::config::Config;
use crate::config::ListenAddress;
use crate::diagnosis::checklist::Checklist;
use crate::incident::Patience;
use crate::listener::orders::Orders;
use crate::proxy::state;
use crate::server::admin::Admin;
use crate::server::certificates::Watch;
use crate::server::core::Core;
use crate::server::core::Update;
pub use crate::server::inheritance::Herald;
pub use crate::server::inheritance::Inheritance;
use crate::server::lasting::Lasting;
use crate::server::lasting::Told;
pub use crate::server::lasting::shared_alone;
use crate::server::listening::Doorway;
pub use crate::server::reload::Reread;
pub use crate::server::reload::in_one_line;
use crate::server::signal::Asked;
use crate::server::signal::Signals;
use crate::server::sockets::Sockets;
pub use crate::server::start_error::StartError;
use crate::server::successor::Successor;
use crate::server::systemd::Systemd;
use crate::telemetry;
use crate::telemetry::Event;
use crate::telemetry::Telemetry;
use crate::webhook::Webhook;

/// A program that runs.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<ListenAddress>,
    cores: Vec<Thread>,
    orders: watch::Sender<Orders>,
    telemetry: Arc<Telemetry>,
    /// What the program tells that is no core's to tell.
    own: telemetry::Core,
    lasting: Lasting,
    /// What the cores share now.
    shared: Arc<state::Shared>,
    sockets: Sockets,
    admin: Admin,
    certificates: Watch,
    /// Writes the incidents' history.
    keeper: Keeper,
    /// Tells others of incidents.
    webhook: Webhook,
    started: Instant,
    signals: Option<Signals>,
    /// Whether it is what a service manager and others know as the service, and can be taken over.
    is_service: bool,
    herald: Option<Herald>,
    systemd: Systemd,
    /// The process that is being started to take this one's place.
    successor: Option<Successor>,
    /// Whether a reload was asked for meanwhile.
    reload_is_due: bool,
}

/// Why it ends.
#[derive(Debug)]
struct Ending {
    reason: String,
    /// The numbers of the listeners that another process goes on with, where one has taken over.
    successor: Option<Vec<u64>>,
    /// That process, for as long as it may have to hear of something.
    heir: Option<Successor>,
}

/// A core's thread.
#[derive(Debug)]
struct Thread {
    running: JoinHandle<()>,
    updates: mpsc::UnboundedSender<Update>,
}

impl Server {
    /// Binds every listener and starts to serve.
    ///
    /// # Errors
    ///
    /// What keeps it from starting. Nothing runs then.
    pub fn start(config: Config, checklist: Checklist) -> Result<Self, StartError> {
        Self::start_with(config, checklist, Patience::default())
    }

    /// The same with what was inherited, as a service: it tells the service manager how it goes, can be taken over, and has taken the
    /// place of the process before it when it serves `until_stopped`.
    ///
    /// # Errors
    ///
    /// As `start`.
    pub fn inherit(config: Config, checklist: Checklist, inheritance: Inheritance) -> Result<Self, StartError> {
        let herald = inheritance.herald();
        let server = Self::begin(config, checklist, Patience::default(), inheritance)?;
        Ok(Self { is_service: true, herald: Some(herald), systemd: Systemd::from_environment(), ..server })
    }

    /// The same, with incidents of another patience.
    ///
    /// # Errors
    ///
    /// As `start`.
    pub fn start_with(config: Config, checklist: Checklist, patience: Patience) -> Result<Self, StartError> {
        Self::begin(config, checklist, patience, Inheritance::default())
    }

    fn begin(
        config: Config,
        checklist: Checklist,
        patience: Patience,
        mut inheritance: Inheritance,
    ) -> Result<Self, StartError> {
        let workers = workers(&config);
        let signals = Signals::listen()?;
        let admin = Admin::bind(config.admin.as_ref(), &mut inheritance.given)?;
        let (sockets, addresses) = Sockets::bind(&config.listeners, inheritance.given, workers)?;
        let doorways = sockets.doorways().map_err(StartError::Runtime)?;
        let telemetry =
            Telemetry::start(&config.log).map_err(|source| StartError::Log { output: output(&config), source })?;
        let telemetry = Arc::new(telemetry);
        let (lasting, told) = Lasting::new(&config, patience);
        let shared = Arc::new(lasting.share(config, checklist, &[])?);
        lasting.follow(&shared, &addresses);
        let (orders, told_orders) = watch::channel(Orders::Serve);
        let mut server = Self {
            addresses,
            cores: Vec::new(),
            orders,
            own: telemetry.core(),
            certificates: Watch::start(sockets.entrances(), telemetry.core())?,
            webhook: start_webhook(&shared.config, &lasting, &telemetry)?,
            keeper: Keeper::start(&lasting.archive, telemetry.core()).map_err(StartError::Thread)?,
            telemetry,
            lasting,
            shared,
            sockets,
            admin,
            started: Instant::now(),
            signals: Some(signals),
            is_service: false,
            herald: None,
            systemd: Systemd::default(),
            successor: None,
            reload_is_due: false,
        };
        let mut told = Some(told);
        for (index, doorways) in doorways.into_iter().enumerate() {
            let core = server.start_core(index, doorways, &told_orders, told.take())?;
            server.cores.push(core);
        }
        let view = server.view();
        server.admin.serve(view, &server.telemetry).map_err(StartError::Thread)?;
        server.announce();
        Ok(server)
    }

    fn start_core(
        &self,
        index: usize,
        doorways: Vec<Doorway>,
        orders: &watch::Receiver<Orders>,
        changes: Option<Told>,
    ) -> Result<Thread, StartError> {
        let (updates, receiver) = mpsc::unbounded_channel();
        let core = Core {
            shared: Arc::clone(&self.shared),
            doorways,
            telemetry: self.telemetry.core(),
            gatekeeper: Arc::clone(&self.lasting.gatekeeper),
            orders: orders.clone(),
            updates: receiver,
            changes,
        };
        Ok(Thread { running: core.start(format!("core-{index}"))?, updates })
    }

    /// Where it listens, with the port that was chosen where the configuration says 0.
    #[must_use]
    pub fn addresses(&self) -> &[ListenAddress] {
        &self.addresses
    }

    /// Serves until SIGTERM or SIGINT, then drains. A second one ends it at once. SIGHUP has it read its configuration again, where
    /// there is one, and SIGUSR2 has another process take over.
    pub fn until_stopped(mut self, reread: Option<&Reread>) {
        self.take_its_place();
        let ending = match self.signals.take() {
            Some(signals) => self.obey(signals, reread),
            None => Ending::asked("asked to stop"),
        };
        self.drain(&ending);
    }

    /// Does what signals ask for, until that is to end.
    fn obey(&mut self, mut signals: Signals, reread: Option<&Reread>) -> Ending {
        let mut ending = loop {
            match signals.next(self.successor.as_mut()) {
                Asked::Reload if self.successor.is_some() => self.reload_is_due = true,
                Asked::Reload => self.reload(reread),
                Asked::TakeOver => self.begin_succession(&signals),
                Asked::Heard(word) => {
                    if let Some(ending) = self.hear(word, reread) {
                        break ending;
                    }
                }
                Asked::Stop(reason) => break Ending::asked(reason),
            }
        };
        signals.wait_for_impatience(self.orders.clone(), ending.heir.take());
        ending
    }

    /// Drains at once.
    pub fn stop(self) {
        self.drain(&Ending::asked("asked to stop"));
    }

    /// What operators look at.
    fn view(&self) -> View {
        let entrances = self.sockets.entrances();
        let visits = entrances.iter().map(|entrance| Arc::clone(entrance.visits())).collect();
        View { shared: Arc::clone(&self.shared), visits }
    }

    fn announce(&self) {
        let config = &self.shared.config;
        let file = config.file.as_ref().map(|file| file.display().to_string());
        let listeners: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        let admin = self.admin.address().map(ToString::to_string);
        self.own.record(Event::Started(telemetry::Started {
            version: env!("CARGO_PKG_VERSION"),
            configuration: file.as_deref(),
            listeners: &listeners,
            admin: admin.as_deref(),
            workers: self.cores.len(),
        }));
        config.notices().iter().for_each(|message| self.notice(message));
    }

    fn drain(mut self, ending: &Ending) {
        let Ending { reason, successor, .. } = ending;
        self.lasting.readiness.end();
        if successor.is_none() {
            self.systemd.stopping();
        }
        if let Some(called_off) = self.successor.take() {
            called_off.call_off();
        }
        // Whoever has not taken the other's place yet, leaves it all that is the other's.
        let not_ours = self.herald.take().is_some_and(|herald| herald.has_somebody_to_tell());
        if not_ours || successor.iter().flatten().any(|theirs| *theirs == admin::NUMBER) {
            self.admin.hand_over();
        }
        // Nobody finds a unix socket any more before its queue is emptied.
        self.sockets.close(|number| not_ours || successor.iter().flatten().any(|theirs| *theirs == number));
        self.orders.send_if_modified(|orders| {
            let serves = *orders == Orders::Serve;
            if serves {
                *orders = Orders::Drain;
            }
            serves
        });
        for core in self.cores {
            // A core that panicked has told so already, and there is nothing to hand on.
            core.running.join().ok();
        }
        self.keeper.stop(HISTORY_PATIENCE);
        self.webhook.stop(WEBHOOK_PATIENCE);
        let totals = self.telemetry.totals();
        let uptime = self.started.elapsed();
        self.own.record(Event::Stopped(telemetry::Stopped { reason, uptime, totals: &totals }));
        // Operators may look on until now.
        self.admin.close();
        drop(self.own);
        self.certificates.stop();
        self.telemetry.stop(self.shared.config.shutdown_timeout.min(LOG_PATIENCE));
    }
}

fn start_webhook(config: &Config, lasting: &Lasting, telemetry: &Telemetry) -> Result<Webhook, StartError> {
    let (url, outlet) = (config.incidents.webhook.as_ref(), Arc::clone(telemetry.outlet()));
    Webhook::start(url, outlet, Arc::clone(&lasting.resolver), telemetry.core()).map_err(StartError::Thread)
}

/// What the one who waits for signals runs on.
fn runtime() -> Result<Runtime, StartError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Runtime)
}

impl Ending {
    fn asked(reason: &str) -> Self {
        Self { reason: reason.to_owned(), successor: None, heir: None }
    }
}

fn workers(config: &Config) -> usize {
    match config.runtime.workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        workers => workers,
    }
}

fn output(config: &Config) -> String {
    match &config.log.output {
        crate::config::LogOutput::Stdout => "on standard output".to_owned(),
        crate::config::LogOutput::File(path) => path.display().to_string(),
    }
}

/// How long the last incidents may take to be written.
const HISTORY_PATIENCE: Duration = Duration::from_secs(5);
/// How long the last lines of incidents may take to be sent.
const WEBHOOK_PATIENCE: Duration = Duration::from_secs(5);
/// How long the log's last lines may take.
const LOG_PATIENCE: Duration = Duration::from_secs(5);
