//! A second reader of HTTP/1.1, by the grammar of RFC 9112 and sharing no code with hyper: the judge of what is sent.
//!
//! It is strict: what it takes for a whole message is one to every recipient that follows the RFC.

/// What bytes are to a strict reader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A whole message, and how many bytes it has.
    Whole(Message, usize),
    /// The beginning of one.
    Partial,
    /// None, and why.
    Wrong(&'static str),
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The words of its first line: method, target and version; or version, status and reason.
    pub(crate) start: [String; 3],
    /// Its fields, their names in lower case, in order.
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    /// Its content, whatever it was framed by.
    pub(crate) body: Vec<u8>,
    /// The fields behind its chunks.
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
    /// What ends it.
    pub(crate) framing: Framing,
}

/// What ends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Its head.
    Head,
    /// Its length.
    Length,
    /// Its last chunk.
    Chunks,
    /// The end of the connection.
    Close,
}

impl Message {
    /// The values of a field, in order.
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| &value[..]).collect()
    }

    /// The members of a comma-separated list, in lower case.
    pub(crate) fn members(&self, name: &str) -> Vec<String> {
        let values = self.values(name).into_iter().map(|value| String::from_utf8_lossy(value).to_lowercase());
        let members = values.flat_map(|value| value.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>());
        members.filter(|member| !member.is_empty()).collect()
    }
}

/// Reads one request.
pub(crate) fn request(bytes: &[u8]) -> Reading {
    read(bytes, |words| {
        let [method, target, version] = words;
        if !is_token(method) {
            return Err("the method is no token");
        }
        if target.is_empty() || target.iter().any(|byte| matches!(byte, 0..=b' ' | 0x7f | b'#')) {
            return Err("the target has what none may have");
        }
        is_version(version).then_some(Body::Declared).ok_or("the version is not spoken")
    })
}

/// Reads one final response, behind as many interim ones as there are. Where the connection is closed, that ends a message that
/// says nothing of its end.
pub(crate) fn response(bytes: &[u8], to_head: bool, closed: bool) -> Reading {
    let mut begin = 0;
    loop {
        let rest = &bytes[begin..];
        let reading = read(rest, |words| {
            let [version, status, _] = words;
            if !is_version(version) {
                return Err("the version is not spoken");
            }
            let known =
                status.len() == 3 && status.iter().all(u8::is_ascii_digit) && (b'1'..=b'5').contains(&status[0]);
            match status {
                _ if !known => Err("the status is none"),
                b"101" => Err("it changes to another protocol"),
                [b'1', ..] | b"204" | b"304" => Ok(Body::None),
                _ if to_head => Ok(Body::None),
                _ => Ok(Body::DeclaredOr(closed)),
            }
        });
        match reading {
            Reading::Whole(message, length) if message.start[1].starts_with('1') => {
                drop(message);
                begin += length;
            }
            Reading::Whole(message, length) => return Reading::Whole(message, begin + length),
            reading @ (Reading::Partial | Reading::Wrong(_)) => return reading,
        }
    }
}

/// What may follow a head.
enum Body {
    None,
    /// What its fields say, and nothing where they say nothing.
    Declared,
    /// What its fields say, and all that comes until the end where they say nothing; which has come or not.
    DeclaredOr(bool),
}

fn read(bytes: &[u8], first: impl FnOnce([&[u8]; 3]) -> Result<Body, &'static str>) -> Reading {
    let Some(line) = line(bytes) else { return unfinished(bytes) };
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let words = [(); 3].map(|()| words.next().unwrap_or_default());
    if line.iter().any(|byte| is_control(*byte)) {
        return Reading::Wrong("a control character in the first line");
    }
    let body = match first(words) {
        Ok(body) => body,
        Err(why) => return Reading::Wrong(why),
    };
    let start = words.map(|word| String::from_utf8_lossy(word).into_owned());
    let mut at = line.len() + 2;
    let fields = match fields(bytes, &mut at) {
        Ok(fields) => fields,
        Err(reading) => return reading,
    };
    let mut message = Message { start, fields, body: Vec::new(), trailers: Vec::new(), framing: Framing::Head };
    match content(&mut message, &body, bytes, &mut at) {
        Ok(()) => Reading::Whole(message, at),
        Err(reading) => reading,
    }
}

