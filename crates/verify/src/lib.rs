//! Runs candidate tests in a sandbox and says what became of each.
