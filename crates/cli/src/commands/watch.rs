//! `testsmith watch`.

use std::path::PathBuf;

use anyhow::Context as _;
use testsmith_daemon::ServiceOptions;

use crate::args::{Global, WatchArgs};
use crate::context::Context;
use crate::{exit, output, runtime};

pub(crate) fn run(global: &Global, args: &WatchArgs) -> anyhow::Result<u8> {
    let roots = args
        .roots
        .iter()
        .map(|root| {
            let real = root
                .canonicalize()
                .with_context(|| format!("cannot watch `{}`", root.display()))?;
            anyhow::ensure!(
                real.is_dir(),
                "cannot watch `{}`: it is no folder",
                root.display()
            );
            Ok(real)
        })
        .collect::<anyhow::Result<Vec<PathBuf>>>()?;
    let context = match roots.first() {
        Some(root) => Context::at(global, root.clone())?,
        None => Context::of(global, None)?,
    };
    context.warn();
    let options = ServiceOptions {
        roots: if roots.is_empty() {
            vec![context.root.clone()]
        } else {
            roots
        },
        state_dir: context.state_dir,
        settings: context.loaded.settings,
    };
    let cache = runtime()?.block_on(testsmith_daemon::watch(options, args.until_idle))?;
    if global.verbose
        && let Some(cache) = cache
    {
        output::line(cache)?;
    }
    Ok(exit::OK)
}
