//! `version`: of this program, and of the controller where one answers.

use archetype_api::{ClientError, Version};
use serde::Serialize;

use super::{print, print_json};
use crate::args::OutputArgs;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::paint::Paint;

/// What `version` answers.
#[derive(Debug, Serialize)]
struct Versions {
    /// Of this program.
    version: &'static str,
    /// Of the controller; null when none answers.
    controller: Option<Version>,
}

/// Prints the versions. That no controller answers, or that the settings name none, is no failure.
pub async fn run(connection: Result<Connection, Failure>, args: OutputArgs) -> Result<Exit, Failure> {
    let (controller, silent) = match &connection {
        Ok(connection) => ask(connection).await,
        Err(failure) => {
            failure.print(Paint::stderr());
            (None, Some("not asked: the settings cannot be used".to_owned()))
        }
    };
    let versions = Versions { version: env!("CARGO_PKG_VERSION"), controller };
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

/// The controller's version, or why there is none.
async fn ask(connection: &Connection) -> (Option<Version>, Option<String>) {
    match connection.client().version().await {
        Ok(version) => (Some(version), None),
        Err(ClientError::Unreachable { at, .. }) => (None, Some(format!("none answers at {at}"))),
        Err(error) => (None, Some(error.to_string())),
    }
}
