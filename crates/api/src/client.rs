//! A typed client: one method a path, over the unix socket or over HTTP with a token.
//!
//! It knows the contract and nothing of the server; every refusal comes as a [`Problem`].

mod attach;
mod events;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use archetype_model::{LabName, NodeName};
use futures::stream::{Stream, StreamExt, TryStreamExt};
use reqwest::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use attach::{ExecReceiver, ExecSender};

use crate::answer::{Accepted, Health, PlanAnswer, Reconciled, Version};
use crate::artefacts::Artefacts;
use crate::checked::Checked;
use crate::explain::Explanation;
use crate::journal::{Journal, JournalEntry};
use crate::lab::{Lab, Labs};
use crate::mapping::{InterfaceMappings, NodeInterfaces};
use crate::problem::Problem;
use crate::progress::{Progress, Waited};
use crate::request::{DeployRequest, LinkAction, NewLink, NodeAction, TopologyText};
use crate::{BASE, exec::ExecStart};

/// Where the controller listens.
#[derive(Debug, Clone)]
pub enum Target {
    /// Its unix socket.
    Socket(PathBuf),
    /// Its loopback HTTP port.
    Http {
        /// Address and port.
        address: SocketAddr,
        /// The content of `<data>/token`.
        token: String,
    },
}

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The controller refused, or failed, and says why.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// Nobody answers there.
    #[error("no controller answers at {at}: {why}")]
    Unreachable {
        /// Where it was looked for.
        at: String,
        /// What the attempt met.
        why: String,
    },
    /// It went away in the middle of its answer.
    #[error("the controller at {at} went away: {why}")]
    BrokenOff {
        /// Who answered.
        at: String,
        /// What the answer met.
        why: String,
    },
    /// Something answered that is not this contract.
    #[error("the answer of {at} could not be understood: {why}")]
    Strange {
        /// Who answered.
        at: String,
        /// What is wrong with the answer.
        why: String,
    },
}

/// A client of one controller. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    target: Target,
}

