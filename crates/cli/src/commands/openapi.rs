//! `openapi`: the contract of the controller as an OpenAPI document.

use super::print;
use crate::exit::Exit;
use crate::failure::Failure;

/// Prints the document.
pub fn run() -> Result<Exit, Failure> {
    print(&archetype_controller::openapi())?;
    Ok(Exit::Fine)
}
