//! `testsmith cache …`.

mod export;
mod file;
mod import;
mod place;

use serde_json::json;
use testsmith_control::{CacheInfo, Cleared, Gc};

use crate::args::{CacheCommand, Global};
use crate::context::Context;
use crate::output::counted;
use crate::{block_on, exit, output, remote};

pub(crate) fn run(global: &Global, command: &CacheCommand) -> anyhow::Result<u8> {
    let context = Context::to_ask(global, None)?;
    match command {
        CacheCommand::Stats { json } => stats(&context, *json)?,
        CacheCommand::Gc { json } => gc(&context, *json)?,
        CacheCommand::Clear { json } => clear(&context, *json)?,
        CacheCommand::Export { file, json } => export::run(&context, file.as_deref(), *json)?,
        CacheCommand::Import { file, json } => import::run(&context, file.as_deref(), *json)?,
    }
    Ok(exit::OK)
}

fn stats(context: &Context, json: bool) -> anyhow::Result<()> {
    let settings = &context.loaded.settings;
    let info = block_on(async {
        if let Some(info) = remote::if_running(context.client().cache().await)? {
            return anyhow::Ok(info);
        }
        Ok(testsmith_daemon::cache_report(&context.state_dir, settings).await?)
    })??;
    let CacheInfo {
        lifetime_hits,
        lifetime_misses,
        entries,
        bytes,
        max_bytes,
        ..
    } = info;
    if json {
        return output::json(&json!({
            "hits": lifetime_hits,
            "misses": lifetime_misses,
            "entries": entries,
            "bytes": bytes,
            "max_bytes": max_bytes,
            "state_dir": context.state_dir,
        }));
    }
    output::line(format_args!(
        "LLM cache — hits: {lifetime_hits} misses: {lifetime_misses} entries: {entries}"
    ))?;
    output::line(format_args!(
        "{bytes} bytes of {} in {}",
        settings.cache.max_size,
        context.state_dir.display()
    ))
}

fn clear(context: &Context, json: bool) -> anyhow::Result<()> {
    let done = block_on(async {
        if let Some(done) = remote::answered(context.client().clear().await)? {
            return anyhow::Ok(done);
        }
        let settings = &context.loaded.settings;
        let forgotten = testsmith_daemon::clear_cache(&context.state_dir, settings).await?;
        Ok(Cleared { forgotten })
    })??;
    if json {
        return output::json(&done);
    }
    output::line(format_args!(
        "{} forgotten",
        counted(done.forgotten, "answer")
    ))
}

fn gc(context: &Context, json: bool) -> anyhow::Result<()> {
    let done = block_on(async {
        if let Some(done) = remote::answered(context.client().gc().await)? {
            return anyhow::Ok(done);
        }
        let settings = &context.loaded.settings;
        Ok(testsmith_daemon::collect_garbage(&context.state_dir, settings).await?)
    })??;
    if json {
        return output::json(&done);
    }
    let Gc {
        removed,
        entries,
        bytes,
    } = done;
    output::line(format_args!(
        "{} removed, {entries} kept ({bytes} bytes)",
        counted(removed, "answer")
    ))
}
