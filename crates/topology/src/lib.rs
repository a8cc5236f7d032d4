//! Topology files in: containerlab's format, unchanged.
