//! Owns what is asked, and of whom: the URL taken apart, and what the configuration says of the server that it names.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;

use crate::command::DiagnoseArguments;
use crate::command::sources::Sources;
use crate::config::Config;
use crate::config::HostHeader;
use crate::config::Location;
use crate::config::ServerUrl;
use crate::config::Upstream;
use crate::config::document::Written;
use crate::config::problem::Problem;
use crate::config::problem::Wrong;
use crate::config::problem::quoted;
use crate::diagnosis::Checklist;
use crate::proxy::way::Way;
use crate::route::Routes;

/// One request to come.
#[derive(Debug)]
pub(super) struct Asked {
    /// A configuration with the one upstream that is asked, and every check allowed.
    pub(super) config: Config,
    pub(super) checklist: Checklist,
    /// What is asked for, as the origin gets it.
    pub(super) target: PathAndQuery,
    /// The host that is asked for.
    pub(super) host: String,
    /// Whose settings hold, in words.
    pub(super) by: String,
}

/// The URL as its parts.
struct Url {
    server: ServerUrl,
    target: PathAndQuery,
}

impl Asked {
    /// Reads the command line, and the configuration where one is named.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub(super) fn read(arguments: &DiagnoseArguments) -> Result<Self, Vec<Problem>> {
        let url = Url::read(&arguments.url).map_err(|wrong| vec![problem("URL", wrong)]);
        let host = arguments.host.as_deref().map_or(Ok(None), |host| named(host).map(Some));
        let host = host.map_err(|wrong| vec![problem("--host", wrong)]);
        let sources = arguments
            .config
            .clone()
            .map(|file| Sources::open(Some(file)).map(|sources| (sources.config, sources.checklist)));
        match (url, host, sources.transpose()) {
            (Ok(url), Ok(host), Ok(None)) => Self::by_default(url, host),
            (Ok(url), Ok(host), Ok(Some((config, checklist)))) => {
                let file = arguments.config.clone().unwrap_or_default();
                Self::by_file(url, host, config, checklist, &file).map_err(|wrong| vec![problem("URL", wrong)])
            }
            (url, host, sources) => {
                Err([url.err(), host.err(), sources.err()].into_iter().flatten().flatten().collect())
            }
        }
    }

    /// As this program has it without a file; the host is verified in TLS too, as a browser would.
    fn by_default(url: Url, host: Option<String>) -> Result<Self, Vec<Problem>> {
        let config = Config::for_origin(&url.server.text, "127.0.0.1:0");
        let config = config.map_err(|problems| problems.iter().cloned().collect::<Vec<_>>())?;
        let mut upstream = config.upstreams.first().map(|upstream| (**upstream).clone()).ok_or_else(Vec::new)?;
        if upstream.tls.server_name.is_none() {
            upstream.tls.server_name = host.as_deref().map(|host| crate::route::bare(host).into());
        }
        let host = host.unwrap_or_else(|| url.server.authority());
        let by = "the defaults (those of a file with --config)".to_owned();
        Ok(Self { config: alone(config, upstream), checklist: Checklist::built_in(), target: url.target, host, by })
    }

    /// As the upstream that has this server would; or as the upstream to which a request for this URL would go.
    fn by_file(
        url: Url,
        host: Option<String>,
        config: Config,
        checklist: Checklist,
        file: &Path,
    ) -> Result<Self, Wrong> {
        let Url { server, target } = url;
        let is_it = |other: &ServerUrl| other.location == server.location && other.tls == server.tls;
        let authority = server.authority();
        let having = config.upstreams.iter().find_map(|upstream| {
            let same = upstream.servers.iter().find(|one| is_it(&one.url))?;
            Some(Upstream { servers: vec![same.clone()], ..(**upstream).clone() })
        });
        let host = host.unwrap_or(authority);
        let sent = |upstream: &Upstream, host: String| match &upstream.host_header {
            HostHeader::Literal(name) => name.to_string(),
            HostHeader::Client | HostHeader::Upstream => host,
        };
        if let Some(upstream) = having {
            let by = format!("upstream {} of {}, which has this server", upstream.name, file.display());
            let host = sent(&upstream, host);
            return Ok(Self { config: alone(config, upstream), checklist, target, host, by });
        }
        let routes =
            Routes::new(&config.routes, |route, label| (route.upstream().map(Arc::clone), Way::new(route, label)));
        let found = routes.find(&host, target.path(), server.tls).ok();
        let led = found.and_then(|found| {
            let (name, way) = &found.target;
            let upstream = config.upstreams.iter().find(|upstream| Some(&upstream.name) == name.as_ref())?;
            Some(((**upstream).clone(), way.onward(&target), Arc::clone(&found.label)))
        });
        let Some((upstream, onward, label)) = led else {
            let what =
                format!("no upstream of {} has {}, and no route leads {host} to one", file.display(), server.text);
            return Err(Wrong::new(what, "name a server or a host of it, or leave --config out"));
        };
        let by = format!("upstream {} of {}, by its route {label}", upstream.name, file.display());
        let (target, host) = (onward.unwrap_or(target), sent(&upstream, host));
        Ok(Self { config: alone(config, upstream), checklist, target, host, by })
    }
}

