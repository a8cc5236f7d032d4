//! A text from the web, bounded in size and time.

use std::time::Duration;

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use crate::failure::Failure;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many bytes a topology file may have.
const LARGEST: u64 = 16 << 20;

/// The text at `url`. Who it comes from is judged by this machine's certificates.
pub fn text(url: &str) -> Result<String, Failure> {
    fetched(url).map_err(|why| {
        Failure::hinted(format!("cannot fetch the topology file {url}: {why}"), "fetch it yourself and name the file")
    })
}

fn fetched(url: &str) -> Result<String, String> {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let settings = Agent::config_builder().user_agent("archetype").timeout_global(Some(PATIENCE)).tls_config(tls);
    let mut answer = Agent::new_with_config(settings.build()).get(url).call().map_err(told)?;
    let bytes = answer.body_mut().with_config().limit(LARGEST).read_to_vec().map_err(told)?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// What went wrong, in our words where they say more.
fn told(error: ureq::Error) -> String {
    match error {
        ureq::Error::StatusCode(code) => format!("the server answered {code}"),
        ureq::Error::Timeout(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        ureq::Error::BodyExceedsLimit(_) => format!("it is larger than {} MiB", LARGEST >> 20),
        error => error.to_string(),
    }
}
