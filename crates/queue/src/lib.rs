//! The durable job queue, with the snapshot and the ledger beside it.
