//! Owns the demo: the whole thing on loopback, with origins that fail in one known way each and a start page that shows them.
//!
//! It starts everything but the proxy, and says which configuration the proxy is to run.

pub mod configuration;
pub mod exhibit;
pub mod origin;
pub mod shown;
pub mod site;
pub mod start;
pub mod viewer;
pub mod visit;
pub mod welcome;

use std::fs;
use std::io;
use std::io::Write;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use ring::rand::SecureRandom;
use ring::rand::SystemRandom;
use tokio::task::JoinSet;

use self::configuration::Frame;
use self::exhibit::Exhibit;
use self::origin::Workshop;
use self::site::Site;
use self::viewer::Format;
use self::visit::Visit;
use crate::config;
use crate::config::problem::Problems;
use crate::diagnosis::Checklist;
use crate::server::Server;
use crate::server::StartError;

/// Why the demo cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Its own origins or its directory cannot be made.
    #[error("the demo's origins cannot be started")]
    Origins(#[from] io::Error),
    /// Its own configuration is refused, which is a bug.
    #[error("the demo's configuration is wrong")]
    Configuration(#[from] Problems),
    /// The proxy cannot be started.
    #[error("the demo's proxy cannot be started")]
    Proxy(#[from] StartError),
}

/// Runs the whole thing until SIGTERM or SIGINT: the origins, the proxy in front of them, and the start page.
///
/// # Errors
///
/// Where a part of it cannot be started.
pub fn run(listen: SocketAddr) -> Result<(), DemoError> {
    // The origins have a thread of their own, as they would have a machine of their own.
    let origins = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let demo = origins.block_on(async { Demo::open(listen) })?;
    let config = config::from_text(demo.configuration(), Path::new("demo"))?;
    let server = Server::start(config, Checklist::built_in())?;
    origins.block_on(demo.rehearse())?;
    // Nobody may be there to read it; the proxy runs all the same.
    io::stdout().lock().write_all(demo.welcome().as_bytes()).ok();
    server.until_stopped(None);
    drop(demo);
    origins.shutdown_background();
    Ok(())
}

/// The demo without its proxy. Everything in it ends when it is dropped.
#[derive(Debug)]
pub struct Demo {
    site: Arc<Site>,
    /// The start page's server; before the workshop, whose files are its origins'.
    _tasks: JoinSet<()>,
    _workshop: Workshop,
}

impl Demo {
    /// Starts the origins and the start page, within a tokio runtime that has to go on running.
    ///
    /// `listen` is where the proxy will listen; port 0 is turned into one that is free.
    ///
    /// # Errors
    ///
    /// Where the demo's directory cannot be made, or no port is free.
    pub fn open(listen: SocketAddr) -> io::Result<Self> {
        let listen = settled(listen)?;
        let proxy = reached_at(listen);
        let workshop = Workshop::open(proxy)?;
        let token = token()?;
        let token_file = workshop.directory.file("operator.token");
        fs::write(&token_file, &token)?;
        let listener = site::listen()?;
        let exhibits = Exhibit::all(&workshop);
        let frame = Frame {
            listen,
            name_server: workshop.name_server.address(),
            token_file: &token_file,
            start: listener.local_addr()?,
        };
        let configuration = configuration::written(&frame, &exhibits);
        let site = Arc::new(Site { proxy, token, exhibits, configuration });
        let mut tasks = JoinSet::new();
        tasks.spawn(site::serve(listener, site.clone()));
        Ok(Self { site, _tasks: tasks, _workshop: workshop })
    }

    /// The configuration that the proxy is to run, as TOML.
    #[must_use]
    pub fn configuration(&self) -> &str {
        &self.site.configuration
    }

    /// Where the proxy will be reached.
    #[must_use]
    pub fn proxy(&self) -> SocketAddr {
        self.site.proxy
    }

    /// What to say in the terminal when the proxy listens.
    #[must_use]
    pub fn welcome(&self) -> String {
        welcome::welcome(self.site.proxy, &self.site.token, &self.site.exhibits)
    }

    /// Lets those exhibits fail that show themselves only after failures, once the proxy listens.
    ///
    /// # Errors
    ///
    /// Where the proxy cannot be reached.
    pub async fn rehearse(&self) -> io::Result<()> {
        for exhibit in self.site.exhibits.iter().filter(|exhibit| exhibit.origin.is_ok()) {
            let visit = Visit { proxy: self.site.proxy, row: exhibit.row, token: None, format: Format::Text };
            for _ in 0..exhibit.row.rehearsals {
                visit.make().await?;
            }
        }
        Ok(())
    }
}

/// The same address with a port that is free. Between here and the proxy's own bind somebody else may take it; then the proxy
/// says so.
fn settled(listen: SocketAddr) -> io::Result<SocketAddr> {
    if listen.port() == 0 { TcpListener::bind(listen)?.local_addr() } else { Ok(listen) }
}

/// An address of this machine for one that stands for all of them.
fn reached_at(listen: SocketAddr) -> SocketAddr {
    let host = match listen.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host @ (IpAddr::V4(_) | IpAddr::V6(_)) => host,
    };
    SocketAddr::new(host, listen.port())
}

/// A token for this run, 128 random bits in hexadecimal digits.
fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Demo;
    use super::reached_at;
    use super::token;

    #[tokio::test]
    async fn a_demo_settles_its_port_and_leaves_nothing_behind() {
        let demo = Demo::open(([127, 0, 0, 1], 0).into()).unwrap();
        let address = format!("address = \"{}\"", demo.proxy());
        assert!(demo.proxy().port() != 0 && demo.configuration().contains(&address));
        assert!(demo.welcome().contains(&format!("http://{}/", demo.proxy())));
        let token_file = demo.configuration().split("token_file = \"").nth(1).unwrap().split('"').next().unwrap();
        let token_file = std::path::PathBuf::from(token_file);
        assert_eq!(fs::read_to_string(&token_file).unwrap().len(), 32);
        drop(demo);
        assert!(!token_file.parent().unwrap().exists());
    }

    #[test]
    fn a_wildcard_is_reached_over_loopback() {
        let reached = |listen: &str| reached_at(listen.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(reached("[::]:80"), "[::1]:80");
        assert_eq!(reached("192.0.2.1:80"), "192.0.2.1:80");
    }

    #[test]
    fn no_two_tokens_are_alike() {
        assert_ne!(token().unwrap(), token().unwrap());
    }
}
