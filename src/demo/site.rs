//! Owns the demo's own small web server, which stands behind the proxy like any other origin: it serves the demo's pages, and
//! makes for a browser the visits that a link cannot make.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderName;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::exhibit::Exhibit;
use super::shown;
use super::start;
use super::viewer::Format;
use super::viewer::Viewer;
use super::visit::Visit;

/// What the site shows.
#[derive(Debug)]
pub struct Site {
    /// Where the proxy is reached.
    pub proxy: SocketAddr,
    /// The operator's token.
    pub token: String,
    /// What can be visited.
    pub exhibits: Vec<Exhibit>,
    /// The configuration that the proxy runs.
    pub configuration: String,
}

/// A port for the site. What comes in before it is served waits.
///
/// # Errors
///
/// Where no port is free.
pub fn listen() -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Serves the site for as long as this is awaited.
pub async fn serve(listener: TcpListener, site: Arc<Site>) {
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let site = site.clone();
            connections.spawn(async move {
                let answer = service_fn(|request: Request<_>| {
                    let site = site.clone();
                    async move { Ok::<_, Infallible>(site.answer(&request).await) }
                });
                // How a connection ends is its client's affair.
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await);
            });
        }
        while connections.try_join_next().is_some() {}
    }
}

impl Site {
    /// Answers one request; what it asks for is in its path and query only.
    pub async fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let path: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
        let query = request.uri().query().unwrap_or_default();
        match path.as_slice() {
            [""] => page(start::start_page(self.proxy, &self.exhibits)),
            ["configuration"] => text(StatusCode::OK, self.configuration.clone()),
            ["see", name] => match self.visit(name, query) {
                Some((visit, viewer)) => show(&visit, viewer).await,
                None => nothing_here(),
            },
            ["page", name] => match self.visit(name, query) {
                Some((visit, viewer)) => pass_on(&visit, viewer).await,
                None => nothing_here(),
            },
            _ => nothing_here(),
        }
    }

    /// The visit that is asked for; none where there is no such exhibit.
    fn visit(&self, name: &str, query: &str) -> Option<(Visit<'_>, Viewer)> {
        let exhibit = self.exhibits.iter().find(|exhibit| exhibit.row.name == name && exhibit.origin.is_ok())?;
        let says = |key: &str, word: &str| query.split('&').any(|pair| pair.split_once('=') == Some((key, word)));
        let viewer = if says("as", Viewer::Operator.word()) { Viewer::Operator } else { Viewer::Visitor };
        let format = Format::ALL.into_iter().find(|format| says("format", format.word())).unwrap_or(Format::Page);
        let token = match viewer {
            Viewer::Visitor => None,
            Viewer::Operator => Some(self.token.as_str()),
        };
        Some((Visit { proxy: self.proxy, row: exhibit.row, token, format }, viewer))
    }
}

/// The answer byte for byte, on a page around it.
async fn show(visit: &Visit<'_>, viewer: Viewer) -> Response<Full<Bytes>> {
    let heard = visit.make().await.map_err(|error| error.to_string());
    page(start::answer_page(visit, viewer, heard.as_ref().map_err(String::as_str)))
}

/// The answer itself, as if the browser had asked for it. What is no whole page is shown byte for byte instead.
async fn pass_on(visit: &Visit<'_>, viewer: Viewer) -> Response<Full<Bytes>> {
    let heard = visit.make().await.map_err(|error| error.to_string());
    match heard.as_ref().ok().and_then(|heard| whole_page(&heard.answer)) {
        Some(response) => response,
        None => page(start::answer_page(visit, viewer, heard.as_ref().map_err(String::as_str))),
    }
}

/// The same page as a response of this site's, where the answer is one and has come to its end.
fn whole_page(answer: &[u8]) -> Option<Response<Full<Bytes>>> {
    let (head, body) = shown::split(answer)?;
    let is_html = shown::field(&head, "content-type")?.starts_with("text/html");
    let length: usize = shown::field(&head, "content-length")?.parse().ok()?;
    if !is_html || length != body.len() {
        return None;
    }
    let mut response = Response::new(Full::from(Bytes::copy_from_slice(body)));
    for name in [header::CONTENT_TYPE, header::CONTENT_SECURITY_POLICY] {
        let value = shown::field(&head, name.as_str()).and_then(|value| HeaderValue::from_str(value).ok());
        response.headers_mut().extend(value.map(|value| (name, value)));
    }
    Some(response)
}

fn page(html: String) -> Response<Full<Bytes>> {
    answer(StatusCode::OK, "text/html; charset=utf-8", html)
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    answer(status, "text/plain; charset=utf-8", text)
}

fn nothing_here() -> Response<Full<Bytes>> {
    text(StatusCode::NOT_FOUND, "The demo has nothing here. Its start page is at /\n".to_owned())
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    for (name, value) in [(header::CONTENT_TYPE, kind)].into_iter().chain(SECURITY) {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Nothing is loaded, run or framed; the style is the page's own.
const SECURITY: [(HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
];

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::BodyExt;

    use super::Site;
    use crate::demo::exhibit::Exhibit;
    use crate::demo::origin;
    use crate::demo::origin::Act;
    use crate::demo::origin::BROKEN;

    /// A site in front of a proxy that always answers like this.
    fn site(script: &'static [Act]) -> (Site, origin::Origin) {
        let proxy = origin::plays(script).unwrap();
        let exhibit = Exhibit { row: &BROKEN[0], origin: origin::closed_port().map_err(Into::into) };
        let site = Site {
            proxy: proxy.url().strip_prefix("http://").unwrap().parse().unwrap(),
            token: "secret".to_owned(),
            exhibits: vec![exhibit],
            configuration: "# the configuration".to_owned(),
        };
        (site, proxy)
    }

    async fn answer(site: &Site, path: &str) -> (u16, String, String) {
        let response = site.answer(&Request::get(path).body(()).unwrap()).await;
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn each_path_has_its_page() {
        let (site, _proxy) = site(&[]);
        assert_eq!(answer(&site, "/configuration").await.2, "# the configuration");
        assert!(answer(&site, "/").await.2.contains("dns_name_not_found"));
        for path in ["/nowhere", "/see/nothing", "/page/nothing", "/see"] {
            assert_eq!(answer(&site, path).await.0, 404, "{path}");
        }
    }

    #[tokio::test]
    async fn a_whole_page_is_passed_on_as_it_is_and_a_cut_one_is_shown() {
        const WHOLE: &[Act] = &[
            Act::ReadHead,
            Act::Say(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\n<h1>a</h1"),
        ];
        const CUT: &[Act] =
            &[Act::ReadHead, Act::Say(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\n<h1>")];
        let path = "/page/dns_name_not_found?as=operator";
        let (whole, _proxy) = site(WHOLE);
        assert_eq!(answer(&whole, path).await, (200, "text/html".to_owned(), "<h1>a</h1".to_owned()));
        let (cut, _proxy) = site(CUT);
        assert!(answer(&cut, path).await.2.contains("&#60;h1&#62;"));
    }

    #[tokio::test]
    async fn only_an_operator_brings_the_token() {
        let (site, _proxy) = site(&[Act::ReadHead, Act::Say(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")]);
        let operator = answer(&site, "/see/dns_name_not_found?as=operator&format=json").await.2;
        let visitor = answer(&site, "/see/dns_name_not_found?format=json").await.2;
        assert_eq!((operator.contains("secret"), visitor.contains("secret")), (true, false));
    }
}
