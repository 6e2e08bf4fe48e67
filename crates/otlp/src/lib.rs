//! Traces for an OpenTelemetry collector: a job, its batches of members, and each attempt at the model,
//! by the conventions for generative models (`gen_ai.…`).
//!
//! ```no_run
//! # fn main() -> Result<(), testsmith_otlp::BadSettings> {
//! use tracing_subscriber::layer::SubscriberExt as _;
//!
//! let env = |name: &str| std::env::var(name).ok();
//! if let Some(settings) = testsmith_otlp::Settings::from_env(&env)? {
//!     let (layer, exporter) = testsmith_otlp::start(&settings)?;
//!     let subscriber = tracing_subscriber::registry().with(layer);
//!     // … and at the end, so that the last spans are sent:
//!     drop(exporter);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Theory of operation
//!
//! The spans are those of the log. [`SpanLayer`] keeps, of each, the fields that are on its list and no
//! others: no prompt, no answer, no source and no key can come along. When a span ends it goes into
//! a bounded channel; what does not fit is dropped, and nothing waits. [`Exporter`] is a thread with a
//! runtime of its own that sends what has gathered as OTLP over HTTP, in JSON.
//!
//! Nothing is sent unless the standard variables name an endpoint; a project's file cannot.

mod encode;
mod export;
mod layer;
mod settings;

pub use export::Exporter;
pub use layer::SpanLayer;
pub use settings::{BadSettings, Settings};

/// Spans that wait to be sent; more are dropped.
const WAITING: usize = 4096;

/// Begins to send. The layer takes the spans up, and dropping the exporter sends the last of them.
pub fn start(settings: &Settings) -> Result<(SpanLayer, Exporter), BadSettings> {
    let (sender, receiver) = tokio::sync::mpsc::channel(WAITING);
    let exporter = Exporter::start(settings, receiver)?;
    Ok((SpanLayer::new(sender), exporter))
}
