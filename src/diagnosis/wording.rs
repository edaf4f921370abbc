//! Owns how numbers, places and names are written in the operator's sentences, and times everywhere.

use std::time::Duration;

use time::OffsetDateTime;

use crate::fault::Failure;

/// A time as a person says it: `0.4 ms`, `12 ms`, `5 s`, `3 min 20 s`, `2 h 5 min`, `41 days`. Whoever shows one in
/// words shows it so, that one event has one time wherever it is told.
#[must_use]
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 if time < Duration::from_micros(50) => "less than 0.1 ms".to_owned(),
        0 if time < Duration::from_millis(10) => format!("{} ms", tenths(time.as_secs_f64() * 1000.0)),
        0 => format!("{} ms", time.as_millis()),
        1..120 => format!("{} s", tenths(time.as_secs_f64())),
        120..3_600 => two_units((seconds / 60, "min"), (seconds % 60, "s")),
        3_600..172_800 => two_units((seconds / 3_600, "h"), (seconds % 3_600 / 60, "min")),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// With one digit behind the point, or none where that is a 0.
fn tenths(number: f64) -> String {
    let written = format!("{number:.1}");
    written.strip_suffix(".0").map_or_else(|| written.clone(), str::to_owned)
}

fn two_units((large, large_unit): (u64, &str), (small, small_unit): (u64, &str)) -> String {
    if small == 0 { format!("{large} {large_unit}") } else { format!("{large} {large_unit} {small} {small_unit}") }
}

/// A number of bytes: whole KiB and MiB as such, since limits are written so; all others exactly.
pub(super) fn bytes(count: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    match count {
        1 => "1 byte".to_owned(),
        _ if count >= MIB && count.is_multiple_of(MIB) => format!("{} MiB", count / MIB),
        _ if count >= KIB && count.is_multiple_of(KIB) => format!("{} KiB", count / KIB),
        _ => format!("{count} bytes"),
    }
}

/// A count with its noun, in the plural where it is not one.
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Seconds since 1970 as a date: `2024-03-09 12:00 UTC`.
pub(super) fn date(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds).map_or_else(
        |_| format!("{seconds} s after 1970"),
        |at| {
            let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
            format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", at.hour(), at.minute())
        },
    )
}

/// The time between two moments in seconds since 1970, whichever is the earlier.
pub(super) fn between(one: i64, other: i64) -> String {
    duration(Duration::from_secs(one.abs_diff(other)))
}

/// An error number with its name: `ECONNREFUSED 111`.
pub(super) fn errno(number: i32) -> String {
    let named = ERROR_NUMBERS.iter().find(|(known, _)| *known == number);
    named.map_or_else(|| format!("error {number}"), |(_, name)| format!("{name} {number}"))
}

/// Where a failure happened: the address, or else the server as configured.
pub(super) fn place(failure: &Failure) -> String {
    let peer = failure.peer.as_ref().map(ToString::to_string);
    let target = failure.target.as_ref().map(|target| target.url.to_string());
    peer.or(target).unwrap_or_else(|| "the server".to_owned())
}

/// The server's name as configured, or where it is where it has none.
pub(super) fn host(failure: &Failure) -> String {
    let named = failure.target.as_ref().map(|target| target.host.to_string()).filter(|host| !host.is_empty());
    named.unwrap_or_else(|| place(failure))
}

/// A list as a sentence has it; the first few of a long one.
pub(super) fn list<T: AsRef<str>>(items: &[T]) -> String {
    let shown: Vec<&str> = items.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let rest = items.len().saturating_sub(SHOWN);
    match (shown.split_last(), rest) {
        (None, _) => "none".to_owned(),
        (Some((last, [])), _) => (*last).to_owned(),
        (Some((last, others)), 0) => format!("{} and {last}", others.join(", ")),
        (Some(_), _) => format!("{} and {rest} more", shown.join(", ")),
    }
}

/// `1st`, `2nd`, `3rd`, `4th` …
pub(super) fn ordinal(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// How many items of a list are named before the rest is only counted.
const SHOWN: usize = 4;

/// The error numbers that an exchange with a server meets.
const ERROR_NUMBERS: &[(i32, &str)] = &[
    (libc::EPERM, "EPERM"),
    (libc::ENOENT, "ENOENT"),
    (libc::EAGAIN, "EAGAIN"),
    (libc::ENOMEM, "ENOMEM"),
    (libc::EACCES, "EACCES"),
    (libc::ENOTDIR, "ENOTDIR"),
    (libc::EINVAL, "EINVAL"),
    (libc::ENFILE, "ENFILE"),
    (libc::EMFILE, "EMFILE"),
    (libc::EPIPE, "EPIPE"),
    (libc::EADDRINUSE, "EADDRINUSE"),
    (libc::EADDRNOTAVAIL, "EADDRNOTAVAIL"),
    (libc::ENETDOWN, "ENETDOWN"),
    (libc::ENETUNREACH, "ENETUNREACH"),
    (libc::ECONNABORTED, "ECONNABORTED"),
    (libc::ECONNRESET, "ECONNRESET"),
    (libc::ENOBUFS, "ENOBUFS"),
    (libc::ETIMEDOUT, "ETIMEDOUT"),
    (libc::ECONNREFUSED, "ECONNREFUSED"),
    (libc::EHOSTDOWN, "EHOSTDOWN"),
    (libc::EHOSTUNREACH, "EHOSTUNREACH"),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::bytes;
    use super::date;
    use super::duration;
    use super::errno;
    use super::list;
    use super::ordinal;

    #[test]
    fn times_are_written_as_a_person_says_them() {
        let micros =
            [0, 420, 9_990, 12_400, 999_999, 1_500_000, 60_000_000, 200_000_000, 7_500_000_000, 172_800_000_000];
        assert_eq!(
            micros.map(|time| duration(Duration::from_micros(time))),
            [
                "less than 0.1 ms",
                "0.4 ms",
                "10 ms",
                "12 ms",
                "999 ms",
                "1.5 s",
                "60 s",
                "3 min 20 s",
                "2 h 5 min",
                "2 days"
            ]
        );
    }

    #[test]
    fn only_whole_units_of_bytes_are_shortened() {
        let counts = [0, 1, 1000, 1024, 65_536, 65_537, 10_485_760];
        assert_eq!(counts.map(bytes), ["0 bytes", "1 byte", "1000 bytes", "1 KiB", "64 KiB", "65537 bytes", "10 MiB"]);
    }

    #[test]
    fn a_date_is_written_in_utc_even_where_it_is_absurd() {
        assert_eq!(date(1_709_985_600), "2024-03-09 12:00 UTC");
        assert_eq!(date(i64::MAX), "9223372036854775807 s after 1970");
    }

    #[test]
    fn an_error_number_has_its_name() {
        assert_eq!([libc::ECONNREFUSED, 4095].map(errno), ["ECONNREFUSED 111", "error 4095"]);
    }

    #[test]
    fn a_long_list_is_counted_and_a_short_one_named() {
        let names = ["a", "b", "c", "d", "e", "f"];
        let first = |count| list(names.get(..count).unwrap_or_default());
        assert_eq!([0, 1, 2, 4, 6].map(first), ["none", "a", "a and b", "a, b, c and d", "a, b, c, d and 2 more"]);
    }

    #[test]
    fn ordinals_end_as_english_has_it() {
        assert_eq!(
            [1, 2, 3, 4, 11, 12, 13, 21, 112].map(ordinal),
            ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th"]
        );
    }
}
