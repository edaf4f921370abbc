//! Owns the recogniser of first bytes: which protocol speaks behind a port, read from what it sent.
//!
//! It looks at bytes only. An empty answer is not a protocol (redis and memcached hang up on HTTP without a word), so
//! it is no variant here.

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
    /// The protocol header of AMQP, as a broker sends it to whom it does not understand.
    Amqp,
    /// The greeting of a NATS server.
    Nats,
    /// The option negotiation of a Telnet server.
    Telnet,
    /// The greeting of a VNC server.
    Vnc,
    /// A record of FastCGI.
    FastCgi,
    /// An error of memcached.
    Memcached,
    /// The beginning of an HTML or XML document without a head, as in HTTP/0.9.
    Http09,
    /// The head of a CGI program, which lacks the status line (RFC 3875, section 6).
    Cgi,
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
            Self::Amqp => "AMQP (RabbitMQ)",
            Self::Nats => "NATS",
            Self::Telnet => "Telnet",
            Self::Vnc => "VNC",
            Self::FastCgi => "FastCGI (PHP-FPM)",
            Self::Memcached => "memcached",
            Self::Http09 => "a document without an HTTP head",
            Self::Cgi => "a CGI head without a status line",
            Self::Rtsp => "RTSP",
            Self::Text => "an unknown text protocol",
            Self::Binary => "an unknown binary protocol",
        }
    }

    /// Whether it is a protocol of its own, known by name, that has nothing to do with HTTP or TLS.
    #[must_use]
    pub const fn is_foreign(self) -> bool {
        match self {
            Self::Ssh
            | Self::Smtp
            | Self::Ftp
            | Self::Pop3
            | Self::Imap
            | Self::Redis
            | Self::Mysql
            | Self::Postgresql
            | Self::Mqtt
            | Self::Amqp
            | Self::Nats
            | Self::Telnet
            | Self::Vnc
            | Self::FastCgi
            | Self::Memcached
            | Self::Rtsp => true,
            Self::Http1
            | Self::TlsAlert
            | Self::TlsHandshake
            | Self::Http2
            | Self::Http09
            | Self::Cgi
            | Self::Text
            | Self::Binary => false,
        }
    }

    /// Recognises the protocol from the first bytes that a server sent; none where there are none.
    #[must_use]
    pub fn recognise(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let text = TEXTS.iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, spoken)| *spoken);
        text.or_else(|| record(bytes)).or_else(|| greeting(bytes)).or_else(|| document(bytes)).or_else(|| {
            let mut shown = bytes.iter().take(64);
            let printable = shown.all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace() || *byte >= 0x80);
            Some(if printable { Self::Text } else { Self::Binary })
        })
    }
}

/// Protocols that begin with a record of numbers.
fn record(bytes: &[u8]) -> Option<Spoken> {
    match bytes {
        // A content type and version 3.x (RFC 8446, section 5.1).
        [0x15, 0x03, 0..=4, ..] => Some(Spoken::TlsAlert),
        [0x16, 0x03, 0..=4, ..] => Some(Spoken::TlsHandshake),
        // Length (3), type SETTINGS or GOAWAY (4 or 7), flags, stream 0 (RFC 9113, sections 4.1 and 6.5).
        [0, _, _, 4 | 7, _, 0, 0, 0, 0, ..] => Some(Spoken::Http2),
        // Length (3), sequence 0, then protocol version 10 and a version text, or an error packet; or the notice with
        // which the X protocol begins.
        [_, _, 0, 0, 0x0a, b'0'..=b'9', ..] | [_, _, 0, 0, 0xff, ..] | [5, 0, 0, 0, 0x0b, 8, ..] => Some(Spoken::Mysql),
        // ErrorResponse: 'E', a length below 64 KiB, then the severity field 'S'.
        [b'E', 0, 0, _, _, b'S', ..] => Some(Spoken::Postgresql),
        // Version 1, a record type that a responder sends: END_REQUEST, STDOUT, STDERR, GET_VALUES_RESULT, UNKNOWN_TYPE.
        [1, 3 | 6 | 7 | 10 | 11, _, _, _, _, ..] => Some(Spoken::FastCgi),
        // CONNACK or DISCONNECT with its fixed short length.
        [0x20, 2 | 3, 0 | 1, ..] | [0xe0, 0 | 2, ..] => Some(Spoken::Mqtt),
        // IAC, then WILL, WONT, DO or DONT (RFC 854).
        [0xff, 0xfb..=0xfe, _, ..] => Some(Spoken::Telnet),
        _ => None,
    }
}

