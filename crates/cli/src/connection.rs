//! The way to the controller, and names that it does not know answered with those it does.

use std::future::Future;

use archetype_api::{Client, ClientError, Target, codes};
use archetype_model::LabName;

use crate::failure::Failure;

/// How close a name must be to be offered instead.
const CLOSE: f64 = 0.75;

/// A controller, and the lab that a command is about.
#[derive(Debug)]
pub struct Connection {
    client: Client,
}

impl Connection {
    /// A connection; nothing is dialled yet.
    pub fn new(target: Target) -> Result<Self, Failure> {
        Ok(Self { client: Client::new(target)? })
    }

    /// The typed client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What `call` answers; where a name is not known, the failure offers close ones.
    pub async fn ask<A>(
        &self,
        lab: Option<&LabName>,
        wanted: &str,
        call: impl Future<Output = Result<A, ClientError>>,
    ) -> Result<A, Failure> {
        match call.await {
            Ok(answer) => Ok(answer),
            Err(ClientError::Refused(mut problem)) => {
                if problem.hint.is_none() {
                    problem.hint = self.offer(&problem.code, lab, wanted).await;
                }
                Err(ClientError::Refused(problem).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What there is instead of a name that is not known.
    async fn offer(&self, code: &str, lab: Option<&LabName>, wanted: &str) -> Option<String> {
        match code {
            codes::LAB_UNKNOWN => {
                let labs = self.client.labs().await.ok()?.labs;
                let names = labs.iter().map(|lab| lab.name.to_string()).collect();
                Some(instead("lab", lab.map_or(wanted, LabName::as_str), names))
            }
            codes::NODE_UNKNOWN => {
                let lab = self.client.lab(lab?).await.ok()?;
                Some(instead("node", wanted, lab.nodes.iter().map(|node| node.name.to_string()).collect()))
            }
            codes::LINK_UNKNOWN => {
                let lab = self.client.lab(lab?).await.ok()?;
                let ends = lab.links.iter().flat_map(|link| &link.endpoints);
                Some(instead("link end", wanted, ends.map(|end| format!("{}:{}", end.node, end.interface)).collect()))
            }
            _ => None,
        }
    }
}

/// A sentence that offers the closest name, or tells the few there are.
fn instead(what: &str, wanted: &str, mut names: Vec<String>) -> String {
    let rated = names.iter().map(|name| (strsim::jaro_winkler(&name.to_lowercase(), &wanted.to_lowercase()), name));
    let best = rated.filter(|(close, _)| *close > CLOSE).max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((_, name)) = best {
        return format!("did you mean {name}?");
    }
    names.sort();
    match names.len() {
        0 => format!("there is no {what} at all"),
        1..=8 => format!("there is: {}", names.join(", ")),
        more => format!("there are {more}: {}, …", names[..8].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_name_is_offered() {
        let names = || vec!["router1".to_owned(), "pc".to_owned()];
        assert_eq!(instead("node", "Ruoter1", names()), "did you mean router1?");
        assert_eq!(instead("node", "zzz", names()), "there is: pc, router1");
        assert_eq!(instead("lab", "zzz", Vec::new()), "there is no lab at all");
    }
}