impl Url {
    fn read(text: &str) -> Result<Self, Wrong> {
        let (server, target) = if let Some(rest) = text.strip_prefix("unix:") {
            // As nginx writes it: the path of the socket, and behind a colon that of the request.
            rest.find(":/").map_or((text, ""), |end| cut(text, "unix:".len() + end))
        } else {
            let authority = text.find("://").map_or(0, |scheme| scheme + "://".len());
            let end = text.get(authority..).and_then(|rest| rest.find(['/', '?', '#']));
            end.map_or((text, ""), |end| cut(text, authority + end))
        };
        let server = ServerUrl::parse(server)?;
        let target = target.strip_prefix(':').unwrap_or(target);
        let target = target.split_once('#').map_or(target, |(target, _)| target);
        let slash = if target.starts_with('/') { "" } else { "/" };
        let target = PathAndQuery::try_from(format!("{slash}{target}")).map_err(|_| {
            let instead = "write it as a browser sends it: other characters as %20 and the like";
            Wrong::new(format!("{} is no path that can be asked for", quoted(target)), instead)
        })?;
        Ok(Self { server, target })
    }
}

fn cut(text: &str, at: usize) -> (&str, &str) {
    text.split_at_checked(at).unwrap_or((text, ""))
}

/// A host as it may stand in a request.
fn named(host: &str) -> Result<String, Wrong> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if host.is_empty() || !host.chars().all(is_part) {
        let what = format!("{} is not a host", quoted(host));
        return Err(Wrong::new(what, "write a name, such as \"shop.example\""));
    }
    Ok(host.to_owned())
}

fn problem(file: &str, wrong: Wrong) -> Problem {
    Problem { file: file.to_owned(), place: None, wrong }
}

/// The same configuration with that upstream alone, and every check allowed.
fn alone(config: Config, mut upstream: Upstream) -> Config {
    // What a nested gateway says in the origin's place is what somebody wants to have explained.
    upstream.intercept = vec![502, 503, 504];
    upstream.health = None;
    let mut diagnosis = config.diagnosis.clone();
    (diagnosis.probes, diagnosis.wait) = (true, LONGEST_WAIT);
    Config { upstreams: vec![Arc::new(upstream)], diagnosis, ..config }
}

/// The name of a unix socket is its path; others have one.
pub(super) fn place(server: &ServerUrl) -> &str {
    match &server.location {
        Location::Unix(path) => path,
        Location::Host { .. } | Location::Service(_) => &server.text,
    }
}

/// A round of checks has ended by then.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::demo::origin::PrivateDirectory;

    fn asked(url: &str, host: Option<&str>, config: Option<PathBuf>) -> Result<Asked, String> {
        let arguments = DiagnoseArguments { url: url.to_owned(), host: host.map(str::to_owned), config, json: false };
        Asked::read(&arguments).map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_url_is_a_server_and_what_is_asked_of_it() {
        for (url, server, target, host) in [
            ("http://app:3000", "http://app:3000", "/", "app:3000"),
            ("https://App/a/b?c=d#e", "https://App", "/a/b?c=d", "app"),
            ("http://[::1]:80?x", "http://[::1]:80", "/?x", "[::1]"),
            ("unix:/run/app.sock", "unix:/run/app.sock", "/", "localhost"),
            ("unix:/run/app.sock:/health", "unix:/run/app.sock", "/health", "localhost"),
        ] {
            let asked = asked(url, None, None).unwrap();
            let upstream = &asked.config.upstreams[0];
            let found = (&*upstream.servers[0].url.text, asked.target.as_str(), &*asked.host);
            assert_eq!(found, (server, target, host), "{url}");
            assert_eq!(upstream.intercept, [502, 503, 504]);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_cure() {
        for (url, host, says) in [
            ("app:3000", None, "URL: \"app:3000\" does not begin with its scheme; write \"http://app:3000\""),
            ("http://a@b/", None, "URL: this URL holds a user name or a password"),
            ("http://a/b c", None, "URL: \"/b c\" is no path"),
            ("http://a", Some("b c"), "--host: \"b c\" is not a host"),
        ] {
            let told = asked(url, host, None).unwrap_err();
            assert!(told.starts_with(says), "{url}: {told}");
        }
    }

    #[test]
    fn a_file_says_how_its_servers_and_its_hosts_are_asked() {
        let directory = PrivateDirectory::new().unwrap();
        let file = directory.file("why502.toml");
        fs::write(&file, CONFIGURATION).unwrap();
        let rows = [
            ("http://10.0.0.5:3000/x", None, "app", "/x", "10.0.0.5:3000", "which has this server"),
            ("http://10.0.0.5:3000/x", Some("a.example"), "app", "/x", "a.example", "which has this server"),
            ("http://shop.example/api/x", None, "api", "/x", "shop.example", "by its route shop.example/api"),
            ("http://10.9.9.9/api", Some("shop.example"), "api", "/", "shop.example", "by its route shop.example/api"),
        ];
        for (url, host, upstream, target, asks, by) in rows {
            let asked = asked(url, host, Some(file.clone())).unwrap();
            let found = (&*asked.config.upstreams[0].name, asked.target.as_str(), &*asked.host);
            assert_eq!((found, asked.config.upstreams.len()), ((upstream, target, asks), 1), "{url}");
            assert!(asked.by.ends_with(by), "{}", asked.by);
        }
        let told = asked("http://10.9.9.9/", None, Some(file.clone())).unwrap_err();
        assert!(told.contains("has http://10.9.9.9, and no route leads 10.9.9.9 to one"), "{told}");
        let told = asked("x", None, Some(directory.file("absent.toml"))).unwrap_err();
        assert!(told.contains("URL: ") && told.contains("absent.toml: no such file"), "{told}");
    }

    const CONFIGURATION: &str = r#"
[[listener]]
address = "127.0.0.1:8080"

[[route]]
host = "shop.example"
path = "/api"
strip_path = true
upstream = "api"

[[route]]
host = "app.example"
upstream = "app"

[[upstream]]
name = "app"
servers = ["http://10.0.0.4:3000", "http://10.0.0.5:3000"]

[[upstream]]
name = "api"
servers = ["http://10.0.0.6", "http://10.0.0.7"]

[diagnosis]
probes = false
"#;
}
