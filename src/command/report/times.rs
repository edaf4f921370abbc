//! Owns how a person writes a time on the command line.

use std::time::Duration;

use crate::config::document::Written;
use crate::config::problem::Wrong;
use crate::config::problem::quoted;
use crate::logbook::At;

/// Which end of a span a time is for: a date alone is the whole day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// From then on.
    Begin,
    /// Until then.
    End,
}

/// Reads a time: how long ago, a date, or a date and a time in UTC or with an offset.
pub(super) fn read(text: &str, bound: Bound, now: At) -> Result<At, Wrong> {
    let text = text.trim();
    if let Ok(ago) = Duration::parse(text.strip_suffix(" ago").unwrap_or(text)) {
        return Ok(At(now.0 - i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)));
    }
    if let Some(midnight) = At::read(format!("{text}T00:00:00.000Z").as_bytes()) {
        return Ok(match bound {
            Bound::Begin => midnight,
            Bound::End => At(midnight.0 + DAY),
        });
    }
    let spaced = text.replacen(' ', "T", 1);
    let forms = [spaced.clone(), format!("{spaced}Z"), format!("{spaced}:00Z")];
    forms.iter().find_map(|form| At::read(form.as_bytes())).ok_or_else(|| {
        let instead = "write \"2h\", \"2026-11-26\", \"2026-11-26 10:00\" or \"2026-11-26T10:00:00Z\"";
        Wrong::new(format!("{} is not a time", quoted(text)), instead)
    })
}

/// In milliseconds.
const DAY: i64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_people_write_it() {
        let now = At::read(b"2026-11-26T10:00:00.000Z").unwrap();
        for (text, begin, end) in [
            ("2h", "2026-11-26 08:00:00", "2026-11-26 08:00:00"),
            ("3d", "2026-11-23 10:00:00", "2026-11-23 10:00:00"),
            ("15m ago", "2026-11-26 09:45:00", "2026-11-26 09:45:00"),
            ("2026-11-25", "2026-11-25 00:00:00", "2026-11-26 00:00:00"),
            ("2026-11-25 09:30", "2026-11-25 09:30:00", "2026-11-25 09:30:00"),
            ("2026-11-25 09:30:05", "2026-11-25 09:30:05", "2026-11-25 09:30:05"),
            ("2026-11-25T09:30:05Z", "2026-11-25 09:30:05", "2026-11-25 09:30:05"),
            ("2026-11-25T09:30:05+02:00", "2026-11-25 07:30:05", "2026-11-25 07:30:05"),
        ] {
            let said = |bound| read(text, bound, now).map(|at| at.to_string());
            assert_eq!((said(Bound::Begin), said(Bound::End)), (Ok(begin.to_owned()), Ok(end.to_owned())), "{text}");
        }
        for text in ["", "yesterday", "2", "2026-13-01", "10:00"] {
            assert!(read(text, Bound::Begin, now).is_err(), "{text}");
        }
    }
}
