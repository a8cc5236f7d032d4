//! Holds the accepted spec of one host and keeps it true.
