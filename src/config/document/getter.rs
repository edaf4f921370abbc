//! Owns the typed getters of a table. Each notes what is wrong with its value and answers the default or nothing, so that
//! reading goes on; each makes its key known.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeFloat;
use toml::de::DeInteger;
use toml::de::DeValue;

use super::syntax::ODD_QUOTES;
use super::table::Table;
use super::written::Written;
use crate::config::problem::Placed;
use crate::config::problem::Wrong;
use crate::config::value::Size;

impl<'d> Table<'d> {
    /// Text that has a form, where it was written.
    #[must_use]
    pub fn value<T: Written>(&self, key: &'static str) -> Option<Placed<T>> {
        self.read(key, |found| self.written(found))
    }

    /// Text that has a form, or the default.
    #[must_use]
    pub fn value_or<T: Written>(&self, key: &'static str, default: T) -> T {
        self.value(key).map_or(default, |found| found.value)
    }

    /// Text that has a form and must be there; the example is a line that would be right.
    #[must_use]
    pub fn required<T: Written>(&self, key: &'static str, example: &str) -> Option<Placed<T>> {
        self.must_have(key, example);
        self.value(key)
    }

    /// A list of texts that have a form; those that are wrong are noted and left out. Empty where it was not written.
    #[must_use]
    pub fn values<T: Written>(&self, key: &'static str) -> Vec<Placed<T>> {
        self.know(key);
        let Some(found) = self.entry(key) else { return Vec::new() };
        let DeValue::Array(elements) = found.get_ref() else {
            self.wrong(found, Wrong::new(format!("`{key}` is a list"), "write it in brackets: [ … ]"));
            return Vec::new();
        };
        elements.iter().filter_map(|element| self.noted(element, self.written(element))).collect()
    }

