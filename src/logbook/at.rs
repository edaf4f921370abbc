//! Owns the times of a log: read from RFC 3339, written for people and for programs, always in UTC.

use std::fmt;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time: milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(pub i64);

impl At {
    /// Reads a time as every line has it, or any other of RFC 3339 whose year has four digits in UTC too.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        Self::as_written(text).or_else(|| {
            let moment = OffsetDateTime::parse(std::str::from_utf8(text).ok()?, &Rfc3339).ok()?;
            let at = i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Self)?;
            (FIRST..=LAST).contains(&at).then_some(at)
        })
    }

    /// `2026-07-31T23:58:01.123Z`, as the log's writer has it. Every line is read so, so that it costs next to nothing.
    fn as_written(text: &[u8]) -> Option<Self> {
        let &[
            y0,
            y1,
            y2,
            y3,
            b'-',
            m0,
            m1,
            b'-',
            d0,
            d1,
            b'T',
            h0,
            h1,
            b':',
            i0,
            i1,
            b':',
            s0,
            s1,
            b'.',
            f0,
            f1,
            f2,
            b'Z',
        ] = text
        else {
            return None;
        };
        let (year, month, day) = (number(&[y0, y1, y2, y3])?, number(&[m0, m1])?, number(&[d0, d1])?);
        let (hour, minute, second) = (number(&[h0, h1])?, number(&[i0, i1])?, number(&[s0, s1])?);
        let is_day = || day <= 28 || days(year, month, day) < days(year + month / 12, month % 12 + 1, 1);
        // A leap second is left to who knows when there may be one.
        let valid = (1..=12).contains(&month) && day >= 1 && is_day() && hour < 24 && minute < 60 && second < 60;
        let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
        valid.then_some(Self(seconds * 1000 + number(&[f0, f1, f2])?))
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub const fn second(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// For programs: `2026-07-31T23:58:01.123Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let moment = self.moment();
        let (day, (hour, minute, second)) = (Self::day_of(moment), moment.to_hms());
        format!("{day}T{hour:02}:{minute:02}:{second:02}.{:03}Z", self.0.rem_euclid(1000))
    }

    /// The day: `2026-07-31`.
    #[must_use]
    pub fn day(self) -> String {
        Self::day_of(self.moment())
    }

    /// The time of day: `23:58:01`.
    #[must_use]
    pub fn clock(self) -> String {
        let (hour, minute, second) = self.moment().to_hms();
        format!("{hour:02}:{minute:02}:{second:02}")
    }

    fn day_of(moment: OffsetDateTime) -> String {
        format!("{:04}-{:02}-{:02}", moment.year(), u8::from(moment.month()), moment.day())
    }

    fn moment(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// For a person: `2026-07-31 23:58:01`.
impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.day(), self.clock())
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(*digit - b'0')))
}

/// Days from 1970 to a day of the Gregorian calendar, whose years are taken to begin in March, so that the leap day is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_years = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    of_years + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The first and the last moment of a year of four digits.
const FIRST: At = At(-62_167_219_200_000);
const LAST: At = At(253_402_300_799_999);

#[cfg(test)]
mod tests {
    use super::At;

    #[test]
    fn a_time_is_read_in_any_form_of_rfc_3339_and_written_in_utc() {
        for (text, read) in [
            ("1970-01-01T00:00:00.000Z", Some((0, "1970-01-01 00:00:00"))),
            ("2024-02-29T12:28:01.007Z", Some((1_709_209_681_007, "2024-02-29 12:28:01"))),
            ("2024-02-29T12:28:01Z", Some((1_709_209_681_000, "2024-02-29 12:28:01"))),
            ("2024-02-29T14:28:01.007999+02:00", Some((1_709_209_681_007, "2024-02-29 12:28:01"))),
            ("2000-12-31T23:59:59.999Z", Some((978_307_199_999, "2000-12-31 23:59:59"))),
            ("2016-12-31T23:59:60.500Z", Some((1_483_228_799_999, "2016-12-31 23:59:59"))),
            ("0000-01-01T00:00:00Z", Some((-62_167_219_200_000, "0000-01-01 00:00:00"))),
            ("9999-12-31T23:59:59.999Z", Some((253_402_300_799_999, "9999-12-31 23:59:59"))),
            ("9999-12-31T23:59:59-01:00", None),
            ("0000-01-01T00:00:00+01:00", None),
            ("2016-06-30T23:58:60.500Z", None),
            ("2023-02-29T12:28:01.007Z", None),
            ("2024-04-31T12:28:01.007Z", None),
            ("2024-04-00T12:28:01.007Z", None),
            ("2024-13-29T12:28:01.007Z", None),
            ("2024-02-29 12:28", None),
            ("2024-02-29T12:28:0x.007Z", None),
            ("", None),
        ] {
            let at = At::read(text.as_bytes());
            assert_eq!(at.map(|at| (at.0, at.to_string())), read.map(|(ms, said)| (ms, said.to_owned())), "{text}");
        }
    }

    #[test]
    fn every_day_is_read_as_the_calendar_has_it() {
        for day in (0..60_000).step_by(7) {
            let at = At(day * 86_400_000 + 1);
            assert_eq!(At::read(at.rfc3339().as_bytes()), Some(at));
        }
    }
}
