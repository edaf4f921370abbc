//! Owns `[operators]`: who may see addresses, evidence and commands, and the token that proves it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use subtle::ConstantTimeEq;

use super::document::Table;
use super::files;
use super::problem::Placed;
use super::problem::Wrong;
use super::value::Networks;

/// `[operators]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operators {
    /// Client addresses that are operators'.
    pub networks: Networks,
    /// The token that makes a request an operator's, read from `token_file`.
    pub token: Option<Token>,
}

/// A secret that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub Arc<str>);

impl Token {
    /// Whether this is it. How long the comparison takes says nothing about the token but its length.
    #[must_use]
    pub fn is(&self, claimed: &[u8]) -> bool {
        !self.0.is_empty() && claimed.ct_eq(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Operators {
    pub(super) fn read(table: Table<'_>) -> Self {
        let file = table.path("token_file");
        let operators = Self {
            networks: table.values("networks").into_iter().map(|network| network.value).collect(),
            token: file.and_then(|file| token(&table, &file)),
        };
        table.close();
        operators
    }
}

/// The token in a file, without the space around it.
fn token(table: &Table<'_>, file: &Placed<PathBuf>) -> Option<Token> {
    let bytes = files::readable(table, file)?;
    let token = String::from_utf8_lossy(&bytes);
    let token = token.trim();
    let what = if token.is_empty() {
        "the token file is empty".to_owned()
    } else if token.len() < SHORTEST_TOKEN {
        format!("the token has only {} characters, which can be guessed", token.chars().count())
    } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        "the token has characters that no HTTP field can carry".to_owned()
    } else {
        return Some(Token(token.into()));
    };
    table.note(file.place, Wrong::new(what, "put a long random one there: openssl rand -hex 32"));
    None
}

/// In characters.
const SHORTEST_TOKEN: usize = 16;
