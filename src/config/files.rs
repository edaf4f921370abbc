//! Owns the look into the files that a configuration names: whether they can be read and hold what they should. Each is
//! read again by the one who uses it; here a mistake is told with the line that names the file.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::path::PathBuf;
use std::str::Utf8Error;

use rustls::InconsistentKeys;
use rustls::RootCertStore;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use super::document::Table;
use super::problem::Placed;
use super::problem::Wrong;
use super::problem::quoted;

/// The text of a configuration file.
pub(super) fn configuration(path: &Path) -> Result<String, Wrong> {
    let bytes = read(path, LARGEST_CONFIGURATION).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Wrong::new("no such file", "write one, or name another with --config")
        } else if error.kind() == io::ErrorKind::FileTooLarge {
            Wrong::new("it is larger than 16 MiB", "name another with --config")
        } else {
            why_unreadable("it", &error)
        }
    })?;
    String::from_utf8(bytes).map_err(|error| not_utf8(error.as_bytes(), error.utf8_error()))
}

/// What a file that a configuration names holds.
///
/// # Errors
///
/// `FileTooLarge` where it is larger than any such file has to be; that it is no file but a named pipe, whose reader would wait
/// for somebody to write, or a device; and what the system says.
pub fn contents(file: &Path) -> io::Result<Vec<u8>> {
    read(file, LARGEST)
}

fn read(file: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let kind = fs::metadata(file)?.file_type();
    // A shell hands over what a command writes as a descriptor: `why502 check --config <(make-config)`.
    if !(kind.is_file() || kind.is_dir() || is_descriptor(file)) {
        let what = if kind.is_fifo() { "a named pipe" } else { "a device or a socket" };
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a file")));
    }
    let mut bytes = Vec::new();
    File::open(file)?.take(largest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Whether it stands for what this process has open already, so that to open it waits for nobody.
fn is_descriptor(file: &Path) -> bool {
    file == Path::new("/dev/stdin") || ["/dev/fd", "/proc/self/fd"].iter().any(|directory| file.starts_with(directory))
}

/// What a file holds; noted where it cannot be read.
pub(super) fn readable(table: &Table<'_>, file: &Placed<PathBuf>) -> Option<Vec<u8>> {
    let read = contents(&file.value);
    read.map_err(|error| table.note(file.place, why_unreadable(&quoted(&file.value.to_string_lossy()), &error))).ok()
}

/// Notes where no file can be written: its directory has to be there.
pub(super) fn writable(table: &Table<'_>, file: &Placed<PathBuf>) {
    // The directory of a bare name is the empty path, which stands for the current one.
    let directory = file.value.parent().filter(|directory| !directory.as_os_str().is_empty());
    if file.value.is_dir() {
        let what = format!("{} is a directory", quoted(&file.value.to_string_lossy()));
        table.note(file.place, Wrong::new(what, "write the path of a file in it"));
    } else if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
        let what = format!("there is no directory {}", quoted(&directory.to_string_lossy()));
        table.note(file.place, Wrong::new(what, "create it, or correct the path"));
    }
}

/// Notes where a file does not hold certificates of authorities.
pub(super) fn authorities(table: &Table<'_>, file: &Placed<PathBuf>) {
    for (index, certificate) in certificates(table, file).into_iter().flatten().enumerate() {
        if let Err(error) = RootCertStore::empty().add(certificate) {
            let what = format!("certificate {} of this file cannot be used: {error}", index + 1);
            table.note(file.place, Wrong::new(what, "replace it, or remove it from the file"));
        }
    }
}

/// Notes where two files do not hold a certificate and its key.
pub(super) fn identity(table: &Table<'_>, certificate: &Placed<PathBuf>, key: &Placed<PathBuf>) {
    let (chain, private) = (certificates(table, certificate), private_key(table, key));
    let (Some(chain), Some(private)) = (chain, private) else { return };
    let provider = rustls::crypto::ring::default_provider();
    let fits = |chain| CertifiedKey::from_der(chain, private.clone_key(), &provider);
    match fits(chain.clone()) {
        Ok(_) => {}
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let own = chain.iter().position(|one| fits(vec![one.clone()]).is_ok());
            if let Some(index) = own {
                let what = format!("the key is that of certificate {} of this file, not of the first", index + 1);
                let instead = "put that one first, and behind each the one that signed it";
                table.note(certificate.place, Wrong::new(what, instead));
            } else {
                let what = format!("this key is not that of {}", quoted(&certificate.value.to_string_lossy()));
                table.note(key.place, Wrong::new(what, "write the one that the certificate was made for"));
            }
        }
        Err(error @ rustls::Error::InvalidCertificate(_)) => {
            let what = format!("this certificate cannot be used: {error}");
            table.note(certificate.place, Wrong::new(what, "write a valid X.509 certificate"));
        }
        Err(error) => {
            let instead = "write an ECDSA, Ed25519 or RSA key (PKCS #8, SEC 1 or PKCS #1)";
            table.note(key.place, Wrong::new(format!("this key cannot be used: {error}"), instead));
        }
    }
}

