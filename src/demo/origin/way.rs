//! Owns the ways in which an origin is made of sockets: what listens, what does not, and what is answered on a connection.

use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use socket2::Domain;
use socket2::SockAddr;
use socket2::SockRef;
use socket2::Socket;
use socket2::Type;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Act;
use super::Credentials;
use super::Origin;
use super::Unavailable;
use super::Workshop;
use super::certificates::SERVER_NAME;
use super::name_server;
use super::script;
use super::script::Ending;
use super::service;
use super::socket;
use super::websocket;

/// How an origin is made.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// A port on which this is spoken.
    Tcp(Manner),
    /// The same behind a name that leads to `::1` and `127.0.0.1`, where only the second one listens.
    Named(Manner),
    /// A port on which this is spoken within TLS.
    Tls(Credentials, Manner),
    /// A port which is asked for TLS and follows this script instead.
    NotTls(&'static [Act]),
    /// A unix socket on which this is spoken.
    Unix(Manner),
    /// A name of the demo's name server, of which nothing else is needed.
    Name(&'static str),
    /// A port on which nothing listens.
    ClosedPort,
    /// Two of them.
    TwoClosedPorts,
    /// A port whose queue of new connections is full.
    FullPort,
    /// A port that accepts connections and never reads from them.
    DeafPort,
    /// An address that no connection can be made to.
    NoRoute,
    /// A unix socket that does not exist.
    SocketMissing,
    /// A unix socket whose program is gone.
    SocketAbandoned,
    /// A unix socket that may not be written to.
    SocketForbidden,
    /// A unix socket whose queue of new connections is full.
    SocketFull,
    /// The proxy itself.
    Proxy,
}

/// What an origin says on a connection.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// Follows the script and ends.
    Script(&'static [Act]),
    /// Greets every request.
    Hello,
    /// Answers with the request as it arrived.
    Echo,
    /// Sends WebSocket messages back.
    WebSocket,
}

impl Way {
    pub(super) fn start(self, name: &str, workshop: &Workshop) -> Result<Origin, Unavailable> {
        let path = workshop.directory.file(&format!("{name}.sock"));
        Ok(match self {
            Self::Tcp(manner) => speaks(manner)?,
            Self::Named(manner) => named(manner)?,
            Self::Tls(credentials, manner) => secured(workshop, credentials, manner)?,
            Self::NotTls(script) => trusting(workshop, plays(script)?),
            Self::Unix(manner) => socket::speaks(&path, manner)?,
            Self::Name(name) => Origin::at(format!("http://{name}")),
            Self::ClosedPort => closed_port()?,
            Self::TwoClosedPorts => two_closed_ports()?,
            Self::FullPort => full_port()?,
            Self::DeafPort => deaf_port()?,
            // Linux connects TCP to no broadcast address, and this one never leaves the machine.
            Self::NoRoute => Origin::at("http://127.255.255.255:80".to_owned()),
            Self::SocketMissing => socket::at(&path),
            Self::SocketAbandoned => socket::abandoned(&path)?,
            Self::SocketForbidden => socket::forbidden(&path)?,
            Self::SocketFull => socket::full(&path)?,
            Self::Proxy => Origin::at(format!("http://{}", workshop.proxy)),
        })
    }
}

/// A port that greets every request.
///
/// # Errors
///
/// Where no port is free.
pub fn hello() -> io::Result<Origin> {
    speaks(Manner::Hello)
}

/// A port that follows this script on every connection.
///
/// # Errors
///
/// Where no port is free.
pub fn plays(script: &'static [Act]) -> io::Result<Origin> {
    speaks(Manner::Script(script))
}

/// A port that reads whatever it gets and never answers.
///
/// # Errors
///
/// Where no port is free.
pub fn silent() -> io::Result<Origin> {
    plays(&[Act::Wait])
}

/// A port on which nothing listens. It stays taken, so that nobody else can listen there either.
///
/// # Errors
///
/// Where no port is free.
pub fn closed_port() -> io::Result<Origin> {
    let socket = bound(Domain::IPV4, &loopback())?;
    let mut origin = Origin::at(format!("http://{}", address_of(&socket)?));
    origin.held.push(socket);
    Ok(origin)
}

fn two_closed_ports() -> io::Result<Origin> {
    let (mut origin, second) = (closed_port()?, closed_port()?);
    origin.servers.extend(second.servers);
    origin.held.extend(second.held);
    Ok(origin)
}

/// A port whose queue of new connections is full and never emptied: Linux drops what comes on top.
///
/// # Errors
///
/// Where no port is free, or the queue cannot be filled.
pub fn full_port() -> io::Result<Origin> {
    let socket = bound(Domain::IPV4, &loopback())?;
    socket.listen(0)?;
    let address = address_of(&socket)?;
    let mut origin = Origin::at(format!("http://{address}"));
    origin.held.push(socket);
    for _ in 0..MOST_QUEUED {
        let place = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        match place.connect_timeout(&address.into(), Duration::from_millis(200)) {
            Ok(()) => origin.held.push(place),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(origin),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("the queue of a port has no end here"))
}

fn deaf_port() -> io::Result<Origin> {
    const DEAF: Manner = Manner::Script(&[Act::Pause(Duration::from_secs(60))]);
    let socket = bound(Domain::IPV4, &loopback())?;
    // Set before it listens: accepted connections inherit it, and it cannot grow any more.
    socket.set_recv_buffer_size(4096)?;
    listening(socket, DEAF)
}

fn speaks(manner: Manner) -> io::Result<Origin> {
    listening(bound(Domain::IPV4, &loopback())?, manner)
}

fn listening(socket: Socket, manner: Manner) -> io::Result<Origin> {
    let listener = tcp_listener(socket)?;
    let mut origin = Origin::at(format!("http://{}", listener.local_addr()?));
    origin.tasks.spawn(accept_tcp(listener, move |stream| converse_tcp(stream, manner)));
    Ok(origin)
}

fn named(manner: Manner) -> io::Result<Origin> {
    let mut origin = speaks(manner)?;
    let port = origin.url().rsplit(':').next().unwrap_or_default().to_owned();
    origin.servers = vec![format!("http://{}:{port}", name_server::LOOPBACK)];
    Ok(origin)
}

fn secured(workshop: &Workshop, credentials: Credentials, manner: Manner) -> io::Result<Origin> {
    let config = workshop.authority.server(credentials)?;
    let listener = tcp_listener(bound(Domain::IPV4, &loopback())?)?;
    let mut origin = Origin::at(format!("http://{}", listener.local_addr()?));
    origin.tasks.spawn(accept_tcp(listener, move |stream| converse_tls(stream, config.clone(), manner)));
    Ok(trusting(workshop, origin))
}

/// The same origin as the proxy is to take it: with TLS, and trusting the demo's own authority.
fn trusting(workshop: &Workshop, mut origin: Origin) -> Origin {
    for server in &mut origin.servers {
        *server = server.replacen("http://", "https://", 1);
    }
    let authority = workshop.authority.file().display().to_string();
    origin.settings.push(format!("tls.ca = {authority:?}"));
    origin.settings.push(format!("tls.server_name = {SERVER_NAME:?}"));
    origin
}

fn loopback() -> SockAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()
}

pub(super) fn bound(domain: Domain, address: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.bind(address)?;
    Ok(socket)
}

fn address_of(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
}

fn tcp_listener(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

async fn accept_tcp<C, F>(listener: TcpListener, converse: C)
where
    C: Fn(TcpStream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(converse(stream));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn converse_tcp(mut stream: TcpStream, manner: Manner) {
    match converse(&mut stream, manner).await {
        // Without lingering, the kernel says RST instead of FIN. Where it cannot be set, the connection is gone already.
        Ok(Ending::Reset) => drop(SockRef::from(&stream).set_linger(Some(Duration::ZERO))),
        Ok(Ending::Close) => drop(timeout(FAREWELL, part(&mut stream)).await),
        Err(_) => {}
    }
}

/// Closes in order: what the far end still sends would make a reset of it, if nobody read it.
async fn part(stream: &mut TcpStream) -> io::Result<u64> {
    stream.shutdown().await?;
    tokio::io::copy(stream, &mut tokio::io::sink()).await
}

async fn converse_tls(stream: TcpStream, config: Arc<ServerConfig>, manner: Manner) {
    if let Ok(mut stream) = TlsAcceptor::from(config).accept(stream).await {
        drop(converse(&mut stream, manner).await);
    }
}

pub(super) async fn converse<S>(stream: &mut S, manner: Manner) -> io::Result<Ending>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match manner {
        Manner::Script(acts) => return script::play(stream, acts).await,
        Manner::Hello => service::hello(stream).await,
        Manner::Echo => service::echo(stream).await,
        Manner::WebSocket => websocket::echo(stream).await?,
    }
    Ok(Ending::Close)
}

/// How long is read what comes after the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// No kernel holds more for a queue of length 0; Linux holds one.
pub(super) const MOST_QUEUED: usize = 16;
