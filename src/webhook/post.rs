//! Owns one POST: name, connection, TLS, request, and what its status means. No redirect is followed, and nothing of the answer
//! but its status is read.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::StatusCode;
use http::header;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::Location;
use crate::config::UpstreamTls;
use crate::config::WebhookUrl;
use crate::dns::Resolver;
use crate::fault::Failure;
use crate::net::stream::Stream;
use crate::net::tap::Tap;
use crate::net::tls::TlsSetupError;
use crate::net::tls::behind;

/// Why a line has not arrived.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undelivered {
    /// It would not another time either.
    #[error("it answered {0}, which another try would not change")]
    Refused(StatusCode),
    /// It may another time.
    #[error("it answered {0}")]
    NotNow(StatusCode),
    #[error("its name does not lead to an address ({})", .0.fault)]
    Name(Box<Failure>),
    #[error("none of its addresses can be connected to: {0}")]
    Connection(io::Error),
    #[error("the TLS handshake failed: {0}")]
    Handshake(io::Error),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] TlsSetupError),
    #[error("the exchange failed: {0}")]
    Exchange(#[from] hyper::Error),
    #[error("it did not answer within {} s", LIMIT.as_secs())]
    Late,
}

/// Sends a line.
pub(super) async fn post(url: &WebhookUrl, resolver: &Resolver, line: Bytes) -> Result<(), Undelivered> {
    match timeout(LIMIT, exchange(url, resolver, line)).await {
        Ok(Ok(status)) => meaning(status),
        Ok(Err(undelivered)) => Err(undelivered),
        Err(_) => Err(Undelivered::Late),
    }
}

/// RFC 9110, section 15: what asks for another time, and what will be refused then too.
fn meaning(status: StatusCode) -> Result<(), Undelivered> {
    match status.as_u16() {
        200..=299 => Ok(()),
        408 | 425 | 429 | 500..=599 => Err(Undelivered::NotNow(status)),
        _ => Err(Undelivered::Refused(status)),
    }
}

async fn exchange(url: &WebhookUrl, resolver: &Resolver, line: Bytes) -> Result<StatusCode, Undelivered> {
    let stream = connect(url, resolver).await?;
    let request = Request::post(url.path.clone())
        .header(header::HOST, url.server.authority())
        .header(header::USER_AGENT, concat!("why502/", env!("CARGO_PKG_VERSION")))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONNECTION, "close")
        .body(Full::new(line));
    let Ok(request) = request else { return Err(Undelivered::Refused(StatusCode::BAD_REQUEST)) };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::select! {
        answer = sender.send_request(request) => Ok(answer?.status()),
        // It ends after the answer, or with the error that the answer has too.
        Err(error) = connection => Err(error.into()),
    }
}

async fn connect(url: &WebhookUrl, resolver: &Resolver) -> Result<Stream, Undelivered> {
    let Location::Host { host, address, port } = &url.server.location else {
        return Err(Undelivered::Connection(io::ErrorKind::Unsupported.into()));
    };
    let addresses = if let Some(address) = address {
        vec![*address]
    } else {
        let found = resolver.resolve(host, LIMIT).await;
        found.map_err(|failure| Undelivered::Name(Box::new(failure)))?.list.clone()
    };
    let stream = connect_to_one(addresses.into_iter().map(|address| SocketAddr::new(address, *port))).await;
    let stream = Stream::Tcp(stream.map_err(Undelivered::Connection)?);
    if !url.server.tls {
        return Ok(stream);
    }
    let name = ServerName::try_from(host.trim_end_matches('.').to_owned());
    let name = name.map_err(|error| Undelivered::Handshake(io::Error::other(error)))?;
    let secured = behind::handshake(config()?, name, stream, &Tap::new()).await;
    secured.map(|stream| Stream::Tls(Box::new(stream))).map_err(Undelivered::Handshake)
}

/// The first of them that can be connected to, each within its share of the time.
async fn connect_to_one(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::ErrorKind::NotFound.into();
    for address in addresses {
        match timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// With the system's roots as they are now: lines are few, and roots are renewed.
fn config() -> Result<Arc<ClientConfig>, TlsSetupError> {
    behind::client_config(&UpstreamTls { verify: true, ca: None, server_name: None, identity: None })
}

/// For all of it, and for one address.
const LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_another_try_is_worth_it() {
        let table = [
            (200, "arrived"),
            (204, "arrived"),
            (301, "refused"),
            (307, "refused"),
            (400, "refused"),
            (404, "refused"),
            (408, "later"),
            (429, "later"),
            (500, "later"),
            (503, "later"),
        ];
        for (status, expected) in table {
            let means = match meaning(StatusCode::from_u16(status).unwrap()) {
                Ok(()) => "arrived",
                Err(Undelivered::Refused(_)) => "refused",
                Err(_) => "later",
            };
            assert_eq!(means, expected, "{status}");
        }
    }
}
