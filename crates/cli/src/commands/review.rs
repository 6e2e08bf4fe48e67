//! `findings`, `quarantine`, `review`, `accept`, `reject`, `adopt` and `diff`: the user's word on what
//! was found out.

use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use testsmith_control::{
    BlockChange, FindingReport, QuarantineReport, ReviewReply, ReviewRequest, Settled,
};
use testsmith_domain::FindingState;

use crate::args::{FindingsCommand, Global};
use crate::context::Context;
use crate::output::escape;
use crate::{block_on, exit, output, remote};

/// `testsmith findings`.
pub(crate) fn findings(
    global: &Global,
    json: bool,
    all: bool,
    command: Option<&FindingsCommand>,
) -> anyhow::Result<u8> {
    let (request, done) = match command {
        None => (ReviewRequest::Findings { all }, ""),
        Some(FindingsCommand::Accept { id }) => {
            (ReviewRequest::AcceptFinding { id: id.clone() }, "written")
        }
        Some(FindingsCommand::Dismiss { id }) => (
            ReviewRequest::DismissFinding { id: id.clone() },
            "dismissed",
        ),
    };
    answer(global, request, json, done)
}

/// One request, answered and shown.
pub(crate) fn answer(
    global: &Global,
    request: ReviewRequest,
    json: bool,
    done: &str,
) -> anyhow::Result<u8> {
    let context = Context::to_ask(global, None)?;
    let reply = block_on(ask(&context, request))??;
    show(&reply, json, done)
}

/// Paths as the user means them, whatever folder answers.
pub(crate) fn absolute(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let absolute = paths.iter().map(std::path::absolute);
    Ok(absolute.collect::<Result<_, _>>()?)
}

/// Asks the daemon, or the state where none runs.
async fn ask(context: &Context, request: ReviewRequest) -> anyhow::Result<ReviewReply> {
    let answer = context.client().review(&request).await;
    let answer = if request.is_question() {
        remote::if_running(answer)?
    } else {
        remote::answered(answer)?
    };
    if let Some(reply) = answer {
        return Ok(reply);
    }
    let (state, root) = (&context.state_dir, context.root.clone());
    let settings = &context.loaded.settings;
    Ok(testsmith_daemon::review_offline(state, root, settings, request).await?)
}

fn show(reply: &ReviewReply, json: bool, done: &str) -> anyhow::Result<u8> {
    match reply {
        _ if json => show_json(reply)?,
        ReviewReply::Findings(findings) if findings.is_empty() => {
            output::line("no findings")?;
        }
        ReviewReply::Findings(findings) => findings.iter().try_for_each(show_finding)?,
        ReviewReply::Quarantine(bodies) if bodies.is_empty() => {
            output::line("nothing is in quarantine")?;
        }
        ReviewReply::Quarantine(bodies) => bodies.iter().try_for_each(show_quarantined)?,
        ReviewReply::Proposals(files) if files.is_empty() => {
            output::line("nothing is proposed")?;
        }
        ReviewReply::Proposals(files) => {
            for file in files {
                output::raw(&escape_text(&file.diff))?;
            }
            output::note(format_args!(
                "to write these: testsmith accept [PATH…]; to drop them: testsmith reject [PATH…]"
            ));
        }
        ReviewReply::Settled(files) if files.is_empty() => {
            output::line("nothing is proposed")?;
        }
        ReviewReply::Settled(files) => {
            files.iter().try_for_each(|file| show_settled(file, done))?;
        }
        ReviewReply::Changes(changes) if changes.is_empty() => {
            output::line("every block is as it was written")?;
        }
        ReviewReply::Changes(changes) => changes.iter().try_for_each(show_change)?,
    }
    let refused =
        matches!(reply, ReviewReply::Settled(files) if files.iter().any(|f| !f.refused.is_empty()));
    Ok(if refused { exit::FAILED } else { exit::OK })
}

