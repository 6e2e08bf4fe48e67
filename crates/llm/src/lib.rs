//! The reliability stack: retry → semaphore → provider.
//!
//! One call to a language model, made as reliable as it can be, behind domain's
//! [`Provider`](testsmith_domain::Provider):
//!
//! ```no_run
//! # async fn example(request: testsmith_domain::CompletionRequest)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use testsmith_llm::{StackSettings, build};
//!
//! let stack = build(&StackSettings::default(), &|name| std::env::var(name).ok(), None).await?;
//! println!("{}", stack.description);
//! if let Some(provider) = stack.provider {
//!     println!("{}", provider.complete(&request).await?.content);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Theory of operation
//!
//! [`build`] is the one place where the stack is put together: [`Retry`] around [`Limited`]
//! around a provider over HTTP. Each is a plain struct that implements `Provider`.
//!
//! - **Retry** is the only loop. It asks again after what may pass, with the contract's waits, and
//!   waits as long as the server says. It holds nothing while it waits.
//! - **The circuit breaker** is before it: a provider whose calls fail one after the other is left
//!   alone, and looked at by one call with one attempt now and then.
//! - **The chain** is around all of that if there are fallback models: each of its links has its own,
//!   and all share the semaphore. A call goes on to the next link when one cannot answer.
//! - **The meter and the pace** come before each attempt: what it may cost is set aside, and it waits
//!   for its turn under the limits per minute. Neither holds a permit.
//! - **The semaphore** is inside the loop: one attempt, one permit. The permit lives in the
//!   attempt's future, so that it comes back when the future ends, fails, panics or is dropped.
//!   Dropping a call's future is how a call is cancelled.
//! - **The [`Gate`]** is shared by all calls. A 429, 503 or 529 that says how long to wait shuts
//!   it; every attempt of every call then waits before it queues for a permit, and once more looks
//!   at the gate when it has one.
//! - **A reload** builds a stack in place of another with [`build_in_place`]: permits and pace are
//!   [`Shared`], so that old and new calls together keep to the limits.
//! - **The provider** sends one request, reads one reply of bounded size, and tells what it means:
//!   an answer, or an error whose kind says whether asking again can help. If the reply teaches it
//!   that the server does not take a parameter, it remembers that, and retry sends the call again
//!   at once; such a request has its own permit and is no attempt.
//!
//! Time is tokio's throughout, so that tests assert waits to the millisecond on a paused clock.
//!
//! Keys are in [`secrecy::SecretString`] or in headers marked as sensitive, and are taken out of
//! whatever a server says before it is shown.

mod adapt;
mod breaker;
mod chain;
mod choose;
mod classify;
mod factory;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod gauge;
mod hints;
mod http;
#[cfg(test)]
mod interleaved;
mod key;
mod limit;
mod models;
mod pace;
mod permits;
mod redact;
mod retry;
mod retry_budget;
mod settings;
#[cfg(test)]
mod testing;
mod wire;

pub use breaker::{Breaker, Circuit, Recovery};
pub use factory::{BuildError, Env, Link, Shared, Stack, build, build_in_place};
pub use gate::Gate;
pub use gauge::{Gauge, GaugeReading};
pub use limit::Limited;
pub use pace::{Pace, Rates};
pub use permits::Permits;
pub use retry::Retry;
pub use settings::{Jitter, LinkSettings, ProviderChoice, RetrySettings, StackSettings, Timeouts};
