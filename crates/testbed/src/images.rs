//! The images that the labs name, or their stand-ins, for engines in sandboxes. Knows the script, not the recipes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::run_command;
use crate::engine::Engine;
use crate::sandbox::in_sandbox;

/// Sees to it that the images' archive is in the cache, since a sandbox has no network to make it from. To be called
/// before [`sandbox`](fn@crate::sandbox); inside it does nothing. Quick when the archive is there, else some seconds.
///
/// # Panics
/// When the archive can neither be pulled nor built, with what `scripts/images.sh` says.
#[track_caller]
pub fn need_lab_images() {
    if !in_sandbox() {
        run_command(Command::new(script()).arg("--cache"));
    }
}

impl Engine {
    /// Loads the images that containerlab's frr01 names, from the archive that [`need_lab_images`] made.
    ///
    /// # Panics
    /// When there is no archive, and when the engine refuses it.
    #[track_caller]
    pub fn load_lab_images(&self) {
        run_command(Command::new(script()).arg("--load").env("DOCKER_HOST", self.host()));
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/images.sh")
}
