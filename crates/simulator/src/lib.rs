//! A model server with faults on demand.
mod answer;
mod api;
mod ask;
mod chance;
mod director;
mod prompt;
mod record;
mod reply;
mod routes;
mod script;
mod server;
mod write;

pub use record::{Counts, Endpoint, RequestRecord};
pub use script::{
    BadBody, Cut, Fault, Latency, Parameter, Preset, ResetPoint, RetryAfter, Rule, Script,
    ScriptError, Selector, UsageFault,
};
pub use server::{BindError, Simulator};
