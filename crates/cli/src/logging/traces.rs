//! Traces for an OpenTelemetry collector, if this program was built with the feature `otlp` and the
//! standard variables name one.

use super::BoxedLayer;

/// As long as it lives, traces are sent; when it is dropped, the last of them.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    #[cfg(feature = "otlp")]
    _exporter: Option<testsmith_otlp::Exporter>,
}

/// Takes up spans at every level, whatever is logged.
#[cfg(feature = "otlp")]
pub(super) fn start() -> (Option<BoxedLayer>, Traces) {
    use testsmith_otlp::Settings;
    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::Layer as _;
    use tracing_subscriber::filter::Targets;

    let env = |name: &str| std::env::var(name).ok();
    let started = Settings::from_env(&env)
        .and_then(|settings| settings.as_ref().map(testsmith_otlp::start).transpose());
    match started {
        Ok(Some((layer, exporter))) => {
            let ours = Targets::new().with_target("testsmith", LevelFilter::DEBUG);
            let traces = Traces {
                _exporter: Some(exporter),
            };
            (Some(layer.with_filter(ours).boxed()), traces)
        }
        Ok(None) => (None, Traces::default()),
        Err(error) => {
            crate::output::note(format_args!("testsmith: no traces are sent: {error}"));
            (None, Traces::default())
        }
    }
}

/// There are none.
#[cfg(not(feature = "otlp"))]
pub(super) fn start() -> (Option<BoxedLayer>, Traces) {
    (None, Traces::default())
}
