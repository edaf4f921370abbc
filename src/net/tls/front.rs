//! Owns TLS towards clients: the certificates of a listener, kept up to date with their files, and the handshake.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use arc_swap::ArcSwap;
use arc_swap::Guard;
use rustls::server::Accepted;
use rustls::server::Acceptor;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio_rustls::server::TlsStream;

use crate::config::ListenerTls;
use crate::net::stream::Stream;
use crate::net::tls::TlsSetupError;
use crate::net::tls::certificate::now;
use crate::net::tls::sites::Site;
use crate::net::tls::sites::Sites;

/// The certificates of a listener. Their files may change while it runs.
#[derive(Debug)]
pub struct Certificates {
    tables: Vec<ListenerTls>,
    current: ArcSwap<Sites>,
    seen: Mutex<Seen>,
}

/// What the files looked like.
#[derive(Debug)]
struct Seen {
    traces: Vec<Option<Trace>>,
    /// Whether what they hold is in use, or why not.
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    InUse,
    /// It is wrong, and may only be half written.
    Doubtful,
    /// It is wrong, and somebody was told.
    Told,
}

/// What a file looks like from outside. An editor that replaces it changes its inode, even within one tick of the clock.
#[derive(Debug, PartialEq, Eq)]
struct Trace {
    inode: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What has become of the files since the last look.
#[derive(Debug)]
pub enum Look {
    /// Nothing that is news.
    Same,
    /// They are others, and in use.
    Renewed,
    /// They are others and wrong; those from before stay in use.
    Refused(TlsSetupError),
    /// They are others and have expired, unlike those from before, which stay in use.
    Expired,
}

impl Certificates {
    /// Reads the files of a listener; none where it has no TLS.
    ///
    /// # Errors
    ///
    /// Where a file is not what it should be.
    pub fn read(tables: &[ListenerTls]) -> Result<Option<Self>, TlsSetupError> {
        // The traces are older than what is read, so that a change in between is seen.
        let seen = Mutex::new(Seen { traces: traces(tables), standing: Standing::InUse });
        let current = Sites::read(tables)?;
        Ok(current.map(|sites| Self { tables: tables.to_vec(), current: ArcSwap::from_pointee(sites), seen }))
    }

    /// What is in use now.
    #[must_use]
    pub fn current(&self) -> Guard<Arc<Sites>> {
        self.current.load()
    }

    /// Takes up files that have changed. What is wrong is told when it has been so for two looks, since a file may be half
    /// written, and a certificate stand there without its key, for a moment. It is tried again all the same, for the fault may be
    /// this host's and not theirs, and no further change tell that it is over.
    pub fn look(&self) -> Look {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let traces = traces(&self.tables);
        let changed = traces != seen.traces;
        seen.traces = traces;
        if !changed && seen.standing == Standing::InUse {
            return Look::Same;
        }
        let read = Sites::read(&self.tables);
        let end = self.current().end();
        match read {
            Ok(None) => Look::Same,
            Ok(Some(sites)) if sites.end() < now() && end >= now() => seen.doubt(changed, Look::Expired),
            Ok(Some(sites)) => {
                self.current.store(Arc::new(sites));
                seen.standing = Standing::InUse;
                Look::Renewed
            }
            Err(error) => seen.doubt(changed, Look::Refused(error)),
        }
    }

    /// The files of certificates, for a sentence.
    #[must_use]
    pub fn files(&self) -> String {
        let files: Vec<_> = self.tables.iter().map(|table| table.certificate.display().to_string()).collect();
        files.join(", ")
    }
}

impl Seen {
    fn doubt(&mut self, changed: bool, look: Look) -> Look {
        let is_news = !changed && self.standing == Standing::Doubtful;
        self.standing = if changed { Standing::Doubtful } else { Standing::Told };
        if is_news { look } else { Look::Same }
    }
}

fn traces(tables: &[ListenerTls]) -> Vec<Option<Trace>> {
    let files = tables.iter().flat_map(|table| {
        let ca = table.clients.as_ref().map(|clients| &clients.ca);
        [Some(&table.certificate), Some(&table.key), ca].into_iter().flatten()
    });
    files.map(PathBuf::as_path).map(Trace::of).collect()
}

impl Trace {
    fn of(file: &Path) -> Option<Self> {
        let found = fs::metadata(file).ok()?;
        Some(Self {
            inode: (found.dev(), found.ino()),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// How a client that begins to speak was understood.
#[derive(Debug)]
pub enum Greeted {
    /// It began a handshake, which went well.
    Tls(Box<TlsStream<Stream>>),
    /// It speaks HTTP without TLS; these are its first bytes.
    Plain(Stream, Vec<u8>),
    /// It went before it had said anything.
    Gone,
    /// The handshake failed. The stream is there to be closed in order, so that an alert that was sent is not lost.
    Failed(io::Error, Stream),
}

/// Shakes hands with a client. The site that it asks for is told before the handshake goes on.
pub async fn greet(
    mut stream: Stream,
    certificates: &Certificates,
    chosen: impl FnOnce(&Arc<Sites>, &Site),
) -> Greeted {
    let (accepted, rest) = match hello(&mut stream).await {
        Ok(Hello::Tls(accepted, rest)) => (accepted, rest),
        Ok(Hello::Plain(bytes)) => return Greeted::Plain(stream, bytes),
        Ok(Hello::Gone) => return Greeted::Gone,
        Err(error) => return Greeted::Failed(error, stream),
    };
    let accept = {
        let sites = certificates.current();
        let site = sites.choose(accepted.client_hello().server_name());
        chosen(&sites, site);
        tokio_rustls::StartHandshake::from_parts(*accepted, stream).into_stream_with(
            Arc::clone(&site.config),
            |connection| {
                let mut rest = &*rest;
                while !rest.is_empty() && connection.read_tls(&mut rest).is_ok_and(|count| count > 0) {}
            },
        )
    };
    match accept.into_fallible().await {
        Ok(stream) => Greeted::Tls(Box::new(stream)),
        Err((error, stream)) => Greeted::Failed(error, stream),
    }
}

/// What a client begins with.
enum Hello {
    /// A hello, and bytes behind it that rustls has not taken.
    Tls(Box<Accepted>, Vec<u8>),
    Plain(Vec<u8>),
    Gone,
}

async fn hello(stream: &mut Stream) -> io::Result<Hello> {
    let mut acceptor = Acceptor::default();
    let mut bytes = [0; HELLO_BYTES];
    let mut is_first = true;
    loop {
        let count = stream.read(&mut bytes).await?;
        let read = bytes.get(..count).unwrap_or_default();
        match read.first() {
            None if is_first => return Ok(Hello::Gone),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
            // A record of a handshake begins with 22, a method with a letter.
            Some(first) if is_first && first.is_ascii_alphabetic() => return Ok(Hello::Plain(read.to_vec())),
            Some(_) => {}
        }
        is_first = false;
        let mut rest = read;
        while !rest.is_empty() {
            acceptor.read_tls(&mut rest)?;
            match acceptor.accept() {
                Ok(Some(accepted)) => return Ok(Hello::Tls(Box::new(accepted), rest.to_vec())),
                Ok(None) => {}
                Err((error, mut alert)) => {
                    let mut told = Vec::new();
                    alert.write_all(&mut told)?;
                    stream.write_all(&told).await?;
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            }
        }
    }
}

/// How much of a hello is read at once. Most are half as long.
const HELLO_BYTES: usize = 4096;
