//! Owns the running program: builds it from a configuration, owns every thread, and stops in order.

mod changes;
mod core;

mod signal;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::sync::watch;

use crate::config::Config;
use crate::config::ListenAddress;
use crate::diagnosis::case::Here;
use crate::diagnosis::checklist::Checklist;
use crate::dns::Resolver;
use crate::incident::Patience;
use crate::listener::gatekeeper::Gatekeeper;
use crate::listener::orders::Orders;
use crate::net::here;
use crate::net::socket;
use crate::net::tls::TlsSetupError;
use crate::probe;
use crate::proxy::incidents::Ledger;
use crate::proxy::state;
use crate::proxy::via::Pseudonym;
use crate::server::signal::Signals;
use crate::telemetry;
use crate::telemetry::Event;
use crate::telemetry::Telemetry;
use crate::upstream;

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address cannot be listened on.
    #[error("{address}: {}", listen_cure(.address, .source))]
    Listen {
        /// The address.
        address: ListenAddress,
        /// What the kernel says.
        source: io::Error,
    },
    /// The log cannot be written to.
    #[error(
        "the log {output} cannot be opened; name a file in `[log] output` that this user may write to, or \"stdout\""
    )]
    Log {
        /// Where it was to go.
        output: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// TLS towards an upstream cannot be set up.
    #[error("upstream \"{upstream}\": TLS cannot be set up")]
    Tls {
        /// The upstream.
        upstream: String,
        /// Why.
        source: TlsSetupError,
    },
    /// A core cannot wait for its sockets.
    #[error(
        "this host has too few file descriptors left for a core; raise the limit (`ulimit -n`, LimitNOFILE in systemd)"
    )]
    Runtime(#[source] io::Error),
    /// A thread cannot be started.
    #[error("a thread cannot be started; `[runtime] workers` may ask for too many")]
    Thread(#[source] io::Error),
}

/// A program that runs.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<ListenAddress>,
    cores: Vec<JoinHandle<()>>,
    orders: watch::Sender<Orders>,
    telemetry: Telemetry,
    shutdown_timeout: Duration,
    started: Instant,
    sockets: Vec<PathBuf>,
    signals: Option<Signals>,
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

    /// The same, with incidents of another patience.
    ///
    /// # Errors
    ///
    /// As `start`.
    pub fn start_with(config: Config, checklist: Checklist, patience: Patience) -> Result<Self, StartError> {
        let workers = workers(&config);
        let signals = Signals::listen(runtime()?)?;
        let (addresses, mut bound) = bind(&config, workers)?;
        let telemetry =
            Telemetry::start(&config.log).map_err(|source| StartError::Log { output: output(&config), source })?;
        let (changes, told) = mpsc::unbounded_channel();
        let notices = config.notices();
        let (orders, drain) = watch::channel(Orders::Serve);
        let gatekeeper = Gatekeeper::new(&config.limits);
        let file = config.file.as_ref().map(|file| file.display().to_string());
        let shutdown_timeout = config.shutdown_timeout;
        let sockets = unix_paths(&addresses);
        let shared = Arc::new(share(config, checklist, patience, &changes, &addresses)?);

        let mut cores = Vec::new();
        let mut told = Some(told);
        for index in 0..workers {
            let core = core::Core {
                shared: Arc::clone(&shared),
                sockets: bound.pop().unwrap_or_default(),
                telemetry: telemetry.core(),
                gatekeeper: Arc::clone(&gatekeeper),
                drain: drain.clone(),
                shutdown_timeout,
                changes: told.take(),
            };
            let runtime = runtime()?;
            let thread = std::thread::Builder::new().name(format!("core-{index}")).spawn(move || core.run(&runtime));
            cores.push(thread.map_err(StartError::Thread)?);
        }
        let server = Self {
            addresses,
            cores,
            orders,
            telemetry,
            shutdown_timeout,
            started: Instant::now(),
            sockets,
            signals: Some(signals),
        };
        server.announce(file.as_deref(), &notices, workers);
        Ok(server)
    }

    /// Where it listens, with the port that was chosen where the configuration says 0.
    #[must_use]
    pub fn addresses(&self) -> &[ListenAddress] {
        &self.addresses
    }

    /// Serves until SIGTERM or SIGINT, then drains. A second one ends it at once.
    pub fn until_stopped(mut self) {
        let reason = match self.signals.take() {
            Some(signals) => signals.wait_for_stop(&self.telemetry, self.orders.clone()),
            None => "asked to stop",
        };
        self.drain(reason);
    }

    /// Drains at once.
    pub fn stop(self) {
        self.drain("asked to stop");
    }

    fn announce(&self, file: Option<&str>, notices: &[String], workers: usize) {
        let core = self.telemetry.core();
        let listeners: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        core.record(Event::Started(telemetry::Started {
            version: env!("CARGO_PKG_VERSION"),
            configuration: file,
            listeners: &listeners,
            workers,
        }));
        for message in notices {
            core.record(Event::Notice(telemetry::Notice { message, dropped: None }));
        }
    }

    fn drain(self, reason: &str) {
        self.orders.send_if_modified(|orders| {
            let serves = *orders == Orders::Serve;
            if serves {
                *orders = Orders::Drain;
            }
            serves
        });
        for core in self.cores {
            // A core that panicked has told so already, and there is nothing to hand on.
            core.join().ok();
        }
        for path in &self.sockets {
            std::fs::remove_file(path).ok();
        }
        let totals = self.telemetry.totals();
        let uptime = self.started.elapsed();
        let core = self.telemetry.core();
        core.record(Event::Stopped(telemetry::Stopped { reason, uptime, totals: &totals }));
        drop(core);
        self.telemetry.stop(self.shutdown_timeout.min(LOG_PATIENCE));
    }
}