    /// A table whose keys are names that the writer chooses, each with a text; those that are no text are noted and left
    /// out. Empty where it was not written. The example is a value that would be right.
    #[must_use]
    pub fn pairs(&self, key: &'static str, example: &str) -> Vec<(Placed<String>, Placed<String>)> {
        self.know(key);
        let Some(found) = self.entry(key) else { return Vec::new() };
        let Some(entries) = found.get_ref().as_table() else {
            let what = format!("`{key}` is a table of names and texts");
            self.wrong(found, Wrong::new(what, format!("write {key} = {example}")));
            return Vec::new();
        };
        let pair = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let place = self.document().place(name.span().start);
            let name: &std::borrow::Cow<'_, str> = name.get_ref();
            Some((Placed { value: name.to_string(), place }, self.noted(value, self.written(value))?))
        };
        entries.iter().filter_map(pair).collect()
    }

    /// A list of at least one item, each of which is text that has a form, or a table; those that are wrong are noted and left
    /// out. The example is a line that would be right.
    #[must_use]
    pub fn required_items<T: Written, I>(
        &self,
        key: &'static str,
        example: &str,
        of_text: impl Fn(T) -> I,
        of_table: impl Fn(Self) -> Option<I>,
    ) -> Vec<I> {
        self.know(key);
        self.must_have(key, example);
        let Some(found) = self.entry(key) else { return Vec::new() };
        let Some(elements) = found.get_ref().as_array() else {
            self.wrong(found, Wrong::new(format!("`{key}` is a list"), "write it in brackets: [ … ]"));
            return Vec::new();
        };
        if elements.is_empty() {
            self.wrong(found, Wrong::new(format!("`{key}` is empty"), format!("write {example}")));
        }
        let item = |element: &'d Spanned<DeValue<'d>>| match element.get_ref().as_table() {
            Some(entries) => of_table(self.item(key, element, entries)),
            None => self.noted(element, self.written(element)).map(|text| of_text(text.value)),
        };
        elements.iter().filter_map(item).collect()
    }

    /// A list of whole numbers out of a few, each kept once; those that are none of them are noted and left out. The noun
    /// is what such a number is called in a message, with its article.
    #[must_use]
    pub fn numbers(&self, key: &'static str, noun: &str, allowed: &[u16]) -> Vec<u16> {
        self.know(key);
        let Some(found) = self.entry(key) else { return Vec::new() };
        let cure = || format!("write {key} = {allowed:?}, or some of them");
        let DeValue::Array(elements) = found.get_ref() else {
            self.wrong(found, Wrong::new(format!("`{key}` is a list"), cure()));
            return Vec::new();
        };
        let mut numbers = Vec::new();
        for element in elements {
            let number = whole(element.get_ref()).and_then(|number| u16::try_from(number).ok());
            match number.filter(|number| allowed.contains(number)) {
                Some(number) if numbers.contains(&number) => {}
                Some(number) => numbers.push(number),
                None => self.wrong(element, Wrong::new(format!("{} is not {noun}", self.literal(element)), cure())),
            }
        }
        numbers
    }

    /// A time for which something is waited: not zero, which would end every wait before it began.
    #[must_use]
    pub fn time_limit(&self, key: &'static str, default: Duration) -> Duration {
        let limit = self.read(key, |found| match self.written(found)? {
            Duration::ZERO => {
                let what = format!("{} leaves no time at all", self.literal(found));
                Err(Wrong::new(what, "write a duration above zero, or remove the line for the default"))
            }
            duration => Ok(duration),
        });
        limit.map_or(default, |found| found.value)
    }

    /// A number of bytes, at least so many: a size as text or a whole number.
    #[must_use]
    pub fn size(&self, key: &'static str, at_least: Size, default: Size) -> u64 {
        let size = self.read(key, |found| {
            let size = match whole(found.get_ref()) {
                Some(bytes) => Size(bytes),
                None => self.written(found)?,
            };
            if size < at_least {
                let what = format!("{} is too small", self.literal(found));
                return Err(Wrong::new(what, format!("write at least {at_least}")));
            }
            Ok(size)
        });
        size.map_or(default, |found| found.value).0
    }

    /// A whole number.
    #[must_use]
    pub fn integer<T>(&self, key: &'static str, allowed: RangeInclusive<T>, default: T) -> T
    where
        T: TryFrom<u64> + PartialOrd + Display,
    {
        let number = self.read(key, |found| {
            let number = whole(found.get_ref()).and_then(|number| T::try_from(number).ok());
            number.filter(|number| allowed.contains(number)).ok_or_else(|| {
                let fault = if found.get_ref().is_integer() { "is out of range" } else { "is not a whole number" };
                let what = format!("{} {fault}", self.literal(found));
                Wrong::new(what, format!("write a whole number from {} to {}", allowed.start(), allowed.end()))
            })
        });
        number.map_or(default, |found| found.value)
    }

    /// A number with a fraction; a whole one will do.
    #[must_use]
    pub fn number(&self, key: &'static str, allowed: RangeInclusive<f64>, default: f64) -> f64 {
        let number = self.read(key, |found| {
            let number = number(found.get_ref());
            number.filter(|number| allowed.contains(number)).ok_or_else(|| {
                let fault = if number.is_some() { "is out of range" } else { "is not a number" };
                let what = format!("{} {fault}", self.literal(found));
                Wrong::new(what, format!("write a number from {:?} to {:?}", allowed.start(), allowed.end()))
            })
        });
        number.map_or(default, |found| found.value)
    }

    /// True or false.
    #[must_use]
    pub fn flag(&self, key: &'static str, default: bool) -> bool {
        let flag = self.read(key, |found| {
            found.get_ref().as_bool().ok_or_else(|| {
                let what = format!("{} is neither true nor false", self.literal(found));
                Wrong::new(what, "write true or false, without quotes")
            })
        });
        flag.map_or(default, |found| found.value)
    }

    /// The path of a file, meant from the directory of the document where it is relative.
    #[must_use]
    pub fn path(&self, key: &'static str) -> Option<Placed<PathBuf>> {
        let written = self.value::<String>(key)?;
        if written.value.is_empty() {
            self.note(written.place, Wrong::new("the path is empty", "write the path of a file, or remove the line"));
            return None;
        }
        Some(Placed { value: self.document().resolve(Path::new(&written.value)), place: written.place })
    }

    fn read<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Spanned<DeValue<'_>>) -> Result<T, Wrong>,
    ) -> Option<Placed<T>> {
        self.know(key);
        let found = self.entry(key)?;
        self.noted(found, read(found))
    }

    fn must_have(&self, key: &str, example: &str) {
        if !self.has(key) {
            let holder = if self.name().is_empty() { "this file" } else { self.name() };
            let wrong = Wrong::new(format!("{holder} has no `{key}`"), format!("add {example}"));
            self.document().note_missing(Some(self.place()), wrong);
        }
    }

    fn written<T: Written>(&self, found: &Spanned<DeValue<'_>>) -> Result<T, Wrong> {
        if let Some(text) = found.get_ref().as_str() {
            return T::parse(text);
        }
        Err(T::refused(&self.literal(found)))
    }

    fn noted<T>(&self, found: &Spanned<DeValue<'_>>, read: Result<T, Wrong>) -> Option<Placed<T>> {
        let place = self.document().place(found.span().start);
        read.map_err(|wrong| self.wrong(found, wrong)).ok().map(|value| Placed { value, place })
    }

    /// Notes that a value is wrong, unless there is none or its quotes are, which the syntax's words say better.
    pub(super) fn wrong(&self, found: &Spanned<DeValue<'_>>, wrong: Wrong) {
        let written = self.document().source(found.span());
        if !written.is_empty() && !written.starts_with(ODD_QUOTES) {
            self.note(self.document().place(found.span().start), wrong);
        }
    }

    /// The value as it was written, where that is short, on one line, and cannot hold a URL's password.
    fn literal(&self, found: &Spanned<DeValue<'_>>) -> String {
        let written = self.document().source(found.span());
        let fit = written.len() <= LONGEST_LITERAL && !written.contains(['\n', '@']);
        if fit { written.to_owned() } else { "this value".to_owned() }
    }
}

fn whole(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    let decimal = value.as_integer().filter(|number| number.radix() == 10).map(DeInteger::as_str);
    decimal.or_else(|| value.as_float().map(DeFloat::as_str))?.parse().ok()
}

/// In bytes.
const LONGEST_LITERAL: usize = 60;
