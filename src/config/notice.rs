//! Owns what a right configuration is still told once: what may surprise whoever wrote it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::SystemTime;

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

use super::Config;
use super::HostPattern;
use super::Listener;
use super::ListenerTls;
use super::Route;
use super::Target;
use super::Timeouts;
use super::Upstream;
use super::certificate;
use super::files;
use super::problem::quoted;
use super::value::ListenAddress;
use super::value::Location;
use super::value::ServerUrl;

impl Config {
    /// What is worth a sentence at the start and in `check`, although nothing is wrong. In the order of the file.
    #[must_use]
    pub fn notices(&self) -> Vec<String> {
        let listeners = self.listeners.iter().flat_map(|listener| self.about_listener(listener));
        let upstreams = self.upstreams.iter().flat_map(|upstream| self.about(upstream));
        let redirects = self.routes.iter().filter_map(|route| self.about_redirect(route));
        listeners.chain(redirects).chain(upstreams).chain(self.about_people()).collect()
    }

    /// A redirect that is meant for everything leaves out whatever a more specific route takes.
    fn about_redirect(&self, redirect: &Route) -> Option<String> {
        if redirect.target != Target::Https || redirect.host != HostPattern::Any {
            return None;
        }
        let redirected = |one: &Route| {
            self.routes
                .iter()
                .any(|other| other.target == Target::Https && (&other.host, &other.path) == (&one.host, &one.path))
        };
        let past = self.routes.iter().find(|route| {
            route.target != Target::Https
                && route.host != HostPattern::Any
                && route.path == redirect.path
                && !redirected(route)
        })?;
        let host = match &past.host {
            HostPattern::Suffix(suffix) => format!("*{suffix}"),
            HostPattern::Exact(host) => host.to_string(),
            HostPattern::Any => String::new(),
        };
        Some(format!(
            "the redirect of every host leaves out {host}, whose own route is more specific; to send that to https too, \
             add a [[route]] with host = {} and redirect = \"https\"",
            quoted(&host)
        ))
    }

    fn about_listener(&self, listener: &Listener) -> Vec<String> {
        let mut notices = about_certificates(&listener.tls);
        let trusted = &self.forwarding.trusted_proxies;
        let (trusts, example) = match listener.address {
            ListenAddress::Tcp(_) => (!trusted.networks.is_empty(), "the addresses of the proxies that send it"),
            ListenAddress::Unix(_) => (trusted.unix, "\"unix\""),
        };
        if listener.proxy_protocol && !trusts {
            notices.push(format!(
                "proxy_protocol = true wants a PROXY header, and nobody who connects there is trusted to send one, so every \
                 connection is closed; list {example} in [forwarding] trusted_proxies"
            ));
        }
        notices.iter().map(|says| format!("listener {}: {says}", listener.address)).collect()
    }

    fn about(&self, upstream: &Upstream) -> Vec<String> {
        let name = quoted(&upstream.name);
        let mut notices = Vec::new();
        if !self.routes.iter().any(|route| route.upstream() == Some(&upstream.name)) {
            notices.push(format!("upstream {name}: no route leads to it, so it gets no request"));
        }
        for server in upstream.servers.iter().map(|server| &server.url) {
            notices.extend(port_of_the_other_scheme(server).map(|says| format!("upstream {name}: {says}")));
            if self.listeners.iter().any(|listener| leads_to(server, &listener.address)) {
                notices.push(format!(
                    "upstream {name}: {server} is this proxy's own listener, so a request would come back to it; \
                     write the address of the origin"
                ));
            }
        }
        notices.extend(about_tls(upstream).map(|says| format!("upstream {name}: {says}")));
        notices.extend(about_timeouts(upstream).map(|says| format!("upstream {name}: {says}")));
        notices
    }

    fn about_people(&self) -> impl Iterator<Item = String> {
        let operators = self.operators.networks.everybody().map(|network| {
            format!("[operators] networks: {network} makes everybody an operator, who sees addresses and commands")
        });
        let trusted =
            self.forwarding.trusted_proxies.everybody().map(|network| {
                format!("[forwarding] trusted_proxies: {network} lets everybody claim any client address")
            });
        operators.into_iter().chain(trusted)
    }
}

