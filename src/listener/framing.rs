//! Owns the framing of a client's messages as they come in: where each ends, and what hyper takes there that RFC 9112 does not have.
//!
//! hyper takes a bare line feed for the end of a line, and whatever stands behind a chunk's size for an extension. Somebody before this
//! proxy may read both differently, and see one request where this proxy sees two (request smuggling). So every byte is looked at
//! before hyper gets it, and it gets no more than one head at a time: whoever it asks about that head says what follows.

use memchr::memchr_iter;

/// Where in a client's messages a stream is.
#[derive(Debug)]
pub enum Framing {
    /// In a head, or before one.
    Head(Lines),
    /// Behind a head, and nobody has said yet what follows it.
    Between {
        /// Whether a line of it ended in a bare line feed.
        bare: bool,
    },
    /// In a body of which so many bytes are still to come.
    Length(u64),
    /// In a body in chunks.
    Chunks(Chunks),
    /// In a body in chunks, where it ceased to be one.
    Broken,
}

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// Another head.
    Nothing,
    /// A body of so many bytes.
    Length(u64),
    /// A body in chunks.
    Chunks,
}

/// What of some bytes is passed on: the first of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// How many.
    pub bytes: usize,
    /// How many of these, the last of them, are of a head.
    pub of_head: usize,
}

impl Default for Framing {
    fn default() -> Self {
        Self::Head(Lines::default())
    }
}

impl Framing {
    /// What of these bytes may be passed on now. The others wait for what is said of the head before them, or are of a body that is
    /// broken.
    pub fn pass(&mut self, bytes: &[u8]) -> Passed {
        let mut passed = Passed::default();
        loop {
            let rest = bytes.get(passed.bytes..).unwrap_or_default();
            let (taken, next) = match self {
                _ if rest.is_empty() => return passed,
                Self::Between { .. } | Self::Broken => return passed,
                Self::Head(lines) => {
                    let end = lines.end(rest);
                    passed.of_head = end.unwrap_or(rest.len());
                    (passed.of_head, end.map(|_| Self::Between { bare: lines.bare }))
                }
                Self::Length(left) => {
                    let taken = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= taken as u64;
                    (taken, (*left == 0).then(Self::default))
                }
                Self::Chunks(chunks) => match chunks.read(rest) {
                    (taken, Reading::More) => (taken, None),
                    (taken, Reading::Ended) => (taken, Some(Self::default())),
                    (taken, Reading::Broken) => (taken, Some(Self::Broken)),
                },
            };
            passed.bytes += taken;
            if let Some(next) = next {
                *self = next;
            }
        }
    }

    /// That follows the head that was passed on. Says whether each of the head's lines ended as it must (RFC 9112, section 2.2).
    pub fn follow(&mut self, follows: Follows) -> bool {
        let sound = !matches!(self, Self::Between { bare: true });
        *self = match follows {
            Follows::Nothing | Follows::Length(0) => Self::default(),
            Follows::Length(length) => Self::Length(length),
            Follows::Chunks => Self::Chunks(Chunks::default()),
        };
        sound
    }

    /// Whether the beginning of a head was passed on.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        match self {
            Self::Head(lines) => lines.begun || lines.length > 0,
            Self::Between { .. } => true,
            Self::Length(_) | Self::Chunks(_) | Self::Broken => false,
        }
    }
}

/// Lines up to an empty one.
#[derive(Debug, Default)]
pub struct Lines {
    /// How much of the line has come that is not at its end.
    length: usize,
    /// Whether the last byte of it was a carriage return.
    returned: bool,
    /// Whether a line has come that is not empty: before a head, empty ones are skipped (RFC 9112, section 2.2).
    begun: bool,
    /// Whether a line has ended in a bare line feed.
    bare: bool,
}

impl Lines {
    /// The lines of trailers, which may be none.
    fn of_trailers() -> Self {
        Self { begun: true, ..Self::default() }
    }

    /// Where in these bytes the empty line ends.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut start = 0;
        for at in memchr_iter(b'\n', bytes) {
            let length = self.length + at - start;
            let last = if at > start { bytes.get(at - 1) == Some(&b'\r') } else { self.returned };
            self.bare |= !last;
            let is_empty = length == usize::from(last);
            (start, self.length, self.returned) = (at + 1, 0, false);
            if is_empty && self.begun {
                return Some(start);
            }
            self.begun |= !is_empty;
        }
        let rest = bytes.get(start..).unwrap_or_default();
        self.length += rest.len();
        self.returned = rest.last().map_or(self.returned, |last| *last == b'\r');
        None
    }
}

/// A body in chunks (RFC 9112, section 7.1).
#[derive(Debug, Default)]
pub struct Chunks {
    at: At,
    /// The size of the chunk, or what is still to come of it.
    size: u64,
}

