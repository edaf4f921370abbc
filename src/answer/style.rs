//! Owns how an answer is written: its format, its language, and whose site it is for.

use super::format::Format;
use super::language::Language;
use super::site::Site;

/// How an answer is written.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    /// The format.
    pub format: Format,
    /// The language, for a visitor; operators read English.
    pub language: Language,
    /// What the site says of itself.
    pub site: &'a Site,
}

impl Style<'_> {
    /// The same for a reader who is answered in English: an operator, or a program that speaks gRPC.
    #[must_use]
    pub fn for_reader(self, is_operator: bool) -> Self {
        let english = is_operator || self.format == Format::Grpc;
        Self { language: if english { Language::ENGLISH } else { self.language }, ..self }
    }
}
