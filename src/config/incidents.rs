//! Owns `[incidents]`: where they are kept, for how long, and who is told of them.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::Access;
use rustix::fs::access;

use super::document::Table;
use super::files;
use super::value::WebhookUrl;

/// `[incidents]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incidents {
    /// The file that keeps them over a restart; none where they are kept in memory only.
    pub history: Option<PathBuf>,
    /// How long one that is over is known.
    pub keep: Duration,
    /// Where the lines go that open and close them; none where they go to the log alone.
    pub webhook: Option<WebhookUrl>,
}

impl Default for Incidents {
    fn default() -> Self {
        Self { history: None, keep: KEEP, webhook: None }
    }
}

impl Incidents {
    pub(super) fn read(table: Table<'_>) -> Self {
        let history = table.path("history");
        if let Some(file) = &history {
            files::writable(&table, file);
        }
        let incidents = Self {
            history: history.map(|file| file.value),
            keep: table.time_limit("keep", KEEP),
            webhook: table.value("webhook").map(|url| url.value),
        };
        table.close();
        incidents
    }

    /// What keeps the history from being written, where it can be seen before. The program serves all the same, and its log says
    /// what it meets.
    #[must_use]
    pub fn concern(&self) -> Option<String> {
        let file = self.history.as_ref()?;
        let why = match OpenOptions::new().read(true).write(true).open(file) {
            Ok(open) if is_history(&open).ok()? => return None,
            Ok(_) => "it is a file of another kind, which is left alone; move it away or name another",
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "this user may not read and write it; change its owner or name another"
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
                if access(directory.unwrap_or_else(|| Path::new(".")), Access::WRITE_OK).is_ok() {
                    return None;
                }
                "this user may not make a file in that directory; change its owner or name another"
            }
            Err(_) => return None,
        };
        Some(format!("[incidents] history: {} cannot be used: {why}", file.display()))
    }
}

/// Whether it is one, or empty so that it can become one.
fn is_history(mut file: &File) -> io::Result<bool> {
    if !file.metadata()?.is_file() {
        return Ok(false);
    }
    let mut begins = [0; HISTORY_BEGINS.len()];
    Ok(file.read(&mut begins)? == 0 || begins == *HISTORY_BEGINS)
}

/// What a history's file begins with.
pub const HISTORY_BEGINS: &[u8; 9] = b"redb\x1A\x0A\xA9\x0D\x0A";

const KEEP: Duration = Duration::from_secs(90 * 86_400);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::demo::origin::PrivateDirectory;

    #[test]
    fn a_path_that_cannot_be_used_is_told() {
        let directory = PrivateDirectory::new().unwrap();
        let told = |name: &str| {
            let incidents = Incidents { history: Some(directory.file(name)), ..Incidents::default() };
            incidents.concern().unwrap_or_default()
        };
        assert_eq!(told("new.db"), "");
        for (name, text, says) in [
            ("empty.db", &b""[..], ""),
            ("right.db", HISTORY_BEGINS, ""),
            ("short.db", &b"redb"[..], "another kind"),
            ("log", &b"{\"ts\":\"2026\"}\n"[..], "another kind"),
        ] {
            fs::write(directory.file(name), text).unwrap();
            assert!(told(name).contains(says) && told(name).is_empty() == says.is_empty(), "{name}: {}", told(name));
        }
        fs::set_permissions(directory.file("right.db"), fs::Permissions::from_mode(0o444)).unwrap();
        let is_root = access(directory.file("right.db"), Access::WRITE_OK).is_ok();
        assert_eq!(told("right.db").contains("may not"), !is_root);
        assert_eq!(Incidents::default().concern(), None);
    }
}
