//! The lock that keeps a second controller out of a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::failed;
use crate::store::StoreError;

/// Held for as long as it lives; the kernel frees it when the process ends, however that happens.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// One that was killed has the lock until the kernel has taken it apart, which is not long.
const GOING: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(20);

fn lock(file: &File) -> Result<(), TryLockError> {
    let until = Instant::now() + GOING;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOOK),
            done => return done,
        }
    }
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
        match lock(&file) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_about_to_let_go_is_waited_for_and_one_that_stays_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Lock::take(folder.path()).expect("nobody has it");
        let goes = std::thread::spawn(move || {
            std::thread::sleep(GOING / 5);
            drop(first);
        });
        let second = Lock::take(folder.path()).expect("it was let go");
        goes.join().expect("it ends");
        let refused = Lock::take(folder.path()).expect_err("the second has it").to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(second);
    }
}
