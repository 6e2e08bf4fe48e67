//! `testsmith explain`: every decision on a file.

mod now;

use std::time::Duration;

use anyhow::{Context as _, bail};
use testsmith_control::{FileQuery, FileStory, Timestamp};
use testsmith_domain::{CANCELLED, MemberName, Step, Story};

use now::now;

use crate::args::{ExplainArgs, Global};
use crate::context::Context;
use crate::exit::UsageError;
use crate::output::{brief, duration, escape};
use crate::{block_on, exit, output, remote};

/// What is seen later than this was not held back by the debounce: nobody watched.
const DEBOUNCED: Duration = Duration::from_mins(1);

pub(crate) fn run(global: &Global, args: &ExplainArgs) -> anyhow::Result<u8> {
    let (file, member) = parts(&args.file);
    if std::path::Path::new(file).is_dir() {
        return Err(UsageError(format!(
            "`{file}` is a folder; name a file in it, or one of its members: `testsmith explain \
             {0}/FILE` or `{0}/FILE:MEMBER`",
            file.trim_end_matches('/')
        ))
        .into());
    }
    let nearest = std::path::Path::new(file).ancestors();
    let start = nearest
        .skip(1)
        .find(|path| !path.as_os_str().is_empty() && path.exists());
    let context = Context::to_ask(global, start)?;
    let path = remote::relative(&context, file)
        .with_context(|| format!("`{file}` is not in `{}`", context.root.display()))?;
    let query = FileQuery {
        root: Some(context.root.clone()),
        path,
    };
    let found = block_on(async {
        if let Some(story) = remote::if_running(context.client().file(&query).await)? {
            return anyhow::Ok(Some(story));
        }
        let settings = &context.loaded.settings;
        let (state, root) = (&context.state_dir, &context.root);
        Ok(testsmith_daemon::file_offline(state, settings, root, &query.path).await?)
    })??;
    let Some(mut story) = found else {
        bail!(
            "nothing is known of `{}`: testsmith has not run here",
            query.path
        );
    };
    if let Some(member) = &member {
        story.members.retain(|known| known.member == *member);
        for run in &mut story.history {
            run.steps.retain(|told| concerns(&told.step, member));
        }
    }
    if args.json {
        output::json(&story)?;
    } else {
        for line in lines(&story, member.as_ref()) {
            output::line(line)?;
        }
    }
    Ok(exit::OK)
}

/// File and member. A file whose name has a colon in it is that file.
fn parts(text: &str) -> (&str, Option<MemberName>) {
    match text.rsplit_once(':') {
        Some((file, member)) if !member.is_empty() && !std::path::Path::new(text).exists() => {
            (file, Some(MemberName::from(member)))
        }
        _ => (text, None),
    }
}

/// Whether a step tells of this member: those of the whole file do.
fn concerns(step: &Step, wanted: &MemberName) -> bool {
    match step {
        Step::Decided { members, .. } | Step::Written { members, .. } => members.contains(wanted),
        Step::Verdict { member, .. } | Step::Yours { member, .. } => member == wanted,
        Step::Seen { .. }
        | Step::Asked { .. }
        | Step::Parsed { .. }
        | Step::Remark { .. }
        | Step::Unknown => true,
    }
}

/// The whole story, line by line.
pub(crate) fn lines(story: &FileStory, member: Option<&MemberName>) -> Vec<String> {
    let mut lines = vec![format!(
        "{}  in {}",
        escape(story.path.as_str()),
        escape(&story.root.to_string_lossy())
    )];
    lines.extend(now(story).into_iter().map(|text| format!("  {text}")));
    if !story.members.is_empty() {
        let test = story.test_path.as_ref();
        let test = test.map_or_else(String::new, |path| escape(path.as_str()));
        lines.push(format!("tests in {test}"));
        lines.extend(members(story).into_iter().map(|text| format!("  {text}")));
    } else if let Some(member) = member {
        lines.push(format!("  {}", without_block(story, member)));
    }
    for run in &story.history {
        lines.extend(one_run(run));
    }
    if story.history.is_empty() && story.tests_of.is_empty() {
        lines.push("no job of it has run yet".to_owned());
    }
    lines
}

/// Why nothing is known of a member.
fn without_block(story: &FileStory, member: &MemberName) -> String {
    let shown = escape(member.as_str());
    let is_public = story.public.is_empty() || story.public.contains(member);
    if is_public {
        return format!("nothing has been written for `{shown}`");
    }
    let public = story.public.iter();
    let public: Vec<String> = public
        .map(|known| format!("`{}`", escape(known.as_str())))
        .collect();
    format!(
        "`{shown}` is no public member of it; these are: {}",
        public.join(", ")
    )
}

