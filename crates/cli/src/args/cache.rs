//! Arguments of `cache …`.

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};

/// `cache …`.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Hits and misses over the cache's life, and what it holds now
    #[command(after_help = "Example:\n  testsmith cache stats --json")]
    Stats {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove answers that are too old or too many; this happens by itself as well
    #[command(after_help = "Example:\n  testsmith cache gc")]
    Gc {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget every answer; they are paid for again when needed
    #[command(after_help = "Example:\n  testsmith cache clear")]
    Clear {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write the answers into a file that another cache can import
    #[command(after_help = "\
Examples:
  testsmith cache export answers.jsonl
  testsmith cache export | zstd > answers.jsonl.zst

One answer a line, in the order of their keys: two exports of one cache are the same bytes. The file
is for its owner alone. Who has it can read the tests, and from them much of your code.")]
    Export {
        /// The file; it is exchanged as a whole [default: standard output, as -]
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        /// Print JSON on what was written; needs FILE
        #[arg(long)]
        json: bool,
    },
    /// Take in the answers of another cache
    #[command(after_help = "\
Examples:
  testsmith cache import answers.jsonl
  zstd -dc answers.jsonl.zst | testsmith cache import

Import only from those you trust: what is in the file becomes tests in your tree, run in the sandbox
first like a model's own answers, where verify.mode does not switch that off.

Answers that are there already stay as they are, and those older than cache.max_age are not taken.
Imported answers go first when the cache is full, until they are used.")]
    Import {
        /// The file [default: standard input, as -]
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}
