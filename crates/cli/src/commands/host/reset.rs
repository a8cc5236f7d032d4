//! `host reset`: the runtime leaves the engine's settings and this machine, unless a container
//! still needs it.

use std::path::Path;

use super::engine::Engine;
use super::setup::{mode, read, refuse, settings_file};
use super::{HostError, Place, RUNTIME, registration, replace};

/// Takes out what `host setup` put in; gives what was done, in lines.
pub fn run(place: &Place, socket: &Path) -> Result<Vec<String>, HostError> {
    // Without the engine nobody knows whether a container needs the runtime.
    let engine = Engine::connect(socket)?;
    let settings = settings_file(place, engine.process().ok().as_ref());
    let text = read(&settings)?;
    let containers = engine.containers_of(RUNTIME)?;
    if !containers.is_empty() {
        return Err(HostError::InUse { containers });
    }
    if registration::is_default(&text) {
        return Err(HostError::IsDefault);
    }
    let mut lines = Vec::new();
    if let Some(changed) = registration::unregistered(&text).map_err(|refused| refuse(&settings, refused))? {
        replace(&settings, changed.as_bytes(), mode(&settings))?;
        lines.push(format!("took the runtime {RUNTIME} out of {}", settings.display()));
    }
    if remove(&place.binary)? {
        lines.push(format!("removed {}", place.binary.display()));
    }
    if engine.runtime_path(RUNTIME)?.is_some() {
        lines.push(format!("the running engine still lists {RUNTIME}; it forgets it at its next restart"));
    }
    if lines.is_empty() {
        lines.push("nothing was set up here".to_owned());
    }
    Ok(lines)
}

/// Removes the binary and its folder; whether there was one.
fn remove(binary: &Path) -> Result<bool, HostError> {
    match std::fs::remove_file(binary) {
        Ok(()) => {
            // The folder is ours alone; where somebody put something into it, it stays.
            if let Some(folder) = binary.parent() {
                let _ = std::fs::remove_dir(folder);
            }
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(HostError::File { path: binary.to_owned(), source }),
    }
}
