//! Owns the choice of a language from `Accept-Language`: lookup as in RFC 4647, section 3.4, with the weights of RFC 9110.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

use super::Language;
use crate::answer::format::ranges;
use crate::answer::format::thousandths;

/// The language with the highest weight, then the one that is named first. One in another script than was asked for is
/// better than nothing, and `*` leaves the choice to us. English where nothing is asked for or nothing fits. What nobody's browser
/// sends is not read, for it would cost time.
pub(super) fn language(headers: &HeaderMap) -> Language {
    let values = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
    let members = values.flat_map(ranges).take(MOST).filter(|member| member.len() <= LONGEST);
    let wishes: Vec<Wish<'_>> = members.filter_map(Wish::read).collect();
    let refused =
        |language: &Language| wishes.iter().any(|wish| wish.weight == 0 && covers(wish.range, language.tag()));
    let granted: Vec<Language> = Language::all().filter(|language| !refused(language)).collect();
    let fits = wishes.iter().enumerate().filter(|(_, wish)| wish.weight > 0).filter_map(|(index, wish)| {
        let (fit, language) = look_up(wish.range, &granted)?;
        Some(((fit, wish.weight, usize::MAX - index), language))
    });
    let best = fits.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map_or(Language::ENGLISH, |(_, language)| language)
}

/// How many members are read, and how long one may be: more than any browser sends.
const MOST: usize = 64;
const LONGEST: usize = 64;

/// One member of the field.
#[derive(Debug, Clone, Copy)]
struct Wish<'a> {
    range: &'a str,
    /// Thousandths.
    weight: u16,
}

impl<'a> Wish<'a> {
    fn read(member: &'a str) -> Option<Self> {
        let (range, parameter) = member.split_once(';').unwrap_or((member, ""));
        let parameter = parameter.trim();
        let weight = match parameter.split_once('=') {
            _ if parameter.is_empty() => 1000,
            Some((name, value)) if name.trim().eq_ignore_ascii_case("q") => thousandths(value.trim())?,
            _ => return None,
        };
        Some(Self { range: range.trim(), weight })
    }
}

/// How well a language fits, least well first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// Anything was asked for.
    Anything,
    /// The same language, in a script that its readers may find hard.
    OtherScript,
    /// The same language.
    Same,
}

/// The language that fits a range best, among those that may be taken.
fn look_up(range: &str, granted: &[Language]) -> Option<(Fit, Language)> {
    let languages = || granted.iter().copied();
    if range == "*" {
        return languages().next().map(|language| (Fit::Anything, language));
    }
    // The range loses its last subtag until it is the tag of a language: `de-CH-1996`, `de-CH`, `de`.
    let shortened = std::iter::successors(Some(range), |range| range.rsplit_once('-').map(|(shorter, _)| shorter));
    let named = |tag: &str| languages().find(|language| language.tag().eq_ignore_ascii_case(tag));
    if let Some(language) = shortened.map(named).find_map(|language| language) {
        return Some((Fit::Same, language));
    }
    let language = languages().find(|language| primary(language.tag()).eq_ignore_ascii_case(primary(range)))?;
    let fit = if is_traditional(range) == is_traditional(language.tag()) { Fit::Same } else { Fit::OtherScript };
    Some((fit, language))
}

/// Whether a range is the tag or begins it (RFC 4647, section 3.3.1).
fn covers(range: &str, tag: &str) -> bool {
    let (start, rest) = tag.split_at_checked(range.len()).unwrap_or(("", tag));
    !range.is_empty() && start.eq_ignore_ascii_case(range) && (rest.is_empty() || rest.starts_with('-'))
}

fn primary(tag: &str) -> &str {
    tag.split_once('-').map_or(tag, |(primary, _)| primary)
}

/// Whether a tag means Chinese in its traditional script, by name or by the places that write it.
fn is_traditional(tag: &str) -> bool {
    let traditional = ["Hant", "TW", "HK", "MO"];
    tag.split('-').skip(1).any(|subtag| traditional.iter().any(|word| word.eq_ignore_ascii_case(subtag)))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::HeaderValue;
    use http::header::ACCEPT_LANGUAGE;

    use super::Language;

    fn accepting(lines: &[&'static str]) -> &'static str {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT_LANGUAGE, HeaderValue::from_static(line));
        }
        Language::of(&headers).tag()
    }

    #[test]
    fn the_language_with_the_highest_weight_is_taken_then_the_first() {
        for (accepted, tag) in [
            ("de", "de"),
            ("DE-ch", "de"),
            ("de-CH-1996", "de"),
            ("de, en;q=0.9", "de"),
            ("en;q=0.8, de;q=0.9", "de"),
            ("de;q=0.8, fr;q=0.8", "de"),
            ("sv, fr;q=0.5", "fr"),
            ("sv", "en"),
            ("", "en"),
            ("en-GB,en;q=0.9,de;q=0.8", "en"),
            ("de;q=2, fr;q=0.1", "fr"),
            ("de;level=1, fr;q=0.1", "fr"),
            ("deutsch", "en"),
            (",, ;q=1, -, fr", "fr"),
            ("pt-BR,pt;q=0.9,en;q=0.8", "pt"),
        ] {
            assert_eq!(accepting(&[accepted]), tag, "{accepted}");
        }
        assert_eq!(accepting(&["sv;q=1", "ja;q=0.2"]), "ja");
        assert_eq!(accepting(&[]), "en");
    }

    #[test]
    fn what_is_refused_is_not_taken() {
        for (accepted, tag) in [
            ("de;q=0", "en"),
            ("de;q=0, fr;q=0.1", "fr"),
            ("*", "en"),
            ("en;q=0, *", "de"),
            ("*;q=0.5, fr;q=0.1", "fr"),
            ("en;q=0", "en"),
            ("zh;q=0, zh-Hans", "en"),
        ] {
            assert_eq!(accepting(&[accepted]), tag, "{accepted}");
        }
    }

    #[test]
    fn what_no_browser_sends_costs_next_to_nothing() {
        for part in ["a,", "a-", "-", ",", "de;q=0,", "zh-Hant-", "en;q=0.1,de-", ";q=", "*,"] {
            let mut headers = HeaderMap::new();
            headers.append(ACCEPT_LANGUAGE, HeaderValue::from_str(&part.repeat((64 << 10) / part.len())).unwrap());
            let begin = std::time::Instant::now();
            assert!(!Language::of(&headers).tag().is_empty());
            assert!(begin.elapsed().as_millis() < 100, "{part}: {:?}", begin.elapsed());
        }
    }

    #[test]
    fn chinese_in_another_script_is_better_than_nothing() {
        for (accepted, tag) in [
            ("zh", "zh-Hans"),
            ("zh-CN,zh;q=0.9", "zh-Hans"),
            ("zh-Hans-SG", "zh-Hans"),
            ("zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", "zh-Hans"),
            ("zh-TW", "zh-Hans"),
            ("zh-Hant-HK, *;q=0.1", "zh-Hans"),
            ("zh-Hant, en;q=0.2", "en"),
            ("zh-HK, ja;q=0.2", "ja"),
        ] {
            assert_eq!(accepting(&[accepted]), tag, "{accepted}");
        }
    }
}