/// Greetings and replies whose first bytes several protocols share.
fn greeting(bytes: &[u8]) -> Option<Spoken> {
    match bytes {
        // Mail servers and FTP servers share their codes (RFC 5321 and RFC 959); the text tells.
        [b'2', b'2', b'0', b' ' | b'-', ..] | [b'4', b'2', b'1', b' ' | b'-', ..] => {
            Some(if says(bytes, b"ftp") { Spoken::Ftp } else { Spoken::Smtp })
        }
        [b'5', b'5', b'4', b' ' | b'-', ..] => Some(Spoken::Smtp),
        // A simple string or an error of Redis: `+PONG`, `-WRONGTYPE …`.
        [b'-', b'A'..=b'Z', ..] => Some(Spoken::Redis),
        [b'+', rest @ ..] if rest.starts_with(b"OK") || rest.starts_with(b"PONG") => Some(Spoken::Redis),
        _ => None,
    }
}

/// Documents and CGI answers, whose head or status line was never sent.
fn document(bytes: &[u8]) -> Option<Spoken> {
    let starts = |field: &[u8]| bytes.get(..field.len()).is_some_and(|start| start.eq_ignore_ascii_case(field));
    if starts(b"status:") || starts(b"content-type:") {
        return Some(Spoken::Cgi);
    }
    starts_with_markup(bytes).then_some(Spoken::Http09)
}

fn says(bytes: &[u8], word: &[u8]) -> bool {
    bytes
        .get(..bytes.len().min(200))
        .is_some_and(|line| line.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word)))
}

