//! Owns the history's file: a redb database that is whole after any crash. Whatever is in it, and whatever the disk says, comes
//! out as a value.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::Arc;

use redb::Database;
use redb::ReadableDatabase;
use redb::ReadableTable;
use redb::TableDefinition;
use redb::backends::FileBackend;

use super::Record;
use super::shelf::MOST_RECORDS;
use crate::config::HISTORY_BEGINS;

/// A history that is open, for this process alone.
pub(super) struct File(Database);

/// What was in it.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The latest incidents, as many as are kept at most.
    pub(super) records: Vec<Record>,
    /// The ids of those before them.
    pub(super) surplus: Vec<String>,
    /// How many are not as this version writes them.
    pub(super) unreadable: usize,
}

/// Why it cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Another process has it open.
    Busy,
    /// It is something else.
    Foreign,
    /// It is not as it was written.
    Damaged(String),
    /// It cannot be opened, read or written for now.
    Failed(String),
}

impl File {
    /// Opens it, or begins a new one where there is none, and reads it.
    pub(super) fn open(path: &Path) -> Result<(Self, Contents), Trouble> {
        guarded(|| {
            match fs::metadata(path) {
                Ok(there) if !there.is_file() => return Err(Trouble::Foreign),
                Ok(there) if there.len() > 0 => {}
                Ok(_) => begin(path)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => begin(path)?,
                Err(error) => return Err(failed(error)),
            }
            let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
            let mut begins = [0; HISTORY_BEGINS.len()];
            file.read(&mut begins).map_err(failed)?;
            if begins != *HISTORY_BEGINS {
                return Err(Trouble::Foreign);
            }
            let database = database(file)?;
            let contents = read(&database).map_err(trouble)?;
            Ok((Self(database), contents))
        })
    }

    /// Writes and removes these, all or nothing. They are on the disk when this returns.
    pub(super) fn write(&self, records: &[Arc<Record>], gone: &BTreeSet<String>) -> Result<(), Trouble> {
        guarded(|| {
            let written = || -> Result<(), redb::Error> {
                let transaction = self.0.begin_write()?;
                {
                    let mut table = transaction.open_table(TABLE)?;
                    for id in gone {
                        table.remove(&**id)?;
                    }
                    for record in records {
                        let value = serde_json::to_vec(&**record).map_err(io::Error::other)?;
                        table.insert(&*record.id, &*value)?;
                    }
                }
                Ok(transaction.commit()?)
            };
            written().map_err(trouble)
        })
    }

    /// Lets it go, for another process to take. What has failed has been said.
    pub(super) fn close(self) {
        guarded(|| self.0.close().map_err(|error| trouble(error.into()))).ok();
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").finish_non_exhaustive()
    }
}

/// Begins a new one, under another name until it is whole: what is cut off here must not be taken for a file of another kind.
fn begin(path: &Path) -> Result<(), Trouble> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    fs::remove_file(&new)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
        .map_err(failed)?;
    // It names addresses, so it is for its owner to write and its group to read.
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o640).open(&new).map_err(failed)?;
    let database = database(file)?;
    let with_table = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        transaction.open_table(TABLE)?;
        Ok(transaction.commit()?)
    };
    with_table().map_err(trouble)?;
    database.close().map_err(|error| trouble(error.into()))?;
    fs::rename(&new, path).map_err(failed)?;
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = fs::File::open(directory.unwrap_or_else(|| Path::new(".")));
    directory.and_then(|directory| directory.sync_all()).map_err(failed)
}

/// Opens it after a look at every page of it: it is small, and opened once.
fn database(file: fs::File) -> Result<Database, Trouble> {
    let backend = FileBackend::new(file).map_err(|error| trouble(error.into()))?;
    let mut builder = Database::builder();
    let opened = builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true).create_with_backend(backend);
    opened.map_err(|error| trouble(error.into()))
}

fn read(database: &Database) -> Result<Contents, redb::Error> {
    let transaction = database.begin_read()?;
    let table = transaction.open_table(TABLE)?;
    let mut contents = Contents::default();
    for row in table.iter()?.rev() {
        let (id, value) = row?;
        if contents.records.len() >= MOST_RECORDS {
            contents.surplus.push(id.value().to_owned());
            continue;
        }
        match serde_json::from_slice::<Record>(value.value()) {
            Ok(record) if record.id == id.value() => contents.records.push(record),
            Ok(_) | Err(_) => contents.unreadable += 1,
        }
    }
    Ok(contents)
}

/// A library that meets what it holds to be impossible panics; here that is one more way in which a file is damaged.
fn guarded<T>(work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    let panicked = |_| Err(Trouble::Damaged("what is in it makes no sense".to_owned()));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked)
}

fn failed(error: io::Error) -> Trouble {
    trouble(error.into())
}

fn trouble(error: redb::Error) -> Trouble {
    if let redb::Error::DatabaseAlreadyOpen = error {
        Trouble::Busy
    } else if let redb::Error::UpgradeRequired(_) = error {
        Trouble::Foreign
    } else if let redb::Error::Corrupted(why) = error {
        Trouble::Damaged(why)
    } else {
        Trouble::Failed(error.to_string())
    }
}

/// The incidents: their records in JSON, by their ids.
const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("incidents");
/// How much of the file is kept in memory. It is read once, and written a few records at a time.
const CACHE_BYTES: usize = 1024 * 1024;
