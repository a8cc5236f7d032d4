//! A client for OVSDB (RFC 7047). Knows nothing of labs.
