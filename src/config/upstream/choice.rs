//! Owns the words of an upstream: what is spoken to its servers, what they see as `Host`, what runs there.

use std::sync::Arc;

use crate::config::document::Word;
use crate::config::document::Written;
use crate::config::problem::Wrong;
use crate::config::problem::one_of;
use crate::config::problem::quoted;
use crate::config::value::is_authority;

/// What is spoken to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: agreed on in the TLS handshake (ALPN), or known beforehand where there is no TLS (RFC 9113, section 3.3).
    H2,
    /// What the TLS handshake agrees on; HTTP/1.1 where there is no TLS.
    Auto,
}

impl Word for Protocol {
    const NOUN: &'static str = "a protocol";
    const WORDS: &'static [(&'static str, Self)] = &[("http1", Self::Http1), ("h2", Self::H2), ("auto", Self::Auto)];
}

/// What the origin sees as `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostHeader {
    /// What the client sent.
    Client,
    /// The server's own host and port.
    Upstream,
    /// This name.
    Literal(Arc<str>),
}

impl Written for HostHeader {
    const NOUN: &'static str = "a Host field";

    fn cure() -> String {
        r#"write "client", "upstream" or a name: "shop.example""#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text {
            "client" => Ok(Self::Client),
            "upstream" => Ok(Self::Upstream),
            name if is_authority(name) => Ok(Self::Literal(name.into())),
            _ => Err(Self::refused(&quoted(text))),
        }
    }
}

/// What an upstream is made with; tunes the checklists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Platform {
    /// Nothing is known.
    Generic,
    /// PHP.
    Php,
    /// WordPress, which is PHP too.
    Wordpress,
    /// Magento, which is PHP too.
    Magento,
    /// Node.js.
    Node,
    /// Python.
    Python,
    /// Java.
    Java,
    /// Ruby.
    Ruby,
    /// Go.
    Go,
}

impl Platform {
    /// Every platform.
    pub const ALL: [Self; 9] = [
        Self::Generic,
        Self::Php,
        Self::Wordpress,
        Self::Magento,
        Self::Node,
        Self::Python,
        Self::Java,
        Self::Ruby,
        Self::Go,
    ];

    /// The word of the contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Php => "php",
            Self::Wordpress => "wordpress",
            Self::Magento => "magento",
            Self::Node => "node",
            Self::Python => "python",
            Self::Java => "java",
            Self::Ruby => "ruby",
            Self::Go => "go",
        }
    }
}

impl Written for Platform {
    const NOUN: &'static str = "a platform";

    fn cure() -> String {
        format!("write {}", one_of(Self::ALL.map(Self::word)))
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        Self::ALL.into_iter().find(|platform| platform.word() == text).ok_or_else(|| Self::refused(&quoted(text)))
    }
}
