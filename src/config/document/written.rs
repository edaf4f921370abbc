//! Owns what a value is that is written as text: how it is called, how it is read, and what would be right instead.

use crate::config::problem::Wrong;
use crate::config::problem::one_of;
use crate::config::problem::quoted;

/// A value that is written as text.
pub trait Written: Sized {
    /// What it is called in a message, with its article: `a duration`.
    const NOUN: &'static str;

    /// What would be right, as an instruction: `write "3s" or "2m"`.
    fn cure() -> String;

    /// Reads it.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, and the cure.
    fn parse(text: &str) -> Result<Self, Wrong>;

    /// The plain refusal of what was written, which is quoted already where it is text.
    #[must_use]
    fn refused(written: &str) -> Wrong {
        Wrong::new(format!("{written} is not {}", Self::NOUN), Self::cure())
    }
}

/// A value that is one of a few words.
pub trait Word: Copy + 'static {
    /// What it is called in a message, with its article: `a way to balance`.
    const NOUN: &'static str;

    /// The words and what they stand for.
    const WORDS: &'static [(&'static str, Self)];
}

impl<T: Word> Written for T {
    const NOUN: &'static str = <T as Word>::NOUN;

    fn cure() -> String {
        format!("write {}", one_of(T::WORDS.iter().map(|(word, _)| *word)))
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        match T::WORDS.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(*value),
            None => Err(Self::refused(&quoted(text))),
        }
    }
}

/// Any text.
impl Written for String {
    const NOUN: &'static str = "text";

    fn cure() -> String {
        "write it in quotes".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        Ok(text.to_owned())
    }
}
