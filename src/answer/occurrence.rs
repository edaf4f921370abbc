//! Owns what differs from one failing answer to the next: the request's id, the time, the incident, the wait.
//!
//! Everything else of an answer is the same for every request that fails in the same way; see `prepared`.

use std::fmt;
use std::fmt::Write;

use time::OffsetDateTime;

/// When a failure happened, and under which ids it is found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence<'a> {
    /// The request's id; a sender that is trusted may have chosen it, so that it is escaped wherever it is shown.
    pub request_id: &'a str,
    /// When it happened.
    pub at: Moment,
    /// The id of the incident that it belongs to.
    pub incident: Option<&'a str>,
    /// After how many seconds another try is worth it, where that is known (the origin said so, a server returns then);
    /// none: what is usual for the fault.
    pub retry_after: Option<u64>,
    /// Whether a link to the same address repeats the request: true for GET and HEAD only.
    pub repeatable: bool,
}

/// A point in time: milliseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

impl Moment {
    /// For a person: `2026-03-01 09:30:00 UTC`.
    pub(super) fn for_a_person(self) -> impl fmt::Display {
        Written { moment: self, between: " ", zone: " UTC" }
    }

    fn utc(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// RFC 3339, to the second: `2026-03-01T09:30:00Z`.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Written { moment: *self, between: "T", zone: "Z" }.fmt(f)
    }
}

struct Written {
    moment: Moment,
    between: &'static str,
    zone: &'static str,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = self.moment.utc();
        let year = u32::try_from(utc.year()).unwrap_or_default();
        let (hour, minute, second) = utc.to_hms();
        let digit = |number: u32| char::from_digit(number, 10).unwrap_or('0');
        // Digit by digit, which takes half of what padded numbers take: every failing answer has the time in it, and its log line.
        for (number, behind) in [
            (year / 100, ""),
            (year % 100, "-"),
            (u8::from(utc.month()).into(), "-"),
            (utc.day().into(), self.between),
            (hour.into(), ":"),
            (minute.into(), ":"),
            (second.into(), self.zone),
        ] {
            f.write_char(digit(number / 10))?;
            f.write_char(digit(number % 10))?;
            f.write_str(behind)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn a_moment_is_written_in_utc_for_machines_and_for_people() {
        for (millis, machine, person) in [
            (1_772_357_400_999, "2026-03-01T09:30:00Z", "2026-03-01 09:30:00 UTC"),
            (0, "1970-01-01T00:00:00Z", "1970-01-01 00:00:00 UTC"),
            (-1, "1969-12-31T23:59:59Z", "1969-12-31 23:59:59 UTC"),
        ] {
            let moment = Moment(millis);
            assert_eq!((moment.to_string().as_str(), moment.for_a_person().to_string().as_str()), (machine, person));
        }
    }
}
