//! Owns the file that says which process serves, for whoever sends it signals.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

/// Such a file. It is removed when this is dropped, unless another process stands in it by then.
#[derive(Debug)]
pub(super) struct PidFile {
    path: PathBuf,
    text: String,
}

impl PidFile {
    /// Writes this process into it. Whoever reads it at any moment finds a whole number.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(super) fn write(path: &Path) -> io::Result<Self> {
        let (id, mut new) = (std::process::id(), path.as_os_str().to_owned());
        new.push(format!(".{id}"));
        let text = format!("{id}\n");
        fs::write(&new, &text)?;
        fs::rename(&new, path)?;
        Ok(Self { path: path.to_owned(), text })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
            fs::remove_file(&self.path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::PidFile;
    use crate::demo::origin::PrivateDirectory;

    #[test]
    fn a_file_is_removed_by_the_process_that_stands_in_it() {
        let directory = PrivateDirectory::new().unwrap();
        let path = directory.file("pid");
        let file = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
        let file = PidFile::write(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }
}
