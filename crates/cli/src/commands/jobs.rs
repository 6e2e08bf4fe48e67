//! `testsmith jobs`.

use anstyle::Style;
use testsmith_control::{JobInfo, JobsQuery};

use crate::args::{Global, JobsArgs};
use crate::context::Context;
use crate::output::{brief, duration, escape};
use crate::{block_on, exit, output, remote};

pub(crate) fn run(global: &Global, args: &JobsArgs) -> anyhow::Result<u8> {
    let context = Context::to_ask(global, None)?;
    let query = JobsQuery {
        states: args.state.clone(),
        path: args
            .path
            .as_deref()
            .map(|path| remote::pattern(&context, path)),
        limit: None,
    };
    let found = block_on(async {
        if let Some(jobs) = remote::if_running(context.client().jobs(&query).await)? {
            return anyhow::Ok(jobs);
        }
        Ok(testsmith_daemon::jobs_offline(&context.state_dir, &query).await?)
    })??;
    if args.json {
        output::json(&found)?;
        return Ok(exit::OK);
    }
    if found.jobs.is_empty() {
        output::note("no jobs");
    }
    if !found.jobs.is_empty() {
        let bold = Style::new().bold();
        output::line(format_args!(
            "{bold}{:8} {:>12} {:<6} FILE{bold:#}",
            "STATE", "AGE", "JOB"
        ))?;
    }
    let several = found.jobs.iter().any(|job| job.root != found.jobs[0].root);
    for job in &found.jobs {
        output::line(one_line(job, several))?;
    }
    Ok(exit::OK)
}

/// One job: state, age, number, file, and why it waits.
pub(crate) fn one_line(job: &JobInfo, with_root: bool) -> String {
    let age = duration(job.enqueued.age());
    let root = if with_root {
        format!("{}/", escape(&job.root))
    } else {
        String::new()
    };
    let path = escape(job.path.as_str());
    let gone = if job.removed { " (removed)" } else { "" };
    let until = job.until.map_or_else(String::new, |until| {
        format!("  again in {}", duration(until.rest()))
    });
    let reason = job
        .reason
        .as_deref()
        .or(job.woken.as_deref())
        .map_or_else(String::new, |reason| format!("  {}", brief(reason)));
    format!(
        "{:8} {age:>12} #{:<5} {root}{path}{gone}{until}{reason}",
        job.state, job.job_id
    )
}

#[cfg(test)]
mod tests {
    use testsmith_control::{JobKind, Timestamp};
    use testsmith_domain::{Lane, RelPath};

    use super::*;

    #[test]
    fn a_reason_of_pages_leaves_a_job_its_line() {
        let job = JobInfo {
            job_id: 7,
            root: "/src/shop".to_owned(),
            path: RelPath::new("cart.go").unwrap(),
            state: JobKind::Parked,
            lane: Lane::Bulk,
            enqueued: Timestamp::now(),
            failures: 0,
            until: None,
            reason: Some("cannot run tests just now: no space\n--- FAIL\n".repeat(200)),
            removed: false,
            woken: None,
        };
        let line = one_line(&job, false);
        assert!(
            line.ends_with("cart.go  cannot run tests just now: no space…"),
            "{line}"
        );
    }
}
