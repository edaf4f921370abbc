//! Owns how an answer is written: its format, its language, and whose site it is for.

use super::format::Format;
use super::language::Language;
use super::occurrence::Occurrence;
use super::prepared::Shape;
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
    /// What of an occurrence a prepared answer depends on: nothing, but for a page of the operator's own, which may ask.
    #[must_use]
    pub fn shape(self, occurrence: &Occurrence<'_>) -> Option<Shape> {
        (self.format == Format::Html && self.site.has_own_page()).then(|| Shape::of(occurrence))
    }

    /// The same for a reader who is answered in English: an operator, or a program that speaks gRPC.
    #[must_use]
    pub fn for_reader(self, is_operator: bool) -> Self {
        let english = is_operator || self.format == Format::Grpc;
        Self { language: if english { Language::ENGLISH } else { self.language }, ..self }
    }
}
