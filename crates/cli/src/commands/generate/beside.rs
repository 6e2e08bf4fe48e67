//! `generate --dry-run` while a daemon runs on the state: it looks, and we show.

use futures_util::{StreamExt as _, stream};
use testsmith_control::{ClientError, EnqueueRequest, PreviewRequest, Selection};
use testsmith_daemon::Totals;
use testsmith_domain::CacheStats;

use super::{Screen, absolute, tell_whose_settings};
use crate::args::{GenerateArgs, Global};
use crate::context::Context;
use crate::{block_on, exit, output};

/// Files looked at at once. How many calls are open at once is the daemon's to say.
const AT_ONCE: usize = 8;

/// Shows what the daemon would write; `None` if none runs.
pub(super) fn run(
    global: &Global,
    args: &GenerateArgs,
    context: &Context,
    selection: &Selection,
) -> anyhow::Result<Option<u8>> {
    match block_on(show(global, args, context, selection))? {
        Ok(totals) => {
            if global.verbose
                && let Some(cache) = totals.cache
            {
                output::line(cache)?;
            }
            let failed = totals.failed > 0;
            Ok(Some(if failed { exit::FAILED } else { exit::OK }))
        }
        Err(error) => match error.downcast_ref::<ClientError>() {
            Some(ClientError::NoDaemon(_)) => Ok(None),
            _ => Err(error),
        },
    }
}

async fn show(
    global: &Global,
    args: &GenerateArgs,
    context: &Context,
    selection: &Selection,
) -> anyhow::Result<Totals> {
    let client = context.client();
    let request = EnqueueRequest {
        root: context.root.clone(),
        selection: absolute(selection)?,
        prefer: false,
    };
    let paths = client.select(&request).await?.paths;
    tell_whose_settings(global);
    let mut totals = Totals {
        files: paths.len(),
        ..Totals::default()
    };
    let mut screen = Screen::new(args.json, true);
    let looked_at = paths.into_iter().map(|path| {
        let (client, root, ask) = (client.clone(), context.root.clone(), args.llm);
        async move { client.preview(&PreviewRequest { root, path, ask }).await }
    });
    let mut previews = stream::iter(looked_at).buffered(AT_ONCE);
    while let Some(preview) = previews.next().await {
        let preview = preview?;
        totals.failed += usize::from(preview.failed);
        totals.requests += u64::from(preview.attempts);
        screen.show_preview(&preview);
    }
    let cache = client.cache().await?;
    totals.cache = Some(CacheStats {
        hits: cache.hits,
        misses: cache.misses,
        entries: cache.entries,
    });
    screen.finish(&totals)?;
    Ok(totals)
}

impl Screen {
    fn show_preview(&mut self, preview: &testsmith_control::Preview) {
        if let Err(error) = self.previewed(preview) {
            self.failure.get_or_insert(error);
        }
    }
}
