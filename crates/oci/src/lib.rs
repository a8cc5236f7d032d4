//! The OCI runtime that containers start through.