/// Where in a chunk, and what was read before.
#[derive(Debug, Default)]
enum At {
    /// The size, or its beginning.
    #[default]
    Size,
    /// Blanks behind the size or behind an extension.
    Blank,
    /// Before the name of an extension.
    BeforeName,
    /// In it.
    Name,
    /// Blanks behind it.
    BehindName,
    /// Before the value of an extension.
    BeforeValue,
    /// In one that is a token.
    Token,
    /// In one in quotation marks.
    Quoted,
    /// Behind a backslash there.
    Escaped,
    /// Before the line feed that ends the line of the size.
    LineFeed,
    /// In the data.
    Data,
    /// Before the line end behind them, and within it.
    DataReturn,
    DataLineFeed,
    /// Behind the last chunk.
    Trailers(Lines),
}

/// What comes of reading a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    More,
    Ended,
    Broken,
}

impl Chunks {
    /// How many of these bytes are of the body, and what has become of it.
    fn read(&mut self, bytes: &[u8]) -> (usize, Reading) {
        let mut taken = 0;
        while let Some(byte) = bytes.get(taken) {
            match &mut self.at {
                At::Data => {
                    let most = usize::try_from(self.size).unwrap_or(usize::MAX);
                    let part = most.min(bytes.len() - taken);
                    self.size -= part as u64;
                    taken += part;
                    if self.size == 0 {
                        self.at = At::DataReturn;
                    }
                }
                At::Trailers(lines) => {
                    let end = lines.end(bytes.get(taken..).unwrap_or_default());
                    return match end {
                        // None of them has been passed on yet that hyper would take.
                        _ if lines.bare => (taken, Reading::Broken),
                        Some(end) => (taken + end, Reading::Ended),
                        None => (bytes.len(), Reading::More),
                    };
                }
                At::Size
                | At::Blank
                | At::BeforeName
                | At::Name
                | At::BehindName
                | At::BeforeValue
                | At::Token
                | At::Quoted
                | At::Escaped
                | At::LineFeed
                | At::DataReturn
                | At::DataLineFeed => match self.step(*byte) {
                    Some(at) => {
                        self.at = at;
                        taken += 1;
                    }
                    None => return (taken, Reading::Broken),
                },
            }
        }
        (taken, Reading::More)
    }

    /// Where this byte leads; none where it may not stand. Blanks at the end of the line of a size are left to hyper, as some have
    /// always filled it up with them.
    fn step(&mut self, byte: u8) -> Option<At> {
        match (&self.at, byte) {
            (At::Size, _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16)?;
                self.size = self.size.checked_mul(16)?.checked_add(digit.into())?;
                Some(At::Size)
            }
            (At::Size | At::Blank, b' ' | b'\t') => Some(At::Blank),
            (At::Size | At::Blank | At::Name | At::BehindName | At::Token, b';') => Some(At::BeforeName),
            (At::Size | At::Blank | At::Name | At::BehindName | At::Token, b'\r') => Some(At::LineFeed),
            (At::BeforeName, b' ' | b'\t') => Some(At::BeforeName),
            (At::BeforeName | At::Name, _) if is_token_byte(byte) => Some(At::Name),
            (At::Name | At::BehindName, b' ' | b'\t') => Some(At::BehindName),
            (At::Name | At::BehindName, b'=') => Some(At::BeforeValue),
            (At::BeforeValue, b' ' | b'\t') => Some(At::BeforeValue),
            (At::BeforeValue, b'"') => Some(At::Quoted),
            (At::BeforeValue | At::Token, _) if is_token_byte(byte) => Some(At::Token),
            (At::Token, b' ' | b'\t') => Some(At::Blank),
            (At::Quoted, b'"') => Some(At::Blank),
            (At::Quoted, b'\\') => Some(At::Escaped),
            (At::Quoted | At::Escaped, b'\t' | b' '..=b'~' | 0x80..) => Some(At::Quoted),
            (At::LineFeed, b'\n') if self.size == 0 => Some(At::Trailers(Lines::of_trailers())),
            (At::LineFeed, b'\n') => Some(At::Data),
            (At::DataReturn, b'\r') => Some(At::DataLineFeed),
            (At::DataLineFeed, b'\n') => Some(At::Size),
            _ => None,
        }
    }
}

