//! Owns durations and sizes: a whole number and its unit.

use std::fmt;
use std::time::Duration;

use crate::config::document::Written;
use crate::config::problem::Wrong;
use crate::config::problem::quoted;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// As it is written in a configuration, in the largest unit that leaves no rest.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = SIZE_UNITS.iter().rev().find(|(_, bytes)| self.0 > 0 && self.0.is_multiple_of(*bytes));
        match unit {
            Some((name, bytes)) => write!(f, "\"{}{name}\"", self.0 / bytes),
            None => self.0.fmt(f),
        }
    }
}

impl Written for Size {
    const NOUN: &'static str = "a size";

    fn cure() -> String {
        r#"write "64KiB", "10MiB" or a number of bytes"#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let (number, unit) = number_and_unit(text);
        let bytes = match SIZE_UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, bytes)) => *bytes,
            None if unit.is_empty() => 1,
            None => return Err(Self::refused(&quoted(text))),
        };
        let bytes = number.and_then(|number| number.checked_mul(bytes));
        bytes.map(Self).ok_or_else(|| Self::refused(&quoted(text)))
    }
}

impl Written for Duration {
    const NOUN: &'static str = "a duration";

    fn cure() -> String {
        r#"write "3s", "250ms" or "2m""#.to_owned()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let (number, unit) = number_and_unit(text);
        let unit = DURATION_UNITS.iter().find(|(name, _)| *name == unit);
        let (Some(number), Some((_, milliseconds))) = (number, unit) else { return Err(Self::refused(&quoted(text))) };
        let duration = number.checked_mul(*milliseconds).map(Self::from_millis).filter(|it| *it <= LONGEST_DURATION);
        duration.ok_or_else(|| Wrong::new(format!("{} is longer than ten years", quoted(text)), "write a shorter time"))
    }
}

fn number_and_unit(text: &str) -> (Option<u64>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number.parse().ok(), unit)
}

/// What a duration may be counted in, and how many milliseconds that is.
const DURATION_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// What a size may be counted in, and how many bytes that is.
const SIZE_UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// No clock overflows when this is added to it.
const LONGEST_DURATION: Duration = Duration::from_secs(3650 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_its_unit() {
        let table =
            [("250ms", 250), ("3s", 3_000), ("2m", 120_000), ("1h", 3_600_000), ("90d", 7_776_000_000), ("0s", 0)];
        for (text, milliseconds) in table {
            assert_eq!(Duration::parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "3", "s", "3 s", "3S", "1.5s", "-3s", "3s ", "3sec", "99999999999999999999s", "３s"] {
            let what = format!("{text:?} is not a duration");
            assert_eq!(Duration::parse(text), Err(Wrong::new(what, r#"write "3s", "250ms" or "2m""#)), "{text}");
        }
        let what = "\"3651d\" is longer than ten years";
        assert_eq!(Duration::parse("3651d"), Err(Wrong::new(what, "write a shorter time")));
    }

    #[test]
    fn a_size_is_a_whole_number_and_its_unit_or_a_number_of_bytes() {
        let table = [("64KiB", 65_536), ("10MiB", 10_485_760), ("1GiB", 1_073_741_824), ("512", 512), ("0", 0)];
        for (text, bytes) in table {
            assert_eq!(Size::parse(text), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "KiB", "64 KiB", "64KB", "64k", "64kib", "-1", "1.5MiB", "99999999999GiB"] {
            let what = format!("{text:?} is not a size");
            assert_eq!(
                Size::parse(text),
                Err(Wrong::new(what, r#"write "64KiB", "10MiB" or a number of bytes"#)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_size_is_shown_as_it_is_written() {
        assert_eq!(
            [0, 1000, 8192, 3 << 20].map(|bytes| Size(bytes).to_string()),
            ["0", "1000", "\"8KiB\"", "\"3MiB\""]
        );
    }
}
