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
                let names = self.names(&problem.code, lab).await;
                let missed =
                    if problem.code == codes::LAB_UNKNOWN { lab.map_or(wanted, LabName::as_str) } else { wanted };
                problem.hint = closest(missed, names).map(|name| format!("did you mean {name}?")).or(problem.hint);
                Err(ClientError::Refused(problem).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The names there are, of the sort that this refusal is about.
    async fn names(&self, code: &str, lab: Option<&LabName>) -> Vec<String> {
        if code == codes::LAB_UNKNOWN {
            let labs = self.client.labs().await.map(|labs| labs.labs).unwrap_or_default();
            return labs.into_iter().map(|lab| lab.name.into()).collect();
        }
        let (Some(lab), codes::NODE_UNKNOWN | codes::LINK_UNKNOWN) = (lab, code) else { return Vec::new() };
        let Ok(lab) = self.client.lab(lab).await else { return Vec::new() };
        if code == codes::NODE_UNKNOWN {
            return lab.nodes.into_iter().map(|node| node.name.into()).collect();
        }
        let ends = lab.links.iter().flat_map(|link| &link.endpoints);
        ends.map(|end| format!("{}:{}", end.node, end.interface)).collect()
    }
}

/// The name that was most likely meant.
pub fn closest(wanted: &str, names: Vec<String>) -> Option<String> {
    let wanted = wanted.to_lowercase();
    let rated = names.into_iter().map(|name| (strsim::jaro_winkler(&name.to_lowercase(), &wanted), name));
    let best = rated.filter(|(close, _)| *close > CLOSE).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_name_is_offered_and_a_far_one_is_not() {
        let names = || vec!["router1".to_owned(), "pc".to_owned()];
        assert_eq!(closest("Ruoter1", names()).as_deref(), Some("router1"));
        assert_eq!(closest("zzz", names()), None);
        assert_eq!(closest("zzz", Vec::new()), None);
    }
}