impl Client {
    /// A client; nothing is connected before the first call.
    pub fn new(target: Target) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder();
        if let Target::Socket(path) = &target {
            builder = builder.unix_socket(path.as_path());
        }
        match builder.build() {
            Ok(http) => Ok(Self { http, target }),
            Err(error) => Err(ClientError::Unreachable { at: target.to_string(), why: chain(&error) }),
        }
    }

    /// Every lab.
    pub async fn labs(&self) -> Result<Labs, ClientError> {
        self.get("/labs").await
    }

    /// One lab.
    pub async fn lab(&self, lab: &LabName) -> Result<Lab, ClientError> {
        self.get(&format!("/labs/{lab}")).await
    }

    /// Wishes for a lab to be as the file says. The answer comes once that is durable.
    pub async fn deploy(&self, request: &DeployRequest) -> Result<Accepted, ClientError> {
        self.post("/labs", request).await
    }

    /// What a deployment would do.
    pub async fn plan(&self, request: &DeployRequest) -> Result<PlanAnswer, ClientError> {
        self.post("/plan", request).await
    }

    /// What is wrong with a file.
    pub async fn check(&self, topology: &TopologyText) -> Result<Checked, ClientError> {
        self.post("/check", topology).await
    }

    /// Wishes for nothing of a lab to be left.
    pub async fn destroy(&self, lab: &LabName) -> Result<Accepted, ClientError> {
        self.call(Method::DELETE, &format!("/labs/{lab}"), None::<&()>).await
    }

    /// Wishes something of a node.
    pub async fn node(&self, lab: &LabName, node: &NodeName, wish: NodeAction) -> Result<Accepted, ClientError> {
        self.post(&format!("/labs/{lab}/nodes/{}/{wish}", escape(node.as_str())), &()).await
    }

    /// Wishes something of a link. `link` is its id, or one of its ends as `node:interface`.
    pub async fn link(&self, lab: &LabName, link: &str, wish: LinkAction) -> Result<Accepted, ClientError> {
        self.post(&format!("/labs/{lab}/links/{}/{wish}", escape(link)), &()).await
    }

    /// Adds a link to a lab.
    pub async fn add_link(&self, lab: &LabName, link: &NewLink) -> Result<Accepted, ClientError> {
        self.post(&format!("/labs/{lab}/links"), link).await
    }

    /// Removes a link from a lab. `link` is its id, one of its ends, or both joined by `--`.
    pub async fn remove_link(&self, lab: &LabName, link: &str) -> Result<Accepted, ClientError> {
        self.call(Method::DELETE, &format!("/labs/{lab}/links/{}", escape(link)), None::<&()>).await
    }

    /// Waits until a revision is judged or a finding says why not, at most `timeout`.
    pub async fn wait(&self, lab: &LabName, revision: u64, timeout: Duration) -> Result<Waited, ClientError> {
        let seconds = timeout.as_secs_f64();
        self.get(&format!("/labs/{lab}/wait?revision={revision}&timeout={seconds}")).await
    }

    /// How far a lab is, again at each change, until it is settled.
    pub async fn progress(
        &self,
        lab: &LabName,
        revision: u64,
    ) -> Result<impl Stream<Item = Result<Progress, ClientError>> + use<>, ClientError> {
        self.events(&format!("/labs/{lab}/progress?revision={revision}")).await
    }

    /// What happened, to a lab and to what it shares with others, or everything: the first 1000 entries after the entry
    /// `since`; without it the newest 1000.
    pub async fn journal(&self, lab: Option<&LabName>, since: Option<u64>) -> Result<Journal, ClientError> {
        let since = since.map(|since| format!("&since={since}")).unwrap_or_default();
        self.get(&format!("/journal?limit=1000{since}{}", of_lab(lab))).await
    }

    /// What happened after the entry `since`, and then what happens.
    pub async fn follow_journal(
        &self,
        lab: Option<&LabName>,
        since: u64,
    ) -> Result<impl Stream<Item = Result<JournalEntry, ClientError>> + use<>, ClientError> {
        self.events(&format!("/journal/stream?since={since}{}", of_lab(lab))).await
    }

    /// Which port of Open vSwitch is which interface.
    pub async fn interface_mappings(&self, lab: &LabName) -> Result<InterfaceMappings, ClientError> {
        self.get(&format!("/labs/{lab}/interface-mappings")).await
    }

    /// The same, read anew.
    pub async fn sync_interface_mappings(&self, lab: &LabName) -> Result<InterfaceMappings, ClientError> {
        self.post(&format!("/labs/{lab}/interface-mappings/sync"), &()).await
    }

    /// The interfaces of a node.
    pub async fn interfaces(&self, lab: &LabName, node: &NodeName) -> Result<NodeInterfaces, ClientError> {
        self.get(&format!("/labs/{lab}/nodes/{}/interfaces", escape(node.as_str()))).await
    }

    /// The files that containerlab leaves beside a lab.
    pub async fn artefacts(&self, lab: &LabName) -> Result<Artefacts, ClientError> {
        self.get(&format!("/labs/{lab}/artefacts")).await
    }

    /// Looks at every link again and mends what is not as wanted.
    pub async fn reconcile(&self, lab: &LabName) -> Result<Reconciled, ClientError> {
        self.post(&format!("/labs/{lab}/links/reconcile"), &()).await
    }

    /// The facts behind a link's status. `link` is its id, or one of its ends as `node:interface`.
    pub async fn explain(&self, lab: &LabName, link: &str) -> Result<Explanation, ClientError> {
        self.get(&format!("/labs/{lab}/links/{}/explain", escape(link))).await
    }

    /// What a node printed; with `follow` also what it prints from now on.
    pub async fn logs(
        &self,
        lab: &LabName,
        node: &NodeName,
        follow: bool,
    ) -> Result<impl Stream<Item = Result<Vec<u8>, ClientError>> + use<>, ClientError> {
        let path = format!("/labs/{lab}/nodes/{}/logs?follow={follow}", escape(node.as_str()));
        let at = self.target.to_string();
        let answer = self.send(Method::GET, &path, None::<&()>).await?;
        let broken = move |error: reqwest::Error| ClientError::BrokenOff { at: at.clone(), why: root(&error) };
        Ok(answer.bytes_stream().map(move |piece| piece.map(Vec::from).map_err(&broken)))
    }

    /// Runs a command in a node.
    pub async fn exec(
        &self,
        lab: &LabName,
        node: &NodeName,
        start: &ExecStart,
    ) -> Result<(ExecSender, ExecReceiver), ClientError> {
        let path = format!("{BASE}/labs/{lab}/nodes/{}/exec", escape(node.as_str()));
        attach::open(&self.target, &path, start).await
    }

    /// Who answers.
    pub async fn version(&self) -> Result<Version, ClientError> {
        self.get("/version").await
    }

    /// Whether the controller hears its hosts.
    pub async fn health(&self) -> Result<Health, ClientError> {
        // What is not well comes with status 503 and is an answer all the same.
        let answer = self.ask(Method::GET, "/health", None::<&()>).await?;
        answer.json().await.map_err(|error| self.strange(chain(&error)))
    }

    async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, ClientError> {
        self.call(Method::GET, path, None::<&()>).await
    }

    async fn post<A: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<A, ClientError> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn call<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<A, ClientError> {
        let answer = self.send(method, path, body).await?;
        answer.json().await.map_err(|error| self.strange(chain(&error)))
    }

    async fn events<E: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
    ) -> Result<impl Stream<Item = Result<E, ClientError>> + use<E>, ClientError> {
        let answer = self.send(Method::GET, path, None::<&()>).await?;
        let at = self.target.to_string();
        let pieces = answer.bytes_stream().map_ok(Vec::from).map_err(|error| root(&error));
        Ok(events::decode(pieces).map(move |event| {
            let text = event.map_err(|why| ClientError::BrokenOff { at: at.clone(), why })?;
            serde_json::from_str(&text).map_err(|e| ClientError::Strange { at: at.clone(), why: e.to_string() })
        }))
    }

    /// The answer; a refusal is an error.
    async fn send(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<Response, ClientError> {
        let answer = self.ask(method, path, body).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        match serde_json::from_str(&text) {
            Ok(problem) => Err(ClientError::Refused(Box::new(problem))),
            Err(_) => Err(self.strange(format!("status {status}: {text}"))),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<Response, ClientError> {
        let authority = match &self.target {
            Target::Socket(_) => "localhost".to_string(),
            Target::Http { address, .. } => address.to_string(),
        };
        let mut request = self.http.request(method, format!("http://{authority}{BASE}{path}"));
        if let Target::Http { token, .. } = &self.target {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable =
            |error: reqwest::Error| ClientError::Unreachable { at: self.target.to_string(), why: root(&error) };
        request.send().await.map_err(unreachable)
    }

    fn strange(&self, why: String) -> ClientError {
        ClientError::Strange { at: self.target.to_string(), why }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Http { address, .. } => write!(f, "{address}"),
        }
    }
}

/// The first cause of an error. What stands before it speaks of requests and addresses that nobody wrote.
fn root(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

/// An error with what caused it, down to the first cause.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        cause = error.source();
    }
    text
}

fn of_lab(lab: Option<&LabName>) -> String {
    lab.map(|lab| format!("&lab={lab}")).unwrap_or_default()
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
fn escape(segment: &str) -> String {
    let mut escaped = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(byte as char),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_id_becomes_one_path_segment() {
        assert_eq!(escape("a|b:eth1--r/x:eth2"), "a%7Cb%3Aeth1--r%2Fx%3Aeth2");
    }

    #[tokio::test]
    async fn a_missing_socket_is_said_with_its_path() {
        let client = Client::new(Target::Socket("/nonexistent/a.sock".into())).unwrap();
        let error = client.labs().await.unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }));
        let text = error.to_string();
        assert!(text.contains("/nonexistent/a.sock") && text.contains("No such file"), "{text}");
    }
}
