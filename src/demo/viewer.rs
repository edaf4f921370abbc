//! Owns who asks and in which format: the choices that the demo's pages offer, and the fields that ask for them.

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// Somebody who only wanted the page.
    Visitor,
    /// Who runs the proxy, and has its token.
    Operator,
}

/// In which format the answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// HTML.
    Page,
    /// Problem details (RFC 9457).
    Json,
    /// Plain text.
    Text,
    /// What a gRPC client gets.
    Grpc,
}

impl Viewer {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Visitor, Self::Operator];

    /// The word in an address of the demo, and on its pages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Operator => "operator",
        }
    }
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Page, Self::Json, Self::Text, Self::Grpc];

    /// The word in an address of the demo.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.row().0
    }

    /// What it is called on a page.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().1
    }

    /// The fields that ask for it.
    #[must_use]
    pub const fn fields(self) -> &'static [&'static str] {
        self.row().2
    }

    const fn row(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Self::Page => ("page", "HTML", &["Accept: text/html"]),
            Self::Json => ("json", "JSON", &["Accept: application/json"]),
            Self::Text => ("text", "Text", &["Accept: */*"]),
            Self::Grpc => ("grpc", "gRPC", &["Content-Type: application/grpc", "TE: trailers"]),
        }
    }
}