/// RFC 9112, section 6.3, without what it lets a lenient recipient do.
fn content(message: &mut Message, body: &Body, bytes: &[u8], at: &mut usize) -> Result<(), Reading> {
    let lengths = message.values("content-length").len();
    let codings = message.values("transfer-encoding").len();
    if lengths + codings > 1 {
        return Err(Reading::Wrong("more than one field of framing"));
    }
    if let Some(coding) = message.values("transfer-encoding").first() {
        if !coding.eq_ignore_ascii_case(b"chunked") || message.start.iter().any(|word| word == "HTTP/1.0") {
            return Err(Reading::Wrong("a transfer coding that is not one `chunked`"));
        }
        if !matches!(body, Body::None) {
            message.framing = Framing::Chunks;
            return chunks(message, bytes, at);
        }
    }
    if let Some(length) = message.values("content-length").first() {
        // As many as a signed reader has room for, without zeros in front.
        let digits = !length.is_empty() && length.len() < 20 && length.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(length).ok().and_then(|text| text.parse::<i64>().ok()).filter(|_| digits);
        let length = length.and_then(|length| usize::try_from(length).ok());
        let length = length.ok_or(Reading::Wrong("a length that is none"))?;
        if !matches!(body, Body::None) {
            message.framing = Framing::Length;
            message.body = take(bytes, at, length).ok_or(Reading::Partial)?.to_vec();
        }
        return Ok(());
    }
    match body {
        Body::DeclaredOr(true) => {
            message.framing = Framing::Close;
            message.body = bytes[*at..].to_vec();
            *at = bytes.len();
            Ok(())
        }
        Body::DeclaredOr(false) => Err(Reading::Partial),
        Body::None | Body::Declared => Ok(()),
    }
}

fn chunks(message: &mut Message, bytes: &[u8], at: &mut usize) -> Result<(), Reading> {
    loop {
        let rest = &bytes[*at..];
        let Some(line) = line(rest) else { return Err(unfinished(rest)) };
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, extensions) = line.split_at(digits);
        if size.is_empty() || size.len() > 15 {
            return Err(Reading::Wrong("a chunk's size is none"));
        }
        if !are_extensions(without_space(extensions)) {
            return Err(Reading::Wrong("what follows a chunk's size is no extension"));
        }
        let size = std::str::from_utf8(size).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size.ok_or(Reading::Wrong("a chunk's size is none"))?;
        *at += line.len() + 2;
        if size == 0 {
            message.trailers = fields(bytes, at)?;
            return Ok(());
        }
        let data = take(bytes, at, size).ok_or(Reading::Partial)?;
        message.body.extend_from_slice(data);
        match bytes.get(*at..) {
            Some([b'\r', b'\n', ..]) => *at += 2,
            Some([] | [b'\r']) => return Err(Reading::Partial),
            _ => return Err(Reading::Wrong("no end behind a chunk")),
        }
    }
}

/// What may stand behind a chunk's size (RFC 9112, section 7.1.1).
fn are_extensions(text: &[u8]) -> bool {
    let Some(text) = text.strip_prefix(b";") else { return text.is_empty() };
    let text = without_space(text);
    let name = text.iter().take_while(|byte| is_token(&[**byte])).count();
    let rest = without_space(&text[name..]);
    let rest = match rest.strip_prefix(b"=").map(without_space) {
        None => Some(rest),
        Some([b'"', value @ ..]) => behind_quotes(value),
        Some(value) => {
            let length = value.iter().take_while(|byte| is_token(&[**byte])).count();
            (length > 0).then(|| &value[length..])
        }
    };
    name > 0 && rest.is_some_and(|rest| are_extensions(without_space(rest)))
}

