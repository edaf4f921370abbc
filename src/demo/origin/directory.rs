//! Owns the demo's private directory: sockets, certificates and the token live there, for this user only, until it ends.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;

/// A directory that nobody else can enter, removed with all that is in it when dropped.
#[derive(Debug)]
pub struct PrivateDirectory {
    path: PathBuf,
}

impl PrivateDirectory {
    /// Makes one below the system's directory for temporary files.
    ///
    /// # Errors
    ///
    /// Where that directory does not exist or may not be written to.
    pub fn new() -> io::Result<Self> {
        loop {
            let path = std::env::temp_dir().join(format!("why502-demo-{:08x}", fastrand::u32(..)));
            // Making it fails where somebody else already has that name, so that nobody can lay one out for us.
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // Nothing can be done where that fails, and a directory left in /tmp harms nobody.
        drop(fs::remove_dir_all(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::PrivateDirectory;

    #[test]
    fn it_is_for_its_owner_only_and_goes_with_all_that_is_in_it() {
        let directory = PrivateDirectory::new().unwrap();
        let path = directory.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(directory.file("token"), "secret").unwrap();
        drop(directory);
        assert!(!path.exists());
    }
}
