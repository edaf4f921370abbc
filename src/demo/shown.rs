//! Owns how an answer's bytes are shown to a person: head and body apart, control characters visible, and what is missing.

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
        let Some((head, body)) = split(answer) else {
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

/// An answer's head as text, without the empty line behind it, and its body; none before the head is complete.
#[must_use]
pub fn split(answer: &[u8]) -> Option<(String, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, rest) = answer.split_at(end);
    Some((String::from_utf8_lossy(head).into_owned(), rest.get(4..).unwrap_or_default()))
}

/// What is missing of an answer, as a sentence; none where it is whole, or where nothing tells how long it was to be.
#[must_use]
pub fn missing(answer: &[u8]) -> Option<String> {
    let (head, body) = split(answer)?;
    if field(&head, "transfer-encoding").is_some() {
        let is_whole = body.ends_with(b"\r\n\r\n") && (body.starts_with(b"0\r\n") || holds(body, b"\r\n0\r\n"));
        return (!is_whole).then(|| "The last chunk is missing: the answer is cut.".to_owned());
    }
    let announced: usize = field(&head, "content-length")?.parse().ok()?;
    let came = body.len();
    (came < announced).then(|| format!("{announced} bytes of body were announced, and {came} came: the answer is cut."))
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The value of a field in a head.
#[must_use]
pub fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

#[cfg(test)]
mod tests {
    use super::Shown;
    use super::field;
    use super::missing;
    use super::printable;
    use super::split;

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

    #[test]
    fn what_is_missing_of_an_answer_is_said() {
        let says = |answer: &str| missing(format!("HTTP/1.1 200 OK\r\n{answer}").as_bytes());
        let short = "9 bytes of body were announced, and 2 came: the answer is cut.";
        let open = "The last chunk is missing: the answer is cut.";
        assert_eq!(says("Content-Length: 9\r\n\r\nhi"), Some(short.to_owned()));
        assert_eq!(says("Content-Length: 2\r\n\r\nhi"), None);
        assert_eq!(says("Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"), Some(open.to_owned()));
        assert_eq!(says("Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-A: b\r\n\r\n"), None);
        assert_eq!(says("Connection: close\r\n\r\nhi"), None);
    }

    #[test]
    fn a_head_is_told_from_a_body() {
        let (head, body) = split(b"HTTP/1.1 200 OK\r\nX-A:  b \r\n\r\nrest").unwrap();
        assert_eq!((field(&head, "x-a"), body), (Some("b"), b"rest".as_slice()));
        assert_eq!(split(b"HTTP/1.1 200 OK\r\n"), None);
    }
}
