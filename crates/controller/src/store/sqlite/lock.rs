//! The lock that keeps a second controller out of a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::failed;
use crate::store::StoreError;

/// Held for as long as it lives; the kernel frees it when the process ends, however that happens.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `directory`, or says who has it.
    pub fn take(directory: &Path) -> Result<Self, StoreError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join("lock"))
            .map_err(failed("open its lock"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(failed("read its lock"))?;
                let holder = match holder.trim() {
                    "" => "a process that has just begun".to_string(),
                    pid => format!("process {pid}"),
                };
                return Err(StoreError::InUse { directory: directory.display().to_string(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(failed("take its lock")(error)),
        }
        let note = || -> std::io::Result<()> {
            let mut file = &file;
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        note().map_err(failed("note who holds its lock"))?;
        Ok(Self { _file: file })
    }
}