/// The certificates of a file that was found right before; none where it has changed since.
pub(super) fn chain(file: &Path) -> Option<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(&contents(file).ok()?).collect::<Result<Vec<_>, _>>().ok()
}

fn certificates(table: &Table<'_>, file: &Placed<PathBuf>) -> Option<Vec<CertificateDer<'static>>> {
    let bytes = readable(table, file)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let wrong = match read {
        Ok(certificates) if !certificates.is_empty() => return Some(certificates),
        Ok(_) if bytes.first() == Some(&DER_SEQUENCE) => Wrong::new(
            "this certificate is DER, not PEM",
            "convert it: openssl x509 -inform der -in FILE -out FILE.pem",
        ),
        Ok(_) => Wrong::new("no certificate is in this file", "write a PEM file with -----BEGIN CERTIFICATE-----"),
        Err(_) => Wrong::new("this is not a whole PEM file", "copy it again"),
    };
    table.note(file.place, wrong);
    None
}

fn private_key(table: &Table<'_>, file: &Placed<PathBuf>) -> Option<PrivateKeyDer<'static>> {
    let bytes = readable(table, file)?;
    let wrong = match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => return Some(key),
        Err(_) if memchr::memmem::find(&bytes, b"ENCRYPTED").is_some() => {
            Wrong::new("this key is locked with a passphrase", "unlock it: openssl pkey -in FILE -out FILE.open")
        }
        Err(_) if bytes.first() == Some(&DER_SEQUENCE) => {
            Wrong::new("this key is DER, not PEM", "convert it: openssl pkey -inform der -in FILE -out FILE.pem")
        }
        Err(_) => Wrong::new("no private key is in this file", "write a PEM file with -----BEGIN PRIVATE KEY-----"),
    };
    table.note(file.place, wrong);
    None
}

fn why_unreadable(name: &str, error: &io::Error) -> Wrong {
    let (what, instead) = if error.kind() == io::ErrorKind::NotFound {
        let instead = "create it, or correct the path, which is meant from the directory of this file";
        (format!("there is no file {name}"), instead)
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        (format!("{name} may not be read by this user"), "let the user that runs why502 read it")
    } else if error.kind() == io::ErrorKind::IsADirectory {
        (format!("{name} is a directory"), "write the path of a file")
    } else if error.kind() == io::ErrorKind::FileTooLarge {
        (format!("{name} is larger than 1 MiB"), "write another file")
    } else {
        (format!("{name} cannot be read: {error}"), "correct the path")
    };
    Wrong::new(what, instead)
}

fn not_utf8(bytes: &[u8], error: Utf8Error) -> Wrong {
    let line = bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
    Wrong::new(format!("line {line} is not UTF-8"), "save the file as UTF-8")
}

/// In bytes; certificates, keys, tokens and checklists are far smaller.
const LARGEST: u64 = 1 << 20;
/// In bytes; room for tens of thousands of routes.
const LARGEST_CONFIGURATION: u64 = 16 << 20;

/// The byte that every certificate and key in DER begins with (X.690, SEQUENCE).
const DER_SEQUENCE: u8 = 0x30;
