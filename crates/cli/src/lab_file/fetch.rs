//! A text from the web, bounded in size and time.

use std::time::Duration;

use futures::StreamExt;

use crate::failure::Failure;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many bytes a topology file may have.
const LARGEST: usize = 16 << 20;

/// The text at `url`.
pub fn text(url: &str) -> Result<String, Failure> {
    let address = url.to_owned();
    // On a thread of its own: whoever calls may be inside a conversation already.
    let fetching = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime
            .block_on(async { tokio::time::timeout(PATIENCE, fetched(&address)).await })
            .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
    });
    let fetched = fetching.join().unwrap_or_else(|_| Err("the fetching broke".to_owned()));
    fetched.map_err(|why| {
        Failure::hinted(format!("cannot fetch the topology file {url}: {why}"), "fetch it yourself and name the file")
    })
}

async fn fetched(url: &str) -> Result<String, String> {
    let client = reqwest::Client::builder().user_agent("archetype").build().map_err(told)?;
    let answer = client.get(url).send().await.map_err(told)?;
    if !answer.status().is_success() {
        return Err(format!("the server answered {}", answer.status()));
    }
    let mut bytes = Vec::new();
    let mut parts = answer.bytes_stream();
    while let Some(part) = parts.next().await {
        bytes.extend_from_slice(&part.map_err(told)?);
        if bytes.len() > LARGEST {
            return Err(format!("it is larger than {} MiB", LARGEST >> 20));
        }
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// An error with its causes.
fn told(error: reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}
