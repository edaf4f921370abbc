//! Owns how numbers and lists are said to a person: how sure, how long to wait, and several causes in a row.

use super::language::Language;
use crate::diagnosis::Cause;

/// How sure a confidence is, in a word.
pub(super) fn how_sure(confidence: f64, language: Language) -> &'static str {
    match percent(confidence) {
        85.. => language.say("very likely"),
        60..85 => language.say("likely"),
        35..60 => language.say("possible"),
        _ => language.say("only a guess"),
    }
}

/// So many hundredths, with their sign.
pub(super) fn percentage(confidence: f64, language: Language) -> String {
    language.fill("{number} %", &[("number", &percent(confidence).to_string())])
}

/// Causes in a row, each with its share.
pub(super) fn ranked(causes: &[(Cause, f64)], language: Language) -> String {
    let one = |(cause, confidence): &(Cause, f64)| {
        let (cause, percent) = (language.say(cause.title()), percentage(*confidence, language));
        language.fill("{cause} ({percent})", &[("cause", cause), ("percent", &percent)])
    };
    let causes: Vec<String> = causes.iter().map(one).collect();
    causes.join(language.say(", "))
}

/// A confidence as a whole number of hundredths.
pub(super) fn percent(confidence: f64) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits, and NaN is 0")]
    let percent = (confidence * 100.0).round().clamp(0.0, 100.0) as u8;
    percent
}

/// A cause that may well not be it, behind `perhaps`.
pub(super) const fn supposed(cause: Cause) -> &'static str {
    match cause {
        Cause::Overload => "more requests than it can take",
        Cause::Dns => "a wrong name in DNS",
        Cause::Firewall => "a firewall",
        Cause::FaultyProxy => "a faulty proxy",
        Cause::OriginDown => "an origin that is down",
        Cause::Application => "a fault of the application",
        Cause::Network => "a broken network",
        Cause::Tls => "a fault of TLS",
        Cause::Unknown => "something else",
    }
}

/// A number of seconds to wait, in the largest unit that does not mislead.
pub(super) fn wait(seconds: u64, language: Language) -> String {
    let said = |english: &str, count: u64| language.fill(english, &[("number", &count.to_string())]);
    match seconds {
        1 => language.say("1 second").to_owned(),
        0..=90 => said("{number} seconds", seconds),
        // From here on there are at least two of them.
        91..=5400 => said("{number} minutes", seconds.div_ceil(60)),
        _ => said("{number} hours", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::Language;
    use super::how_sure;
    use super::percent;
    use super::wait;

    #[test]
    fn a_confidence_is_said_in_a_word_and_in_hundredths() {
        for (confidence, word, hundredths) in [
            (0.996, "very likely", 100),
            (0.86, "very likely", 86),
            (0.6, "likely", 60),
            (0.354, "possible", 35),
            (0.1, "only a guess", 10),
            (f64::NAN, "only a guess", 0),
        ] {
            assert_eq!((how_sure(confidence, Language::ENGLISH), percent(confidence)), (word, hundredths));
        }
    }

    #[test]
    fn a_wait_is_said_in_the_unit_that_a_person_would_use() {
        for (seconds, words) in [
            (1, "1 second"),
            (30, "30 seconds"),
            (90, "90 seconds"),
            (91, "2 minutes"),
            (600, "10 minutes"),
            (7200, "2 hours"),
        ] {
            assert_eq!(wait(seconds, Language::ENGLISH), words);
        }
    }
}
