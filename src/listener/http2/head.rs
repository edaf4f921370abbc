//! Owns the heads of HTTP/2 as HTTP/1.1 would say them, and back.
//!
//! The proxy knows one way to say that a body follows, that trailers are taken and that another protocol is wanted. What HTTP/2
//! says without a field, or with a pseudo-field, is put into the fields of HTTP/1.1 here; the library has refused all that came
//! with such fields itself (RFC 9113, section 8.2.2).

use std::cell::RefCell;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use h2::RecvStream;
use h2::ext::Protocol;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::Response;
use http::StatusCode;
use http::header;
use http::request;
use http::response;

use crate::proxy::fields;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// An answer.
    Answer,
    /// A tunnel, in which the stream goes on.
    Tunnel,
}

/// Says a request's head as HTTP/1.1 would, behind which this stream goes on.
pub(super) fn as_http1(parts: &mut request::Parts, stream: &RecvStream) -> Asked {
    join_cookies(&mut parts.headers);
    if is_websocket(parts) {
        ask_for_websocket(parts);
        return Asked::Tunnel;
    }
    if parts.headers.contains_key(header::TE) {
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
    }
    if !stream.is_end_stream() && !parts.headers.contains_key(header::CONTENT_LENGTH) {
        parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    Asked::Answer
}

/// Makes one line of a cookie that came in crumbs (RFC 9113, section 8.2.3). Where one of them can be no line, none is hidden in it.
fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(header::COOKIE).iter();
    if lines.next().is_none() || lines.next().is_none() {
        return;
    }
    if !headers.get_all(header::COOKIE).iter().all(|crumb| fields::is_line(&header::COOKIE, crumb)) {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, cookie);
    }
}

fn is_websocket(parts: &request::Parts) -> bool {
    let protocol = parts.extensions.get::<Protocol>();
    parts.method == Method::CONNECT && protocol.is_some_and(|protocol| protocol.as_str() == "websocket")
}

/// An extended CONNECT (RFC 8441, section 5) as the upgrade that it stands for, with a key of this proxy's own.
fn ask_for_websocket(parts: &mut request::Parts) {
    parts.method = Method::GET;
    let key: [u8; 16] = std::array::from_fn(|_| fastrand::u8(..));
    let headers = &mut parts.headers;
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.extend(HeaderValue::try_from(STANDARD.encode(key)).ok().map(|key| (header::SEC_WEBSOCKET_KEY, key)));
}

/// A response's head as HTTP/2 has it. It is owed a date by whoever has a clock (RFC 9110, section 6.6.1).
pub(super) fn as_http2(mut parts: response::Parts) -> Response<()> {
    // An answer of this proxy's own may have them, and one that wants another protocol, which mean nothing to a stream.
    parts.headers.remove(header::CONNECTION);
    parts.headers.remove(header::UPGRADE);
    if !parts.headers.contains_key(header::DATE) {
        parts.headers.insert(header::DATE, date());
    }
    Response::from_parts(parts, ())
}

/// A 101 as HTTP/2 has it: a tunnel begins with a success, and its handshake was this proxy's own.
pub(super) fn of_tunnel(mut parts: response::Parts) -> Response<()> {
    parts.status = StatusCode::OK;
    parts.headers.remove(header::SEC_WEBSOCKET_ACCEPT);
    as_http2(parts)
}

/// Now, which is written once a second.
fn date() -> HeaderValue {
    let now = SystemTime::now();
    let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    DATE.with_borrow_mut(|known| {
        if let Some((at, date)) = known
            && *at == second
        {
            return date.clone();
        }
        let date = HeaderValue::try_from(httpdate::fmt_http_date(now)).unwrap_or(HeaderValue::from_static(""));
        *known = Some((second, date.clone()));
        date
    })
}

thread_local! {
    static DATE: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::HeaderValue;
    use http::Request;
    use http::Response;
    use http::header;

    use super::as_http2;
    use super::ask_for_websocket;
    use super::join_cookies;
    use super::of_tunnel;

    #[test]
    fn crumbs_become_one_cookie() {
        for (lines, joined) in [(&["a=b"][..], "a=b"), (&["a=b", "c=d", "e=f"], "a=b; c=d; e=f")] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, HeaderValue::from_static(line));
            }
            join_cookies(&mut headers);
            let cookies: Vec<_> = headers.get_all(header::COOKIE).iter().collect();
            assert_eq!(cookies, [joined]);
        }
    }

    #[test]
    fn a_websocket_is_asked_for_with_a_key_of_its_own() {
        let ask = || {
            let (mut parts, ()) = Request::connect("http://a/chat").body(()).unwrap().into_parts();
            ask_for_websocket(&mut parts);
            parts
        };
        let (first, second) = (ask(), ask());
        assert_eq!((first.method.as_str(), &first.headers["upgrade"]), ("GET", &HeaderValue::from_static("websocket")));
        assert_eq!(first.headers["sec-websocket-key"].len(), 24);
        assert_ne!(first.headers["sec-websocket-key"], second.headers["sec-websocket-key"]);
    }

    #[test]
    fn a_head_of_http_2_has_a_date_and_nothing_of_the_connection() {
        let (parts, ()) = Response::builder().header("connection", "close").body(()).unwrap().into_parts();
        let head = as_http2(parts);
        assert!(head.headers().contains_key("date") && !head.headers().contains_key("connection"));
        let own = Response::builder().header("date", "x").body(()).unwrap().into_parts().0;
        assert_eq!(as_http2(own).headers()["date"], "x");

        let head = Response::builder().status(101).header("connection", "upgrade").header("upgrade", "websocket");
        let head = head.header("sec-websocket-accept", "x").header("sec-websocket-protocol", "chat");
        let head = of_tunnel(head.body(()).unwrap().into_parts().0);
        let mut names: Vec<_> = head.headers().keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!((head.status().as_u16(), &names[..]), (200, &["date", "sec-websocket-protocol"][..]));
    }
}
