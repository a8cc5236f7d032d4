//! The HTTP contracts: requests, answers, problems.
