//! Pure decisions over the nouns: check, plan, diff, order, judge. No I/O, no async.
