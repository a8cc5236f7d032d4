//! Problems: what an answer says when a request was refused or failed (RFC 9457).

use archetype_model::topology;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::codes;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was refused or failed: RFC 9457, with a stable code and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    /// The page that describes it: `/docs/problems/<code>`.
    #[serde(rename = "type")]
    pub page: String,
    /// What sort of problem it is, the same for every occurrence.
    pub title: String,
    /// The HTTP status it came with.
    pub status: u16,
    /// What happened this time, in a sentence.
    pub detail: String,
    /// The path that was asked.
    pub instance: Option<String>,
    /// Stable, in kebab case, for programs.
    pub code: String,
    /// What a person can do.
    pub hint: Option<String>,
    /// Each thing wrong with a topology file, where that was the reason.
    #[serde(default)]
    pub problems: Vec<FileProblem>,
}

/// One thing wrong with a topology, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct FileProblem {
    /// Stable, in kebab case, for programs.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// The topology file as the user named it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The character within the line, from 1.
    pub column: u32,
    /// What to do about it.
    pub hint: Option<String>,
    /// The other place that it is about, where two places do not go together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also: Option<OtherPlace>,
}

/// Another place of a topology.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct OtherPlace {
    /// Its file; absent where it is that of the problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    pub line: u32,
    /// The character within the line, from 1.
    pub column: u32,
}

impl Problem {
    /// A problem of this code; its title is the code's meaning.
    pub fn new(status: u16, code: &str, detail: impl Into<String>) -> Self {
        Self {
            page: format!("/docs/problems/{code}"),
            title: codes::meaning(code).unwrap_or("Something that this version has no words for").to_string(),
            status,
            detail: detail.into(),
            instance: None,
            code: code.to_string(),
            hint: None,
            problems: Vec::new(),
        }
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem with everything that is wrong with the file.
    #[must_use]
    pub fn with(mut self, problems: Vec<FileProblem>) -> Self {
        self.problems = problems;
        self
    }

    /// The same problem, met at this path.
    #[must_use]
    pub fn at(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }
}

impl From<topology::Problem> for FileProblem {
    fn from(problem: topology::Problem) -> Self {
        Self {
            code: problem.code.into_owned(),
            message: problem.message,
            file: problem.file,
            line: problem.line,
            column: problem.column,
            hint: problem.hint,
            also: problem.also.map(|at| OtherPlace { file: None, line: at.line, column: at.column }),
        }
    }
}

/// `file:line:column: message [code]`, and the hint on a line of its own.
impl std::fmt::Display for FileProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}: {} [{}]", self.file, self.line, self.column, self.message, self.code)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  hint: {hint}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_leads_to_the_page_of_its_code() {
        let problem = Problem::new(404, codes::LAB_UNKNOWN, "there is no lab x");
        assert_eq!(problem.page, "/docs/problems/lab-unknown");
        assert_eq!(serde_json::to_value(&problem).unwrap()["type"], "/docs/problems/lab-unknown");
    }
}
