//! `testsmith cache …`.

use serde_json::json;
use testsmith_daemon::CacheReport;

use crate::args::{CacheCommand, Global};
use crate::context::Context;
use crate::{block_on, exit, output};

pub(crate) fn run(global: &Global, command: &CacheCommand) -> anyhow::Result<u8> {
    let context = Context::of(global, None)?;
    let settings = &context.loaded.settings;
    match command {
        CacheCommand::Stats { json } => {
            let read = testsmith_daemon::cache_report(&context.state_dir, settings);
            let CacheReport { lifetime, bytes } = block_on(read)??;
            if *json {
                output::json(&json!({
                    "hits": lifetime.hits,
                    "misses": lifetime.misses,
                    "entries": lifetime.entries,
                    "bytes": bytes,
                    "max_bytes": settings.cache.max_size.get(),
                    "state_dir": context.state_dir,
                }))?;
            } else {
                output::line(lifetime)?;
                output::line(format_args!(
                    "{bytes} bytes of {} in {}",
                    settings.cache.max_size,
                    context.state_dir.display()
                ))?;
            }
        }
        CacheCommand::Clear => {
            let cleared = testsmith_daemon::clear_cache(&context.state_dir, settings);
            let entries = block_on(cleared)??;
            output::line(format_args!("{entries} answers forgotten"))?;
        }
    }
    Ok(exit::OK)
}