/// White space, then markup: a document whose head was never sent.
fn starts_with_markup(bytes: &[u8]) -> bool {
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

/// Protocols whose first bytes are a fixed text.
const TEXTS: &[(&[u8], Spoken)] = &[
    (b"HTTP/1", Spoken::Http1),
    (b"HTTP/0", Spoken::Http1),
    (b"RTSP/", Spoken::Rtsp),
    (b"SSH-", Spoken::Ssh),
    (b"+OK ", Spoken::Pop3),
    (b"* OK", Spoken::Imap),
    (b"-ERR ", Spoken::Redis),
    (b"-NOAUTH", Spoken::Redis),
    (b"-DENIED", Spoken::Redis),
    (b"ERROR\r\n", Spoken::Memcached),
    (b"CLIENT_ERROR", Spoken::Memcached),
    (b"EFATAL", Spoken::Postgresql),
    (b"AMQP", Spoken::Amqp),
    (b"INFO {", Spoken::Nats),
    (b"RFB 00", Spoken::Vnc),
];

#[cfg(test)]
mod tests {
    use super::Spoken;

    #[test]
    fn a_protocol_is_known_by_its_first_bytes() {
        let rows: &[(&[u8], Spoken)] = &[
            (b"HTTP/1.1 200 OK\r\n", Spoken::Http1),
            (b"HTTP/1.0 400 Bad Request\r\n", Spoken::Http1),
            (b"HTTP/1.1 2OO OK\r\n", Spoken::Http1),
            (b"\x15\x03\x01\x00\x02\x02\x46", Spoken::TlsAlert),
            (b"\x15\x03\x03\x00\x02\x02\x28", Spoken::TlsAlert),
            (b"\x16\x03\x03\x00\x7a\x02\x00", Spoken::TlsHandshake),
            (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03", Spoken::Http2),
            (b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", Spoken::Http2),
            (b"\x00\x00\x08\x07\x00\x00\x00\x00\x00", Spoken::Http2),
            (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", Spoken::Ssh),
            (b"220 mx.internal ESMTP Postfix (Debian/GNU)\r\n", Spoken::Smtp),
            (b"220-mx.internal ESMTP Exim\r\n", Spoken::Smtp),
            (b"421 4.3.2 Service not available\r\n", Spoken::Smtp),
            (b"554 5.7.1 no\r\n", Spoken::Smtp),
            (b"220 (vsFTPd 3.0.3)\r\n", Spoken::Ftp),
            (b"220 ProFTPD Server ready.\r\n", Spoken::Ftp),
            (b"+OK Dovecot ready.\r\n", Spoken::Pop3),
            (b"* OK [CAPABILITY IMAP4rev1] ready\r\n", Spoken::Imap),
            (b"-ERR unknown command 'GET'\r\n", Spoken::Redis),
            (b"-NOAUTH Authentication required.\r\n", Spoken::Redis),
            (b"-DENIED Redis is running in protected mode\r\n", Spoken::Redis),
            (b"-WRONGTYPE Operation\r\n", Spoken::Redis),
            (b"+PONG\r\n", Spoken::Redis),
            (b"J\x00\x00\x00\x0a8.0.36\x00", Spoken::Mysql),
            (b"Y\x00\x00\x00\x0a5.5.5-10.11.6-MariaDB\x00", Spoken::Mysql),
            (b"E\x00\x00\x00\xffj\x04Host '10.0.0.2'", Spoken::Mysql),
            (b"\x05\x00\x00\x00\x0b\x08\x05\x1a\x00", Spoken::Mysql),
            (b"E\x00\x00\x00\x8dSFATAL\x00", Spoken::Postgresql),
            (b"EFATAL:  unsupported frontend protocol", Spoken::Postgresql),
            (b"\x20\x02\x00\x01", Spoken::Mqtt),
            (b"\xe0\x02\x82\x00", Spoken::Mqtt),
            (b"AMQP\x00\x00\x09\x01", Spoken::Amqp),
            (b"INFO {\"server_id\":\"N\"}\r\n", Spoken::Nats),
            (b"\xff\xfd\x18\xff\xfd\x20", Spoken::Telnet),
            (b"RFB 003.008\n", Spoken::Vnc),
            (b"\x01\x06\x00\x01\x00\x50\x00\x00", Spoken::FastCgi),
            (b"\x01\x0b\x00\x00\x00\x08\x00\x00", Spoken::FastCgi),
            (b"\x01\x0a\x00\x00\x00\x12\x06\x00", Spoken::FastCgi),
            (b"ERROR\r\nERROR\r\n", Spoken::Memcached),
            (b"CLIENT_ERROR bad command line format\r\n", Spoken::Memcached),
            (b"<!DOCTYPE HTML PUBLIC", Spoken::Http09),
            (b"\r\n  <html>", Spoken::Http09),
            (b"Status: 500 Internal Server Error\r\n", Spoken::Cgi),
            (b"Content-type: text/html; charset=UTF-8\r\n\r\n", Spoken::Cgi),
            (b"RTSP/1.0 400 Bad Request\r\n", Spoken::Rtsp),
            (b"Warning: division by zero in /srv/www", Spoken::Text),
            ("gr\u{fc}\u{df} Gott".as_bytes(), Spoken::Text),
            (b"2200 is a number", Spoken::Text),
            (b"\x00\x01\x02\x03", Spoken::Binary),
            (b"\x16\x09\x00", Spoken::Binary),
        ];
        for (bytes, spoken) in rows {
            assert_eq!(Spoken::recognise(bytes), Some(*spoken), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn silence_is_no_protocol() {
        assert_eq!(Spoken::recognise(b""), None);
    }

    #[test]
    fn any_bytes_however_few_are_given_a_name() {
        for first in 0..=u8::MAX {
            for length in 1..12 {
                assert!(Spoken::recognise(&vec![first; length]).is_some(), "{length} times {first}");
            }
        }
    }

    #[test]
    fn a_beginning_that_is_cut_off_is_not_taken_for_another_protocol() {
        for cut in 1.."HTTP/1".len() {
            assert_eq!(Spoken::recognise(&b"HTTP/1.1 200 OK"[..cut]), Some(Spoken::Text), "{cut}");
        }
    }
}
