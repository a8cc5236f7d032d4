//! One network namespace made as declared. Synchronous netlink, no daemon.
