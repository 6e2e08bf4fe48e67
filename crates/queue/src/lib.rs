//! The durable job queue, with the snapshot and the ledger beside it.
//!
//! ```
//! use testsmith_domain::{ContentHash, FileStamp, JobCause, Lane, RelPath};
//! use testsmith_queue::{Intake, NewJob, Outcome, Queue};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let state = tempfile::tempdir()?;
//! let (queue, _) = Queue::open(&state.path().join("jobs.sled")).await?;
//! let path = RelPath::new("shop/cart.go")?;
//! let hash = ContentHash::of(b"package shop");
//! let stamp = FileStamp { size: 12, mtime_ns: 0, ctime_ns: 0, inode: 7, hash };
//! queue
//!     .commit(Intake {
//!         root: "/home/me/shop".into(),
//!         seen: vec![(path.clone(), stamp)],
//!         gone: Vec::new(),
//!         jobs: vec![NewJob {
//!             path,
//!             content: Some(hash),
//!             lane: Lane::Interactive,
//!             cause: JobCause::Changed,
//!         }],
//!         complete: true,
//!         ..Intake::default()
//!     })
//!     .await?; // from here on no crash loses it
//!
//! let claimed = queue.claim().await;
//! assert_eq!(claimed.job.path.as_str(), "shop/cart.go");
//! queue.finish(&claimed.job, Outcome::Done, None).await?;
//! assert!(queue.is_idle());
//! # Ok(())
//! # }
//! ```
//!
//! # Theory of operation
//!
//! **One job for each file.** Jobs are kept under (root, path), so a newer change overwrites an
//! older one. A job that is being worked on is out of reach for that: it is told to stop by its
//! [`Claimed::superseded`], and the newer one is not given out before the older one has been
//! finished, so that no two workers are ever on one file.
//!
//! **Memory leads, the disk follows.** All jobs are in memory while the queue is open. A change is
//! written in one batch with all that belongs to it (the jobs of an intake with the stamps that
//! caused them, a job's end with its ledger entry), then applied. What could not be written
//! because the disk was full is *dirty*: in force at once, and part of the next batch that can be
//! written. [`Queue::commit`] alone refuses in that case, since its caller can ask again. No job
//! is given out while the disk is out of order: what it would pay for could not be kept.
//!
//! **Which writes are flushed.** Intakes, ends, wakes and ledger changes are on disk when the call
//! returns. The mark that a job is running is written, but not flushed: if it is lost, the job is
//! found pending, which is what a running job of a dead process becomes anyway.
//!
//! **Snapshot and jobs agree.** Both are in the same batch, so what a crash leaves has either both
//! or neither. Damage could leave a snapshot that knows of a change whose job is gone. Therefore a
//! tally over all jobs is written with every batch; if it does not match when the queue is
//! opened, the snapshots are dropped and [`Recovered::rescan`] says so: every file then looks new,
//! which costs a look at each, and a call only for what was never answered before.
//!
//! **Waits are on tokio's clock.** The moment a job waits for is kept as wall time, but while the
//! process runs it counts on the monotonic clock, so a clock that is set does not matter; after a
//! restart no job waits longer than a day.
//!
//! # Records, format 1
//!
//! `root` is the first eight bytes of the SHA-256 of the root's path. Numbers are big-endian.
//!
//! | Key | Value |
//! |---|---|
//! | `m` | next job id, tally: 8 bytes each |
//! | `r` root | the root's path; there once its first snapshot is complete |
//! | `j` root path | the job, as JSON |
//! | `l` root path | the ledger's entry, as JSON |
//! | `h` root path | what the file's last runs decided, as JSON: see `history.rs` |
//! | `d` root folder `00` number | stamps of up to 256 files of a folder: see `pieces.rs` |

mod claimed;
mod dropping;
mod error;
mod found;
mod history;
mod intake;
mod keys;
mod observer;
mod pieces;
mod queue;
mod review;
mod state;
mod taking;
mod work;

pub use claimed::Claimed;
pub use error::QueueError;
pub use intake::{Counts, Intake, LedgerUpdate, NewJob, Outcome, Recovered};
pub use queue::Queue;
