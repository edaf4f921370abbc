//! Owns the origins that do nothing wrong and speak proper HTTP/1.1, keep-alive and all: hello and echo.

use std::convert::Infallible;

use bytes::Bytes;
use http::Request;
use http::Response;
use http::header;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;

/// Greets every request on this connection.
pub(super) async fn hello<S>(stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let greet = service_fn(|_request| async { Ok::<_, Infallible>(text("Hello from the origin.\n".to_owned())) });
    // How a connection ends is its client's affair.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), greet).await);
}

/// Answers every request on this connection with the request itself, as it arrived.
pub(super) async fn echo<S>(stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let reflect = service_fn(|request| async { Ok::<_, Infallible>(reflect(request).await) });
    drop(http1::Builder::new().preserve_header_case(true).serve_connection(TokioIo::new(stream), reflect).await);
}

async fn reflect(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let mut copy = format!("{} {} {:?}\n", head.method, head.uri, head.version);
    let line =
        |(name, value): (_, &http::HeaderValue)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
    copy.extend(head.headers.iter().map(line));
    let Ok(body) = Limited::new(body, MOST_BYTES).collect().await else {
        let mut response = text("This echo holds a body of up to one mebibyte.\n".to_owned());
        *response.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
        return response;
    };
    copy.push('\n');
    copy.push_str(&String::from_utf8_lossy(&body.to_bytes()));
    text(copy)
}

fn text(body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

const MOST_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::io::duplex;

    use super::echo;

    #[tokio::test]
    async fn an_echo_shows_the_request_as_it_arrived() {
        let (mut client, origin) = duplex(4096);
        tokio::join!(echo(origin), async {
            let request = "POST /a?b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
            client.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            assert_eq!(body, "POST /a?b HTTP/1.1\nhost: x\nconnection: close\ncontent-length: 2\n\nhi");
        });
    }
}
