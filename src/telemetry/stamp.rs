//! Owns the time stamp of a line: RFC 3339, UTC, milliseconds, worked out once a second.

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time, ready to be written.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    /// Since 1970.
    second: u64,
    /// That second as text, up to its own end: `2026-07-31T23:58:01`.
    text: String,
    /// Of that second.
    millisecond: u16,
}

impl Stamp {
    /// Moves it to this time.
    pub(super) fn set(&mut self, now: SystemTime) {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if since.as_secs() != self.second || self.text.is_empty() {
            self.second = since.as_secs();
            self.text = written(self.second);
        }
        self.millisecond = u16::try_from(since.subsec_millis()).unwrap_or_default();
    }

    /// Writes it whole: `2026-07-31T23:58:01.123Z`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text.as_bytes());
        self.write_milliseconds(out);
        out.push(b'Z');
    }

    /// Writes the time of day, for a person: `23:58:01.123`.
    pub(super) fn write_time_of_day(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text.get("2026-07-31T".len()..).unwrap_or_default().as_bytes());
        self.write_milliseconds(out);
    }

    /// The day: `2026-07-31`.
    pub(super) fn day(&self) -> &str {
        self.text.get(.."2026-07-31".len()).unwrap_or_default()
    }

    fn write_milliseconds(&self, out: &mut Vec<u8>) {
        out.push(b'.');
        super::json::three_digits(out, self.millisecond);
    }
}

/// A time since 1970 as every line has its own: RFC 3339, UTC, milliseconds.
#[must_use]
pub fn rfc_3339(since: Duration) -> String {
    format!("{}.{:03}Z", written(since.as_secs()), since.subsec_millis())
}

/// The second as RFC 3339 has it, without its `Z`. A clock beyond the year 9999 is shown as 1970.
fn written(second: u64) -> String {
    let moment = i64::try_from(second).ok().and_then(|second| OffsetDateTime::from_unix_timestamp(second).ok());
    let text = moment.unwrap_or(OffsetDateTime::UNIX_EPOCH).format(&Rfc3339).unwrap_or_default();
    text.trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;
    use std::time::SystemTime;
    use std::time::UNIX_EPOCH;

    use super::Stamp;

    #[test]
    fn a_stamp_is_rfc_3339_with_milliseconds() {
        let far = Duration::from_secs(253_402_300_800);
        let table = [
            (UNIX_EPOCH, "1970-01-01T00:00:00.000Z"),
            (UNIX_EPOCH - Duration::from_secs(1), "1970-01-01T00:00:00.000Z"),
            (UNIX_EPOCH + Duration::from_micros(1_709_209_681_007_999), "2024-02-29T12:28:01.007Z"),
            (UNIX_EPOCH + Duration::from_millis(1_709_209_681_120), "2024-02-29T12:28:01.120Z"),
            (UNIX_EPOCH + Duration::from_secs(1_709_209_682), "2024-02-29T12:28:02.000Z"),
            (UNIX_EPOCH + far, "1970-01-01T00:00:00.000Z"),
        ];
        let mut stamp = Stamp::default();
        for (time, expected) in table {
            assert_eq!(whole(&mut stamp, time), expected);
        }
    }

    fn whole(stamp: &mut Stamp, time: SystemTime) -> String {
        stamp.set(time);
        let mut out = Vec::new();
        stamp.write(&mut out);
        String::from_utf8(out).expect("a stamp is ASCII")
    }
}
