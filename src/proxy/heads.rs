//! Owns heads for tests, written as they stand on the wire and read into the types of `http` as hyper does, and the limits
//! that they are held to.

use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Uri;
use http::Version;
use http::request;
use http::response;

use crate::config::Limits;

/// Limits of which only the one on the body is ever reached.
pub(crate) const LIMITS: Limits = Limits {
    connections: 1,
    request_header_bytes: 1 << 16,
    request_body_bytes: 1000,
    header_timeout: Duration::from_secs(10),
    body_timeout: Duration::from_secs(60),
    idle_timeout: Duration::from_secs(75),
    connections_per_client: 0,
};

/// The head of a request: a request line and field lines, separated by `\n`.
pub(crate) fn request(text: &str) -> request::Parts {
    let (line, fields) = text.split_once('\n').unwrap_or((text, ""));
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, version] = words[..] else { panic!("{line:?} is no request line") };
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = method.parse().unwrap();
    parts.uri = Uri::from_maybe_shared(target.to_owned().into_bytes()).unwrap();
    parts.version = self::version(version);
    parts.headers = self::fields(fields);
    parts
}

/// The head of a response: a status line without a reason and field lines.
pub(crate) fn response(text: &str) -> response::Parts {
    let (line, fields) = text.split_once('\n').unwrap_or((text, ""));
    let (version, status) = line.split_once(' ').unwrap();
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = status.parse().unwrap();
    parts.version = self::version(version);
    parts.headers = self::fields(fields);
    parts
}

/// Field lines. Characters stand for the byte of that number, so that `\u{e9}` is the byte 0xE9.
pub(crate) fn fields(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in text.lines() {
        let (name, value) = line.split_once(':').unwrap();
        let value: Vec<u8> =
            value.trim_start_matches(' ').chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(&value).unwrap());
    }
    headers
}

/// Fields as sorted lines, to compare whole heads.
pub(crate) fn lines(headers: &HeaderMap) -> Vec<String> {
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        let value: String = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
        format!("{name}: {value}")
    };
    let mut lines: Vec<String> = headers.iter().map(line).collect();
    // Stable by name alone: lines of one name keep their order.
    lines.sort_by(|a, b| a.split(':').next().cmp(&b.split(':').next()));
    lines
}

fn version(text: &str) -> Version {
    match text {
        "HTTP/1.0" => Version::HTTP_10,
        "HTTP/1.1" => Version::HTTP_11,
        "HTTP/2.0" => Version::HTTP_2,
        "HTTP/3.0" => Version::HTTP_3,
        _ => panic!("{text:?} is no version of a test"),
    }
}