/// What stands behind a string in quotation marks (RFC 9110, section 5.6.4), of which the first has been read.
fn behind_quotes(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'"', rest @ ..] => Some(rest),
        [b'\\', escaped, rest @ ..] if !is_control(*escaped) => behind_quotes(rest),
        [byte, rest @ ..] if *byte != b'\\' && !is_control(*byte) => behind_quotes(rest),
        _ => None,
    }
}

/// Field lines, and the empty line behind them.
fn fields(bytes: &[u8], at: &mut usize) -> Result<Vec<(String, Vec<u8>)>, Reading> {
    let mut fields = Vec::new();
    loop {
        let rest = &bytes[*at..];
        let Some(line) = line(rest) else { return Err(unfinished(rest)) };
        *at += line.len() + 2;
        if line.is_empty() {
            return Ok(fields);
        }
        let colon = line.iter().position(|byte| *byte == b':').ok_or(Reading::Wrong("a field without a colon"))?;
        let (name, value) = (&line[..colon], without_space(&line[colon + 1..]));
        if !is_token(name) {
            return Err(Reading::Wrong("a field's name is no token"));
        }
        if value.iter().any(|byte| is_control(*byte)) {
            return Err(Reading::Wrong("a control character in a field"));
        }
        fields.push((String::from_utf8_lossy(name).to_lowercase(), value.to_vec()));
    }
}

fn take<'a>(bytes: &'a [u8], at: &mut usize, length: usize) -> Option<&'a [u8]> {
    let taken = bytes.get(*at..at.checked_add(length)?)?;
    *at += length;
    Some(taken)
}

/// The line that the bytes begin with, without its end, which is CRLF; none where it is another or has not come.
fn line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    bytes[end..].starts_with(b"\r\n").then_some(&bytes[..end])
}

/// What a line is that has no end.
fn unfinished(bytes: &[u8]) -> Reading {
    match bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        None => Reading::Partial,
        Some(end) if end + 1 == bytes.len() && bytes[end] == b'\r' => Reading::Partial,
        Some(_) => Reading::Wrong("a line that does not end in CRLF"),
    }
}

/// A value without the spaces and tabs around it.
fn without_space(value: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let begin = value.iter().position(|byte| !is_space(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_space(byte)).map_or(begin, |last| last + 1);
    &value[begin..end]
}

fn is_token(bytes: &[u8]) -> bool {
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(token)
}

fn is_version(bytes: &[u8]) -> bool {
    matches!(bytes, b"HTTP/1.1" | b"HTTP/1.0")
}

const fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

#[test]
fn the_judge_takes_what_the_grammar_has_and_nothing_else() {
    let whole = |bytes: &[u8]| match request(bytes) {
        Reading::Whole(message, length) => Some((String::from_utf8_lossy(&message.body).into_owned(), length)),
        Reading::Partial | Reading::Wrong(_) => None,
    };
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(whole(get), Some((String::new(), get.len())));
    let two = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET /";
    assert_eq!(whole(two), Some(("ab".to_owned(), two.len() - 5)));
    let chunked =
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n";
    assert_eq!(whole(chunked), Some(("a0123456789".to_owned(), chunked.len())));
    for end in 0..chunked.len() {
        assert_eq!(request(&chunked[..end]), Reading::Partial, "{end}");
    }
    for wrong in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "G(T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\na",
        "GET / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    ] {
        assert!(matches!(request(wrong.as_bytes()), Reading::Wrong(_)), "{wrong:?}");
    }
    let answer = |bytes: &str, to_head, closed| match response(bytes.as_bytes(), to_head, closed) {
        Reading::Whole(message, _) => Some(String::from_utf8_lossy(&message.body).into_owned()),
        Reading::Partial | Reading::Wrong(_) => None,
    };
    assert_eq!(answer("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200\r\n\r\nabc", false, true).as_deref(), Some("abc"));
    assert_eq!(answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true, false).as_deref(), Some(""));
    assert_eq!(answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", false, true), None);
    assert_eq!(answer("HTTP/1.1 200 OK\r\n\r\nabc", false, false), None);
}
