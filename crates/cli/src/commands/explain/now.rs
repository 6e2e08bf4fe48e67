//! How it stands with a file at this moment.

use testsmith_control::{FileStory, RunningJob};

use crate::commands::jobs;
use crate::output::{duration, escape};

/// How it stands with the file now, line by line.
pub(super) fn now(story: &FileStory) -> Vec<String> {
    let mut said = Vec::new();
    if !story.exists {
        said.push("there is no such file".to_owned());
    }
    said.push(kind(story));
    for source in &story.tests_of {
        let source = escape(source.as_str());
        said.push(format!("tests of {source}: testsmith explain {source}"));
    }
    said.extend(ignored(story));
    if story.language.is_some() && !story.is_own_test {
        said.extend(story.nothing_to_test.as_deref().map(nothing));
        said.extend(seen(story));
    }
    if let Some(job) = &story.job {
        let line = jobs::one_line(job, false);
        said.push(format!("job: {}", line.trim_end()));
    }
    said.extend(story.running.iter().map(doing));
    for call in &story.open_calls {
        said.push(format!(
            "attempt {} {}, for {}",
            call.attempt,
            call.doing(),
            duration(call.since.age())
        ));
    }
    said
}

fn kind(story: &FileStory) -> String {
    match (&story.language, story.is_own_test) {
        (_, true) if story.tests_of.is_empty() => {
            "testsmith's own tests; explain the source file instead".to_owned()
        }
        (_, true) => "testsmith's own tests".to_owned(),
        (None, _) => "of no language that testsmith knows".to_owned(),
        (Some(language), false) => format!("a file of {language}"),
    }
}

fn ignored(story: &FileStory) -> Option<String> {
    let ignored = story.ignored.as_ref()?;
    let rule = escape(&ignored.rule);
    let place = match (&ignored.file, ignored.line) {
        (Some(file), Some(line)) => {
            format!(" ({}:{line})", escape(&file.to_string_lossy()))
        }
        (Some(file), None) => format!(" ({})", escape(&file.to_string_lossy())),
        (None, _) => String::new(),
    };
    let path = escape(ignored.path.as_str());
    Some(format!("ignored: `{path}` by `{rule}`{place}"))
}

fn nothing(why: &str) -> String {
    format!("nothing to test in it: {}", escape(why))
}

/// What the watcher knows of it.
fn seen(story: &FileStory) -> Option<String> {
    match story.seen_as_it_is {
        Some(true) if is_base_line(story) => Some(format!(
            "there when testsmith first looked, and not saved since: tests are written after its next \
             save, or by `testsmith generate {}`",
            escape(story.path.as_str())
        )),
        Some(true) => Some("seen as it is now".to_owned()),
        Some(false) if story.live => Some(
            "changed since it was last seen: it waits for its quiet time (watch.debounce)"
                .to_owned(),
        ),
        Some(false) => Some("changed since it was last seen, and no daemon watches".to_owned()),
        None if story.exists && story.ignored.is_none() => {
            Some("never seen by the watcher".to_owned())
        }
        None => None,
    }
}

/// Whether nobody has asked for anything of the file yet.
fn is_base_line(story: &FileStory) -> bool {
    story.job.is_none()
        && story.history.is_empty()
        && story.members.is_empty()
        && story.nothing_to_test.is_none()
}

fn doing(running: &RunningJob) -> String {
    format!(
        "now: {} for {}, at work for {}",
        running.phase.as_str(),
        duration(running.phase_since.age()),
        duration(running.since.age())
    )
}
