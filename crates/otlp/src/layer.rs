//! The spans that are taken up, and what of them.

use std::fmt::Debug;
use std::time::SystemTime;

use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// Takes up the spans of jobs, batches and attempts.
#[derive(Debug)]
pub struct SpanLayer {
    finished: mpsc::Sender<Finished>,
}

/// What a span is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file's job.
    Job,
    /// The members of a file that are found or asked for together.
    Batch,
    /// One request to the model.
    Attempt,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
    Real(f64),
    Truth(bool),
    /// A list of one.
    Texts(String),
}

/// A span that runs.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) kind: Kind,
    pub(crate) trace: [u8; 16],
    pub(crate) id: [u8; 8],
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) began: SystemTime,
    pub(crate) attributes: Vec<(&'static str, Value)>,
}

/// One that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) span: Open,
    pub(crate) ended: SystemTime,
}

impl Kind {
    fn of(name: &str, target: &str) -> Option<Self> {
        if !target.starts_with("testsmith") {
            return None;
        }
        match name {
            "job" => Some(Self::Job),
            "member_batch" => Some(Self::Batch),
            "attempt" => Some(Self::Attempt),
            _ => None,
        }
    }

    /// The attribute that a field becomes. What is not listed here stays here: words of servers and
    /// of the toolchain can hold a prompt's, or source.
    fn attribute(self, field: &str) -> Option<&'static str> {
        Some(match (self, field) {
            (Self::Job, "job_id") => "testsmith.job.id",
            (Self::Job, "path") => "testsmith.path",
            (Self::Job, "outcome") => "testsmith.outcome",
            (Self::Job, "cache_hits") => "testsmith.cache.hits",
            (Self::Job, "cache_misses") => "testsmith.cache.misses",
            (Self::Job, "cost_usd") => "testsmith.cost_usd",
            (Self::Job | Self::Batch, "members") => "testsmith.members",
            (Self::Job | Self::Batch, "calls") => "testsmith.calls",
            (Self::Job | Self::Batch, "tokens_in") => "testsmith.input_tokens",
            (Self::Job | Self::Batch, "tokens_out") => "testsmith.output_tokens",
            (Self::Job, "attempts") => "testsmith.attempts",
            (Self::Attempt, "provider") => "gen_ai.provider.name",
            (Self::Attempt, "model") => "gen_ai.request.model",
            (Self::Attempt, "max_tokens") => "gen_ai.request.max_tokens",
            (Self::Attempt, "temperature") => "gen_ai.request.temperature",
            (Self::Attempt, "finish") => "gen_ai.response.finish_reasons",
            (Self::Attempt, "tokens_in") => "gen_ai.usage.input_tokens",
            (Self::Attempt, "tokens_out") => "gen_ai.usage.output_tokens",
            (Self::Attempt, "attempt") => "testsmith.attempt",
            (Self::Attempt, "wait_ms") => "testsmith.wait_ms",
            (Self::Attempt, "status") => "http.response.status_code",
            (Self::Attempt, "kind") => "error.type",
            _ => return None,
        })
    }

    /// Whether an event tells how such a span ended.
    fn tells_the_end(self, event: &Event<'_>) -> bool {
        let has = |name| event.metadata().fields().field(name).is_some();
        match self {
            Self::Job => has("outcome"),
            Self::Attempt => has("kind"),
            Self::Batch => false,
        }
    }
}

impl SpanLayer {
    pub(crate) const fn new(finished: mpsc::Sender<Finished>) -> Self {
        Self { finished }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        let (Some(kind), Some(span)) = (
            Kind::of(metadata.name(), metadata.target()),
            context.span(id),
        ) else {
            return;
        };
        let above = span.parent().and_then(|parent| nearest(&parent));
        let mut open = Open {
            kind,
            trace: above.map_or_else(rand::random, |(trace, _)| trace),
            id: rand::random(),
            parent: above.map(|(_, id)| id),
            began: SystemTime::now(),
            attributes: Vec::new(),
        };
        attributes.record(&mut open);
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(open);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(spans) = context.event_scope(event) else {
            return;
        };
        for span in spans {
            if let Some(open) = span.extensions_mut().get_mut::<Open>() {
                if open.kind.tells_the_end(event) {
                    event.record(open);
                }
                return;
            }
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let Some(span) = span.extensions_mut().remove::<Open>() else {
            return;
        };
        // Full means that the collector does not keep up: work goes before its picture.
        let _ = self.finished.try_send(Finished {
            span,
            ended: SystemTime::now(),
        });
    }
}

/// The trace and the id of the nearest span that is taken up, from this one on.
fn nearest<'a, S: LookupSpan<'a>>(from: &SpanRef<'a, S>) -> Option<([u8; 16], [u8; 8])> {
    from.scope().find_map(|span| {
        let extensions = span.extensions();
        let open = extensions.get::<Open>()?;
        Some((open.trace, open.id))
    })
}

impl Open {
    fn set(&mut self, field: &Field, value: Value) {
        let Some(name) = self.kind.attribute(field.name()) else {
            return;
        };
        let value = match value {
            Value::Text(reason) if name == "gen_ai.response.finish_reasons" => Value::Texts(reason),
            value => value,
        };
        match self.attributes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.attributes.push((name, value)),
        }
    }
}

impl Visit for Open {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Value::Number(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(
            field,
            Value::Number(i64::try_from(value).unwrap_or(i64::MAX)),
        );
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, Value::Real(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, Value::Truth(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, Value::Text(value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, Value::Text(format!("{value:?}")));
    }
}
