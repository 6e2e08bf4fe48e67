//! The crate's behaviour through its public interface, with fakes for the provider, the cache and
//! the language.
#![expect(
    clippy::unwrap_used,
    reason = "a test's helper fails its test by panicking"
)]

mod corpus;
mod cuts;
mod driver;
mod fakes;
mod fallback;
mod model;
mod pipeline;
mod secrets;
