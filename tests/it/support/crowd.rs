//! Owns a crowd of clients that ask without a pause and check every byte of what comes back.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;

use super::client::Client;
use super::client::Ending;
use super::eventually;
use super::origin::Origin;
use super::wire::Wire;

/// Where the proxy listens.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// The crowd. Every second of them opens a connection for each request.
#[derive(Debug)]
pub(crate) struct Crowd {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Crowd {
    /// So many clients, in front of an origin that says what it is sent (`echo`).
    pub(crate) fn at(place: &Place, clients: usize) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let clients = (0..clients).map(|number| {
            let (place, stop, answered) = (place.clone(), Arc::clone(&stop), Arc::clone(&answered));
            thread::spawn(move || ask(&place, number, &stop, &answered))
        });
        Self { clients: clients.collect(), stop, answered }
    }

    /// How many answers there were so far.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until there are so many more.
    pub(crate) fn go_on(&self, count: usize) {
        let wanted = self.answered() + count;
        eventually("more answers", || (self.answered() >= wanted || self.has_lost_one()).then_some(()));
    }

    fn has_lost_one(&self) -> bool {
        self.clients.iter().any(JoinHandle::is_finished)
    }

    /// What was wrong with the answers.
    pub(crate) fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().flat_map(|client| client.join().expect("a client does not panic")).collect()
    }
}

/// Ends with the first answer that is wrong.
fn ask(place: &Place, number: usize, stop: &AtomicBool, answered: &AtomicUsize) -> Vec<String> {
    let keeps = number.is_multiple_of(2);
    let mut client = None;
    let mut reused = false;
    for count in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let body = format!("{number}-{count}-{}", "x".repeat(count * 37 % 5000));
        let open = match client.take().map_or_else(|| connect(place), Ok) {
            Ok(open) => open,
            Err(error) => return vec![format!("{number}-{count}: no connection: {error}")],
        };
        match exchange(open, &body) {
            Ok(after) => client = after.filter(|_| keeps),
            Err(why) => return vec![format!("{number}-{count}, reused: {reused}: {why}")],
        }
        reused = client.is_some();
        answered.fetch_add(1, Ordering::Relaxed);
    }
    Vec::new()
}

fn connect(place: &Place) -> io::Result<Client> {
    let wire = match place {
        Place::Tcp(address) => Wire::to(*address),
        Place::Unix(path) => Wire::to_socket(path),
    };
    wire.map(|wire| Client { wire })
}

/// One request; the connection, where it is to be used again.
fn exchange(mut client: Client, body: &str) -> Result<Option<Client>, String> {
    let length = body.len();
    let request = format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
    client.wire.try_send(request).map_err(|error| format!("it could not be sent: {error}"))?;
    if !client.wire.has_head() {
        return Err("closed without an answer".to_owned());
    }
    let answer = client.answer();
    if answer.head.status != 200 || answer.ending != Ending::Whole || answer.body != body.as_bytes() {
        let said = String::from_utf8_lossy(&answer.body);
        return Err(format!("{} {:?}: {said}", answer.head.status, answer.ending));
    }
    let goes_on = answer.field("connection") != Some("close");
    Ok(goes_on.then_some(client))
}

/// Lets an origin say what it is sent.
pub(crate) fn echo(origin: Origin) {
    origin.serve(|request, conversation| {
        let body = String::from_utf8(request.body).expect("a client sends text");
        conversation.answer(&body);
    });
}