/// What is worth a sentence about the certificates of a listener, as their files are now.
fn about_certificates(tables: &[ListenerTls]) -> Vec<String> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let mut notices = Vec::new();
    let mut first: HashMap<String, &ListenerTls> = HashMap::new();
    for table in tables {
        let chain = files::chain(&table.certificate).unwrap_or_default();
        notices.extend(certificate::concerns(&table.certificate, &chain, now));
        for name in chain.first().map(names).unwrap_or_default() {
            if let Some(other) = first.get(&name).filter(|other| other.certificate != table.certificate) {
                let (own, other) = (table.certificate.display(), other.certificate.display());
                notices.push(format!(
                    "{own} is for {name} too, which {other} is shown for, as it comes first; change their order, or remove one"
                ));
            }
            first.entry(name).or_insert(table);
        }
    }
    notices
}

fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let parsed = X509Certificate::from_der(certificate).ok();
    let names = parsed.map(|(_, parsed)| certificate::names(&parsed)).unwrap_or_default();
    names.into_iter().map(|name| name.to_ascii_lowercase()).collect()
}

/// The two ports that are hardly ever meant with the other scheme.
fn port_of_the_other_scheme(server: &ServerUrl) -> Option<String> {
    match (&server.location, server.tls) {
        (Location::Host { port: 443, .. }, false) => {
            Some(format!("{server} is plain HTTP to the port of HTTPS; is https:// meant?"))
        }
        (Location::Host { port: 80, .. }, true) => {
            Some(format!("{server} is HTTPS to the port of plain HTTP; is http:// meant?"))
        }
        (Location::Host { .. } | Location::Unix(_) | Location::Service(_), _) => None,
    }
}

/// Whether a server's address is a listener's. Names are not looked up, `localhost` is known.
fn leads_to(server: &ServerUrl, listener: &ListenAddress) -> bool {
    match (&server.location, listener) {
        (Location::Host { host, address, port }, ListenAddress::Tcp(listener)) => {
            let local = |address: &IpAddr| address.is_loopback() || address.is_unspecified();
            let named = host.trim_end_matches('.') == "localhost";
            let here = named || address.as_ref().is_some_and(local);
            let same = address.is_some_and(|address| address == listener.ip());
            let everywhere = listener.ip().is_unspecified() || (named && listener.ip().is_loopback());
            *port == listener.port() && (same || (here && everywhere))
        }
        (Location::Unix(path), ListenAddress::Unix(listener)) => listener.as_os_str() == &**path,
        (Location::Service(_), _) => false,
        (Location::Host { .. }, ListenAddress::Unix(_)) | (Location::Unix(_), ListenAddress::Tcp(_)) => false,
    }
}

fn about_tls(upstream: &Upstream) -> impl Iterator<Item = String> {
    let speaks_tls = upstream.servers.iter().any(|server| server.url.tls);
    let tls = &upstream.tls;
    let written = !tls.verify || tls.ca.is_some() || tls.server_name.is_some() || tls.identity.is_some();
    let unused = (written && !speaks_tls).then_some("[upstream.tls] does nothing, since no server is https://");
    let unverified = (!tls.verify && speaks_tls).then_some(
        "verify = false accepts every certificate, so whoever is on the way can read and change what is sent; \
         ca = \"FILE\" trusts an authority of your own",
    );
    unused.into_iter().chain(unverified).map(str::to_owned)
}

/// A server that may take longer to be reached than to answer is mostly a unit gone wrong. What nobody has chosen is none.
fn about_timeouts(upstream: &Upstream) -> impl Iterator<Item = String> {
    let (limits, usual) = (&upstream.timeouts, Timeouts::USUAL);
    let (response, speaks_tls) = (limits.response, upstream.servers.iter().any(|server| server.url.tls));
    let steps = [
        ("resolve", limits.resolve, limits.resolve != usual.resolve),
        ("connect", limits.connect, limits.connect != usual.connect),
        ("tls", limits.tls, limits.tls != usual.tls && speaks_tls),
    ];
    let odd = steps.into_iter().filter(move |(_, limit, chosen)| *chosen && *limit > response);
    odd.map(move |(key, limit, _)| {
        format!("[upstream.timeouts] {key} = {limit:?} is longer than response = {response:?}; are the units right?")
    })
}
