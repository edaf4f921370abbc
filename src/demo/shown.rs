//! Owns how an answer's bytes are shown to a person: head and body apart, control characters visible.

use super::visit;

/// An answer as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The status line; empty where no head came.
    pub status: String,
    /// The field lines, name and value.
    pub fields: Vec<(String, String)>,
    /// What came behind the head, or everything where there was none.
    pub body: String,
}

impl Shown {
    /// Makes text of these bytes.
    #[must_use]
    pub fn of(answer: &[u8]) -> Self {
        let Some((head, body)) = visit::split(answer) else {
            return Self { status: String::new(), fields: Vec::new(), body: printable(answer) };
        };
        let mut lines = head.lines().map(|line| printable(line.as_bytes()));
        let status = lines.next().unwrap_or_default();
        let fields = lines.map(|line| match line.split_once(':') {
            Some((name, value)) => (name.to_owned(), value.trim().to_owned()),
            None => (line, String::new()),
        });
        Self { status, fields: fields.collect(), body: printable(body) }
    }
}

/// Line breaks and tabs as they are, every other control character as an escape, what is not UTF-8 as a replacement.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && !matches!(character, '\n' | '\t') {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::Shown;
    use super::printable;

    #[test]
    fn an_answer_is_taken_apart() {
        let shown = Shown::of(b"HTTP/1.1 502 Bad Gateway\r\nVia: a: b\r\nodd\r\n\r\nbody\r\n");
        assert_eq!(shown.status, "HTTP/1.1 502 Bad Gateway");
        assert_eq!(shown.fields, [("Via".to_owned(), "a: b".to_owned()), ("odd".to_owned(), String::new())]);
        assert_eq!(shown.body, "body\n");
        assert_eq!(Shown::of(b"\x81\x05Hello").body, "\u{fffd}\\u{5}Hello");
    }

    #[test]
    fn control_characters_are_seen_and_do_nothing() {
        assert_eq!(printable(b"a\tb\r\nc\x1b[31md\re"), "a\tb\nc\\u{1b}[31md\\re");
    }
}
