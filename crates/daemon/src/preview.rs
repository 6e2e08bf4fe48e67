//! What a run would write, as a unified diff, without writing it.

use std::time::SystemTime;

use testsmith_control::Preview;
use testsmith_domain::{Job, JobCause, JobId, JobState, Lane, RelPath};
use testsmith_generate::Decision;
use testsmith_usage::attribute;

use crate::merge::Merge;
use crate::process::{Prepared, Run};
use crate::report::Outcome;
use crate::review::unified;
use crate::service::Service;
use crate::spending::origin;

/// Shows what bringing `path` up to date would write. With `ask`, the model is asked for what is
/// not cached, and its answers are kept.
pub(crate) async fn preview(service: &Service, root: &str, path: &RelPath, ask: bool) -> Preview {
    let job = Job {
        id: JobId(0),
        root: root.to_owned(),
        path: path.clone(),
        content: None,
        lane: Lane::Interactive,
        cause: JobCause::AskedFor,
        woken: None,
        failures: 0,
        panics: 0,
        enqueued: SystemTime::now(),
        state: JobState::Running,
    };
    let mut preview = Preview {
        path: path.clone(),
        test_path: None,
        diff: String::new(),
        to_ask: Vec::new(),
        hits: 0,
        attempts: 0,
        outcome: None,
        reason: None,
        failed: false,
    };
    let filling = fill(service, &job, ask, &mut preview);
    if let (Err(outcome), _) = attribute(origin(&job), filling).await {
        preview.outcome = Some(outcome.as_str().to_owned());
        preview.reason = outcome.reason();
        preview.failed = outcome.is_failure();
    }
    preview
}

async fn fill(
    service: &Service,
    job: &Job,
    ask: bool,
    preview: &mut Preview,
) -> Result<(), Outcome> {
    let mut run = Run::new(service, job);
    let (project, driver) = run.place()?;
    let Some(Prepared { request, existing }) = run.prepare(&project, &driver).await? else {
        return Err(Outcome::Skipped {
            reason: "there is no such file".to_owned(),
        });
    };
    let result = if ask {
        run.pipeline().run(&request, std::future::pending()).await
    } else {
        run.pipeline().preview(&request).await
    };
    preview.hits = result.hits;
    preview.attempts = result.effort.attempts;
    preview.to_ask = result
        .decisions
        .iter()
        .filter(|(.., decision)| *decision == Decision::Unanswered)
        .map(|(member, ..)| member.clone())
        .collect();
    preview.test_path = Some(request.file.test_path.clone());
    let mut merge = Merge::new(request, result);
    let (new, _) = merge.compose(existing.as_deref()).await?;
    preview.diff = diff(&merge.file.test_path, existing.as_deref(), new.as_deref());
    if let Some(error) = &merge.result.error {
        return Err(service.failed_call(job, error));
    }
    let without = merge.without();
    if without.is_empty() {
        return Ok(());
    }
    Err(Outcome::Parked {
        reason: crate::report::Without(&without).to_string(),
    })
}

/// A unified diff as `patch` takes it.
pub(crate) fn diff(path: &RelPath, old: Option<&str>, new: Option<&str>) -> String {
    if old == new {
        return String::new();
    }
    let name = |side: &str, text: Option<&str>| match text {
        Some(_) => format!("{side}/{path}"),
        None => "/dev/null".to_owned(),
    };
    unified(
        old.unwrap_or_default(),
        new.unwrap_or_default(),
        (&name("a", old), &name("b", new)),
    )
}