fn show_json(reply: &ReviewReply) -> anyhow::Result<()> {
    match reply {
        ReviewReply::Findings(all) => all.iter().try_for_each(output::json),
        ReviewReply::Quarantine(all) => all.iter().try_for_each(output::json),
        ReviewReply::Proposals(all) => all.iter().try_for_each(output::json),
        ReviewReply::Settled(all) => all.iter().try_for_each(output::json),
        ReviewReply::Changes(all) => all.iter().try_for_each(output::json),
    }
}

const HEADING: Style = Style::new().bold();

fn show_finding(report: &FindingReport) -> anyhow::Result<()> {
    let FindingReport {
        path,
        member,
        test_path: _,
        finding,
    } = report;
    let (first, last) = finding.lines;
    let state = match finding.state {
        FindingState::Open => "",
        FindingState::Accepted => " (accepted)",
        FindingState::Dismissed => " (dismissed)",
    };
    output::line(format_args!(
        "{HEADING}{}{HEADING:#}  {}  `{}` in {}:{first}-{last}{state}",
        finding.id,
        escape(&finding.test),
        escape(member.as_str()),
        escape(path.as_str()),
    ))?;
    output::line(indented(&finding.output))?;
    match &finding.judgement {
        Some(judgement) => output::line(format_args!(
            "    wrong, as {} sees it: {}. {}",
            escape(&judgement.model),
            match judgement.wrong {
                testsmith_domain::Wrong::Test => "the test",
                testsmith_domain::Wrong::Code => "the code",
                testsmith_domain::Wrong::Unclear => "it cannot be told",
            },
            escape(&judgement.reason),
        ))?,
        None => output::line("    the test or the code is wrong; no judgement was to be had")?,
    }
    output::line(indented(&finding.body))?;
    let style = Style::new().fg_color(Some(AnsiColor::BrightBlack.into()));
    output::line(format_args!(
        "    {style}testsmith findings accept {id}   testsmith findings dismiss {id}{style:#}\n",
        id = finding.id
    ))
}

fn show_quarantined(report: &QuarantineReport) -> anyhow::Result<()> {
    output::line(format_args!(
        "{HEADING}{}{HEADING:#}  {}: {}",
        escape(report.member.as_str()),
        escape(report.path.as_str()),
        report.verdict
    ))?;
    output::line(indented(&report.output))?;
    output::line(indented(&report.body))
}

fn show_settled(file: &Settled, done: &str) -> anyhow::Result<()> {
    let names: Vec<String> = file.members.iter().map(|m| escape(m.as_str())).collect();
    if file.refused.len() < file.members.len() || file.refused.is_empty() {
        output::line(format_args!(
            "{done}: {} in {}",
            names.join(", "),
            escape(file.test_path.as_str())
        ))?;
    }
    for (member, why) in &file.refused {
        output::note(format_args!(
            "`{}`: {}",
            escape(member.as_str()),
            escape(why)
        ));
    }
    Ok(())
}

fn show_change(change: &BlockChange) -> anyhow::Result<()> {
    let outdated = if change.outdated {
        "; the code has changed since: it may be out of date"
    } else {
        ""
    };
    let member = escape(change.member.as_str());
    match &change.diff {
        Some(diff) => {
            output::line(format_args!("`{member}` is yours{outdated}"))?;
            output::raw(&escape_text(diff))
        }
        None => output::line(format_args!(
            "`{member}` was deleted, and is not written again for key {}{outdated}",
            escape(&change.key.0)
        )),
    }
}

/// Lines of a model or a runner, made harmless and set in.
fn indented(text: &str) -> String {
    let lines = text.trim_end().lines();
    let lines: Vec<String> = lines
        .map(|line| format!("    {}", escape_text(line)))
        .collect();
    lines.join("\n")
}

/// Text of several lines, made harmless: line ends and tabs stay.
fn escape_text(text: &str) -> String {
    text.split_inclusive(['\n', '\t'])
        .map(|piece| {
            let end = piece.ends_with(['\n', '\t']);
            let (line, end) = piece.split_at(piece.len() - usize::from(end));
            format!("{}{end}", escape(line))
        })
        .collect()
}
