//! The command's output on disk, never more than twice the limit: when the file is full it becomes
//! the older one, and the one that was older is gone.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use archetype_netns::Error;

/// Bytes of one file.
const LIMIT: u64 = 1 << 20;

/// Where the output goes.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: Option<File>,
    size: u64,
}

impl Log {
    /// Opens the file to append to; without a path everything is dropped.
    pub fn open(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else { return Ok(Self { path: PathBuf::new(), file: None, size: 0 }) };
        let failed = |error| Error::system(format!("open {}", path.display()), error);
        let file = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        Ok(Self { path: path.to_owned(), file: Some(file), size })
    }

    /// Appends. A disk that takes no more must not stop the node, so failures are passed over.
    pub fn write(&mut self, bytes: &[u8]) {
        if self.size + bytes.len() as u64 > LIMIT && self.size > 0 {
            self.turn();
        }
        if let Some(file) = &mut self.file {
            let _ = file.write_all(bytes);
            self.size += bytes.len() as u64;
        }
    }

    fn turn(&mut self) {
        if self.file.is_none() {
            return;
        }
        let mut older = self.path.clone().into_os_string();
        older.push(".1");
        let turned = fs::rename(&self.path, older).and_then(|()| File::create(&self.path));
        self.file = turned.ok();
        self.size = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_never_fills_the_disk_and_the_newest_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::open(Some(&path)).unwrap();
        let line = [b'x'; 4096];
        for _ in 0..1000 {
            log.write(&line);
        }
        log.write(b"the last");
        let size = |name: &str| fs::metadata(folder.path().join(name)).unwrap().len();
        assert!(size("log") <= LIMIT && size("log.1") <= LIMIT);
        assert!(fs::read(&path).unwrap().ends_with(b"the last"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
