//! The `archetype-oci` binary: `archetype-oci supervise …` and `archetype-oci archetype-version`
//! are its own, everything else is runc's command line.

use std::ffi::OsString;
use std::process::ExitCode;

use archetype_oci::{VERSION_VERB, runtime, supervise};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.first().and_then(|verb| verb.to_str()) {
        Some("supervise") => supervise::main(&arguments[1..]),
        Some(VERSION_VERB) => {
            println!("{}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => runtime::main(&arguments),
    }
}
