//! Owns which lines there are and how they look: one number that every thread reads with each event, so that a reload changes it for
//! all of them.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use super::colour::Colours;
use super::event::Event;
use super::json;
use super::pretty;
use super::stamp::Stamp;
use crate::config;

/// Which lines there are, and how they look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) form: Form,
    /// Whether every request has a line.
    pub(super) access: bool,
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Pretty(Colours),
}

/// The style that all threads go by now, as its place in `ALL`.
#[derive(Debug)]
pub(super) struct Current(AtomicUsize);

impl Style {
    pub(super) fn of(settings: &config::Log) -> Self {
        let form = match settings.format {
            config::LogFormat::Json => Form::Json,
            config::LogFormat::Pretty => Form::Pretty(Colours::wanted(&settings.output)),
        };
        Self { form, access: settings.access }
    }
}

impl Form {
    pub(super) fn write(self, out: &mut Vec<u8>, stamp: &Stamp, event: &Event<'_>) {
        match self {
            Self::Json => json::write(out, stamp, event),
            Self::Pretty(colours) => pretty::write(out, colours, stamp, event),
        }
    }
}

impl Current {
    pub(super) fn new(style: Style) -> Self {
        let current = Self(AtomicUsize::new(0));
        current.set(style);
        current
    }

    pub(super) fn get(&self) -> Style {
        let [first, ..] = ALL;
        ALL.get(self.0.load(Relaxed)).copied().unwrap_or(first)
    }

    pub(super) fn set(&self, style: Style) {
        self.0.store(ALL.iter().position(|known| *known == style).unwrap_or_default(), Relaxed);
    }
}

const ALL: [Style; 6] = [
    Style { form: Form::Json, access: true },
    Style { form: Form::Json, access: false },
    Style { form: Form::Pretty(Colours::Plain), access: true },
    Style { form: Form::Pretty(Colours::Plain), access: false },
    Style { form: Form::Pretty(Colours::Shown), access: true },
    Style { form: Form::Pretty(Colours::Shown), access: false },
];

#[cfg(test)]
mod tests {
    use super::Colours;
    use super::Current;
    use super::Form;
    use super::Style;

    #[test]
    fn every_style_is_read_as_it_was_set() {
        for form in [Form::Json, Form::Pretty(Colours::Plain), Form::Pretty(Colours::Shown)] {
            for access in [true, false] {
                let style = Style { form, access };
                assert_eq!(Current::new(style).get(), style);
            }
        }
    }
}
