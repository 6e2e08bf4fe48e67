//! The one place that wires everything: supervisor, workers, shutdown.
//!
//! [`watch`] is the service; [`generate`] works on some files once. Both run the same jobs on the
//! same [`Service`]:
//!
//! `event → debounce → job on disk → worker → members → (fresh? cached? missing?) → one batch →
//! parsed bodies, cached and flushed → test file composed → written whole → ledger → job done`
//!
//! # Theory of operation
//!
//! **Tasks.** A `Supervisor` owns every long-running task by name and looks at each end: clean,
//! failed or panicked. `watcher` turns events into batches of changes, `intake` writes these down
//! as jobs together with the snapshot of the tree, and `worker 1..n` claim jobs. The watcher never
//! waits for a worker: between them is the queue, on disk.
//!
//! **A job** runs alone for its file. Whatever happens to it — an error, a newer save, a signal, a
//! panic — it is settled in the queue in one place (`workers`), and until then it is on disk as
//! running, so that a killed process finds it again.
//!
//! **The tree** is written in one place (`tree`), whole or not at all, and only if the file still
//! is what was read.

mod attend;
mod caches;
mod calls;
mod control;
mod doctor;
mod error;
mod files;
mod folders;
mod homes;
mod host;
mod intake;
mod merge;
mod model;
mod notice;
mod notify;
mod oneshot;
mod paths;
mod preview;
mod process;
mod recheck;
mod reload;
mod report;
mod review;
mod run;
mod service;
mod settings;
mod signals;
mod spending;
mod state_version;
mod supervisor;
mod told;
mod tree;
mod verification;
mod workers;

pub use caches::{StoredCache, cache_report, clear_cache, collect_garbage};
pub use control::{file_offline, jobs_offline, lifted_budget, status_offline};
pub use doctor::{
    MissingWall, ModelCheck, SandboxCheck, Survey, check_model, check_sandbox, free_space, survey,
};
pub use error::DaemonError;
pub use host::Host;
pub use oneshot::{Mode, Progress, Totals, generate};
pub use paths::{find_root, is_root, state_dir};
pub use reload::Reload;
pub use report::{JobReport, Outcome, WaitsOn};
pub use review::{Review, review_offline};
pub use run::{Watched, watch};
pub use service::{Service, ServiceOptions};
pub use signals::stop_signal;
pub use spending::{BUDGET_REASON, today, usage_report};
pub use state_version::check as check_state_version;
pub use testsmith_usage::{
    By, Cost, Day, Figures, Money, PRICES_DATE, PRICES_SOURCE, Report, ReportRow, Standing, Used,
};
pub use verification::HeldBack;

pub use testsmith_control::{Preview, Selection};
