//! Content-addressed answers that survive restarts.