fn members(story: &FileStory) -> Vec<String> {
    let members = story.members.iter();
    members
        .map(|known| {
            let mut text = escape(known.member.as_str());
            match &known.key {
                Some(key) => text.push_str(&format!(": written, key={key}")),
                None => text.push_str(": no block"),
            }
            if known.yours {
                text.push_str(", yours");
                if let Some(since) = known.yours_since {
                    text.push_str(&format!(" since {since}"));
                }
            }
            if known.outdated {
                text.push_str(" (the code has changed since: it may be out of date)");
            }
            if let Some(reason) = &known.unverified {
                text.push_str(&format!(", unverified: {}", brief(reason)));
            }
            if let Some(verdict) = &known.quarantined {
                text.push_str(&format!(", in quarantine: {verdict}"));
            }
            if !known.findings.is_empty() {
                let ids = known.findings.join(", ");
                text.push_str(&format!(", fails in each run: finding {ids}"));
            }
            if known.proposed {
                text.push_str(", proposed");
            }
            if !known.deleted.is_empty() {
                let keys = known.deleted.join(", ");
                text.push_str(&format!(", deleted by you for key={keys}"));
            }
            text
        })
        .collect()
}

fn one_run(run: &Story) -> Vec<String> {
    let Story {
        job,
        enqueued,
        ended,
        outcome,
        reason,
        elapsed_ms,
        cost,
        steps,
    } = run;
    if outcome == CANCELLED {
        return vec![format!("{ended}  job #{job} cancelled on request")];
    }
    let mut lines = vec![format!("{enqueued}  job #{job} queued")];
    for told in steps {
        lines.push(format!(
            "{}    {}",
            told.at,
            one_step(&told.step, *enqueued)
        ));
    }
    let reason = reason
        .as_deref()
        .map_or_else(String::new, |reason| format!(": {}", escape(reason)));
    let cost = cost
        .as_deref()
        .map_or_else(String::new, |cost| format!(", cost {}", escape(cost)));
    lines.push(format!(
        "{ended}  ended after {elapsed_ms} ms{cost}: {outcome}{reason}"
    ));
    lines
}

fn one_step(step: &Step, enqueued: Timestamp) -> String {
    let names = |members: &[MemberName]| {
        let names: Vec<_> = members.iter().map(|m| escape(m.as_str())).collect();
        names.join(", ")
    };
    match step {
        Step::Seen { saved } => match enqueued.0.duration_since(saved.0) {
            Ok(quiet) if quiet < DEBOUNCED => format!(
                "saved {saved}, taken up {} later (debounce)",
                duration(quiet)
            ),
            Ok(later) => format!("saved {saved}, seen {} later", duration(later)),
            Err(_later) => format!("saved {saved}, again after it was taken up"),
        },
        Step::Decided {
            decision,
            members,
            reason,
        } => {
            let reason = reason
                .as_deref()
                .map_or_else(String::new, |reason| format!(": {}", escape(reason)));
            format!("{}: {decision}{reason}", names(members))
        }
        Step::Asked { .. } => asked(step),
        Step::Parsed {
            asked,
            usable,
            problems,
        } => {
            let problems: Vec<_> = problems.iter().map(|text| escape(text)).collect();
            let rest = if problems.is_empty() {
                String::new()
            } else {
                format!("; {}", problems.join("; "))
            };
            format!("answer read: {usable} of {asked} members usable{rest}")
        }
        Step::Verdict {
            member,
            verdict,
            reason,
        } => {
            let reason = reason
                .as_deref()
                .map_or_else(String::new, |reason| format!(": {}", escape(reason)));
            format!("{}: {verdict}{reason}", escape(member.as_str()))
        }
        Step::Written { test_path, members } => {
            let path = escape(test_path.as_str());
            format!("written to {path}: {}", names(members))
        }
        Step::Yours { member, what } => {
            format!(
                "{} is yours from now on: you {what} it",
                escape(member.as_str())
            )
        }
        Step::Remark { text } => escape(text),
        Step::Unknown => "something that this version does not know".to_owned(),
    }
}

fn asked(step: &Step) -> String {
    let Step::Asked {
        attempt,
        wait_ms,
        elapsed_ms,
        status,
        error,
        model,
        tokens_in,
        tokens_out,
    } = step
    else {
        return String::new();
    };
    let waited = if *wait_ms > 0 {
        format!(" after a wait of {wait_ms} ms")
    } else {
        String::new()
    };
    let status = status.map_or_else(
        || "no reply".to_owned(),
        |status| format!("status {status}"),
    );
    let tokens = match (tokens_in, tokens_out) {
        (None, None) => String::new(),
        (tokens_in, tokens_out) => format!(
            ", {} tokens in, {} out",
            tokens_in.unwrap_or(0),
            tokens_out.unwrap_or(0)
        ),
    };
    let error = error
        .as_deref()
        .map_or_else(String::new, |error| format!(": {}", escape(error)));
    let model = model
        .as_deref()
        .map_or_else(String::new, |model| format!(" `{}`", escape(model)));
    format!("asked{model}, attempt {attempt}{waited}: {status} in {elapsed_ms} ms{tokens}{error}")
}
