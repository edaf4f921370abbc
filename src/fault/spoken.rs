//! Owns the recogniser of first bytes: which protocol speaks behind a port, read from what it sent.
//!
//! It looks at bytes only. An empty answer is not a protocol (redis and memcached hang up on HTTP without a word), so it is
//! no variant here.

/// The protocol that the first bytes of an answer belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spoken {
    /// A status line of HTTP/1.
    Http1,
    /// A TLS alert record.
    TlsAlert,
    /// A TLS handshake record, as a server's hello.
    TlsHandshake,
    /// A SETTINGS frame of HTTP/2 (RFC 9113, section 3.4).
    Http2,
    /// The banner of an SSH server.
    Ssh,
    /// The greeting of a mail server.
    Smtp,
    /// The greeting of an FTP server.
    Ftp,
    /// The greeting of a POP3 server.
    Pop3,
    /// The greeting of an IMAP server.
    Imap,
    /// An error or reply of Redis.
    Redis,
    /// The greeting packet of MySQL or MariaDB.
    Mysql,
    /// An error message of PostgreSQL.
    Postgresql,
    /// A control packet of MQTT.
    Mqtt,
    /// A record of FastCGI.
    FastCgi,
    /// An error of memcached.
    Memcached,
    /// The beginning of an HTML or XML document without a head, as in HTTP/0.9.
    Http09,
    /// An RTSP status line.
    Rtsp,
    /// Text that could not be named.
    Text,
    /// Bytes that could not be named.
    Binary,
}

impl Spoken {
    /// What the protocol is called in a sentence.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1",
            Self::TlsAlert | Self::TlsHandshake => "TLS",
            Self::Http2 => "HTTP/2",
            Self::Ssh => "SSH",
            Self::Smtp => "SMTP (a mail server)",
            Self::Ftp => "FTP",
            Self::Pop3 => "POP3 (a mail server)",
            Self::Imap => "IMAP (a mail server)",
            Self::Redis => "Redis",
            Self::Mysql => "MySQL",
            Self::Postgresql => "PostgreSQL",
            Self::Mqtt => "MQTT",
            Self::FastCgi => "FastCGI",
            Self::Memcached => "memcached",
            Self::Http09 => "a document without an HTTP head",
            Self::Rtsp => "RTSP",
            Self::Text => "an unknown text protocol",
            Self::Binary => "an unknown binary protocol",
        }
    }

    /// Recognises the protocol from the first bytes that a server sent; none where there are none.
    #[must_use]
    pub fn recognise(bytes: &[u8]) -> Option<Self> {
        let first = *bytes.first()?;
        let text = TEXTS.iter().find(|(start, _)| bytes.starts_with(start));
        if let Some((_, spoken)) = text {
            return Some(*spoken);
        }
        if bytes.starts_with(b"220") {
            return Some(greeting_220(bytes));
        }
        match bytes {
            [0x15, 0x03, ..] => return Some(Self::TlsAlert),
            [0x16, 0x03, ..] => return Some(Self::TlsHandshake),
            // Length (3), type SETTINGS (4), flags, stream 0 (RFC 9113, sections 4.1 and 6.5).
            [0, _, _, 4, _, 0, 0, 0, 0, ..] => return Some(Self::Http2),
            // Length (3), sequence 0, protocol version 10, and a version text; or an error packet (0xff) in its place.
            [_, _, 0, 0, 0x0a | 0xff, ..] => return Some(Self::Mysql),
            // ErrorResponse: 'E', a length below 64 KiB, then the severity field 'S'; or one byte of SSLRequest's answer.
            [b'E', 0, 0, _, _, b'S', ..] => return Some(Self::Postgresql),
            // Version 1, a record type that a responder sends: END_REQUEST, STDOUT, STDERR, UNKNOWN_TYPE.
            [1, 3 | 6 | 7 | 11, _, _, _, _, ..] => return Some(Self::FastCgi),
            // CONNACK or DISCONNECT with its fixed short length.
            [0x20, 2 | 3, 0 | 1, ..] | [0xe0, 0 | 2, ..] => return Some(Self::Mqtt),
            _ => {}
        }
        if matches!(first, b'<') || starts_with_markup(bytes) {
            return Some(Self::Http09);
        }
        if redis_reply(bytes) {
            return Some(Self::Redis);
        }
        let printable =
            bytes.iter().take(64).all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace() || *byte >= 0x80);
        Some(if printable { Self::Text } else { Self::Binary })
    }
}

/// A greeting with code 220 is a mail server's or an FTP server's; the text tells.
fn greeting_220(bytes: &[u8]) -> Spoken {
    let line: Vec<u8> = bytes.iter().take(200).map(u8::to_ascii_lowercase).collect();
    let says = |word: &[u8]| line.windows(word.len()).any(|window| window == word);
    if says(b"ftp") { Spoken::Ftp } else { Spoken::Smtp }
}

/// A simple string, error or integer reply of Redis: `+PONG`, `-ERR unknown command`.
fn redis_reply(bytes: &[u8]) -> bool {
    match bytes {
        [b'-', rest @ ..] => rest.first().is_some_and(u8::is_ascii_uppercase),
        [b'+', rest @ ..] => rest.starts_with(b"OK") || rest.starts_with(b"PONG"),
        _ => false,
    }
}

/// White space, then markup: a document whose head was never sent.
fn starts_with_markup(bytes: &[u8]) -> bool {
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

/// Protocols whose first bytes are a fixed text.
const TEXTS: &[(&[u8], Spoken)] = &[
    (b"HTTP/1", Spoken::Http1),
    (b"RTSP/", Spoken::Rtsp),
    (b"SSH-", Spoken::Ssh),
    (b"+OK ", Spoken::Pop3),
    (b"* OK", Spoken::Imap),
    (b"-ERR ", Spoken::Redis),
    (b"-NOAUTH", Spoken::Redis),
    (b"-DENIED", Spoken::Redis),
    (b"ERROR\r\n", Spoken::Memcached),
    (b"CLIENT_ERROR", Spoken::Memcached),
];