/// A byte of a token (RFC 9110, section 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::Follows;
    use super::Framing;

    /// How much of these bytes is passed on at once, and byte by byte, behind a head that is followed by that.
    fn passed(follows: Option<Follows>, bytes: &str) -> (usize, bool) {
        let begin = || {
            let mut framing = Framing::default();
            if let Some(follows) = follows {
                framing.follow(follows);
            }
            framing
        };
        let (mut at_once, mut by_bytes) = (begin(), begin());
        let passed = at_once.pass(bytes.as_bytes()).bytes;
        let single = bytes.as_bytes().chunks(1).take_while(|byte| by_bytes.pass(byte).bytes == 1).count();
        assert_eq!(passed.min(single), passed.max(single), "{bytes:?}: at once, and byte by byte");
        assert_eq!(matches!(at_once, Framing::Broken), matches!(by_bytes, Framing::Broken), "{bytes:?}");
        (passed, matches!(at_once, Framing::Broken))
    }

    #[test]
    fn one_head_is_passed_on_and_what_comes_behind_it_waits() {
        for (head, behind) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /b HTTP/1.1\r\n"),
            ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", "\r\n"),
            ("GET / HTTP/1.1\nHost: a\n\n", "x"),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", "x"),
            ("GET / HTTP/1.1\r\nX: \r\r\n\r\n", ""),
        ] {
            assert_eq!(passed(None, &format!("{head}{behind}")), (head.len(), false), "{head:?}");
        }
    }

    #[test]
    fn a_head_with_a_bare_line_feed_is_known_for_it() {
        for (head, sound) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: b\n\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", false),
            ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", false),
        ] {
            for size in [1, 2, 3, head.len()] {
                let mut framing = Framing::default();
                assert!(head.as_bytes().chunks(size).all(|part| framing.pass(part).bytes == part.len()), "{head:?}");
                assert_eq!(framing.follow(Follows::Nothing), sound, "{head:?} in parts of {size}");
                assert!(!framing.is_in_head());
            }
        }
    }

    #[test]
    fn behind_a_body_the_next_head_is_passed_on_and_no_more() {
        let next = "GET / HTTP/1.1\r\n\r\n";
        for (follows, body) in [
            (Follows::Nothing, ""),
            (Follows::Length(0), ""),
            (Follows::Length(5), "12345"),
            (Follows::Length(5), "\r\n\r\n5"),
            (Follows::Chunks, "0\r\n\r\n"),
            (Follows::Chunks, "0000\r\n\r\n"),
            (Follows::Chunks, "5\r\nhello\r\nA\r\n0\r\n\r\n67890\r\n0\r\n\r\n"),
            (Follows::Chunks, "5 \t\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n"),
            (Follows::Chunks, "5;a\r\nhello\r\n0;b=c ; d = \"e\\\"f;\t\u{e9}\" ;g=h\r\n\r\n"),
        ] {
            let whole = format!("{body}{next}{next}");
            assert_eq!(passed(Some(follows), &whole), (body.len() + next.len(), false), "{whole:?}");
        }
    }

    #[test]
    fn a_body_ends_where_it_breaks_the_grammar_of_chunks() {
        for (sound, broken) in [
            ("5;", "\r\nhello\r\n"),
            ("5;a=", "\r\nhello\r\n"),
            ("5;a=\"b", "\r\nhello\r\n"),
            ("5;a=\"b\\", "\r\nhello\r\n"),
            ("5;", ";a\r\nhello\r\n"),
            ("5;", "=a\r\nhello\r\n"),
            ("5;a", ",b\r\nhello\r\n"),
            ("5;a", "\n"),
            ("5;a\r", "x"),
            ("5;", "\0\r\n"),
            ("5;a=\"", "\u{7f}\"\r\n"),
            ("5;a=\"b\"", "c\r\n"),
            ("5;a ", "b\r\n"),
            ("", "x"),
            ("", "-1\r\n"),
            ("5", "x"),
            ("5", "\nhello"),
            ("5\r\nhello", "X"),
            ("5\r\nhello\r", "X"),
            ("FFFFFFFFFFFFFFFF", "0\r\n"),
        ] {
            assert_eq!(
                passed(Some(Follows::Chunks), &format!("{sound}{broken}")).0,
                sound.len(),
                "{sound:?} {broken:?}"
            );
            assert!(passed(Some(Follows::Chunks), &format!("{sound}{broken}")).1, "{sound:?} {broken:?}");
        }
    }

    #[test]
    fn a_bare_line_feed_among_trailers_breaks_a_body() {
        for trailers in ["\n", "A: b\n\r\n", "A: b\r\n\n"] {
            for size in [1, trailers.len()] {
                let mut framing = Framing::default();
                framing.follow(Follows::Chunks);
                assert_eq!(framing.pass(b"0\r\n").bytes, 3);
                assert!(
                    trailers.as_bytes().chunks(size).any(|part| framing.pass(part).bytes < part.len()),
                    "{trailers:?}"
                );
                assert!(matches!(framing, Framing::Broken), "{trailers:?} in parts of {size}");
            }
        }
    }
}
