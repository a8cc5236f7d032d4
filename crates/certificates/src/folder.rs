//! Files of certificates and keys. What is made belongs to the owner of the folder that it is made
//! in, and a key is for that owner alone.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use crate::Refused;
use crate::issue::Pair;

/// The certificate and the key called `name` below `folder`.
pub fn pair_at(folder: &Path, name: &str) -> [PathBuf; 2] {
    [".pem", ".key"].map(|ending| folder.join(name).join(format!("{name}{ending}")))
}

/// Whether both are there; one without the other is refused, so that neither is lost.
pub fn is_there(cert: &Path, key: &Path) -> Result<bool, Refused> {
    match (cert.exists(), key.exists()) {
        (true, true) => Ok(true),
        (false, false) => Ok(false),
        (true, false) => Err(Refused::Half { here: cert.to_owned(), missing: key.to_owned() }),
        (false, true) => Err(Refused::Half { here: key.to_owned(), missing: cert.to_owned() }),
    }
}

/// The text of a file.
pub fn read(path: &Path) -> Result<String, Refused> {
    fs::read_to_string(path).map_err(|source| Refused::File { path: path.to_owned(), source })
}

/// Writes a certificate and its key, and the folders to them from the lab's own on. The key goes
/// first: a certificate without one is never left.
pub fn write(lab: &Path, [cert, key]: [&Path; 2], pair: &Pair) -> Result<(), Refused> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Refused::File { path, source }
    };
    let parent = lab.parent().unwrap_or(lab);
    let owner = fs::metadata(parent).map_err(failed(parent))?;
    let made = cert.parent().unwrap_or(lab);
    for folder in made.ancestors().take_while(|folder| folder.starts_with(lab)).collect::<Vec<_>>().iter().rev() {
        if !folder.exists() {
            fs::create_dir(folder).and_then(|()| given(folder, &owner)).map_err(failed(folder))?;
        }
    }
    for (path, text, mode) in [(key, &pair.key, 0o600), (cert, &pair.cert, 0o644)] {
        put(path, text, mode, &owner).map_err(failed(path))?;
    }
    Ok(())
}

/// A whole new file under its name: a reader finds none or all of it.
fn put(path: &Path, text: &str, mode: u32, owner: &fs::Metadata) -> std::io::Result<()> {
    let new = path.with_extension("new");
    // What was begun and not ended.
    drop(fs::remove_file(&new));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    given(&new, owner)?;
    fs::rename(&new, path)
}

fn given(path: &Path, owner: &fs::Metadata) -> std::io::Result<()> {
    let is = fs::metadata(path)?;
    match (is.uid(), is.gid()) == (owner.uid(), owner.gid()) {
        true => Ok(()),
        false => chown(path, Some(owner.uid()), Some(owner.gid())),
    }
}
