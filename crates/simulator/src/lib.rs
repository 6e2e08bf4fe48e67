//! A model server with faults on demand: for tests, the demo and benchmarks.
//!
//! It listens on loopback, speaks the protocols of OpenAI, Anthropic and Ollama, and answers the
//! prompts of testsmith's generator with real tests: for simple functions of Go, Python,
//! TypeScript and JavaScript they compile and pass. A [`Script`] says how long answers take and
//! what goes wrong with them; the log of requests ([`RequestRecord`]) is the witness of how many
//! calls there were, when, and how many at once.
//!
//! ```
//! use std::time::Duration;
//! use testsmith_simulator::{Fault, Latency, RetryAfter, Rule, Script, Simulator};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), testsmith_simulator::BindError> {
//! let busy = Fault::status(429).retry_after(RetryAfter::Seconds(1.0));
//! let script = Script::default()
//!     .seed(7)
//!     .latency(Latency::fixed(Duration::from_millis(200)))
//!     .rule(Rule::from(busy).first(2))
//!     .rule(Rule::from(Fault::Hang).member("Cart.Total").times(1));
//! let sim = Simulator::start(script).await?;
//! println!("[llm]\nbase_url = \"{}\"", sim.openai_base_url());
//! // … let something ask it …
//! assert_eq!(sim.log().len(), 0);
//! sim.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! The same script as a file, for `testsmith simulate --script`:
//!
//! ```
//! let script = testsmith_simulator::Script::from_toml(r#"
//! seed = 7
//! latency = { kind = "fixed", ms = 200 }
//!
//! [[rules]]
//! when = { first = 2 }
//! fault = { kind = "status", status = 429, body = "rate_limit", retry_after = { seconds = 1 } }
//!
//! [[rules]]
//! when = { member = "Cart.Total", times = 1 }
//! fault = { kind = "hang" }
//!
//! [[rules]]  # two of five members get code that fails, the same ones each time
//! when = { probability = 0.4 }
//! fault = { kind = "body", bad = "fails", heals = true }
//! "#).unwrap();
//! assert_eq!(script.rules.len(), 3);
//! ```
//!
//! # Theory of operation
//!
//! A request is read into an `Ask`, whatever endpoint it came by, checked as a real server would,
//! and entered in the log. The director goes through the script's rules and makes a plan: a fault
//! for the whole reply or none, members whose code is to be bad, and a delay. The answer is
//! written (`write` finds the members in the prompt's source and interprets simple bodies to know
//! what to assert), misshapen if the plan says so, and put into the endpoint's form. The body
//! stream notes in the log whether the client took it whole.
//!
//! Chance is drawn from the seed, the question and how often it was asked, never from the order of
//! arrival: two runs that ask the same get the same, however their requests interleave. Counting
//! selectors (`nth`, `every`, `first`) do go by arrival.
//!
//! Connections are served by an accept loop of our own, so that they can be reset, and so that
//! stopping closes all of them at once: a provider that is down. At its side are two pages for
//! people and other processes: `GET` and `DELETE /log`, `GET` and `POST /script`.

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
