//! Owns where lines go: standard output or a file, written without a buffer in between.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use crate::config::LogOutput;

/// An open output.
#[derive(Debug)]
pub(in crate::telemetry) struct Output {
    file: File,
    /// Its name, where it has one under which it can be opened anew.
    path: Option<PathBuf>,
}

/// What can be opened anew under its name.
pub(super) trait Reopen {
    /// Does so; where that fails, the old one stays. Without a name there is nothing to do.
    fn reopen(&mut self) -> io::Result<()>;
}

impl Output {
    /// Opens it.
    ///
    /// Standard output is used through a copy of its descriptor: the one of `std` has a buffer, after which nobody could
    /// say which bytes of a failed write got out.
    pub(in crate::telemetry) fn open(output: &LogOutput) -> io::Result<Self> {
        match output {
            LogOutput::Stdout => Ok(Self { file: io::stdout().as_fd().try_clone_to_owned()?.into(), path: None }),
            LogOutput::File(path) => Ok(Self { file: append_to(path)?, path: Some(path.clone()) }),
        }
    }
}

impl Reopen for Output {
    fn reopen(&mut self) -> io::Result<()> {
        if let Some(path) = &self.path {
            self.file = append_to(path)?;
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.file.write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A log names clients, so it is for its owner to write and its group to read.
fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}
