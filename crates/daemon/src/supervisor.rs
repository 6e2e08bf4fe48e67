//! Named tasks, each of whose ends is looked at.

use std::any::Any;
use std::collections::HashMap;

use tokio::task::{Id, JoinSet};
use tracing::Instrument as _;

/// Owns the daemon's long-running tasks. Dropping it ends them.
#[derive(Debug, Default)]
pub(crate) struct Supervisor<E> {
    tasks: JoinSet<Result<(), E>>,
    names: HashMap<Id, String>,
}

/// How a task ended.
#[derive(Debug)]
pub(crate) enum Ended<E> {
    /// It was done.
    Clean,
    /// It failed.
    Failed(E),
    /// It panicked, with this message.
    Panicked(String),
}

impl<E: Send + 'static> Supervisor<E> {
    /// One with no task yet.
    pub(crate) fn new() -> Self {
        Self {
            tasks: JoinSet::new(),
            names: HashMap::new(),
        }
    }

    /// Starts a task under a name.
    pub(crate) fn spawn(
        &mut self,
        name: impl Into<String>,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let handle = self.tasks.spawn(task.in_current_span());
        self.names.insert(handle.id(), name.into());
    }

    /// Waits for the next task to end. `None` when there is no task left.
    pub(crate) async fn next(&mut self) -> Option<(String, Ended<E>)> {
        let (id, ended) = match self.tasks.join_next_with_id().await? {
            Ok((id, Ok(()))) => (id, Ended::Clean),
            Ok((id, Err(error))) => (id, Ended::Failed(error)),
            Err(error) => {
                let id = error.id();
                let ended = match error.try_into_panic() {
                    Ok(panic) => Ended::Panicked(panic_message(&*panic)),
                    Err(_cancelled) => Ended::Clean,
                };
                (id, ended)
            }
        };
        let name = self.names.remove(&id).unwrap_or_default();
        Some((name, ended))
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_end_is_told_with_its_name() {
        let mut supervisor = Supervisor::<&'static str>::new();
        supervisor.spawn("good", async { Ok(()) });
        supervisor.spawn("bad", async { Err("no") });
        supervisor.spawn("worse", async { panic!("oh {}", 1) });
        let mut ends = Vec::new();
        while let Some((name, ended)) = supervisor.next().await {
            ends.push(format!("{name}: {ended:?}"));
        }
        ends.sort();
        assert_eq!(
            ends,
            [
                "bad: Failed(\"no\")",
                "good: Clean",
                "worse: Panicked(\"oh 1\")"
            ]
        );
    }
}
