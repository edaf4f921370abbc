//! Owns the configuration: what may be set, what it means, and what is said when it is wrong.
//!
//! A `Config` is whole and right; there is no half-read one. Reading is done by `document` (TOML with places) and the
//! files named after the sections; `check` looks across sections. Defaults stand in the contract, section 2.

mod admin;
pub mod certificate;
mod check;
mod diagnosis;
mod dns;
pub mod document;
mod files;
mod forwarding;
mod headers;
mod incidents;
mod limits;
mod listener;
mod log;
mod notice;
mod operators;
mod page;
pub mod problem;
mod route;
mod upstream;
pub mod value;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::document::Document;
use self::document::Written;
use self::problem::Problem;
use self::route::ReadRoute;

pub use self::admin::Admin;
pub use self::diagnosis::Diagnosis;
pub use self::diagnosis::StatusPolicy;
pub use self::dns::Dns;
pub use self::files::contents;
pub use self::forwarding::Forwarding;
pub use self::forwarding::ForwardingHeaders;
pub use self::headers::HeaderChanges;
pub use self::incidents::HISTORY_BEGINS;
pub use self::incidents::Incidents;
pub use self::limits::Limits;
pub use self::limits::Runtime;
pub use self::listener::ClientCertificate;
pub use self::listener::ClientCertificates;
pub use self::listener::Listener;
pub use self::listener::ListenerTls;
pub use self::log::Log;
pub use self::log::LogFormat;
pub use self::log::LogOutput;
pub use self::operators::Operators;
pub use self::operators::Token;
pub use self::page::Contact;
pub use self::page::Page;
pub use self::page::PageTemplate;
pub use self::problem::Problems;
pub use self::route::Route;
pub use self::route::Target;
pub use self::upstream::Balance;
pub use self::upstream::Ejection;
pub use self::upstream::HashOn;
pub use self::upstream::HealthCheck;
pub use self::upstream::HostHeader;
pub use self::upstream::Platform;
pub use self::upstream::Pool;
pub use self::upstream::Protocol;
pub use self::upstream::Retry;
pub use self::upstream::Server;
pub use self::upstream::Timeouts;
pub use self::upstream::Upstream;
pub use self::upstream::UpstreamLimits;
pub use self::upstream::UpstreamTls;
pub use self::value::HostPattern;
pub use self::value::ListenAddress;
pub use self::value::Location;
pub use self::value::Networks;
pub use self::value::ServerUrl;
pub use self::value::WebhookUrl;
pub use self::value::service_domain;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file it was read from; none with `--to`.
    pub file: Option<PathBuf>,
    /// How long requests in flight may take to end after SIGTERM.
    pub shutdown_timeout: Duration,
    /// Where clients are accepted; at least one.
    pub listeners: Vec<Listener>,
    /// Which request goes where.
    pub routes: Vec<Route>,
    /// The origins.
    pub upstreams: Vec<Arc<Upstream>>,
    /// How names are looked up.
    pub dns: Dns,
    /// How failures are answered.
    pub diagnosis: Diagnosis,
    /// Who may see addresses, evidence and commands.
    pub operators: Operators,
    /// What the site says of itself to visitors.
    pub page: Page,
    /// What is told to the origin about the client.
    pub forwarding: Forwarding,
    /// What a client may ask of this proxy.
    pub limits: Limits,
    /// Where the log goes.
    pub log: Log,
    /// Where operators look at the running program; none where nobody may.
    pub admin: Option<Admin>,
    /// Where incidents are kept.
    pub incidents: Incidents,
    /// The threads.
    pub runtime: Runtime,
}

/// Reads a configuration file.
///
/// # Errors
///
/// Every problem of the file at once, each with its line and column; one without a place where the file cannot be read.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let text = files::configuration(path);
    let text = text.map_err(|wrong| Problem { file: path.display().to_string(), place: None, wrong })?;
    from_text(&text, path)
}

/// Reads a configuration from a text, as if it stood in that file.
///
/// # Errors
///
/// Every problem of the text at once, each with its line and column.
pub fn from_text(text: &str, file: &Path) -> Result<Config, Problems> {
    let document = Document::parse(text, file);
    let config = read(&document);
    document.finish(Config { file: Some(file.to_owned()), ..config })
}

/// The path of every key that this version reads: `[upstream.tls] ca`, `shutdown_timeout`.
#[must_use]
pub fn keys() -> Vec<String> {
    let document = Document::parse("[[listener]]\n[[route]]\n[[upstream]]\nservers = [{}]\n", Path::new(""));
    let _ = read(&document);
    document.known_keys()
}

impl Config {
    /// The configuration of `run --to URL --listen ADDRESS`: one origin, and every default.
    ///
    /// # Errors
    ///
    /// What is wrong with either, under the name of its option.
    pub fn for_origin(url: &str, listen: &str) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let server = option::<ServerUrl>("--to", url, &mut problems);
        let address = option::<ListenAddress>("--listen", listen, &mut problems);
        Problems::unless_none(problems)?;
        let document = Document::parse("", Path::new("--to"));
        let name: Arc<str> = "origin".into();
        let servers = server.into_iter().map(Server::alone).collect();
        let upstream = Upstream::with_settings(document.root().table("upstream"), Arc::clone(&name), servers);
        Ok(Self {
            listeners: address.map(Listener::plain).into_iter().collect(),
            routes: vec![Route::new(HostPattern::Any, "/", &name)],
            upstreams: vec![Arc::new(upstream)],
            ..read(&document)
        })
    }
}

/// Reads the sections and what holds across them. Where something is wrong it is noted in the document, and what is
/// answered must not be used.
fn read(document: &Document<'_>) -> Config {
    let root = document.root();
    let listeners = Listener::read_all(&root);
    let routes: Vec<_> = root.tables("route").into_iter().map(ReadRoute::read).collect();
    let upstreams: Vec<_> = root.tables("upstream").into_iter().map(Upstream::read).collect();
    let operators = root.table("operators");
    let admin = Admin::read(root.table("admin"), operators.has("token_file"));
    check::across(&root, (&listeners, admin.as_ref()), &routes, &upstreams);
    let config = Config {
        file: None,
        shutdown_timeout: root.value_or("shutdown_timeout", Duration::from_secs(30)),
        listeners: listeners.into_iter().map(|listener| listener.value).collect(),
        routes: routes.into_iter().flatten().map(|route| route.route).collect(),
        upstreams: upstreams.into_iter().flatten().map(|upstream| Arc::new(upstream.value)).collect(),
        dns: Dns::read(root.table("dns")),
        diagnosis: Diagnosis::read(root.table("diagnosis")),
        operators: Operators::read(operators),
        page: Page::read(root.table("page")),
        forwarding: Forwarding::read(root.table("forwarding")),
        limits: Limits::read(root.table("limits")),
        log: Log::read(root.table("log")),
        admin: admin.map(|admin| admin.value),
        incidents: Incidents::read(root.table("incidents")),
        runtime: Runtime::read(root.table("runtime")),
    };
    root.close();
    config
}

fn option<T: Written>(name: &str, value: &str, problems: &mut Vec<Problem>) -> Option<T> {
    let problem = |wrong| Problem { file: name.to_owned(), place: None, wrong };
    T::parse(value).map_err(|wrong| problems.push(problem(wrong))).ok()
}

#[cfg(test)]
mod tests;
