//! Files that a topology names. A name may lead to anything (a device, a pipe), and a file may be of any size: only text of
//! a usual size is read.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// No file that a person writes has more bytes.
const LARGEST: u64 = 16 << 20;

/// The text of a file.
///
/// # Errors
/// Also when it is no regular file, no text, or too large.
pub fn text(path: &Path) -> io::Result<String> {
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() && !meta.is_dir() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let bytes = bounded(path)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// The bytes of whatever a path leads to, a pipe for instance.
///
/// # Errors
/// Also when there are too many.
pub fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        let words = format!("it has more than {} MiB", LARGEST >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, words));
    }
    Ok(bytes)
}
