//! Owns `[admin]`: where operators look at the running program, and by which names they may call it.

use std::sync::Arc;

use super::document::Table;
use super::document::Written;
use super::listener::resolved;
use super::problem::Placed;
use super::problem::Wrong;
use super::problem::quoted;
use super::value::HostPattern;
use super::value::ListenAddress;

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens. Where that is beyond this host, there is a token.
    pub address: ListenAddress,
    /// Hosts that it answers to besides addresses, `localhost` and those of routes; in lower case.
    pub names: Vec<Arc<str>>,
}

impl Admin {
    /// Reads it; none where it is not written. `has_token`: whether operators have a token, or were to have one.
    pub(super) fn read(table: Table<'_>, has_token: bool) -> Option<Placed<Self>> {
        let address = if table.is_written() {
            table.required::<ListenAddress>("address", r#"address = "127.0.0.1:9502""#)
        } else {
            table.value("address")
        };
        let names = table.values::<Name>("names").into_iter().map(|name| name.value.0).collect();
        let admin = address.map(|Placed { value, place }| {
            let address = resolved(value, table.document());
            if !address.is_of_this_host() && !has_token {
                let what = format!("{address} can be reached from other hosts, and nothing would keep strangers out");
                let instead = r#"write [operators] token_file = "operator.token", or an address on loopback"#;
                table.note(place, Wrong::new(what, instead));
            }
            Placed { value: Self { address, names }, place }
        });
        table.close();
        admin
    }
}

/// A host by which the admin listener is called.
struct Name(Arc<str>);

impl Written for Name {
    const NOUN: &'static str = "a host name";

    fn cure() -> String {
        r#"write it without a port: "why502.internal""#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        match HostPattern::parse(text) {
            Ok(HostPattern::Exact(name)) => Ok(Self(name)),
            Ok(HostPattern::Any | HostPattern::Suffix(_)) | Err(_) => Err(Self::refused(&quoted(text))),
        }
    }
}
