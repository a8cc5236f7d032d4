//! `host setup`: the runtime gets to its path and into the engine's settings, and the engine lists
//! it. A machine where all of this is so already is left as it is.

use std::path::Path;
use std::time::{Duration, Instant};

use super::binary::{self, Installed};
use super::engine::{Engine, Process};
use super::{HostError, Place, RUNTIME, registration, replace};

/// How long the engine may take to read its settings again.
const RELOAD: Duration = Duration::from_secs(15);

/// Prepares the machine; gives what was done, in lines.
pub fn run(place: &Place, socket: &Path, source: &Path) -> Result<Vec<String>, HostError> {
    let binary = place.binary.display();
    let mut lines = Vec::new();
    match binary::install(source, &place.binary)? {
        Installed::Same => {}
        Installed::Newer(version) => lines.push(format!("{binary} is newer ({version}) and stays")),
        Installed::Fresh(version) => lines.push(format!("installed {binary} ({version})")),
    }
    let engine = match Engine::connect(socket) {
        Ok(engine) => engine,
        Err(away) => {
            // The registration waits for the engine; that nobody confirms it must still be told.
            register(&place.settings, &place.binary, None)?;
            return Err(away);
        }
    };
    let process = engine.process();
    let settings = settings_file(place, process.as_ref().ok());
    let is_listed = || engine.runtime_path(RUNTIME).map(|path| path.as_deref() == place.binary.to_str());
    let is_argument = process.as_ref().is_ok_and(Process::has_runtime_arguments);
    if is_argument && is_listed()? {
        lines.push(format!("the engine has the runtime {RUNTIME} by an argument"));
        return Ok(lines);
    }
    if register(&settings, &place.binary, process.as_ref().ok())? {
        lines.push(format!("registered the runtime {RUNTIME} in {}", settings.display()));
    } else if is_listed()? {
        lines.push(format!("the engine lists the runtime {RUNTIME}"));
        return Ok(lines);
    }
    process?.reload(socket)?;
    let deadline = Instant::now() + RELOAD;
    while !is_listed()? {
        if Instant::now() > deadline {
            return Err(HostError::NotListed { path: settings });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    lines.push(format!("the engine read its settings again and lists the runtime {RUNTIME}"));
    Ok(lines)
}

/// The settings file of the engine.
pub(super) fn settings_file(place: &Place, process: Option<&Process>) -> std::path::PathBuf {
    process.and_then(Process::settings_file).unwrap_or_else(|| place.settings.clone())
}

/// Whether the runtime had to be put into the settings.
fn register(settings: &Path, binary: &Path, process: Option<&Process>) -> Result<bool, HostError> {
    let text = read(settings)?;
    let refused = |refused| refuse(settings, refused);
    let Some(changed) = registration::registered(&text, &binary.to_string_lossy()).map_err(refused)? else {
        return Ok(false);
    };
    if process.is_some_and(Process::has_runtime_arguments) {
        let argument = format!("--add-runtime {RUNTIME}={}", binary.display());
        return Err(HostError::Arguments { path: settings.to_owned(), argument });
    }
    replace(settings, changed.as_bytes(), mode(settings))?;
    Ok(true)
}

/// The text of the settings; empty when there is no file.
pub(super) fn read(settings: &Path) -> Result<String, HostError> {
    match std::fs::read_to_string(settings) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|source| HostError::File { path: settings.to_owned(), source }),
    }
}

pub(super) fn refuse(settings: &Path, refused: registration::Refused) -> HostError {
    let registration::Refused { line, column, why } = refused;
    HostError::Settings { path: settings.to_owned(), line, column, why }
}

/// The permissions of the settings as they are; of new ones Docker's own.
pub(super) fn mode(settings: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(settings).map_or(0o644, |metadata| metadata.permissions().mode() & 0o7777)
}
