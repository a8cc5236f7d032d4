//! Files about a lab for other programs, written where the user wants them. Knows nothing of what
//! is in them: the controller makes their text.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

use archetype_artefacts::{AUTHORIZED_KEYS, HOSTS, SSH_CONFIG, TOPOLOGY_DATA, authorized_keys, folder, with_keys};
use archetype_model::LabName;

use crate::connection::Connection;
use crate::failure::Failure;
use crate::public_keys;

/// The folder below which the files go, as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The path as written.
    pub written: PathBuf,
    /// Whether a relative path begins at the topology file, as in the settings file, and not here.
    pub beside_file: bool,
}

impl Place {
    /// The folder, for a lab whose topology file lies in `directory`.
    pub fn for_file_in(&self, directory: &Path) -> PathBuf {
        if self.beside_file { directory.join(&self.written) } else { self.written.clone() }
    }
}

/// Makes the folder, so that one that cannot be is told before anything is built.
pub fn make_ready(place: &Path) -> Result<(), Failure> {
    fs::create_dir_all(place).map_err(|error| failed(place, &error))
}

/// Writes the files of a lab below `place`, each at once: a reader finds the old one or the new one.
/// The public keys of whoever runs this are among them.
pub async fn write(connection: &Connection, lab: &LabName, place: &Path) -> Result<(), Failure> {
    let answer = connection.ask(Some(lab), "", connection.client().artefacts(lab)).await?;
    let keys = public_keys::of_user();
    if !answer.files.is_empty() {
        let path = place.join(folder(lab)).join(AUTHORIZED_KEYS);
        put(&path, &authorized_keys(&keys)).map_err(|error| failed(&path, &error))?;
    }
    for (path, text) in answer.files {
        let inside = Path::new(&path).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside {
            return Err(Failure::plain(format!("the controller names a file outside of the folder: {path}")));
        }
        let text = if path.ends_with(TOPOLOGY_DATA) { with_keys(&text, &keys) } else { text };
        let path = place.join(path);
        put(&path, &text).map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}

/// Takes away the names of a lab that is gone; with `all`, the lab's folder with everything in it.
pub fn withdraw(lab: &LabName, place: &Path, all: bool) -> Result<(), Failure> {
    let folder = place.join(folder(lab));
    let paths = if all { vec![folder] } else { vec![folder.join(HOSTS), folder.join(SSH_CONFIG)] };
    for path in paths {
        let removed = if all { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&path, &error)),
            _ => {}
        }
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> std::io::Result<()> {
    let Some((folder, name)) = path.parent().zip(path.file_name()) else { return Ok(()) };
    if fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file()) && fs::read(path)? == text.as_bytes() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let new = folder.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    // What a program of this number left when it was killed.
    drop(fs::remove_file(&new));
    let written = File::create_new(&new).and_then(|mut file| file.write_all(text.as_bytes()));
    let moved = written.and_then(|()| fs::rename(&new, path));
    if moved.is_err() {
        drop(fs::remove_file(&new));
    }
    moved
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("the lab's files cannot be written: {}: {error}", path.display());
    Failure::hinted(message, "name another folder with --artefacts DIR, or none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_at_once_and_what_a_link_leads_to_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, foreign) = (folder.path().join("clab-x/a"), folder.path().join("foreign"));
        put(&path, "one").unwrap();
        put(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        fs::write(&foreign, "mine").unwrap();
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&foreign, &path).unwrap();
        put(&path, "three").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three");
        assert_eq!(fs::read_to_string(&foreign).unwrap(), "mine");
        assert_eq!(fs::read_dir(folder.path().join("clab-x")).unwrap().count(), 1);
    }

    #[test]
    fn a_relative_folder_begins_here_on_the_command_line_and_at_the_file_in_the_settings() {
        let place = |beside_file| Place { written: "out".into(), beside_file };
        assert_eq!(place(false).for_file_in(Path::new("/labs")), Path::new("out"));
        assert_eq!(place(true).for_file_in(Path::new("/labs")), Path::new("/labs/out"));
    }

    #[test]
    fn names_go_with_the_lab_and_the_folder_only_when_wished() {
        let folder = tempfile::tempdir().unwrap();
        let lab: LabName = "x".parse().unwrap();
        for name in [HOSTS, SSH_CONFIG, "saved.cfg"] {
            put(&folder.path().join("clab-x").join(name), "").unwrap();
        }
        withdraw(&lab, folder.path(), false).unwrap();
        withdraw(&lab, folder.path(), false).unwrap();
        let left: Vec<_> =
            fs::read_dir(folder.path().join("clab-x")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["saved.cfg"]);
        withdraw(&lab, folder.path(), true).unwrap();
        withdraw(&lab, folder.path(), true).unwrap();
        assert!(!folder.path().join("clab-x").exists());
    }
}
