//! The nouns of Archetype, each constructible only if valid. No I/O, no async, no clock, no randomness.
