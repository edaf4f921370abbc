//! Owns the URL of a webhook: a server, and a path that may be a secret.

use std::fmt;

use http::uri::PathAndQuery;

use super::server_url::Location;
use super::server_url::ServerUrl;
use crate::config::document::Written;
use crate::config::problem::Wrong;

/// Where lines are sent. Whoever knows its path may send some too, so that it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    /// The server.
    pub server: ServerUrl,
    /// The path, and the query where there is one.
    pub path: PathAndQuery,
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/…", self.server)
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({self})")
    }
}

impl Written for WebhookUrl {
    const NOUN: &'static str = "the URL of a webhook";

    fn cure() -> String {
        r#"write "https://hooks.example/why502""#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let refused = || Self::refused("this");
        let (scheme, rest) = text.split_once("://").ok_or_else(refused)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or_else(refused)?;
        let server = ServerUrl::parse(&format!("{scheme}://{authority}"))?;
        if !matches!(server.location, Location::Host { .. }) {
            return Err(refused());
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let wrong = || Wrong::new("the path of this URL has characters that no URL has", Self::cure());
        let is_of_a_url = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let path = Some(path).filter(|_| is_of_a_url).and_then(|path| PathAndQuery::try_from(path).ok());
        Ok(Self { server, path: path.ok_or_else(wrong)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_a_server_and_a_path_that_is_not_shown() {
        let table = [
            ("https://hooks.example/why502/secret", "https://hooks.example", "/why502/secret"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "/"),
            ("https://[2001:db8::1]?token=secret", "https://[2001:db8::1]", "/?token=secret"),
        ];
        for (text, server, path) in table {
            let url = WebhookUrl::parse(text).expect("it is right");
            assert_eq!((&*url.server.text, url.path.as_str()), (server, path));
            assert!(!format!("{url} {url:?}").contains("secret"));
        }
        for wrong in [
            "hooks.example/secret",
            "unix:/run/secret.sock",
            "srv+http://_hook._tcp.example/secret",
            "https://user:secret@hooks.example/",
            "https://hooks.example/secret here",
            "https://hooks.example/#secret",
            "ftp://hooks.example/secret",
        ] {
            let Err(wrong) = WebhookUrl::parse(wrong) else { panic!("{wrong} is wrong") };
            assert!(!wrong.what.contains("secret"), "{}", wrong.what);
        }
    }
}