/// What a core, or the one who waits for signals, runs on.
fn runtime() -> Result<Runtime, StartError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Runtime)
}

/// What the cores share, from the configuration.
fn share(
    config: Config,
    checklist: Checklist,
    patience: Patience,
    changes: &mpsc::UnboundedSender<(Arc<str>, upstream::Change)>,
    listeners: &[ListenAddress],
) -> Result<state::Shared, StartError> {
    let resolver = Arc::new(Resolver::new(&config.dns));
    let build = |settings| {
        upstream::Shared::new(settings, &resolver, config.limits.body_timeout, changes.clone())
            .map(Arc::new)
            .map_err(|source| StartError::Tls { upstream: settings.name.to_string(), source })
    };
    let upstreams = config.upstreams.iter().map(build).collect::<Result<Vec<_>, _>>()?;
    let name_servers = resolver.name_servers().iter().map(ToString::to_string).collect();
    let (own_addresses, own_networks) = here::addresses();
    let here = Here { in_container: here::in_container(), own_addresses, own_networks };
    let pseudonym = Pseudonym::random();
    let ourselves = probe::Ourselves {
        listeners: listeners.to_vec(),
        addresses: here.own_addresses.clone(),
        name: pseudonym.name().to_owned(),
    };
    let board = probe::Board::new(&config.diagnosis, ourselves);
    Ok(state::Shared {
        config,
        upstreams,
        checklist,
        pseudonym,
        board,
        incidents: Arc::new(Ledger::new(patience)),
        past: Arc::default(),
        here,
        name_servers,
    })
}

fn workers(config: &Config) -> usize {
    match config.runtime.workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        workers => workers,
    }
}

/// Every listener once for each core. TCP ports are shared by the kernel; a unix socket is one socket that all cores accept on.
fn bind(config: &Config, workers: usize) -> Result<(Vec<ListenAddress>, Vec<Vec<core::Bound>>), StartError> {
    let mut addresses = Vec::new();
    let mut cores: Vec<Vec<core::Bound>> = (0..workers).map(|_| Vec::new()).collect();
    for listener in &config.listeners {
        let failed = |source| StartError::Listen { address: listener.address.clone(), source };
        match &listener.address {
            ListenAddress::Tcp(address) => {
                let address = bind_tcp(*address, &mut cores).map_err(failed)?;
                addresses.push(ListenAddress::Tcp(address));
            }
            ListenAddress::Unix(path) => {
                let bound = socket::listen_unix(path).map_err(failed)?;
                for core in &mut cores {
                    core.push(core::Bound::Unix(bound.try_clone().map_err(failed)?));
                }
                addresses.push(listener.address.clone());
            }
        }
    }
    Ok((addresses, cores))
}

fn bind_tcp(address: SocketAddr, cores: &mut [Vec<core::Bound>]) -> io::Result<SocketAddr> {
    let mut address = socket::try_listen(address)?;
    for core in cores {
        let bound = socket::listen(address)?;
        address = bound.local_addr()?;
        core.push(core::Bound::Tcp(bound));
    }
    Ok(address)
}

fn unix_paths(addresses: &[ListenAddress]) -> Vec<PathBuf> {
    let path = |address: &ListenAddress| match address {
        ListenAddress::Unix(path) => Some(path.clone()),
        ListenAddress::Tcp(_) => None,
    };
    addresses.iter().filter_map(path).collect()
}

fn output(config: &Config) -> String {
    match &config.log.output {
        crate::config::LogOutput::Stdout => "on standard output".to_owned(),
        crate::config::LogOutput::File(path) => path.display().to_string(),
    }
}

/// What is to be done about an address that cannot be listened on.
fn listen_cure(address: &ListenAddress, error: &io::Error) -> String {
    match (address, error.kind()) {
        (ListenAddress::Tcp(address), io::ErrorKind::AddrInUse) => format!(
            "another program listens there already; see which with `ss -ltnp 'sport = :{}'`, and stop it or listen elsewhere",
            address.port()
        ),
        (ListenAddress::Tcp(_), io::ErrorKind::PermissionDenied) => {
            "this user may not listen on a port below 1024; use a higher one, or grant it with `setcap cap_net_bind_service=+ep`".to_owned()
        }
        (ListenAddress::Tcp(_), io::ErrorKind::AddrNotAvailable) => {
            "this host has no such address; see its own with `ip address`, or listen on 0.0.0.0".to_owned()
        }
        (ListenAddress::Unix(_), io::ErrorKind::AddrInUse) => {
            "another program listens on this socket, or the path is a file of another kind; stop it or use another path".to_owned()
        }
        (ListenAddress::Unix(_), io::ErrorKind::NotFound) => "the directory does not exist; make it, or use another path".to_owned(),
        (ListenAddress::Unix(_), io::ErrorKind::PermissionDenied) => {
            "this user may not make a socket in that directory; change its owner, or use another path".to_owned()
        }
        _ => "it cannot be listened on".to_owned(),
    }
}

/// How long the log's last lines may take.
const LOG_PATIENCE: Duration = Duration::from_secs(5);
