//! Owns what clients say of the format and the language of an answer, and what comes of it.

use std::cell::RefCell;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header;

use crate::answer::Format;
use crate::answer::Language;
use crate::answer::Style;
use crate::proxy::state::State;

/// What a client says of the format and the language of an answer, kept as it came: only a failing answer reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wish {
    accept: Option<HeaderValue>,
    accept_language: Option<HeaderValue>,
    content_type: Option<HeaderValue>,
}

impl Wish {
    /// Hears a field of the request's head.
    pub(super) fn hear(&mut self, name: &HeaderName, value: &HeaderValue) {
        if *name == header::ACCEPT {
            join(&mut self.accept, value);
        } else if *name == header::ACCEPT_LANGUAGE {
            join(&mut self.accept_language, value);
        } else if *name == header::CONTENT_TYPE {
            self.content_type.get_or_insert_with(|| value.clone());
        }
    }

    fn granted(&self) -> (Format, Language) {
        let mut headers = HeaderMap::with_capacity(3);
        headers.extend(self.accept.clone().map(|accept| (header::ACCEPT, accept)));
        headers.extend(self.accept_language.clone().map(|accept| (header::ACCEPT_LANGUAGE, accept)));
        headers.extend(self.content_type.clone().map(|kind| (header::CONTENT_TYPE, kind)));
        granted(&headers)
    }

    /// A copy that holds nothing but its own text: a value as it came holds all that was read with it.
    fn alone(&self) -> Self {
        let alone = |value: &Option<HeaderValue>| {
            value.as_ref().and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok())
        };
        Self {
            accept: alone(&self.accept),
            accept_language: alone(&self.accept_language),
            content_type: alone(&self.content_type),
        }
    }

    fn size(&self) -> usize {
        [&self.accept, &self.accept_language, &self.content_type].into_iter().flatten().map(HeaderValue::len).sum()
    }
}

/// What was wished for lately, on one core, and what came of it. In an outage every answer is a failing one and most clients
/// wish for the same, while it takes longer to read their lists than to fill in the answer.
#[derive(Debug, Default)]
pub(super) struct Wishes(RefCell<Vec<(Wish, (Format, Language))>>);

impl Wishes {
    /// How an answer of this proxy's own is written for who has this wish.
    pub(super) fn style<'a>(&self, wish: &Wish, state: &'a State) -> Style<'a> {
        let known = self.0.borrow().iter().find(|(known, _)| known == wish).map(|(_, granted)| *granted);
        let (format, language) = known.unwrap_or_else(|| self.learn(wish));
        Style { format, language, site: &state.shared.site }
    }

    fn learn(&self, wish: &Wish) -> (Format, Language) {
        let granted = wish.granted();
        if wish.size() <= LONGEST {
            let mut known = self.0.borrow_mut();
            if known.len() == MOST_KNOWN {
                known.remove(0);
            }
            known.push((wish.alone(), granted));
        }
        granted
    }
}

/// What whoever sent this head wishes for.
pub(super) fn granted(headers: &HeaderMap) -> (Format, Language) {
    (Format::of(headers), Language::of(headers))
}

/// A line of a field that is a list; several are as one (RFC 9110, section 5.3).
fn join(list: &mut Option<HeaderValue>, line: &HeaderValue) {
    let whole = match list {
        None => Some(line.clone()),
        Some(before) => HeaderValue::from_bytes(&[before.as_bytes(), line.as_bytes()].join(&b", "[..])).ok(),
    };
    *list = whole;
}

/// How many wishes are known at once: as many as there are browsers and programs that a site's visitors use much.
const MOST_KNOWN: usize = 16;
/// Bytes of a wish that is kept.
const LONGEST: usize = 512;

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use http::HeaderValue;

    use super::LONGEST;
    use super::MOST_KNOWN;
    use super::Wish;
    use super::Wishes;
    use crate::answer::Format;
    use crate::answer::Language;

    fn wish(fields: &[(&'static str, &str)]) -> Wish {
        let mut wish = Wish::default();
        for (name, value) in fields {
            wish.hear(&HeaderName::from_static(name), &HeaderValue::from_str(value).unwrap());
        }
        wish
    }

    fn known(wishes: &Wishes, wish: &Wish) -> Option<(Format, Language)> {
        wishes.0.borrow().iter().find(|(known, _)| known == wish).map(|(_, granted)| *granted)
    }

    #[test]
    fn several_lines_are_one_list_and_all_fields_count() {
        let german = Language::all().find(|language| language.tag() == "de").unwrap();
        for (fields, expected) in [
            (&[][..], (Format::Text, Language::ENGLISH)),
            (&[("accept", "text/html;q=0.5"), ("accept", "application/json")], (Format::Json, Language::ENGLISH)),
            (&[("accept-language", "sv"), ("accept-language", "de")], (Format::Text, german)),
            (&[("content-type", "application/grpc"), ("cookie", "a=b")], (Format::Grpc, Language::ENGLISH)),
        ] {
            assert_eq!(wish(fields).granted(), expected, "{fields:?}");
        }
    }

    #[test]
    fn the_last_wishes_are_known_and_long_ones_are_not_kept() {
        let wishes = Wishes::default();
        let numbered =
            |number: usize| wish(&[("accept", "text/html"), ("accept-language", &format!("de;q=0.{number}"))]);
        for number in 0..=MOST_KNOWN {
            assert_eq!(wishes.learn(&numbered(number)), numbered(number).granted());
        }
        assert_eq!(known(&wishes, &numbered(0)), None);
        assert_eq!(known(&wishes, &numbered(1)), Some(numbered(1).granted()));
        let long = wish(&[("accept", &format!("text/html{}", " ".repeat(LONGEST)))]);
        assert_eq!((wishes.learn(&long).0, known(&wishes, &long)), (Format::Html, None));
    }
}
