//! Keeps what is wanted, plans it, hands it out, tells what is so.
