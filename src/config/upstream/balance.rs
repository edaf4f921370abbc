//! Owns `balance` and `hash_on`: how one of several servers is chosen.

use http::HeaderName;

use crate::config::document::Table;
use crate::config::document::Word;
use crate::config::document::Written;
use crate::config::problem::Wrong;
use crate::config::problem::quoted;

/// How a server is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    /// Of two that are drawn by weight, the one that has less to do.
    LeastRequests,
    /// One after the other, by weight.
    RoundRobin,
    /// By chance, in proportion to the weights.
    Random,
    /// The same one for the same key, as long as it is there.
    Hash(HashOn),
}

/// What is the same for the requests that are to meet the same server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashOn {
    /// The client's address.
    Client,
    /// The value of this field.
    Header(HeaderName),
    /// The value of this cookie.
    Cookie(String),
}

impl Balance {
    /// Reads how the servers of an upstream are chosen. `hash` and `hash_on` go together.
    pub(super) fn read(table: &Table<'_>) -> Self {
        let (way, on) = (table.value::<Way>("balance"), table.value::<HashOn>("hash_on"));
        match (way, on) {
            (Some(way), Some(on)) if way.value == Way::Hash => return Self::Hash(on.value),
            (Some(way), None) if way.value == Way::Hash && !table.has("hash_on") => {
                let wrong = Wrong::new("\"hash\" does not say what is hashed", format!("add hash_on = {WORDS}"));
                table.note(way.place, wrong);
            }
            (way, Some(on)) if way.is_some() || !table.has("balance") => {
                let what = "`hash_on` means nothing where balance is not \"hash\"";
                table.note(on.place, Wrong::new(what, "write balance = \"hash\", or remove this line"));
            }
            (Some(way), None) => return way.value.without_key(),
            // What is wrong was noted.
            (Some(_) | None, _) => {}
        }
        Self::LeastRequests
    }
}

/// The words of `balance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    LeastRequests,
    RoundRobin,
    Random,
    Hash,
}

impl Way {
    const fn without_key(self) -> Balance {
        match self {
            // Without a key nothing can be hashed.
            Self::LeastRequests | Self::Hash => Balance::LeastRequests,
            Self::RoundRobin => Balance::RoundRobin,
            Self::Random => Balance::Random,
        }
    }
}

impl Word for Way {
    const NOUN: &'static str = "a way to balance";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("least_requests", Self::LeastRequests),
        ("round_robin", Self::RoundRobin),
        ("random", Self::Random),
        ("hash", Self::Hash),
    ];
}

impl Written for HashOn {
    const NOUN: &'static str = "something to hash";

    fn cure() -> String {
        format!("write {WORDS}")
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let refused = || Self::refused(&quoted(text));
        match text.split_once(':') {
            None if text == "client" => Ok(Self::Client),
            Some(("header", name)) => name.parse().map(Self::Header).map_err(|_| refused()),
            // RFC 6265, section 4.1.1: the name of a cookie is a token, as that of a field is.
            Some(("cookie", name)) if name.parse::<HeaderName>().is_ok() => Ok(Self::Cookie(name.to_owned())),
            _ => Err(refused()),
        }
    }
}

const WORDS: &str = r#""client", "header:NAME" or "cookie:NAME""#;
