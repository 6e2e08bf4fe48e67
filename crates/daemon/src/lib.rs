//! The one place that wires everything: supervisor, workers, shutdown.
