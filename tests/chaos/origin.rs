//! Owns an origin: a process that can be killed and stopped, and that notes in a file which POSTs it has had.

use std::fs::File;
use std::io;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::content;
use crate::wire::Wire;
use crate::wire::message;

/// Serves until its standard input is closed. A line there is the number of milliseconds for which each answer waits.
pub(crate) fn run(port: u16, ledger: &Path) -> ExitCode {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
    let ledger = File::options().append(true).create(true).open(ledger).expect("the ledger can be written");
    let (ledger, slow) = (Arc::new(ledger), Arc::new(AtomicU64::new(0)));
    let told = Arc::clone(&slow);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (ledger, slow) = (Arc::clone(&ledger), Arc::clone(&slow));
            std::thread::spawn(move || serve(stream, &ledger, &slow));
        }
    });
    for line in io::stdin().lines().map_while(Result::ok) {
        told.store(line.trim().parse().unwrap_or(0), Ordering::Relaxed);
    }
    ExitCode::SUCCESS
}

/// `GET /SEED/LENGTH/STYLE` is answered with those bytes, `POST` with its own body; the style is `c` for chunks.
fn serve(stream: TcpStream, mut ledger: &File, slow: &AtomicU64) -> io::Result<()> {
    let mut wire = Wire::new(stream)?;
    while let Some(head) = wire.head()? {
        let id = head.field("x-chaos-id").unwrap_or_default().to_owned();
        let words: Vec<&str> = head.line.split([' ', '/']).collect();
        let is_post = words.first() == Some(&"POST");
        if is_post {
            // As soon as it is here: it must not be sent again from now on.
            ledger.write_all(format!("{id}\n").as_bytes())?;
        }
        let mut body = wire.body(&head)?;
        if !is_post {
            let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
            body = content::bytes(number(2), usize::try_from(number(3)).unwrap_or(0));
        }
        content::rest(Duration::from_millis(slow.load(Ordering::Relaxed)));
        let in_chunks = words.get(4) == Some(&"c");
        let answer = message(&format!("HTTP/1.1 200 OK\r\nX-Chaos-Id: {id}"), &body, in_chunks);
        // A large answer takes a while, in which its origin may be killed.
        for (number, piece) in answer.chunks(PIECE).enumerate() {
            if number > 0 {
                content::rest(Duration::from_millis(10));
            }
            wire.send(piece)?;
        }
    }
    Ok(())
}

/// Bytes of an answer that are sent at once.
const PIECE: usize = 30_000;
