//! Reads, changes and watches one Linux host.
