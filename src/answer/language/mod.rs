//! Owns the languages that visitors are answered in.
//!
//! The English text is the key: the code says every sentence in English, and `config/languages` has it in the others, one
//! file each. What a table does not have, such as a step of the operator's own, stays as it was written. Operators are
//! always answered in English: their evidence and commands are.

mod accept;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::LazyLock;

use http::HeaderMap;
use toml::de::DeTable;

/// The languages beside English, a line each: the tag (BCP 47), and the file. This line is all the code that one needs.
const TRANSLATED: &[(&str, &str)] = &[
    ("de", include_str!("../../../config/languages/de.toml")),
    ("es", include_str!("../../../config/languages/es.toml")),
    ("fr", include_str!("../../../config/languages/fr.toml")),
    ("it", include_str!("../../../config/languages/it.toml")),
    ("ja", include_str!("../../../config/languages/ja.toml")),
    ("pl", include_str!("../../../config/languages/pl.toml")),
    ("pt", include_str!("../../../config/languages/pt.toml")),
    ("tr", include_str!("../../../config/languages/tr.toml")),
    ("zh-Hans", include_str!("../../../config/languages/zh-Hans.toml")),
];

/// A language that visitors are answered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Language(usize);

impl Language {
    /// The language of the code, and of whoever asks for none that is there.
    pub const ENGLISH: Self = Self(0);

    /// Every language, English first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=TRANSLATED.len()).map(Self)
    }

    /// The language that a request asks for in `Accept-Language` (RFC 9110, section 12.5.4); English where it asks for none
    /// that is there.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        accept::language(headers)
    }

    /// Its tag, as `Content-Language` and the page have it.
    #[must_use]
    pub fn tag(self) -> &'static str {
        let translated = self.0.checked_sub(1).and_then(|index| TRANSLATED.get(index));
        translated.map_or("en", |(tag, _)| tag)
    }

    /// A text in this language; the English one where there is no other.
    #[must_use]
    pub fn say(self, english: &str) -> &str {
        let translated = self.texts().and_then(|texts| texts.get(english));
        translated.map_or(english, String::as_str)
    }

    /// A text in this language, with values in the places of its `{words}`.
    pub(super) fn fill(self, english: &str, values: &[(&str, &str)]) -> String {
        let mut filled = String::new();
        let mut rest = self.say(english);
        while let Some((before, (word, behind))) =
            rest.split_once('{').and_then(|(before, from)| Some((before, from.split_once('}')?)))
        {
            let value = values.iter().find(|(name, _)| *name == word);
            filled.push_str(before);
            filled.push_str(value.map_or("", |(_, value)| value));
            rest = behind;
        }
        filled.push_str(rest);
        filled
    }

    fn texts(self) -> Option<&'static HashMap<String, String>> {
        TEXTS.get(self.0.checked_sub(1)?)
    }
}

/// The tables, in the order of `TRANSLATED`. They are read when the first visitor asks for one of them.
static TEXTS: LazyLock<Vec<HashMap<String, String>>> =
    LazyLock::new(|| TRANSLATED.iter().map(|(_, file)| read(file)).collect());

/// The texts of a file by their English ones. A file that is wrong leaves English; tests see to it that none is.
fn read(file: &str) -> HashMap<String, String> {
    let table = DeTable::parse(file).map(toml::Spanned::into_inner).unwrap_or_default();
    let text = |value: &toml::Spanned<toml::de::DeValue<'_>>| value.get_ref().as_str().map(str::to_owned);
    table.iter().filter_map(|(english, value)| Some((english.get_ref().to_string(), text(value)?))).collect()
}
