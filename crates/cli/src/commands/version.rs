//! `version`: of this program, and of the controller where one answers.

use archetype_api::{ClientError, Version};
use serde::Serialize;

use super::{print, print_json};
use crate::args::OutputArgs;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;

/// What `version` answers.
#[derive(Debug, Serialize)]
struct Versions {
    /// Of this program.
    version: &'static str,
    /// Of the controller; null when none answers.
    controller: Option<Version>,
}

/// Prints the versions. That no controller answers is no failure.
pub async fn run(connection: &Connection, args: OutputArgs) -> Result<Exit, Failure> {
    let asked = connection.client().version().await;
    let silent = match &asked {
        Err(ClientError::Unreachable { at, .. }) => Some(format!("none answers at {at}")),
        Err(error) => Some(error.to_string()),
        Ok(_) => None,
    };
    let versions = Versions { version: env!("CARGO_PKG_VERSION"), controller: asked.ok() };
    if args.is_json() {
        print_json(&versions)?;
        return Ok(Exit::Fine);
    }
    let controller = versions.controller.map(|answer| {
        let Version { version, api, installation, .. } = answer;
        format!("{version} (API {api}, installation {installation})")
    });
    let controller = controller.or(silent).unwrap_or_default();
    print(&format!("archetype   {}\ncontroller  {controller}", versions.version))?;
    Ok(Exit::Fine)
}
