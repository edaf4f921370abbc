//! Requests a second through the proxy beside the same requests straight to the origin, over loopback, in turns.
//!
//! Run with `cargo bench --bench proxy`. It tells whether a change costs something; for figures that mean more, with
//! other proxies beside it, there is the bench in `../shared/bench`.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench speaks to a person and may fail loudly")]

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use why502::config;
use why502::config::ListenAddress;
use why502::diagnosis::Checklist;
use why502::server::Server;

fn main() -> std::io::Result<()> {
    let origin = origin()?;
    let server = proxy(origin);
    let Some(ListenAddress::Tcp(proxy)) = server.addresses().first().cloned() else { return Ok(()) };
    for round in 1..=ROUNDS {
        let direct = ask(origin)?;
        let through = ask(proxy)?;
        let cost = through.saturating_sub(direct);
        println!(
            "round {round}: straight {direct:?}, through the proxy {through:?} a request, so {cost:?} for the proxy"
        );
    }
    server.stop();
    Ok(())
}

/// An origin that answers every request on a kept connection with a hundred bytes.
fn origin() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let response = format!("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}", "x".repeat(100));
    let mut head = [0; 4096];
    // A client that waits for each answer sends its whole head at once.
    while stream.read(&mut head)? > 0 {
        stream.write_all(response.as_bytes())?;
    }
    Ok(())
}

fn proxy(origin: SocketAddr) -> Server {
    let text = format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\nupstream = \"app\"\n[[upstream]]\nname = \"app\"\n\
         servers = [\"http://{origin}\"]\n[log]\noutput = \"/dev/null\"\n[diagnosis]\nprobes = false\n"
    );
    let config = config::from_text(&text, Path::new("bench.toml")).expect("the bench's configuration is right");
    Server::start(config, Checklist::built_in()).expect("the proxy starts")
}

/// The time of one request on a kept connection.
fn ask(address: SocketAddr) -> std::io::Result<Duration> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut answer = [0; 4096];
    let begin = Instant::now();
    for _ in 0..REQUESTS {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")?;
        let mut got = 0;
        while !answer.get(..got).is_some_and(|answer| answer.ends_with(b"xxxxxxxxxx")) {
            let Some(room) = answer.get_mut(got..) else { break };
            got += stream.read(room)?;
        }
    }
    Ok(begin.elapsed() / REQUESTS)
}

const ROUNDS: u32 = 5;
const REQUESTS: u32 = 5_000;
